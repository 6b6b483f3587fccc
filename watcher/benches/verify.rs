//! What `verify` costs on a fleet of very many spokes: time, requests and memory.
//!
//! One API server answers for the hub and for every spoke, and the client is a process of its own.
//! `cargo bench -p fleetwright --bench verify -- 1000` names the number of spokes.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright::argocd::HubFleet;
use fleetwright::cluster::Client;
use fleetwright::events::Cancel;
use fleetwright::live::{self, Clusters};
use fleetwright::verify::Verdict;
use renderer::catalog::{Language, Objects};
use renderer::path::ClusterName;
use renderer::verify::{Check, Endpoint, LiveQuery, QueryAt, Question};
use serde_json::{Value, json};
use testkit::web::server::{Outcome, Server};
use testkit::web::wire::{Reply, Request};
use tokio::time::Instant as Deadline;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Names the number of spokes to the process of the client.
const CLIENT: &str = "FLEETWRIGHT_BENCH_CLIENT";
const HUB: &str = "hub";
/// How many nodes a spoke has, and how many objects of each kind.
const OBJECTS: usize = 10;
const KINDS: [&str; 4] = ["Certificate", "ExternalSecret", "Schedule", "Backup"];
/// How many queries the hub is asked about a spoke.
const QUERIES: usize = 3;

fn main() {
    if let Some(number) = env::var(CLIENT).ok().and_then(|number| number.parse().ok()) {
        return client(number);
    }
    let asked = env::args().skip(1).find_map(|argument| argument.parse().ok());
    // Without `--bench` it is a test, which only shows that it works.
    let spokes: usize =
        asked.unwrap_or(if env::args().any(|argument| argument == "--bench") { 1_000 } else { 10 });
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = Server::start(move |request| {
        counter.fetch_add(1, Ordering::Relaxed);
        Outcome::Reply(Reply::ok(200, answer(request)))
    });
    let server = server.expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("config");
    fs::write(&kubeconfig, contexts(spokes, &server)).expect("a kubeconfig");
    let program = env::current_exe().expect("the program's own path");
    let ended = Command::new(program).env(CLIENT, spokes.to_string()).env("KUBECONFIG", kubeconfig).status();
    assert!(ended.expect("a process").success());
    println!("{} requests", requests.load(Ordering::Relaxed));
}

/// Asks everything, and reports what that took.
fn client(spokes: usize) {
    let checks: Vec<_> = (0..spokes).flat_map(|number| checks(&spoke(number))).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let start = Instant::now();
        let hub = Client::connect(Some(HUB)).await.expect("a kubeconfig");
        let fleet = HubFleet { hub: Some(cluster(HUB)), ..HubFleet::default() };
        let clusters = Clusters::of([(&fleet, &hub)].into_iter());
        let (read, start) = (start.elapsed(), Instant::now());
        let findings = live::verify(&checks, &clusters, Deadline::now(), &Cancel::default(), |_| {}).await;
        let findings = findings.expect("nothing stops it");
        println!(
            "{spokes} spokes, {} checks: kubeconfig read in {read:.2?}, asked in {:.2?}, peak {} MiB",
            findings.len(),
            start.elapsed(),
            peak_mib()
        );
        let open: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Passed).collect();
        assert!(open.is_empty(), "{open:?}");
    });
}

/// Returns the most memory that this process has had.
fn peak_mib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) / 1024
}

fn spoke(number: usize) -> String {
    format!("app-{number:04}")
}

fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).expect("a name")
}

fn contexts(spokes: usize, server: &Server) -> String {
    let names: Vec<_> = (0..spokes).map(spoke).chain([HUB.to_owned()]).collect();
    let all = |key: &str, value: &dyn Fn(&str) -> Value| -> Vec<Value> {
        names.iter().map(|name| json!({ "name": name, key: value(name) })).collect()
    };
    let address = format!("http://{}", server.address);
    // Nothing is encrypted here, but a kubeconfig has a CA for each cluster, and it is read.
    let folder = tempfile::tempdir().expect("a folder");
    let authority = testkit::smart_http::Server::with_tls(folder.path()).expect("a server").roots_pem();
    let authority = STANDARD.encode(authority);
    let server = json!({ "server": address, "certificate-authority-data": authority });
    json!({
        "clusters": all("cluster", &|_| server.clone()),
        "contexts": all("context", &|name| json!({ "cluster": name, "user": name })),
        "users": all("user", &|_| json!({ "token": "a token as long as those of accounts are".repeat(25) })),
    })
    .to_string()
}

fn checks(spoke: &str) -> Vec<Check> {
    let objects = KINDS.map(|kind| {
        let wanted =
            json!({ "apiVersion": "example.com/v1", "kind": kind, "holds": { "condition": "Ready" } });
        Question::Objects(serde_json::from_value::<Objects>(wanted).expect("a check"))
    });
    let own = [Question::Nodes(OBJECTS as u32), Question::Addresses(BTreeSet::new())];
    let queries = (0..QUERIES).map(|_| Question::Query(Box::new(query(spoke))));
    let check = |question| Check {
        cluster: cluster(spoke),
        addon: None,
        name: "check".to_owned(),
        about: "what it is".to_owned(),
        question,
    };
    own.into_iter().chain(objects).chain(queries).map(check).collect()
}

fn query(spoke: &str) -> LiveQuery {
    let endpoint = Endpoint {
        language: Language::Promql,
        namespace: "monitoring".to_owned(),
        service: "prometheus".to_owned(),
        port: 9090,
        is_encrypted: false,
        path_prefix: String::new(),
        tenant: None,
    };
    let query = QueryAt {
        cluster: cluster(HUB),
        signal: "metrics".to_owned(),
        endpoint: Some(endpoint),
        text: format!("up{{cluster=\"{spoke}\"}}"),
    };
    LiveQuery { query, within: 60, at_least: None, at_most: None, expected_if: None }
}

fn answer(request: &Request) -> Value {
    let path = request.path.trim_start_matches('/');
    match path {
        "version" => {
            json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "" })
        }
        "api/v1" => kinds(&["Node", "Service"]),
        "apis/example.com/v1" => kinds(&KINDS),
        "api/v1/services" => json!({ "items": [] }),
        _ if path.ends_with("/query") => {
            json!({ "data": { "resultType": "vector", "result": [{ "metric": {}, "value": [1, "1"] }] } })
        }
        _ => json!({ "items": (0..OBJECTS).map(object).collect::<Vec<_>>() }),
    }
}

fn kinds(kinds: &[&str]) -> Value {
    let kind = |kind: &&str| json!({ "name": format!("{}s", kind.to_lowercase()), "kind": kind });
    json!({ "resources": kinds.iter().map(kind).collect::<Vec<_>>() })
}

fn object(number: usize) -> Value {
    let managed: Vec<_> = (0..40).map(|at| json!({ format!("f:field-{at}"): { "f:one": {} } })).collect();
    json!({
        "metadata": { "name": format!("object-{number}"), "namespace": "a", "managedFields": managed },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}
