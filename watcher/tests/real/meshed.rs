//! Metrics of workloads in the mesh: a Prometheus that does not speak mTLS finds them, by the monitor that is rendered.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};
use testkit::real::{ApiServer, Client, PrometheusOperator};

use crate::case::case;
use crate::flows::{NAMESPACE, Platform, cluster, wait_for_series};

/// Where the agent of a proxy answers with the metrics of the proxy and of its workload, outside mTLS.
const MERGED: u16 = 15020;

/// Takes the place of a proxy's agent, until the test ends.
fn answer_as_proxy(address: &str) {
    let listener = TcpListener::bind((address, MERGED)).unwrap();
    thread::spawn(move || listener.incoming().for_each(|client| answer(client.unwrap())));
}

fn answer(mut client: TcpStream) {
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
    let is_asked = lines.next().is_some_and(|line| line.starts_with("GET /stats/prometheus "));
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body) = if is_asked { ("200 OK", "orders_total 3\n") } else { ("404 Not Found", "") };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n");
    // A client that is gone does not wait for it.
    let _ = write!(client, "{head}Connection: close\r\n\r\n{body}");
}

/// Makes a pod as the injector leaves it, at an address of this machine.
fn meshed_pod(client: &Client, address: &str) {
    let port = json!({"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"});
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "labels": {"service.istio.io/canonical-name": "web"},
        },
        "spec": {"schedulerName": "none", "containers": [
            {"name": "web", "image": "web"},
            {"name": "istio-proxy", "image": "proxy", "ports": [port]},
        ]},
    });
    client.apply(&pod, "").unwrap();
    let status = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]});
    client.merge(&pod, "status", &json!({ "status": status })).unwrap();
}

/// Lets a Prometheus that runs outside of its cluster ask the API server for pods.
pub fn outside(mut values: Value, server: &ApiServer) -> Value {
    values["prometheus"]["prometheusSpec"]["apiserverConfig"] = json!({
        "host": server.client().url(),
        "bearerToken": server.token(),
        "tlsConfig": {"insecureSkipVerify": true},
    });
    values
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn metrics_of_a_workload_in_the_mesh_are_scraped_without_mtls() {
    let (platform, server) = (Platform::rendered(), cluster("control"));
    let pod = platform.spoke(204);
    answer_as_proxy(&pod);
    meshed_pod(server.client(), &pod);
    let operator = PrometheusOperator::start(&server).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}});
    server.client().apply(&namespace, "").unwrap();
    platform.apply(server.client(), "control/istiod/manifests/monitors.yaml");
    let values = outside(platform.values("control/kube-prometheus-stack"), &server);
    let hub = operator.run(&values, NAMESPACE, &[platform.hub()]).unwrap();

    case("Data flow", "metrics of a workload in the mesh are scraped, by the port outside mTLS", || {
        wait_for_series(&hub, r#"orders_total{cluster="control",namespace="default",pod="web"} == 3"#);
    });
}
