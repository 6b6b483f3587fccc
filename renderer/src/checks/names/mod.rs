//! Names of what must be there in a cluster: storage classes, Secrets and Services.
//!
//! Kubernetes waits for a name that nothing provides, and says so only at the one object that waits.

use serde::{Deserialize, Serialize};

pub(super) mod backends;
pub(super) mod contents;
pub(super) mod deployed;
mod find;
pub(super) mod gather;
mod provided;
pub(super) mod secrets;
pub(super) mod services;
pub(super) mod storage;

use crate::catalog::{Addon, ValuePath};
use crate::key_path::Step;
use crate::yaml::Value;

pub(crate) use provided::services_said;
pub(super) use provided::{classes_of, of_object, ports_of};

/// The names that a document uses, and those that it provides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// What must be there.
    pub used: Vec<NameUse>,
    /// What is there because of the document.
    pub provided: Vec<Provided>,
}

/// A name of something that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameUse {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// What it names.
    pub named: Named,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Named {
    /// A class of volumes.
    StorageClass(String),
    /// A Secret, in a namespace if that is known.
    Secret(Option<String>, String),
    /// A Service, by its name inside the cluster.
    Service(ServiceName),
    /// A `ConfigMap` that a pod takes something of, or a key of one or of a Secret: of final objects alone.
    #[serde(skip)]
    Content(Taken),
}

/// The name of a Service inside its cluster, as in `loki.logging.svc:3100`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceName {
    name: String,
    namespace: String,
    port: Option<u16>,
    /// Whether it may be in any cluster of the mesh: all of them share what the control plane says.
    is_of_mesh: bool,
}

/// What a pod takes of a `ConfigMap` or a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// `ConfigMap` or `Secret`.
    kind: &'static str,
    namespace: String,
    name: String,
    /// The key, if it is one that is named.
    key: Option<String>,
}

/// A `ConfigMap` or a Secret that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `ConfigMap` or `Secret`.
    kind: &'static str,
    /// None if it is in several namespaces.
    namespace: Option<String>,
    name: String,
    /// None if not all of them are known.
    keys: Option<Vec<String>>,
}

/// What a document provides to others of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provided {
    /// A class of volumes.
    StorageClass(String),
    /// A Secret, in a namespace or in several.
    Secret(Option<String>, String),
    /// An add-on's rendered folder that is deployed, by the parts of its path: names, or patterns and templates.
    Deployed {
        /// The cluster.
        cluster: String,
        /// The add-on.
        addon: String,
    },
    /// A chart that is deployed.
    Chart(String),
    /// What a generator finds elsewhere: it may be anything.
    Anything,
    /// A Secret that is pushed to somewhere else, to a spoke for one.
    Pushed(String),
    /// A Service, or all of a release.
    Service(ProvidedService),
    /// What a pod can take of a `ConfigMap` or a Secret: of final objects alone.
    #[serde(skip)]
    Content(Content),
}

/// A Service that is there, or all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvidedService {
    namespace: String,
    name: String,
    /// Whether the name is what those of a release begin with, since not all of them are known.
    is_beginning: bool,
    /// The ports that are known; any if none are.
    ports: Vec<u16>,
}

impl Names {
    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty() && self.provided.is_empty()
    }
}

/// How long Helm lets the full name of a release be.
const MAX_FULL_NAME: usize = 63;

/// Returns the name of something that a chart makes, with `<release>` and `<fullName>` filled in for its values.
pub(crate) fn filled(name: &str, addon: &Addon, subchart: Option<&ValuePath>, values: &Value) -> String {
    let name = name.replace("<release>", addon.release());
    match subchart {
        _ if !name.contains(FULL_NAME) => name,
        None => name.replace(FULL_NAME, &full_name(addon, values)),
        Some(subchart) => {
            let own = subchart.of(values).unwrap_or(&Value::Null);
            name.replace(FULL_NAME, &made_name(addon.release(), subchart.last(), MAX_FULL_NAME, own))
        }
    }
}

/// What stands for the full name of a release.
pub(super) const FULL_NAME: &str = "<fullName>";

/// Makes a release's full name as its chart does.
fn full_name(addon: &Addon, values: &Value) -> String {
    let own = &addon.facts.provides.full_name;
    let chart = own.name.as_deref().unwrap_or(addon.chart_name());
    made_name(addon.release(), chart, own.max_length.unwrap_or(MAX_FULL_NAME), values)
}

fn made_name(release: &str, chart: &str, longest: usize, values: &Value) -> String {
    let text = |key: &str| values.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let cut = |name: &str| name[..name.len().min(longest)].trim_end_matches('-').to_owned();
    let name = text("nameOverride").unwrap_or(chart);
    match text("fullnameOverride") {
        Some(full_name) => cut(full_name),
        None if release.contains(name) => cut(release),
        None => cut(&format!("{release}-{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn full_names_are_made_as_charts_make_them() {
        for (release, (chart, longest), values, made) in [
            ("prometheus-agent", ("kube-prometheus-stack", 26), "{}", "prometheus-agent-kube-prom"),
            ("kube-prometheus-stack", ("kube-prometheus-stack", 26), "{}", "kube-prometheus-stack"),
            ("kps", ("kube-prometheus-stack", 26), "fullnameOverride: monitoring", "monitoring"),
            ("loki", ("loki", 63), "{}", "loki"),
            ("logs", ("loki", 63), "{}", "logs-loki"),
            ("logs", ("loki", 63), "nameOverride: l", "logs"),
            ("argocd", ("argocd", 63), "{}", "argocd"),
        ] {
            let values = yaml::interpret(&yaml::parse(values).unwrap()[0]).unwrap();
            assert_eq!(made_name(release, chart, longest, &values), made);
        }
    }
}
