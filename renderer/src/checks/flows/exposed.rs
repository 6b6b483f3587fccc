//! Addresses that Services ask load balancers for: each lies in the cluster's pool and belongs to one Service.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::inventory::Cluster;
use crate::key_path::Step;
use crate::network::{self, Address};
use crate::path::RepoPath;
use crate::yaml::{Map, Value};

use super::super::{Document, Finding, Spot};
use super::{FlowFinding, Flows};

/// The annotations by which load balancers are asked for addresses.
const ADDRESS_ANNOTATIONS: [&str; 4] = [
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "kube-vip.io/loadbalancerIPs",
];
/// The annotations by which Services agree to share an address.
const SHARING_ANNOTATIONS: [&str; 3] =
    ["metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip", "lbipam.cilium.io/sharing-key"];

/// An address that a load balancer is asked to expose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedAddress {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// The text that was written.
    pub text: String,
    /// Where in the document the Service is described that asks for it.
    pub(super) service: Vec<Step>,
    /// The key under which it may be shared with other Services.
    sharing: Option<String>,
}

impl ExposedAddress {
    /// Returns the address, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.text.parse::<Address>().ok().map(Address::ip)
    }
}

/// Returns whether the value of a key asks for addresses.
pub(in super::super) fn exposes(key: &str) -> bool {
    key == "loadBalancerIP" || ADDRESS_ANNOTATIONS.contains(&key)
}

/// Reads the addresses that a text asks for, several with commas between them; `siblings` holds the text.
pub(in super::super) fn exposed<'a>(
    text: &'a str,
    path: &'a [Step],
    siblings: &'a Map,
) -> impl Iterator<Item = ExposedAddress> + use<'a> {
    let annotations = siblings.get("annotations").and_then(Value::as_map).unwrap_or(siblings);
    let sharing = SHARING_ANNOTATIONS.iter().find_map(|name| annotations.get(name)?.as_str());
    let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
    addresses.map(move |address| ExposedAddress {
        path: path.to_vec(),
        text: address.to_owned(),
        service: service(path).to_vec(),
        sharing: sharing.map(str::to_owned),
    })
}

/// Returns where the Service is described that a field or an annotation belongs to.
///
/// One Service may name its address in both, in an object even in two branches.
fn service(path: &[Step]) -> &[Step] {
    let mut holder = &path[..path.len().saturating_sub(1)];
    for inner in ["annotations", "metadata", "spec"] {
        if let [outer @ .., Step::Key(name)] = holder
            && name == inner
        {
            holder = outer;
        }
    }
    holder
}

pub(in super::super) fn exposed_addresses_are_in_the_pool(document: &Document<'_>) -> Vec<Finding> {
    let cluster = document.cluster;
    let pool = cluster.facts.load_balancer.as_ref().map(|load_balancer| &load_balancer.pool);
    let judge = |exposed: &ExposedAddress| {
        let Some(address) = exposed.address() else {
            let message = format!("`{}` is not an address", exposed.text);
            let hint = network::hint("ip", &exposed.text);
            let hint = hint.unwrap_or_else(|| "write an IPv4 or IPv6 address".to_owned());
            return Some(Finding::new(&exposed.path, message).hint(hint));
        };
        // What is a fact is judged where it is given.
        if cluster.facts.addresses.values().any(|given| given.ip() == address) {
            return None;
        }
        let (message, hint) = match pool {
            Some(pool) if pool.contains(address) => return None,
            Some(pool) => (
                format!("address `{address}` is outside the pool `{pool}` of `{}`", cluster.name),
                "the Service would stay pending; choose an address of the pool",
            ),
            None => (
                format!("address `{address}` is asked for, but `{}` has no pool", cluster.name),
                "add `loadBalancer: {pool: first-last}` to the cluster",
            ),
        };
        Some(Finding::new(&exposed.path, message).hint(hint))
    };
    document.footprint.exposed.iter().filter_map(judge).collect()
}

/// Two Services can't have one address, unless both agree to share it.
pub(in super::super) fn addresses_are_exposed_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.each() {
        let mut seen: HashMap<IpAddr, (&RepoPath, Spot, &ExposedAddress)> = HashMap::new();
        for (file, document, footprint) in &cluster.documents {
            for exposed in &footprint.exposed {
                // What is no address is reported where it is written.
                let Some(address) = exposed.address() else { continue };
                let Some((first_file, first_document, first)) = seen.get(&address) else {
                    seen.insert(address, (file, *document, exposed));
                    continue;
                };
                let is_same =
                    (first_file, *first_document, &first.service) == (file, *document, &exposed.service);
                let is_shared = exposed.sharing.is_some() && exposed.sharing == first.sharing;
                if is_same || is_shared || is_given_twice(cluster.cluster, address) {
                    continue;
                }
                let message = format!("address `{address}` is exposed twice on `{}`", cluster.cluster.name);
                let hint = format!("`{first_file}` asks for it, too; give each Service its own address");
                let finding = Finding::new(&exposed.path, message).hint(hint);
                findings.push(cluster.finding(file, *document, finding));
            }
        }
    }
    findings
}

/// An address under two names is told where it is given.
fn is_given_twice(cluster: &Cluster, address: IpAddr) -> bool {
    cluster.facts.addresses.values().filter(|given| given.ip() == address).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::key;

    #[test]
    fn a_field_and_an_annotation_of_one_service_are_told_from_those_of_another() {
        let path = |keys: &[&str]| keys.iter().map(|name| key(name)).collect::<Vec<_>>();
        for (at, holder) in [
            (&["a", "service", "loadBalancerIP"][..], &["a", "service"][..]),
            (&["a", "service", "annotations", "metallb.io/loadBalancerIPs"], &["a", "service"]),
            (&["metadata", "annotations", "metallb.io/loadBalancerIPs"], &[]),
            (&["spec", "loadBalancerIP"], &[]),
        ] {
            assert_eq!(service(&path(at)), path(holder));
        }
    }
}
