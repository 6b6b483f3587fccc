//! The parts of GitHub's objects that are read, under GitHub's names.

use serde::{Deserialize, Serialize};

use crate::git::Revision;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) state: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) html_url: String,
    pub(super) merged_at: Option<String>,
    pub(super) merge_commit_sha: Option<Revision>,
    /// How it stands with the base branch's rules; only a pull request that is asked for alone has it.
    #[serde(default)]
    pub(super) mergeable_state: Option<String>,
    pub(super) labels: Vec<Label>,
    pub(super) head: Side,
    pub(super) base: Side,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) branch: String,
    pub(super) sha: Revision,
    /// Nothing if the fork that it was in is gone.
    pub(super) repo: Option<Repository>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: String,
    /// When anything was last pushed to it.
    #[serde(default)]
    pub(super) pushed_at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) body: String,
    pub(super) user: Option<User>,
}

/// Who wrote something; nothing if the account is gone.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
}

/// The App that made something.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct App {
    pub(super) slug: Option<String>,
}

/// A move of a branch.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Activity {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) after: Revision,
    pub(super) timestamp: String,
}

/// What one commit changes over another.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Comparison {
    pub(super) files: Option<Vec<ChangedFile>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChangedFile {
    pub(super) filename: String,
    /// Set if it was renamed.
    #[serde(default)]
    pub(super) previous_filename: Option<String>,
}

/// Something that happened to a pull request.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "event", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) created_at: String,
    /// The label, if it is about one.
    pub(super) label: Option<Label>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckRuns {
    pub(super) check_runs: Vec<CheckRun>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) status: String,
    pub(super) external_id: Option<String>,
    pub(super) output: CheckOutput,
    pub(super) check_suite: Option<CheckSuiteId>,
    pub(super) app: Option<App>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckOutput {
    pub(super) annotations_count: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckSuiteId {
    pub(super) id: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckSuite {
    pub(super) status: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Merge {
    pub(super) sha: Revision,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) creator: Option<User>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: Revision,
    pub(super) environment: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct DeploymentStatus {
    pub(super) state: String,
    #[serde(default)]
    pub(super) description: String,
}

/// What changes of a pull request.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct PullEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
}
