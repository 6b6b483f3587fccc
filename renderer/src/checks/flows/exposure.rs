//! Who reaches what is exposed: a policy limits it, and a Service asks for each address that is given.

use crate::checks::{ClusterFlows, ExposedAddress, Finding, FlowFinding, Flows, Part};
use crate::key_path::key;
use crate::plural::quoted;

/// Pods behind an exposed address are reached by what a policy names, where the fleet says where its people come from. An address that
/// no Service asks for is one that something was meant to have.
pub(in super::super) fn exposed_pods_are_limited(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.each().filter(|_| flows.names_operators) {
        for (at, (_, _, footprint)) in cluster.documents.iter().enumerate() {
            for found in footprint.exposed.iter().filter_map(|exposed| unlimited(cluster, at, exposed)) {
                if !findings.contains(&found) {
                    findings.push(found);
                }
            }
        }
        findings.extend(unasked(cluster));
    }
    findings
}

/// Returns what is wrong with who reaches the pods behind an address.
fn unlimited(cluster: &ClusterFlows<'_>, at: usize, exposed: &ExposedAddress) -> Option<FlowFinding> {
    let (address, fault) = (&exposed.text, |message: String| Finding::new(&exposed.path, message));
    let Some(pods) = &exposed.pods else {
        let fault = fault(format!("it is not known which pods are behind `{address}`"));
        let hint = "name the Service and the labels of its pods in `provides.exposed` of `addon.yaml`";
        return Some(cluster.finding_in(at, fault.hint(hint)));
    };
    if let Some((path, advice)) = &exposed.opened {
        let message = format!("by a policy of the chart, whatever asks reaches the pods behind `{address}`");
        return Some(cluster.finding_in(at, Finding::new(path, message).hint(advice)));
    }
    let policies = cluster.documents.iter().enumerate().filter_map(|(at, (_, _, footprint))| {
        footprint.policy.as_ref().filter(|policy| policy.is_about(pods)).map(|policy| (at, policy))
    });
    let policies: Vec<_> = policies.collect();
    if policies.is_empty() {
        let labels = quoted(pods.labels.iter().map(|(name, value)| format!("{name}: {value}")));
        let hint = format!("write a `NetworkPolicy` in `{}` for pods with {labels}", pods.namespace);
        let fault = fault(format!("whatever asks reaches the pods behind `{address}`")).hint(hint);
        return Some(cluster.finding_in(at, fault));
    }
    policies.into_iter().find_map(|(at, policy)| {
        let message = format!("by this rule, whatever asks reaches the pods behind `{address}`");
        let hint = "name who may in `from`: namespaces, or networks such as those of `operatorNetworks`";
        Some(cluster.finding_in(at, Finding::new(policy.open.as_ref()?, message).hint(hint)))
    })
}

/// Returns the addresses that no Service asks for, and that nothing in front of the cluster receives at.
fn unasked<'a>(cluster: &'a ClusterFlows<'_>) -> impl Iterator<Item = FlowFinding> + use<'a> {
    let asked = |ip| {
        let exposed = cluster.documents.iter().flat_map(|(_, _, footprint)| &footprint.exposed);
        let mut receivers = cluster.all_ends().flat_map(|(_, ends)| &ends.receivers);
        exposed.filter_map(ExposedAddress::address).any(|asked| asked == ip)
            || receivers.any(|receiver| receiver.endpoint.host == ip)
    };
    // Where nothing is rendered there is no place to report it at, and nothing that could ask.
    let addresses = cluster.cluster.facts.addresses.iter().filter(|_| !cluster.documents.is_empty());
    addresses.filter(move |(_, address)| !asked(address.ip())).map(|(name, address)| {
        let message = format!("no Service on `{}` asks for the address `{address}`", cluster.cluster.name);
        let finding = Finding::new(&[key("addresses"), key(name)], message).on(Part::Fact);
        cluster.finding_in(0, finding.hint("remove it, or turn on the add-on that it is for"))
    })
}
