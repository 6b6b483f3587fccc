//! Publishing: from what changes for a group to its pull request.
//!
//! First it is decided what to do, from what is seen; then it is done. It writes in an order that a kill cannot break:
//! objects that nothing refers to, then the head branch, then the pull request.

use std::collections::BTreeSet;

use renderer::path::GroupName;
use renderer::plan::{FileChange, Plan};
use tracing::{info, warn};

use super::changes::GroupPlan;
use super::context::{Base, Context, Settings, head_of};
use super::describe::{Body, Description};
use super::drift;
use super::effects::{Between, Shown};
use super::head::Head;
use super::heads;
use super::report::{GroupReport, Published};
use super::reviewed::Reviewed;
use crate::error::CommandError;
use crate::forge::{Proposal, Proposed, PullRequest, PullState, REVIEWED_LABEL};
use crate::git::{FilesChanged, GitError, RefUpdate, Repository, Revision, SOURCE_REVISION};

/// Why a pull request was closed whose change is on the base branch by other means, or is no longer wanted.
pub(super) const NOTHING_LEFT: &str = "nothing is left to change";

/// What publishing has to know of the base branch and of earlier runs, for all groups.
pub(super) struct Known {
    pub base: Base,
    /// The groups, in the order of their release.
    pub order: Vec<GroupName>,
    /// What was reviewed of the change of the base's source before it was merged.
    pub reviewed: Option<Reviewed>,
    /// The rendered files that people changed by hand since then.
    pub drift: Vec<FilesChanged>,
    /// The pull requests that wait to be merged and have to stand on the newest base for that.
    pub behind: Vec<u64>,
}

impl Known {
    /// Returns what identifies a change with all that its effects follow from: also from what stays as it is.
    pub(super) fn change(&self, plan: &Plan) -> String {
        format!("{} {}", self.base.source, plan.digest())
    }
}

/// A pull request that does not show yet, or not as far as it can, what its change does to what runs.
pub(super) struct Unfinished {
    pub group: GroupName,
    /// What is compared.
    pub between: Between,
    /// What identifies it.
    pub change: String,
    /// What is known so far.
    pub last: Shown,
    body: Body,
    proposal: Proposal,
}

/// Publishes what changes for a group, whose head branch is at `head`. `effects` is what is known of what that does to what
/// runs: a pull request does not wait for it.
pub(super) fn publish(
    run: &Context<'_>,
    known: &Known,
    planned: GroupPlan,
    mut head: Head,
    effects: Option<Shown>,
) -> Result<(GroupReport, Option<Unfinished>), CommandError> {
    let group = planned.group.clone();
    let taken_back = drift::taken_back(run.repository(), known.base.tip, &planned.files)?;
    let drift = drift::of(&known.drift, &planned.files);
    for changed in &drift {
        let (title, author) = (&changed.commit.title, &changed.commit.author.name);
        info!(%group, commit = %changed.commit.revision, "`{title}` by {author} changed rendered files by hand: putting them back");
    }
    // A person who took the plan back since has the last word.
    let reviewed = known.reviewed.as_ref().filter(|read| taken_back.is_empty() && read.has(&planned));
    let reviewed = reviewed.map(|reviewed| reviewed.number);
    run.cancel.check()?;
    let pulls = run.forge.of_head(&head_of(&group))?;
    check_base(run, known.base, &planned.files)?;
    let open = pulls.iter().find(|pull| pull.state == PullState::Open);
    if let Head::Current { tip, .. } = head
        && open.is_some_and(|open| known.behind.contains(&open.number))
    {
        head = Head::Replaceable(tip);
    }
    let seen = head.clone();
    let description = Description {
        planned: &planned,
        order: &known.order,
        base: known.base.tip,
        source: source_of(run, known.base, &head)?,
        reviewed,
        taken_back: &taken_back,
        drift: &drift,
    };
    let (title, body) = description.write(run, effects.as_ref())?;
    let mut labels = BTreeSet::from([group.to_string()]);
    labels.extend(reviewed.map(|_| REVIEWED_LABEL.to_owned()));
    let mut proposal = Proposal {
        title,
        group: group.to_string(),
        plan: planned.plan.digest().short(),
        base: run.settings.base.clone(),
        base_revision: known.base.tip,
        head: head_of(&group),
        head_revision: known.base.tip,
        labels,
        body: body.with(effects.as_ref()),
    };
    if let Head::Current { tip, parent } = head {
        (proposal.head_revision, proposal.base_revision) = (tip, parent);
    }
    let is_pending = effects.as_ref().is_some_and(Shown::is_pending);
    if let Some(open) = open.filter(|open| is_pending && body.is_around(&open.proposal.body)) {
        // What it shows may be all there is.
        proposal.body.clone_from(&open.proposal.body);
    }
    let done = match decide(run.settings, &planned.plan, &head, &proposal, &pulls) {
        None => Published::Proposed(propose(run, known.base, &planned, &mut head, &mut proposal)?),
        Some(Published::Closed(number)) => close(run, number, &head)?,
        Some(done) => done,
    };
    if let Published::LeftAlone { branch, commit, .. } = &done {
        warn!(%group, branch, commit = %commit.revision, "`{branch}` is not at a commit of Fleetwright: left alone");
    }
    run.cancel.check()?;
    // What was only just pushed or written is left for the next run, so that checks can begin.
    let is_kept = matches!(done, Published::Proposed(Proposed::Unchanged(_))) && seen == head;
    let ready = seen.tip().filter(|_| is_kept && reviewed.is_some());
    let is_proposed = matches!(done, Published::Proposed(_));
    let unfinished =
        effects.clone().filter(|effects| effects.goes_on && is_proposed).map(|last| Unfinished {
            group: group.clone(),
            between: Between::Published(
                known.base.tip,
                planned.files.iter().map(|file| file.path.clone()).collect(),
            ),
            change: known.change(&planned.plan),
            last,
            body,
            proposal,
        });
    let effects = effects.filter(|effects| !effects.is_pending());
    Ok((GroupReport { group, plan: planned.plan, done, reviewed, head, ready, effects }, unfinished))
}

impl Unfinished {
    /// Shows what the change does to what runs, and returns what became of the pull request.
    pub(super) fn finish(mut self, run: &Context<'_>, effects: &Shown) -> Result<Proposed, CommandError> {
        self.proposal.body = self.body.with(Some(effects));
        run.cancel.check()?;
        Ok(run.forge.open_or_update(&self.proposal)?)
    }
}

/// Returns the commit that a head was rendered from: a head that stays as it is goes on naming its own.
fn source_of(run: &Context<'_>, base: Base, head: &Head) -> Result<Revision, GitError> {
    let Head::Current { tip, .. } = head else { return Ok(base.source) };
    let named = run.repository().read_trailer(*tip, SOURCE_REVISION)?;
    Ok(named.and_then(|named| Revision::parse(&named).ok()).unwrap_or(base.source))
}

/// Fails if the plan may be another one on the base branch as it is now: what a run on its newest revision
/// did is not to be undone. A base that only moved on otherwise is no reason to stop, or one that always
/// moves would stop every run.
fn check_base(run: &Context<'_>, base: Base, changes: &[FileChange]) -> Result<(), CommandError> {
    let name = format!("refs/heads/{}", run.settings.base);
    let (repository, found) = (run.repository(), run.upstream.fetch()?.get(&name).copied());
    let is_same = match found {
        None => false,
        Some(found) if found == base.tip => true,
        Some(found) => {
            repository.is_ancestor(base.tip, found)?
                && repository.has_same_inputs(base.tip, found)?
                && repository.has_same_files(base.tip, found, changes.iter().map(|change| &change.path))?
        }
    };
    if is_same { Ok(()) } else { Err(repository.lease_lost(&name, Some(base.tip), found).into()) }
}

/// Decides what becomes of a plan; nothing if its pull request is to be made or changed. `pulls` are those of
/// the group's head branch in order.
fn decide(
    Settings { budget, allow_deletions, .. }: &Settings,
    plan: &Plan,
    head: &Head,
    proposal: &Proposal,
    pulls: &[PullRequest],
) -> Option<Published> {
    let open = pulls.iter().find(|pull| pull.state == PullState::Open);
    if plan.is_empty() && open.is_none() {
        return Some(Published::Nothing);
    }
    if let Some(last) = pulls.last().filter(|last| is_declined(last, proposal)) {
        return Some(Published::Declined(last.number));
    }
    if let Head::Persons(commit) = head {
        let (number, branch, commit) = (open.map(|open| open.number), proposal.head.clone(), commit.clone());
        return Some(Published::LeftAlone { number, branch, commit });
    }
    if let Some(open) = open.filter(|_| plan.is_empty()) {
        return Some(Published::Closed(open.number));
    }
    if let Err(refusal) = plan.refuse(budget, allow_deletions.as_deref()) {
        return Some(Published::Refused(refusal));
    }
    match (open, head) {
        (Some(open), Head::Current { .. }) if open.proposal == *proposal => {
            Some(Published::Proposed(Proposed::Unchanged(open.number)))
        }
        _ => None,
    }
}

/// Returns whether a person has turned down this very plan.
fn is_declined(pull: &PullRequest, proposal: &Proposal) -> bool {
    let by_a_person = matches!(&pull.state, PullState::Closed { reason } if reason != NOTHING_LEFT);
    by_a_person && pull.proposal.plan == proposal.plan
}

fn close(run: &Context<'_>, number: u64, head: &Head) -> Result<Published, CommandError> {
    run.forge.close(number, NOTHING_LEFT, head.tip())?;
    info!(pull_request.number = number, "closed pull request #{number}: {NOTHING_LEFT}");
    Ok(Published::Closed(number))
}

/// Commits, pushes and proposes a group's changes. A head that is as it should be stays, so that no check
/// begins again and no approval is lost.
fn propose(
    run: &Context<'_>,
    base: Base,
    planned: &GroupPlan,
    head: &mut Head,
    proposal: &mut Proposal,
) -> Result<Proposed, CommandError> {
    let (group, seen) = (&planned.group, head.tip());
    if !matches!(head, Head::Current { .. }) {
        let tip = heads::commit_by(Repository::commit, run.repository(), planned, base)?;
        (proposal.base_revision, proposal.head_revision) = (base.tip, tip);
        *head = Head::Current { tip, parent: base.tip };
    }
    run.cancel.check()?;
    let tip = proposal.head_revision;
    if seen != Some(tip) {
        run.forge.admit_push()?;
        run.upstream.update(&[RefUpdate::branch(&proposal.head, seen, Some(tip))])?;
    }
    run.cancel.check()?;
    let proposed = run.forge.open_or_update(proposal)?;
    let (verb, number) = match proposed {
        Proposed::Opened(number) => ("opened", number),
        Proposed::Updated(number) => ("updated", number),
        Proposed::Unchanged(number) => ("kept", number),
    };
    info!(%group, pull_request.number = number, "{verb} pull request #{number} for `{group}`");
    Ok(proposed)
}
