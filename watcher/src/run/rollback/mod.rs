//! Rollback: one pull request that puts back what a change made of the inputs and of what is rendered from them.
//!
//! It is an edit of inputs like any other, with the rendered files that follow from it, so the run after its merge finds
//! nothing to do. What came after the change is kept, published or not, and two lines that do not fit together are an
//! error before anything is written. The same rollback on the same base is the same commit.

mod find;
mod page;

use std::collections::{BTreeMap, BTreeSet};

use renderer::path::RepoPath;
use renderer::plan::{FileChange, Plan};
use renderer::render::Progress;
use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};
use serde_json::{Value, json};
use tracing::info;

use super::changes::Fleet;
use super::context::{Context, ROLLBACK_PREFIX, Settings};
use super::worker::{Workers, renderable};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::forge::{Home, Proposal, Proposed, PullState};
use crate::git::{Change, RefUpdate, Repository, Revision, Signature, TreeChange, Upstream};

pub use find::Target;

/// What the local forge notes as the group of the pull request.
const GROUP: &str = "rollback";
/// The trailer that names the change which a commit takes back.
const ROLLS_BACK: &str = "Rolls-Back";
const INPUTS: [&str; 2] = [ENVIRONMENTS, TEMPLATES];

/// What became of a rollback.
#[derive(Debug)]
pub struct RollbackReport {
    /// The last commit of the change that is taken back.
    pub change: Revision,
    /// What was done.
    pub done: RolledBack,
}

/// What was done about a rollback.
#[derive(Debug)]
pub enum RolledBack {
    /// The base branch has nothing of the change any more.
    Nothing,
    /// There is a pull request.
    Proposed {
        /// Whether it is new.
        proposed: Proposed,
        /// Its branch.
        branch: String,
        /// The tip of the branch.
        head: Revision,
        /// The inputs that are put back.
        inputs: Vec<RepoPath>,
        /// What changes of the rendered files.
        plan: Box<Plan>,
    },
    /// A pull request is open for the same change already, on an older base.
    Open {
        /// Its number.
        number: u64,
        /// Its branch.
        branch: String,
    },
}

/// A rollback on the newest base: what it changes.
struct Prepared {
    base: Revision,
    inputs: Vec<RepoPath>,
    plan: Plan,
    title: String,
    head: Revision,
}

/// Opens the pull request that takes `target` back.
pub fn rollback(
    (upstream, home, settings): (&Upstream, &Home, &Settings),
    target: &Target,
    (cancel, progress): (&Cancel, &dyn Progress),
) -> Result<RollbackReport, CommandError> {
    let forge = home.forge(upstream);
    let run = Context { upstream, forge: &*forge, settings, hubs: None, cancel };
    upstream.read_branches([settings.base.clone()]);
    upstream.fetch()?;
    let base = upstream.existing_branch(&settings.base)?;
    let mut workers = Workers::new(settings.worker.clone());
    let found = find::find(&run, &mut workers, base, target)?;
    cancel.check()?;
    let done = match prepare(&run, &mut workers, base, &found, progress)? {
        None => RolledBack::Nothing,
        Some(prepared) => propose(&run, &found, prepared)?,
    };
    Ok(RollbackReport { change: found.last(), done })
}

/// Makes the commit, to which no ref leads yet; nothing if the base has nothing of the change any more.
fn prepare(
    run: &Context<'_>,
    workers: &mut Workers,
    base: Revision,
    found: &find::Found,
    progress: &dyn Progress,
) -> Result<Option<Prepared>, CommandError> {
    let (repository, last) = (run.repository(), found.last());
    let title = page::title(&repository.commit_summary(last)?);
    let message = format!("{title}\n\n{ROLLS_BACK}: {last}\n");
    let (draft, mut changes) = inputs_without(repository, base, &found.changes, &message)?;
    if changes.is_empty() {
        return Ok(None);
    }
    let inputs: Vec<RepoPath> = changes.iter().map(|change| change.path.clone()).collect();
    let compared = workers.compare(run, draft, progress);
    let mut fleet = compared.map_err(|error| does_not_render(error, last))?;
    cancel_unrelated(&mut fleet, renderable(workers.compare(run, base, progress))?);
    changes.extend(
        fleet
            .changes
            .iter()
            .map(|change| TreeChange { path: change.path.clone(), content: change.new.clone() }),
    );
    let plan = fleet.plan_of_all();
    let head = commit(repository, base, &changes, &message)?;
    Ok(Some(Prepared { base, inputs, plan, title, head }))
}

/// Undoes one change after the other, and returns the commit in which all are undone with what changed of the inputs.
fn inputs_without(
    repository: &Repository,
    base: Revision,
    found: &[Change],
    message: &str,
) -> Result<(Revision, Vec<TreeChange>), CommandError> {
    let (mut at, mut inputs) = (base, BTreeMap::new());
    for change in found {
        let changes = repository.without(at, *change, &INPUTS)?;
        at = commit(repository, at, &changes, message)?;
        inputs.extend(changes.into_iter().map(|change| (change.path, change.content)));
    }
    Ok((at, inputs.into_iter().map(|(path, content)| TreeChange { path, content }).collect()))
}

/// Leaves of the rendered files only those that the rollback changes: what the base branch has yet to publish of other
/// changes has pull requests of its own.
///
/// If the base does not render, nothing of it was published that the rollback would have to put back.
fn cancel_unrelated(fleet: &mut Fleet, pending: Option<Fleet>) {
    let Some(pending) = pending else { return fleet.changes.clear() };
    let key = |change: &FileChange| (change.path.clone(), change.new.clone());
    let pending: BTreeSet<_> = pending.changes.iter().map(key).collect();
    fleet.changes.retain(|change| !pending.contains(&key(change)));
}

fn commit(
    repository: &Repository,
    base: Revision,
    changes: &[TreeChange],
    message: &str,
) -> Result<Revision, CommandError> {
    // The moment is that of the base, so that the same rollback is the same commit.
    let at = Signature::fleetwright(&repository.commit_summary(base)?.committer);
    Ok(repository.commit_record(Some(base), changes, &[base], &at, message)?)
}

fn does_not_render(error: CommandError, change: Revision) -> CommandError {
    match error {
        CommandError::Problems { problems } => CommandError::ProblemsWithout { change, problems },
        error => error,
    }
}

/// Pushes the branch and opens the pull request, unless both are there.
fn propose(run: &Context<'_>, found: &find::Found, prepared: Prepared) -> Result<RolledBack, CommandError> {
    let branch = format!("{ROLLBACK_PREFIX}{}", found.last().short());
    let Prepared { base, inputs, plan, title, head } = prepared;
    run.upstream.read_branches([run.settings.base.clone(), branch.clone()]);
    let there = run.upstream.fetch()?.get(&format!("refs/heads/{branch}")).copied();
    if let Some(tip) = there.filter(|tip| *tip != head)
        && !run.repository().is_ancestor(tip, base)?
    {
        return open_already(run, branch);
    }
    let body = page::body(run, found, (base, &inputs, &plan))?;
    run.cancel.check()?;
    if there != Some(head) {
        run.forge.admit_push()?;
        run.upstream.update(&[RefUpdate::branch(&branch, there, Some(head))])?;
    }
    let proposal = Proposal {
        title,
        group: GROUP.to_owned(),
        plan: plan.digest().short(),
        base: run.settings.base.clone(),
        base_revision: base,
        head: branch.clone(),
        head_revision: head,
        labels: BTreeSet::new(),
        body,
    };
    let proposed = run.forge.open_or_update(&proposal)?;
    let number = proposed.number();
    info!(pull_request.number = number, "pull request #{number} takes `{}` back", found.last().short());
    Ok(RolledBack::Proposed { proposed, branch, head, inputs, plan: plan.into() })
}

/// A branch with another commit is left alone: of its open pull request, or of a person.
fn open_already(run: &Context<'_>, branch: String) -> Result<RolledBack, CommandError> {
    let pulls = run.forge.of_head(&branch)?;
    match pulls.iter().find(|pull| pull.state == PullState::Open) {
        Some(open) => Ok(RolledBack::Open { number: open.number, branch }),
        None => Err(CommandError::usage(
            format!("branch `{branch}` is there already, with another commit and without a pull request"),
            format!("delete it, for instance with `git push origin --delete {branch}`, and try again"),
        )),
    }
}

impl RollbackReport {
    /// Returns the report for machines.
    pub(crate) fn to_json(&self) -> Value {
        let mut report = json!({ "rollsBack": self.change.to_string() });
        let (word, number, branch) = match &self.done {
            RolledBack::Nothing => ("nothing", None, None),
            RolledBack::Open { number, branch } => ("open", Some(*number), Some(branch)),
            RolledBack::Proposed { proposed, branch, head, inputs, plan } => {
                report["revision"] = head.to_string().into();
                report["inputs"] = json!(inputs);
                report["plan"] = json!(plan);
                (proposed.word(), Some(proposed.number()), Some(branch))
            }
        };
        report["outcome"] = word.into();
        if let Some(number) = number {
            report["pullRequest"] = number.into();
        }
        if let Some(branch) = branch {
            report["branch"] = branch.as_str().into();
        }
        report
    }
}
