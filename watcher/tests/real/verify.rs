//! `verify` on real clusters: everything is as it is described, and what is planted is found.

use serde_json::{Value, json};
use testkit::real::{Client, lead_to_machine, own_address};
use testkit::web::server::{Outcome, Server};
use testkit::web::wire::{Reply, Request};

use crate::case::case;
use crate::repo::Told;
use crate::world::{World, text};

const PART: &str = "Cross-cluster";
/// What keeps signals on the hub: namespaces, Services and ports.
const STORES: [(&str, &str, u16); 3] = [
    ("monitoring", "kube-prometheus-stack-prometheus", 9090),
    ("logging", "loki", 3100),
    ("tracing", "tempo", 3200),
];

/// Shows what is found on both clusters, all of which is synced and healthy.
pub fn show(world: &World) {
    let _stores = stores(world.rig.control.client());
    case(PART, "`fleetwright verify` finds both clusters as they are described", || {
        let told = world.ask(&["verify", "--timeout", "1m", "--format", "json"]);
        assert_eq!((told.code, open(&told)), (0, Vec::new()), "{told}");
    });
    case(
        PART,
        "`fleetwright verify` names what was planted: a node, an address, a secret; and ends with 7",
        || {
            let planted = Planted::on(world);
            let told = world.ask(&["verify", "--format", "json"]);
            assert_eq!((told.code, open(&told)), (7, planted.found.clone()), "{told}");
            planted.remove(world);
            assert_eq!(world.ask(&["verify", "--timeout", "1m"]).code, 0);
        },
    );
    case(PART, "`fleetwright verify` with a context for the hub alone does not ask the spoke itself", || {
        let mut command = world.command(&["verify", "--cluster", "app", "--format", "json"]);
        command.env("KUBECONFIG", world.rig.control.server().kubeconfig());
        let told = world.repo.told(command.output().unwrap());
        assert_eq!(told.code, 0, "{told}");
        let no_context = "not asked: no context of the kubeconfig is called `app`";
        assert!(open(&told).iter().all(|line| line.ends_with(no_context)), "{told}");
        assert!(open(&told).iter().any(|line| line.starts_with("app nodes")), "{told}");
    });
}

/// Returns what did not pass, by cluster, check and what was found.
fn open(told: &Told) -> Vec<String> {
    let document = told.json();
    let open = document["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] != "passed");
    let line = |check: &Value| {
        let [cluster, name, found] = ["/cluster", "/check", "/found"].map(|key| text(check, key));
        let verdict = if check["verdict"] == "notAsked" { "not asked" } else { text(check, "/verdict") };
        format!("{cluster} {name}: {verdict}: {found}")
    };
    open.map(line).collect()
}

/// What is wrong on the spoke, and how it is found.
struct Planted {
    node: Value,
    service: Value,
    secret: Value,
    found: Vec<String>,
}

impl Planted {
    fn on(world: &World) -> Self {
        let app = &world.rig.app;
        app.add_node("app-10").unwrap();
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "app-10"}});
        // Outside the pool of MetalLB, which gives it none.
        let asked = json!({"metallb.universe.tf/loadBalancerIPs": "192.168.64.199"});
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "outside", "namespace": "default", "annotations": asked},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        });
        app.client().apply(&service, "").unwrap();
        let secrets = app.client().list("external-secrets.io/v1", "ExternalSecret").unwrap();
        let secret = secrets.first().unwrap().clone();
        set_ready(app.client(), &secret, "False");
        let [namespace, name] = ["/metadata/namespace", "/metadata/name"].map(|key| text(&secret, key));
        let number = secrets.len();
        let found = vec![
            "app nodes: failed: 10 of 9 nodes ready".to_owned(),
            "app addresses: failed: 1 of 1 address assigned, default/outside asks for 192.168.64.199 and has none".to_owned(),
            format!("app secrets: failed: 1 of {number} ExternalSecrets: {namespace}/{name}: Ready is False: denied"),
        ];
        Self { node, service, secret, found }
    }

    fn remove(&self, world: &World) {
        let app = world.rig.app.client();
        app.delete(&self.node).unwrap();
        app.delete(&self.service).unwrap();
        set_ready(app, &self.secret, "True");
    }
}

fn set_ready(client: &Client, object: &Value, status: &str) {
    let condition = json!({"type": "Ready", "status": status, "message": "denied"});
    client.merge(object, "status", &json!({"status": {"conditions": [condition]}})).unwrap();
}

/// Answers in the place of Prometheus, Loki and Tempo, which do not run: each query finds one.
fn stores(hub: &Client) -> Server {
    let server = Server::at(own_address().unwrap(), answer).unwrap();
    for (namespace, service, port) in STORES {
        lead_to_machine(hub, namespace, service, (port, server.address.port())).unwrap();
    }
    server
}

fn answer(request: &Request) -> Outcome {
    let one = json!([{"metric": {}, "value": [1, "1"]}]);
    Outcome::Reply(match &*request.path {
        "/api/v1/query" | "/loki/api/v1/query" => {
            Reply::ok(200, json!({"status": "success", "data": {"resultType": "vector", "result": one}}))
        }
        "/api/search" => Reply::ok(200, json!({"traces": [{"traceID": "a"}]})),
        path => Reply::error(404, &format!("nothing is at {path}")),
    })
}
