//! Checks of the facts: what each cluster says of itself must fit what the others say.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::argo::IN_CLUSTER;
use crate::inventory::{Cluster, Inventory, key};
use crate::key_path::Step;
use crate::network::{Address, AddressRange, Family, Network, OneOrMore, Span};
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
    let mut seen: HashMap<Address, (&Cluster, &str)> = HashMap::new();
    for cluster in inventory.clusters.values() {
        if let Some(problem) = pool_as_a_whole(cluster) {
            problems.push(problem);
            continue;
        }
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

fn pool_of(cluster: &Cluster) -> Option<&OneOrMore<AddressRange>> {
    Some(&cluster.facts.load_balancer.as_ref()?.pool)
}

fn address_place(cluster: &Cluster, name: &str) -> Place {
    cluster.origin.place(&[key("addresses"), key(name)])
}

/// A pool that is missing, or that holds none of several addresses, is one mistake and not one for each address.
fn pool_as_a_whole(cluster: &Cluster) -> Option<Problem> {
    let addresses = &cluster.facts.addresses;
    let first = addresses.keys().map(|name| (address_place(cluster, name), name)).min()?;
    let more = addresses.len() - 1;
    let Some(pool) = pool_of(cluster) else {
        let (place, name) = first;
        let given = match more {
            0 => format!("address `{name}` is given"),
            more => format!("address `{name}` and {more} more are given"),
        };
        let message = format!("{given}, but `{}` has no pool", cluster.name);
        return Some(Problem::at(place, message).hint("add `loadBalancer: {pool: first-last}`"));
    };
    if more == 0 || addresses.values().any(|address| pool.contains(address.ip())) {
        return None;
    }
    let place = cluster.origin.place(&[key("loadBalancer"), key("pool")]);
    let message = format!("the pool `{pool}` holds none of the {} addresses of `{}`", more + 1, cluster.name);
    Some(Problem::at(place, message).hint("choose the pool that they lie in, or other addresses"))
}

fn pool_problem(inventory: &Inventory, cluster: &Cluster, name: &str, address: Address) -> Option<Problem> {
    let has_it = |cluster: &Cluster| pool_of(cluster).is_some_and(|pool| pool.contains(address.ip()));
    let pool = pool_of(cluster).filter(|_| !has_it(cluster))?;
    let message = format!("address `{address}` is outside the pool `{pool}` of `{}`", cluster.name);
    let hint = match inventory.clusters.values().find(|cluster| has_it(cluster)) {
        Some(owner) => {
            format!("it lies in the pool of `{}`; choose an address of this cluster's pool", owner.name)
        }
        None => "choose an address of the pool, or widen `loadBalancer.pool`".to_owned(),
    };
    Some(Problem::at(address_place(cluster, name), message).hint(hint))
}

/// A stretch of addresses that some fact claims.
pub(super) struct Claim<'a> {
    pub span: Span,
    pub what: &'static str,
    pub network: &'a dyn fmt::Display,
    pub cluster: &'a Cluster,
    /// The fact, and the place in its list if it is one.
    path: [Step; 3],
}

impl Claim<'_> {
    fn place(&self) -> Place {
        self.cluster.origin.place(&self.path)
    }
}

/// Returns what all clusters claim, in the order of the first addresses.
pub(super) fn all_claims(inventory: &Inventory) -> Vec<Claim<'_>> {
    let mut claims: Vec<_> = inventory.clusters.values().flat_map(|cluster| claims(cluster)).collect();
    claims.sort_by_key(|claim| (claim.span, &*claim.cluster.file, claim.what));
    claims
}

/// Pod networks, service networks and pools must be disjoint over the fleet: clusters of one mesh route to each other.
pub(super) fn networks_are_disjoint(inventory: &Inventory) -> Vec<Problem> {
    let claims = all_claims(inventory);
    let mut problems = BTreeMap::new();
    let families = inventory.clusters.values().flat_map(|cluster| one_network_each(cluster));
    problems.extend(families.map(|(place, problem)| ([place.clone(), place], problem)));
    // Sorted by first address, a claim overlaps an earlier one exactly if it starts before the furthest end so far.
    let mut furthest: Option<&Claim<'_>> = None;
    for claim in &claims {
        if let Some(earlier) = furthest.filter(|earlier| earlier.span.overlaps(&claim.span)) {
            let (places, problem) = overlap(earlier, claim);
            // A fact that many clusters share overlaps once.
            problems.entry(places).or_insert(problem);
        }
        let reaches_as_far = |earlier: &Claim<'_>| {
            earlier.span.first.is_ipv4() == claim.span.first.is_ipv4() && earlier.span.last >= claim.span.last
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
    let networks = networks(cluster).into_iter().flat_map(move |(what, name, networks)| {
        networks.iter().enumerate().map(move |(at, network)| Claim {
            span: network.span(),
            what,
            network,
            cluster,
            path: [key("networks"), key(name), Step::Index(at)],
        })
    });
    let pools = pool_of(cluster).into_iter().flat_map(OneOrMore::iter).enumerate();
    let pools = pools.map(move |(at, pool)| Claim {
        span: pool.span(),
        what: "address pool",
        network: pool,
        cluster,
        path: [key("loadBalancer"), key("pool"), Step::Index(at)],
    });
    networks.chain(pools)
}

fn networks(cluster: &Cluster) -> [(&'static str, &'static str, &OneOrMore<Network>); 2] {
    let networks = &cluster.facts.networks;
    [("pod network", "pods", &networks.pods), ("service network", "services", &networks.services)]
}

/// A cluster with both families has one network of each: Kubernetes takes no more.
fn one_network_each(cluster: &Cluster) -> Vec<(Place, Problem)> {
    let mut problems = Vec::new();
    for (what, name, networks) in networks(cluster) {
        let mut families = networks.iter().map(|network| Family::of(network.span().first));
        let (Some(first), Some(second)) = (families.next(), families.next()) else { continue };
        if first == second {
            let place = cluster.origin.place(&[key("networks"), key(name), Step::Index(1)]);
            let message = format!("`{}` has two {what}s of {}", cluster.name, first.as_str());
            let hint = "a cluster has one network, or one of each family";
            problems.push((place.clone(), Problem::at(place, message).hint(hint)));
        }
    }
    problems
}

/// A spoke that is called as Argo CD calls its own cluster would be that: what is meant for it lands on the hub.
pub(super) fn names_are_not_reserved(inventory: &Inventory) -> Vec<Problem> {
    let spokes = inventory.clusters.values().filter(|cluster| !cluster.is_hub());
    let reserved = spokes.filter(|cluster| cluster.name.as_str() == IN_CLUSTER);
    let problems = reserved.map(|cluster| {
        let hub = &cluster.hub;
        let message =
            format!("a spoke cannot be called `{IN_CLUSTER}`: so Argo CD calls the hub, `{hub}` here");
        Problem::in_whole_file(&cluster.file, message).hint("rename the file")
    });
    problems.collect()
}
