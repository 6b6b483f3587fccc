//! What templates are compiled into.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::Handlebars;

use crate::path::RepoPath;
use crate::problem::Place;

use super::partials::PartialCall;

/// A place in a template where a value is inserted or a block decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The template file and the position of the opening braces.
    pub place: Place,
    /// What stands between the braces.
    pub expression: String,
    /// The file whose text is inserted, if it is one.
    pub text: Option<RepoPath>,
}

/// A stretch of literal text of a template, for tracing output back to its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub file: RepoPath,
    /// The byte offset in the source.
    pub offset: usize,
}

/// Compiled templates, ready to expand.
#[derive(Debug)]
pub(super) struct Compiled {
    pub registry: Handlebars<'static>,
    pub sites: Vec<Site>,
    /// Filled only in a traced copy.
    pub stretches: Vec<Stretch>,
    /// Every name that occurs as a segment of a path in some template.
    pub names_read: BTreeSet<String>,
    /// The names that paths end in: what is read as a whole.
    pub ends_read: BTreeSet<String>,
    /// The partials that each source calls, and the files whose text it inserts.
    pub parts: BTreeMap<RepoPath, BTreeSet<RepoPath>>,
    /// How many tags there are.
    pub tags: usize,
}

/// What a source calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub partials: Vec<PartialCall>,
    pub texts: BTreeSet<RepoPath>,
}
