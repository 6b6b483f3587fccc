//! Whether what one cluster sends arrives at its hub: the same question for every signal.
//!
//! Knows nothing of charts, nor which signals there are.

use std::collections::BTreeSet;

use crate::checks::{ClusterFlows, Ends, Finding, FlowFinding, Flows, Receiver, Sender};
use crate::path::ClusterName;
use crate::plural::quoted;

use super::ends::Endpoint;

impl ClusterFlows<'_> {
    fn ends_of(&self, signal: &str) -> impl Iterator<Item = (usize, &Ends)> {
        self.all_ends().filter(move |(_, ends)| ends.signal == signal)
    }

    pub(super) fn receivers(&self, signal: &str) -> impl Iterator<Item = &Receiver> {
        self.ends_of(signal).flat_map(|(_, ends)| &ends.receivers)
    }

    /// Returns what keeps other clusters from reaching the receiver here, if there is one that none can reach.
    fn unreachable(&self, signal: &str) -> Option<FlowFinding> {
        if self.receivers(signal).next().is_some() {
            return None;
        }
        self.ends_of(signal).find_map(|(at, ends)| Some(self.finding_in(at, ends.unreachable.clone()?)))
    }
}

/// What a cluster sends must reach its hub; a hub may send to any other. Judges the signals that are meant.
pub(super) fn arrive(flows: &Flows<'_>, is_meant: fn(&str) -> bool) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    // Hubs without a receiver: reported with the first sender, since one thing is missing and not each sender wrong.
    let mut without_receiver: BTreeSet<(&ClusterName, &str)> = BTreeSet::new();
    for cluster in flows.each() {
        for (at, ends) in cluster.all_ends().filter(|(_, ends)| is_meant(&ends.signal)) {
            let signal = ends.signal.as_str();
            let named = ends.senders.iter().filter_map(|sender| name_fault(cluster, signal, sender));
            let faults = ends.faults.iter().cloned().chain(named);
            findings.extend(faults.map(|fault| cluster.finding_in(at, fault)));
            // Of a hub that was not rendered, it is not known where it receives.
            let Some(hub) = flows.clusters.get(&cluster.cluster.hub) else { continue };
            let route = Route { flows, cluster, hub, signal };
            for lost in ends.senders.iter().filter_map(|sender| route.judge(sender)) {
                let unreachable = hub.unreachable(signal);
                let is_missing = unreachable.is_none() && hub.receivers(signal).next().is_none();
                // A hub that none can reach is the one to change.
                let finding = unreachable.unwrap_or_else(|| cluster.finding_in(at, lost));
                let is_new = !is_missing || without_receiver.insert((&hub.cluster.name, signal));
                if is_new && !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// The way from a cluster to its hub.
struct Route<'a> {
    flows: &'a Flows<'a>,
    cluster: &'a ClusterFlows<'a>,
    hub: &'a ClusterFlows<'a>,
    signal: &'a str,
}

impl Route<'_> {
    fn judge(&self, sender: &Sender) -> Option<Finding> {
        let endpoint = Endpoint::parse(&sender.url)?;
        let is_it = |receiver: &&Receiver| receiver.endpoint == endpoint;
        if let Some(receiver) = self.hub.receivers(self.signal).find(is_it) {
            return self.judge_certificate(sender, receiver).or_else(|| self.judge_tenant(sender, receiver));
        }
        if self.flows.machines.contains(&endpoint.host) {
            return None;
        }
        let mut clusters = self.flows.clusters.values();
        let other = clusters.find(|cluster| cluster.receivers(self.signal).any(|it| is_it(&it)));
        // A hub may send to any other cluster, also to one of which it is not known where it receives.
        if self.cluster.cluster.is_hub() && (other.is_some() || !self.flows.unknown.is_empty()) {
            return None;
        }
        let (url, signal) = (&sender.url, self.signal);
        let message = match other {
            Some(other) => {
                format!("`{url}` is the endpoint for {signal} of `{}` and not of the hub", other.cluster.name)
            }
            None => format!("`{url}` is not an endpoint for {signal}"),
        };
        Some(Finding::new(&sender.path, message).on(sender.part).hint(self.hint()))
    }

    fn hint(&self) -> String {
        let known = quoted(self.hub.receivers(self.signal).map(|receiver| &receiver.endpoint));
        let (hub, signal) = (&self.hub.cluster.name, self.signal);
        if known.is_empty() {
            return format!("hub `{hub}` runs no add-on that receives {signal}");
        }
        format!("hub `{hub}` has {known}; a machine outside the clusters is named in `_fleet.yaml`")
    }

    fn judge_certificate(&self, sender: &Sender, receiver: &Receiver) -> Option<Finding> {
        let by = sender.unnamed_certificate.as_ref().filter(|_| receiver.takes_certificates_only)?;
        let message = format!(
            "{} are sent to `{}` without a certificate of the sender, and hub `{}` requires one",
            self.signal, sender.url, self.hub.cluster.name
        );
        Some(Finding::new(&sender.path, message).on(sender.part).hint(format!("name one by {by}")))
    }

    fn judge_tenant(&self, sender: &Sender, receiver: &Receiver) -> Option<Finding> {
        let (without, by) = receiver.tenants.as_ref().zip(sender.unnamed_tenant.as_ref())?;
        let message = format!(
            "{} are sent to `{}` without a tenant, and hub `{}` requires one",
            self.signal, sender.url, self.hub.cluster.name
        );
        let hint = format!("name one by {by}, or {without} on the hub");
        Some(Finding::new(&sender.path, message).on(sender.part).hint(hint))
    }
}

/// Where a receiver of the same cluster is named by its Service, the scheme must be the one that it speaks.
fn name_fault(cluster: &ClusterFlows<'_>, signal: &str, sender: &Sender) -> Option<Finding> {
    let (scheme, rest) = sender.url.split_once("://")?;
    let (_, namespace) = rest.split(['/', ':']).next()?.split_once(".svc")?.0.rsplit_once('.')?;
    let beside = || cluster.receivers(signal).filter(|receiver| receiver.namespace == namespace);
    let speaks = beside().next().map(|receiver| &receiver.endpoint.scheme)?;
    if beside().any(|receiver| receiver.endpoint.scheme == scheme) {
        return None;
    }
    let message = format!("`{}` is used for {signal}, and the receiver there speaks `{speaks}`", sender.url);
    let hint = "write its scheme, or change whether it is encrypted";
    Some(Finding::new(&sender.path, message).on(sender.part).hint(hint))
}
