//! The rendered files of a fleet as a run holds them: what it compares and publishes, and nothing of how they came about.

use std::collections::BTreeMap;
use std::sync::Arc;

use renderer::inventory::{OwnFacts, Role};
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::Facts;
use renderer::render::Digest;

/// The clusters of a fleet with their files.
pub(super) type FleetFiles = BTreeMap<ClusterName, Arc<ClusterFiles>>;

/// The rendered files of one cluster.
#[derive(Debug)]
pub(super) struct ClusterFiles {
    pub name: ClusterName,
    pub role: Role,
    /// The folder, `argocd-apps/<cluster>`.
    pub folder: RepoPath,
    /// The identity of all files together: equal digests mean equal files.
    pub digest: Digest,
    /// What it has of its own, by which changes are compared.
    pub facts: Arc<OwnFacts>,
    pub units: Vec<Arc<UnitFiles>>,
}

/// The files of an add-on on a cluster, or the cluster's own.
#[derive(Debug)]
pub(super) struct UnitFiles {
    /// The add-on; none for the cluster's own files.
    pub addon: Option<AddonName>,
    pub files: Vec<(RepoPath, Arc<[u8]>)>,
}

/// Returns what the clusters of a fleet have of their own.
pub(super) fn facts_of(fleet: &FleetFiles) -> Facts {
    fleet.values().map(|cluster| (cluster.name.clone(), Arc::clone(&cluster.facts))).collect()
}

impl ClusterFiles {
    /// Returns the files in the order of their paths.
    pub fn sorted(&self) -> Vec<(RepoPath, Arc<[u8]>)> {
        let mut files: Vec<_> = self.units.iter().flat_map(|unit| unit.files.iter().cloned()).collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        files
    }

    /// Returns the files in no particular order.
    pub fn files(&self) -> impl Iterator<Item = (&RepoPath, &Arc<[u8]>)> {
        self.units.iter().flat_map(|unit| unit.files.iter().map(|(path, bytes)| (path, bytes)))
    }

    /// Returns the paths of the files, each with the add-on that it belongs to, in no particular order.
    pub fn paths(&self) -> impl Iterator<Item = (&RepoPath, Option<&AddonName>)> {
        self.units.iter().flat_map(|unit| unit.files.iter().map(|(path, _)| (path, unit.addon.as_ref())))
    }
}

/// Returns how many files there are.
pub(super) fn file_count(fleet: &FleetFiles) -> usize {
    fleet.values().flat_map(|cluster| &cluster.units).map(|unit| unit.files.len()).sum()
}
