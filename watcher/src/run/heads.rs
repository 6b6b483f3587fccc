//! Heads: whose the tip of a group's head branch is.
//!
//! It is proven by commit ids, which can be computed again since the same request gives the same commit, or
//! by what our own account has written of that very commit. A committer, a trailer, a title or a mark proves
//! nothing: anyone can copy it.

use std::collections::BTreeMap;

use renderer::path::GroupName;
use renderer::plan::{FileChange, markdown};
use renderer::root::Root;
use tracing::warn;

use super::changes::GroupPlan;
use super::context::{Base, Context, head_of, unless_lasting};
use super::describe::text::code;
use super::head::Head;
use super::planner::Planner;
use super::report::GroupReport;
use super::worker::renderable;
use crate::error::CommandError;
use crate::forge::ForgeError;
use crate::git::{CommitRequest, GitError, Repository, Revision, SourceMemory, TreeChange, rendered_message};

/// The kind of the comment on a pull request whose head is not ours.
const COMMENT: &str = "head";
/// How much of a title and of a name is shown.
const MAX_SHOWN: usize = 60;
/// How many merges of the base branch on top of each other are followed.
const MAX_UPDATES: usize = 16;

/// What a process knows of heads.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Where the last run left the head branch of a group, and whether that is ours.
    known: BTreeMap<GroupName, (Revision, bool)>,
    /// What was reported last about the head of a group: the pull request, the tip, and whether it is ours.
    reported: BTreeMap<GroupName, (u64, Revision, bool)>,
    /// A commit of the base branch, and the commit that follows from it for a group; nothing if none does.
    derived: BTreeMap<GroupName, (Revision, Option<Revision>)>,
}

impl Heads {
    /// Returns whether this process made a commit, or found that it is ours.
    pub(super) fn has_made(&self, revision: Revision) -> bool {
        self.known.values().any(|known| *known == (revision, true))
    }

    /// Returns whether the head of a group's pull request is ours: as the last run found, or else as our own
    /// account wrote before.
    pub(super) fn is_ours(
        &self,
        run: &Context<'_>,
        group: &GroupName,
        head: Revision,
    ) -> Result<bool, CommandError> {
        match self.known.get(group) {
            Some((tip, is_ours)) if *tip == head => Ok(*is_ours),
            _ => Ok(run.forge.has_attested(&head_of(group), head)?),
        }
    }

    /// Takes in what a run left at the head branches, and reports on each open pull request of ours if its
    /// head is not what Fleetwright made; the verdict follows with all others.
    ///
    /// What cannot be written now must not keep others from being published.
    pub(super) fn remember(&mut self, run: &Context<'_>, groups: &[GroupReport]) -> Result<(), CommandError> {
        for GroupReport { group, head, .. } in groups {
            match head.tip() {
                Some(tip) => drop(self.known.insert(group.clone(), (tip, head.is_ours()))),
                None => drop(self.known.remove(group)),
            }
        }
        for report in groups {
            let (Some(number), Some(tip)) = (report.open_pull_request(), report.head.tip()) else { continue };
            let now = (number, tip, report.head.is_ours());
            if self.reported.get(&report.group) == Some(&now) {
                continue;
            }
            let is_reported =
                unless_lasting(report_head(run, number, report).map_err(CommandError::from), |error| {
                    warn!(
                        pull_request.number = number,
                        hint = error.hint(),
                        "could not report on the head of pull request #{number}: {}",
                        error.message()
                    );
                })?;
            if is_reported.is_some() {
                self.reported.insert(report.group.clone(), now);
            }
        }
        Ok(())
    }

    /// Finds whose the tip of a group's head branch is, when `wanted` is to be published onto `base`.
    pub(super) fn find(
        &mut self,
        run: &Context<'_>,
        planner: &mut Planner,
        base: Base,
        wanted: &GroupPlan,
        tip: Option<Revision>,
    ) -> Result<Head, CommandError> {
        let Some(tip) = tip else { return Ok(Head::Absent) };
        if !wanted.files.is_empty()
            && let Some(parent) = parent_of_current(run.repository(), wanted, tip, base)?
        {
            return Ok(Head::Current { tip, parent });
        }
        let mut search = Search { heads: self, run, planner, base: base.tip, group: &wanted.group };
        if search.is_replaceable(tip)? {
            return Ok(Head::Replaceable(tip));
        }
        Ok(Head::Persons(run.repository().commit_summary(tip)?))
    }
}

/// A search for who made a commit on the head branch of a group.
struct Search<'a> {
    heads: &'a mut Heads,
    run: &'a Context<'a>,
    planner: &'a mut Planner,
    /// The tip of the base branch.
    base: Revision,
    group: &'a GroupName,
}

impl Search<'_> {
    /// Returns whether nothing of a person is lost if a head goes: it is part of the base branch, or made by
    /// us, or a clean merge of the base branch into such a commit, as a button of GitHub makes.
    fn is_replaceable(&mut self, tip: Revision) -> Result<bool, CommandError> {
        let repository = self.run.repository();
        let mut at = tip;
        for _ in 0..=MAX_UPDATES {
            if repository.is_ancestor(at, self.base)? || self.is_made_by_us(at)? {
                return Ok(true);
            }
            match repository.parents(at)?[..] {
                [ours, merged]
                    if repository.is_ancestor(merged, self.base)? && repository.is_clean_merge(at)? =>
                {
                    at = ours;
                }
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Returns whether we made this very commit, for whatever plan: this process pushed it, our own account
    /// wrote so, or it follows from a commit of the base branch.
    fn is_made_by_us(&mut self, revision: Revision) -> Result<bool, CommandError> {
        if self.heads.known.get(self.group) == Some(&(revision, true))
            || self.run.forge.has_attested(&head_of(self.group), revision)?
        {
            return Ok(true);
        }
        match self.run.repository().parents(revision)?[..] {
            [parent] if self.run.repository().is_ancestor(parent, self.base)? => {
                Ok(self.derived_from(parent)? == Some(revision))
            }
            _ => Ok(false),
        }
    }

    /// Returns the commit that a run makes for the group when the base branch is at `base`.
    ///
    /// After an update of Fleetwright it may be another one than was made then.
    fn derived_from(&mut self, base: Revision) -> Result<Option<Revision>, CommandError> {
        if let Some((_, derived)) = self.heads.derived.get(self.group).filter(|(of, _)| *of == base) {
            return Ok(*derived);
        }
        let mut derived = None;
        if let Some(fleet) = renderable(self.planner.workers.compare(self.run, base, &()))? {
            let plans = self.planner.plan(self.run, base, fleet)?.into_iter();
            let mut plans = plans.filter(|wanted| wanted.group == *self.group && !wanted.plan.is_empty());
            if let Some(wanted) = plans.next() {
                let repository = self.run.repository();
                let source = repository.source_of_inputs(base, &mut SourceMemory::default())?;
                derived =
                    Some(commit_by(Repository::commit_id, repository, &wanted, Base { tip: base, source })?);
            }
        }
        self.heads.derived.insert(self.group.clone(), (base, derived));
        Ok(derived)
    }
}

/// Makes the commit of a group on top of the base branch, or finds its id, as `act` does.
pub(super) fn commit_by(
    act: fn(&Repository, &CommitRequest<'_>) -> Result<Revision, GitError>,
    repository: &Repository,
    wanted: &GroupPlan,
    Base { tip, source }: Base,
) -> Result<Revision, GitError> {
    let change = |change: &FileChange| TreeChange { path: change.path.clone(), content: change.new.clone() };
    let changes: Vec<TreeChange> = wanted.files.iter().map(change).collect();
    let message = rendered_message(&markdown::title(&wanted.plan, wanted.group.as_str()), source);
    let request = CommitRequest {
        base: tip,
        changes: &changes,
        roots: &Root::ALL.map(Root::path),
        message: &message,
        source,
    };
    act(repository, &request)
}

/// Returns what the commit `tip` stands on, if it is the one that `wanted` makes there and that changes the
/// same at `base`.
fn parent_of_current(
    repository: &Repository,
    wanted: &GroupPlan,
    tip: Revision,
    base: Base,
) -> Result<Option<Revision>, GitError> {
    let [parent] = repository.parents(tip)?[..] else { return Ok(None) };
    let paths = wanted.files.iter().map(|change| &change.path);
    let is_same_change = parent == base.tip
        || (repository.is_ancestor(parent, base.tip)?
            && repository.has_same_files(parent, base.tip, paths)?);
    if !is_same_change {
        return Ok(None);
    }
    let id = |source| commit_by(Repository::commit_id, repository, wanted, Base { tip: parent, source });
    if id(base.source)? == tip {
        return Ok(Some(parent));
    }
    // The inputs changed since, but nothing of what this group renders to.
    let source = repository.source_of_inputs(parent, &mut SourceMemory::default())?;
    let is_it = source != base.source && id(source)? == tip;
    Ok(is_it.then_some(parent))
}

/// Reports on a pull request that its head is not ours, or that it is again.
fn report_head(run: &Context<'_>, number: u64, report: &GroupReport) -> Result<(), ForgeError> {
    let branch = head_of(&report.group);
    let Head::Persons(commit) = &report.head else {
        let text = format!("`{branch}` is at a commit of Fleetwright again.\n");
        return run.forge.comment(number, COMMENT, &text, false);
    };
    let (title, author) = (code(&commit.title, MAX_SHOWN), code(&commit.author.name, MAX_SHOWN));
    let text = format!(
        "`{branch}` is at {}, {title} by {author}, which Fleetwright did not make. It leaves the branch alone, and what is \
         described above need not be what a merge brings.\n\nTo let Fleetwright go on, put the branch back to the commit \
         before, or close this pull request and delete the branch.\n",
        commit.revision
    );
    run.forge.comment(number, COMMENT, &text, true)
}
