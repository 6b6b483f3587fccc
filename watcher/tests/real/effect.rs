//! What the shipped values make of real charts: a value that changes nothing says something that does not hold, and a
//! container that asks for nothing is placed anywhere and takes what others need. Helm finds both.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use renderer::render::Rendered;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testkit::real::{Helm, Templated};

use crate::helm::{REAL_CHARTS, chart_with};
use crate::platform::{landing_on, shipped};

/// Values that take effect where they are read, which Helm does not see.
const READ_ELSEWHERE: [(&str, &str); 1] = [
    // A cluster's Application needs values, and this chart has none that differ here.
    ("istio-base", "/defaultRevision"),
];

/// A chart with values.
struct Chart<'h> {
    helm: &'h Helm,
    folder: PathBuf,
    values: Value,
}

impl Chart<'_> {
    /// Returns what the chart makes of values, line by line; none if it does not take them.
    fn lines(&self, values: &Value) -> Option<Vec<String>> {
        let file = NamedTempFile::new().unwrap();
        fs::write(&file, values.to_string()).unwrap();
        match self.helm.template(&self.folder, file.path()).unwrap() {
            Templated::Rendered(text) => Some(text.lines().map(str::to_owned).collect()),
            Templated::Refused(_) => None,
        }
    }

    /// Returns the places of the values that change nothing.
    fn without_effect(&self) -> Vec<String> {
        let (first, second) = (self.lines(&self.values).unwrap(), self.lines(&self.values).unwrap());
        // Certificates and passwords that the chart makes are others each time.
        let is_random: Vec<bool> = first.iter().zip(&second).map(|(one, other)| one != other).collect();
        let is_same = |values: &Value| {
            let Some(lines) = self.lines(values) else { return false };
            lines.len() == first.len()
                && lines
                    .iter()
                    .zip(&first)
                    .zip(&is_random)
                    .all(|((one, other), random)| *random || one == other)
        };
        let mut places = Vec::new();
        read_leaves(&self.values, String::new(), &mut places);
        places.retain(|place| is_same(&self.without(place)) && is_same(&self.with_another(place)));
        places
    }

    fn without(&self, place: &str) -> Value {
        let mut values = self.values.clone();
        let (above, key) = place.rsplit_once('/').unwrap();
        values.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(&key.replace("~1", "/"));
        values
    }

    fn with_another(&self, place: &str) -> Value {
        let mut values = self.values.clone();
        let value = values.pointer_mut(place).unwrap();
        *value = another(value);
        values
    }
}

/// Returns another value of the same type.
pub fn another(value: &Value) -> Value {
    match value {
        Value::Bool(is_so) => (!*is_so).into(),
        Value::Number(number) => (number.as_f64().unwrap() + 1.0).into(),
        Value::String(text) => format!("{text}x").into(),
        Value::Array(items) if items.is_empty() => json!(["another"]),
        Value::Array(_) => json!([]),
        Value::Object(_) | Value::Null => json!({"another": "value"}),
    }
}

/// Collects the places of all values that are no maps of others.
pub fn read_leaves(value: &Value, place: String, places: &mut Vec<String>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (key, value) in fields {
                read_leaves(value, format!("{place}/{}", key.replace('/', "~1")), places);
            }
        }
        None => places.push(place),
    }
}

/// Returns every add-on of a cluster with its chart, as far as the charts are here.
fn charts<'h>(helm: &'h Helm, rendered: &Rendered, real: &Path) -> Vec<(String, Chart<'h>)> {
    let files = rendered.clusters.values().flat_map(|cluster| cluster.files());
    let files = files.filter(|file| file.path.file_name() == "values.yaml");
    let chart_of = |file: &renderer::render::RenderedFile| {
        let addon = file.addon.as_ref()?;
        let chart = rendered.catalog.addons[addon].facts.chart.as_ref()?;
        let folder = chart_with("templates", real, &chart.name)?;
        let values = serde_yaml::from_str(std::str::from_utf8(&file.bytes).unwrap()).unwrap();
        Some((file.path.to_string(), Chart { helm, folder, values }))
    };
    files.filter_map(chart_of).collect()
}

/// Returns the containers of an object that lack a request, or a limit on their memory.
fn without_resources(object: &Value) -> Vec<String> {
    let is_test = object.pointer("/metadata/annotations/helm.sh~1hook").is_some_and(|hook| hook == "test");
    let places = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"];
    let pod =
        places.iter().filter_map(|place| object.pointer(place)).find(|spec| spec["containers"].is_array());
    let list = |key: &str| pod.and_then(|pod| pod[key].as_array()).into_iter().flatten();
    let is_incomplete = |container: &&Value| {
        let parts = ["requests/cpu", "requests/memory", "limits/memory"];
        // Istio's injector gives it what the gateway's values say.
        container["image"] != "auto"
            && parts.iter().any(|part| container.pointer(&format!("/resources/{part}")).is_none())
    };
    let containers = list("containers").chain(list("initContainers")).filter(is_incomplete);
    let name = |container: &Value| {
        let [kind, object, container] =
            [&object["kind"], &object["metadata"]["name"], &container["name"]].map(|it| it.as_str().unwrap());
        format!("{kind} {object}: {container}")
    };
    containers.filter(|_| !is_test).map(name).collect()
}

#[test]
#[ignore = "needs real charts"]
fn every_container_asks_for_what_it_takes() {
    let Some(real) = env::var_os(REAL_CHARTS).map(PathBuf::from) else {
        println!("left out: `{REAL_CHARTS}` names no folder with real charts");
        return;
    };
    let (helm, rendered) = (Helm::find().unwrap(), shipped());
    let objects = |chart: Chart<'_>| {
        let text = chart.lines(&chart.values).unwrap().join("\n");
        serde_yaml::from_multiple::<Value>(&text).unwrap()
    };
    let of_charts = charts(&helm, &rendered, &real).into_iter().flat_map(|(_, chart)| objects(chart));
    let own = rendered.clusters.keys().flat_map(|cluster| landing_on(&rendered, cluster));
    let all = of_charts.chain(own.map(|landing| landing.object));
    let found: BTreeSet<String> = all.flat_map(|object| without_resources(&object)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
#[ignore = "needs real charts, and some ten minutes"]
fn every_shipped_value_has_an_effect() {
    let Some(real) = env::var_os(REAL_CHARTS).map(PathBuf::from) else {
        println!("left out: `{REAL_CHARTS}` names no folder with real charts");
        return;
    };
    let helm = Helm::find().unwrap();
    let mut dead = Vec::new();
    for (file, chart) in charts(&helm, &shipped(), &real) {
        let is_known = |place: &str| {
            READ_ELSEWHERE
                .iter()
                .any(|(addon, known)| file.contains(&format!("/{addon}/")) && place == *known)
        };
        let places = chart.without_effect().into_iter().filter(|place| !is_known(place));
        dead.extend(places.map(|place| format!("{file} {place}")));
    }
    assert!(dead.is_empty(), "these values change nothing:\n{}", dead.join("\n"));
}
