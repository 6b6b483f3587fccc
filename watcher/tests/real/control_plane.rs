//! Control planes of kubeadm: what they run exposes its metrics where the monitors of the platform look for them.

use serde_json::{Value, json};
use testkit::real::{ApiServer, Client, ControlPlane, PrometheusOperator, own_address};

use crate::case::case;
use crate::flows::{NAMESPACE, Platform, cluster, wait_for_series};
use crate::meshed::outside;
use crate::world::text;

/// The jobs of the chart's monitors for a control plane, where they look, and what each must find.
/// Source: `values.yaml` of the chart `kube-prometheus-stack` 88.5.3, below `kubeEtcd`, `kubeControllerManager` and `kubeScheduler`.
const JOBS: [(&str, u16, &str, &str); 3] = [
    ("kube-etcd", 2381, "http", "etcd_server_has_leader"),
    ("kube-controller-manager", 10257, "https", "workqueue_adds_total"),
    ("kube-scheduler", 10259, "https", "scheduler_pending_pods"),
];

/// Returns the arguments that kubeadm adds for a component.
fn arguments_of(platform: &Platform, component: &str) -> Vec<String> {
    let text_of = platform.repo.read("infra/clusters/control/kubeadm/init.yaml");
    let documents: Vec<Value> = serde_yaml::from_multiple(&text_of).unwrap();
    let own = documents.iter().find(|it| it["kind"] == "ClusterConfiguration").unwrap();
    let own = if component == "etcd" { &own["etcd"]["local"] } else { &own[component] };
    let own = own["extraArgs"].as_array().unwrap();
    own.iter().map(|it| format!("--{}={}", text(it, "/name"), text(it, "/value"))).collect()
}

/// Makes what the chart makes of a job: a Service of the control planes, and its monitor.
fn monitor(client: &Client, (name, port, scheme): (&str, u16, &str), address: &str) {
    let metadata = json!({"name": name, "namespace": "kube-system", "labels": {"jobLabel": name}});
    let ports = json!([{"name": "http-metrics", "port": port}]);
    let credentials = json!({"type": "Bearer", "credentials": {"name": "token", "key": "token"}});
    let endpoint = json!({
        "port": "http-metrics", "scheme": scheme, "interval": "1s", "scrapeTimeout": "1s",
        "tlsConfig": {"insecureSkipVerify": true}, "authorization": credentials,
    });
    for object in [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"clusterIP": "None", "ports": ports}}),
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata,
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}]}),
        json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": metadata,
            "spec": {"jobLabel": "jobLabel", "selector": {"matchLabels": {"jobLabel": name}}, "endpoints": [endpoint]}}),
    ] {
        client.apply(&object, "").unwrap();
    }
}

/// Puts the token in by which what is scraped knows Prometheus.
fn give_token(server: &ApiServer) {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": "kube-system"},
        "stringData": {"token": server.token()},
    });
    server.client().apply(&secret, "").unwrap();
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn control_planes_expose_their_metrics_where_the_monitors_look() {
    let (platform, server) = (Platform::rendered(), cluster("control"));
    let _control_plane =
        ControlPlane::start(&server, |component| arguments_of(&platform, component)).unwrap();
    let operator = PrometheusOperator::start(&server).unwrap();
    give_token(&server);
    // Not of the loopback, where all of them listen without a word of the configuration.
    let address = own_address().unwrap().to_string();
    for (name, port, scheme, _) in JOBS {
        monitor(server.client(), (name, port, scheme), &address);
    }
    let values = outside(platform.values("control/kube-prometheus-stack"), &server);
    let hub = operator.run(&values, NAMESPACE, &[platform.hub()]).unwrap();

    case(
        "Data flow",
        "etcd, controllers and scheduler of a control plane are scraped, as kubeadm starts them",
        || {
            for (job, _, _, series) in JOBS {
                wait_for_series(&hub, &format!(r#"up{{job="{job}",cluster="control"}} == 1"#));
                wait_for_series(&hub, &format!(r#"{series}{{job="{job}"}}"#));
            }
        },
    );
}
