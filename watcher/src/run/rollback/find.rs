//! Finding the change that is meant: a pull request or a commit, of people or of ours, is traced to what it made of the
//! inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use renderer::path::RepoPath;

use crate::error::CommandError;
use crate::forge::PullState;
use crate::git::{Change, Difference, Entry, Repository, Revision, SourceMemory};
use crate::run::context::Context;
use crate::run::worker::{Workers, renderable};

/// How many earlier versions of the inputs are rendered to find out from which one a rendered file came.
const MAX_EARLIER: usize = 20;
/// The most commits that a pull request is merged with, each by itself: GitHub lists no more of one.
const MAX_REBASED: usize = 250;
/// A number with fewer digits is that of a pull request: git abbreviates an id to at least so many.
const MIN_ID_DIGITS: usize = 7;

/// What is to be taken back, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The newest change of the inputs.
    Newest,
    /// What a merged pull request brought.
    Pull(u64),
    /// What a commit brought.
    Commit(String),
}

/// What is meant.
#[derive(Debug)]
pub(super) struct Found {
    /// What changed the inputs, the newest first; never empty.
    pub changes: Vec<Change>,
    /// The pull request that was named.
    pub pull: Option<u64>,
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        let is_number = digits.len() < text.len() || digits.len() < MIN_ID_DIGITS;
        let number = digits.parse().ok().filter(|_| is_number);
        Ok(number.map_or_else(|| Self::Commit(text.to_owned()), Self::Pull))
    }
}

impl Found {
    /// Returns the last commit of what is meant, which it is named by.
    pub(super) fn last(&self) -> Revision {
        self.changes[0].after
    }
}

/// Finds the changes of the inputs that `target` names, or that what it names was rendered from.
pub(super) fn find(
    run: &Context<'_>,
    workers: &mut Workers,
    base: Revision,
    target: &Target,
) -> Result<Found, CommandError> {
    let repository = run.repository();
    let (named, pull) = match target {
        Target::Newest => {
            let after = repository.source_of_inputs(base, &mut SourceMemory::default())?;
            (Change { before: parent(repository, after)?, after }, None)
        }
        Target::Pull(number) => (of_pull(run, base, *number)?, Some(*number)),
        Target::Commit(name) => (of_commit(run, base, name)?, None),
    };
    if !repository.has_same_inputs(named.before, named.after)? {
        return Ok(Found { changes: vec![named], pull });
    }
    let rendered = repository.rendered_differences(named.before, named.after)?;
    if rendered.is_empty() {
        let message = format!("`{}` changes neither inputs nor rendered files", named.after.short());
        return Err(CommandError::usage(message, "take it back with `git revert`"));
    }
    Ok(Found { changes: rendered_from(run, workers, named, &rendered)?, pull })
}

fn of_commit(run: &Context<'_>, base: Revision, name: &str) -> Result<Change, CommandError> {
    let repository = run.repository();
    let after = repository.resolve(name)?;
    if !repository.is_ancestor(after, base)? {
        let message = format!("`{}` is no part of `{}`", after.short(), run.settings.base);
        return Err(CommandError::usage(
            message,
            "name a commit that is merged, or name the base with `--base`",
        ));
    }
    Ok(Change { before: parent(repository, after)?, after })
}

/// Returns what a merged pull request brought onto the base: by a merge, by one new commit, or by a copy of each.
fn of_pull(run: &Context<'_>, base: Revision, number: u64) -> Result<Change, CommandError> {
    let repository = run.repository();
    let pull = run.forge.show(number)?;
    let PullState::Merged { revision: after } = pull.state else {
        let message =
            format!("pull request #{number} is {}, so there is nothing to take back", pull.state.word());
        return Err(CommandError::usage(message, "name one that is merged"));
    };
    if !repository.has(after) || !repository.is_ancestor(after, base)? {
        let message = format!(
            "pull request #{number} was merged into `{}` and is no part of `{}`",
            pull.proposal.base, run.settings.base
        );
        return Err(CommandError::usage(message, "name its base branch with `--base BRANCH`"));
    }
    let mut before = parent(repository, after)?;
    if repository.parents(after)?.len() == 1 {
        for _ in 1..MAX_REBASED {
            let came_with = run.forge.merged_with(before, &run.settings.base)?;
            if came_with.iter().all(|(other, _)| *other != number) {
                break;
            }
            before = parent(repository, before)?;
        }
    }
    Ok(Change { before, after })
}

/// Returns what a commit stands on; of a merge, the base that it was made on.
fn parent(repository: &Repository, commit: Revision) -> Result<Revision, CommandError> {
    repository.parents(commit)?.first().copied().ok_or_else(|| {
        let message = format!("nothing is known of what was before `{}`", commit.short());
        CommandError::usage(
            message,
            "it is the first commit, or the clone is shallow: `git fetch --unshallow`",
        )
    })
}

/// Returns what changed the inputs from those that render to what a commit replaced to those that render to what it
/// brought, as far as it changed what is rendered at these paths.
fn rendered_from(
    run: &Context<'_>,
    workers: &mut Workers,
    named: Change,
    rendered: &[Difference],
) -> Result<Vec<Change>, CommandError> {
    let repository = run.repository();
    let paths: BTreeSet<RepoPath> =
        rendered.iter().filter_map(|found| RepoPath::parse(&found.path).ok()).collect();
    let newest = repository.source_of_inputs(named.after, &mut SourceMemory::default())?;
    let earlier = repository.earlier_sources(newest, MAX_EARLIER)?;
    let is_first = earlier.len() < MAX_EARLIER && rendered.iter().all(|found| found.old.is_none());
    let (mut changes, mut later) = (Vec::new(), None);
    for source in std::iter::once(newest).chain(earlier) {
        run.cancel.check()?;
        let Some(entries) = renderable(workers.entries(run, source, paths.clone()))? else { continue };
        match &later {
            None if !is_at(rendered, &entries, |found| found.new) => continue,
            Some((after, brought)) if *brought != entries => {
                changes.push(Change { before: parent(repository, *after)?, after: *after });
            }
            _ => {}
        }
        if is_at(rendered, &entries, |found| found.old) {
            return Ok(changes);
        }
        later = Some((source, entries));
    }
    Err(untraced(named.after, later.is_some(), is_first))
}

/// Returns why a commit of rendered files cannot be traced back to inputs.
fn untraced(commit: Revision, was_rendered: bool, is_first: bool) -> CommandError {
    let commit = commit.short();
    if was_rendered && is_first {
        return CommandError::usage(
            format!(
                "`{commit}` published files that the first inputs render to: there is nothing before them"
            ),
            "to remove what it brought, take the cluster or the add-on out of `environments/`",
        );
    }
    if was_rendered {
        return CommandError::usage(
            format!(
                "none of the {MAX_EARLIER} versions of the inputs before `{commit}` renders to what it replaced"
            ),
            "take the changes of the inputs back one by one: name their commits or pull requests",
        );
    }
    CommandError::usage(
        format!("`{commit}` changed rendered files by hand: no inputs before it render to them"),
        "the next run proposes what the inputs render to",
    )
}

fn is_at(
    rendered: &[Difference],
    entries: &BTreeMap<RepoPath, Entry>,
    side: impl Fn(&Difference) -> Option<Entry>,
) -> bool {
    rendered.iter().all(|found| {
        let path = RepoPath::parse(&found.path).ok();
        path.and_then(|path| entries.get(&path).copied()) == side(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_is_named_by_its_number_and_a_commit_by_its_id() {
        let table = [
            ("7", Target::Pull(7)),
            ("#7", Target::Pull(7)),
            ("123456", Target::Pull(123_456)),
            ("#12345678", Target::Pull(12_345_678)),
            ("1234567", Target::Commit("1234567".into())),
            ("main~2", Target::Commit("main~2".into())),
            ("a1b2c3d", Target::Commit("a1b2c3d".into())),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }
}
