//! How GitHub fails, in our words.

use std::time::SystemTime;

use thiserror::Error;

use crate::http::{HttpError, HttpErrorKind};
use crate::identity::IdentityError;

/// Something that GitHub did not do.
#[derive(Debug, Error)]
#[error("failed to {attempt} on GitHub")]
pub struct GitHubError {
    /// What was attempted, such as `open a pull request`.
    pub attempt: String,
    /// Why it failed.
    #[source]
    pub fault: GitHubFault,
}

/// Why something failed on GitHub.
#[derive(Debug, Error)]
pub enum GitHubFault {
    /// There is no identity.
    #[error("there is no token")]
    Anonymous,
    /// The token cannot be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The token is not accepted (401).
    #[error("the token is not accepted")]
    Unauthorized,
    /// The token may not do this (403).
    #[error("{message}")]
    Forbidden {
        /// GitHub's message.
        message: String,
        /// The permissions that would do, as GitHub names them.
        needed: Option<String>,
    },
    /// There is nothing of this name, or the token does not see it (404, 410).
    #[error("there is no such thing, or the token does not see it")]
    NotFound,
    /// It is somewhere else now (301, 302, 307, 308).
    #[error("it has moved to `{to}`")]
    Moved {
        /// Where to.
        to: String,
    },
    /// What was asked for does not fit what is there (400, 422).
    #[error("{}", messages.join("; "))]
    Invalid {
        /// GitHub's message.
        messages: Vec<String>,
    },
    /// It cannot be merged now (405, 409): a rule of the branch forbids it, or something changed meanwhile.
    #[error("{message}")]
    NotMergeable {
        /// GitHub's message.
        message: String,
    },
    /// A limit is reached.
    #[error("its rate limit is reached")]
    Limited {
        /// When to retry.
        until: SystemTime,
    },
    /// GitHub is not well (5xx).
    #[error("it answered with status {status}")]
    Unavailable {
        /// The status.
        status: u16,
    },
    /// There was no answer.
    #[error("there was no answer")]
    Unreachable(#[source] HttpError),
    /// The answer is not what was agreed on.
    #[error("its answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

impl GitHubFault {
    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Identity(error) => error.is_transient(),
            Self::Limited { .. } => true,
            _ => self.is_ambiguous(),
        }
    }

    /// Returns whether it is not known if the request was carried out.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.is_transient(),
            _ => matches!(self, Self::Unavailable { .. }),
        }
    }

    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Anonymous => {
                Some("set `FLEETWRIGHT_TOKEN` or `GITHUB_TOKEN`, or name a token file or an App".into())
            }
            Self::Identity(error) => error.hint(),
            Self::Unauthorized => {
                Some("check that the token is complete, has not expired and was not revoked".into())
            }
            Self::Forbidden { needed, .. } => {
                let usual = "contents, pull requests, checks and commit statuses, all read and write";
                let needed = needed.as_deref().unwrap_or(usual);
                Some(format!("give the token or the app these permissions: {needed}"))
            }
            Self::NotFound => Some(
                "check the name of the repository, and that the token or the app has access to it".into(),
            ),
            Self::Moved { .. } => {
                Some("the repository was renamed or transferred: use its new address".into())
            }
            Self::NotMergeable { .. } => Some("merge it by hand once its branch's rules are met".into()),
            Self::Invalid { .. }
            | Self::Limited { .. }
            | Self::Unavailable { .. }
            | Self::Unreadable { .. } => None,
            Self::Unreachable(error) => error.hint(),
        }
    }
}

impl From<HttpError> for GitHubFault {
    fn from(error: HttpError) -> Self {
        match error.kind {
            // A token that cannot be sent is none.
            HttpErrorKind::Unsendable => Self::Unauthorized,
            _ => Self::Unreachable(error),
        }
    }
}
