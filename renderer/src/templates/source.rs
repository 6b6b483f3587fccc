//! Sources of templates, as they are read and as they are compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use handlebars::Handlebars;
use serde::Serialize;

use crate::path::RepoPath;
use crate::problem::Place;

use super::trail::Marks;

/// The folder of the files that templates insert as text.
pub const TEXTS: &str = "templates/_files";

/// The folder of templates that list whatever facts there are: one that nothing else reads does nothing.
pub(super) const LISTS: &str = "templates/infra/fleet";

/// The text of a template or partial.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The file.
    pub file: RepoPath,
    /// Its text.
    pub text: Arc<str>,
}

/// Files that templates insert as text, by the name they are called by.
pub type Texts = BTreeMap<String, TemplateSource>;

/// Whether a source is expanded by itself or called by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceKind {
    Template,
    Partial,
}

/// A source to compile under a name: a template by its path, a partial by the name it is called by.
#[derive(Clone, Debug)]
pub(super) struct SourceText {
    pub kind: SourceKind,
    pub name: String,
    pub file: Arc<RepoPath>,
    pub text: Arc<str>,
}

/// A line of a template that writes something, or the tag on it that does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateLine {
    /// The template file and the position of the opening braces, or of the text.
    #[serde(flatten)]
    pub place: Place,
    /// What stands between the braces; nothing if the text is written in the template itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The file whose text is inserted, if it is one.
    #[serde(rename = "inserts", skip_serializing_if = "Option::is_none")]
    pub text: Option<RepoPath>,
}

/// Compiled templates, ready to expand.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub registry: Handlebars<'static>,
    /// The tags that insert a value, decide in a block or call a partial.
    pub sites: Vec<TemplateLine>,
    /// Where the text between the tags is written.
    pub marks: Marks,
    /// Every name that occurs as a segment of a path in some template.
    pub names_read: BTreeSet<String>,
    /// The names that paths end in: what is read as a whole.
    pub ends_read: BTreeSet<String>,
    /// The first lines that are marks for other programs, by template.
    pub first_lines: BTreeMap<RepoPath, String>,
    /// The partials that each source calls, and the files whose text it inserts.
    pub parts: BTreeMap<RepoPath, BTreeSet<RepoPath>>,
}
