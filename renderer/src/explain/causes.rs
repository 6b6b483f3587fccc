//! Which lines made a value another one than it was: those of its facts that changed, or else the line that writes it.

use std::collections::BTreeMap;
use std::ops::Not;

use serde::Serialize;
use serde_json::Value as Json;

use crate::inventory::{Fact, key};
use crate::key_path::{Step, text_of};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::problem::Place;
use crate::provenance::{ClusterScope, FactLine, Provenance, templates};
use crate::render::Rendered;
use crate::tree::Tree;

/// A line to edit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The fact that is written there, or the expression of a template in its braces; empty if the text itself counts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// Whether it stood there before the change, and does not any more.
    #[serde(skip_serializing_if = "Not::not")]
    pub is_former: bool,
}

/// What clusters are before and after a change.
#[derive(Debug)]
pub(crate) struct Causes<'a> {
    sides: [&'a Rendered; 2],
    seen: BTreeMap<(bool, ClusterName), Option<(ClusterScope<'a>, Json)>>,
}

/// One side of a cluster: its scope, and what its templates see.
type Side<'s, 'a> = Option<&'s (ClusterScope<'a>, Json)>;

impl<'a> Causes<'a> {
    pub(crate) fn new(base: &'a Rendered, head: &'a Rendered) -> Self {
        Self { sides: [base, head], seen: BTreeMap::new() }
    }

    /// Returns why a value of a cluster's file is another one: it was explained as it is after the change if `is_new`, and as
    /// it was before otherwise.
    pub(crate) fn of_value(
        &mut self,
        cluster: &ClusterName,
        addon: Option<&AddonName>,
        is_new: bool,
        value: &Provenance,
    ) -> Vec<SourceLine> {
        let ids = self.sides.map(|side| &side.catalog.ids);
        let is_edited = |file: &RepoPath| ids[0].get(file) != ids[1].get(file);
        self.see(cluster);
        let (mine, other) = (self.side(is_new, cluster), self.side(!is_new, cluster));
        let overridden = |side: Side<'_, '_>| override_of(side?, addon?, &value.path);
        let own = overridden(mine).map(|place| SourceLine {
            place,
            what: value.facts.first().map(|fact| fact.fact.clone()).unwrap_or_default(),
            is_former: !is_new,
        });
        if let Some(line) = own {
            return vec![line];
        }
        let changed = value.facts.iter().filter_map(|fact| changed(fact, is_new, mine?, other?));
        let mut lines: Vec<_> = changed.collect();
        // What a cluster no longer sets itself.
        lines.extend(overridden(other).map(|place| SourceLine {
            place,
            what: addon.map(|addon| format!("addons.{addon}.values.{}", value.path)).unwrap_or_default(),
            is_former: is_new,
        }));
        let written = value.templates.iter().filter(|line| {
            lines.is_empty() || is_edited(&line.place.file) || line.text.as_ref().is_some_and(is_edited)
        });
        let written: Vec<_> = written
            .map(|line| SourceLine {
                place: line.text.as_ref().map_or_else(|| line.place.clone(), Place::start_of),
                what: line.expression.as_ref().map(|text| format!("{{{{{text}}}}}")).unwrap_or_default(),
                is_former: !is_new,
            })
            .collect();
        lines.extend(written);
        lines
    }

    /// Returns the template of a cluster's file, which comes if `is_new` and goes otherwise.
    pub(crate) fn of_file(&self, cluster: &ClusterName, is_new: bool, file: &RepoPath) -> Vec<SourceLine> {
        let rendered = self.sides[usize::from(is_new)];
        let Some(described) = rendered.inventory.clusters.get(cluster) else { return Vec::new() };
        let units = templates(&rendered.catalog, &rendered.inventory, described);
        let written = units.iter().flat_map(|unit| &unit.templates).find(|it| it.writes == *file);
        let line = |template| SourceLine {
            place: Place::start_of(template),
            what: String::new(),
            is_former: !is_new,
        };
        written.and_then(|it| it.template).map(line).into_iter().collect()
    }

    /// Returns what makes an add-on come to a cluster or go: that the cluster or the add-on does, or what decides where the
    /// add-on runs.
    pub(crate) fn of_placement(&self, cluster: &ClusterName, addon: &AddonName) -> Vec<SourceLine> {
        let whole = |file: &RepoPath, is_former| {
            vec![SourceLine { place: Place::start_of(file), what: String::new(), is_former }]
        };
        let clusters = match self.sides.map(|side| side.inventory.clusters.get(cluster)) {
            [Some(before), Some(after)] => [&before.origin, &after.origin],
            [None, Some(it)] => return whole(&it.file, false),
            [Some(it), None] => return whole(&it.file, true),
            [None, None] => return Vec::new(),
        };
        let addons = match self.sides.map(|side| side.catalog.addons.get(addon)) {
            [Some(before), Some(after)] => [&before.origin, &after.origin],
            [None, Some(it)] => return whole(it.origin.file(), false),
            [Some(it), None] => return whole(it.origin.file(), true),
            [None, None] => return Vec::new(),
        };
        let found = [
            difference(clusters, &["addons", addon.as_str(), "enabled"]),
            difference(clusters, &["role"]),
            difference(clusters, &["labels"]),
            difference(addons, &["clusters"]),
            difference(addons, &["enabledByDefault"]),
        ];
        found.into_iter().flatten().collect()
    }

    /// Returns where a fact of a cluster is written, if it is not the same on both sides.
    pub(crate) fn of_cluster_fact(&self, cluster: &ClusterName, path: &[&str]) -> Option<SourceLine> {
        let [before, after] = self.sides.map(|side| side.inventory.clusters.get(cluster));
        difference([&before?.origin, &after?.origin], path)
    }

    /// Returns where the version of an add-on's chart is written, if it is the one that an Application names.
    pub(crate) fn of_version(
        &self,
        cluster: &ClusterName,
        addon: &AddonName,
        version: &str,
    ) -> Option<SourceLine> {
        let head = self.sides[1];
        let (cluster, addon) = (head.inventory.clusters.get(cluster)?, head.catalog.addons.get(addon)?);
        let is_it = addon.chart_on(cluster)?.version == version;
        let what = "chart.version".to_owned();
        is_it.then(|| SourceLine { place: addon.version_place(cluster), what, is_former: false })
    }

    fn see(&mut self, cluster: &ClusterName) {
        for (is_new, rendered) in [false, true].into_iter().zip(self.sides) {
            self.seen.entry((is_new, cluster.clone())).or_insert_with(|| {
                let scope = rendered.clusters.contains_key(cluster).then(|| rendered.scope(cluster))?;
                let facts = scope.facts();
                Some((scope, facts))
            });
        }
    }

    fn side(&self, is_new: bool, cluster: &ClusterName) -> Side<'_, 'a> {
        self.seen.get(&(is_new, cluster.clone()))?.as_ref()
    }
}

/// Returns where a fact is written after a change, or was before it, if that is not the same.
fn difference([before, after]: [&Fact; 2], path: &[&str]) -> Option<SourceLine> {
    let at: Vec<Step> = path.iter().copied().map(key).collect();
    let (old, new) = (before.at(&at), after.at(&at));
    let line = |fact: &Fact, is_former| SourceLine { place: fact.own_place(), what: text_of(&at), is_former };
    let is_same = old.map(Fact::to_json) == new.map(Fact::to_json);
    let found = new.map(|fact| line(fact, false)).or_else(|| Some(line(old?, true)));
    found.filter(|_| !is_same)
}

/// Returns where a cluster sets a value of an add-on itself, if it does.
fn override_of((scope, _): &(ClusterScope<'_>, Json), addon: &AddonName, path: &[Step]) -> Option<Place> {
    scope.override_place(scope.catalog.addons.get(addon)?, path)
}

/// Returns the line of a fact of one side if it is another one on the other side.
fn changed(
    fact: &FactLine,
    is_new: bool,
    (_, mine): &(ClusterScope<'_>, Json),
    (scope, other): &(ClusterScope<'_>, Json),
) -> Option<SourceLine> {
    let path = path_in(mine, other, fact.path());
    let there = path.as_ref().and_then(|path| other.at(path));
    if mine.at(fact.path()) == there {
        return None;
    }
    // What is there after the change is the line to edit.
    let after = there.filter(|_| !is_new).and_then(|_| scope.place(path.as_deref()?));
    let is_former = !is_new && after.is_none();
    let place = after.unwrap_or_else(|| fact.place.clone());
    Some(SourceLine { place, what: fact.fact.clone(), is_former })
}

/// Returns the path of the same fact among others: of an add-on or a cluster in a list by its name.
fn path_in(mine: &Json, others: &Json, path: &[Step]) -> Option<Vec<Step>> {
    if let [Step::Key(list), Step::Index(at), rest @ ..] = path
        && let Some(name) = mine[list.as_str()][*at].get("name")
    {
        let index =
            others[list.as_str()].as_array()?.iter().position(|item| item.get("name") == Some(name))?;
        return Some([&[key(list), Step::Index(index)], rest].concat());
    }
    Some(path.to_vec())
}
