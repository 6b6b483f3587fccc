//! What only follows from another problem is left out: one mistake is one problem.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Unread;
use crate::inventory::Inventory;
use crate::path::ClusterName;
use crate::problem::{Place, Problem};
use crate::templates::missing_name;

use super::once::ClusterProblem;

/// A name that is misspelt is missed in two places: no template reads the one, and templates look for the
/// other. Where it is misspelt is reported, as far as that can be known: several templates that agree, or
/// another cluster that has the name, are right.
pub(super) fn one_end_of_each_slip(
    found: &mut Vec<ClusterProblem>,
    problems: &mut Vec<Problem>,
    unread: &[Unread],
) {
    for Unread { problem, meant, is_known_elsewhere } in unread {
        let Some(meant) = meant else { continue };
        let is_other_end = |(_, other): &ClusterProblem| missing_name(&other.message) == Some(meant);
        let places: BTreeSet<Place> =
            found.iter().filter(|other| is_other_end(other)).map(|(_, other)| other.place.clone()).collect();
        match places.len() {
            0 => {}
            1 if !is_known_elsewhere => {
                problems.retain(|other| (&other.place, &other.message) != (&problem.place, &problem.message));
            }
            _ => found.retain(|other| !is_other_end(other)),
        }
    }
}

/// A fact that is missing is missed by every template that reads it: reported at the first place, with the
/// number of the others. Where another name is near, each place has its own slip.
pub(super) fn missed_once(found: &mut Vec<ClusterProblem>) {
    let missed = |problem: &Problem| {
        let is_slip = problem.hint.as_ref().is_some_and(|hint| hint.starts_with("did you mean"));
        missing_name(&problem.message).filter(|_| !is_slip).map(str::to_owned)
    };
    let mut places: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    for (_, problem) in &*found {
        if let Some(name) = missed(problem) {
            places.entry(name).or_default().insert(problem.place.clone());
        }
    }
    found.retain_mut(|(_, problem)| {
        let Some(places) = missed(problem).and_then(|name| places.get(&name)) else { return true };
        *problem = problem.clone().and_in_more_places(places.len() - 1);
        places.first() == Some(&problem.place)
    });
}

/// What Services ask for is not known while something else is wrong.
pub(super) fn unasked_by_itself(found: &mut Vec<ClusterProblem>) {
    let is_unasked =
        |problem: &Problem| problem.check == "exposure" && problem.message.starts_with("no Service on ");
    if !found.iter().all(|(_, problem)| is_unasked(problem)) {
        found.retain(|(_, problem)| !is_unasked(problem));
    }
}

/// That a cluster has addresses and no pool is reported where they are given, and not by each template that
/// reads the pool.
pub(super) fn pool_is_missed_once(found: &mut Vec<ClusterProblem>, inventory: &Inventory) {
    let lacks_pool = |name: &ClusterName| {
        let facts = inventory.clusters.get(name).map(|cluster| &cluster.facts);
        facts.is_some_and(|facts| facts.load_balancer.is_none() && !facts.addresses.is_empty())
    };
    found.retain(|(cluster, problem)| {
        !(problem.message.ends_with(": `cluster.loadBalancer` is null") && lacks_pool(cluster))
    });
}
