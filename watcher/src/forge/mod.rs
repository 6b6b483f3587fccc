//! Forges: where pull requests are kept, shown and merged.
//!
//! This module has what every forge shares. It knows branches and revisions, not what was rendered.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::git::{CommitSummary, GitError, PushError, Revision};

pub mod local;
mod record;

pub use local::LocalForge;

/// A request to merge a head branch into a base branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// The number, counted from 1 in each repository.
    pub number: u64,
    /// Where it stands.
    pub state: PullState,
    /// What it asks for.
    #[serde(flatten)]
    pub proposal: Proposal,
}

/// What a pull request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The title, one line.
    pub title: String,
    /// The group of clusters that it is for.
    pub group: String,
    /// The branch that it wants to change.
    pub base: String,
    /// The revision of the base branch that the head was built on.
    pub base_revision: Revision,
    /// The branch with the change.
    pub head: String,
    /// The revision of the head branch.
    pub head_revision: Revision,
    /// Labels in order.
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// What a person reads before merging, in Markdown.
    #[serde(skip_deserializing, default)]
    pub body: String,
}

/// Where a pull request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum PullState {
    /// It waits.
    Open,
    /// It is part of the base branch.
    Merged {
        /// The merge commit.
        revision: Revision,
    },
    /// It was given up.
    Closed {
        /// Why.
        reason: String,
    },
}

impl PullState {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged { .. } => "merged",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A pull request was opened.
    Opened(u64),
    /// The open pull request of the head branch was updated.
    Updated(u64),
    /// The open pull request says all this already.
    Unchanged(u64),
}

/// Whose a branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// There is no such branch.
    Absent,
    /// Its tip was made by Fleetwright and may be replaced.
    Ours(Revision),
    /// A person committed to it: it is left alone.
    Persons(CommitSummary),
}

/// A forge that did not do what it was asked.
#[derive(Debug, Error)]
pub enum ForgeError {
    /// There is no pull request of this number.
    #[error("there is no pull request #{number}")]
    Unknown {
        /// The number.
        number: u64,
    },
    /// The pull request is no longer open.
    #[error("pull request #{number} is {} already", state.word())]
    NotOpen {
        /// The number.
        number: u64,
        /// Where it stands.
        state: PullState,
    },
    /// The head branch is not where the proposal says.
    #[error("branch `{head}` is not at `{}`", revision.short())]
    HeadMoved {
        /// The branch.
        head: String,
        /// The revision that the proposal names.
        revision: Revision,
    },
    /// There is no base branch.
    #[error("there is no base branch `{base}`")]
    NoBase {
        /// The branch.
        base: String,
    },
    /// Others kept changing the same refs.
    #[error("others kept changing {what} at the same time")]
    Busy {
        /// What was to change.
        what: String,
    },
    /// The record of a pull request cannot be read.
    #[error("the record of pull request #{number} cannot be read: {reason}")]
    Unreadable {
        /// The number.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Refs that did not move.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl ForgeError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some("list them with `fleetwright pulls list`".into()),
            Self::NotOpen { .. } => None,
            Self::HeadMoved { head, .. } => Some(format!("look at what is on `{head}` now and try again")),
            Self::NoBase { base } => {
                Some(format!("create it with `git branch {base}`, or name another base"))
            }
            Self::Busy { .. } => Some("try again in a moment".into()),
            Self::Unreadable { number, .. } => Some(format!(
                "see `git show refs/fleetwright/pulls/{number}`; a newer version may have written it"
            )),
            Self::Push(error) => error.hint(),
            Self::Git(error) => error.hint(),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::HeadMoved { .. } | Self::Busy { .. } => true,
            Self::Unknown { .. } | Self::NotOpen { .. } | Self::NoBase { .. } | Self::Unreadable { .. } => {
                false
            }
            Self::Push(error) => error.is_transient(),
            Self::Git(error) => error.is_transient(),
        }
    }
}
