//! What the service counts is in the book, and what the shipped alerts and dashboards ask for is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use fleetwright::output::metrics::Metrics;

use crate::repository;

const PAGE: &str = "docs/reference/metrics.md";
const MONITORING: &str = "templates/addons/fleetwright/manifests/monitoring.yaml.hbs";

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// Returns every metric with its type, by the name without what its type adds.
fn counted() -> BTreeMap<String, String> {
    let metrics = Metrics::default();
    // What has labels is shown as soon as something is counted.
    metrics.count_delivery("push", "queued");
    metrics.count_connection_cut("slow");
    metrics.set_github_budget("requests", Some(1));
    metrics.set_held([("rest".to_owned(), "stopped")].into(), Instant::now());
    metrics.count_run("done", Duration::ZERO);
    metrics.count_worker_death("base", "memory");
    let text = metrics.encode().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

fn name_of(series: &str) -> &str {
    let ends = ["_total", "_bucket", "_sum", "_count"];
    ends.iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series)
}

#[test]
fn every_metric_is_in_the_reference_with_its_type() {
    let page = text(PAGE);
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let series = cells.next()?.split(['{', '`']).next()?;
        Some((name_of(series).to_owned(), cells.next()?.to_owned()))
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), counted());
}

#[test]
fn alerts_and_dashboards_ask_for_what_is_counted() {
    let (known, text) = (counted(), text(MONITORING));
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("fleetwright_"));
    let asked: BTreeSet<&str> = words.collect();
    assert!(asked.len() > 8, "{asked:?}");
    for series in asked {
        assert!(known.contains_key(name_of(series)), "{MONITORING} asks for `{series}`");
    }
}

#[test]
fn every_alert_has_a_section_on_what_to_do() {
    let text = text(MONITORING);
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert_ne!(alerts.len(), 0);
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let runbook = alert.split_once("runbook: ").unwrap_or_else(|| panic!("{name} has no runbook")).1;
        let (page, anchor) = runbook.lines().next().unwrap().split_once('#').unwrap();
        assert_eq!(anchor, name.to_ascii_lowercase());
        let page = fs::read_to_string(repository().join(page)).unwrap();
        assert!(page.contains(&format!("\n### {name}\n")), "{name} has no section");
    }
}
