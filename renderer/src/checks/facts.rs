//! Checks of the facts: what each cluster says of itself must fit what the others say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::catalog::Catalog;
use crate::inventory::{Cluster, Inventory, key};
use crate::key_path::Step;
use crate::network::Span;
use crate::path::RepoPath;
use crate::problem::{Place, Problem, did_you_mean};
use crate::snapshot::ENVIRONMENTS;

pub(super) fn fleet_is_not_empty(inventory: &Inventory, _: &Catalog) -> Vec<Problem> {
    if !inventory.clusters.is_empty() {
        return Vec::new();
    }
    let folder = RepoPath::parse(ENVIRONMENTS).expect("a constant path");
    let hint = "describe one in `environments/<cluster>.yaml`, starting with `role: control`";
    vec![Problem::in_whole_file(&folder, "no cluster is described").hint(hint)]
}

pub(super) fn chosen_addons_exist(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    for cluster in inventory.clusters.values() {
        for name in cluster.facts.addons.keys().filter(|name| !catalog.addons.contains_key(name.as_str())) {
            let place = cluster.origin.key_place(&[key("addons"), key(name)]);
            let problem = Problem::at(place, format!("unknown add-on `{name}`"));
            let known = catalog.addons.keys().map(crate::path::AddonName::as_str);
            problems.push(match did_you_mean(name, known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("create `templates/addons/{name}/addon.yaml`")),
            });
        }
    }
    problems
}

pub(super) fn addresses_fit_their_pools(inventory: &Inventory, _: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<IpAddr, (&Cluster, Vec<Step>)> = BTreeMap::new();
    for cluster in inventory.clusters.values() {
        for (name, address) in &cluster.facts.addresses {
            let path = vec![key("addresses"), key(name)];
            let place = cluster.origin.place(&path);
            match &cluster.facts.load_balancer {
                None => problems.push(
                    Problem::at(place, format!("`{name}` has an address, but the cluster has no pool"))
                        .hint("add `loadBalancer: {pool: first-last}`"),
                ),
                Some(load_balancer) if !load_balancer.pool.contains(*address) => {
                    let message =
                        format!("address `{address}` is outside the cluster's pool `{}`", load_balancer.pool);
                    problems.push(Problem::at(place, message).hint(pool_owner(inventory, *address)));
                }
                Some(_) => {}
            }
            if let Some((other, at)) = seen.insert(*address, (cluster, path.clone())) {
                let message = format!("address `{address}` is given twice");
                let first = other.origin.place(&at);
                problems.push(
                    Problem::at(cluster.origin.place(&path), message)
                        .hint(format!("it is also given at {first}")),
                );
            }
        }
    }
    problems
}

fn pool_owner(inventory: &Inventory, address: IpAddr) -> String {
    let owner = inventory.clusters.values().find(|cluster| {
        cluster.facts.load_balancer.as_ref().is_some_and(|load_balancer| load_balancer.pool.contains(address))
    });
    match owner {
        Some(owner) => {
            format!("it lies in the pool of `{}`; choose an address of this cluster's pool", owner.name)
        }
        None => "choose an address of the pool, or widen `loadBalancer.pool`".to_owned(),
    }
}

/// A stretch of addresses that some fact claims.
struct Claim<'a> {
    span: Span,
    what: &'static str,
    text: String,
    cluster: &'a Cluster,
    path: Vec<Step>,
}

impl Claim<'_> {
    fn place(&self) -> Place {
        self.cluster.origin.place(&self.path)
    }
}

/// Pod networks, service networks and pools must be disjoint over the fleet: clusters of one mesh route to each other.
pub(super) fn networks_are_disjoint(inventory: &Inventory, _: &Catalog) -> Vec<Problem> {
    let mut claims: Vec<Claim<'_>> =
        inventory.clusters.values().flat_map(|cluster| claims(cluster)).collect();
    claims.sort_by_key(|claim| (claim.span, claim.place()));
    let mut problems = Vec::new();
    // Sorted by first address, a claim overlaps an earlier one exactly if it starts before the furthest end so far.
    let mut furthest: Option<&Claim<'_>> = None;
    for claim in &claims {
        if let Some(earlier) = furthest.filter(|earlier| earlier.span.overlaps(&claim.span)) {
            problems.push(overlap(earlier, claim));
        }
        let same_family = |other: &Claim<'_>| other.span.first().is_ipv4() == claim.span.first().is_ipv4();
        if !furthest.is_some_and(|earlier| same_family(earlier) && earlier.span.last() >= claim.span.last()) {
            furthest = Some(claim);
        }
    }
    problems
}

fn overlap(first: &Claim<'_>, second: &Claim<'_>) -> Problem {
    // Of the two, the one written later in path order is the one to change.
    let (kept, changed) = if first.place() <= second.place() { (first, second) } else { (second, first) };
    let message = format!(
        "{} `{}` of `{}` overlaps {} `{}` of `{}`",
        changed.what, changed.text, changed.cluster.name, kept.what, kept.text, kept.cluster.name
    );
    Problem::at(changed.place(), message)
        .hint(format!("the other one is at {}; make them disjoint", kept.place()))
}

fn claims(cluster: &Cluster) -> Vec<Claim<'_>> {
    let networks = &cluster.facts.networks;
    let claim = |span, what, text: String, path: [&str; 2]| Claim {
        span,
        what,
        text,
        cluster,
        path: path.into_iter().map(key).collect(),
    };
    let mut claims = vec![
        claim(networks.pods.span(), "pod network", networks.pods.to_string(), ["networks", "pods"]),
        claim(
            networks.services.span(),
            "service network",
            networks.services.to_string(),
            ["networks", "services"],
        ),
    ];
    if let Some(load_balancer) = &cluster.facts.load_balancer {
        let pool = load_balancer.pool;
        claims.push(claim(pool.span(), "address pool", pool.to_string(), ["loadBalancer", "pool"]));
    }
    claims
}

pub(super) fn machines_stand_outside_pools(inventory: &Inventory, _: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (name, machine) in &inventory.fleet.facts.machines {
        let address = machine.address;
        let place = inventory.fleet.origin.place(&[key("machines"), key(name), key("address")]);
        let owner = inventory.clusters.values().find(|cluster| {
            cluster
                .facts
                .load_balancer
                .as_ref()
                .is_some_and(|load_balancer| load_balancer.pool.contains(address))
        });
        if let Some(owner) = owner {
            let message =
                format!("machine `{name}` has address `{address}` out of the pool of `{}`", owner.name);
            problems.push(Problem::at(place.clone(), message).hint("give it an address outside every pool"));
        }
        if let Some(other) = seen.insert(address, name) {
            let message = format!("machines `{other}` and `{name}` have the same address `{address}`");
            problems.push(Problem::at(place, message).hint("give each machine its own address"));
        }
    }
    problems
}

/// A named fact that no template mentions is a setting that does nothing.
pub(super) fn facts_are_read(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let read = catalog.templates.names_read();
    let unread = |name: &str| !read.contains(name);
    let problem = |place: Place, what: &str, name: &str| {
        let problem = Problem::at(place, format!("no template reads {what} `{name}`"));
        match did_you_mean(name, read.iter().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`? otherwise remove it")),
            None => problem.hint("remove it, or use it in a template"),
        }
    };
    let mut problems = Vec::new();
    for cluster in inventory.clusters.values() {
        for name in cluster.facts.addresses.keys().filter(|name| unread(name)) {
            problems.push(problem(cluster.origin.key_place(&[key("addresses"), key(name)]), "address", name));
        }
    }
    for name in inventory.fleet.facts.ports.keys().filter(|name| unread(name)) {
        problems.push(problem(inventory.fleet.origin.key_place(&[key("ports"), key(name)]), "port", name));
    }
    for addon in catalog.addons.values() {
        for name in addon.facts.settings.keys().filter(|name| unread(name)) {
            problems.push(problem(addon.origin.key_place(&[key("settings"), key(name)]), "setting", name));
        }
    }
    problems
}
