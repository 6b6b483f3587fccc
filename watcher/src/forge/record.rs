//! A state of a pull request as the files of a commit: `pull-request.yaml` and `body.md`.

use std::sync::Arc;

use renderer::path::RepoPath;
use serde::{Deserialize, Serialize};

use super::{ForgeError, Proposal, PullRequest, PullState};
use crate::git::{GitError, Repository, Revision, TreeChange};

const RECORD: &str = "pull-request.yaml";
const BODY: &str = "body.md";

/// The record without the body, which reads better in a file of its own.
#[derive(Deserialize)]
struct Record {
    number: u64,
    state: PullState,
    #[serde(flatten)]
    proposal: Proposal,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    number: u64,
    state: &'a PullState,
    title: &'a str,
    group: &'a str,
    plan: &'a str,
    base: &'a str,
    base_revision: &'a Revision,
    head: &'a str,
    head_revision: &'a Revision,
    labels: Vec<&'a str>,
}

impl<'a> Written<'a> {
    fn new(pull: &'a PullRequest) -> Self {
        let Proposal { title, group, plan, base, base_revision, head, head_revision, labels, body: _ } =
            &pull.proposal;
        let labels = labels.iter().map(String::as_str).collect();
        Self {
            number: pull.number,
            state: &pull.state,
            title,
            group,
            plan,
            base,
            base_revision,
            head,
            head_revision,
            labels,
        }
    }
}

/// Returns the files that record a pull request.
pub(super) fn write(pull: &PullRequest) -> Result<Vec<TreeChange>, ForgeError> {
    let options = serde_yaml::ser_options! { quote_all: true };
    let record = serde_yaml::to_string_with_options(&Written::new(pull), options)
        .map_err(|error| ForgeError::Unreadable { number: pull.number, reason: error.to_string() })?;
    Ok(vec![file(RECORD, &record), file(BODY, &pull.proposal.body)])
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
    let unreadable = |reason: String| ForgeError::Unreadable { number, reason };
    let record = text(repository, revision, RECORD)?;
    let record = record.ok_or_else(|| unreadable(format!("there is no `{RECORD}` in it")))?;
    let Record { number: recorded, state, mut proposal } =
        serde_yaml::from_str(&record).map_err(|error| unreadable(error.to_string()))?;
    if recorded != number {
        return Err(unreadable(format!("it says that it is #{recorded}")));
    }
    proposal.body = text(repository, revision, BODY)?.unwrap_or_default();
    Ok(PullRequest { number, state, proposal })
}

fn text(repository: &Repository, revision: Revision, name: &str) -> Result<Option<String>, GitError> {
    let bytes: Option<Arc<[u8]>> = repository.read_file(revision, &file_path(name))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
