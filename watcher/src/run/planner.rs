//! Planning: what a revision of the base branch changes of what is published there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use renderer::inventory::{FLEET_FILE, Groups};
use renderer::path::{ClusterName, GroupName};
use renderer::snapshot::ENVIRONMENTS;

use super::changes::{Fleet, GroupPlan};
use super::context::Context;
use super::worker::{WorkerSettings, Workers};
use crate::error::CommandError;
use crate::git::{Entry, Revision};

/// Plans what revisions of the base branch change. It remembers what has not changed.
#[derive(Debug)]
pub(super) struct Planner {
    pub workers: Workers,
    /// The last groups of clusters that are gone, by the revision that described them last.
    last_groups: HashMap<Revision, BTreeMap<ClusterName, GroupName>>,
    /// The groups of the base branch, and the file that describes them.
    order: Option<(Option<Entry>, Vec<GroupName>)>,
}

impl Planner {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self { workers: Workers::new(settings), last_groups: HashMap::new(), order: None }
    }

    /// Returns the groups that a revision of the base branch describes, in the order of their release, whatever else is
    /// wrong with it. If they can't be read, the last ones that could count, or else those of a fleet that names none.
    pub(super) fn order(
        &mut self,
        run: &Context<'_>,
        base: Revision,
    ) -> Result<Vec<GroupName>, CommandError> {
        let entry = run.repository().entry_at(base, FLEET_FILE)?;
        if let Some((_, order)) = self.order.as_ref().filter(|(known, _)| *known == entry) {
            return Ok(order.clone());
        }
        let last = || self.order.as_ref().map(|(_, order)| order.clone());
        let order = self.workers.order(run, base)?.or_else(last).unwrap_or_else(|| Groups::default().names());
        self.order = Some((entry, order.clone()));
        Ok(order)
    }

    /// Plans what a revision changes that rendered to `fleet`, by group in the order of release.
    pub(super) fn plan(
        &mut self,
        run: &Context<'_>,
        base: Revision,
        fleet: Fleet,
    ) -> Result<Vec<GroupPlan>, CommandError> {
        let changed = fleet.changes.iter().map(|change| &change.cluster);
        let gone = changed.filter(|cluster| !fleet.groups.contains_key(*cluster)).cloned().collect();
        let gone = self.last_groups(run, base, gone)?;
        Ok(fleet.plan(&gone))
    }

    /// Returns the groups in which clusters were when they were last described before `base`.
    fn last_groups(
        &mut self,
        run: &Context<'_>,
        base: Revision,
        clusters: BTreeSet<ClusterName>,
    ) -> Result<BTreeMap<ClusterName, GroupName>, CommandError> {
        let repository = run.repository();
        let mut groups = BTreeMap::new();
        for cluster in clusters {
            let file = format!("{cluster}.yaml");
            let Some(described) = repository.newest_with_file(base, ENVIRONMENTS, &file)? else { continue };
            if !self.last_groups.contains_key(&described) {
                self.last_groups.insert(described, self.workers.groups(run, described)?);
            }
            if let Some(group) = self.last_groups[&described].get(&cluster) {
                groups.insert(cluster, group.clone());
            }
        }
        Ok(groups)
    }
}
