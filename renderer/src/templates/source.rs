//! Sources of templates, as they are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::path::RepoPath;

/// The folder of the files that templates insert as text.
pub const TEXTS: &str = "templates/_files";

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

/// Whether to mark literal text for tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracing {
    Off,
    On,
}

/// Whether a source is expanded by itself or called by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceKind {
    Template,
    Partial,
}

/// A source to compile under a name: a template by its path, a partial by the name it is called by.
#[derive(Clone, Debug)]
pub(super) struct SourceText<'a> {
    pub kind: SourceKind,
    pub name: String,
    pub file: &'a RepoPath,
    pub text: &'a str,
}
