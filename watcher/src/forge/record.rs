//! A state of a pull request as the files of a commit: `pull-request.yaml` and `body.md`.

use std::fmt::Display;
use std::sync::Arc;

use renderer::path::RepoPath;

use super::{ForgeError, Proposal, PullRequest};
use crate::git::{GitError, Repository, Revision, TreeChange};

const RECORD: &str = "pull-request.yaml";
const BODY: &str = "body.md";

/// Returns the files that record a pull request; its body reads better in a file of its own.
pub(super) fn write(pull: &PullRequest) -> Result<Vec<TreeChange>, ForgeError> {
    let options = serde_yaml::ser_options! { quote_all: true };
    let proposal = Proposal { body: String::new(), ..pull.proposal.clone() };
    let record = PullRequest { proposal, ..pull.clone() };
    let record = serde_yaml::to_string_with_options(&record, options)
        .map_err(|error| unreadable(pull.number, error))?;
    Ok(vec![file(RECORD, &record), file(BODY, &pull.proposal.body)])
}

fn unreadable(number: u64, reason: impl Display) -> ForgeError {
    let message = format!("the record of pull request #{number} cannot be read: {reason}");
    let hint = format!("see `git show refs/fleetwright/pulls/{number}`; a newer version may have written it");
    ForgeError::stalled(message, hint)
}

fn file(name: &str, content: &str) -> TreeChange {
    TreeChange { path: file_path(name), content: Some(content.as_bytes().into()) }
}

fn file_path(name: &str) -> RepoPath {
    RepoPath::parse(name).expect("the name of a record's file is a path")
}

/// Reads the pull request that a commit records.
pub(super) fn read(
    repository: &Repository,
    number: u64,
    revision: Revision,
) -> Result<PullRequest, ForgeError> {
    let unreadable = |reason: &dyn Display| unreadable(number, reason);
    let record = text(repository, revision, RECORD)?;
    let record = record.ok_or_else(|| unreadable(&format!("there is no `{RECORD}` in it")))?;
    let mut pull: PullRequest = serde_yaml::from_str(&record).map_err(|error| unreadable(&error))?;
    if pull.number != number {
        return Err(unreadable(&format!("it is the record of #{}", pull.number)));
    }
    pull.proposal.body = text(repository, revision, BODY)?.unwrap_or_default();
    Ok(pull)
}

fn text(repository: &Repository, revision: Revision, name: &str) -> Result<Option<String>, GitError> {
    let bytes: Option<Arc<[u8]>> = repository.read_file(revision, &file_path(name))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
