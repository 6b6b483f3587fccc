//! How GitHub fails, in our words.

use std::time::SystemTime;

use thiserror::Error;

use crate::http::{HttpError, HttpErrorKind};
use crate::identity::IdentityError;
use crate::output::with_causes;

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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct GitHubFault {
    /// What is decided by it.
    pub kind: GitHubFaultKind,
    /// What is wrong; GitHub's own words where it gives some.
    pub message: String,
    /// What to do about it, if something is known.
    pub hint: Option<String>,
}

/// What is decided by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitHubFaultKind {
    /// A user has to change something.
    Stalled,
    /// Nothing was sent, and trying again later may help.
    Transient,
    /// It is not known whether the request was carried out: no answer came, or one with a status of 5xx.
    Ambiguous,
    /// A limit is reached, and trying again before this moment is of no use.
    Limited(SystemTime),
    /// The token is not accepted (401).
    Unauthorized,
    /// There is nothing of this name, or the token does not see it (404, 410).
    NotFound,
    /// What was asked for does not fit what is there (400, 422).
    Invalid,
    /// It cannot be merged now (405, 409): a rule of the branch forbids it, or something changed meanwhile.
    NotMergeable,
}

impl GitHubError {
    pub(in crate::forge::github) fn is(&self, kind: GitHubFaultKind) -> bool {
        self.fault.kind == kind
    }
}

impl GitHubFault {
    pub(in crate::forge::github) fn new(
        kind: GitHubFaultKind,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { hint: Some(hint.into()), ..Self::without_hint(kind, message) }
    }

    pub(in crate::forge::github) fn without_hint(kind: GitHubFaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(super) fn unauthorized() -> Self {
        let hint = "check that the token is complete, has not expired and was not revoked";
        Self::new(GitHubFaultKind::Unauthorized, "the token is not accepted", hint)
    }

    pub(super) fn limited(until: SystemTime) -> Self {
        Self::without_hint(GitHubFaultKind::Limited(until), "its rate limit is reached")
    }

    /// The answer is not what was agreed on.
    pub(super) fn unreadable(reason: &str) -> Self {
        let message = format!("its answer cannot be read: {reason}");
        Self::without_hint(GitHubFaultKind::Stalled, message)
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        use GitHubFaultKind::{Ambiguous, Limited, Transient};
        matches!(self.kind, Transient | Ambiguous | Limited(_))
    }
}

impl From<IdentityError> for GitHubFault {
    fn from(error: IdentityError) -> Self {
        use GitHubFaultKind::{Stalled, Transient};
        let kind = if error.is_transient() { Transient } else { Stalled };
        Self { kind, message: with_causes(&error), hint: error.hint() }
    }
}

impl From<HttpError> for GitHubFault {
    fn from(error: HttpError) -> Self {
        use GitHubFaultKind::{Ambiguous, Stalled};
        // A token that cannot be sent is none.
        if error.kind == HttpErrorKind::Unsendable {
            return Self::unauthorized();
        }
        let kind = if error.is_transient() { Ambiguous } else { Stalled };
        Self { kind, message: format!("there was no answer: {error}"), hint: error.hint() }
    }
}
