//! Why there is no token, with what to do about it, and never with a token in it.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::http::{HttpError, HttpErrorKind};

/// There is no token to be had, or no App to have one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct IdentityError {
    message: String,
    hint: Option<String>,
    is_transient: bool,
}

impl IdentityError {
    pub(super) fn stalled(message: impl Into<String>, hint: &str) -> Self {
        Self { message: message.into(), hint: Some(hint.to_owned()), is_transient: false }
    }

    /// A file with a token or a key that cannot be read.
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let hint = "check the path, and the mode: the user that runs this must be able to read it, and no other user to write it";
            Self::stalled(format!("failed to read `{}`: {error}", path.display()), hint)
        }
    }

    /// A file that should hold an App's private key.
    pub(super) fn of_key(path: &Path) -> impl FnOnce(&str) -> Self {
        move |fault| {
            let message = format!("`{}` holds no private key of a GitHub App: {fault}", path.display());
            let hint = "use the file that the App's settings page gives under `Private keys`, as it is";
            Self::stalled(message, hint)
        }
    }

    /// A request that was refused or not answered; `not_found` is what helps if what it is about is not there.
    pub(super) fn of_request(attempt: &str, not_found: &str, error: &HttpError) -> Self {
        let hint = match error.kind {
            HttpErrorKind::NotFound => Some(not_found.to_owned()),
            HttpErrorKind::CredentialRejected => {
                let hint = "check that the id and the private key belong to the same App, and that this machine's clock is right";
                Some(hint.to_owned())
            }
            _ => error.hint(),
        };
        Self { message: format!("failed to {attempt}: {error}"), hint, is_transient: error.is_transient() }
    }

    /// An answer that is not as documented.
    pub(super) fn of_answer(attempt: &str) -> Self {
        let message = format!("failed to {attempt}: the answer is not as expected");
        Self { message, hint: None, is_transient: true }
    }

    pub(super) fn or_hint(self, hint: &str) -> Self {
        Self { hint: self.hint.or_else(|| Some(hint.to_owned())), ..self }
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        self.is_transient
    }
}
