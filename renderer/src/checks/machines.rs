//! Checks of machines: each stands apart from all else that has an address, and there is somewhere to run what is placed.

use std::collections::{BTreeMap, HashMap};

use super::facts::{Claim, all_claims};
use crate::catalog::Catalog;
use crate::inventory::{Cluster, Inventory, MachineGroup, NodeRole, key};
use crate::network::{Address, Network};
use crate::plural::counted;
use crate::problem::{Place, Problem};

/// The longest name of a machine: it is the name of a host.
const MAX_NAME: usize = 63;

/// Something with an address of its own.
struct Holder {
    what: String,
    address: Address,
    place: Place,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    ApiServer,
    Machine,
    Node,
}

pub(super) fn machines_stand_apart(inventory: &Inventory) -> Vec<Problem> {
    let claims = all_claims(inventory);
    let networks = &inventory.fleet.facts.node_networks;
    let mut seen: HashMap<Address, Holder> = HashMap::new();
    // The machines of a group have one place: of equal mistakes there, the first is shown.
    let mut problems: BTreeMap<(Place, bool), Problem> = BTreeMap::new();
    let mut found = |problem: Problem, is_shared: bool| {
        problems.entry((problem.place.clone(), is_shared)).or_insert(problem);
    };
    for holder in holders(inventory) {
        if let Some(problem) = holder.claimed(&claims).or_else(|| holder.outside(networks)) {
            found(problem, false);
        }
        match seen.get(&holder.address) {
            // Two of them may stand behind one address, at ports of their own.
            Some(other) if [&holder, other].iter().all(|it| it.kind == Kind::ApiServer) => {}
            Some(other) => found(holder.same_as(other), true),
            None => drop(seen.insert(holder.address, holder)),
        }
    }
    for cluster in inventory.clusters.values() {
        for (role, group) in cluster.facts.machines.groups() {
            if let Some(problem) = group_problem(cluster, role, group) {
                found(problem, false);
            }
        }
    }
    problems.into_values().collect()
}

/// Returns all that has an address of its own: first what is written down one by one.
fn holders(inventory: &Inventory) -> impl Iterator<Item = Holder> {
    let api_servers = inventory.clusters.values().filter_map(|cluster| {
        Some(Holder {
            what: format!("the API server of `{}`", cluster.name),
            address: cluster.facts.api_server.as_ref()?.address,
            place: cluster.origin.place(&[key("apiServer"), key("address")]),
            kind: Kind::ApiServer,
        })
    });
    let fleet = &inventory.fleet;
    let machines = fleet.facts.machines.iter().map(|(name, machine)| Holder {
        what: format!("machine `{name}`"),
        address: machine.address,
        place: fleet.origin.place(&[key("machines"), key(name), key("address")]),
        kind: Kind::Machine,
    });
    let nodes = inventory.clusters.values().flat_map(|cluster| {
        cluster.nodes.iter().map(|node| Holder {
            what: format!("machine `{}`", node.name),
            address: node.address,
            place: fact_place(cluster, node.role, "addresses"),
            kind: Kind::Node,
        })
    });
    api_servers.chain(machines).chain(nodes)
}

impl Holder {
    /// Returns the problem that the address is one of those that a cluster gives out itself.
    fn claimed(&self, claims: &[Claim<'_>]) -> Option<Problem> {
        if self.kind == Kind::ApiServer {
            return None;
        }
        let ip = self.address.ip();
        // Where claims overlap, that is a problem of its own.
        let before = claims.partition_point(|claim| claim.span.first <= ip);
        let claim = claims[..before].last().filter(|claim| claim.span.contains(ip))?;
        let message = format!(
            "{} has address `{}`, which lies in the {} `{}` of `{}`",
            self.what, self.address, claim.what, claim.network, claim.cluster.name
        );
        let hint = "give it an address outside every pool and every cluster's networks";
        Some(Problem::at(self.place.clone(), message).hint(hint))
    }

    /// Returns the problem that a node stands in none of the networks of nodes, if they are given.
    fn outside(&self, networks: &[Network]) -> Option<Problem> {
        let is_in = |network: &Network| network.span().contains(self.address.ip());
        if self.kind != Kind::Node || networks.is_empty() || networks.iter().any(is_in) {
            return None;
        }
        let message =
            format!("{} has address `{}`, which lies in none of `nodeNetworks`", self.what, self.address);
        Some(
            Problem::at(self.place.clone(), message)
                .hint("give it an address of one, or add its network to `environments/_fleet.yaml`"),
        )
    }

    fn same_as(&self, other: &Self) -> Problem {
        let message = format!("{} has the same address as {}, `{}`", self.what, other.what, self.address);
        let hint = match other.kind {
            _ if other.place == self.place => "give each machine its own address".to_owned(),
            Kind::ApiServer if self.kind == Kind::Node => {
                format!(
                    "that of the API server, at {}, moves from node to node; give it another one",
                    other.place
                )
            }
            _ => format!("the other one is at {}; give each its own address", other.place),
        };
        Problem::at(self.place.clone(), message).hint(hint)
    }
}

/// Returns what is wrong with a group of machines as a whole.
fn group_problem(cluster: &Cluster, role: NodeRole, group: &MachineGroup) -> Option<Problem> {
    group.addresses.as_ref()?;
    let nodes: Vec<_> = cluster.nodes.iter().filter(|node| node.role == role).collect();
    if nodes.len() < group.count as usize {
        let message = format!(
            "there are {} for {}",
            counted(nodes.len(), "address"),
            counted(group.count as usize, "machine")
        );
        let problem = Problem::at(fact_place(cluster, role, "addresses"), message);
        return Some(problem.hint("give more addresses, or a smaller `count`"));
    }
    let longest = nodes.last().filter(|node| node.name.len() > MAX_NAME)?;
    let message =
        format!("the name of a machine has at most {MAX_NAME} characters, and `{}` has more", longest.name);
    Some(Problem::at(fact_place(cluster, role, "count"), message).hint("give the cluster a shorter name"))
}

fn fact_place(cluster: &Cluster, role: NodeRole, fact: &str) -> Place {
    cluster.origin.place(&[key("machines"), key(role.fact()), key(fact)])
}

/// What is placed on a cluster needs a machine that takes it. Of machines without addresses nothing is known.
pub(super) fn workloads_have_machines(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let clusters = inventory.clusters.values().filter(|cluster| !cluster.nodes.is_empty());
    let idle = clusters.filter(|cluster| cluster.nodes.iter().all(|node| !node.workloads));
    let problems = idle.filter_map(|cluster| {
        let mut placed =
            catalog.addons.values().filter(|addon| addon.is_on(cluster)).map(|addon| &addon.name);
        let first = placed.next()?;
        let more = match placed.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "no machine of `{}` takes workloads, but add-on `{first}`{more} runs there",
            cluster.name
        );
        let place = fact_place(cluster, NodeRole::ControlPlane, "workloads");
        Some(Problem::at(place, message).hint("write `workloads: true` there, or give the cluster workers"))
    });
    problems.collect()
}
