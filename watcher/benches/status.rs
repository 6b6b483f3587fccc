//! What `status` costs on a hub with very many Applications: the first list, what follows from it, and the memory for both.
//!
//! The API server makes its pages as they are asked for, and the client is a process of its own, so that the memory is
//! that of the client alone. `cargo bench -p fleetwright --bench status -- 30000` names the number of Applications.

use std::convert::Infallible;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use fleetwright::argocd::{DesiredFleet, HubFleet, Question, Reach, Silent, document, rollout, text};
use fleetwright::cluster::Client;
use fleetwright::live::View;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use renderer::path::RepoPath;
use renderer::snapshot::{Snapshot, Source, SourceId};
use serde_json::{Value, json};
use testkit::web::server::{Outcome, Server};
use testkit::web::wire::{Reply, Request};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Names the number of Applications to the process of the client.
const CLIENT: &str = "FLEETWRIGHT_BENCH_CLIENT";
const ADDONS: usize = 30;
/// How many objects an Application has.
const OBJECTS: usize = 40;
const GIT: &str = "https://git.example.com/fleet.git";
const CHARTS: &str = "https://charts.example.com";
const REVISION: &str = "2222222222222222222222222222222222222222";

fn main() {
    if let Some(number) = std::env::var(CLIENT).ok().and_then(|number| number.parse().ok()) {
        return client(number);
    }
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    // Without `--bench` it is a test, which only shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let number = asked.unwrap_or(if is_bench { 30_000 } else { 300 });
    let server = Server::start(move |request| answer(request, number)).expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("config");
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n\
         current-context: c\n",
        server.address
    );
    fs::write(&kubeconfig, text).expect("a kubeconfig");
    let program = std::env::current_exe().expect("the program's own path");
    let ended = Command::new(program).env(CLIENT, number.to_string()).env("KUBECONFIG", kubeconfig).status();
    assert!(ended.expect("a process").success());
}

/// Lists everything, decides what became of it, and reports what that took.
fn client(number: usize) {
    let fleet = fleet(number.div_ceil(ADDONS));
    let before = peak_mib();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = Client::connect(None).await.expect("a kubeconfig");
        let start = Instant::now();
        let longest = Duration::from_mins(5);
        let view = View::start(client, fleet.namespace(), longest).await.expect("a view");
        let (listed, start) = (start.elapsed(), Instant::now());
        let question =
            Question { fleet: &fleet, revision: "2222222", silent: &Silent::default(), now: SystemTime::now() };
        let rollout = rollout(question, view.observed(), |_| Reach::Reached);
        let shown = text(&rollout, SystemTime::now(), false);
        let (decided, peak, start) = (start.elapsed(), peak_mib(), Instant::now());
        let bytes = document(&rollout, REVISION).to_string().len();
        println!(
            "{number} Applications: listed in {listed:.2?}; decided and written as text in {decided:.2?}, peak {peak} MiB, of them \
             {before} MiB before; as JSON ({} KiB) in {:.2?}, peak {} MiB",
            bytes / 1024,
            start.elapsed(),
            peak_mib()
        );
        assert_eq!(rollout.applications.len(), fleet.applications.len(), "{shown}");
        assert!(shown.contains("1 failed"), "{shown}");
    });
}

/// Returns the most memory that this process has had.
fn peak_mib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) / 1024
}

fn cluster(number: usize) -> String {
    format!("cluster-{number:04}")
}

fn addon(number: usize) -> String {
    format!("addon-{number:02}")
}

/// What the rendered files of so many clusters ask for.
fn fleet(clusters: usize) -> HubFleet {
    let names: Vec<_> = (0..clusters).map(cluster).collect();
    let mut sources = vec![
        ("environments/_fleet.yaml".to_owned(), format!("repository: {{url: '{GIT}', branch: main}}\n")),
        ("environments/hub.yaml".to_owned(), "role: control\n".to_owned()),
    ];
    sources.extend(
        names.iter().map(|name| (format!("environments/{name}.yaml"), "role: app\nhub: hub\n".to_owned())),
    );
    let source = |(path, text): (String, String)| {
        let source = Source { id: SourceId([1; 20]), bytes: text.into_bytes().into() };
        (RepoPath::parse(&path).expect("a path"), source)
    };
    let snapshot: Snapshot = sources.into_iter().map(source).collect();
    let file = |name: &String| {
        let elements: Vec<_> = (0..ADDONS).map(|number| format!("{{name: {}}}", addon(number))).collect();
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {name}, namespace: argocd}}\n\
             spec:\n  goTemplate: true\n  generators: [{{list: {{elements: [{}]}}}}]\n  template:\n\
             \x20   metadata: {{name: '{name}-{{{{ .name }}}}'}}\n    spec:\n      sources:\n\
             \x20     - {{repoURL: '{CHARTS}', chart: '{{{{ .name }}}}', targetRevision: 1.0.0}}\n\
             \x20     - {{repoURL: '{GIT}', targetRevision: main, ref: values}}\n",
            elements.join(", ")
        );
        let path = RepoPath::parse(&format!("argocd-apps/{name}/applicationset.yaml")).expect("a path");
        (path, Arc::from(text.into_bytes()))
    };
    let files: Vec<_> = names.iter().map(file).collect();
    DesiredFleet::read(&snapshot, &files).expect("rendered files").hubs.remove(0)
}

fn answer(request: &Request, number: usize) -> Outcome {
    if request.query.contains_key("watch") {
        let nothing = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        return Outcome::Stream(StreamBody::new(nothing).boxed());
    }
    if request.path.ends_with("/applicationsets") {
        let sets = (0..number.div_ceil(ADDONS)).map(|of| json!({ "metadata": metadata(&cluster(of)) }));
        return list(&sets.collect::<Vec<_>>(), None);
    }
    let at = |name: &str| request.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (at("continue").unwrap_or(0), at("limit").unwrap_or(number));
    let to = (from + limit).min(number);
    list(&(from..to).map(application).collect::<Vec<_>>(), Some(to).filter(|to| *to < number))
}

fn list(items: &[Value], next: Option<usize>) -> Outcome {
    let next = next.map(|next| next.to_string());
    let metadata = json!({ "resourceVersion": "7", "continue": next });
    Outcome::Reply(Reply::ok(
        200,
        json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }),
    ))
}

fn metadata(name: &str) -> Value {
    let managed = |at: usize| json!({ format!("f:field-{at}"): { "f:one": {}, "f:two": {}, ".": {} } });
    json!({
        "name": name, "namespace": "argocd", "resourceVersion": "5", "uid": "8e3f0c1e-0000-4000-8000-000000000000",
        "labels": { "app.kubernetes.io/managed-by": "fleetwright" },
        "managedFields": (0..OBJECTS).map(managed).collect::<Vec<_>>(),
    })
}

/// An Application as a real Argo CD has it; the first one is Degraded.
fn application(number: usize) -> Value {
    let (cluster, addon) = (cluster(number / ADDONS), addon(number % ADDONS));
    let health = if number == 0 { "Degraded" } else { "Healthy" };
    let sources = json!([
        { "repoURL": CHARTS, "chart": addon, "targetRevision": "1.0.0",
          "helm": { "releaseName": addon, "valueFiles": [format!("$values/argocd-apps/{cluster}/{addon}/values.yaml")] } },
        { "repoURL": GIT, "targetRevision": "main", "ref": "values" },
    ]);
    let object = |at: usize| json!({ "group": "apps", "version": "v1", "kind": "Deployment", "namespace": addon, "name": format!("{addon}-{at}") });
    let with = |at: usize, more: Value| {
        let mut object = object(at);
        let more = more.as_object().expect("a map").clone();
        object.as_object_mut().expect("a map").extend(more);
        object
    };
    let resource = |at: usize| with(at, json!({ "status": "Synced", "health": { "status": health } }));
    let result = |at: usize| {
        with(
            at,
            json!({ "status": "Synced", "syncPhase": "Sync", "message": format!("deployment.apps/{addon}-{at} configured") }),
        )
    };
    let revisions = json!(["1.0.0", REVISION]);
    let past = |id: usize| json!({ "id": id, "deployedAt": "2026-01-01T00:00:00Z", "revisions": revisions, "sources": sources });
    let all = |make: &dyn Fn(usize) -> Value, number: usize| (0..number).map(make).collect::<Vec<_>>();
    let mut metadata = metadata(&format!("{cluster}-{addon}"));
    metadata["ownerReferences"] = json!([{ "kind": "ApplicationSet", "name": cluster }]);
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata,
        "spec": {
            "project": cluster, "destination": { "name": cluster, "namespace": addon }, "sources": sources,
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
        },
        "status": {
            "sync": { "status": "Synced", "revisions": revisions, "comparedTo": { "sources": sources } },
            "health": { "status": health, "lastTransitionTime": "2026-01-01T00:00:00Z" },
            "resources": all(&resource, OBJECTS), "history": all(&past, 10), "conditions": [],
            "operationState": {
                "phase": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z",
                "operation": { "sync": { "revisions": revisions, "sources": sources } },
                "syncResult": { "revisions": revisions, "sources": sources, "resources": all(&result, OBJECTS) },
            },
        },
    })
}
