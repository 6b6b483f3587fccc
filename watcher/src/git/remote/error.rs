//! What goes wrong with another repository, or on the way to it.

use thiserror::Error;

use crate::git::objects::error::{ObjectError, Stalled};
use crate::http::{HttpError, UrlError};
use crate::identity::IdentityError;

/// What stood in the way of a conversation with another repository.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// A user has to change something, here or there.
    #[error(transparent)]
    Stalled(#[from] Stalled),
    /// The repository here stood in the way.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The web server did not answer with success.
    #[error(transparent)]
    Http(Box<HttpError>),
    /// There is no credential to be had.
    #[error(transparent)]
    Identity(Box<IdentityError>),
    /// The pack does not add up: it was damaged, or builds on an object here that is.
    #[error("the objects that the other side sent are not sound: {message}")]
    UnsoundPack {
        /// What is wrong with it.
        message: String,
    },
    /// The other repository did not follow the protocol, or the connection broke.
    #[error("{message}")]
    Protocol {
        /// What went wrong.
        message: String,
    },
}

impl From<UrlError> for RemoteError {
    fn from(error: UrlError) -> Self {
        Self::Stalled(Stalled::new(error.to_string(), error.hint()))
    }
}

impl From<HttpError> for RemoteError {
    fn from(error: HttpError) -> Self {
        Self::Http(Box::new(error))
    }
}

impl From<IdentityError> for RemoteError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(Box::new(error))
    }
}

impl From<std::io::Error> for RemoteError {
    fn from(error: std::io::Error) -> Self {
        Self::Object(error.into())
    }
}

impl RemoteError {
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol { message: message.into() }
    }

    /// A conversation ended in the middle.
    pub(super) fn broken_off(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self::protocol("the other side ended the conversation early")
            }
            _ => Self::protocol(format!("the conversation with the other side broke off: {error}")),
        }
    }

    pub(in crate::git) fn shallow() -> Self {
        Self::Stalled(Stalled::new(
            "the other repository is a shallow clone, which lacks history that is needed here",
            "name the repository that it was cloned from, or complete it with `git fetch --unshallow`",
        ))
    }

    pub(in crate::git) fn hint(&self) -> Option<String> {
        match self {
            Self::Stalled(stalled) => stalled.hint.clone(),
            Self::Object(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Identity(error) => error.hint(),
            Self::UnsoundPack { .. } | Self::Protocol { .. } => None,
        }
    }

    pub(in crate::git) const fn is_transient(&self) -> bool {
        match self {
            Self::Object(error) => error.is_transient(),
            Self::Http(error) => error.is_transient(),
            Self::Identity(error) => error.is_transient(),
            Self::UnsoundPack { .. } | Self::Protocol { .. } => true,
            Self::Stalled(_) => false,
        }
    }

    /// Returns whether something here is damaged, so that a fresh clone would help.
    pub(in crate::git) const fn is_damage(&self) -> bool {
        match self {
            Self::UnsoundPack { .. } => true,
            Self::Object(error) => error.is_damage(),
            _ => false,
        }
    }
}
