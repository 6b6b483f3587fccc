//! Forges: where pull requests are kept, shown and merged.
//!
//! This module has what every forge shares, and [`Forge`], which is any one of them: the set is closed, so it is an enum.
//! It knows branches and revisions, not what was rendered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::git::{GitError, PushError, Revision, Upstream};

pub mod github;
pub mod local;
mod record;

pub use github::{GitHubError, GitHubFault, GitHubForge};
pub use local::LocalForge;

const BRANCHES: &str = "refs/heads/";
/// The label of a pull request whose change was read before its merge. Only Fleetwright sets it, so it takes it off elsewhere.
pub const REVIEWED_LABEL: &str = "fleetwright: reviewed";

/// Where the pull requests of a repository are kept.
#[derive(Debug)]
pub enum Home {
    /// In the repository itself.
    Local,
    /// On GitHub.
    GitHub(Arc<github::Client>),
}

impl Home {
    /// Returns the forge there, for the repository whose branches are reached by `upstream`.
    #[must_use]
    pub fn forge<'a>(&'a self, upstream: &'a Upstream) -> Forge<'a> {
        match self {
            Self::Local => Forge::Local(LocalForge::new(upstream)),
            Self::GitHub(client) => Forge::GitHub(GitHubForge::new(client, upstream)),
        }
    }

    /// Returns the forge if it is GitHub, where people open pull requests of their own.
    #[must_use]
    pub fn github<'a>(&'a self, upstream: &'a Upstream) -> Option<GitHubForge<'a>> {
        match self {
            Self::Local => None,
            Self::GitHub(client) => Some(GitHubForge::new(client, upstream)),
        }
    }
}

/// A forge, whichever it is.
#[derive(Debug)]
pub enum Forge<'a> {
    /// Pull requests in the repository's own refs.
    Local(LocalForge<'a>),
    /// Pull requests on GitHub.
    GitHub(GitHubForge<'a>),
}

impl Forge<'_> {
    /// Returns all pull requests of a head branch, by number.
    pub fn of_head(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        match self {
            Self::Local(forge) => {
                let mut pulls = forge.list()?;
                pulls.retain(|pull| pull.proposal.head == head);
                Ok(pulls)
            }
            Self::GitHub(forge) => forge.of_head(head),
        }
    }

    /// Returns the page of the repository, if the forge has pages.
    #[must_use]
    pub fn web(&self) -> Option<String> {
        match self {
            Self::Local(_) => None,
            Self::GitHub(forge) => Some(forge.web()),
        }
    }

    /// Waits until a push is within the forge's limits, or says when it will be.
    pub fn admit_push(&self) -> Result<(), ForgeError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::GitHub(forge) => forge.admit_push(),
        }
    }

    /// Opens a pull request for a head branch that is pushed already, or updates the one that is open.
    pub fn open_or_update(&self, proposal: &Proposal) -> Result<Outcome, ForgeError> {
        match self {
            Self::Local(forge) => forge.open_or_update(proposal),
            Self::GitHub(forge) => forge.open_or_update(proposal),
        }
    }

    /// Closes an open pull request and deletes its head branch if that is at `tip`, which nobody else made.
    pub fn close(&self, number: u64, reason: &str, tip: Option<Revision>) -> Result<(), ForgeError> {
        match self {
            Self::Local(forge) => forge.close(number, reason),
            Self::GitHub(forge) => forge.close(number, reason, tip),
        }
    }
}

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
    /// The digest of the plan, as short as people read it.
    #[serde(default)]
    pub plan: String,
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

impl Outcome {
    /// Returns the number of the pull request.
    #[must_use]
    pub const fn number(self) -> u64 {
        let (Self::Opened(number) | Self::Updated(number) | Self::Unchanged(number)) = self;
        number
    }
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
    /// Another pull request is open for the same head branch.
    #[error("pull request #{number} cannot be opened again, since #{open} is open for the same branch")]
    Replaced {
        /// The number.
        number: u64,
        /// The one that is open.
        open: u64,
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
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
}

impl ForgeError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some("list them with `fleetwright pulls list`".into()),
            Self::NotOpen { .. } => None,
            Self::Replaced { open, .. } => Some(format!("look at it with `fleetwright pulls show {open}`")),
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
            Self::GitHub(error) => error.fault.hint(),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::HeadMoved { .. } | Self::Busy { .. } => true,
            Self::Unknown { .. }
            | Self::NotOpen { .. }
            | Self::Replaced { .. }
            | Self::NoBase { .. }
            | Self::Unreadable { .. } => false,
            Self::Push(error) => error.is_transient(),
            Self::Git(error) => error.is_transient(),
            Self::GitHub(error) => error.fault.is_transient(),
        }
    }

    /// Returns the moment before which trying again is of no use, if the forge named one.
    #[must_use]
    pub const fn come_again(&self) -> Option<SystemTime> {
        match self {
            Self::GitHub(GitHubError { fault: GitHubFault::Limited { until }, .. }) => Some(*until),
            _ => None,
        }
    }
}
