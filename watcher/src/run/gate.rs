//! The gate `fleetwright/order`: rendered files of a group are not merged while the plan of a group before it is not
//! empty, or while that is not synced and healthy.
//!
//! What counts is what a head holds and what the base branch still lacks, never what a branch is called or
//! whether a pull request is open: one that was closed by hand leaves its plan behind.

use std::collections::{BTreeMap, BTreeSet};

use renderer::inventory::{FLEET_FILE, FleetFile, Group, Groups, read_fleet};
use renderer::path::{ClusterName, GroupName, RepoPath};
use renderer::plural::{agrees, listed};
use renderer::snapshot::{Snapshot, Source};

use super::changes::GroupPlan;
use super::publish::NOTHING_LEFT;
use super::report::{Published, Why};
use crate::error::CommandError;
use crate::forge::{CommitStatus, Proposal, PullRequest, PullState, StatusState};
use crate::git::{Entry, GitError, Repository, Revision, Upstream, blob_id};

/// The commit status by which the pull request of a group waits for those of the groups before it.
pub const ORDER: &str = "fleetwright/order";
/// The label by which a pull request is not merged for now.
pub const PAUSE_LABEL: &str = "fleetwright: pause";

/// What has to be on the base branch before what a head changes.
#[derive(Debug)]
pub(super) enum Gate {
    /// It is not known, since the base branch does not render or the run failed.
    Unknown,
    /// It is known from the plans.
    Known {
        /// The groups, in the order of their release.
        stages: Vec<Stage>,
        /// Which of them the files of a cluster belong to.
        clusters: BTreeMap<ClusterName, usize>,
        /// Whether Argo CD is asked what became of them.
        is_asked: bool,
    },
}

/// What is left to merge of a group.
#[derive(Debug)]
pub(super) struct Stage {
    /// What the group's plan makes of each file that it changes.
    pub left: BTreeMap<String, Option<Entry>>,
    /// Where the plan stands.
    pub reason: String,
    /// What it has come to, although nothing is left.
    pub health: Health,
    /// Whether its own pull request waits until a fact is taken away.
    pub is_paused: bool,
}

/// What a group has come to that is merged.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the groups after it wait.
    pub hold: Option<Hold>,
    /// The hubs of its clusters that are not asked: for these the merge counts.
    pub unasked: Vec<ClusterName>,
}

/// Why what is merged has to be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub why: Why,
    pub reason: String,
}

/// How many hubs that are not asked are named.
const MAX_NAMED: usize = 2;
/// The status of what is in the first group.
const NOTHING_FIRST: &str = "nothing has to be merged first";

/// What a head changes of the rendered files: the folders right below the output folder, by name.
pub(super) type Folders = BTreeSet<String>;

impl Gate {
    /// Returns how a head stands that changes rendered files in `folders`; nothing if that is not known. The pull
    /// request of a group stands at its place in the order, whatever it changes.
    /// `has` returns whether the head has an entry at a path.
    pub(super) fn status(
        &self,
        own: Option<usize>,
        folders: Option<&Folders>,
        has: impl Fn(&str, Option<&Entry>) -> Result<bool, GitError>,
    ) -> Result<CommitStatus, GitError> {
        if folders.is_some_and(BTreeSet::is_empty) {
            return Ok(status(StatusState::Success, "no rendered file is changed"));
        }
        let Self::Known { stages, clusters, is_asked } = self else {
            if own == Some(0) {
                return Ok(status(StatusState::Success, NOTHING_FIRST));
            }
            let reason = "waits until it is known what has to be merged first: the base does not render";
            return Ok(status(StatusState::Pending, reason));
        };
        let (first, last) = span(own, folders, clusters, stages.len() - 1);
        if own.and_then(|own| stages.get(own)).is_some_and(|own| own.is_paused) {
            return Ok(status(StatusState::Pending, &format!("paused in {FLEET_FILE}")));
        }
        for Stage { left, reason, .. } in stages.iter().take(last) {
            for (path, wanted) in left {
                if !has(path, wanted.as_ref())? {
                    return Ok(status(StatusState::Pending, reason));
                }
            }
        }
        // What a head changes itself is not waited for: a group that fails is put right by a change of it.
        let before = || stages.iter().take(first).map(|stage| &stage.health);
        let holds = || before().filter_map(|health| health.hold.as_ref());
        let unasked: BTreeSet<_> = before().flat_map(|health| &health.unasked).collect();
        let stopped = holds().find(|hold| hold.why == Why::Stopped);
        Ok(match stopped.or_else(|| holds().next()) {
            Some(hold) => status(hold.why.state(), &hold.reason),
            None if last == 0 => status(StatusState::Success, NOTHING_FIRST),
            None if *is_asked && unasked.is_empty() => {
                status(StatusState::Success, "what comes first is merged, synced and healthy")
            }
            None if *is_asked => {
                let (names, verb) = (listed(&unasked, MAX_NAMED), agrees(unasked.len(), "is", "are"));
                let done = "what comes first is merged, and synced and healthy where that is asked";
                status(StatusState::Success, &format!("{done}; the merge counts: {names} {verb} not asked"))
            }
            None => status(StatusState::Success, "what comes first is merged (Argo CD is not asked)"),
        })
    }

    /// Returns what keeps the plan of a group from being merged, if it has one and something does.
    pub(super) fn held(&self, group: usize) -> Option<Why> {
        let Self::Known { stages, .. } = self else { return None };
        let own = stages.get(group).filter(|own| !own.left.is_empty())?;
        let before = stages.get(..group)?;
        if own.is_paused {
            return Some(Why::Paused);
        }
        if before.iter().any(|stage| !stage.left.is_empty()) {
            return Some(Why::Unmerged);
        }
        let holds = || before.iter().filter_map(|stage| Some(stage.health.hold.as_ref()?.why));
        holds().find(|why| *why == Why::Stopped).or_else(|| holds().next())
    }

    /// Takes in what the merged groups have come to, if Argo CD is asked.
    pub(super) fn wait_for(&mut self, healths: Option<Vec<Health>>) {
        if let (Self::Known { stages, is_asked, .. }, Some(healths)) = (self, healths) {
            *is_asked = true;
            for (stage, health) in stages.iter_mut().zip(healths) {
                stage.health = health;
            }
        }
    }
}

/// Returns the first and the last group that a head changes. What belongs to no cluster waits for all.
fn span(
    own: Option<usize>,
    folders: Option<&Folders>,
    clusters: &BTreeMap<ClusterName, usize>,
    last: usize,
) -> (usize, usize) {
    if let Some(own) = own {
        return (own, own);
    }
    let of_folder = |folder: &String| clusters.get(folder.as_str()).copied().unwrap_or(last);
    let changed = || folders.into_iter().flatten().map(of_folder);
    (changed().min().unwrap_or(last), changed().max().unwrap_or(last))
}

/// Returns what a group's plan makes of each file that it changes.
pub(super) fn left(planned: &GroupPlan) -> BTreeMap<String, Option<Entry>> {
    let files = planned.files.iter().filter(|_| !planned.plan.is_empty());
    files.map(|file| (file.path.to_string(), file.new.as_deref().map(Entry::of_file))).collect()
}

/// Returns which group the files of a cluster belong to: those of clusters that are gone, too.
pub(super) fn clusters(
    plans: &[GroupPlan],
    groups: &BTreeMap<ClusterName, GroupName>,
) -> BTreeMap<ClusterName, usize> {
    let position = |group: &GroupName| plans.iter().position(|planned| planned.group == *group);
    let described = groups.iter().filter_map(|(name, group)| Some((name.clone(), position(group)?)));
    let changed = plans
        .iter()
        .enumerate()
        .flat_map(|(index, planned)| planned.files.iter().map(move |file| (file.cluster.clone(), index)));
    changed.chain(described).collect()
}

/// Returns the facts that all clusters of a revision share; nothing if they can't be read. No other file is.
pub fn fleet_at(repository: &Repository, revision: Revision) -> Result<Option<FleetFile>, GitError> {
    let path = RepoPath::parse(FLEET_FILE).expect("a constant path");
    let bytes = repository.read_file(revision, &path)?;
    let file = bytes.map(|bytes| (path, Source { id: blob_id(&bytes), bytes }));
    Ok(read_fleet(&file.into_iter().collect::<Snapshot>()).ok())
}

/// Returns the groups that a revision describes, in the order of their release; nothing if they can't be read.
pub(super) fn order_at(
    repository: &Repository,
    revision: Revision,
) -> Result<Option<Vec<GroupName>>, GitError> {
    Ok(fleet_at(repository, revision)?.map(|fleet| fleet.groups.names()))
}

/// Returns the pull request that has to be merged before `number`, which is that of a group: one of a group before
/// it that is open or was closed by a person, and changes what neither the base branch nor the head of `number` has.
pub fn merged_first(
    upstream: &Upstream,
    pulls: &[PullRequest],
    number: u64,
) -> Result<Option<u64>, CommandError> {
    let asked = pulls.iter().find(|pull| pull.number == number);
    let Some(PullRequest { proposal, state: PullState::Open, .. }) = asked else { return Ok(None) };
    let (repository, base) = (upstream.repository(), upstream.existing_branch(&proposal.base)?);
    let order = order_at(repository, base)?.unwrap_or_else(|| Groups::default().names());
    if order.iter().all(|group| group.as_str() != proposal.group) {
        return Ok(None);
    }
    for group in order.iter().take_while(|group| group.as_str() != proposal.group) {
        let is_its = |pull: &&PullRequest| {
            pull.proposal.group == group.as_str() && pull.proposal.base == proposal.base
        };
        if let Some(first) = pulls.iter().rfind(is_its).filter(|first| is_unmerged(first))
            && lacks(repository, first, [base, proposal.head_revision])?
        {
            return Ok(Some(first.number));
        }
    }
    Ok(None)
}

/// Returns whether the group that a pull request is for is paused on its base branch.
pub fn is_paused(upstream: &Upstream, pull: &PullRequest) -> Result<bool, CommandError> {
    let base = upstream.existing_branch(&pull.proposal.base)?;
    let is_it = |group: &Group| group.paused && group.name.as_str() == pull.proposal.group;
    Ok(fleet_at(upstream.repository(), base)?.is_some_and(|fleet| fleet.groups.iter().any(is_it)))
}

fn is_unmerged(pull: &PullRequest) -> bool {
    match &pull.state {
        PullState::Open => true,
        PullState::Closed { reason } => reason != NOTHING_LEFT,
        PullState::Merged { .. } => false,
    }
}

/// Returns whether a pull request changes a file to what neither of two revisions has.
fn lacks(repository: &Repository, pull: &PullRequest, places: [Revision; 2]) -> Result<bool, GitError> {
    let Proposal { base_revision, head_revision, .. } = pull.proposal;
    for wanted in repository.rendered_differences(base_revision, head_revision)? {
        let [base, head] = places.map(|revision| repository.entry_at(revision, &wanted.path));
        if base? != wanted.new && head? != wanted.new {
            return Ok(true);
        }
    }
    Ok(false)
}

fn status(state: StatusState, description: &str) -> CommitStatus {
    let (context, description) = (ORDER.to_owned(), description.to_owned());
    CommitStatus { context, state, description, target_url: None }
}

/// Returns why a group's plan is not on the base branch.
pub(super) fn reason(group: &GroupName, done: &Published) -> String {
    match done {
        Published::Proposed(proposed) => format!("waits until #{} is merged", proposed.number()),
        Published::Declined(number) => {
            format!("waits for {group}: #{number} was closed, and what it changes is still not on the base")
        }
        Published::LeftAlone { branch, .. } => format!("waits for {group}: a person changed `{branch}`"),
        Published::Refused(_) => format!("waits for {group}: its plan deletes too much and is refused"),
        Published::Nothing | Published::Closed(_) => format!("waits for {group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Proposed;

    /// Groups `hub`, `canary` and `rest`, of one cluster each with the group's name, of which these files are left.
    fn gate(left: [&[&str]; 3], done: &Published) -> Gate {
        let names = ["hub", "canary", "rest"];
        let stage = |(name, left): (&str, &[&str])| Stage {
            left: left.iter().map(|path| ((*path).to_owned(), Some(Entry::of_file(b"new")))).collect(),
            reason: reason(&GroupName::parse(name).unwrap(), done),
            health: Health::default(),
            is_paused: false,
        };
        let clusters = names.iter().map(|name| ClusterName::parse(name).unwrap());
        Gate::Known {
            stages: names.into_iter().zip(left).map(stage).collect(),
            clusters: clusters.zip(0..).collect(),
            is_asked: false,
        }
    }

    fn status_of(gate: &Gate, own: Option<usize>, folders: &[&str], published: &[&str]) -> String {
        let folders = folders.iter().map(ToString::to_string).collect();
        let has = |path: &str, _: Option<&Entry>| Ok(published.contains(&path));
        let status = gate.status(own, Some(&folders), has).unwrap();
        format!("{:?}: {}", status.state, status.description)
    }

    #[test]
    fn a_head_waits_for_all_groups_before_the_last_one_that_it_changes() {
        const NOTHING: &str = "Success: nothing has to be merged first";
        const MERGED: &str = "Success: what comes first is merged (Argo CD is not asked)";
        const OPEN: &str = "Pending: waits until #1 is merged";
        let open = Published::Proposed(Proposed::Unchanged(1));
        let [hub, canary] = ["argocd-apps/hub/a", "argocd-apps/canary/a"];
        let (none, of_hub, of_canary) =
            (gate([&[]; 3], &open), gate([&[hub], &[], &[]], &open), gate([&[], &[canary], &[]], &open));
        for (gate, own, folders, published, status) in [
            (&of_hub, None, &[][..], &[][..], "Success: no rendered file is changed"),
            (&Gate::Unknown, None, &[], &[], "Success: no rendered file is changed"),
            (&of_hub, None, &["hub"], &[], NOTHING),
            (&none, None, &["rest"], &[], MERGED),
            (&of_hub, None, &["canary"], &[], OPEN),
            (&of_hub, None, &["rest"], &[], OPEN),
            (&of_hub, None, &["canary", "hub"], &[], OPEN),
            (&of_hub, None, &["canary", "hub"], &[hub], MERGED),
            (&of_canary, None, &["canary"], &[], MERGED),
            (&of_canary, None, &["rest"], &[], OPEN),
            (&of_canary, None, &["gone"], &[], OPEN),
            (&of_canary, Some(1), &["rest"], &[], MERGED),
            (&of_canary, Some(2), &["canary"], &[], OPEN),
            (&Gate::Unknown, Some(0), &["hub"], &[], NOTHING),
        ] {
            assert_eq!(status_of(gate, own, folders, published), status, "{own:?} {folders:?} {published:?}");
        }
        assert!(status_of(&Gate::Unknown, Some(1), &["canary"], &[]).starts_with("Pending: "));
        let unread = of_canary.status(None, None, |_, _| Ok(false)).unwrap();
        assert_eq!(unread.state, StatusState::Pending, "what was not read may hold anything");
    }

    #[test]
    fn a_head_waits_for_the_health_of_groups_before_the_first_one_that_it_changes() {
        const HEALTHY: &str = "Success: what comes first is merged, synced and healthy";
        const OPEN: &str = "Pending: waits until hub is synced and healthy";
        const STOPPED: &str = "Failure: stopped by canary: web: it is Degraded";
        let hold = |why, reason: &str| Some(Hold { why, reason: reason.to_owned() });
        let open = || hold(Why::Waiting, "waits until hub is synced and healthy");
        let stopped = || hold(Why::Stopped, "stopped by canary: web: it is Degraded");
        let with = |holds: [Option<Hold>; 3]| {
            let mut gate = gate([&[]; 3], &Published::Nothing);
            let health = |hold| Health { hold, ..Health::default() };
            gate.wait_for(Some(holds.into_iter().map(health).collect()));
            gate
        };
        let (healthy, hub) = (with([None, None, None]), with([open(), None, None]));
        let (canary, both) = (with([None, stopped(), None]), with([open(), stopped(), None]));
        for (gate, own, folders, status) in [
            (&healthy, Some(2), &["rest"][..], HEALTHY),
            (&healthy, Some(0), &["hub"], "Success: nothing has to be merged first"),
            (&hub, Some(0), &["hub"], "Success: nothing has to be merged first"),
            (&hub, Some(1), &["canary"], OPEN),
            (&hub, Some(2), &["rest"], OPEN),
            (&canary, Some(1), &["canary"], HEALTHY),
            (&canary, Some(2), &["rest"], STOPPED),
            (&both, Some(2), &["rest"], STOPPED),
            (&both, Some(1), &["canary"], OPEN),
            // A change that is taken back in several groups at once.
            (&canary, None, &["canary", "rest"], HEALTHY),
            (&both, None, &["hub", "canary", "rest"], HEALTHY),
            (&canary, None, &["rest"], STOPPED),
            (&canary, None, &["gone"], STOPPED),
            (&canary, None, &[], "Success: no rendered file is changed"),
        ] {
            assert_eq!(status_of(gate, own, folders, &[]), status, "{own:?} {folders:?}");
        }
        let unread = canary.status(None, None, |_, _| Ok(true)).unwrap();
        assert_eq!(unread.state, StatusState::Failure, "what was not read may hold anything");
    }

    #[test]
    fn a_group_that_is_paused_by_a_fact_waits_itself_and_keeps_no_other_waiting() {
        let mut paused = gate([&[]; 3], &Published::Nothing);
        let Gate::Known { stages, .. } = &mut paused else { unreachable!() };
        stages[1].is_paused = true;
        let of = |own, folder| status_of(&paused, own, &[folder], &[]);
        assert_eq!(of(Some(1), "canary"), "Pending: paused in environments/_fleet.yaml");
        assert!(of(None, "canary").starts_with("Success"), "a change of people takes it back");
        assert!(of(Some(2), "rest").starts_with("Success"));
    }

    #[test]
    fn what_keeps_a_group_is_that_of_the_groups_before_it_unless_it_is_paused() {
        let [hub, canary, rest] = ["argocd-apps/hub/a", "argocd-apps/canary/a", "argocd-apps/rest/a"];
        let held = |left: [&[&str]; 3], holds: [Option<Why>; 2], is_paused: bool| {
            let mut gate = gate(left, &Published::Nothing);
            let hold = |why| Health { hold: Some(Hold { why, reason: String::new() }), ..Health::default() };
            gate.wait_for(Some(holds.map(|why| why.map(hold).unwrap_or_default()).into()));
            let Gate::Known { stages, .. } = &mut gate else { unreachable!() };
            stages[2].is_paused = is_paused;
            [0, 1, 2].map(|at| gate.held(at).map_or("-", Why::label)).join(" ")
        };
        for (left, holds, is_paused, expected) in [
            ([&[][..]; 3], [Some(Why::Waiting), None], true, "- - -"),
            ([&[hub], &[canary], &[rest]], [None, None], false, "- unmerged unmerged"),
            ([&[hub], &[canary], &[rest]], [None, None], true, "- unmerged paused"),
            ([&[], &[canary], &[]], [Some(Why::Waiting), None], false, "- waiting -"),
            ([&[], &[], &[rest]], [Some(Why::Waiting), Some(Why::Stopped)], false, "- - stopped"),
            ([&[], &[], &[rest]], [None, Some(Why::Soaking)], false, "- - soaking"),
            ([&[], &[], &[rest]], [Some(Why::Unknown), None], false, "- - unknown"),
        ] {
            assert_eq!(held(left, holds, is_paused), expected, "{left:?} {holds:?} {is_paused}");
        }
        assert_eq!(Gate::Unknown.held(0), None);
    }

    #[test]
    fn a_pull_request_that_was_closed_by_hand_leaves_the_gate_closed() {
        let declined = gate([&["argocd-apps/hub/a"], &[], &[]], &Published::Declined(7));
        let expected = "Pending: waits for hub: #7 was closed, and what it changes is still not on the base";
        assert_eq!(status_of(&declined, None, &["canary"], &[]), expected);
    }
}
