//! The platform's own checks: nodes, and addresses of Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use renderer::plural::{counted, listed};
use renderer::verify::ADDRESS_ANNOTATIONS;
use renderer::visible::shortened;
use serde_json::Value;

use super::finding::{Found, MAX_NAMED, Verdict};
use super::objects::Object;

/// How much of the name of a load balancer is shown, in characters.
const MAX_HOST: usize = 120;

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

/// A Service of the type `LoadBalancer`.
struct Exposed {
    name: String,
    /// The addresses that it asks for; without one, any will do.
    asked: BTreeSet<IpAddr>,
    given: BTreeSet<IpAddr>,
    /// The names that it has in the place of addresses, as some clouds give them.
    hosts: Vec<String>,
}

/// Decides whether each address that is described is that of a Service, and each Service that asks for one has it.
#[must_use]
pub fn addresses(described: &BTreeSet<IpAddr>, services: &[Value]) -> Found {
    let services = services.iter().filter(|it| it["spec"]["type"] == "LoadBalancer");
    let services: Vec<_> = services.map(Object).map(|service| Exposed::of(&service)).collect();
    let assigned: BTreeSet<_> = services.iter().flat_map(|it| &it.given).collect();
    let asked_for: BTreeSet<_> = services.iter().flat_map(|it| &it.asked).collect();
    let nowhere = described.iter().filter(|it| !assigned.contains(it) && !asked_for.contains(it));
    let nowhere = nowhere.map(|address| format!("no Service asks for {address}"));
    let wrong: Vec<_> = services.iter().flat_map(Exposed::lacks).chain(nowhere).collect();
    let there = described.iter().filter(|it| assigned.contains(it)).count();
    let found = if described.is_empty() {
        let with = services.iter().filter(|it| it.has_any()).count();
        format!("{with} of {} with an address", counted(services.len(), "Service"))
    } else {
        format!("{there} of {} assigned", counted(described.len(), "address"))
    };
    if wrong.is_empty() {
        return (Verdict::Passed, found);
    }
    (Verdict::Failed, format!("{found}, {}", listed(&wrong, MAX_NAMED)))
}

impl Exposed {
    fn of(service: &Object<'_>) -> Self {
        let annotations = service.0.pointer("/metadata/annotations");
        let annotation = |name: &&str| annotations?.get(*name)?.as_str();
        let texts =
            ADDRESS_ANNOTATIONS.iter().filter_map(annotation).chain([service.text("/spec/loadBalancerIP")]);
        let asked = texts.flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok());
        let ingress = service.0.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
        let given = |key: &'static str| ingress.into_iter().flatten().filter_map(move |it| it[key].as_str());
        Self {
            name: service.name(),
            // kube-vip is asked for any address by 0.0.0.0.
            asked: asked.filter(|address: &IpAddr| !address.is_unspecified()).collect(),
            given: given("ip").filter_map(|text| text.parse().ok()).collect(),
            hosts: given("hostname").map(|text| shortened(text, MAX_HOST).into_owned()).collect(),
        }
    }

    fn has_any(&self) -> bool {
        !self.given.is_empty() || !self.hosts.is_empty()
    }

    /// Returns what it asks for and does not have.
    fn lacks(&self) -> Vec<String> {
        if self.asked.is_empty() && !self.has_any() {
            return vec![format!("{} has no address", self.name)];
        }
        let has = self.given.iter().map(ToString::to_string).chain(self.hosts.iter().cloned());
        let has: Vec<_> = has.collect();
        let has = if has.is_empty() { "none".to_owned() } else { listed(&has, MAX_NAMED) };
        let missing = self.asked.difference(&self.given);
        missing.map(|address| format!("{} asks for {address} and has {has}", self.name)).collect()
    }
}
