//! Storage classes: a claim of a class that nothing provides stays pending.

use super::super::clusters::{ClusterContent, FlowFinding};
use super::super::finding::{Finding, Part};
use super::{Named, Provided};

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
