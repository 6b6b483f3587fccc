//! Secrets: a pod that names one which nothing provides does not start.

use crate::catalog::Addon;

use super::super::clusters::{ClusterContent, ClusterFlows, FlowFinding};
use super::super::finding::Finding;
use super::{Named, Provided};

/// Judged where some document provides Secrets: elsewhere they are put there by hand.
pub(in super::super) fn secrets_are_provided(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let provided: Vec<(Option<&str>, &str)> = cluster
        .flows
        .provided()
        .filter_map(|provided| match provided {
            Provided::Secret(namespace, name) => Some((namespace.as_deref(), name.as_str())),
            _ => None,
        })
        .collect();
    // Of a hub that was not rendered, it is not known what it pushes.
    if provided.is_empty() || !cluster.all.clusters.contains_key(&cluster.flows.cluster.hub) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let pushed = pushed_by_hub(cluster);
    for (document, used) in cluster.flows.used() {
        let Named::Secret(namespace, name) = &used.named else { continue };
        let namespace = namespace.as_deref();
        let is_it = |(given, other): &(Option<&str>, &str)| {
            other == name && (given.is_none() || namespace.is_none() || *given == namespace)
        };
        if provided.iter().any(is_it) || is_known(cluster, namespace, name) || pushed.contains(&name.as_str())
        {
            continue;
        }
        let elsewhere =
            provided.iter().find(|(_, other)| other == name).and_then(|(namespace, _)| *namespace);
        let (message, hint) = match (elsewhere, namespace) {
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
        findings.push(cluster.flows.finding_of(document, Finding::new(&used.path, message).hint(hint)));
    }
    findings
}

/// Returns the Secrets that the hub pushes somewhere: to which cluster and namespace says a store that is not followed here.
fn pushed_by_hub<'a>(cluster: &'a ClusterContent<'_>) -> Vec<&'a str> {
    let hub = cluster.all.clusters.get(&cluster.flows.cluster.hub);
    let provided = hub.into_iter().flat_map(ClusterFlows::provided);
    provided
        .filter_map(|provided| match provided {
            Provided::Pushed(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

fn is_known(cluster: &ClusterContent<'_>, namespace: Option<&str>, name: &str) -> bool {
    cluster.addons.iter().any(|addon| is_from_outside(addon, name) || is_made_by(addon, namespace, name))
}

fn is_from_outside(addon: &Addon, name: &str) -> bool {
    addon.facts.outside.secrets.contains(name)
}

fn is_made_by(addon: &Addon, namespace: Option<&str>, name: &str) -> bool {
    namespace.is_none_or(|namespace| namespace == addon.facts.namespace)
        && addon.facts.provides.secrets.iter().any(|made| made.replace("<release>", addon.release()) == name)
}
