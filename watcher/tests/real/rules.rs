//! The rules that Prometheus evaluates, held against Prometheus' own tool: all of them are valid, and each alert fires when
//! it should and not before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use renderer::render::Rendered;
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::real::promtool;

use crate::platform::{landing_on, shipped};
use crate::world::text;

const CASES: &str = include_str!("alerts.yaml");

/// What makes one alert fire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    quiet: BTreeMap<String, String>,
    firing: BTreeMap<String, String>,
    after: String,
    #[serde(default = "minute")]
    every: String,
}

fn minute() -> String {
    "1m".to_owned()
}

impl Case {
    /// Returns the test in which the alert fires, or the one in which it does not.
    fn test(&self, alert: &str, fires: bool) -> Value {
        let firing = Some(&self.firing).filter(|_| fires).into_iter().flatten();
        let series: BTreeMap<_, _> = self.quiet.iter().chain(firing).collect();
        let series: Vec<_> =
            series.iter().map(|(series, values)| json!({"series": series, "values": values})).collect();
        let samples = if fires { json!([{"labels": "{}", "value": 1}]) } else { json!([]) };
        let expr = format!(r#"count(ALERTS{{alertname="{alert}",alertstate="firing"}})"#);
        json!({
            "name": alert,
            "interval": self.every,
            "input_series": series,
            "promql_expr_test": [{"expr": expr, "eval_time": self.after, "exp_samples": samples}],
        })
    }
}

/// Returns the specifications of all `PrometheusRule`s of the platform.
pub fn rules(rendered: &Rendered) -> Vec<Value> {
    let landings = rendered.clusters.keys().flat_map(|cluster| landing_on(rendered, cluster));
    let rules = landings.filter(|landing| landing.object["kind"] == "PrometheusRule");
    rules.map(|landing| landing.object["spec"].clone()).collect()
}

/// Returns each rule in such specifications.
pub fn each(specifications: &[Value]) -> Vec<Value> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let groups = specifications.iter().flat_map(|rules| list(rules, "groups"));
    groups.flat_map(|group| list(&group, "rules")).collect()
}

/// Runs Prometheus' tool in a folder.
fn check(folder: &Path, arguments: &[&str]) {
    let output = Command::new(promtool().unwrap()).args(arguments).current_dir(folder).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}{}", told[0], told[1]);
}

#[test]
#[ignore = "needs Prometheus' own tool"]
fn every_rule_is_valid_and_every_alert_fires_when_it_should_and_not_before() {
    let (folder, rules) = (tempfile::tempdir().unwrap(), rules(&shipped()));
    let names: Vec<_> = (0..rules.len()).map(|number| format!("rules-{number}.yaml")).collect();
    for (name, rules) in names.iter().zip(&rules) {
        std::fs::write(folder.path().join(name), rules.to_string()).unwrap();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    check(folder.path(), &[&["check", "rules", "--lint=all", "--lint-fatal"], &*names].concat());

    let cases: BTreeMap<String, Case> = serde_yaml::from_str(CASES).unwrap();
    let alerts: BTreeSet<String> = each(&rules).iter().map(|rule| text(rule, "/alert").to_owned()).collect();
    assert_eq!(cases.keys().cloned().collect::<BTreeSet<_>>(), alerts);
    let tests: Vec<_> =
        cases.iter().flat_map(|(alert, case)| [true, false].map(|fires| case.test(alert, fires))).collect();
    let tests = json!({"rule_files": names, "evaluation_interval": "5m", "tests": tests});
    std::fs::write(folder.path().join("tests.yaml"), tests.to_string()).unwrap();
    check(folder.path(), &["test", "rules", "tests.yaml"]);
}
