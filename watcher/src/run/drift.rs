//! Drift: rendered files that people changed on the base branch, named in the pull request that puts them back.
//!
//! The text names whose change goes away and why, before the merge. Which changes count is decided by content: who
//! committed a change, and how it was merged, means little.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use renderer::path::RepoPath;
use renderer::plan::{FileChange, markdown};
use renderer::plural::counted;

use super::context::Base;
use super::files::FleetFiles;
use super::foreign;
use super::text::{code, push_lines};
use crate::error::CommandError;
use crate::git::{Entry, FilesChanged, GitError, Repository, Revision, blob_id};

/// The most that a pull request's body has room for beside the plan, what is not ours, and our mark.
const LIMIT: usize = markdown::BODY_MARGIN - 768 - foreign::LIMIT;
/// How many earlier versions of the inputs are rendered to find out what was rendered and what was not.
const MAX_EARLIER: usize = 3;
/// How many files of one commit are named.
const MAX_FILES: usize = 5;
/// How much of a title and of a name is shown.
const MAX_SHOWN: usize = 60;

/// Renders a revision: the files of its clusters, or nothing if it does not render.
pub(super) type Render<'a> = dyn FnMut(Revision) -> Result<Option<Arc<FleetFiles>>, CommandError> + 'a;

/// What is known of commits that changed rendered files: which of the files they changed by hand.
#[derive(Debug, Default)]
pub(super) struct DriftMemory(BTreeMap<Revision, Vec<RepoPath>>);

/// Returns the rendered files among `changes` that people changed by hand since the inputs are as they are, by commit.
///
/// A file that differs from what the inputs render to, although a person wrote it no earlier than the inputs, is one
/// that was changed by hand; unless what came with it is what earlier inputs rendered to, as it is when a pull request of
/// ours is squashed or rebased after the inputs moved on.
pub(super) fn find(
    repository: &Repository,
    Base { tip, source }: Base,
    changes: &[&FileChange],
    memory: &mut DriftMemory,
    render: &mut Render<'_>,
) -> Result<Vec<FilesChanged>, CommandError> {
    let wanted: BTreeMap<&RepoPath, Option<Entry>> =
        changes.iter().map(|change| (&change.path, change.new.as_deref().map(Entry::of_file))).collect();
    let paths = wanted.keys().map(|path| (*path).clone()).collect();
    let mut by_hand = Vec::new();
    let mut known = DriftMemory::default();
    for FilesChanged { commit, paths } in repository.newest_changes(tip, source, &paths)? {
        let left = match memory.0.remove(&commit.revision) {
            Some(left) => left,
            None => not_rendered(repository, (commit.revision, source), &paths, &wanted, render)?,
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

/// Returns those of the files that a commit did not bring from an earlier rendering to a later one; `wanted` is what the
/// inputs of `source` render to.
fn not_rendered(
    repository: &Repository,
    (commit, source): (Revision, Revision),
    paths: &[RepoPath],
    wanted: &BTreeMap<&RepoPath, Option<Entry>>,
    render: &mut Render<'_>,
) -> Result<Vec<RepoPath>, CommandError> {
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
        let Some(fleet) = render(earlier)? else { continue };
        let files: BTreeMap<&RepoPath, &Arc<[u8]>> =
            fleet.values().flat_map(|cluster| cluster.files()).collect();
        for path in std::mem::take(&mut open) {
            let rendered = files.get(path).map(|bytes| Entry::of_file(bytes));
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
/// Their author makes no difference: what the inputs render to was there, and only such a commit can have taken it away.
pub(super) fn taken_back(
    repository: &Repository,
    base: Revision,
    changes: &[FileChange],
) -> Result<Vec<FilesChanged>, GitError> {
    let published = changes.iter().map(|change| (change.path.clone(), change.new.as_deref().map(blob_id)));
    repository.taken_back(base, &published.collect())
}

/// Returns the part of a pull request's body that lists whose changes it undoes: what was taken back since it was published,
/// and what else was changed by hand. Nothing if there is neither.
pub(super) fn section(taken_back: &[FilesChanged], drift: &[FilesChanged], base: &str) -> String {
    let is_new = |changed: &&FilesChanged| {
        taken_back.iter().all(|listed| listed.commit.revision != changed.commit.revision)
    };
    let commits: Vec<&FilesChanged> = taken_back.iter().chain(drift.iter().filter(is_new)).collect();
    if commits.is_empty() {
        return String::new();
    }
    let merged_by = if taken_back.is_empty() { "" } else { " It is not merged without a person." };
    let mut text = format!(
        "\n### Changed by hand\n\nThis puts rendered files back that were changed on {} itself.{merged_by} To keep a change, make \
         it in `environments/` or `templates/`.\n\n",
        markdown::code(base)
    );
    push_lines(&mut text, commits.into_iter().map(line), LIMIT, "more commit");
    text
}

fn line(changed: &FilesChanged) -> String {
    let FilesChanged { commit, paths } = changed;
    let shown = paths.iter().take(MAX_FILES).map(|path| markdown::code(path.as_str()));
    let mut files = shown.collect::<Vec<_>>().join(", ");
    if paths.len() > MAX_FILES {
        let _ = write!(files, " and {}", counted(paths.len() - MAX_FILES, "more file"));
    }
    let (title, author) = (code(&commit.title, MAX_SHOWN), code(&commit.author.name, MAX_SHOWN));
    format!("- {} {title} by {author} on {}: {files}\n", commit.revision, date(commit.author.seconds))
}

/// Returns the day of a moment in UTC (days of the proleptic Gregorian calendar, counted in eras of 400 years).
fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{CommitSummary, Revision, Signature};

    fn changed(title: &str, files: usize) -> FilesChanged {
        let by = Signature {
            name: "Ann `@bob`".into(),
            email: "ann@example.com".into(),
            seconds: 0,
            offset_minutes: 0,
        };
        FilesChanged {
            commit: CommitSummary {
                revision: Revision::parse(&"a".repeat(40)).unwrap(),
                title: title.into(),
                author: by.clone(),
                committer: by,
            },
            paths: (0..files)
                .map(|file| RepoPath::parse(&format!("argocd-apps/app/{file}.yaml")).unwrap())
                .collect(),
        }
    }

    #[test]
    fn without_drift_nothing_is_said() {
        assert_eq!(section(&[], &[], "main"), "");
    }

    #[test]
    fn a_commit_is_named_with_its_author_and_files_and_nothing_in_it_is_markup() {
        insta::assert_snapshot!(section(&[], &[changed("Fix #1 <b>", 7)], "main"), @"

        ### Changed by hand

        This puts rendered files back that were changed on `main` itself. To keep a change, make it in `environments/` or `templates/`.

        - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa `Fix #1 <b>` by `` Ann `@bob` `` on 1970-01-01: `argocd-apps/app/0.yaml`, `argocd-apps/app/1.yaml`, `argocd-apps/app/2.yaml`, `argocd-apps/app/3.yaml`, `argocd-apps/app/4.yaml` and 2 more files
        ");
    }

    #[test]
    fn what_is_hidden_in_a_title_or_a_name_is_shown() {
        let mut changed = changed("Fix\u{202e} it\u{1b}[2J\r\u{ad}", 1);
        changed.commit.author.name = "Ann\n- \u{3164}Bob".into();
        let text = section(&[], &[changed], "main");
        assert!(
            text.contains("`Fix\\u{202e} it\\u{1b}[2J\\r\\u{ad}` by `Ann\\n- \\u{3164}Bob` on 1970-01-01: "),
            "{text}"
        );
    }

    #[test]
    fn a_date_is_that_of_utc() {
        let dates = [0, 951_782_399, 951_782_400, 1_767_225_599, 1_767_225_600, -1].map(date);
        let expected = ["1970-01-01", "2000-02-28", "2000-02-29", "2025-12-31", "2026-01-01", "1969-12-31"];
        assert_eq!(dates, expected);
    }

    #[test]
    fn however_much_was_changed_the_body_has_room_for_it() {
        let many: Vec<_> = (0..100).map(|_| changed(&"`".repeat(200), 100)).collect();
        let text = section(&many[..50], &many[50..], "main");
        assert!(text.chars().count() <= LIMIT, "{}", text.chars().count());
        assert!(text.ends_with("more commits\n"), "{text}");
    }
}
