//! Storage classes: a claim of a class that nothing provides stays pending.

use crate::checks::{ClusterContent, Finding, FlowFinding, Named, Provided};
use crate::plural::quoted;

/// Judged where some document provides a class: elsewhere the cluster may bring its own.
pub(in super::super) fn storage_classes_are_provided(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let classes = cluster.flows.provided().filter_map(|provided| match provided {
        Provided::StorageClass(name) => Some(name),
        _ => None,
    });
    let mut known: Vec<_> = classes.collect();
    if known.is_empty() {
        return Vec::new();
    }
    known.extend(cluster.addons.iter().flat_map(|addon| &addon.facts.outside.storage_classes));
    cluster.flows.judge_names(|used| {
        let Named::StorageClass(name) = &used.named else { return None };
        let message =
            format!("nothing provides the storage class `{name}` on `{}`", cluster.flows.cluster.name);
        let hint = format!(
            "known: {}; name one that comes from elsewhere under `outside.storageClasses` in `addon.yaml`",
            quoted(&known)
        );
        (!known.contains(&name)).then(|| Finding::new(&used.path, message).hint(hint))
    })
}
