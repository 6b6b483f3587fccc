//! One mistake is told once: a line that many clusters are rendered from is one place to edit.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Unread;
use crate::inventory::Inventory;
use crate::path::ClusterName;
use crate::problem::{Place, Problem};
use crate::templates::missing_name;

/// A problem of one cluster's files.
pub(super) type ClusterProblem = (ClusterName, Problem);

/// The problems at one place, as the first cluster has them.
struct AtPlace {
    first: ClusterName,
    problems: Vec<Problem>,
    others: BTreeSet<ClusterName>,
}

/// Leaves out places where something is wrong already, and folds clusters that have problems at the same place.
pub(super) fn told_once(found: Vec<ClusterProblem>, told: &[Problem]) -> Vec<Problem> {
    let told: BTreeSet<&Place> = told.iter().map(|problem| &problem.place).collect();
    let mut places: BTreeMap<Place, AtPlace> = BTreeMap::new();
    for (cluster, problem) in found {
        if told.contains(&problem.place) {
            continue;
        }
        match places.get_mut(&problem.place) {
            None => {
                let (place, problems) = (problem.place.clone(), vec![problem]);
                places.insert(place, AtPlace { first: cluster, problems, others: BTreeSet::new() });
            }
            Some(known) if known.first == cluster => known.problems.push(problem),
            Some(known) => {
                known.others.insert(cluster);
            }
        }
    }
    places.into_values().flat_map(AtPlace::tell).collect()
}

/// A name that is misspelt is missed in two places: no template reads the one, and templates look for the other. Where it is
/// misspelt is told, as far as that can be known: several templates that agree, or another cluster that has the name, are right.
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

/// A fact that is missing is missed by every template that reads it: told at the first place, with the number of the others.
/// Where another name is near, each place has its own slip.
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
        match places.len() - 1 {
            0 => {}
            1 => problem.message.push_str(" (and in 1 more place)"),
            more => problem.message = format!("{} (and in {more} more places)", problem.message),
        }
        places.first() == Some(&problem.place)
    });
}

/// That a cluster has addresses and no pool is reported where they are given, and not by each template that reads the pool.
pub(super) fn pool_is_missed_once(found: &mut Vec<ClusterProblem>, inventory: &Inventory) {
    let lacks_pool = |name: &ClusterName| {
        let facts = inventory.clusters.get(name).map(|cluster| &cluster.facts);
        facts.is_some_and(|facts| facts.load_balancer.is_none() && !facts.addresses.is_empty())
    };
    found.retain(|(cluster, problem)| {
        !(problem.message.ends_with(": `cluster.loadBalancer` is null") && lacks_pool(cluster))
    });
}

impl AtPlace {
    fn tell(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        let clusters = match self.others.iter().collect::<Vec<_>>().as_slice() {
            [] => return self.problems,
            [other] => format!(" (on `{}` and `{other}`)", self.first),
            others => format!(" (on `{}` and {} more clusters)", self.first, others.len()),
        };
        for problem in &mut self.problems {
            problem.message.push_str(&clusters);
        }
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RepoPath;
    use crate::problem::{Fault, Position};

    fn problem(line: u32, message: &str) -> Problem {
        Fault::new(Position::new(line, 1), message).in_file(&RepoPath::parse("templates/t.hbs").unwrap())
    }

    fn on(cluster: &str, line: u32, message: &str) -> ClusterProblem {
        (ClusterName::parse(cluster).unwrap(), problem(line, message))
    }

    fn told(found: Vec<ClusterProblem>, known: &[Problem]) -> Vec<String> {
        told_once(found, known).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_problem_of_one_cluster_is_told_as_it_is() {
        assert_eq!(
            told(vec![on("a", 1, "x"), on("a", 1, "y")], &[]),
            ["templates/t.hbs:1:1: x", "templates/t.hbs:1:1: y"]
        );
    }

    #[test]
    fn a_line_that_is_wrong_for_many_clusters_is_told_for_the_first() {
        let found = vec![on("a", 1, "x of a"), on("b", 1, "x of b"), on("b", 2, "y"), on("c", 1, "x of c")];
        assert_eq!(
            told(found, &[]),
            ["templates/t.hbs:1:1: x of a (on `a` and 2 more clusters)", "templates/t.hbs:2:1: y"]
        );
        assert_eq!(
            told(vec![on("a", 1, "x"), on("b", 1, "x")], &[]),
            ["templates/t.hbs:1:1: x (on `a` and `b`)"]
        );
    }

    #[test]
    fn a_place_that_is_wrong_already_is_left_alone() {
        assert_eq!(told(vec![on("a", 1, "x")], &[problem(1, "the cause")]), Vec::<String>::new());
    }
}
