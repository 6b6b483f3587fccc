//! What keeps a branch from moving under a working tree.

use std::path::PathBuf;

use thiserror::Error;

use crate::git::objects::error::quoted;

/// What keeps a branch from moving under a working tree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckoutError {
    /// The branch is checked out in another working tree, or would be deleted while it is checked out.
    #[error("branch `{branch}` is checked out in `{}`", working_tree.display())]
    CheckedOut {
        /// The branch.
        branch: String,
        /// The working tree.
        working_tree: PathBuf,
    },
    /// The branch would move over uncommitted changes.
    #[error("uncommitted changes to {} would be overwritten", quoted(paths))]
    UncommittedChanges {
        /// The files with uncommitted changes.
        paths: Vec<String>,
    },
}

impl CheckoutError {
    pub(in crate::git) const fn hint(&self) -> &'static str {
        match self {
            Self::CheckedOut { .. } => "switch that working tree to another branch with `git switch`",
            Self::UncommittedChanges { .. } => "commit or stash them first, for instance with `git stash`",
        }
    }
}
