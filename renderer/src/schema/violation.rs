//! What is wrong with a schema, and with a value.

use thiserror::Error;

use crate::key_path::Step;

/// A schema that is not a valid schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the schema is not valid at `{pointer}`: {reason}")]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer; empty for the schema as a whole.
    pub pointer: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A place where a value breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The place: for a missing key the map that lacks it, otherwise the value at fault.
    pub path: Vec<Step>,
    /// Whether the fault is the last key of the path itself and not its value.
    pub on_key: bool,
    /// The key that the map at the path lacks, if that is the fault.
    pub missing: Option<String>,
    /// What is wrong: a lower-case fragment with names in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SchemaError {
    pub(super) fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }
}

impl Violation {
    pub(super) fn new(path: Vec<Step>, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { path, on_key: false, missing: None, message: message.into(), hint }
    }
}
