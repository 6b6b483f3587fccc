//! Check runs, commit statuses and comments that look like those of the product and were written by another account.

use crate::github::{CheckRun, Comment, Status};

/// A number that the test kit's GitHub has given to nothing else.
const ID: u64 = 900_000;

/// Returns a check run on `sha` that says what `genuine` says, made by another app.
#[must_use]
pub fn check_run(genuine: &CheckRun, sha: &str, app: &str) -> CheckRun {
    CheckRun { id: ID + genuine.id, sha: sha.to_owned(), app: app.to_owned(), ..genuine.clone() }
}

/// Returns a commit status on `sha` that says what `genuine` says, set by another account.
#[must_use]
pub fn status(genuine: &Status, sha: &str, author: &str) -> Status {
    Status { id: ID + genuine.id, sha: sha.to_owned(), author: author.to_owned(), ..genuine.clone() }
}

/// Returns a comment that ends in the hidden mark by which the product finds its own, written by another account.
#[must_use]
pub fn comment(pull: u64, kind: &str, author: &str) -> Comment {
    let body = format!("This is fine.\n<!-- fleetwright:{kind} -->");
    Comment { id: ID + pull, pull, author: author.to_owned(), body, created: 0, updated: 0 }
}
