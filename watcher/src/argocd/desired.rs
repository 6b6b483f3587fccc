//! The Applications that the rendered files of a revision ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::argo::{Desired, desired};
use renderer::inventory::{self, Inventory, InventoryCache};
use renderer::path::{ClusterName, RepoPath};
use renderer::problem::Problem;
use renderer::snapshot::Snapshot;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cluster::Key;

/// The namespace that Argo CD is in by its own documentation.
const ARGO_CD: &str = "argocd";

/// What the rendered files of a revision ask for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DesiredFleet {
    /// The repository that Argo CD reads, as the fleet names it.
    pub repository: String,
    /// The Applications.
    #[serde(serialize_with = "as_pairs", deserialize_with = "of_pairs")]
    pub applications: BTreeMap<Key, Wanted>,
    /// The names of the `ApplicationSet`s, each with whether it makes Applications that no file names.
    pub sets: BTreeMap<String, bool>,
    /// The groups, in the order of their release.
    pub groups: Vec<String>,
    /// The hubs, each with an Argo CD of its own.
    pub hubs: BTreeSet<ClusterName>,
}

/// An Application that is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// What it is made of.
    pub desired: Desired,
    /// The cluster whose folder it is described in.
    pub cluster: String,
    /// The group that the cluster is published with; none if the cluster is no longer described.
    pub group: Option<String>,
    /// The hub of the cluster, as far as it is known.
    pub hub: Option<ClusterName>,
}

impl DesiredFleet {
    /// Reads what a revision asks for from its sources and from the objects in its clusters' folders.
    ///
    /// Clusters whose facts have problems belong to no group. A file that is not YAML is a problem: what it asks for
    /// would be missed.
    pub fn read(snapshot: &Snapshot, files: &[(RepoPath, Arc<[u8]>)]) -> Result<Self, Vec<Problem>> {
        let (inventory, _) = inventory::read(snapshot, &mut InventoryCache::default());
        let hubs = inventory.clusters.values().filter(|cluster| cluster.is_hub());
        let mut fleet = Self {
            repository: inventory.fleet.facts.repository.url.clone(),
            groups: inventory.fleet.facts.groups.iter().map(|group| group.name.to_string()).collect(),
            hubs: hubs.map(|cluster| cluster.name.clone()).collect(),
            ..Self::default()
        };
        let mut problems = Vec::new();
        for (path, bytes) in files {
            let text = std::str::from_utf8(bytes).ok();
            match text.and_then(desired) {
                Some(objects) => fleet.add(&inventory, path, objects),
                None => problems.push(
                    Problem::in_whole_file(path, "the rendered file is not YAML")
                        .found_by("files")
                        .hint("merge the next pull request of Fleetwright, or commit what `fleetwright render` writes"),
                ),
            }
        }
        if problems.is_empty() { Ok(fleet) } else { Err(problems) }
    }

    fn add(&mut self, inventory: &Inventory, path: &RepoPath, objects: renderer::argo::DesiredObjects) {
        let folder = path.components().nth(1).unwrap_or_default();
        let cluster = inventory.clusters.get(folder);
        let group = cluster.and_then(|cluster| inventory.group_of(&cluster.name)).map(ToString::to_string);
        let hub = cluster.map(|cluster| cluster.hub.clone());
        for desired in objects.applications {
            let key = Key { namespace: desired.namespace.clone(), name: desired.name.clone() };
            let (cluster, group, hub) = (folder.to_owned(), group.clone(), hub.clone());
            self.applications.insert(key, Wanted { desired, cluster, group, hub });
        }
        self.sets.extend(objects.sets);
    }

    /// Returns the namespace that Argo CD and its Applications are in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.applications.keys().next().map_or(ARGO_CD, |key| &key.namespace)
    }

    /// Returns what is asked for of the clusters of a group, with what brings it in; nothing if nothing is.
    #[must_use]
    pub fn of_group(&self, group: &str) -> Option<Self> {
        let is_its = |wanted: &Wanted| wanted.group.as_deref() == Some(group);
        let has_own = self.applications.values().any(is_its);
        let its = self.applications.iter().filter(|(_, wanted)| wanted.is_root() || is_its(wanted));
        let applications = its.map(|(key, wanted)| (key.clone(), wanted.clone())).collect();
        let (repository, groups) = (self.repository.clone(), self.groups.clone());
        has_own.then(|| Self { repository, applications, groups, ..Self::default() })
    }

    /// Leaves only what is for the Argo CD of one hub: the one whose `ApplicationSet` is there, or the only one.
    ///
    /// Returns the hubs between which nothing decides.
    pub fn of_one_hub(&mut self, is_there: impl Fn(&str) -> bool) -> Result<(), Vec<ClusterName>> {
        let mut hubs: Vec<_> = self.hubs.iter().filter(|hub| is_there(hub.as_str())).cloned().collect();
        if hubs.is_empty() {
            hubs = self.hubs.iter().cloned().collect();
        }
        match &hubs[..] {
            [] => Ok(()),
            [hub] => {
                self.applications.retain(|_, wanted| wanted.hub.as_ref().is_none_or(|of| of == hub));
                self.hubs.retain(|other| other == hub);
                Ok(())
            }
            _ => Err(hubs),
        }
    }
}

impl Wanted {
    /// Returns whether it brings in what is described for the clusters: it is written out, and reads all of it.
    #[must_use]
    pub fn is_root(&self) -> bool {
        let reads_all = |path: &str| path.trim_end_matches('/') == renderer::snapshot::OUTPUT;
        self.desired.set.is_none() && self.desired.sources.iter().any(|source| reads_all(&source.path))
    }
}

/// Writes a map whose keys are no text.
fn as_pairs<S: Serializer>(map: &BTreeMap<Key, Wanted>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map)
}

fn of_pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Key, Wanted>, D::Error> {
    Ok(Vec::deserialize(deserializer)?.into_iter().collect())
}
