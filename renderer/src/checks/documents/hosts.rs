//! Hosts: an IPv6 address in a URL or before a port stands in brackets.
//!
//! What a template inserts is written so already. What is left is what people write out, and what a function
//! puts together.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use crate::checks::{Document, Finding, Part};
use crate::inventory::{Cluster, Fleet};
use crate::key_path::Step;
use crate::network::{Address, Bare, bare_addresses};
use crate::tree::{Below, walk};

/// How many findings of one document are kept.
const MAX_FINDINGS: usize = 100;

/// Returns the IPv6 addresses that clusters and machines have: before the last colon of a text, one of them
/// is a host with a port.
pub fn known_hosts<'a>(clusters: impl Iterator<Item = &'a Cluster>, fleet: &Fleet) -> BTreeSet<Ipv6Addr> {
    let of_clusters = clusters.flat_map(|cluster| {
        let api_server = cluster.facts.api_server.as_ref().map(|api_server| api_server.address);
        let nodes = cluster.nodes.iter().map(|node| node.address);
        cluster.facts.addresses.values().copied().chain(api_server).chain(nodes)
    });
    let machines = fleet.facts.machines.values().map(|machine| machine.address);
    let only_v6 = |address: Address| match address.ip() {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    };
    of_clusters.chain(machines).filter_map(only_v6).collect()
}

pub(in super::super) fn ipv6_hosts_have_brackets(document: &Document<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(document.value, &mut |visit| {
        let text = visit.value.as_str().unwrap_or_default();
        let left = MAX_FINDINGS.saturating_sub(findings.len());
        for bare in bare_addresses(text, |address| document.known_hosts.contains(address)).take(left) {
            let finding = finding(&visit.owned_path(), &bare);
            let line = text[..bare.at].matches('\n').count();
            let is_in_lines = text.trim_end().contains('\n');
            findings.push(if is_in_lines { finding.on(Part::Line(line)) } else { finding });
        }
        Below::Enter
    });
    findings
}

fn finding(path: &[Step], bare: &Bare<'_>) -> Finding {
    let message = format!("`{}` is an IPv6 address without brackets where a host stands", bare.written);
    let hint = match &bare.meant {
        Some(meant) => format!("write `{meant}`; what a template inserts gets them by itself"),
        None => "write `[address]:port`; what a template inserts gets the brackets by itself".to_owned(),
    };
    Finding::new(path, message).hint(hint)
}
