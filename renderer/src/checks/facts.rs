//! Checks of the facts: what each cluster says of itself must fit what the others say.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::inventory::{Cluster, Inventory, LoadBalancer, Networks, key};
use crate::network::Span;
use crate::path::RepoPath;
use crate::problem::{Place, Problem};
use crate::snapshot::ENVIRONMENTS;

pub(super) fn fleet_is_not_empty(inventory: &Inventory) -> Vec<Problem> {
    if !inventory.clusters.is_empty() || !inventory.broken.is_empty() {
        return Vec::new();
    }
    let folder = RepoPath::parse(ENVIRONMENTS).expect("a constant path");
    let hint = "describe one in `environments/<cluster>.yaml`, starting with `role: control`";
    vec![Problem::in_whole_file(&folder, "no cluster is described").hint(hint)]
}

pub(super) fn addresses_fit_their_pools(inventory: &Inventory) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: HashMap<IpAddr, (&Cluster, &str)> = HashMap::new();
    for cluster in inventory.clusters.values() {
        for (name, address) in &cluster.facts.addresses {
            if let Some(problem) = pool_problem(inventory, cluster, name, *address) {
                problems.push(problem);
            } else if let Some((other, first)) = seen.get(address) {
                let message = format!("address `{address}` is given twice");
                let problem = Problem::at(address_place(cluster, name), message);
                problems.push(problem.hint(format!("it is also given at {}", address_place(other, first))));
            } else {
                seen.insert(*address, (cluster, name));
            }
        }
    }
    problems
}

fn address_place(cluster: &Cluster, name: &str) -> Place {
    cluster.origin.place(&[key("addresses"), key(name)])
}

fn pool_problem(inventory: &Inventory, cluster: &Cluster, name: &str, address: IpAddr) -> Option<Problem> {
    let place = || address_place(cluster, name);
    let Some(load_balancer) = &cluster.facts.load_balancer else {
        let message = format!("address `{name}` is given, but `{}` has no pool", cluster.name);
        return Some(Problem::at(place(), message).hint("add `loadBalancer: {pool: first-last}`"));
    };
    if load_balancer.pool.contains(address) {
        return None;
    }
    let message =
        format!("address `{address}` is outside the pool `{}` of `{}`", load_balancer.pool, cluster.name);
    let hint = match pool_owner(inventory, address) {
        Some(owner) => {
            format!("it lies in the pool of `{}`; choose an address of this cluster's pool", owner.name)
        }
        None => "choose an address of the pool, or widen `loadBalancer.pool`".to_owned(),
    };
    Some(Problem::at(place(), message).hint(hint))
}

fn pool_owner(inventory: &Inventory, address: IpAddr) -> Option<&Cluster> {
    let has_it = |cluster: &&Arc<Cluster>| {
        cluster.facts.load_balancer.as_ref().is_some_and(|load_balancer| load_balancer.pool.contains(address))
    };
    inventory.clusters.values().find(has_it).map(Arc::as_ref)
}

/// A stretch of addresses that some fact claims.
struct Claim<'a> {
    span: Span,
    what: &'static str,
    network: &'a dyn fmt::Display,
    cluster: &'a Cluster,
    path: [&'static str; 2],
}

impl Claim<'_> {
    fn place(&self) -> Place {
        self.cluster.origin.place(&self.path.map(key))
    }
}

/// Pod networks, service networks and pools must be disjoint over the fleet: clusters of one mesh route to each other.
pub(super) fn networks_are_disjoint(inventory: &Inventory) -> Vec<Problem> {
    let mut claims: Vec<Claim<'_>> =
        inventory.clusters.values().flat_map(|cluster| claims(cluster)).collect();
    claims.sort_by_key(|claim| (claim.span, &*claim.cluster.file, claim.what));
    let mut problems = BTreeMap::new();
    // Sorted by first address, a claim overlaps an earlier one exactly if it starts before the furthest end so far.
    let mut furthest: Option<&Claim<'_>> = None;
    for claim in &claims {
        if let Some(earlier) = furthest.filter(|earlier| earlier.span.overlaps(&claim.span)) {
            let (places, problem) = overlap(earlier, claim);
            // A fact that many clusters share overlaps once.
            problems.entry(places).or_insert(problem);
        }
        let reaches_as_far = |earlier: &Claim<'_>| {
            earlier.span.first().is_ipv4() == claim.span.first().is_ipv4()
                && earlier.span.last() >= claim.span.last()
        };
        if !furthest.is_some_and(reaches_as_far) {
            furthest = Some(claim);
        }
    }
    problems.into_values().collect()
}

fn overlap(first: &Claim<'_>, second: &Claim<'_>) -> ([Place; 2], Problem) {
    // Of the two, the one written later in path order is the one to change.
    let (kept, changed) = if first.place() <= second.place() { (first, second) } else { (second, first) };
    let places = [kept.place(), changed.place()];
    let message = format!(
        "{} `{}` of `{}` overlaps {} `{}` of `{}`",
        changed.what, changed.network, changed.cluster.name, kept.what, kept.network, kept.cluster.name
    );
    let hint = if places[0] == places[1] {
        "both take it from here; give each cluster its own, in its own file".to_owned()
    } else {
        format!("the other one is at {}; make them disjoint", places[0])
    };
    let problem = Problem::at(places[1].clone(), message).hint(hint);
    (places, problem)
}

fn claims(cluster: &Cluster) -> impl Iterator<Item = Claim<'_>> {
    let Networks { pods, services } = &cluster.facts.networks;
    let pods =
        Claim { span: pods.span(), what: "pod network", network: pods, cluster, path: ["networks", "pods"] };
    let services = Claim {
        span: services.span(),
        what: "service network",
        network: services,
        cluster,
        path: ["networks", "services"],
    };
    let pool = cluster.facts.load_balancer.as_ref().map(|LoadBalancer { pool }| Claim {
        span: pool.span(),
        what: "address pool",
        network: pool,
        cluster,
        path: ["loadBalancer", "pool"],
    });
    [pods, services].into_iter().chain(pool)
}

pub(super) fn machines_stand_apart(inventory: &Inventory) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (name, machine) in &inventory.fleet.facts.machines {
        let address = machine.address;
        let place = inventory.fleet.origin.place(&[key("machines"), key(name), key("address")]);
        if let Some(claim) = claim_on(inventory, address) {
            let message = format!(
                "machine `{name}` has address `{address}`, which lies in the {} `{}` of `{}`",
                claim.what, claim.network, claim.cluster.name
            );
            let hint = "give it an address outside every pool and every cluster's networks";
            problems.push(Problem::at(place.clone(), message).hint(hint));
        }
        if let Some(other) = seen.insert(address, name) {
            let message = format!("machines `{other}` and `{name}` have the same address `{address}`");
            problems.push(Problem::at(place, message).hint("give each machine its own address"));
        }
    }
    problems
}

fn claim_on(inventory: &Inventory, address: IpAddr) -> Option<Claim<'_>> {
    let mut claims = inventory.clusters.values().flat_map(|cluster| claims(cluster));
    claims.find(|claim| claim.span.contains(address))
}
