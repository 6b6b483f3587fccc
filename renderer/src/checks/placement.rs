//! Checks of the inventory and the catalog beside each other: what a cluster says must mean something to some
//! template.

use std::collections::BTreeSet;

use crate::catalog::{Addon, Catalog};
use crate::inventory::{Cluster, Fact, Inventory, is_same_repository, key};
use crate::key_path::Step;
use crate::path::{AddonName, RepoPath};
use crate::problem::{Place, Problem, did_you_mean, hint_at_near};
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
    // That there is no template at all is told once.
    let clusters = inventory.clusters.values().filter(|_| !catalog.is_empty());
    let chosen = clusters.flat_map(|it| it.facts.addons.keys().map(move |name| (it.as_ref(), name.as_str())));
    let problems = chosen.filter_map(|(cluster, name)| {
        let path = [key("addons"), key(name)];
        let place = cluster.origin.key_place(&path);
        let Some(addon) = catalog.addons.get(name) else { return Some(unknown_addon(name, place, catalog)) };
        let choice = &cluster.facts.addons[name];
        let of_charts = [
            ("values", "values", !choice.values.is_empty()),
            ("version", "a version", choice.version.is_some()),
            ("publish", "`publish`", choice.publish.is_some()),
        ];
        let given = of_charts.into_iter().find(|(.., is_given)| *is_given);
        if let Some((idle, words, _)) = given.filter(|_| addon.facts.chart.is_none()) {
            let place = cluster.origin.key_place(&[&path[..], &[key(idle)]].concat());
            let message = format!("add-on `{name}` has no chart, and nothing else takes {words}");
            return Some(Problem::at(place, message).hint("use its settings, or remove this"));
        }
        let message = format!("add-on `{name}` does not run on `{}`", cluster.name);
        let hint = "add `enabled: true` to run it here, or remove this";
        is_idle(addon, cluster, &path).then(|| Problem::at(place, message).hint(hint))
    });
    problems.take(MAX_PROBLEMS).collect()
}

fn unknown_addon(name: &str, place: Place, catalog: &Catalog) -> Problem {
    let other = || format!("create `templates/addons/{name}/addon.yaml`");
    let hint = hint_at_near(name, catalog.addons.keys().map(AddonName::as_str), other);
    Problem::at(place, format!("unknown add-on `{name}`")).hint(hint)
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
    let of_addons = catalog.addons.values().flat_map(|addon| {
        let own = (vec![key("clusters"), key("labels")], &addon.facts.clusters.labels);
        let of_versions = addon.facts.versions.iter().enumerate().map(|(index, it)| {
            let at = vec![key("versions"), Step::Index(index), key("clusters"), key("labels")];
            (at, &it.clusters.labels)
        });
        let all = std::iter::once(own).chain(of_versions);
        all.flat_map(move |(at, labels)| labels.iter().map(move |label| (&addon.origin, at.clone(), label)))
    });
    let fleet = &inventory.fleet;
    let of_groups = fleet.facts.groups.iter().enumerate().flat_map(|(group, it)| {
        let at = vec![key("groups"), Step::Index(group), key("clusters"), key("labels")];
        let labels = it.clusters.iter().flat_map(|choice| &choice.labels);
        labels.map(move |label| (&fleet.origin, at.clone(), label))
    });
    let problems = of_addons.chain(of_groups).filter_map(|(origin, at, (label, value))| {
        let used: BTreeSet<&str> = values_of(inventory, label).collect();
        let place = origin.key_place(&[at, vec![key(label)]].concat());
        let problem = Problem::at(place, format!("no cluster has the label `{label}: {value}`"));
        let is_used = used.contains(value.as_str());
        (!is_used).then(|| problem.hint(label_hint(inventory, label, value, &used)))
    });
    problems.take(MAX_PROBLEMS).collect()
}

fn values_of<'a>(inventory: &'a Inventory, label: &'a str) -> impl Iterator<Item = &'a str> {
    inventory.clusters.values().filter_map(move |cluster| cluster.facts.labels.get(label)).map(String::as_str)
}

fn label_hint(inventory: &Inventory, label: &str, value: &str, used: &BTreeSet<&str>) -> String {
    let other = || "give the label to a cluster, or remove it here".to_owned();
    if !used.is_empty() {
        return hint_at_near(value, used.iter().copied(), other);
    }
    let clusters = inventory.clusters.values();
    let labels: BTreeSet<_> = clusters.flat_map(|cluster| cluster.facts.labels.keys()).collect();
    hint_at_near(label, labels.into_iter().map(String::as_str), other)
}

/// An exception for a repository that no chart comes from changes nothing, and the one that was meant goes on
/// as before.
pub(super) fn chart_exceptions_are_used(inventory: &Inventory, catalog: &Catalog) -> Vec<Problem> {
    let charts = catalog.addons.values().filter_map(|addon| addon.facts.chart.as_ref());
    let named: BTreeSet<&str> = charts.map(|chart| chart.repository.as_str()).collect();
    let exceptions = inventory.fleet.facts.charts.exceptions.keys();
    let idle = exceptions.filter(|written| !named.iter().any(|name| is_same_repository(name, written)));
    let problem = |written: &String| {
        let place = inventory.fleet.origin.key_place(&[key("charts"), key("exceptions"), key(written)]);
        let other = || "write the repository as `addon.yaml` does, or remove this".to_owned();
        Problem::at(place, format!("no add-on takes its chart from `{written}`")).hint(hint_at_near(
            written,
            named.iter().copied(),
            other,
        ))
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

/// Returns every name in the paths of facts that checks on live clusters name.
fn asked(catalog: &Catalog) -> BTreeSet<String> {
    let texts = catalog.addons.values().flat_map(|addon| {
        let sections =
            ["answers", "verify"].into_iter().filter_map(|section| addon.origin.at(&[key(section)]));
        sections.flat_map(Fact::all).filter_map(|(_, fact)| fact.text())
    });
    let paths = texts.flat_map(|text| {
        let tags = text.split("{{").skip(1).filter_map(|tag| Some(tag.split_once("}}")?.0.trim().to_owned()));
        tags.collect::<Vec<_>>()
    });
    paths.flat_map(|path| path.split('.').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Returns the named facts that no template reads.
pub fn unread_facts(inventory: &Inventory, catalog: &Catalog) -> Vec<Unread> {
    // That there is no template at all is told once.
    if catalog.is_empty() {
        return Vec::new();
    }
    let clusters = || inventory.clusters.values();
    let addresses = clusters()
        .flat_map(|it| it.facts.addresses.keys().map(|name| ("address", "addresses", name, &it.origin)));
    let fleet = &inventory.fleet;
    let ports = fleet.facts.ports.keys().map(|name| ("port", "ports", name, &fleet.origin));
    let settings = catalog
        .addons
        .values()
        .flat_map(|it| it.facts.settings.keys().map(|name| ("setting", "settings", name, &it.origin)));
    let read = catalog.templates.names_read();
    // A template that takes the section as a whole, in a loop for one, reads everything in it.
    let asked = asked(catalog);
    let is_read = |section: &str, name: &str| {
        read.contains(name) || asked.contains(name) || catalog.templates.maps_read().contains(section)
    };
    let unread =
        addresses.chain(ports).chain(settings).filter(|(_, section, name, _)| !is_read(section, name));
    let unread = unread.take(MAX_PROBLEMS).map(|(what, section, name, origin)| {
        let meant = did_you_mean(name, read.iter().map(String::as_str)).map(str::to_owned);
        let hint = match &meant {
            Some(near) => format!("did you mean `{near}`? otherwise remove it"),
            None => "remove it, or use it in a template".to_owned(),
        };
        let place = origin.key_place(&[key(section), key(name)]);
        let problem = Problem::at(place, format!("no template reads {what} `{name}`")).hint(hint);
        let is_address = |name: &String| clusters().any(|cluster| cluster.facts.addresses.contains_key(name));
        let is_known_elsewhere = section == "addresses" && meant.as_ref().is_some_and(is_address);
        Unread { problem, meant, is_known_elsewhere }
    });
    unread.collect()
}
