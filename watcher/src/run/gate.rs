//! The gate `fleetwright/control-first`: rendered files of the apps are not merged while control's plan is not empty.
//!
//! What counts is what a head holds and what the base branch still lacks, never what a branch is called or
//! whether a pull request is open: one that was closed by hand leaves its plan behind.

use std::collections::{BTreeMap, BTreeSet};

use renderer::path::ClusterName;
use renderer::snapshot::OUTPUT;

use super::changes::GroupPlan;
use super::context::Group;
use super::publish::NOTHING_LEFT;
use super::report::Published;
use crate::error::CommandError;
use crate::forge::{CommitStatus, Proposal, PullRequest, PullState, StatusState};
use crate::git::{Entry, GitError, Upstream};

/// The commit status by which the pull request of the apps waits for that of the hubs.
pub const CONTROL_FIRST: &str = "fleetwright/control-first";

/// What of control has to be on the base branch before the apps.
#[derive(Debug)]
pub(super) enum Control {
    /// It is not known, since the base branch does not render or the run failed.
    Unknown,
    /// It is known from the plan.
    Known {
        /// The clusters whose files these are.
        clusters: BTreeSet<ClusterName>,
        /// What control's plan makes of each file that it changes.
        left: BTreeMap<String, Option<Entry>>,
        /// Where the plan stands.
        reason: String,
    },
}

/// What a head changes of the rendered files: the folders right below the output folder, by name.
pub(super) type Folders = BTreeSet<String>;

impl Control {
    /// Returns how control's own pull request stands.
    pub(super) fn first() -> CommitStatus {
        status(StatusState::Success, "holds only what the apps wait for")
    }

    /// Returns how a head stands that changes rendered files in `folders`; nothing if that is not known.
    /// `has` returns whether the head has an entry at a path.
    pub(super) fn status(
        &self,
        folders: Option<&Folders>,
        has: impl Fn(&str, Option<&Entry>) -> Result<bool, GitError>,
    ) -> Result<CommitStatus, GitError> {
        if folders.is_some_and(BTreeSet::is_empty) {
            return Ok(status(StatusState::Success, "no rendered file is changed"));
        }
        let Self::Known { clusters, left, reason } = self else {
            return Ok(status(
                StatusState::Pending,
                "waits until it is known what control lacks: the base does not render",
            ));
        };
        let is_of_control = |folder: &String| clusters.iter().any(|cluster| cluster.as_str() == folder);
        if folders.is_some_and(|folders| folders.iter().all(is_of_control)) {
            return Ok(Self::first());
        }
        for (path, wanted) in left {
            if !has(path, wanted.as_ref())? {
                return Ok(status(StatusState::Pending, reason));
            }
        }
        Ok(status(StatusState::Success, "nothing has to be merged first"))
    }
}

/// Returns what control's plan makes of each file that it changes.
pub(super) fn left(planned: &GroupPlan) -> BTreeMap<String, Option<Entry>> {
    let files = planned.files.iter().filter(|_| !planned.plan.is_empty());
    files.map(|file| (file.path.to_string(), file.new.as_deref().map(Entry::of_file))).collect()
}

/// Returns the pull request of control that has to be merged before `number`, which is one of the apps: one
/// that is open or was closed by a person, and changes what neither the base branch nor the head of `number`
/// has.
pub fn control_first(
    upstream: &Upstream,
    pulls: &[PullRequest],
    number: u64,
) -> Result<Option<u64>, CommandError> {
    let is_of = |pull: &PullRequest, group: Group| pull.proposal.group == group.as_str();
    let asked = pulls.iter().find(|pull| pull.number == number && is_of(pull, Group::App));
    let Some(PullRequest { proposal, state: PullState::Open, .. }) = asked else { return Ok(None) };
    let control =
        pulls.iter().rfind(|pull| is_of(pull, Group::Control) && pull.proposal.base == proposal.base);
    let Some(control) = control.filter(|control| match &control.state {
        PullState::Open => true,
        PullState::Closed { reason } => reason != NOTHING_LEFT,
        PullState::Merged { .. } => false,
    }) else {
        return Ok(None);
    };
    let (repository, base) = (upstream.repository(), upstream.existing_branch(&proposal.base)?);
    let Proposal { base_revision, head_revision, .. } = control.proposal;
    for wanted in repository.differences_below(OUTPUT, base_revision, head_revision)? {
        let has = |revision| Ok::<_, GitError>(repository.entry_at(revision, &wanted.path)? == wanted.new);
        if !has(base)? && !has(proposal.head_revision)? {
            return Ok(Some(control.number));
        }
    }
    Ok(None)
}

fn status(state: StatusState, description: &str) -> CommitStatus {
    let (context, description) = (CONTROL_FIRST.to_owned(), description.to_owned());
    CommitStatus { context, state, description, target_url: None }
}

/// Returns why control's plan is not on the base branch.
pub(super) fn reason(done: &Published) -> String {
    match done {
        Published::Proposed(proposed) => format!("waits until #{} is merged", proposed.number()),
        Published::Declined(number) => {
            format!("waits for control: #{number} was closed, and what it changes is still not on the base")
        }
        Published::LeftAlone { branch, .. } => format!("waits for control: a person changed `{branch}`"),
        Published::Refused(_) => "waits for control: its plan deletes too much and is refused".to_owned(),
        Published::Nothing | Published::Closed(_) => "waits for control".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Proposed;

    fn control(left: &[&str], done: &Published) -> Control {
        Control::Known {
            clusters: [ClusterName::parse("control").unwrap()].into(),
            left: left.iter().map(|path| ((*path).to_owned(), Some(Entry::of_file(b"new")))).collect(),
            reason: reason(done),
        }
    }

    fn status_of(control: &Control, folders: &[&str], published: &[&str]) -> String {
        let folders = folders.iter().map(ToString::to_string).collect();
        let has = |path: &str, _: Option<&Entry>| Ok(published.contains(&path));
        let status = control.status(Some(&folders), has).unwrap();
        format!("{:?}: {}", status.state, status.description)
    }

    #[test]
    fn only_rendered_files_of_the_apps_wait_and_only_while_something_of_control_is_left() {
        let open = Published::Proposed(Proposed::Unchanged(1));
        let (empty, left) = (control(&[], &Published::Nothing), control(&["argocd-apps/control/a"], &open));
        assert_eq!(status_of(&left, &[], &[]), "Success: no rendered file is changed");
        assert_eq!(status_of(&Control::Unknown, &[], &[]), "Success: no rendered file is changed");
        assert_eq!(status_of(&left, &["control"], &[]), "Success: holds only what the apps wait for");
        assert_eq!(status_of(&empty, &["app"], &[]), "Success: nothing has to be merged first");
        assert_eq!(status_of(&left, &["app"], &[]), "Pending: waits until #1 is merged");
        assert_eq!(status_of(&left, &["app", "control"], &[]), "Pending: waits until #1 is merged");
        let whole = ["argocd-apps/control/a"];
        assert_eq!(status_of(&left, &["app", "control"], &whole), "Success: nothing has to be merged first");
        assert!(status_of(&Control::Unknown, &["app"], &[]).starts_with("Pending: "));
        let unread = left.status(None, |_, _| Ok(false)).unwrap();
        assert_eq!(unread.state, StatusState::Pending, "what was not read may hold anything");
    }

    #[test]
    fn a_pull_request_that_was_closed_by_hand_leaves_the_gate_closed() {
        let declined = control(&["argocd-apps/control/a"], &Published::Declined(7));
        let expected =
            "Pending: waits for control: #7 was closed, and what it changes is still not on the base";
        assert_eq!(status_of(&declined, &["app"], &[]), expected);
    }
}
