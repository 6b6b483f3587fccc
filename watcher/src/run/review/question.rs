//! What is asked about a pull request.

use renderer::plan::Budget;
use serde::{Deserialize, Serialize};

use crate::git::Revision;
use crate::run::describe::Links;
use crate::run::effects::Shown;

/// What a review is about: everything that it shows follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct Subject {
    pub head: Revision,
    /// The newest commit that the head and the base branch share.
    pub base: Revision,
}

/// What is asked about a pull request: everything that a review shows follows from this and the repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::run) struct Question {
    pub subject: Subject,
    /// The base branch, and where its pages are.
    pub links: Links,
    /// How much may be deleted.
    pub budget: Budget,
    /// The plan that may delete more.
    pub allow_deletions: Option<String>,
    /// What the change does to what runs, if that is shown.
    pub effects: Option<Shown>,
    /// Whether a page for browsers is made, too.
    pub makes_page: bool,
    /// The pull request, if it has a number.
    pub number: Option<u64>,
    /// Whether what the head started from is known not to render, so that it is not tried.
    pub is_base_unrenderable: bool,
}
