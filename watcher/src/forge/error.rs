//! Why a forge did not do what it was asked.

use std::time::SystemTime;

use thiserror::Error;

use super::github::{GitHubError, GitHubFault, GitHubFaultKind};
use super::pull::PullState;
use crate::git::{GitError, Revision};

/// Why a forge did not do what it was asked.
#[derive(Debug, Error)]
pub enum ForgeError {
    /// A pull request or one of its branches is not as it has to be.
    #[error("{message}")]
    Pull {
        /// What stands in the way.
        message: String,
        /// What to do about it, if something is known.
        hint: Option<String>,
        /// Whether another writer was faster, so that a look at what is there now may help.
        is_conflict: bool,
    },
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
}

impl ForgeError {
    pub(super) fn stalled(message: String, hint: impl Into<String>) -> Self {
        Self::Pull { message, hint: Some(hint.into()), is_conflict: false }
    }

    pub(super) fn conflict(message: String, hint: impl Into<String>) -> Self {
        Self::Pull { message, hint: Some(hint.into()), is_conflict: true }
    }

    pub(super) fn unknown(number: u64) -> Self {
        Self::stalled(
            format!("there is no pull request #{number}"),
            "list them with `fleetwright pulls list`",
        )
    }

    /// The pull request is no longer open.
    pub(super) fn not_open(number: u64, state: &PullState) -> Self {
        let message = format!("pull request #{number} is {} already", state.word());
        Self::Pull { message, hint: None, is_conflict: false }
    }

    /// Another pull request comes first.
    pub(crate) fn not_first(number: u64, first: u64) -> Self {
        Self::stalled(
            format!("pull request #{number} waits for #{first}, which is not merged"),
            format!(
                "merge #{first} first; if it was closed, open it again or take back what it was rendered from"
            ),
        )
    }

    /// The group of the pull request is paused.
    pub(crate) fn paused(number: u64, group: &str) -> Self {
        let message = format!("pull request #{number} is not to be merged now: group `{group}` is paused");
        Self::stalled(message, "take `paused` off the group in `environments/_fleet.yaml` first")
    }

    /// The head branch is not where the proposal has it.
    pub(super) fn head_moved(head: &str, revision: Revision) -> Self {
        let message = format!("branch `{head}` is not at `{}`", revision.short());
        Self::conflict(message, format!("look at what is on `{head}` now and try again"))
    }

    pub(super) fn no_base(base: &str) -> Self {
        let hint = format!("create it with `git branch {base}`, or name another base");
        Self::stalled(format!("there is no base branch `{base}`"), hint)
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Pull { hint, .. } => hint.clone(),
            Self::Git(error) => error.hint(),
            Self::GitHub(error) => error.fault.hint.clone(),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Pull { is_conflict, .. } => *is_conflict,
            Self::Git(error) => error.is_transient(),
            Self::GitHub(error) => error.fault.is_transient(),
        }
    }

    /// Returns whether another writer was faster, so that trying again at once may help.
    pub(crate) const fn is_conflict(&self) -> bool {
        match self {
            Self::Pull { is_conflict, .. } => *is_conflict,
            Self::Git(error) => error.is_lease_lost(),
            Self::GitHub(_) => false,
        }
    }

    /// Returns the moment before which trying again is of no use, if the forge named one.
    pub(crate) const fn retry_after(&self) -> Option<SystemTime> {
        match self {
            Self::GitHub(GitHubError {
                fault: GitHubFault { kind: GitHubFaultKind::Limited(until), .. },
                ..
            }) => Some(*until),
            _ => None,
        }
    }
}
