//! The title and the body of the pull request of a rollback. Pure text, but for what is read of commits.

use std::fmt::Write as _;

use renderer::path::RepoPath;
use renderer::plan::{Plan, markdown};

use super::find::Found;
use crate::git::{CommitSummary, GitError, Revision};
use crate::run::context::Context;
use crate::run::describe::text::{code, push_lines};
use crate::run::describe::{Links, subject};

/// The most that stands around the plan, in characters.
const MARGIN: usize = 8_192;
/// The most that the list of inputs takes, in characters.
const MAX_INPUTS: usize = 4_096;
/// The most that the list of commits takes, in characters.
const MAX_COMMITS: usize = 2_048;
/// How much of a subject, a name and a branch is shown, in characters.
const MAX_SHOWN: usize = 80;

/// Returns the title.
pub(super) fn title(last: &CommitSummary) -> String {
    subject("Roll back", last).unwrap_or_else(|| format!("Roll back {}", last.revision.short()))
}

/// Returns the body: what is taken back, which inputs it puts back, and what that changes of the rendered files.
pub(super) fn body(
    run: &Context<'_>,
    found: &Found,
    (base, inputs, plan): (Revision, &[RepoPath], &Plan),
) -> Result<String, GitError> {
    let repository = run.repository();
    let links = Links::of(run);
    let named = found.pull.map_or_else(String::new, |number| format!(", by #{number}"));
    let mut text = format!("Takes back what was changed{named}; what came after it stays.\n\n");
    let commits: Result<Vec<_>, GitError> =
        found.changes.iter().map(|change| repository.commit_summary(change.after)).collect();
    let line = |commit: CommitSummary| {
        let (title, author) = (code(&commit.title, MAX_SHOWN), code(&commit.author.name, MAX_SHOWN));
        format!("- {}: {title} by {author}\n", links.commit(commit.revision))
    };
    push_lines(&mut text, commits?.into_iter().map(line), MAX_COMMITS, "more commit");
    text.push_str("\n### Inputs that are put back\n\n");
    let files = inputs.iter().map(|path| format!("- {}\n", markdown::code(path.as_str())));
    push_lines(&mut text, files, MAX_INPUTS, "more file");
    text.push_str("\n### What that changes of the rendered files\n\n");
    if plan.is_empty() {
        text.push_str("Nothing: no rendered file of it is published.\n");
    } else {
        let risks = links.risks(repository, base)?;
        let limit = markdown::BODY_LIMIT - markdown::BODY_MARGIN - MARGIN;
        text.push_str(&markdown::body_within(plan, limit, risks.as_deref()));
    }
    let _ = writeln!(
        text,
        "\n---\n\nIt is reviewed and merged into {} like any other edit, and the run after that finds nothing to do for \
         it. `fleetwright rollback` of this pull request brings the change again.",
        code(&links.branch, MAX_SHOWN)
    );
    Ok(text)
}
