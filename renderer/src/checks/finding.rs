//! What a check finds: a fault at a path of a rendered document.

use serde::{Deserialize, Serialize};

use crate::key_path::Step;

/// A fault at a path of a rendered document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The path of the value at fault.
    pub path: Vec<Step>,
    /// What there is to edit.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The name of the check that found it; empty until it is known.
    #[serde(skip)]
    pub check: &'static str,
}

/// What of a value at a path is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The value: the fact that it is, or the line of the template that makes it.
    Value,
    /// The last key of the path.
    Key,
    /// A line of a text, from 0.
    Line(usize),
    /// What the template inserts there: the fact is right, and belongs elsewhere.
    Insertion,
    /// What the `addon.yaml` of the file's add-on says: the path is one in it.
    Addon,
    /// A fact of the cluster: the path is one among its facts.
    Fact,
    /// The templates of each cluster's own files, of which one is missing.
    ClusterTemplates,
}

impl Finding {
    pub(super) fn new(path: &[Step], message: impl Into<String>) -> Self {
        Self { path: path.to_vec(), part: Part::Value, message: message.into(), hint: None, check: "" }
    }

    pub(super) fn on(self, part: Part) -> Self {
        Self { part, ..self }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the name of the check that found it.
    pub(crate) fn of(self, check: &'static str) -> Self {
        Self { check, ..self }
    }
}
