//! Storage classes: a claim of a class that nobody provides stays pending.

use crate::catalog::Addon;
use crate::yaml::{Map, Value};

use super::super::flows::{ClusterContent, FlowFinding};
use super::super::{Finding, Part};
use super::{Named, Provided};

/// The chart of a provisioner whose classes are known.
const LOCAL_PATH: &str = "local-path-provisioner";
/// The class that it makes unless told otherwise.
const LOCAL_PATH_CLASS: &str = "local-path";

/// Returns the classes that a chart makes.
pub(super) fn of_chart(addon: &Addon, values: &Value) -> Vec<Provided> {
    if addon.facts.chart.name != LOCAL_PATH {
        return Vec::new();
    }
    let more = values.get("storageClassConfigs").and_then(Value::as_map);
    let more = more.into_iter().flat_map(Map::iter).map(|(name, _)| name);
    let is_made = values.at(&["storageClass", "create"]) != Some(&Value::Bool(false));
    let name = values.at(&["storageClass", "name"]).and_then(Value::as_str).unwrap_or(LOCAL_PATH_CLASS);
    let first = is_made.then_some(name).into_iter();
    first.chain(more).map(|name| Provided::StorageClass(name.to_owned())).collect()
}

/// Judged where some document provides a class: elsewhere the cluster may bring its own.
pub(in super::super) fn storage_classes_are_provided(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let provided = cluster.flows.provided().filter_map(|provided| match provided {
        Provided::StorageClass(name) => Some(name.as_str()),
        _ => None,
    });
    let mut provided: Vec<_> = provided.collect();
    if provided.is_empty() {
        return Vec::new();
    }
    provided.extend(
        cluster.addons.iter().flat_map(|addon| &addon.facts.outside.storage_classes).map(String::as_str),
    );
    let finding = |name: &str| {
        let message =
            format!("nothing provides the storage class `{name}` on `{}`", cluster.flows.cluster.name);
        let known: Vec<_> = provided.iter().map(|name| format!("`{name}`")).collect();
        let hint = format!(
            "known: {}; name one that comes from elsewhere under `outside.storageClasses` in `addon.yaml`",
            known.join(", ")
        );
        (message, hint)
    };
    let mut findings = Vec::new();
    for (document, used) in cluster.flows.used() {
        let Named::StorageClass(name) = &used.named else { continue };
        if !provided.contains(&name.as_str()) {
            let (message, hint) = finding(name);
            findings.push(
                cluster
                    .flows
                    .finding_of(document, Finding::new(&used.path, message).hint(hint).on(Part::Value)),
            );
        }
    }
    findings
}
