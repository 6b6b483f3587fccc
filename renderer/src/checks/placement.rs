//! Checks of the inventory and the catalog beside each other: what a cluster says must mean something to some template.

use std::collections::BTreeSet;

use crate::catalog::{Addon, Catalog};
use crate::inventory::{Cluster, Fact, Inventory, is_same_repository, key};
use crate::key_path::Step;
use crate::path::{AddonName, RepoPath};
use crate::problem::{Place, Problem, did_you_mean};
use crate::snapshot::TEMPLATES;

/// How many problems one check lists: for each, what was meant is looked for among all names.
const MAX_PROBLEMS: usize = 1_000;

/// Without templates every rendered file would be deleted: more likely the folder is missing than meant.
pub(super) fn there_are_templates(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    if !catalog.is_empty() || inventory.clusters.is_empty() {
        return Vec::new();
    }
    let folder = RepoPath::parse(TEMPLATES).expect("a constant path");
    let hint = "add an add-on, `templates/addons/<addon>/addon.yaml`; rendering nothing would delete all that is there";
    vec![Problem::in_whole_file(&folder, "there is no template").hint(hint)]
}

pub(super) fn chosen_addons_run(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    // That there is no template at all is told once.
    let clusters = inventory.clusters.values().filter(|_| !catalog.is_empty());
    for cluster in clusters {
        for name in cluster.facts.addons.keys() {
            if problems.len() >= MAX_PROBLEMS {
                return problems;
            }
            let path = [key("addons"), key(name)];
            let place = cluster.origin.key_place(&path);
            match catalog.addons.get(name.as_str()) {
                None => problems.push(unknown_addon(name, place, catalog)),
                Some(addon) if is_idle(addon, cluster, &path) => {
                    let message = format!("add-on `{name}` does not run on `{}`", cluster.name);
                    let hint = "add `enabled: true` to run it here, or remove this";
                    problems.push(Problem::at(place, message).hint(hint));
                }
                Some(_) => {}
            }
        }
    }
    problems
}

fn unknown_addon(name: &str, place: Place, catalog: &Catalog) -> Problem {
    let problem = Problem::at(place, format!("unknown add-on `{name}`"));
    match did_you_mean(name, catalog.addons.keys().map(AddonName::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("create `templates/addons/{name}/addon.yaml`")),
    }
}

/// Returns whether a cluster itself chooses something for an add-on that does not run on it.
///
/// Choices in `_defaults.yaml` are for whoever runs it, and an add-on that is turned off may keep its settings.
fn is_idle(addon: &Addon, cluster: &Cluster, path: &[Step]) -> bool {
    let is_own = cluster.origin.at(path).is_some_and(|fact| *fact.file() == *cluster.file);
    let says_nothing =
        cluster.facts.addons.get(addon.name.as_str()).is_none_or(|choice| choice.enabled.is_none());
    is_own && says_nothing && !addon.is_on(cluster)
}

/// Settings are judged where an add-on is turned off, too: turning it on must not be the moment to find out.
pub(super) fn chosen_settings_fit(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let chosen = inventory.clusters.values().flat_map(|cluster| {
        let names = cluster.facts.addons.iter().filter(|(_, choice)| !choice.settings.is_empty());
        names.filter_map(move |(name, _)| Some((cluster, catalog.addons.get(name.as_str())?)))
    });
    chosen.flat_map(|(cluster, addon)| addon.settings(cluster).err().unwrap_or_default()).collect()
}

/// A label that no cluster has is more likely a slip than a plan.
pub(super) fn placement_labels_exist(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    // Of a cluster that can't be read, the labels are not known.
    if !inventory.broken.is_empty() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for addon in catalog.addons.values() {
        for (label, value) in &addon.facts.clusters.labels {
            if problems.len() >= MAX_PROBLEMS {
                return problems;
            }
            let used: BTreeSet<&str> = values_of(inventory, label).collect();
            if used.contains(value.as_str()) {
                continue;
            }
            let place = addon.origin.key_place(&[key("clusters"), key("labels"), key(label)]);
            let problem = Problem::at(place, format!("no cluster has the label `{label}: {value}`"));
            problems.push(problem.hint(label_hint(inventory, label, value, &used)));
        }
    }
    problems
}

fn values_of<'a>(inventory: &'a Inventory, label: &'a str) -> impl Iterator<Item = &'a str> {
    inventory.clusters.values().filter_map(move |cluster| cluster.facts.labels.get(label)).map(String::as_str)
}

fn label_hint(inventory: &Inventory, label: &str, value: &str, used: &BTreeSet<&str>) -> String {
    let labels: BTreeSet<&str> = inventory
        .clusters
        .values()
        .flat_map(|cluster| cluster.facts.labels.keys())
        .map(String::as_str)
        .collect();
    let near =
        if used.is_empty() { did_you_mean(label, labels) } else { did_you_mean(value, used.iter().copied()) };
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "give the label to a cluster, or remove it here".to_owned(),
    }
}

/// An exception for a repository that no chart comes from changes nothing, and the one that was meant goes on as before.
pub(super) fn chart_exceptions_are_used(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let named: BTreeSet<&str> =
        catalog.addons.values().map(|addon| addon.facts.chart.repository.as_str()).collect();
    let exceptions = inventory.fleet.facts.charts.exceptions.keys();
    let idle = exceptions.filter(|written| !named.iter().any(|name| is_same_repository(name, written)));
    let problem = |written: &String| {
        let place = inventory.fleet.origin.key_place(&[key("charts"), key("exceptions"), key(written)]);
        let problem = Problem::at(place, format!("no add-on takes its chart from `{written}`"));
        problem.hint(match did_you_mean(written, named.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the repository as `addon.yaml` does, or remove this".to_owned(),
        })
    };
    idle.map(problem).collect()
}

/// A named fact that no template reads is a setting that does nothing.
pub(super) fn facts_are_read(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    unread_facts(inventory, catalog).into_iter().map(|unread| unread.problem).collect()
}

/// A named fact that no template reads.
#[derive(Debug)]
pub struct Unread {
    /// What is said of it.
    pub problem: Problem,
    /// The name that was probably meant: some template reads it.
    pub meant: Option<String>,
    /// Whether another cluster has a fact of that name.
    pub is_known_elsewhere: bool,
}

/// Returns the named facts that no template reads.
pub fn unread_facts(inventory: &Inventory, catalog: &Catalog) -> Vec<Unread> {
    // That there is no template at all is told once.
    if catalog.is_empty() {
        return Vec::new();
    }
    let mut search = Search { catalog, found: Vec::new() };
    let has_address =
        |name: &str| inventory.clusters.values().any(|cluster| cluster.facts.addresses.contains_key(name));
    for cluster in inventory.clusters.values() {
        search.judge(("address", "addresses"), cluster.facts.addresses.keys(), &cluster.origin, &has_address);
    }
    let fleet = &inventory.fleet;
    search.judge(("port", "ports"), fleet.facts.ports.keys(), &fleet.origin, &|_| false);
    for addon in catalog.addons.values() {
        search.judge(("setting", "settings"), addon.facts.settings.keys(), &addon.origin, &|_| false);
    }
    search.found
}

struct Search<'a> {
    catalog: &'a Catalog,
    found: Vec<Unread>,
}

impl Search<'_> {
    fn judge<'n>(
        &mut self,
        (what, section): (&str, &str),
        names: impl Iterator<Item = &'n String>,
        origin: &Fact,
        is_known: &dyn Fn(&str) -> bool,
    ) {
        let read = self.catalog.templates.names_read();
        // A template that takes the section as a whole, in a loop for one, reads everything in it.
        if self.catalog.templates.maps_read().contains(section) {
            return;
        }
        let left = MAX_PROBLEMS.saturating_sub(self.found.len());
        let unread = names.filter(|name| !read.contains(name.as_str())).take(left);
        self.found.extend(unread.map(|name| {
            let place = origin.key_place(&[key(section), key(name)]);
            let problem = Problem::at(place, format!("no template reads {what} `{name}`"));
            let meant = did_you_mean(name, read.iter().map(String::as_str)).map(str::to_owned);
            let problem = match &meant {
                Some(near) => problem.hint(format!("did you mean `{near}`? otherwise remove it")),
                None => problem.hint("remove it, or use it in a template"),
            };
            let is_known_elsewhere = meant.as_deref().is_some_and(is_known);
            Unread { problem, meant, is_known_elsewhere }
        }));
    }
}
