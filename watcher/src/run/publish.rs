//! Publishing: from what changes for a group to its pull request.
//!
//! First it is decided what to do, from what is seen; then it is done. It writes in an order that a kill cannot break:
//! objects nobody refers to, then the head branch, then the pull request.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use renderer::plan::{FileChange, Plan, Refusal, markdown};
use tracing::{info, warn};

use super::describe::{self, Links};
use super::drift;
use super::foreign;
use super::group::Group;
use super::heads::{GroupCommit, Head};
use super::pipeline::{Settings, Step, Steps};
use super::report::{GroupReport, Published};
use super::review::Read;
use crate::error::CommandError;
use crate::forge::{Forge, Outcome, Proposal, PullRequest, PullState, REVIEWED_LABEL};
use crate::git::{CommitSummary, FilesChanged, PushError, RefUpdate, Revision, SOURCE_REVISION, Upstream};

/// How the names of all head branches begin. Only those of the groups are ours; the rest below it is reserved.
pub const BRANCH_PREFIX: &str = "fleetwright/";
/// The commit status by which the pull request of the apps waits for that of the hubs.
pub const CONTROL_FIRST: &str = "fleetwright/control-first";
/// Why a pull request was closed whose change is on the base branch by other means, or is no longer wanted.
pub(super) const NOTHING_LEFT: &str = "nothing is left to change";

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
    /// The pull requests that wait to be merged and have to stand on the newest base for that.
    pub behind: Vec<u64>,
}

/// What is to be published of a group.
pub(super) struct Wanted<'a> {
    pub group: Group,
    pub changes: &'a [FileChange],
    pub plan: Plan,
    /// Whose its head branch is.
    pub head: Head,
}

/// What there is to do about a plan.
#[derive(Debug)]
enum Decision {
    Nothing,
    Close(u64),
    Decline(u64),
    LeaveAlone(Option<u64>, CommitSummary),
    Refuse(Refusal),
    /// There is a pull request that says all this already.
    Keep(u64),
    /// The pull request is made or changed; its head branch moves unless it is where it should be.
    Propose,
}

/// A plan as a pull request presents it.
struct Presented<'a> {
    group: Group,
    branch: String,
    plan: Plan,
    title: String,
    body: String,
    changes: &'a [FileChange],
    head: Head,
    /// The commits that took back what the plan puts there again.
    taken_back: Vec<FilesChanged>,
    /// The pull request in which this very plan was read before its merge.
    reviewed: Option<u64>,
}

/// Returns the head branch of a group.
pub(super) fn head_of(group: Group) -> String {
    format!("{BRANCH_PREFIX}{group}")
}

/// Returns the head branches of all groups: no other branch is ever read as ours, written or deleted.
pub(super) fn heads() -> [String; 2] {
    Group::ALL.map(head_of)
}

/// Publishes what changes for a group; returns nothing if a step said to stop.
pub(super) fn publish(ground: &Ground<'_>, wanted: Wanted<'_>) -> Result<Option<GroupReport>, CommandError> {
    let group = wanted.group;
    let mut wanted = Presented::new(wanted, ground)?;
    let drift = drift::of(&ground.drift, wanted.changes);
    for changed in &drift {
        let (title, author) = (&changed.commit.title, &changed.commit.author.name);
        info!(%group, commit = %changed.commit.revision, "`{title}` by {author} changed rendered files by hand: putting them back");
    }
    if !ground.steps.may_go_on(Step::Planned(group)) {
        return Ok(None);
    }
    let pulls = ground.forge.of_head(&wanted.branch)?;
    ground.check_base(wanted.changes)?;
    if let Head::Current { tip, .. } = wanted.head
        && pulls.iter().any(|pull| pull.state == PullState::Open && ground.behind.contains(&pull.number))
    {
        wanted.head = Head::Replaceable(tip);
    }
    let seen = wanted.head.clone();
    wanted.describe(ground, &drift)?;
    let done = match decide(ground, &wanted, &pulls) {
        Decision::Nothing => Published::Nothing,
        Decision::Decline(number) => Published::Declined(number),
        Decision::Refuse(refusal) => Published::Refused(refusal),
        Decision::Keep(number) => Published::Proposed(Outcome::Unchanged(number)),
        Decision::LeaveAlone(number, commit) => leave_alone(&wanted, number, commit),
        Decision::Close(number) => close(&ground.forge, number, &wanted.head)?,
        Decision::Propose => match propose(ground, &mut wanted)? {
            Some(outcome) => Published::Proposed(outcome),
            None => return Ok(None),
        },
    };
    let goes_on = ground.steps.may_go_on(Step::Proposed(group));
    // What was only just pushed or written is left for the next run, so that checks can begin.
    let is_kept = matches!(done, Published::Proposed(Outcome::Unchanged(_))) && seen == wanted.head;
    let ready = seen.tip().filter(|_| is_kept && wanted.reviewed.is_some());
    let Presented { plan, reviewed, head, .. } = wanted;
    Ok(goes_on.then_some(GroupReport { group, plan, done, reviewed, head, ready }))
}

impl Ground<'_> {
    /// Fails if the plan may be another one on the base branch as it is now: what a run on its newest revision did is not
    /// to be undone. A base that only moved on otherwise is no reason to stop, or one that always moves would stop every run.
    fn check_base(&self, changes: &[FileChange]) -> Result<(), CommandError> {
        let name = format!("refs/heads/{}", self.settings.base);
        let found = self.upstream.fetch()?.get(&name).copied();
        if found == Some(self.base) {
            return Ok(());
        }
        let repository = self.upstream.repository();
        if let Some(found) = found
            && repository.is_ancestor(self.base, found)?
            && repository.has_same_inputs(self.base, found)?
            && repository.has_same_files(self.base, found, changes.iter().map(|change| &change.path))?
        {
            return Ok(());
        }
        Err(PushError::LeaseLost { name, expected: Some(self.base), found }.into())
    }
}

/// Decides what to do; `pulls` are those of the group's head branch in order.
fn decide(ground: &Ground<'_>, wanted: &Presented<'_>, pulls: &[PullRequest]) -> Decision {
    let open = pulls.iter().find(|pull| pull.state == PullState::Open);
    let plan = &wanted.plan;
    if plan.is_empty() && open.is_none() {
        return Decision::Nothing;
    }
    if let Some(last) = pulls.last().filter(|last| is_declined(last, plan)) {
        return Decision::Decline(last.number);
    }
    if let Head::Persons(commit) = &wanted.head {
        return Decision::LeaveAlone(open.map(|open| open.number), commit.clone());
    }
    if plan.is_empty() {
        return open.map_or(Decision::Nothing, |open| Decision::Close(open.number));
    }
    let Settings { budget, allow_deletions, .. } = ground.settings;
    if let Err(refusal) = plan.refuse(budget, allow_deletions.as_deref()) {
        return Decision::Refuse(refusal);
    }
    match (open, &wanted.head) {
        (Some(open), Head::Current { tip, parent })
            if open.proposal == wanted.proposal(ground, *parent, *tip) =>
        {
            Decision::Keep(open.number)
        }
        _ => Decision::Propose,
    }
}

/// Returns whether a person has turned down this very plan.
fn is_declined(pull: &PullRequest, plan: &Plan) -> bool {
    let by_a_person = matches!(&pull.state, PullState::Closed { reason } if reason != NOTHING_LEFT);
    by_a_person && pull.proposal.plan == plan.digest().short()
}

fn leave_alone(wanted: &Presented<'_>, number: Option<u64>, commit: CommitSummary) -> Published {
    let (group, branch) = (wanted.group, wanted.branch.clone());
    warn!(%group, branch, commit = %commit.revision, "`{branch}` is not at a commit of Fleetwright: left alone");
    Published::LeftAlone { number, branch, commit }
}

fn close(forge: &Forge<'_>, number: u64, head: &Head) -> Result<Published, CommandError> {
    forge.close(number, NOTHING_LEFT, head.tip())?;
    info!(pull_request.number = number, "closed pull request #{number}: {NOTHING_LEFT}");
    Ok(Published::Closed(number))
}

/// Commits, pushes and proposes a group's changes; returns nothing if a step said to stop. A head that is as it should be
/// stays, so that no check begins again and no approval is lost.
fn propose(ground: &Ground<'_>, wanted: &mut Presented<'_>) -> Result<Option<Outcome>, CommandError> {
    let (group, seen) = (wanted.group, wanted.head.tip());
    if !matches!(wanted.head, Head::Current { .. }) {
        let commit = GroupCommit::new(group, &wanted.plan, wanted.changes);
        let tip = commit.make(ground.upstream.repository(), ground.base, ground.source)?;
        wanted.head = Head::Current { tip, parent: ground.base };
    }
    let Head::Current { tip, parent } = wanted.head else { return Ok(None) };
    if !ground.steps.may_go_on(Step::Committed(group)) {
        return Ok(None);
    }
    if seen != Some(tip) {
        ground.forge.admit_push()?;
        ground.upstream.update(&[RefUpdate::branch(&wanted.branch, seen, Some(tip))])?;
    }
    if !ground.steps.may_go_on(Step::Pushed(group)) {
        return Ok(None);
    }
    let outcome = ground.forge.open_or_update(&wanted.proposal(ground, parent, tip))?;
    let (verb, number) = match outcome {
        Outcome::Opened(number) => ("opened", number),
        Outcome::Updated(number) => ("updated", number),
        Outcome::Unchanged(number) => ("kept", number),
    };
    info!(%group, pull_request.number = number, "{verb} pull request #{number} for `{group}`");
    Ok(Some(outcome))
}

impl<'a> Presented<'a> {
    fn new(wanted: Wanted<'a>, ground: &Ground<'_>) -> Result<Self, CommandError> {
        let Wanted { group, changes, plan, head } = wanted;
        let taken_back = drift::taken_back(ground, changes)?;
        let reviewed = reviewed(ground.read.as_ref(), group, &plan, &taken_back);
        let (title, body) = (String::new(), String::new());
        Ok(Self { group, branch: head_of(group), plan, title, body, changes, head, taken_back, reviewed })
    }

    /// Writes the title and the body: the source that the head names, what changes, and what people changed by hand.
    fn describe(&mut self, ground: &Ground<'_>, drift: &[FilesChanged]) -> Result<(), CommandError> {
        let repository = ground.upstream.repository();
        let source = self.source(ground)?;
        let commit = repository.commit_summary(source)?;
        let links = Links { web: ground.forge.web(), branch: ground.settings.base.clone() };
        let risks = links.risks(repository, ground.base)?;
        let limit = markdown::BODY_LIMIT - markdown::BODY_MARGIN - describe::MARGIN;
        let title = describe::title(self.group, &commit);
        self.title = title.unwrap_or_else(|| markdown::title(&self.plan, self.group.as_str()));
        self.body = describe::origin(&links, &commit);
        if let Some(number) = self.reviewed {
            let _ = writeln!(self.body, "This very change was read before the merge of #{number}.\n");
        }
        self.body.push_str(&markdown::body_within(&self.plan, limit, risks.as_deref()));
        self.body.push_str(&foreign::section(self.changes));
        self.body.push_str(&drift::section(&self.taken_back, drift, &ground.settings.base));
        let parents = repository.parents(source)?.len();
        self.body.push_str(&describe::ways(&links, self.group, &self.plan, source, parents));
        Ok(())
    }

    /// Returns the commit that the head was rendered from: a head that stays as it is goes on naming its own.
    fn source(&self, ground: &Ground<'_>) -> Result<Revision, CommandError> {
        let Head::Current { tip, .. } = self.head else { return Ok(ground.source) };
        let named = ground.upstream.repository().read_trailer(tip, SOURCE_REVISION)?;
        Ok(named.and_then(|named| Revision::parse(&named).ok()).unwrap_or(ground.source))
    }

    fn proposal(&self, ground: &Ground<'_>, base_revision: Revision, head_revision: Revision) -> Proposal {
        let mut labels = BTreeSet::from([self.group.to_string()]);
        labels.extend(self.reviewed.map(|_| REVIEWED_LABEL.to_owned()));
        Proposal {
            title: self.title.clone(),
            group: self.group.to_string(),
            plan: self.plan.digest().short(),
            base: ground.settings.base.clone(),
            base_revision,
            head: self.branch.clone(),
            head_revision,
            labels,
            body: self.body.clone(),
        }
    }
}

/// Returns the pull request in which this very plan was read; nothing if it puts back what was taken back since: then
/// whoever took it back has the last word.
fn reviewed(read: Option<&Read>, group: Group, plan: &Plan, taken_back: &[FilesChanged]) -> Option<u64> {
    read.filter(|read| taken_back.is_empty() && read.has(group, plan)).map(|read| read.number)
}
