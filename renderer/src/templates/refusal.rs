//! Why an expansion cannot go on, on its way through handlebars' own error type.

use handlebars::{RenderError, RenderErrorReason};
use thiserror::Error;

/// Why a helper refuses to go on.
#[derive(Clone, Debug)]
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

/// All that is wrong with one tag.
#[derive(Clone, Debug, Error)]
#[error("a tag is refused")]
pub(super) struct Refusals(pub Vec<Refusal>);

impl From<Refusal> for RenderError {
    fn from(refusal: Refusal) -> Self {
        Refusals(vec![refusal]).into()
    }
}

impl From<Refusals> for RenderError {
    fn from(refusals: Refusals) -> Self {
        RenderErrorReason::NestedError(Box::new(refusals)).into()
    }
}
