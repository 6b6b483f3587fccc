//! The plan: what will change on which clusters, as data that people and machines read before it happens.
//!
//! Compares the published files with the rendered ones. Knows nothing of git, of forges or of how files are rendered.
//!
//! The stages: `read` turns bytes into values, `compare` finds the settings that differ, `applications` what becomes of each
//! Application, `risk` names what can hurt, `masks` hides secrets, `group` folds what is the same on many clusters up to their own
//! `facts`, `highlight` says it in a few words, `budget` says when too much would be deleted, and `text` and `markdown` are what
//! people read.

mod applications;
mod budget;
mod canonical;
mod compare;
mod facts;
mod group;
mod highlight;
mod json;
mod key_path;
mod locate;
mod masks;
mod read;
mod risk;
mod sequence;
mod show;
mod skim;
mod version;

pub mod markdown;
pub mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use crate::inventory::OwnFacts;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::yaml::Value;

pub use applications::{ApplicationChange, ApplicationSetting};
pub use budget::{Allowance, Budget, Excess, Refusal, Scope};
pub use canonical::Digest;
pub use facts::Facts;
pub use group::{Entry, Event, Group, RiskGroup};
pub use highlight::{Highlight, What};
pub use key_path::{KeyPath, Step};
pub use locate::{Located, Missing, locate};
pub use risk::{Risk, RiskKind};

/// The largest file whose settings are compared; of a larger one only the size is shown, and none of it is parsed.
///
/// What is rendered stays far below; what is published may have been written by anyone.
pub const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// How many settings of one file are listed one by one.
const MAX_CHANGES: usize = 10_000;

/// A file whose published and rendered bytes differ.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The file.
    pub path: RepoPath,
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// The add-on that it belongs to, if it is not the cluster's own.
    pub addon: Option<AddonName>,
    /// The published bytes; `None` if the file is created.
    pub old: Option<Arc<[u8]>>,
    /// The rendered bytes; `None` if the file is deleted.
    pub new: Option<Arc<[u8]>>,
}

/// What is published now: how many files each cluster and each add-on has.
///
/// Collected from one item a published file. It tells a deleted add-on from one that lost a file, and is the whole of
/// which the deletion budget allows a share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    clusters: BTreeMap<ClusterName, PublishedCluster>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PublishedCluster {
    files: usize,
    addons: BTreeMap<AddonName, usize>,
}

/// How many clusters, add-ons and files there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The clusters.
    pub clusters: usize,
    /// The add-ons, counted once on each cluster.
    pub addons: usize,
    /// The files, whether they belong to an add-on or to a cluster.
    pub files: usize,
}

/// What happens to a cluster, an add-on or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is not published yet.
    Create,
    /// It is there before and after.
    Update,
    /// It is no longer rendered.
    Delete,
}

/// What will change: cluster → add-on → file → settings.
///
/// As JSON it is an object with `clusters` (by name), `published`, `deleted` and `remainingFiles`; `Plan::groups` is the
/// folded form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The clusters that change, by name.
    pub clusters: BTreeMap<ClusterName, ClusterPlan>,
    /// What is published before the plan is applied.
    pub published: Totals,
    /// What the plan deletes; each deletion is counted once, at the highest level where it happens.
    pub deleted: Totals,
    /// How many files are left after the plan has been applied.
    pub remaining_files: usize,
    #[serde(skip)]
    facts: Facts,
}

/// What people read of a plan first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// What it does in a few words.
    pub highlights: Vec<Highlight>,
    /// The risks, most severe first.
    pub risks: Vec<RiskGroup>,
    /// What is the same on many clusters; groups with a risk first, then the ones with the most clusters.
    pub groups: Vec<Group>,
}

/// What changes on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterPlan {
    /// Whether the cluster itself comes or goes.
    pub action: Action,
    /// The risk of the cluster's deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The add-ons that change, by name.
    pub addons: BTreeMap<AddonName, AddonPlan>,
    /// The cluster's own files that change, in the order of their paths.
    pub files: Vec<FilePlan>,
}

/// What changes for an add-on on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddonPlan {
    /// Whether the add-on itself comes or goes.
    pub action: Action,
    /// The risk of the add-on's deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The files that change, in the order of their paths.
    pub files: Vec<FilePlan>,
}

/// What changes in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilePlan {
    /// The file.
    pub path: RepoPath,
    /// Whether the file itself comes or goes.
    pub action: Action,
    /// How many settings come or go with the file; zero for an update.
    pub leaves: usize,
    /// What is risky about the file's coming or going, most severe first; an update has its risks at its changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
    /// The settings that change; empty if the file is created or deleted.
    pub changes: Vec<Change>,
    /// What changes about the Applications that the file makes, if it goes on making any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationChange>,
    #[serde(skip)]
    content: blake3::Hash,
}

/// A setting that appears, changes or goes.
///
/// A file that cannot be read as YAML, or whose values are equal and only spelled differently, is one change of its
/// whole text at the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The Kubernetes object that holds the setting, if the file holds objects.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::shared")]
    pub object: Option<Arc<ObjectName>>,
    /// The setting; empty if the whole object or the whole text changes.
    pub path: KeyPath,
    /// The published value; absent if the setting appears.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::optional")]
    pub old: Option<Value>,
    /// The rendered value; absent if the setting goes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::optional")]
    pub new: Option<Value>,
    /// The most severe risk of the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

/// The identity of a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// Compares what is published with what is rendered.
///
/// `changes` holds the files that differ, in any order; equal files may be among them and are left out. By `facts` the same
/// change is recognised on clusters whose own facts differ; a cluster that is not in them has its name alone.
#[must_use]
pub fn plan(changes: &[FileChange], published: &Published, facts: Facts) -> Plan {
    let mut changes: Vec<&FileChange> = changes.iter().filter(|change| change.old != change.new).collect();
    changes.sort_by(|a, b| (&a.cluster, &a.path).cmp(&(&b.cluster, &b.path)));
    let by_cluster: Vec<&[&FileChange]> = changes.chunk_by(|a, b| a.cluster == b.cluster).collect();
    let clusters: BTreeMap<_, _> = by_cluster
        .par_iter()
        .map_init(read::Memo::default, |memo, files| {
            let name = &files[0].cluster;
            let own = facts.own(name);
            (name.clone(), cluster_plan(files, published.clusters.get(name), &own, memo))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    let totals = published.totals();
    let files = |wanted: Action| files_of(&clusters).filter(|file| file.action == wanted).count();
    Plan {
        published: totals,
        deleted: budget::count_deletions(&clusters),
        remaining_files: (totals.files + files(Action::Create)).saturating_sub(files(Action::Delete)),
        clusters,
        facts,
    }
}

/// Plans one cluster; its files stand in the order of their paths.
fn cluster_plan(
    changes: &[&FileChange],
    published: Option<&PublishedCluster>,
    own: &OwnFacts,
    memo: &mut read::Memo,
) -> ClusterPlan {
    let action = action_of(changes.iter().copied(), published.map_or(0, |cluster| cluster.files));
    let fate = risk::Fate::of(changes);
    let mut addons: BTreeMap<AddonName, AddonPlan> = BTreeMap::new();
    let mut files = Vec::new();
    for change in changes {
        let file = file_plan(change, fate, own, memo);
        match &change.addon {
            Some(addon) => addons.entry(addon.clone()).or_insert_with(AddonPlan::unchanged).files.push(file),
            None => files.push(file),
        }
    }
    for (name, addon) in &mut addons {
        let own = changes.iter().copied().filter(|change| change.addon.as_ref() == Some(name));
        let count = published.and_then(|cluster| cluster.addons.get(name)).copied().unwrap_or(0);
        addon.action = action_of(own, count);
        // The add-ons of a deleted cluster share its risk.
        addon.risk = (addon.action == Action::Delete && action != Action::Delete).then(|| fate.of_addon());
    }
    let risk = (action == Action::Delete).then(|| fate.of_cluster());
    ClusterPlan { action, risk, addons, files }
}

/// Tells what happens to a whole of which `published` files are published.
fn action_of<'a>(changes: impl Iterator<Item = &'a FileChange>, published: usize) -> Action {
    let (mut created, mut updated, mut deleted) = (0, 0, 0);
    for change in changes {
        match change.action() {
            Action::Create => created += 1,
            Action::Update => updated += 1,
            Action::Delete => deleted += 1,
        }
    }
    match (created, updated, deleted) {
        (_, 0, 0) if published == 0 => Action::Create,
        (0, 0, _) if deleted >= published => Action::Delete,
        _ => Action::Update,
    }
}

fn file_plan(change: &FileChange, fate: risk::Fate, own: &OwnFacts, memo: &mut read::Memo) -> FilePlan {
    let path = change.path.clone();
    let content = canonical::content(change.old.as_deref(), change.new.as_deref());
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => FilePlan {
            path,
            action: Action::Update,
            leaves: 0,
            risks: Vec::new(),
            changes: changes_of(old, new, own, memo),
            applications: applications_of(old, new),
            content,
        },
        (old, new) => {
            let action = change.action();
            let changes = compare::whole(old.as_deref().or(new.as_deref()).unwrap_or_default(), action, memo);
            let mut risks = risk::of_file(&changes, action, own);
            if action == Action::Delete {
                risks.insert(0, fate.of_file());
            }
            let leaves = changes.iter().map(compare::count_leaves).sum();
            FilePlan { path, action, leaves, risks, changes: Vec::new(), applications: Vec::new(), content }
        }
    }
}

/// Compares two versions of a file. Very many changes are one of the whole text, with the most severe of their risks.
fn changes_of(old: &[u8], new: &[u8], own: &OwnFacts, memo: &mut read::Memo) -> Vec<Change> {
    let changes = compare::files(old, new, memo).into_iter();
    let changes: Vec<_> = changes
        .map(|change| Change { risk: risk::of_change(&change, own), ..change })
        .map(|change| masks::Versions { old, new }.masked(change))
        .collect();
    if changes.len() <= MAX_CHANGES {
        return changes;
    }
    let risk = changes.iter().filter_map(|change| change.risk).min();
    vec![Change { risk, ..compare::unread(old, new) }]
}

/// Returns what changes about the Applications of a file that can be compared.
fn applications_of(old: &[u8], new: &[u8]) -> Vec<ApplicationChange> {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| text.len() <= MAX_COMPARED_BYTES);
    text(old).zip(text(new)).map_or_else(Vec::new, |(old, new)| applications::changes(old, new))
}

impl FileChange {
    /// Tells what happens to the file.
    #[must_use]
    pub fn action(&self) -> Action {
        match (&self.old, &self.new) {
            (None, _) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        }
    }
}

impl AddonPlan {
    fn unchanged() -> Self {
        Self { action: Action::Update, risk: None, files: Vec::new() }
    }
}

impl Published {
    /// Returns how many clusters, add-ons and files are published.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            clusters: self.clusters.len(),
            addons: self.clusters.values().map(|cluster| cluster.addons.len()).sum(),
            files: self.clusters.values().map(|cluster| cluster.files).sum(),
        }
    }
}

impl<'a> FromIterator<(&'a ClusterName, Option<&'a AddonName>)> for Published {
    /// Counts one item a published file.
    fn from_iter<I: IntoIterator<Item = (&'a ClusterName, Option<&'a AddonName>)>>(files: I) -> Self {
        let mut published = Self::default();
        for (cluster, addon) in files {
            let cluster = count_in(&mut published.clusters, cluster);
            cluster.files += 1;
            if let Some(addon) = addon {
                *count_in(&mut cluster.addons, addon) += 1;
            }
        }
        published
    }
}

/// Returns the entry of `key`, cloning the key only when it is new.
fn count_in<'a, K: Ord + Clone, V: Default>(map: &'a mut BTreeMap<K, V>, key: &K) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.get_mut(key).expect("the key was inserted above")
}

impl Plan {
    /// Returns whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Folds what is the same on many clusters; groups with a risk come first, then the ones with the most clusters.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        group::groups(self, group::slots(self))
    }

    /// Returns what people read of the plan first, all of it folded over the clusters.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let slots = group::slots(self);
        Overview {
            highlights: highlight::highlights(self, &slots),
            risks: self.risks(),
            groups: group::groups(self, slots),
        }
    }

    /// Returns the risks, most severe first, each once for all clusters that run it.
    #[must_use]
    pub fn risks(&self) -> Vec<RiskGroup> {
        group::risks(self)
    }

    /// Returns what the plan deletes beyond what `budget` allows; empty if it may be applied.
    #[must_use]
    pub fn exceeds(&self, budget: &Budget) -> Vec<Excess> {
        budget::excesses(self, budget)
    }

    /// Refuses the plan if it deletes more than `budget` allows and `allowed` does not name its digest.
    pub fn refuse(&self, budget: &Budget, allowed: Option<&str>) -> Result<(), Refusal> {
        budget::refuse(self, budget, allowed)
    }

    /// Returns the digest by which this plan, and no other, can be named.
    #[must_use]
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }

    /// Returns every file that changes, by cluster, add-ons before the cluster's own files.
    pub fn files(&self) -> impl Iterator<Item = &FilePlan> {
        files_of(&self.clusters)
    }
}

impl FilePlan {
    /// Returns the risks of the file, of its changes and of the Applications that it makes.
    pub fn all_risks(&self) -> impl Iterator<Item = Risk> {
        let of_changes = self.changes.iter().filter_map(|change| change.risk);
        let of_applications = self.applications.iter().filter_map(|change| change.risk);
        self.risks.iter().copied().chain(of_changes).chain(of_applications)
    }
}

impl ClusterPlan {
    /// Returns every file that changes on the cluster, add-ons before the cluster's own files.
    pub fn files(&self) -> impl Iterator<Item = &FilePlan> {
        self.addons.values().flat_map(|addon| &addon.files).chain(&self.files)
    }
}

fn files_of(clusters: &BTreeMap<ClusterName, ClusterPlan>) -> impl Iterator<Item = &FilePlan> {
    clusters.values().flat_map(ClusterPlan::files)
}

impl Action {
    /// Returns what was done, for a heading: `added`, `changed` or `removed`.
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Create => "added",
            Self::Update => "changed",
            Self::Delete => "removed",
        }
    }
}

impl ObjectName {
    /// Returns what makes it the same object: of the group and version the group, since versions are views of one object.
    pub(super) fn identity(&self) -> Self {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        Self { api_version: group.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for ObjectName {
    /// Writes kind, namespace and name: `Service istio-system/gateway`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl fmt::Display for Plan {
    /// Writes what a person reads on a terminal in a minute; `text::full` has every file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::summary(self).iter().try_for_each(|line| writeln!(f, "{}", line.text))
    }
}

#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod tests;
