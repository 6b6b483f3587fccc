//! Drift: rendered files that people changed on the base branch.
//!
//! Which changes count is decided by content: who committed a change, and how it was merged, means little.

use std::collections::{BTreeMap, BTreeSet};

use renderer::path::RepoPath;
use renderer::plan::FileChange;

use super::context::{Base, Context};
use super::worker::{Workers, renderable};
use crate::error::CommandError;
use crate::git::{Entry, FilesChanged, GitError, Repository, Revision, blob_id};

/// How many earlier versions of the inputs are rendered to find out what was rendered and what was not.
const MAX_EARLIER: usize = 3;

/// What is known of commits that changed rendered files: which of the files they changed by hand.
#[derive(Debug, Default)]
pub(super) struct DriftMemory(BTreeMap<Revision, Vec<RepoPath>>);

/// Returns the rendered files among `changes` that people changed by hand since the inputs are as they are, by commit.
///
/// A file that differs from what the inputs render to, although a person wrote it no earlier than the inputs,
/// is one that was changed by hand; unless what came with it is what earlier inputs rendered to, as it is
/// when a pull request of ours is squashed or rebased after the inputs moved on.
pub(super) fn find(
    run: &Context<'_>,
    workers: &mut Workers,
    Base { tip, source }: Base,
    changes: &[&FileChange],
    memory: &mut DriftMemory,
) -> Result<Vec<FilesChanged>, CommandError> {
    let wanted: BTreeMap<&RepoPath, Option<Entry>> =
        changes.iter().map(|change| (&change.path, change.new.as_deref().map(Entry::of_file))).collect();
    let paths = wanted.keys().map(|path| (*path).clone()).collect();
    let mut by_hand = Vec::new();
    let mut known = DriftMemory::default();
    for FilesChanged { commit, paths } in run.repository().newest_changes(tip, source, &paths)? {
        let left = match memory.0.remove(&commit.revision) {
            Some(left) => left,
            None => not_rendered(run, workers, (commit.revision, source), &paths, &wanted)?,
        };
        known.0.insert(commit.revision, left.clone());
        let paths: Vec<RepoPath> = paths.into_iter().filter(|path| left.contains(path)).collect();
        if !paths.is_empty() {
            by_hand.push(FilesChanged { commit, paths });
        }
    }
    *memory = known;
    Ok(by_hand)
}

/// Returns those of the files that a commit did not bring from an earlier rendering to a later one; `wanted`
/// is what the inputs of `source` render to.
fn not_rendered(
    run: &Context<'_>,
    workers: &mut Workers,
    (commit, source): (Revision, Revision),
    paths: &[RepoPath],
    wanted: &BTreeMap<&RepoPath, Option<Entry>>,
) -> Result<Vec<RepoPath>, CommandError> {
    let repository = run.repository();
    let before = repository.parents(commit)?.into_iter().next();
    let old = |path: &RepoPath| match before {
        Some(before) => repository.entry_at(before, path.as_str()),
        None => Ok(None),
    };
    let (mut open, mut by_hand) = (Vec::new(), Vec::new());
    // A newer rendering that gives way to an older one was taken back by a person.
    for path in paths {
        let is_taken_back = wanted.get(path).is_some_and(|wanted| old(path).is_ok_and(|old| old == *wanted));
        if is_taken_back { by_hand.push(path.clone()) } else { open.push(path) }
    }
    for earlier in repository.earlier_sources(source, MAX_EARLIER)? {
        if open.is_empty() {
            break;
        }
        let asked = open.iter().copied().cloned().collect();
        let entries = workers.entries(run, earlier, asked);
        let Some(mut entries) = renderable(entries)? else { continue };
        for path in std::mem::take(&mut open) {
            let rendered = entries.remove(path);
            match () {
                () if repository.entry_at(commit, path.as_str())? == rendered => {}
                () if old(path)? == rendered => by_hand.push(path.clone()),
                () => open.push(path),
            }
        }
    }
    by_hand.extend(open.into_iter().cloned());
    Ok(by_hand)
}

/// Returns what of the drift is in files of one group.
pub(super) fn of(drift: &[FilesChanged], changes: &[FileChange]) -> Vec<FilesChanged> {
    let paths: BTreeSet<&RepoPath> = changes.iter().map(|change| &change.path).collect();
    let of_group = drift.iter().map(|changed| {
        let kept = changed.paths.iter().filter(|path| paths.contains(path));
        FilesChanged { commit: changed.commit.clone(), paths: kept.cloned().collect() }
    });
    of_group.filter(|changed| !changed.paths.is_empty()).collect()
}

/// Returns the commits that took back what `changes` put there again, since the inputs are as they are.
///
/// Their author makes no difference: what the inputs render to was there, and only such a commit can have
/// taken it away.
pub(super) fn taken_back(
    repository: &Repository,
    base: Revision,
    changes: &[FileChange],
) -> Result<Vec<FilesChanged>, GitError> {
    let published = changes.iter().map(|change| (change.path.clone(), change.new.as_deref().map(blob_id)));
    repository.taken_back(base, &published.collect())
}
