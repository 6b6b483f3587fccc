//! An address that a Service asks for lies in the cluster's pool.

use crate::checks::{Document, ExposedAddress, Finding};
use crate::inventory::Cluster;
use crate::network;

pub(in super::super) fn addresses_are_in_the_pool(document: &Document<'_>) -> Vec<Finding> {
    document.exposed.iter().filter_map(|exposed| pool_fault(document.cluster, exposed)).collect()
}

/// Judges an address that is asked for: nothing if the cluster has it.
fn pool_fault(cluster: &Cluster, exposed: &ExposedAddress) -> Option<Finding> {
    let pool = cluster.facts.load_balancer.as_ref().map(|load_balancer| &load_balancer.pool);
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
}
