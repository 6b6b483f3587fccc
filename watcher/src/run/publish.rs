//! Publishing: from what changes for a group to its pull request.
//!
//! First it is decided what to do, from what is seen; then it is done. It writes in an order that a kill cannot break:
//! objects nobody refers to, then the head branch, then the pull request.

use std::collections::BTreeSet;

use renderer::plan::{self, FileChange, Plan, Refusal, markdown};
use renderer::snapshot::OUTPUT;
use tracing::{info, warn};

use super::changes::GroupChanges;
use super::drift;
use super::group::Group;
use super::pipeline::{Settings, Step, Steps};
use super::report::{GroupReport, Published};
use super::review::Read;
use crate::error::CommandError;
use crate::forge::{Forge, Outcome, Ownership, Proposal, PullRequest, PullState};
use crate::git::{
    CommitRequest, CommitSummary, CommitText, FilesChanged, PushError, RefUpdate, Revision, TreeChange,
    Upstream,
};

/// The prefix of every branch that is pushed; no other branch is ever written.
pub const BRANCH_PREFIX: &str = "fleetwright/";
/// The commit status by which the pull request of the apps waits for that of the hubs.
pub const CONTROL_FIRST: &str = "fleetwright/control-first";
/// The label of a pull request whose change was read before its merge.
pub const REVIEWED_LABEL: &str = "fleetwright: reviewed";
/// Why a pull request was closed whose change is on the base branch by other means, or is no longer wanted.
const NOTHING_LEFT: &str = "nothing is left to change";

/// What all groups of a run have in common.
pub(super) struct Ground<'a> {
    pub upstream: &'a Upstream,
    pub forge: Forge<'a>,
    pub settings: &'a Settings,
    pub steps: &'a dyn Steps,
    /// The tip of the base branch.
    pub base: Revision,
    /// The commit that made the inputs what they are.
    pub source: Revision,
    /// What was read of that commit's change before it was merged.
    pub read: Option<Read>,
    /// The rendered files that people changed by hand since then.
    pub drift: Vec<FilesChanged>,
}

/// What there is to do about a plan.
#[derive(Debug)]
enum Decision {
    Nothing,
    Close(u64),
    Decline(u64),
    LeaveAlone(CommitSummary),
    Refuse(Refusal),
    /// There is a pull request that says all this already.
    Keep(u64),
    /// The head branch moves on from where it is, and the pull request with it.
    Propose(Option<Revision>),
}

/// A plan as a pull request presents it.
struct Presented {
    group: Group,
    head: String,
    plan: Plan,
    title: String,
    body: String,
    /// The pull request in which this very plan was read before its merge.
    reviewed: Option<u64>,
}

/// Returns the head branch of a group.
pub(super) fn head_of(group: Group) -> String {
    format!("{BRANCH_PREFIX}{group}")
}

/// Publishes what changes for a group; returns nothing if a step said to stop.
pub(super) fn publish(
    ground: &Ground<'_>,
    group: Group,
    changes: &GroupChanges,
) -> Result<Option<GroupReport>, CommandError> {
    let plan = plan::plan(&changes.files, &changes.published);
    let mut wanted = Presented::new(group, plan, ground.read.as_ref());
    let drift = drift::of(&ground.drift, &changes.files);
    for changed in &drift {
        let (title, author) = (&changed.commit.title, &changed.commit.author.name);
        info!(%group, commit = %changed.commit.revision, "`{title}` by {author} changed rendered files by hand: putting them back");
    }
    wanted.body.push_str(&drift::section(&drift, &ground.settings.base));
    if !ground.steps.may_go_on(Step::Planned(group)) {
        return Ok(None);
    }
    let pulls = ground.forge.of_head(&wanted.head)?;
    let ownership = ground.forge.ownership(&wanted.head)?;
    ground.check_base()?;
    let done = match decide(ground, &wanted, ownership, &pulls) {
        Decision::Nothing => Published::Nothing,
        Decision::Decline(number) => Published::Declined(number),
        Decision::Refuse(refusal) => Published::Refused(refusal),
        Decision::Keep(number) => Published::Proposed(Outcome::Unchanged(number)),
        Decision::LeaveAlone(commit) => leave_alone(&wanted, commit),
        Decision::Close(number) => close(&ground.forge, number)?,
        Decision::Propose(tip) => match propose(ground, &wanted, tip, &changes.files)? {
            Some(outcome) => Published::Proposed(outcome),
            None => return Ok(None),
        },
    };
    let goes_on = ground.steps.may_go_on(Step::Proposed(group));
    let ready = ready(ground, &wanted, &done, &changes.files)?;
    let Presented { plan, reviewed, .. } = wanted;
    Ok(goes_on.then_some(GroupReport { group, plan, done, reviewed, ready }))
}

impl Ground<'_> {
    /// Fails if the base branch has moved on: what a run on its newest revision did is not to be undone.
    fn check_base(&self) -> Result<(), PushError> {
        let found = self.upstream.branch(&self.settings.base)?;
        if found == Some(self.base) {
            return Ok(());
        }
        let name = format!("refs/heads/{}", self.settings.base);
        Err(PushError::LeaseLost { name, expected: Some(self.base), found })
    }
}

/// Decides what to do; `pulls` are those of the group's head branch in order.
fn decide(ground: &Ground<'_>, wanted: &Presented, head: Ownership, pulls: &[PullRequest]) -> Decision {
    let open = pulls.iter().find(|pull| pull.state == PullState::Open);
    let plan = &wanted.plan;
    if plan.is_empty() && open.is_none() {
        return Decision::Nothing;
    }
    if let Some(last) = pulls.last().filter(|last| is_declined(last, plan)) {
        return Decision::Decline(last.number);
    }
    let tip = match head {
        Ownership::Persons(commit) => return Decision::LeaveAlone(commit),
        Ownership::Ours(tip) => Some(tip),
        Ownership::Absent => None,
    };
    if plan.is_empty() {
        return open.map_or(Decision::Nothing, |open| Decision::Close(open.number));
    }
    let Settings { budget, allow_deletions, .. } = ground.settings;
    if let Err(refusal) = plan.refuse(budget, allow_deletions.as_deref()) {
        return Decision::Refuse(refusal);
    }
    match (open, tip) {
        (Some(open), Some(tip)) if open.proposal == wanted.proposal(ground, tip) => {
            Decision::Keep(open.number)
        }
        _ => Decision::Propose(tip),
    }
}

/// Tells whether a person has turned down this very plan.
fn is_declined(pull: &PullRequest, plan: &Plan) -> bool {
    let by_a_person = matches!(&pull.state, PullState::Closed { reason } if reason != NOTHING_LEFT);
    by_a_person && pull.proposal.plan == plan.digest().short()
}

/// Returns the head of a pull request that may be merged by itself: what was read before, in the very commit that a run
/// makes of it. What was only just pushed is left for the next run, so that checks can begin.
fn ready(
    ground: &Ground<'_>,
    wanted: &Presented,
    done: &Published,
    changes: &[FileChange],
) -> Result<Option<Revision>, CommandError> {
    let is_kept = matches!(done, Published::Proposed(Outcome::Unchanged(_)));
    if !(is_kept && ground.settings.merge_reviewed && wanted.reviewed.is_some()) {
        return Ok(None);
    }
    // A committer's name can be borrowed; the id of a commit cannot.
    let revision = commit(ground, &wanted.title, changes)?;
    Ok((ground.upstream.branch(&wanted.head)? == Some(revision)).then_some(revision))
}

fn leave_alone(wanted: &Presented, commit: CommitSummary) -> Published {
    let (group, branch) = (wanted.group, wanted.head.clone());
    warn!(%group, branch, "`{}` by {} is on `{branch}`: left alone", commit.title, commit.author.name);
    Published::LeftAlone { branch, commit }
}

fn close(forge: &Forge<'_>, number: u64) -> Result<Published, CommandError> {
    forge.close(number, NOTHING_LEFT)?;
    info!(pull_request.number = number, "closed pull request #{number}: {NOTHING_LEFT}");
    Ok(Published::Closed(number))
}

/// Commits, pushes and proposes a group's changes; returns nothing if a step said to stop.
fn propose(
    ground: &Ground<'_>,
    wanted: &Presented,
    tip: Option<Revision>,
    changes: &[FileChange],
) -> Result<Option<Outcome>, CommandError> {
    let group = wanted.group;
    let revision = commit(ground, &wanted.title, changes)?;
    if !ground.steps.may_go_on(Step::Committed(group)) {
        return Ok(None);
    }
    if tip != Some(revision) {
        ground.forge.admit_push()?;
        ground.upstream.update(&[RefUpdate::branch(&wanted.head, tip, Some(revision))])?;
    }
    if !ground.steps.may_go_on(Step::Pushed(group)) {
        return Ok(None);
    }
    let outcome = ground.forge.open_or_update(&wanted.proposal(ground, revision))?;
    let (verb, number) = match outcome {
        Outcome::Opened(number) => ("opened", number),
        Outcome::Updated(number) => ("updated", number),
        Outcome::Unchanged(number) => ("kept", number),
    };
    info!(%group, pull_request.number = number, "{verb} pull request #{number} for `{group}`");
    Ok(Some(outcome))
}

fn commit(ground: &Ground<'_>, title: &str, changes: &[FileChange]) -> Result<Revision, CommandError> {
    let changes: Vec<_> = changes
        .iter()
        .map(|change| TreeChange { path: change.path.clone(), content: change.new.clone() })
        .collect();
    Ok(ground.upstream.repository().commit(&CommitRequest {
        base: ground.base,
        changes: &changes,
        roots: &[OUTPUT],
        text: &CommitText::rendered(title, ground.source),
        source: ground.source,
    })?)
}

impl Presented {
    fn new(group: Group, plan: Plan, read: Option<&Read>) -> Self {
        let (title, mut body) = (markdown::title(&plan, group.as_str()), markdown::body(&plan));
        let reviewed = read.filter(|read| read.has(group, &plan)).map(|read| read.number);
        if let Some(number) = reviewed {
            body = format!("This very change was read before the merge of #{number}.\n\n{body}");
        }
        Self { group, head: head_of(group), plan, title, body, reviewed }
    }

    fn proposal(&self, ground: &Ground<'_>, head_revision: Revision) -> Proposal {
        let mut labels = BTreeSet::from([self.group.to_string()]);
        labels.extend(self.reviewed.map(|_| REVIEWED_LABEL.to_owned()));
        Proposal {
            title: self.title.clone(),
            group: self.group.to_string(),
            plan: self.plan.digest().short(),
            base: ground.settings.base.clone(),
            base_revision: ground.base,
            head: self.head.clone(),
            head_revision,
            labels,
            body: self.body.clone(),
        }
    }
}
