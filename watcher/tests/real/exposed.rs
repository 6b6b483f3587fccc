//! Every metric that an alert, a panel or a check of the platform asks for is exposed by a program: by one that runs here, with
//! the values that are rendered for it, or by one whose metrics were read at the version of its chart.

use std::collections::{BTreeMap, BTreeSet};

use renderer::render::Rendered;
use renderer::verify::{Check, Question};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use testkit::real::{ApiServer, Collector, Prometheus, PrometheusOperator, wait_until};

use crate::flows::{Gateway, NAMESPACE, PATIENCE, Platform, cluster, scrape, span, wait_for_series};
use crate::platform::{landing_on, shipped};
use crate::rules::{each, rules};
use crate::world::text;

const READ: &str = include_str!("exposed.yaml");
/// What Prometheus makes by itself of targets and alerts, and what the test `book` holds against the service.
const OTHERWISE_KNOWN: [&str; 3] = ["up", "ALERTS", "fleetwright_"];

/// What programs of a chart expose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    chart: String,
    version: String,
    program: String,
    metrics: BTreeSet<String>,
}

/// Returns every query to a Prometheus, with what asks it.
fn queries(rendered: &Rendered) -> Vec<(String, String)> {
    let landings = rendered.clusters.keys().flat_map(|cluster| landing_on(rendered, cluster));
    let dashboards = landings.flat_map(|landing| dashboards_in(&landing.object));
    let panels = dashboards.flat_map(|dashboard| list(&dashboard, "panels"));
    let asks_prometheus = |panel: &Value| panel["datasource"]["type"] == "prometheus";
    let of_panel = |panel: Value| {
        let targets = list(&panel, "targets").into_iter();
        targets.map(move |target| (text(&panel, "/title").to_owned(), filled_in(text(&target, "/expr"))))
    };
    let of_rule = |rule: Value| (text(&rule, "/alert").to_owned(), text(&rule, "/expr").to_owned());
    let alerts = each(&rules(rendered)).into_iter().map(of_rule);
    panels.filter(asks_prometheus).flat_map(of_panel).chain(alerts).chain(live_queries(rendered)).collect()
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// Returns the dashboards in an object that Grafana picks up.
fn dashboards_in(object: &Value) -> Vec<Value> {
    let is_picked_up = object.pointer("/metadata/labels/grafana_dashboard").is_some();
    let files = object["data"].as_object().filter(|_| is_picked_up).into_iter().flat_map(Map::values);
    files.map(|file| serde_json::from_str(file.as_str().unwrap()).unwrap()).collect()
}

/// Puts values in the place of Grafana's variables.
fn filled_in(query: &str) -> String {
    query.replace("$__rate_interval", "5m").replace("$cluster", ".+")
}

/// Returns the queries of `fleetwright verify`.
fn live_queries(rendered: &Rendered) -> Vec<(String, String)> {
    let checks = renderer::verify::checks(rendered, |_| true).unwrap();
    let of_check = |check: Check| {
        let Question::Query(query) = check.question else { return Vec::new() };
        let asked = [Some(query.query), query.expected_if].into_iter().flatten();
        asked
            .filter(|query| query.signal == "metrics")
            .map(|query| (check.name.clone(), query.text))
            .collect()
    };
    checks.into_iter().flat_map(of_check).collect()
}

/// Lets a collector do all that it counts: it sends spans, others are refused, and for some it has no room.
fn counted_by_a_collector(platform: &Platform) -> BTreeSet<String> {
    let (hub, gateway) = (platform.traces(), platform.gateway_for_traces());
    let mut values = gateway.sender("app/opentelemetry-collector");
    values["config"]["exporters"]["otlp"]["sending_queue"]["queue_size"] = json!(2_000);
    let spoke = Collector::start(&values, &platform.spoke(202)).unwrap();
    let is_counted = |metric: &str| Ok(spoke.exposed()?.contains(metric));
    // One span has room in the queue. What fills it is more than one batch of it may hold, and nothing of that is sent.
    let until_one_counts = |metric: &str| {
        spoke.take(&span("counted")).unwrap();
        wait_until(PATIENCE, metric, || is_counted(metric)).unwrap();
    };
    // In this order: the longer nobody answers, the longer the exporter waits before it connects again.
    let receiver = Collector::receiving(&hub).unwrap();
    until_one_counts("otelcol_exporter_sent_spans_total");
    drop(receiver);
    let refuses = Collector::refusing(&hub).unwrap();
    until_one_counts("otelcol_exporter_send_failed_spans_total");
    drop(refuses);
    let no_room = "otelcol_exporter_enqueue_failed_spans_total";
    let fill = || {
        spoke.take(&span("counted"))?;
        is_counted(no_room)
    };
    wait_until(PATIENCE, no_room, fill).unwrap();
    spoke.exposed().unwrap().into_iter().chain(gateway.exposed()).collect()
}

/// Runs a hub and a spoke until samples are on the hub, and the agent has dropped some. Returns the hub, and what both expose.
fn counted_by_prometheus(platform: &Platform, server: &ApiServer) -> (Prometheus, BTreeSet<String>) {
    let operator = PrometheusOperator::start(server).unwrap();
    let hub_values = platform.values("control/kube-prometheus-stack");
    let hub = operator.run(&hub_values, NAMESPACE, &[platform.hub()]).unwrap();
    let agent = format!("{}:9090", platform.spoke(203)).parse().unwrap();
    scrape(server.client(), agent);
    let gateway = Gateway::start(platform, &[("metrics", platform.hub())]);
    let mut values = gateway.sender("app/prometheus-agent");
    values["prometheus"]["prometheusSpec"]["remoteWrite"][0]["writeRelabelConfigs"] =
        json!([{"sourceLabels": ["__name__"], "regex": "scrape_duration_seconds", "action": "drop"}]);
    let agent = operator.run(&values, NAMESPACE, &[agent]).unwrap();
    wait_for_series(&hub, r#"up{cluster="app"}"#);
    let exposed = hub.exposed().unwrap().into_iter().chain(agent.exposed().unwrap()).collect();
    (hub, exposed)
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn every_metric_that_is_asked_for_is_exposed() {
    let (platform, rendered, server) = (Platform::rendered(), shipped(), cluster("control"));
    let (hub, mut exposed) = counted_by_prometheus(&platform, &server);
    exposed.extend(counted_by_a_collector(&platform));
    let read: Vec<Read> = serde_yaml::from_str(READ).unwrap();
    let from_sources: BTreeSet<String> = read.iter().flat_map(|one| one.metrics.clone()).collect();

    let asked: BTreeMap<String, String> = queries(&rendered)
        .into_iter()
        .flat_map(|(what, query)| {
            hub.series_of(&query).unwrap().into_iter().map(move |name| (name, what.clone()))
        })
        .filter(|(name, _)| !OTHERWISE_KNOWN.iter().any(|known| name.starts_with(known)))
        .collect();
    assert!(asked.contains_key("otelcol_exporter_sent_spans_total"), "{asked:?}");
    let missing: Vec<_> =
        asked.iter().filter(|(name, _)| !exposed.contains(*name) && !from_sources.contains(*name)).collect();
    assert!(missing.is_empty(), "no program exposes {missing:#?}");

    let superfluous: Vec<_> = from_sources.iter().filter(|name| !asked.contains_key(*name)).collect();
    assert!(superfluous.is_empty(), "nothing asks for {superfluous:?}");
    for one in &read {
        let mut charts = rendered.catalog.addons.values().filter_map(|addon| addon.facts.chart.as_ref());
        let is_read = charts.any(|chart| chart.name == one.chart && chart.version == one.version);
        assert!(is_read, "{}: the chart {} is not shipped at {}", one.program, one.chart, one.version);
    }
}
