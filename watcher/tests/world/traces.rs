//! What the program sends by OTLP to a collector that takes everything.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::github;
use testkit::program::write_script;
use testkit::web::server::{Outcome, Server};
use testkit::web::wire::{Reply, Request};

use crate::github_service::Hosted;
use crate::platform::BASE;

const CREDENTIAL: &str = "a-credential-of-the-test";

/// A collector, and what it was sent.
struct Collector {
    server: Server,
    received: Arc<Mutex<Vec<Request>>>,
}

impl Collector {
    fn start() -> Self {
        let received: Arc<Mutex<Vec<Request>>> = Arc::default();
        let taken = Arc::clone(&received);
        let server = Server::start(move |request| {
            taken.lock().unwrap().push(request.clone());
            Outcome::Reply(Reply::ok(200, json!({})))
        });
        Self { server: server.unwrap(), received }
    }

    /// Returns the spans so far, with their attributes.
    fn spans(&self) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        let documents =
            received.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        let of = |value: &Value, field: &str| value[field].as_array().unwrap().clone();
        let resources = documents.flat_map(|document| of(&document, "resourceSpans"));
        let scopes = resources.flat_map(|resource| of(&resource, "scopeSpans"));
        scopes.flat_map(|scope| of(&scope, "spans")).collect()
    }

    /// Makes one run with traces.
    fn run(&self, hosted: &Hosted) -> (Option<i32>, String) {
        finish(
            hosted.service().env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.server.address)),
            hosted,
        )
    }
}

fn finish(command: &mut Command, hosted: &Hosted) -> (Option<i32>, String) {
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer {CREDENTIAL}"));
    command.args(["run", "--once", "--mirror", &hosted.place("mirror")]).args(hosted.arguments());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn attribute<'v>(span: &'v Value, key: &str) -> &'v str {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default()
}

#[test]
fn a_run_is_a_trace_of_its_stages() {
    let (hosted, collector) = (Hosted::new(), Collector::start());
    hosted.edit();
    let (code, log) = collector.run(&hosted);
    assert_eq!(code, Some(0), "{log}");
    let spans = collector.spans();
    let run = spans.iter().find(|span| span["name"] == "run").unwrap();
    assert_eq!(attribute(run, "revision"), hosted.world.tip(BASE).to_string());
    assert!(!attribute(run, "run.id").is_empty(), "{run}");
    let mut stages: Vec<_> = spans.iter().filter(|span| span["parentSpanId"] == run["spanId"]).collect();
    stages.sort_by_key(|span| span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap());
    let names: Vec<_> = stages.iter().map(|span| span["name"].as_str().unwrap()).collect();
    for expected in [["fetch", "snapshot"], ["snapshot", "render"], ["render", "plan"], ["publish", "review"]]
    {
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap_or(usize::MAX);
        assert!(place(expected[0]) < place(expected[1]) && place(expected[1]) < names.len(), "{names:?}");
    }
    let groups: Vec<_> =
        stages.iter().map(|span| attribute(span, "group")).filter(|it| !it.is_empty()).collect();
    assert_eq!(groups, ["control", "app"]);
    // What was sent to servers is below the stage that sent it, and all of it is one trace.
    let mut below = BTreeMap::<&str, usize>::new();
    for span in spans.iter().filter(|span| span["name"] == "request" && span["traceId"] == run["traceId"]) {
        let stage = stages.iter().find(|stage| stage["spanId"] == span["parentSpanId"]);
        *below.entry(stage.map_or("", |stage| stage["name"].as_str().unwrap())).or_default() += 1;
    }
    assert!(below["publish"] > 2 && below["fetch"] > 0, "{below:?}");
    let first = collector.received.lock().unwrap()[0].clone();
    assert_eq!((first.path.as_str(), first.method.as_str()), ("/v1/traces", "POST"));
    let resource =
        serde_json::from_slice::<Value>(&first.body).unwrap()["resourceSpans"][0]["resource"].clone();
    assert_eq!(attribute(&resource, "service.name"), "fleetwright");
}

#[test]
fn a_trace_of_a_run_that_fails_has_the_error_and_no_secret() {
    let (hosted, collector) = (Hosted::new(), Collector::start());
    hosted.edit();
    let hook = hosted.world.path().join("hooks/pre-receive");
    let text = format!("#!/bin/sh\necho 'frozen: {} {CREDENTIAL}'\nexit 1\n", github::TOKEN);
    write_script(hook, &text);
    let (code, log) = collector.run(&hosted);
    assert_eq!(code, Some(5), "{log}");
    let run = collector.spans().into_iter().find(|span| span["name"] == "run").unwrap();
    assert!(attribute(&run, "error").contains("frozen: *** ***"), "{run}");
    assert_eq!(run["status"]["code"], 2, "{run}");
    for request in &*collector.received.lock().unwrap() {
        let text = String::from_utf8_lossy(&request.body);
        assert!(!text.contains(github::TOKEN) && !text.contains(CREDENTIAL), "{text}");
    }
}

#[test]
fn a_collector_that_is_away_is_reported_once_and_keeps_no_run_from_its_work() {
    let hosted = Hosted::new();
    hosted.edit();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let (code, log) = finish(hosted.service().env("OTEL_EXPORTER_OTLP_ENDPOINT", away), &hosted);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("failed to send traces").count(), 1, "{log}");
    assert_eq!(crate::github::pulls(&hosted.github).lines().count(), 2);
}
