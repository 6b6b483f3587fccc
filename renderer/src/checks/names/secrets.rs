//! Secrets: a pod that names one which nothing provides does not start.

use crate::catalog::Addon;
use crate::checks::{ClusterContent, Finding, FlowFinding, Named, Provided};

/// Judged where some document provides Secrets: elsewhere they are put there by hand.
pub(in super::super) fn secrets_are_provided(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let here = cluster.flows.provided().filter_map(|provided| match provided {
        Provided::Secret(namespace, name) => Some((namespace.as_deref(), name)),
        _ => None,
    });
    let here: Vec<_> = here.collect();
    // Of a hub that was not rendered, it is not known what it pushes.
    let hub = cluster.all.clusters.get(&cluster.flows.cluster.hub).filter(|_| !here.is_empty());
    let Some(hub) = hub else { return Vec::new() };
    // To which cluster and namespace something is pushed, a store says that is not followed here.
    let is_pushed = |name: &String| {
        let mut from_hub = hub.provided().chain(cluster.flows.provided());
        from_hub.any(|it| matches!(it, Provided::Pushed(pushed) if pushed == name))
    };
    cluster.flows.judge_names(|used| {
        let Named::Secret(namespace, name) = &used.named else { return None };
        let namespace = namespace.as_deref();
        let is_it = |given: Option<&str>| given.is_none() || namespace.is_none() || given == namespace;
        let mut places = here.iter().filter(|(_, other)| *other == name).map(|(given, _)| *given);
        let is_known = |addon: &&Addon| is_from_outside(addon, name) || is_made_by(addon, namespace, name);
        if places.clone().any(is_it) || cluster.addons.iter().any(is_known) || is_pushed(name) {
            return None;
        }
        let (message, hint) = match (places.next().flatten(), namespace) {
            (Some(elsewhere), Some(namespace)) => (
                format!(
                    "Secret `{name}` is provided in the namespace `{elsewhere}` and not in `{namespace}`"
                ),
                "a Secret is seen in its own namespace only: provide it there",
            ),
            _ => (
                format!("nothing provides the Secret `{name}` on `{}`", cluster.flows.cluster.name),
                "write an ExternalSecret or a Certificate that makes it; name one that is put there by hand under `outside.secrets` in `addon.yaml`",
            ),
        };
        Some(Finding::new(&used.path, message).hint(hint))
    })
}

fn is_from_outside(addon: &Addon, name: &str) -> bool {
    addon.facts.outside.secrets.contains(name)
}

fn is_made_by(addon: &Addon, namespace: Option<&str>, name: &str) -> bool {
    namespace.is_none_or(|namespace| namespace == addon.facts.namespace)
        && addon.facts.provides.secrets.iter().any(|made| made.name_in(addon.release()) == name)
}
