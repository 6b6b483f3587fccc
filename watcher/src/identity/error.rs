//! Why there is no token, with what to do about it, and never with a token in it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::key::KeyFault;
use crate::http::{HttpError, HttpErrorKind};

pub(super) const FIND_INSTALLATION: &str = "find the App's installation on the repository";

/// There is no token to be had.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file with a token or a key cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// What should be a token is none.
    #[error("{place} holds no token: {reason}")]
    NoToken {
        /// Where it was looked for.
        place: String,
        /// What is there instead.
        reason: &'static str,
    },
    /// What should be an App's private key is none.
    #[error("`{}` holds no private key of a GitHub App", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFault,
    },
    /// The forge does not give the App a token.
    #[error("failed to {attempt}")]
    App {
        /// What was attempted.
        attempt: &'static str,
        /// The cause.
        source: HttpError,
    },
    /// The forge's answer is not as documented.
    #[error("failed to {attempt}: the answer is not as expected")]
    Answer {
        /// What was attempted.
        attempt: &'static str,
    },
}

impl IdentityError {
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Unreadable { path: path.to_owned(), source }
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreadable { .. } => {
                "check the path, and the mode: the user that runs this must be able to read it, and no other user to write it"
            }
            Self::NoToken { .. } => "write the token alone, on one line",
            Self::Key { .. } => {
                "use the file that the App's settings page gives under `Private keys`, as it is"
            }
            Self::App { attempt: FIND_INSTALLATION, source } if source.kind == HttpErrorKind::NotFound => {
                "install the App on the repository, and check the App's id"
            }
            Self::App { source, .. } if source.kind == HttpErrorKind::CredentialRejected => {
                "check that the id and the private key belong to the same App, and that this machine's clock is right"
            }
            Self::App { source, .. } => return source.hint(),
            Self::Answer { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::App { source, .. } => source.is_transient(),
            Self::Answer { .. } => true,
            _ => false,
        }
    }
}
