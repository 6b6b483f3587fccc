//! Planning: what a revision of the base branch changes of what is published there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use renderer::path::ClusterName;
use renderer::snapshot::ENVIRONMENTS;

use super::changes::{Fleet, GroupPlan};
use super::context::{Context, Group};
use super::worker::{WorkerSettings, Workers};
use crate::error::CommandError;
use crate::git::Revision;

/// Plans what revisions of the base branch change. It remembers what has not changed.
#[derive(Debug)]
pub(super) struct Planner {
    pub workers: Workers,
    /// The last groups of clusters that are gone, by the revision that described them last.
    last_groups: HashMap<Revision, BTreeMap<ClusterName, Group>>,
}

impl Planner {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self { workers: Workers::new(settings), last_groups: HashMap::new() }
    }

    /// Plans what a revision changes that rendered to `fleet`, by group in the order of publishing.
    pub(super) fn plan(
        &mut self,
        run: &Context<'_>,
        base: Revision,
        fleet: Fleet,
    ) -> Result<Vec<GroupPlan>, CommandError> {
        let changed = fleet.changes.iter().map(|change| &change.cluster);
        let gone = changed.filter(|cluster| !fleet.roles.contains_key(*cluster)).cloned().collect();
        let mut groups = self.last_groups(run, base, gone)?;
        groups.extend(fleet.roles.clone());
        Ok(fleet.plan(|cluster| groups.get(cluster).copied().unwrap_or(Group::App)))
    }

    /// Returns the groups in which clusters were when they were last described before `base`.
    ///
    /// One that history does not describe goes with the apps, as all but a few clusters do.
    fn last_groups(
        &mut self,
        run: &Context<'_>,
        base: Revision,
        clusters: BTreeSet<ClusterName>,
    ) -> Result<BTreeMap<ClusterName, Group>, CommandError> {
        let repository = run.repository();
        let mut groups = BTreeMap::new();
        for cluster in clusters {
            let file = format!("{cluster}.yaml");
            let Some(described) = repository.newest_with_file(base, ENVIRONMENTS, &file)? else { continue };
            if !self.last_groups.contains_key(&described) {
                self.last_groups.insert(described, self.workers.roles(run, described)?);
            }
            if let Some(group) = self.last_groups[&described].get(&cluster) {
                groups.insert(cluster, *group);
            }
        }
        Ok(groups)
    }
}
