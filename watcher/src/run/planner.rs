//! Planning: what a revision of the base branch renders to, compared with what is published there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use renderer::path::{ClusterName, RepoPath};
use renderer::snapshot::{ENVIRONMENTS, OUTPUT};

use super::changes::{self, GroupPlan};
use super::files::FleetFiles;
use super::group::Group;
use super::worker::{WorkerSettings, Workers};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::git::{FileDelta, FolderMemo, OutputFolder, OutputRoot, Repository, Revision};

/// Renders revisions of the base branch and plans what changes there. It remembers what has not changed.
#[derive(Debug)]
pub(super) struct Planner {
    pub workers: Workers,
    folders: FolderMemo,
    /// The last groups of clusters that are gone, by the revision that described them last.
    last_groups: HashMap<Revision, BTreeMap<ClusterName, Group>>,
}

impl Planner {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        let workers = Workers::new(settings);
        Self { workers, folders: FolderMemo::default(), last_groups: HashMap::new() }
    }

    /// Renders a revision; nothing if it does not render.
    pub(super) fn try_render(
        &mut self,
        git_dir: &Path,
        revision: Revision,
        cancel: &Cancel,
    ) -> Result<Option<Arc<FleetFiles>>, CommandError> {
        match self.workers.render(git_dir, revision, cancel, &()) {
            Err(CommandError::Problems { .. } | CommandError::Worker { .. }) => Ok(None),
            rendered => rendered.map(Some),
        }
    }

    /// Plans what changes at a revision that renders to `fleet`, by group in the order of publishing.
    pub(super) fn plan(
        &mut self,
        repository: &Repository,
        base: Revision,
        fleet: &FleetFiles,
        cancel: &Cancel,
    ) -> Result<Vec<GroupPlan>, CommandError> {
        let deltas = self.deltas(repository, base, fleet)?;
        let owners = deltas.iter().filter_map(|delta| changes::owner(&delta.path));
        let gone: BTreeSet<_> =
            owners.map(|(cluster, _)| cluster).filter(|cluster| !fleet.contains_key(cluster)).collect();
        let gone = self.last_groups(repository, base, gone, cancel)?;
        let group_of = |cluster: &ClusterName| match fleet.get(cluster) {
            Some(described) => Group::from(described.role),
            None => gone.get(cluster).copied().unwrap_or(Group::App),
        };
        Ok(changes::by_group(repository, fleet, group_of, &deltas)?)
    }

    /// Returns the groups in which clusters were when they were last described before `base`.
    ///
    /// One that history does not describe goes with the apps, as all but a few clusters do.
    fn last_groups(
        &mut self,
        repository: &Repository,
        base: Revision,
        clusters: BTreeSet<ClusterName>,
        cancel: &Cancel,
    ) -> Result<BTreeMap<ClusterName, Group>, CommandError> {
        let mut groups = BTreeMap::new();
        for cluster in clusters {
            let file = format!("{cluster}.yaml");
            let Some(described) = repository.newest_with_file(base, ENVIRONMENTS, &file)? else { continue };
            if !self.last_groups.contains_key(&described) {
                let roles = self.workers.roles(repository.git_dir(), described, cancel)?;
                let known = roles.into_iter().map(|(name, role)| (name, role.into())).collect();
                self.last_groups.insert(described, known);
            }
            if let Some(group) = self.last_groups[&described].get(&cluster) {
                groups.insert(cluster, *group);
            }
        }
        Ok(groups)
    }

    fn deltas(
        &mut self,
        repository: &Repository,
        base: Revision,
        fleet: &FleetFiles,
    ) -> Result<Vec<FileDelta>, CommandError> {
        let path = RepoPath::parse(OUTPUT).expect("a constant path");
        let digests = fleet.values().map(|cluster| (&cluster.folder, cluster.digest));
        let unknown = repository.unknown_folders(base, &path, digests, &self.folders)?;
        let changed = fleet.values().filter(|cluster| unknown.contains(&cluster.folder));
        let files: Vec<_> = changed.map(|cluster| (cluster, cluster.sorted())).collect();
        let folders: Vec<_> = files
            .iter()
            .map(|(cluster, files)| OutputFolder {
                path: cluster.folder.clone(),
                digest: cluster.digest,
                files,
            })
            .collect();
        let root = OutputRoot { path, owned: fleet.keys().map(ToString::to_string).collect() };
        Ok(repository.compare(base, &root, &folders, &mut self.folders)?)
    }
}
