//! What a pull request puts back that people changed by hand, named in its body: whose change goes away and
//! why, before the merge.

use std::fmt::Write as _;

use renderer::plan::markdown;
use renderer::plural::counted;

use super::foreign;
use super::text::{code, push_lines};
use crate::git::FilesChanged;

/// The most that a pull request's body has room for beside the plan, what is not ours, and our mark.
const LIMIT: usize = markdown::BODY_MARGIN - 768 - foreign::LIMIT;
/// How many files of one commit are named.
const MAX_FILES: usize = 5;
/// How much of a title and of a name is shown.
const MAX_SHOWN: usize = 60;

/// Returns the part of a pull request's body that lists whose changes it undoes: what was taken back since it
/// was published, and what else was changed by hand. Nothing if there is neither.
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
    use renderer::path::RepoPath;

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
