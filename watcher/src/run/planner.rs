//! Planning: what a revision of the base branch changes of what is published there.

use std::collections::{BTreeSet, HashMap};

use renderer::inventory::{FLEET_FILE, Groups};
use renderer::path::{ClusterName, GroupName};
use renderer::snapshot::ENVIRONMENTS;

use super::changes::{Fleet, GroupPlan, Members};
use super::context::Context;
use super::worker::{WorkerSettings, Workers};
use crate::error::CommandError;
use crate::git::{Entry, Revision};

/// Plans what revisions of the base branch change. It remembers what has not changed.
#[derive(Debug)]
pub(super) struct Planner {
    pub workers: Workers,
    /// Clusters that are gone, as the revision described them that did so last.
    last_described: HashMap<Revision, Members>,
    /// The groups of the base branch, and the file that describes them.
    order: Option<(Option<Entry>, Vec<GroupName>)>,
}

impl Planner {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self { workers: Workers::new(settings), last_described: HashMap::new(), order: None }
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
        let gone = self.last_described(run, base, gone)?;
        Ok(fleet.plan(&gone))
    }

    /// Returns clusters as they were last described before `base`.
    fn last_described(
        &mut self,
        run: &Context<'_>,
        base: Revision,
        clusters: BTreeSet<ClusterName>,
    ) -> Result<Members, CommandError> {
        let repository = run.repository();
        let mut members = Members::new();
        for cluster in clusters {
            let file = format!("{cluster}.yaml");
            let Some(described) = repository.newest_with_file(base, ENVIRONMENTS, &file)? else { continue };
            if !self.last_described.contains_key(&described) {
                self.last_described.insert(described, self.workers.members(run, described)?);
            }
            if let Some(member) = self.last_described[&described].get(&cluster) {
                members.insert(cluster, member.clone());
            }
        }
        Ok(members)
    }
}
