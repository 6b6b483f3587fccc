//! Output: colours, progress, tables, logs, metrics and exit codes.
//!
//! Knows nothing of what is shown; standard output is for results, standard error for everything else.

mod exit;
pub mod findings;
pub mod logging;
pub mod metrics;
pub mod problems;
mod progress;
pub mod style;
pub mod table;
mod traces;
#[cfg(feature = "otlp")]
mod traces_otlp;

pub use exit::Exit;
pub use progress::Progress;

/// Returns the message of an error and of its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
