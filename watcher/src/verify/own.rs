//! The platform's own checks: nodes, and addresses of Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use renderer::plural::{counted, listed};
use serde_json::Value;

use super::finding::{Found, MAX_NAMED, Verdict};
use super::objects::Object;

/// The annotations by which load balancers are asked for an address, beside the field.
const ASKED: [&str; 2] = ["/metadata/annotations/metallb.io~1loadBalancerIPs", "/spec/loadBalancerIP"];

/// Decides whether as many nodes as described are there, and all of them are ready.
#[must_use]
pub fn nodes(described: u32, nodes: &[Value]) -> Found {
    let unready = nodes
        .iter()
        .map(Object)
        .filter_map(|node| Some(format!("{}: {}", node.name(), node.lacks("Ready")?)));
    let unready: Vec<_> = unready.collect();
    let ready = nodes.len() - unready.len();
    let of = if described == 0 { nodes.len() } else { described as usize };
    let found = format!("{ready} of {} ready", counted(of, "node"));
    if !unready.is_empty() {
        return (Verdict::Failed, format!("{found}, {}", listed(&unready, MAX_NAMED)));
    }
    let is_well = ready > 0 && (described == 0 || ready == of);
    (if is_well { Verdict::Passed } else { Verdict::Failed }, found)
}

/// Decides whether each address that is described is that of a Service, and each Service has the one that it asks for.
#[must_use]
pub fn addresses(described: &BTreeSet<IpAddr>, services: &[Value]) -> Found {
    let services: Vec<_> =
        services.iter().map(Object).filter(|it| it.text("/spec/type") == "LoadBalancer").collect();
    let mut assigned: BTreeMap<IpAddr, String> = BTreeMap::new();
    for service in &services {
        assigned.extend(given(service).map(|address| (address, service.name())));
    }
    let mut wrong: Vec<String> = Vec::new();
    let mut asked_for = BTreeSet::new();
    for service in &services {
        let (wanted, given): (BTreeSet<_>, BTreeSet<_>) =
            (asked(service).collect(), given(service).collect());
        asked_for.extend(wanted.iter().copied());
        for address in wanted.difference(&given) {
            let has = if given.is_empty() { "none".to_owned() } else { listed(&given, MAX_NAMED) };
            wrong.push(format!("{} asks for {address} and has {has}", service.name()));
        }
    }
    let nowhere =
        described.iter().filter(|address| !assigned.contains_key(*address) && !asked_for.contains(*address));
    wrong.extend(nowhere.map(|address| format!("no Service asks for {address}")));
    let there = described.iter().filter(|address| assigned.contains_key(*address)).count();
    let found = format!("{there} of {} assigned", counted(described.len(), "address"));
    if wrong.is_empty() {
        return (Verdict::Passed, found);
    }
    (Verdict::Failed, format!("{found}, {}", listed(&wrong, MAX_NAMED)))
}

/// Returns the addresses that a Service asks for.
fn asked<'o>(service: &'o Object<'_>) -> impl Iterator<Item = IpAddr> + 'o {
    let texts = ASKED.iter().flat_map(|pointer| service.text(pointer).split(','));
    texts.filter_map(|text| text.trim().parse().ok())
}

/// Returns the addresses that a Service has.
fn given<'o>(service: &'o Object<'_>) -> impl Iterator<Item = IpAddr> + 'o {
    let ingress = service.0.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    ingress.into_iter().flatten().filter_map(|it| it["ip"].as_str()?.parse().ok())
}
