//! Sources of templates, and places in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::path::RepoPath;
use crate::problem::Place;

/// The text of a template or partial.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The file.
    pub file: RepoPath,
    /// Its text.
    pub text: Arc<str>,
}

/// The folder of the files that templates insert as text.
pub const TEXTS: &str = "templates/_files";

/// Files that templates insert as text, by the name they are called by.
pub type Texts = BTreeMap<String, TemplateSource>;

/// Whether a source is expanded by itself or called by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::templates) enum SourceKind {
    Template,
    Partial,
}

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
