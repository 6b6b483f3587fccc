//! Heads: whose the tip of a group's head branch is.
//!
//! It is proven by commit ids, which can be computed again since the same request gives the same commit, or by what our own
//! account has written of that very commit. A committer, a trailer, a title or a mark proves nothing: anyone can copy it.

use std::collections::BTreeMap;

use renderer::plan::{self, FileChange, Plan, markdown};
use renderer::snapshot::OUTPUT;
use renderer::visible::visible;
use tracing::warn;

use super::group::Group;
use super::pipeline::{Pipeline, Steps};
use super::publish::{head_of, heads};
use super::report::GroupReport;
use super::review::REVIEW;
use crate::error::CommandError;
use crate::forge::github::GitHubForge;
use crate::forge::{Forge, ForgeError};
use crate::git::{
    CommitRequest, CommitSummary, CommitText, GitError, Repository, Revision, SourceMemory, TreeChange,
};

/// The seal of our verdict on a commit of one of our own branches that we made. Nobody else's verdict counts, and ours has it
/// nowhere else.
pub(super) const ATTESTATION: &str = "made=fleetwright";
/// The kind of the comment on a pull request whose head is not ours.
const COMMENT: &str = "head";
/// How much of a title and of a name is shown.
const MAX_WORDS: usize = 60;
/// How many merges of the base branch on top of each other are followed.
const MAX_UPDATES: usize = 16;

/// Whose the tip of a head branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// There is no such branch.
    Absent,
    /// The very commit that the plan makes on top of `parent`, a commit of the base branch; merged into the base as it is
    /// now, it changes what the plan changes.
    Current {
        /// The commit.
        tip: Revision,
        /// What it stands on.
        parent: Revision,
    },
    /// Made by Fleetwright for another plan, or such a commit with the base branch merged into it: it may be replaced.
    Replaceable(Revision),
    /// Anything else: a person's. It is left alone.
    Persons(CommitSummary),
}

impl Head {
    /// Returns whether it is ours.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Current { .. } | Self::Replaceable(_))
    }

    /// Returns the tip of the branch, if there is one.
    #[must_use]
    pub const fn tip(&self) -> Option<Revision> {
        match self {
            Self::Absent => None,
            Self::Current { tip, .. } | Self::Replaceable(tip) => Some(*tip),
            Self::Persons(commit) => Some(commit.revision),
        }
    }
}

/// What a process knows of heads.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Where the last run left the head branch of a group, and whether that is ours.
    known: BTreeMap<Group, (Revision, bool)>,
    /// What was reported last about the head of a group: the pull request, the tip, and whether it is ours.
    reported: BTreeMap<Group, (u64, Revision, bool)>,
    /// The commit that follows from a commit of the base branch for a group; nothing if none does.
    derived: BTreeMap<(Group, Revision), Option<Revision>>,
}

impl Heads {
    /// Takes in what a run left at the head branches.
    pub(super) fn remember(&mut self, groups: &[GroupReport]) {
        for report in groups {
            match report.head.tip() {
                Some(tip) => drop(self.known.insert(report.group, (tip, report.head.is_ours()))),
                None => drop(self.known.remove(&report.group)),
            }
        }
    }

    /// Returns whether the head of a group's pull request at GitHub is ours: as the last run found, or else as our own account
    /// wrote before.
    pub(super) fn is_ours(
        &self,
        forge: &GitHubForge<'_>,
        group: Group,
        head: Revision,
    ) -> Result<bool, ForgeError> {
        match self.known.get(&group) {
            Some((tip, is_ours)) if *tip == head => Ok(*is_ours),
            _ => has_attested(forge, head),
        }
    }
}

/// A group's commit, but for what it stands on.
pub(super) struct GroupCommit<'a> {
    title: String,
    changes: &'a [FileChange],
}

impl<'a> GroupCommit<'a> {
    pub(super) fn new(group: Group, plan: &Plan, changes: &'a [FileChange]) -> Self {
        Self { title: markdown::title(plan, group.as_str()), changes }
    }

    /// Makes the commit on top of `base`, whose inputs `source` made what they are.
    pub(super) fn make(
        &self,
        repository: &Repository,
        base: Revision,
        source: Revision,
    ) -> Result<Revision, GitError> {
        self.with_request(base, source, |request| repository.commit(request))
    }

    /// Returns the id of that commit without making it.
    fn id(&self, repository: &Repository, base: Revision, source: Revision) -> Result<Revision, GitError> {
        self.with_request(base, source, |request| repository.commit_id(request))
    }

    fn with_request<T>(
        &self,
        base: Revision,
        source: Revision,
        act: impl FnOnce(&CommitRequest<'_>) -> T,
    ) -> T {
        let of_tree =
            |change: &FileChange| TreeChange { path: change.path.clone(), content: change.new.clone() };
        let changes: Vec<TreeChange> = self.changes.iter().map(of_tree).collect();
        let text = CommitText::rendered(&self.title, source);
        act(&CommitRequest { base, changes: &changes, roots: &[OUTPUT], text: &text, source })
    }
}

/// Returns what the commit `tip` stands on, if it is the one that `wanted` makes there and that changes the same at `base`.
fn parent_of_current(
    repository: &Repository,
    wanted: &GroupCommit<'_>,
    tip: Revision,
    (base, source): (Revision, Revision),
) -> Result<Option<Revision>, GitError> {
    let [parent] = repository.parents(tip)?[..] else { return Ok(None) };
    let paths = wanted.changes.iter().map(|change| &change.path);
    let is_same_change = parent == base
        || (repository.is_ancestor(parent, base)? && repository.has_same_files(parent, base, paths)?);
    if !is_same_change {
        return Ok(None);
    }
    if wanted.id(repository, parent, source)? == tip {
        return Ok(Some(parent));
    }
    // The inputs changed since, but nothing of what this group renders to.
    let earlier = repository.source_of_inputs(parent, &mut SourceMemory::default())?;
    Ok((earlier != source && wanted.id(repository, parent, earlier)? == tip).then_some(parent))
}

/// Returns whether our own account wrote of a commit at GitHub that we made it.
fn has_attested(forge: &GitHubForge<'_>, revision: Revision) -> Result<bool, ForgeError> {
    Ok(forge.seal(revision, REVIEW)?.is_some_and(|seal| seal == ATTESTATION))
}

/// Says on a pull request that its head is not ours, or that it is again.
fn report_head(forge: &GitHubForge<'_>, number: u64, report: &GroupReport) -> Result<(), ForgeError> {
    let branch = head_of(report.group);
    match &report.head {
        Head::Persons(commit) => forge.comment(number, COMMENT, &not_ours(&branch, commit)),
        _ => forge.revise_comment(
            number,
            COMMENT,
            &format!("`{branch}` is at a commit of Fleetwright again.\n"),
        ),
    }
}

fn not_ours(branch: &str, commit: &CommitSummary) -> String {
    let shown = |text: &str| markdown::code(&visible(text).chars().take(MAX_WORDS).collect::<String>());
    let (title, author) = (shown(&commit.title), shown(&commit.author.name));
    format!(
        "`{branch}` is at {}, {title} by {author}, which Fleetwright did not make. It leaves the branch alone, and what is \
         described above need not be what a merge brings.\n\nTo let Fleetwright go on, put the branch back to the commit \
         before, or close this pull request and delete the branch.\n",
        commit.revision
    )
}

impl Pipeline {
    /// Puts right what an interrupted step left behind at our head branches, and returns the pull requests concerned.
    pub(super) fn settle(&self) -> Result<Vec<u64>, ForgeError> {
        let is_known = |tip: Revision| self.heads.known.values().any(|known| *known == (tip, true));
        match self.forge() {
            Forge::Local(forge) => forge.settle(),
            Forge::GitHub(forge) => {
                forge.settle(&heads(), |tip| Ok(is_known(tip) || has_attested(&forge, tip)?))
            }
        }
    }

    /// Returns whether our own account wrote of a commit that we made it, or our own record names it.
    fn has_attested(&self, group: Group, revision: Revision) -> Result<bool, ForgeError> {
        match self.forge() {
            Forge::Local(forge) => forge.has_recorded(&head_of(group), revision),
            Forge::GitHub(forge) => has_attested(&forge, revision),
        }
    }

    /// Says on each open pull request of ours if its head is not what Fleetwright made; the verdict follows with all others.
    ///
    /// What cannot be written now must not keep others from being published.
    pub(super) fn report_heads(&mut self, groups: &[GroupReport]) -> Result<(), CommandError> {
        let Some(forge) = self.home.github(&self.upstream) else { return Ok(()) };
        for report in groups {
            let (Some(number), Some(tip)) = (report.open_pull_request(), report.head.tip()) else { continue };
            let reported = (number, tip, report.head.is_ours());
            if self.heads.reported.get(&report.group) == Some(&reported) {
                continue;
            }
            match report_head(&forge, number, report) {
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    let error = CommandError::from(error);
                    warn!(
                        pull_request.number = number,
                        hint = error.hint(),
                        "could not report on the head of pull request #{number}: {}",
                        error.message()
                    );
                }
                Ok(()) => drop(self.heads.reported.insert(report.group, reported)),
            }
        }
        Ok(())
    }

    /// Finds whose the tip of a group's head branch is, when `wanted` is to be published onto the first of `range`,
    /// whose inputs the second one made what they are.
    pub(super) fn find_head(
        &mut self,
        group: Group,
        wanted: &GroupCommit<'_>,
        tip: Option<Revision>,
        range: (Revision, Revision),
        steps: &dyn Steps,
    ) -> Result<Head, CommandError> {
        let Some(tip) = tip else { return Ok(Head::Absent) };
        if !wanted.changes.is_empty()
            && let Some(parent) = parent_of_current(self.upstream.repository(), wanted, tip, range)?
        {
            return Ok(Head::Current { tip, parent });
        }
        if self.is_replaceable((group, tip), range.0, steps)? {
            return Ok(Head::Replaceable(tip));
        }
        Ok(Head::Persons(self.upstream.repository().commit_summary(tip)?))
    }

    /// Returns whether nothing of a person is lost if a head goes: it is part of the base branch, or made by us, or a clean
    /// merge of the base branch into such a commit, as a button of GitHub makes.
    fn is_replaceable(
        &mut self,
        (group, tip): (Group, Revision),
        base: Revision,
        steps: &dyn Steps,
    ) -> Result<bool, CommandError> {
        let mut at = tip;
        for _ in 0..=MAX_UPDATES {
            if self.upstream.repository().is_ancestor(at, base)?
                || self.is_made_by_us((group, at), base, steps)?
            {
                return Ok(true);
            }
            let repository = self.upstream.repository();
            match repository.parents(at)?[..] {
                [ours, merged]
                    if repository.is_ancestor(merged, base)? && repository.is_clean_merge(at)? =>
                {
                    at = ours;
                }
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Returns whether we made this very commit, for whatever plan: this process pushed it, our own account said so, or it
    /// follows from a commit of the base branch.
    fn is_made_by_us(
        &mut self,
        (group, revision): (Group, Revision),
        base: Revision,
        steps: &dyn Steps,
    ) -> Result<bool, CommandError> {
        if self.heads.known.get(&group) == Some(&(revision, true)) || self.has_attested(group, revision)? {
            return Ok(true);
        }
        let repository = self.upstream.repository();
        match repository.parents(revision)?[..] {
            [parent] if repository.is_ancestor(parent, base)? => {
                Ok(self.derived_from(group, parent, steps)? == Some(revision))
            }
            _ => Ok(false),
        }
    }

    /// Returns the commit that a run makes for a group when the base branch is at `base`.
    ///
    /// After an update of Fleetwright it may be another one than was made then.
    fn derived_from(
        &mut self,
        group: Group,
        base: Revision,
        steps: &dyn Steps,
    ) -> Result<Option<Revision>, CommandError> {
        if let Some(known) = self.heads.derived.get(&(group, base)) {
            return Ok(*known);
        }
        let git_dir = self.upstream.repository().git_dir();
        let derived = match self.workers.render(git_dir, base, steps, &()) {
            // A stop was requested: the next step ends the run.
            Ok(None) => return Ok(None),
            Ok(Some(fleet)) => {
                let Some(mut changes) = self.compare(base, &fleet, steps)? else { return Ok(None) };
                let changes = changes.remove(&group).unwrap_or_default();
                let plan = plan::plan(&changes.files, &changes.published, changes.facts);
                let wanted = GroupCommit::new(group, &plan, &changes.files);
                let source =
                    self.upstream.repository().source_of_inputs(base, &mut SourceMemory::default())?;
                Some(wanted.id(self.upstream.repository(), base, source)?).filter(|_| !plan.is_empty())
            }
            Err(CommandError::Problems { .. } | CommandError::Worker { .. }) => None,
            Err(error) => return Err(error),
        };
        // What was asked about before is of no use any more: a branch has one tip.
        self.heads.derived.retain(|(other, _), _| *other != group);
        self.heads.derived.insert((group, base), derived);
        Ok(derived)
    }
}
