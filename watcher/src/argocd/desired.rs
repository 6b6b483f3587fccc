//! The Applications that the rendered files of a revision ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::argo::{Desired, DesiredObjects, desired};
use renderer::inventory::{self, Inventory, InventoryCache};
use renderer::path::{ClusterName, RepoPath};
use renderer::problem::Problem;
use renderer::snapshot::Snapshot;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cluster::Key;

/// The namespace that Argo CD is in by its own documentation.
const ARGO_CD: &str = "argocd";

/// What the rendered files of a revision ask for, by the hub that runs it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DesiredFleet {
    /// The groups, in the order of their release.
    pub groups: Vec<String>,
    /// What is for the Argo CD of each hub: at least one, which has no name if no hub is described.
    pub hubs: Vec<HubFleet>,
}

/// What is for the Argo CD of one hub.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HubFleet {
    /// The hub.
    pub hub: Option<ClusterName>,
    /// The repository that Argo CD reads, as the fleet names it.
    pub repository: String,
    /// The groups of the fleet, in the order of their release.
    pub groups: Vec<String>,
    /// The Applications.
    #[serde(serialize_with = "as_pairs", deserialize_with = "of_pairs")]
    pub applications: BTreeMap<Key, Wanted>,
    /// The names of the `ApplicationSet`s, each with whether it makes Applications that no file names.
    pub sets: BTreeMap<String, bool>,
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
}

impl DesiredFleet {
    /// Reads what a revision asks for from its sources and from the objects in its clusters' folders.
    ///
    /// Clusters whose facts have problems belong to no group. A file that is not YAML is a problem: what it asks for
    /// would be missed.
    pub fn read(snapshot: &Snapshot, files: &[(RepoPath, Arc<[u8]>)]) -> Result<Self, Vec<Problem>> {
        let (inventory, _) = inventory::read(snapshot, &mut InventoryCache::default());
        let hubs = inventory.clusters.values().filter(|cluster| cluster.is_hub());
        let mut hubs: Vec<_> = hubs.map(|cluster| Some(cluster.name.clone())).collect();
        if hubs.is_empty() {
            hubs.push(None);
        }
        let groups: Vec<_> =
            inventory.fleet.facts.groups.iter().map(|group| group.name.to_string()).collect();
        let of_hub = |hub| HubFleet {
            hub,
            repository: inventory.fleet.facts.repository.url.clone(),
            groups: groups.clone(),
            ..HubFleet::default()
        };
        let mut fleet = Self { hubs: hubs.into_iter().map(of_hub).collect(), groups };
        let mut problems = Vec::new();
        for (path, bytes) in files {
            let text = std::str::from_utf8(bytes).ok();
            match text.and_then(desired) {
                Some(objects) => fleet.add(&inventory, path, &objects),
                None => problems.push(
                    Problem::in_whole_file(path, "the rendered file is not YAML")
                        .found_by("files")
                        .hint("merge the next pull request of Fleetwright, or commit what `fleetwright render` writes"),
                ),
            }
        }
        if problems.is_empty() { Ok(fleet) } else { Err(problems) }
    }

    /// Takes in the objects of a file. Those of a cluster that is no longer described are for any hub.
    fn add(&mut self, inventory: &Inventory, path: &RepoPath, objects: &DesiredObjects) {
        let folder = path.components().nth(1).unwrap_or_default();
        let cluster = inventory.clusters.get(folder);
        let group = cluster.and_then(|cluster| inventory.group_of(&cluster.name)).map(ToString::to_string);
        let hub = cluster.map(|cluster| &cluster.hub);
        let is_for =
            |fleet: &&mut HubFleet| hub.is_none() || fleet.hub.is_none() || fleet.hub.as_ref() == hub;
        for fleet in self.hubs.iter_mut().filter(is_for) {
            fleet.applications.extend(objects.applications.iter().map(|desired| {
                let key = Key { namespace: desired.namespace.clone(), name: desired.name.clone() };
                let (desired, cluster, group) = (desired.clone(), folder.to_owned(), group.clone());
                (key, Wanted { desired, cluster, group })
            }));
            fleet.sets.extend(objects.sets.iter().map(|(name, is_open)| (name.clone(), *is_open)));
        }
    }

    /// Returns the clusters of a group.
    #[must_use]
    pub fn clusters(&self, group: &str) -> BTreeSet<&str> {
        self.hubs.iter().flat_map(|hub| hub.clusters(Some(group))).collect()
    }
}

impl HubFleet {
    /// Returns the namespace that Argo CD and its Applications are in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.applications.keys().next().map_or(ARGO_CD, |key| &key.namespace)
    }

    /// Returns the clusters of a group, or of all.
    #[must_use]
    pub fn clusters(&self, group: Option<&str>) -> BTreeSet<&str> {
        let is_its = |wanted: &&Wanted| group.is_none() || wanted.group.as_deref() == group;
        self.applications.values().filter(is_its).map(|wanted| wanted.cluster.as_str()).collect()
    }

    /// Returns what is asked for of the clusters of a group, with what brings it in; nothing if nothing is.
    #[must_use]
    pub fn of_group(&self, group: &str) -> Option<Self> {
        let is_its = |wanted: &Wanted| wanted.group.as_deref() == Some(group);
        let has_own = self.applications.values().any(is_its);
        let its = self.applications.iter().filter(|(_, wanted)| wanted.is_root() || is_its(wanted));
        let applications = its.map(|(key, wanted)| (key.clone(), wanted.clone())).collect();
        let (repository, groups) = (self.repository.clone(), self.groups.clone());
        has_own.then(|| Self { repository, groups, applications, ..Self::default() })
    }
}

impl Wanted {
    /// Returns whether it brings in what is described for the clusters: it is written out, and reads all of it.
    #[must_use]
    pub fn is_root(&self) -> bool {
        let reads_all = |path: &str| path.trim_end_matches('/') == renderer::root::APPLICATIONS;
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
