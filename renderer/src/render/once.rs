//! One mistake is reported once, whatever number of clusters it is wrong for.
//!
//! Problems of several clusters are equal if they are so up to each cluster's own name and facts, and stand
//! at the same place: on a line that the clusters share, or each in its cluster's own file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::inventory::{Inventory, OwnFacts, own_cluster};
use crate::path::{ClusterName, RepoPath};
use crate::problem::{Place, Problem};
use crate::snapshot::Snapshot;

/// A problem of one cluster's files.
pub(super) type ClusterProblem = (ClusterName, Problem);

/// In how many clusters' own files a problem stands before it is reported once.
const LEAST_FILES: usize = 3;

/// What makes problems of different clusters equal.
type Key = (Cow<'static, str>, String);

/// Returns every problem once, sorted by place: `known` in what was read, and `found` in what was rendered,
/// except where something is wrong already.
pub(super) fn once(
    known: Vec<Problem>,
    found: Vec<ClusterProblem>,
    inventory: &Inventory,
    snapshot: &Snapshot,
) -> Vec<Problem> {
    let places: BTreeSet<&Place> = known.iter().map(|problem| &problem.place).collect();
    let found = found.into_iter().filter(|(_, problem)| !places.contains(&problem.place));
    let mut equals = Equals { inventory, snapshot, own: HashMap::new() };
    let mut problems = equals.on_shared_lines(found);
    problems.extend(known);
    problems.sort();
    problems.dedup();
    equals.in_own_files(problems)
}

/// Tells which problems are equal.
struct Equals<'a> {
    inventory: &'a Inventory,
    snapshot: &'a Snapshot,
    own: HashMap<ClusterName, Arc<OwnFacts>>,
}

impl Equals<'_> {
    /// Folds the problems of clusters at the same place.
    fn on_shared_lines(&mut self, found: impl Iterator<Item = ClusterProblem>) -> Vec<Problem> {
        let mut same: BTreeMap<Problem, BTreeSet<ClusterName>> = BTreeMap::new();
        for (cluster, problem) in found {
            same.entry(problem).or_default().insert(cluster);
        }
        let mut places: BTreeMap<Place, Vec<(BTreeSet<ClusterName>, Problem)>> = BTreeMap::new();
        for (problem, clusters) in same {
            places.entry(problem.place.clone()).or_default().push((clusters, problem));
        }
        places.into_values().flat_map(|at_place| self.at_place(at_place)).collect()
    }

    /// Folds the problems at one place; the first cluster stands for the others.
    fn at_place(&mut self, mut found: Vec<(BTreeSet<ClusterName>, Problem)>) -> Vec<Problem> {
        found.sort();
        let is_alone = found.len() == 1;
        let mut folded: BTreeMap<Key, (BTreeSet<ClusterName>, Problem)> = BTreeMap::new();
        for (clusters, problem) in found {
            let first = clusters.first().expect("a problem was found on a cluster");
            let key = if is_alone { Key::default() } else { key(&problem, &self.own_facts(first)) };
            folded.entry(key).or_insert_with(|| (BTreeSet::new(), problem)).0.extend(clusters);
        }
        let shared = |(clusters, problem): (BTreeSet<_>, Problem)| Problem {
            clusters: clusters.into_iter().collect(),
            ..problem
        };
        folded.into_values().map(shared).collect()
    }

    /// Folds what is equal in the own files of several clusters.
    fn in_own_files(&mut self, problems: Vec<Problem>) -> Vec<Problem> {
        let mut times: HashMap<(RepoPath, Key), usize> = HashMap::new();
        let mut groups: HashMap<(Key, usize), usize> = HashMap::new();
        let mut equal: Vec<Vec<(Option<ClusterName>, Problem)>> = Vec::new();
        for problem in problems {
            let Some(cluster) = own_cluster(&problem.place.file) else {
                equal.push(vec![(None, problem)]);
                continue;
            };
            let key = key(&problem, &self.facts_in_own_file(&cluster, &problem.place));
            let time = times.entry((problem.place.file.clone(), key.clone())).or_default();
            let group = *groups.entry((key, *time)).or_insert(equal.len());
            *time += 1;
            if group == equal.len() {
                equal.push(Vec::new());
            }
            equal[group].push((Some(cluster), problem));
        }
        let mut problems: Vec<_> = equal.into_iter().flat_map(folded).collect();
        problems.sort();
        problems
    }

    fn own_facts(&mut self, name: &ClusterName) -> Arc<OwnFacts> {
        let inventory = self.inventory;
        let own = self.own.entry(name.clone()).or_insert_with(|| {
            let Some(cluster) = inventory.clusters.get(name) else { return OwnFacts::named(name, "").into() };
            OwnFacts::written(cluster, inventory.hub_of(cluster).map(Arc::as_ref)).into()
        });
        Arc::clone(own)
    }

    /// No facts are known of a cluster whose file has problems; they are taken from the line.
    fn facts_in_own_file(&mut self, cluster: &ClusterName, place: &Place) -> Arc<OwnFacts> {
        if self.inventory.clusters.contains_key(cluster) {
            return self.own_facts(cluster);
        }
        let source = self.snapshot.get(place.file.as_str());
        let text = source.and_then(|source| std::str::from_utf8(&source.bytes).ok()).unwrap_or_default();
        let line = text.lines().nth(place.position.line as usize - 1).unwrap_or_default();
        let value = line.split_once(": ").map_or(line, |(_, value)| value);
        Arc::new(OwnFacts::named(cluster, value))
    }
}

/// What the way out is follows from the message, and from facts.
fn key(problem: &Problem, own: &OwnFacts) -> Key {
    (problem.check.clone(), own.general_message(&problem.message))
}

/// Makes one problem of equal ones in the files of enough clusters.
fn folded(mut equal: Vec<(Option<ClusterName>, Problem)>) -> Vec<Problem> {
    if equal.len() < LEAST_FILES {
        return equal.into_iter().map(|(_, problem)| problem).collect();
    }
    let mut clusters = BTreeSet::new();
    for (cluster, problem) in &mut equal {
        clusters.extend(cluster.take());
        clusters.append(&mut std::mem::take(&mut problem.clusters).into_iter().collect());
    }
    let mut problems = equal.into_iter().map(|(_, problem)| problem);
    let Some(first) = problems.next() else { return Vec::new() };
    let also = problems.map(|problem| problem.place).collect();
    vec![Problem { clusters: clusters.into_iter().collect(), also, ..first }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{InventoryCache, read};
    use crate::problem::{Fault, Position};
    use crate::snapshot::{Source, SourceId};

    const TEMPLATE: &str = "templates/t.hbs";

    /// Clusters `a`, `b` and so on, each with an address of its own.
    fn described(count: u8) -> Snapshot {
        let file = |n: u8| {
            let name = char::from(b'a' + n);
            let text = format!(
                "role: control\nnetworks: {{pods: 10.{n}.0.0/17, services: 10.{n}.128.0/17}}\naddresses: {{x: 10.{n}.0.1}}\n"
            );
            let path = RepoPath::parse(&format!("environments/{name}.yaml")).unwrap();
            (path, Source { id: SourceId([n; 20]), bytes: text.into_bytes().into() })
        };
        (0..count).map(file).collect()
    }

    fn problem(file: &str, line: u32, message: &str) -> Problem {
        Fault::new(Position::new(line, 1), message).in_file(&RepoPath::parse(file).unwrap())
    }

    fn on(cluster: &str, line: u32, message: &str) -> ClusterProblem {
        (ClusterName::parse(cluster).unwrap(), problem(TEMPLATE, line, message))
    }

    fn reported(known: Vec<Problem>, found: Vec<ClusterProblem>) -> Vec<String> {
        let snapshot = described(4);
        let (inventory, _) = read(&snapshot, &mut InventoryCache::default());
        once(known, found, &inventory, &snapshot).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_problem_of_one_cluster_is_reported_as_it_is() {
        assert_eq!(
            reported(vec![], vec![on("a", 1, "x"), on("a", 1, "y")]),
            ["templates/t.hbs:1:1: x", "templates/t.hbs:1:1: y"]
        );
    }

    #[test]
    fn a_line_that_is_wrong_for_many_clusters_is_reported_for_the_first() {
        let about =
            |cluster: &str, n: u8| on(cluster, 1, &format!("`10.{n}.0.1` of `{cluster}-web` is wrong"));
        assert_eq!(
            reported(vec![], vec![about("b", 1), about("a", 0), on("b", 2, "y"), about("c", 2)]),
            [
                "templates/t.hbs:1:1: `10.0.0.1` of `a-web` is wrong (on 3 clusters, such as `a`)",
                "templates/t.hbs:2:1: y"
            ]
        );
        assert_eq!(
            reported(vec![], vec![on("a", 1, "x"), on("b", 1, "x")]),
            ["templates/t.hbs:1:1: x (on `a` and `b`)"]
        );
    }

    #[test]
    fn what_differs_otherwise_is_no_repetition() {
        let found =
            vec![on("a", 1, "`v1` is wrong"), on("b", 1, "`v2` is wrong"), on("c", 1, "`v2` is wrong")];
        assert_eq!(
            reported(vec![], found),
            ["templates/t.hbs:1:1: `v1` is wrong", "templates/t.hbs:1:1: `v2` is wrong (on `b` and `c`)"]
        );
    }

    #[test]
    fn a_place_that_is_wrong_already_is_left_alone() {
        let known = vec![problem(TEMPLATE, 1, "the cause")];
        assert_eq!(reported(known, vec![on("a", 1, "x")]), ["templates/t.hbs:1:1: the cause"]);
    }

    #[test]
    fn what_is_the_same_in_the_own_files_of_many_is_one_problem_with_all_its_places() {
        let in_file = |cluster: char, n: u8, line| {
            problem(&format!("environments/{cluster}.yaml"), line, &format!("`10.{n}.0.1` is outside"))
        };
        let all = || vec![in_file('a', 0, 3), in_file('b', 1, 4), in_file('c', 2, 5), in_file('d', 3, 6)];
        assert_eq!(
            reported(all(), vec![]),
            [
                "environments/a.yaml:3:1: `10.0.0.1` is outside (on 4 clusters)\n  also: environments/b.yaml:4:1, \
              environments/c.yaml:5:1, environments/d.yaml:6:1"
            ]
        );
        assert_eq!(reported(all().into_iter().take(2).collect(), vec![]).len(), 2, "two are not many");
        let twice = all().into_iter().chain(all().into_iter().map(|problem| Problem {
            place: Place { position: Position::new(9, 1), ..problem.place },
            ..problem
        }));
        assert_eq!(reported(twice.collect(), vec![]).len(), 2, "twice in each file");
    }

    #[test]
    fn of_clusters_whose_facts_cannot_be_read_the_lines_say_what_is_their_own() {
        let mut snapshot = Snapshot::default();
        let mut known = Vec::new();
        for n in 1..4 {
            let path = format!("environments/c{n}.yaml");
            let bytes = format!("pool: 10.0.{n}.300\n").into_bytes().into();
            snapshot.insert(RepoPath::parse(&path).unwrap(), Source { id: SourceId([n; 20]), bytes });
            known.push(problem(&path, 1, &format!("`10.0.{n}.300` is no address")));
        }
        let (inventory, _) = read(&snapshot, &mut InventoryCache::default());
        let problems = once(known, vec![], &inventory, &snapshot);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!((problems[0].clusters.len(), problems[0].also.len()), (3, 2));
    }
}
