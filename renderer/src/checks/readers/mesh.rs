//! The mesh: what the clusters' control planes say of themselves and of each other must agree.
//!
//! Istio compares none of it: a wrong name shows as endpoints that are never found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::checks::{ClusterFlows, Finding, FlowFinding, Flows, MeshPart, Part, lands_on};
use crate::key_path::keys;
use crate::path::ClusterName;
use crate::plural::quoted;

use super::istio::{
    CLUSTER_NAME, ControlPlane, EXTERNAL_ISTIOD, INJECTION_PATH, MESH_ID, NETWORK, Name, REMOTE_LABEL,
    REMOTE_PILOT, REMOTE_PREFIX, TRUST_DOMAIN,
};

/// One cluster's part of the mesh.
struct Member<'a> {
    flows: &'a ClusterFlows<'a>,
    /// Which document describes the control plane.
    at: usize,
    plane: &'a ControlPlane,
}

impl<'a> Member<'a> {
    fn of(flows: &'a ClusterFlows<'a>) -> Option<Self> {
        flows.mesh_parts().find_map(|(at, part)| match part {
            MeshPart::ControlPlane(plane) => Some(Self { flows, at, plane: plane.as_ref() }),
            _ => None,
        })
    }

    fn name(&self) -> &'a ClusterName {
        &self.flows.cluster.name
    }

    /// The facts are right that a control plane disagrees by: its template uses the wrong ones.
    fn finding(&self, path: &[&str], message: String, hint: impl Into<String>) -> FlowFinding {
        self.flows.finding_in(self.at, Finding::new(&keys(path), message).hint(hint).on(Part::Insertion))
    }

    /// Returns the clusters that the control plane has Secrets for, with the cluster whose document makes each.
    fn remote_secrets(
        &self,
        flows: &'a Flows<'a>,
    ) -> impl Iterator<Item = (&'a ClusterFlows<'a>, usize, &'a Name)> {
        let here = self.name();
        flows
            .clusters
            .values()
            .filter(move |it| it.cluster.hub == *here || it.cluster.name == *here)
            .flat_map(move |it| {
                it.mesh_parts().filter_map(move |(at, part)| match part {
                    MeshPart::RemoteSecret { cluster, is_on_hub } => {
                        (lands_on(it.cluster, *is_on_hub) == here).then_some((it, at, cluster))
                    }
                    _ => None,
                })
            })
    }
}

/// Returns the clusters whose Secrets are pushed to spokes of a hub.
fn pushed<'a>(flows: &'a Flows<'a>, hub: &ClusterName) -> BTreeSet<&'a str> {
    let of_hub = flows.clusters.values().filter(|it| it.cluster.hub == *hub);
    let parts = of_hub.flat_map(ClusterFlows::mesh_parts);
    let names = parts.filter_map(|(_, part)| match part {
        MeshPart::PushedSecrets(pushed) => Some(pushed),
        _ => None,
    });
    names.flatten().map(String::as_str).collect()
}

/// Control planes must agree on what they share, and differ in what is their own.
pub(in super::super) fn meshes_fit(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut meshes: BTreeMap<&ClusterName, Vec<Member<'_>>> = BTreeMap::new();
    for member in flows.each().filter_map(Member::of) {
        findings.extend(networks_agree(&member));
        findings.extend(injection_path_fits(&member));
        meshes.entry(&member.flows.cluster.hub).or_default().push(member);
    }
    for (hub, mut members) in meshes {
        // Of two that have one name, the spoke is to change.
        members.sort_by_key(|member| member.name() != hub);
        let clashes = names_are_their_own(&members);
        let has_clash = !clashes.is_empty();
        findings.extend(clashes);
        let Some(primary) = members.iter().find(|member| member.name() == hub) else {
            findings.extend(members.iter().filter_map(|member| has_no_primary(flows, member)));
            continue;
        };
        for member in members.iter().filter(|member| member.name() != hub) {
            findings.extend(identities_agree(primary, member));
            if member.plane.is_remote {
                findings.extend(remote_reaches(primary, member));
            }
        }
        // By a name that two have, no Secret can be told from another; and a cluster that is not known may be
        // the one meant.
        if !has_clash && flows.is_whole(hub) {
            findings.extend(remote_secrets_are_there(flows, hub, &members));
        }
    }
    findings
}

/// Gateways and namespaces must lie in the network that the control plane takes them for.
fn networks_agree(member: &Member<'_>) -> Vec<FlowFinding> {
    let named = member.flows.mesh_parts().filter_map(|(at, part)| match part {
        MeshPart::Network(name) => Some((at, name, "the namespace")),
        MeshPart::Gateway { network, .. } => Some((at, network, "the gateway")),
        _ => None,
    });
    let own = member.plane.network.as_deref();
    let others = named.filter(|(_, name, _)| Some(name.text.as_str()) != own);
    others
        .map(|(at, name, what)| {
            let own = own.map_or("none".to_owned(), |own| format!("`{own}`"));
            let message =
                format!("{what} lies in the network `{}`, and istiod's `global.network` is {own}", name.text);
            let hint = "write the same name in both; from a fact, it can't differ";
            member.flows.finding_in(at, Finding::new(&name.path, message).hint(hint).on(Part::Insertion))
        })
        .collect()
}

/// A remote's webhook asks the control plane for the sidecar of a named cluster and network.
fn injection_path_fits(member: &Member<'_>) -> Option<FlowFinding> {
    let ControlPlane { cluster, network, injection_path, .. } = member.plane;
    let (Some(cluster), Some(network), Some(written)) = (cluster, network, injection_path) else {
        return None;
    };
    let wanted = format!("/inject/cluster/{cluster}/net/{network}");
    let message =
        format!("sidecars would be injected by `{written}`, which names another cluster or network");
    (*written != wanted).then(|| member.finding(&INJECTION_PATH, message, format!("write `{wanted}`")))
}

/// Of two clusters with one name, the control plane knows one; two with one network are taken to reach each
/// other's pods.
fn names_are_their_own(members: &[Member<'_>]) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut clusters: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    let mut networks: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    for member in members {
        let names = [
            ("cluster", &CLUSTER_NAME[..], &member.plane.cluster, &mut clusters),
            ("network", &NETWORK, &member.plane.network, &mut networks),
        ];
        for (what, path, name, known) in names {
            let Some(name) = name else { continue };
            let first = *known.entry(name).or_insert(member.name());
            if first != member.name() {
                let message =
                    format!("`{}` has the {what} name `{name}`, and so has `{first}`", member.name());
                let hint = format!("give each cluster a {what} name of its own");
                findings.push(member.finding(path, message, hint));
            }
        }
    }
    findings
}

fn identities_agree(primary: &Member<'_>, member: &Member<'_>) -> Vec<FlowFinding> {
    let pairs = [
        ("mesh ID", &MESH_ID[..], &primary.plane.mesh_id, &member.plane.mesh_id),
        ("trust domain", &TRUST_DOMAIN, &primary.plane.trust_domain, &member.plane.trust_domain),
    ];
    // A remote that says nothing takes it from its primary.
    let is_silent = |given: &Option<String>| member.plane.is_remote && given.is_none();
    let others = pairs.into_iter().filter(|(_, _, wanted, given)| wanted != given && !is_silent(given));
    let said = |text: &Option<String>| text.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
    others
        .map(|(what, path, wanted, given)| {
            let (name, hub) = (member.name(), primary.name());
            let message = format!("`{name}` has the {what} {}, and `{hub}` {}", said(given), said(wanted));
            member.finding(path, message, format!("clusters of one mesh share the {what}"))
        })
        .collect()
}

/// A remote finds its control plane at the hub's gateway, if that lets it in.
fn remote_reaches(primary: &Member<'_>, member: &Member<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let hub = primary.name();
    if !primary.plane.is_external {
        let message = format!(
            "`{}` has its control plane here, and istiod does not serve other clusters",
            member.name()
        );
        findings.push(primary.finding(&EXTERNAL_ISTIOD, message, "set `global.externalIstiod: true`"));
    }
    let gateways = primary.flows.mesh_parts().filter_map(|(_, part)| match part {
        MeshPart::Gateway { addresses, .. } => Some(addresses),
        _ => None,
    });
    let gateways: Vec<_> = gateways.flatten().copied().collect();
    let written = member.plane.remote_pilot.as_ref();
    // A host name is not known to be of the fleet.
    if written.is_some_and(|it| it.parse().map_or(true, |address| gateways.contains(&address))) {
        return findings;
    }
    let hint = match gateways.as_slice() {
        [] => format!("hub `{hub}` has no gateway between networks with an address"),
        known => format!("the gateway of hub `{hub}` is {}", quoted(known)),
    };
    let message = match written {
        Some(written) => format!("the control plane is looked for at `{written}`, where no gateway is"),
        None => "nothing says where the control plane is".to_owned(),
    };
    findings.push(member.finding(&REMOTE_PILOT, message, hint));
    findings
}

/// A remote without a control plane gets no sidecars.
fn has_no_primary(flows: &Flows<'_>, member: &Member<'_>) -> Option<FlowFinding> {
    let hub = &member.flows.cluster.hub;
    let is_elsewhere = member.plane.remote_pilot.as_ref().is_some_and(|it| it.parse::<IpAddr>().is_err());
    // Of a hub that was not rendered, it is not known what runs there.
    if !member.plane.is_remote || is_elsewhere || !flows.clusters.contains_key(hub) {
        return None;
    }
    let message = format!("the control plane is to be on hub `{hub}`, which runs no istiod");
    Some(member.finding(&["profile"], message, "run istiod there, or leave out `profile: remote`"))
}

/// A control plane sees the endpoints of another cluster by a Secret that leads there.
fn remote_secrets_are_there(
    flows: &Flows<'_>,
    hub: &ClusterName,
    members: &[Member<'_>],
) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let pushed = pushed(flows, hub);
    for primary in members.iter().filter(|member| !member.plane.is_remote) {
        let others = || members.iter().filter(|other| other.name() != primary.name());
        let own: BTreeSet<&str> =
            primary.remote_secrets(flows).map(|(_, _, secret)| secret.text.as_str()).collect();
        // What is pushed goes to spokes.
        let is_known = |name: &str| own.contains(name) || (primary.name() != hub && pushed.contains(name));
        for other in others() {
            let Some(name) = other.plane.cluster.as_ref().filter(|name| !is_known(name)) else { continue };
            let message =
                format!("the control plane of `{}` has no Secret that leads to `{name}`", primary.name());
            let hint = format!(
                "let an ExternalSecret make `{REMOTE_PREFIX}{name}` with the label `{REMOTE_LABEL}: \"true\"`"
            );
            findings.push(primary.finding(&[], message, hint));
        }
        let is_member = |name: &str| others().any(|it| it.plane.cluster.as_deref() == Some(name));
        for (by, at, secret) in
            primary.remote_secrets(flows).filter(|(_, _, secret)| !is_member(&secret.text))
        {
            let message = format!("no cluster of the mesh has the name `{}`", secret.text);
            let known: Vec<_> = others().filter_map(|it| it.plane.cluster.as_ref()).collect();
            let hint = match known.as_slice() {
                [] => "it has no other cluster: remove the Secret".to_owned(),
                known => format!("it is the `global.multiCluster.clusterName` of {}", quoted(known)),
            };
            findings.push(by.finding_in(at, Finding::new(&secret.path, message).hint(hint)));
        }
    }
    findings
}
