//! Checks of the groups that share pull requests: each cluster is in one of them.

use std::collections::BTreeMap;

use crate::inventory::{Cluster, Fact, Group, Inventory, key};
use crate::key_path::Step;
use crate::path::{ClusterName, GroupName};
use crate::plural::quoted;
use crate::problem::{Place, Problem, hint_at_near};

pub(super) fn each_cluster_is_in_one(inventory: &Inventory) -> Vec<Problem> {
    let clusters = inventory.clusters.values();
    let misplaced = clusters.filter_map(|cluster| misplaced(inventory, cluster));
    namesakes(inventory).chain(unknown_clusters(inventory)).chain(misplaced).collect()
}

fn groups(inventory: &Inventory) -> impl Iterator<Item = (usize, &Group)> {
    inventory.fleet.facts.groups.iter().enumerate()
}

fn place(origin: &Fact, group: usize, path: &[Step]) -> Place {
    origin.place(&[&[key("groups"), Step::Index(group)], path].concat())
}

/// Two groups of one name would share a branch.
fn namesakes(inventory: &Inventory) -> impl Iterator<Item = Problem> {
    let origin = &inventory.fleet.origin;
    let mut seen: BTreeMap<&GroupName, usize> = BTreeMap::new();
    groups(inventory).filter_map(move |(index, group)| {
        let first = *seen.entry(&group.name).or_insert(index);
        let problem = || {
            let at = place(origin, index, &[key("name")]);
            let hint = format!("the other one is at {}", place(origin, first, &[key("name")]));
            Problem::at(at, format!("two groups are called `{}`", group.name)).hint(hint)
        };
        (first != index).then(problem)
    })
}

fn unknown_clusters(inventory: &Inventory) -> impl Iterator<Item = Problem> {
    let named = groups(inventory).flat_map(|(index, group)| {
        let names = group.clusters.iter().flat_map(|choice| choice.names.iter().enumerate());
        names.map(move |(number, name)| (index, number, name.as_str()))
    });
    let is_known = |name: &str| inventory.clusters.contains_key(name) || inventory.broken.contains(name);
    named.filter(move |(_, _, name)| !is_known(name)).map(|(index, number, name)| {
        let path = [key("clusters"), key("names"), Step::Index(number)];
        let at = place(&inventory.fleet.origin, index, &path);
        let known = inventory.clusters.keys().map(ClusterName::as_str);
        let hint = hint_at_near(name, known, || "describe the cluster, or remove the name".to_owned());
        Problem::at(at, format!("unknown cluster `{name}`")).hint(hint)
    })
}

fn misplaced(inventory: &Inventory, cluster: &Cluster) -> Option<Problem> {
    let groups: Vec<_> = inventory.groups_of(cluster).collect();
    let (message, hint) = match groups.as_slice() {
        [_] => return None,
        [] => (
            format!("`{}` is in no group", cluster.name),
            format!(
                "see {}: a group without `clusters` takes what no other group does",
                inventory.fleet.origin.place(&[key("groups")])
            ),
        ),
        [(first, _), (second, _), ..] => {
            let [first, second] = [first, second].map(|group| place(&inventory.fleet.origin, *group, &[]));
            let names = quoted(groups.iter().map(|(_, group)| &group.name));
            (
                format!("`{}` is in several groups: {names}", cluster.name),
                format!("let only one of them take it: see {first} and {second}"),
            )
        }
    };
    Some(Problem::in_whole_file(&cluster.file, message).hint(hint))
}
