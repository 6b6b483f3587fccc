//! What people see: colours, progress, logs and exit codes.
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

pub use exit::Exit;
pub use progress::Progress;
