//! Addresses that Services ask load balancers for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::key_path::Step;
use crate::network::Address;
use crate::tree::{Below, walk};
use crate::yaml::Value;

use super::readers::names::{ADDRESS_ANNOTATIONS, SHARING_ANNOTATIONS};

/// An address that a load balancer is asked to expose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposedAddress {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// The text that was written.
    pub text: String,
    /// Where in the document the Service is described that asks for it.
    pub(super) service: Vec<Step>,
    /// The key under which it may be shared with other Services.
    pub(super) sharing: Option<String>,
    /// The pods that it leads to, if that is known.
    pub(super) pods: Option<Pods>,
    /// What of the values lets whatever asks reach them, and how to undo it.
    pub(super) opened: Option<(Vec<Step>, String)>,
}

impl ExposedAddress {
    /// Returns the address, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.text.parse::<Address>().ok().map(Address::ip)
    }
}

/// Pods, as a policy chooses them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pods {
    /// Their namespace.
    pub(super) namespace: String,
    /// Labels that all of them have.
    pub(super) labels: BTreeMap<String, String>,
}

/// Returns whether a key of a Service or of its annotations asks a load balancer for an address.
fn asks_for_address(key: &str) -> bool {
    key == ADDRESS_KEY || ADDRESS_ANNOTATIONS.contains(&key)
}

/// The key of a Service by which a load balancer is asked for an address.
pub(super) const ADDRESS_KEY: &str = "loadBalancerIP";

/// Returns the addresses that a document asks load balancers for, of each text with commas several.
pub(crate) fn exposed_by(document: &Value) -> Vec<ExposedAddress> {
    let mut found = Vec::new();
    walk(document, &mut |visit| {
        if let (Some(text), Some(map)) = (visit.value.as_str(), visit.parent().and_then(Value::as_map))
            && visit.key().is_some_and(asks_for_address)
        {
            let path = visit.owned_path();
            let annotations = map.get("annotations").and_then(Value::as_map).unwrap_or(map);
            let sharing = SHARING_ANNOTATIONS.iter().find_map(|name| annotations.get(name)?.as_str());
            let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
            found.extend(addresses.map(|address| ExposedAddress {
                path: path.clone(),
                text: address.to_owned(),
                service: service(&path).to_vec(),
                sharing: sharing.map(str::to_owned),
                pods: None,
                opened: None,
            }));
        }
        Below::Enter
    });
    found
}

/// Returns the addresses that the Service described at a path asks for.
pub(super) fn addresses_of<'e>(
    exposed: &'e [ExposedAddress],
    service: &[Step],
) -> impl Iterator<Item = IpAddr> + use<'e> {
    let service = service.to_vec();
    exposed.iter().filter(move |exposed| exposed.service == service).filter_map(ExposedAddress::address)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_path::key;

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
