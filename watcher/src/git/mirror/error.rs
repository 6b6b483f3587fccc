//! What keeps a process from working in the folder of a mirror.

use thiserror::Error;

/// What keeps a process from working in the folder of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MirrorError {
    /// There is something else in the folder.
    #[error("the folder is not empty and not a mirror")]
    NotAMirror,
    /// It is the mirror of another repository.
    #[error("it is the mirror of `{of}`")]
    OtherMirror {
        /// What it is the mirror of.
        of: String,
    },
    /// Another process works in it.
    #[error("another process works in it")]
    InUse,
}

impl MirrorError {
    pub(in crate::git) const fn hint(&self) -> &'static str {
        match self {
            Self::NotAMirror | Self::OtherMirror { .. } => {
                "name another folder with `--mirror DIR`, or an empty one"
            }
            Self::InUse => "each service needs a mirror of its own: name one with `--mirror DIR`",
        }
    }

    pub(in crate::git) const fn is_transient(&self) -> bool {
        matches!(self, Self::InUse)
    }
}
