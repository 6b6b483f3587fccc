//! Why a forge did not do what it was asked.

use std::time::SystemTime;

use thiserror::Error;

use super::github::{GitHubError, GitHubFaultKind};
use super::pull::PullState;
use crate::git::{GitError, Revision};

/// Why a forge did not do what it was asked.
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
    /// The head branch is not where the proposal has it.
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
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
}

impl ForgeError {
    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
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
            Self::Git(error) => error.hint(),
            Self::GitHub(error) => error.fault.hint.clone(),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::HeadMoved { .. } | Self::Busy { .. } => true,
            Self::Unknown { .. }
            | Self::NotOpen { .. }
            | Self::Replaced { .. }
            | Self::NoBase { .. }
            | Self::Unreadable { .. } => false,
            Self::Git(error) => error.is_transient(),
            Self::GitHub(error) => error.fault.is_transient(),
        }
    }

    /// Returns the moment before which trying again is of no use, if the forge named one.
    pub(crate) const fn retry_after(&self) -> Option<SystemTime> {
        match self {
            Self::GitHub(error) => match error.fault.kind {
                GitHubFaultKind::Limited(until) => Some(until),
                _ => None,
            },
            _ => None,
        }
    }
}
