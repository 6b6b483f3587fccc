//! How long a spoke keeps what its hub does not take, computed from what is rendered.

use renderer::path::ClusterName;
use renderer::render::Rendered;
use serde_json::Value;

use crate::{shipped, tables};

/// An agent of Prometheus gives up what is older, by its own default, and so does the hub (`outOfOrderTimeWindow`).
const METRICS_HOURS: f64 = 4.0;
/// What a sample takes in a write-ahead log, before it is compressed.
const SAMPLE_BYTES: f64 = 10.0;
/// What a line takes with the metadata of its pod, and a span with its attributes.
const RECORD_BYTES: f64 = 1_000.0;
const SAMPLES_PER_SECOND: f64 = 10_000.0;
const RECORDS_PER_SECOND: f64 = 100.0;
/// A chunk of Fluent Bit, at most.
const CHUNK_BYTES: f64 = 2e6;

/// Returns the table: what waits on each spoke, where, and for how long there is room.
pub fn table(rendered: &Rendered) -> String {
    let head = ["cluster", "what", "waits in", "room", "at", "lasts"];
    tables::written(&head, rendered.clusters.keys().flat_map(|cluster| rows(rendered, cluster)))
}

fn rows(rendered: &Rendered, cluster: &ClusterName) -> Vec<Vec<String>> {
    let row = |what: &str, place: &str, room: String, rate: String, hours: f64| {
        vec![cluster.to_string(), what.to_owned(), place.to_owned(), room, rate, lasting(hours)]
    };
    let mut rows = Vec::new();
    if let Some(values) = values(rendered, cluster, "prometheus-agent") {
        let claim =
            "/prometheus/prometheusSpec/storageSpec/volumeClaimTemplate/spec/resources/requests/storage";
        let room = values.pointer(claim).and_then(Value::as_str).unwrap().to_owned();
        let hours = hours(bytes(&room), SAMPLES_PER_SECOND * SAMPLE_BYTES).min(METRICS_HOURS);
        let rate = format!("{SAMPLES_PER_SECOND} samples a second");
        rows.push(row("metrics", "the volume of the agent", room, rate, hours));
    }
    if let Some(values) = values(rendered, cluster, "fluent-bit") {
        let room = of_fluent_bit(&values, "outputs", "storage.total_limit_size");
        let hours = hours(bytes(&room), RECORDS_PER_SECOND * RECORD_BYTES);
        let rate = format!("{RECORDS_PER_SECOND} lines a second and node");
        rows.push(row("logs", "the disk of each node", room, rate, hours));
    }
    if let Some(values) = values(rendered, cluster, "opentelemetry-collector") {
        let queue = &values["config"]["exporters"]["otlp"]["sending_queue"];
        assert_eq!(queue["sizer"], "bytes");
        let room = queue["queue_size"].as_f64().unwrap();
        let hours = hours(room, RECORDS_PER_SECOND * RECORD_BYTES);
        let rate = format!("{RECORDS_PER_SECOND} spans a second and node");
        rows.push(row("traces", "the disk of each node", format!("{:.1}G", room / 1e9), rate, hours));
    }
    rows
}

fn values(rendered: &Rendered, cluster: &ClusterName, addon: &str) -> Option<Value> {
    let path = format!("argocd-apps/{cluster}/{addon}/values.yaml");
    let mut files = rendered.clusters[cluster].iter_files();
    let file = files.find(|file| file.path.as_str() == path)?;
    Some(serde_yaml::from_str(std::str::from_utf8(&file.bytes).unwrap()).unwrap())
}

/// Returns a setting of a section of Fluent Bit's own configuration.
fn of_fluent_bit(values: &Value, section: &str, key: &str) -> String {
    let text = values["config"][section].as_str().unwrap();
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key));
    value.unwrap_or_else(|| panic!("there is no `{key}`")).trim().to_owned()
}

/// Reads a size as Kubernetes and Fluent Bit write it.
fn bytes(size: &str) -> f64 {
    let digits = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let unit = match &size[digits..] {
        "" => 1.0,
        "M" => 1e6,
        "G" => 1e9,
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        unit => panic!("`{unit}` is not known"),
    };
    size[..digits].parse::<f64>().unwrap() * unit
}

fn hours(bytes: f64, bytes_per_second: f64) -> f64 {
    bytes / bytes_per_second / 3_600.0
}

fn lasting(hours: f64) -> String {
    format!("{:.0} h {:.0} min", hours.floor(), (hours.fract() * 60.0).floor())
}

#[test]
fn what_is_buffered_in_memory_fits_into_half_of_its_limit() {
    let rendered = shipped();
    for cluster in rendered.clusters.keys() {
        let Some(values) = values(&rendered, cluster, "fluent-bit") else { continue };
        let setting = |key| bytes(&of_fluent_bit(&values, "service", key));
        let buffered = setting("storage.max_chunks_up") * CHUNK_BYTES + setting("storage.backlog.mem_limit");
        let limit = bytes(values["resources"]["limits"]["memory"].as_str().unwrap());
        assert!(buffered <= limit / 2.0, "{cluster}: {buffered} of {limit}");
    }
}
