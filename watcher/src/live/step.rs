//! What commands that bring something about report.

use serde::Serialize;

/// A step, and whether it was, or would be, more than a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is about.
    pub what: String,
    /// Whether something was not as it should be.
    pub changed: bool,
}
