//! Whether what one cluster sends arrives at its hub: the same question for metrics, logs, traces and secrets.
//!
//! Knows nothing of charts: who listens and who sends is read by the modules beside this one.

use std::collections::BTreeSet;

use crate::key_path::Step;
use crate::path::ClusterName;

use super::super::{Finding, Part};
use super::endpoint::Endpoint;
use super::{ClusterFlows, FlowFinding, Flows};

/// What crosses from a cluster to its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// By remote write to Prometheus.
    Metrics,
    /// By Fluent Bit to Loki.
    Logs,
    /// By OpenTelemetry collectors to Tempo.
    Traces,
    /// Asked of Vault.
    Secrets,
}

/// What one document contributes to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// What flows.
    pub signal: Signal,
    /// Where it is received.
    pub receivers: Vec<Receiver>,
    /// What keeps it from being received, if there is a server and something does.
    pub deaf: Option<Finding>,
    /// Where it is sent to.
    pub senders: Vec<Sender>,
    /// The label that tells the clusters apart, if something is sent that should carry it.
    pub cluster_label: Option<ClusterLabel>,
    /// What is wrong whatever the other end does.
    pub faults: Vec<Finding>,
    /// Where the document logs in to Vault.
    pub logins: Vec<Login>,
}

/// A place that receives something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub(super) endpoint: Endpoint,
    /// Whether it keeps tenants apart, and so refuses what names none.
    pub(super) wants_tenant: bool,
}

/// A place that something is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// The address as a URL.
    pub url: String,
    /// Whether a tenant is named.
    pub names_tenant: bool,
}

/// A label with the name of the cluster that something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterLabel {
    /// Where in the document it is or should be written.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// The label, if there is one.
    pub value: Option<String>,
    /// How to set it right.
    pub hint: &'static str,
}

/// A login to Vault by an auth method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where in the document the mount is written.
    pub path: Vec<Step>,
    /// Where the method is mounted, without `auth/`.
    pub mount: String,
}

impl Signal {
    fn goes_to(self) -> &'static str {
        match self {
            Self::Metrics => "metrics go to",
            Self::Logs => "logs go to",
            Self::Traces => "traces go to",
            Self::Secrets => "secrets are asked of",
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Secrets => "secrets",
        }
    }

    fn server(self) -> &'static str {
        match self {
            Self::Metrics => "Prometheus that could receive them",
            Self::Logs => "Loki that could receive them",
            Self::Traces => "Tempo that could receive them",
            Self::Secrets => "Vault that could answer",
        }
    }

    /// Says that a hub does not receive what its spokes send.
    pub(super) fn deaf(self) -> &'static str {
        match self {
            Self::Metrics => "metrics of the spokes are not received here",
            Self::Logs => "logs of the spokes are not received here",
            Self::Traces => "traces of the spokes are not received here",
            Self::Secrets => "the spokes can't reach Vault here",
        }
    }
}

impl Ends {
    pub(super) fn new(signal: Signal) -> Self {
        Self {
            signal,
            receivers: Vec::new(),
            deaf: None,
            senders: Vec::new(),
            cluster_label: None,
            faults: Vec::new(),
            logins: Vec::new(),
        }
    }
}

impl ClusterFlows<'_> {
    /// Returns the cluster's ends of one flow with the documents that they stand in.
    pub(super) fn ends(&self, signal: Signal) -> impl Iterator<Item = (usize, &Ends)> {
        self.all_ends().filter(move |(_, ends)| ends.signal == signal)
    }

    pub(super) fn receivers(&self, signal: Signal) -> impl Iterator<Item = &Receiver> {
        self.ends(signal).flat_map(|(_, ends)| &ends.receivers)
    }

    /// Returns what keeps the cluster from receiving, if it has a server that could.
    fn deafness(&self, signal: Signal) -> Option<FlowFinding> {
        if self.receivers(signal).next().is_some() {
            return None;
        }
        self.ends(signal).find_map(|(at, ends)| Some(self.finding_in(at, ends.deaf.clone()?)))
    }
}

/// What a cluster sends must reach its hub; a hub may send to any other.
pub(super) fn arrives(flows: &Flows<'_>, signal: Signal) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    // Hubs that run nothing to send to: reported with the first sender, since one thing is missing and not each sender wrong.
    let mut without_server: BTreeSet<&ClusterName> = BTreeSet::new();
    for cluster in flows.each() {
        for (at, ends) in cluster.ends(signal) {
            findings.extend(ends.faults.iter().map(|fault| cluster.finding_in(at, fault.clone())));
        }
        // Of a hub that was not rendered, it is not known where it listens.
        let Some(hub) = flows.clusters.get(&cluster.cluster.hub) else { continue };
        let route = Route { flows, cluster, hub, signal };
        for (at, ends) in cluster.ends(signal) {
            for target in &ends.senders {
                let Some(finding) = route.judge(target) else { continue };
                let is_missing = hub.receivers(signal).next().is_none() && hub.deafness(signal).is_none();
                if is_missing && !without_server.insert(&hub.cluster.name) {
                    continue;
                }
                // Spokes are not to blame for a hub that does not listen.
                let finding = hub.deafness(signal).unwrap_or_else(|| cluster.finding_in(at, finding));
                if !findings.contains(&finding) {
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
    signal: Signal,
}

impl Route<'_> {
    fn judge(&self, target: &Sender) -> Option<Finding> {
        let endpoint = Endpoint::parse(&target.url)?;
        let is_it = |receiver: &&Receiver| receiver.endpoint == endpoint;
        if let Some(receiver) = self.hub.receivers(self.signal).find(is_it) {
            return self.judge_tenant(target, receiver);
        }
        if self.flows.machines.contains(&endpoint.host) {
            return None;
        }
        let mut clusters = self.flows.clusters.values();
        let other = clusters.find(|cluster| cluster.receivers(self.signal).any(|it| is_it(&it)));
        // A hub may send to any other cluster, also to one of which it is not known where it listens.
        if self.cluster.cluster.is_hub() && (other.is_some() || !self.flows.unknown.is_empty()) {
            return None;
        }
        let where_to = match other {
            Some(other) => format!("which is `{}` and not the hub", other.cluster.name),
            None => "where nobody listens".to_owned(),
        };
        let message = format!("{} `{}`, {where_to}", self.signal.goes_to(), target.url);
        Some(Finding::new(&target.path, message).on(target.part).hint(self.hint()))
    }

    fn hint(&self) -> String {
        let known: Vec<_> =
            self.hub.receivers(self.signal).map(|receiver| format!("`{}`", receiver.endpoint)).collect();
        let hub = &self.hub.cluster.name;
        if known.is_empty() {
            return format!("hub `{hub}` runs no {}", self.signal.server());
        }
        let known = known.join(", ");
        format!("hub `{hub}` listens on {known}; a machine outside the clusters is named in `_fleet.yaml`")
    }

    fn judge_tenant(&self, target: &Sender, receiver: &Receiver) -> Option<Finding> {
        if !receiver.wants_tenant || target.names_tenant {
            return None;
        }
        let (noun, hub) = (self.signal.noun(), &self.hub.cluster.name);
        let message = format!("{noun} go to `{}` without a tenant, and hub `{hub}` refuses them", target.url);
        let hint = match self.signal {
            Signal::Logs => "name one by `Tenant_id`, or set `loki.auth_enabled: false` on the hub",
            _ => "name one by the header `X-Scope-OrgID`, or turn tenants off on the hub",
        };
        Some(Finding::new(&target.path, message).on(target.part).hint(hint))
    }
}

/// What clusters send must carry their name, or the hub can't tell them apart.
pub(in super::super) fn senders_name_their_cluster(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.each() {
        for (at, ends) in cluster.all_ends() {
            let Some(label) = &ends.cluster_label else { continue };
            let (noun, name) = (ends.signal.noun(), cluster.cluster.name.as_str());
            let message = match &label.value {
                Some(value) if value == name => continue,
                Some(value) => format!("{noun} of `{name}` carry the label `cluster: {value}`"),
                None => format!("{noun} of `{name}` carry no `cluster` label"),
            };
            let hint = format!("{}: the hub tells clusters apart by it", label.hint);
            let finding = Finding::new(&label.path, message).on(label.part).hint(hint);
            findings.push(cluster.finding_in(at, finding));
        }
    }
    findings
}
