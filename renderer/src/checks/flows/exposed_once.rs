//! No two Services of a cluster may ask for one address.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::checks::{ExposedAddress, Finding, FlowFinding, Flows, Spot};
use crate::inventory::Cluster;
use crate::path::RepoPath;

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

/// An address under two names is reported where it is given.
fn is_given_twice(cluster: &Cluster, address: IpAddr) -> bool {
    cluster.facts.addresses.values().filter(|given| given.ip() == address).count() > 1
}
