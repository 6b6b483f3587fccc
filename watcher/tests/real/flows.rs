//! What one cluster sends and another receives: metrics and traces, with what is rendered for both ends.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::real::{
    ApiServer, Client, Collector, Prometheus, PrometheusOperator, lead_to_machine, own_address, wait_until,
};

use crate::case::case;
use crate::repo::Repo;
use crate::world::text;

pub const PATIENCE: Duration = Duration::from_mins(1);
const PART: &str = "Data flow";
pub const NAMESPACE: &str = "monitoring";
/// The Service of Prometheus on the hub, as its chart names it.
const HUB_SERVICE: &str = "kube-prometheus-stack-prometheus";

/// The shipped platform with its addresses in a network that leads to this machine alone, rendered.
pub struct Platform {
    repo: Repo,
    pub network: String,
}

impl Platform {
    pub fn rendered() -> Self {
        // One that no other run of these tests has at the same time.
        let network = format!("127.{}.64", 64 + process::id() % 128);
        let repo = Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        for file in ["_fleet", "control", "app"] {
            let file = format!("environments/{file}.yaml");
            repo.write(&file, repo.read(&file).replace("192.168.64", &network));
        }
        let told = repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        repo.git(&["config", "user.name", "Ann"]);
        repo.git(&["config", "user.email", "ann@example.com"]);
        repo.commit("Describe the platform");
        Self { repo, network }
    }

    pub fn values(&self, addon: &str) -> Value {
        serde_yaml::from_str(&self.repo.read(&format!("argocd-apps/{addon}/values.yaml"))).unwrap()
    }

    /// Returns where the hub's Prometheus listens.
    pub fn hub(&self) -> SocketAddr {
        let service = &self.values("control/kube-prometheus-stack")["prometheus"]["service"];
        format!("{}:{}", text(service, "/loadBalancerIP"), service["port"]).parse().unwrap()
    }

    /// Returns an address of a spoke.
    pub fn spoke(&self, host: u8) -> String {
        format!("{}.{host}", self.network)
    }

    /// Returns the verdict of `fleetwright verify` on a check of the spoke. Nobody answers for its logs and traces, so all in
    /// all it fails.
    fn verdict(&self, hub: &ApiServer, name: &str) -> String {
        let arguments = ["verify", "--cluster", "app", "--context", "control", "--format", "json"];
        let mut command = self.repo.command(&arguments);
        let told = self.repo.told(command.env("KUBECONFIG", hub.kubeconfig()).output().unwrap());
        assert_eq!(told.code, 7, "{told}");
        let document = told.json();
        let is_it = |it: &&Value| match name.split_once('/') {
            Some((addon, check)) => it["addon"] == addon && it["check"] == check,
            None => it["addon"].is_null() && it["check"] == name,
        };
        let found = document["checks"].as_array().unwrap().iter().find(is_it).unwrap();
        text(found, "/verdict").to_owned()
    }

    /// Applies the files of an add-on that make objects of this kind.
    pub fn apply(&self, client: &Client, file: &str) {
        let objects = serde_yaml::from_multiple::<Value>(&self.repo.read(&format!("argocd-apps/{file}")));
        objects.unwrap().iter().for_each(|object| client.apply(object, NAMESPACE).unwrap());
    }
}

/// An API server with what the operator asks for: a namespace, and the class of the volumes.
pub fn cluster(name: &str) -> ApiServer {
    let server = ApiServer::start(name).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    server.client().apply(&namespace, "").unwrap();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local-path"},
        "provisioner": "rancher.io/local-path",
    });
    server.client().apply(&class, "").unwrap();
    server
}

/// Lets a Prometheus scrape a target every second.
pub fn scrape(client: &Client, target: SocketAddr) {
    let object = json!({
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": {"name": "itself"},
        "spec": {
            "jobName": "itself",
            "scrapeInterval": "1s",
            "scrapeTimeout": "1s",
            "staticConfigs": [{"targets": [target.to_string()]}],
        },
    });
    client.apply(&object, NAMESPACE).unwrap();
}

pub fn wait_for_series(prometheus: &Prometheus, query: &str) {
    wait_until(PATIENCE, query, || Ok(!prometheus.query(query)?.is_empty())).unwrap();
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn metrics_of_a_spoke_are_on_the_hub_with_its_name_also_after_the_hub_was_away() {
    let platform = Platform::rendered();
    let (control, app) = (cluster("control"), cluster("app"));
    let hub_values = platform.values("control/kube-prometheus-stack");
    let promised = platform.hub();
    let by_proxy = TcpListener::bind((own_address().unwrap(), 0)).unwrap().local_addr().unwrap();
    let agent = format!("{}:9090", platform.spoke(200)).parse().unwrap();

    let operator = PrometheusOperator::start(&control).unwrap();
    scrape(control.client(), promised);
    platform.apply(control.client(), "control/kube-prometheus-stack/manifests/fleet-rules.yaml");
    let hub = operator.run(&hub_values, NAMESPACE, &[promised, by_proxy]).unwrap();
    let operator = PrometheusOperator::start(&app).unwrap();
    scrape(app.client(), agent);
    let _agent = operator.run(&platform.values("app/prometheus-agent"), NAMESPACE, &[agent]).unwrap();

    case(PART, "metrics of an agent are on the hub, with the name of its cluster", || {
        wait_for_series(&hub, r#"up{cluster="app",job="itself"} == 1"#);
        wait_for_series(&hub, r#"up{cluster="control",job="itself"} == 1"#);
    });
    let rules = hub.ask("rules", &[]).unwrap();
    assert!(!rules.pointer("/data/groups").unwrap().as_array().unwrap().is_empty());

    case(PART, "`fleetwright verify` finds them through the API server of the hub", || {
        lead_to_machine(control.client(), NAMESPACE, HUB_SERVICE, (9090, by_proxy.port())).unwrap();
        assert_eq!(platform.verdict(&control, "prometheus-agent/samples"), "passed");
        assert_eq!(platform.verdict(&control, "nodes"), "notAsked");
    });

    case(PART, "metrics of a time in which the hub was away are there afterwards", || {
        let gone = now();
        hub.kill().unwrap();
        assert_eq!(platform.verdict(&control, "prometheus-agent/samples"), "unanswered");
        sleep(Duration::from_secs(5));
        hub.start_again().unwrap();
        let (back, range) = (now(), now() - gone);
        let samples = format!(r#"count_over_time(up{{cluster="app",job="itself"}}[{range}s] @ {back})"#);
        wait_for_series(&hub, &format!("{samples} >= {}", range - 1));
    });
}

/// The time in seconds, as Prometheus writes it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn traces_of_a_spoke_are_on_the_hub_with_its_name_also_after_both_were_away() {
    let platform = Platform::rendered();
    let hub = Collector::receiving(&format!("{}.105", platform.network)).unwrap();
    let workload = platform.spoke(201);
    let spoke = Collector::start(&platform.values("app/opentelemetry-collector"), &workload).unwrap();
    let arrives = |name: &str| {
        wait_until(PATIENCE, "the span arrived", || Ok(hub.log()?.contains(name))).unwrap();
    };

    case(PART, "a span is on the hub, with the name of its cluster", || {
        spoke.take(&span("first")).unwrap();
        arrives("first");
        assert!(hub.log().unwrap().contains("k8s.cluster.name: Str(app)"), "{}", hub.log().unwrap());
    });
    case(PART, "a span that waited while hub and spoke were away is there afterwards, once", || {
        hub.kill().unwrap();
        spoke.take(&span("second")).unwrap();
        // A batch waits for a fifth of a second before it is in the queue.
        sleep(Duration::from_secs(2));
        spoke.kill().unwrap();
        spoke.start_again().unwrap();
        hub.start_again().unwrap();
        arrives("second");
        assert_eq!(hub.log().unwrap().matches("second").count(), 1);
    });
}

/// A span as a workload sends it.
pub fn span(name: &str) -> Value {
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": name,
        "kind": 2,
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225601000000000",
    });
    let service = json!({"key": "service.name", "value": {"stringValue": "web"}});
    let spans = json!({"resource": {"attributes": [service]}, "scopeSpans": [{"spans": [span]}]});
    json!({"resourceSpans": [spans]})
}
