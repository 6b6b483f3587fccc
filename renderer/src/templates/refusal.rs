//! Why an expansion cannot go on, on its way through handlebars' own error type.

use handlebars::{RenderError, RenderErrorReason};
use thiserror::Error;

/// Why a helper refuses to go on, on its way through handlebars' own error type.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct Refusal {
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Refusal> for RenderError {
    fn from(refusal: Refusal) -> Self {
        RenderErrorReason::NestedError(Box::new(refusal)).into()
    }
}
