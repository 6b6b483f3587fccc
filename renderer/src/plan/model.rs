//! The plan as data: cluster → add-on → file → setting.
//!
//! Knows nothing of how a plan is made or shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::applications::ApplicationChange;
use super::facts::Facts;
use super::risk::kind::Risk;
use crate::key_path::KeyPath;
use crate::manifests::ObjectName;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::yaml::Value;

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
/// Collected from one item a published file. It distinguishes a deleted add-on from one that lost a file, and
/// is the whole of which the deletion budget allows a share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub(super) clusters: BTreeMap<ClusterName, PublishedCluster>,
}

/// What is published of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedCluster {
    pub files: usize,
    /// How many add-ons there are, and how many files those have of which any changes.
    pub addons: usize,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files_of: BTreeMap<AddonName, usize>,
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
/// As JSON it is an object with `clusters` (by name), `published`, `deleted` and `remainingFiles`;
/// `Plan::groups` is the folded form.
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
    pub(crate) facts: Facts,
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
    pub(super) content: blake3::Hash,
}

/// A setting that appears, changes or goes.
///
/// A file that cannot be read as YAML, or whose values are equal and only spelled differently, is one change of its
/// whole text at the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Change {
    /// The Kubernetes object that holds the setting, if the file holds objects.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    pub object: Option<Arc<ObjectName>>,
    /// The setting; empty if the whole object or the whole text changes.
    pub path: KeyPath,
    /// The published value; absent if the setting appears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The rendered value; absent if the setting goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// The most severe risk of the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn shared<T: Serialize, S: Serializer>(value: &Option<Arc<T>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}

impl FileChange {
    /// Returns what happens to the file.
    pub(crate) fn action(&self) -> Action {
        match (&self.old, &self.new) {
            (None, _) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        }
    }
}

impl Published {
    /// Returns how many clusters, add-ons and files are published.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            clusters: self.clusters.len(),
            addons: self.clusters.values().map(|cluster| cluster.addons).sum(),
            files: self.clusters.values().map(|cluster| cluster.files).sum(),
        }
    }
}

impl Published {
    /// Returns what is published of some clusters.
    #[must_use]
    pub fn only(&self, is_meant: impl Fn(&ClusterName) -> bool) -> Self {
        let clusters = self.clusters.iter().filter(|(name, _)| is_meant(name));
        Self { clusters: clusters.map(|(name, cluster)| (name.clone(), cluster.clone())).collect() }
    }

    /// Leaves out what no plan of these changes asks for: the files of each add-on that does not change.
    #[must_use]
    pub fn about(mut self, changes: &[FileChange]) -> Self {
        let units: BTreeSet<_> =
            changes.iter().map(|change| (&change.cluster, change.addon.as_ref())).collect();
        for (name, cluster) in &mut self.clusters {
            cluster.files_of.retain(|addon, _| units.contains(&(name, Some(addon))));
        }
        self
    }
}

impl<'a> FromIterator<(&'a ClusterName, Option<&'a AddonName>)> for Published {
    /// Counts one item a published file.
    fn from_iter<I: IntoIterator<Item = (&'a ClusterName, Option<&'a AddonName>)>>(files: I) -> Self {
        let mut published = Self::default();
        for (cluster, addon) in files {
            let cluster = published.clusters.entry(cluster.clone()).or_default();
            cluster.files += 1;
            if let Some(addon) = addon {
                *cluster.files_of.entry(addon.clone()).or_default() += 1;
            }
        }
        for cluster in published.clusters.values_mut() {
            cluster.addons = cluster.files_of.len();
        }
        published
    }
}

impl Plan {
    /// Returns whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Returns the clusters that it deletes since they are described under another name, with that.
    pub(super) fn renamed(&self) -> impl Iterator<Item = (&ClusterName, &ClusterName)> {
        let is = |name, action| self.clusters.get(name).is_some_and(|it: &ClusterPlan| it.action == action);
        self.facts
            .renamed
            .iter()
            .filter(move |(old, new)| is(*old, Action::Delete) && is(*new, Action::Create))
    }

    /// Returns every file that changes, by cluster, add-ons before the cluster's own files.
    pub fn files(&self) -> impl Iterator<Item = &FilePlan> {
        self.clusters.values().flat_map(ClusterPlan::files)
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

impl Action {
    /// Returns what was done, for a heading: `added`, `changed` or `removed`.
    pub(crate) fn past(self) -> &'static str {
        match self {
            Self::Create => "added",
            Self::Update => "changed",
            Self::Delete => "removed",
        }
    }
}
