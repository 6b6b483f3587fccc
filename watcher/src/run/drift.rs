//! Drift: rendered files that people changed on the base branch, told in the pull request that puts them back.
//!
//! It says whose change goes away and why, before someone merges. Which changes count is decided from history alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use renderer::path::RepoPath;
use renderer::plan::{FileChange, markdown};

use super::publish::Ground;
use crate::git::{FilesChanged, GitError};

/// The most that a pull request's body has room for beside the plan and our mark.
const LIMIT: usize = markdown::BODY_MARGIN - 768;
/// How many files of one commit are named.
const MAX_FILES: usize = 5;
/// How much of a title and of a name is shown.
const MAX_WORDS: usize = 60;

/// Returns the rendered files among `changes` that people changed since the inputs are as they are, by commit.
///
/// A file that differs from what the inputs render to, although a person wrote it no earlier than the inputs, is one
/// that was changed by hand.
pub(super) fn find(ground: &Ground<'_>, changes: &[FileChange]) -> Result<Vec<FilesChanged>, GitError> {
    let repository = ground.upstream.repository();
    let paths: BTreeSet<RepoPath> = changes.iter().map(|change| change.path.clone()).collect();
    let mut found = repository.newest_changes(ground.base, ground.source, &paths)?;
    let mut by_hand = Vec::new();
    for changed in found.drain(..) {
        if !repository.is_authored_by_us(changed.commit.revision)? {
            by_hand.push(changed);
        }
    }
    Ok(by_hand)
}

/// Returns the part of a pull request's body that tells of drift; nothing if there is none.
pub(super) fn section(drift: &[FilesChanged], base: &str) -> String {
    if drift.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n### Changed by hand\n\nThis puts rendered files back that were changed on {} itself. To keep a change, make it in \
         `environments/` or `templates/`.\n\n",
        markdown::code(base)
    );
    for (shown, changed) in drift.iter().enumerate() {
        let line = line(changed);
        if text.chars().count() + line.chars().count() + 40 > LIMIT {
            let _ = writeln!(text, "- and {} more commits", drift.len() - shown);
            break;
        }
        text.push_str(&line);
    }
    text
}

fn line(changed: &FilesChanged) -> String {
    let FilesChanged { commit, paths } = changed;
    let shown = paths.iter().take(MAX_FILES).map(|path| markdown::code(path.as_str()));
    let mut files = shown.collect::<Vec<_>>().join(", ");
    if paths.len() > MAX_FILES {
        let _ = write!(files, " and {} more files", paths.len() - MAX_FILES);
    }
    let words = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
        markdown::code(if text.trim().is_empty() { "?" } else { &text })
    };
    let (revision, title, author) =
        (commit.revision.to_string(), words(&commit.title), words(&commit.author.name));
    format!("- {revision} {title} by {author}: {files}\n")
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
        assert_eq!(section(&[], "main"), "");
    }

    #[test]
    fn a_commit_is_named_with_its_author_and_files_and_nothing_in_it_is_markup() {
        insta::assert_snapshot!(section(&[changed("Fix #1 <b>", 7)], "main"), @"

        ### Changed by hand

        This puts rendered files back that were changed on `main` itself. To keep a change, make it in `environments/` or `templates/`.

        - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa `Fix #1 <b>` by `` Ann `@bob` ``: `argocd-apps/app/0.yaml`, `argocd-apps/app/1.yaml`, `argocd-apps/app/2.yaml`, `argocd-apps/app/3.yaml`, `argocd-apps/app/4.yaml` and 2 more files
        ");
    }

    #[test]
    fn however_much_was_changed_the_body_has_room_for_it() {
        let many: Vec<_> = (0..100).map(|_| changed(&"`".repeat(200), 100)).collect();
        let text = section(&many, "main");
        assert!(text.chars().count() <= LIMIT, "{}", text.chars().count());
        assert!(text.ends_with("more commits\n"), "{text}");
    }
}
