//! By what a receiver tells clusters apart: each carries its own name, and logs in by what is its own.

use std::collections::BTreeMap;

use crate::checks::{Finding, FlowFinding, Flows, Login};
use crate::path::ClusterName;

/// What clusters send must carry their name, or the hub can't tell them apart.
pub(in super::super) fn senders_name_their_cluster(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.each() {
        for (at, ends) in cluster.all_ends() {
            let Some(label) = &ends.cluster_label else { continue };
            let (signal, name) = (&ends.signal, cluster.cluster.name.as_str());
            let message = match &label.value {
                Some(value) if value == name => continue,
                Some(value) => format!("{signal} of `{name}` carry the label `cluster: {value}`"),
                None => format!("{signal} of `{name}` carry no `cluster` label"),
            };
            let hint = format!("{}: the hub tells clusters apart by it", label.hint);
            let finding = Finding::new(&label.path, message).on(label.part).hint(hint);
            findings.push(cluster.finding_in(at, finding));
        }
    }
    findings
}

/// What a cluster logs in by knows one cluster: another that uses it is refused.
pub(in super::super) fn logins_are_their_own(
    flows: &Flows<'_>,
    is_meant: fn(&str) -> bool,
) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<(&ClusterName, &str, &str), &ClusterName> = BTreeMap::new();
    for cluster in flows.each() {
        let (name, hub) = (&cluster.cluster.name, &cluster.cluster.hub);
        let mut first: BTreeMap<&str, &Login> = BTreeMap::new();
        for (at, ends) in cluster.all_ends().filter(|(_, ends)| is_meant(&ends.signal)) {
            for login in &ends.logins {
                let own = login.name.as_str();
                let owner = *owners.entry((hub, &ends.signal, own)).or_insert(name);
                let known = *first.entry(&ends.signal).or_insert(login);
                let (other, hint) = if owner != name {
                    (
                        format!("so does `{owner}`"),
                        "give each cluster a login of its own: by a login, one cluster is known",
                    )
                } else if known.name == own {
                    continue;
                } else {
                    (format!("elsewhere by `{}`", known.name), "use one login for all of a cluster")
                };
                let message = format!("`{name}` logs in for {} by `{own}`, and {other}", ends.signal);
                findings.push(cluster.finding_in(at, Finding::new(&login.path, message).hint(hint)));
            }
        }
    }
    findings
}
