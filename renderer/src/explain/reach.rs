//! What a fact reaches: the rendered values that change with it, and the add-ons that run or not because of it.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value as Json;

use crate::catalog::Addon;
use crate::checks::DocumentKind;
use crate::inventory::{Cluster, Fact, key};
use crate::key_path::{Step, is_at_or_below, owned, text_of};
use crate::path::{ClusterName, RepoPath};
use crate::problem::Place;
use crate::provenance::{ClusterDocuments, FileDocuments, Influence, masked, part_mut, perturb, templates};
use crate::render::Rendered;
use crate::templates::{MAX_SEARCH_STEPS, RenderBudget, Scope};
use crate::tree::{Below, Tree, leaves, walk};
use crate::yaml::Value;

/// A place in a rendered file that a fact reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reached {
    /// The rendered file.
    pub file: RepoPath,
    /// The path of the value, `[n]` first where a file has several documents; empty if the whole file is meant.
    pub path: String,
    /// How it depends on the fact.
    pub influence: Influence,
}

/// The same place on several clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The file below the cluster's folder.
    pub file: String,
    /// The path of the value.
    pub path: String,
    /// How it depends on the fact.
    pub influence: Influence,
    /// The clusters.
    pub clusters: Vec<String>,
}

/// Puts together what differs in nothing but its cluster.
#[must_use]
pub fn grouped(reached: &[Reached]) -> Vec<Group> {
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for place in reached {
        let mut parts = place.file.as_str().splitn(3, '/').skip(1);
        let (cluster, file) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let group = (file.to_owned(), place.path.clone(), place.influence);
        groups.entry(group).or_default().push(cluster.to_owned());
    }
    let group = |((file, path, influence), clusters)| Group { file, path, influence, clusters };
    groups.into_iter().map(group).collect()
}

/// A fact and what it reaches.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Where the fact is written.
    pub place: Place,
    /// Its value, without what is a secret.
    pub value: Json,
    /// What it reaches.
    pub reached: Vec<Reached>,
}

/// Returns every rendered place that the fact at `key` of an inventory file or an `addon.yaml` reaches, and where the
/// fact stands. A map reaches what the facts in it reach.
///
/// Nothing if the file has no such fact that is in force anywhere.
#[must_use]
pub fn reach(rendered: &Rendered, file: &RepoPath, key: &str) -> Option<Reach> {
    let facts = facts_at_key(rendered, file, key);
    let ((path, place), fact) = facts.iter().min_by_key(|((path, place), _)| (path.len(), place))?;
    let (place, value) = (place.clone(), masked(&fact.to_json(), path));
    let targets: BTreeSet<Place> = facts.into_keys().map(|(_, place)| place).collect();
    let names: Vec<_> = rendered.clusters.keys().collect();
    let reached = names.into_par_iter().flat_map_iter(|name| reach_in_cluster(rendered, name, &targets));
    let reached = reached.collect::<BTreeSet<_>>().into_iter().collect();
    Some(Reach { place, value, reached })
}

fn reach_in_cluster(rendered: &Rendered, name: &ClusterName, targets: &BTreeSet<Place>) -> Vec<Reached> {
    let scope = rendered.scope(name);
    let budget = RenderBudget::new(MAX_SEARCH_STEPS, &|_| true);
    let cluster = ClusterDocuments::new(&scope, &rendered.catalog, &budget);
    let hits = facts_at(&cluster, targets);
    let mut changed = cluster.facts.clone();
    for path in &hits {
        if let Some(fact) = part_mut(changed.facts_mut(), path) {
            perturb(fact);
        }
    }
    let units = templates(&rendered.catalog, &rendered.inventory, scope.cluster);
    let mut reached = Vec::new();
    for template in units.iter().flat_map(|unit| &unit.templates) {
        let file = cluster.of(template);
        if !hits.is_empty() {
            reached.extend(differences(file, &changed));
        }
        reached.extend(overridden(file, targets));
    }
    let decided = |addon: &Addon| is_placed_by(addon, scope.cluster, targets);
    let files = rendered.clusters[name].units().iter().filter(|unit| {
        unit.addon.as_ref().and_then(|name| rendered.catalog.addons.get(name)).is_some_and(|it| decided(it))
    });
    reached.extend(files.flat_map(|unit| &unit.files).map(|file| Reached::whole(&file.path)));
    reached
}

impl Reached {
    pub(super) fn whole(file: &RepoPath) -> Self {
        Self { file: file.clone(), path: String::new(), influence: Influence::Presence }
    }

    fn value(file: FileDocuments<'_>, path: String) -> Self {
        Self { file: file.template.writes.clone(), path, influence: Influence::Value }
    }
}

/// Returns whether one of the facts decides that an add-on runs on a cluster.
fn is_placed_by(addon: &Addon, cluster: &Cluster, targets: &BTreeSet<Place>) -> bool {
    let is_target = |fact: &Fact| {
        std::iter::once(fact)
            .chain(fact.all().into_iter().map(|(_, fact)| fact))
            .any(|fact| targets.contains(&fact.own_place()))
    };
    let decides = |origin: &Fact, path: &[Step]| origin.at(path).is_some_and(is_target);
    let enabled = [key("addons"), key(addon.name.as_str()), key("enabled")];
    if cluster.origin.at(&enabled).is_some() {
        return decides(&cluster.origin, &enabled);
    }
    let placement = &addon.facts.clusters;
    decides(&addon.origin, &[key("clusters")])
        || decides(&addon.origin, &[key("enabledByDefault")])
        || !placement.roles.is_empty() && decides(&cluster.origin, &[key("role")])
        || placement.labels.keys().any(|label| decides(&cluster.origin, &[key("labels"), key(label)]))
}

/// Finds the facts at or below `key` that are written in a file and in force somewhere, with their places.
fn facts_at_key<'r>(
    rendered: &'r Rendered,
    file: &RepoPath,
    key: &str,
) -> BTreeMap<(Vec<Step>, Place), &'r Fact> {
    let fleet = std::iter::once(&rendered.inventory.fleet.origin);
    let clusters = rendered.inventory.clusters.values().map(|cluster| &cluster.origin);
    let addons = rendered.catalog.addons.values().map(|addon| &addon.origin);
    let facts = fleet.chain(clusters).chain(addons).flat_map(Fact::all);
    facts
        .filter(|(path, fact)| fact.file() == file && is_at_or_below(path, key))
        .map(|(path, fact)| ((path, fact.own_place()), fact))
        .collect()
}

/// Returns the paths of the facts that were written at `targets`, as the templates of a cluster see them.
fn facts_at(cluster: &ClusterDocuments<'_>, targets: &BTreeSet<Place>) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    walk(cluster.facts.facts(), &mut |visit| {
        let is_leaf = !visit.value.is_array() && !visit.value.is_object();
        let place = |path: &[Step]| cluster.scope.place(path).is_some_and(|place| targets.contains(&place));
        found.extend(Some(visit.owned_path()).filter(|path| is_leaf && place(path)));
        Below::Enter
    });
    found
}

fn differences(file: FileDocuments<'_>, changed: &Scope<'_>) -> Vec<Reached> {
    let before = file.render().unwrap_or_default();
    let reached = |document: usize, path: &[Step<&str>]| {
        let name = before.get(document).map_or_else(|| text_of(path), |it| named(it, path));
        Reached::value(file, if before.len() < 2 { name } else { format!("[{document}].{name}") })
    };
    let Ok(after) = file.render_with(changed) else { return vec![reached(0, &[])] };
    let mut found = Vec::new();
    for document in 0..before.len().max(after.len()) {
        let [old, new] = [&before, &after].map(|documents| -> BTreeMap<_, _> {
            documents.get(document).map(leaves).unwrap_or_default().into_iter().collect()
        });
        let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changed = all.into_iter().filter(|path| old.get(*path) != new.get(*path));
        found.extend(changed.map(|path| reached(document, path)));
    }
    found
}

/// Returns a path as text, in which an item of a list is called by its `name`, as on other clusters, where it
/// may stand elsewhere in the list.
fn named(document: &Value, path: &[Step<&str>]) -> String {
    let mut at = Some(document);
    let steps = path.iter().map(|step| {
        let name = match step {
            Step::Index(index) => at.and_then(|list| name_among(list.as_list()?, *index)),
            Step::Key(_) | Step::Item { .. } => None,
        };
        at = at.and_then(|value| value.child(*step));
        name.map_or(*step, |id| Step::Item { field: "name", id })
    });
    text_of(&steps.collect::<Vec<_>>())
}

/// Returns the name of an item that no other item of the list has, and that reads as it is.
fn name_among(items: &[Value], index: usize) -> Option<&str> {
    let own = items.get(index)?.get("name")?.as_str()?;
    let is_plain = own.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) && !own.is_empty();
    let namesakes = items.iter().filter(|item| item.get("name").and_then(Value::as_str) == Some(own));
    (is_plain && namesakes.count() == 1).then_some(own)
}

/// Returns the places of a rendered file that an override at one of `targets` writes.
fn overridden(file: FileDocuments<'_>, targets: &BTreeSet<Place>) -> Vec<Reached> {
    let is_overridden = file.template.kind == DocumentKind::Values
        && file.template.addon.is_some_and(|addon| file.cluster.scope.overrides(addon).is_some());
    if !is_overridden {
        return Vec::new();
    }
    let documents = file.render().unwrap_or_default();
    let paths = documents.first().map(leaves).unwrap_or_default().into_iter().map(|(path, _)| owned(&path));
    let is_target =
        |path: &Vec<Step>| file.override_place(path).is_some_and(|place| targets.contains(&place));
    paths.filter(is_target).map(|path| Reached::value(file, text_of(&path))).collect()
}
