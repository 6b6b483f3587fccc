//! The tree of a template: what is written, what is inserted, and what decides on either.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use super::super::functions::Function;
use super::partials::PartialCall;
use super::path::Path;
use super::source::Site;
use crate::path::RepoPath;

/// A template, with what it reads and calls.
#[derive(Debug, Default)]
pub(in crate::templates) struct Tree {
    pub nodes: Vec<Node>,
    /// Every name that occurs in a path.
    pub names_read: BTreeSet<String>,
    /// The names that paths end in: what is read as a whole.
    pub ends_read: BTreeSet<String>,
    /// The files whose text is inserted.
    pub texts: BTreeSet<RepoPath>,
    pub partials: Vec<PartialCall>,
    /// How many tags there are.
    pub tags: usize,
}

#[derive(Debug)]
pub(in crate::templates) enum Node {
    /// A stretch of the source, as it stands.
    Text(Range<usize>),
    Value(Site, Expression),
    Block(Box<Block>),
    Partial(Box<Partial>),
}

/// What has a value.
#[derive(Debug)]
pub(in crate::templates) enum Expression {
    Path(Path),
    Literal(Json),
    /// The text of a file.
    File(RepoPath, Json),
    Call(&'static Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::templates) enum BlockKind {
    Each,
    If,
    Raw,
    Unless,
    With,
}

/// A block and its branches; `else if` is a block in the other branch.
#[derive(Debug)]
pub(in crate::templates) struct Block {
    pub site: Site,
    pub kind: BlockKind,
    pub argument: Expression,
    /// The names after `as`: of the item, and of the key.
    pub names: Vec<String>,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// A call of a partial.
#[derive(Debug)]
pub(in crate::templates) struct Partial {
    pub site: Site,
    pub name: String,
    pub argument: Option<Expression>,
    /// The arguments that have names.
    pub named: Vec<(String, Expression)>,
    /// What each of its lines is indented by.
    pub indent: String,
    /// Whether it has a line to itself, which it has to end.
    pub has_own_line: bool,
}

impl BlockKind {
    /// The blocks that people may write, in the order of their names.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("each", Self::Each),
        ("if", Self::If),
        ("raw", Self::Raw),
        ("unless", Self::Unless),
        ("with", Self::With),
    ];

    /// Returns whether `this` is another value inside.
    pub(super) fn is_scope(self) -> bool {
        matches!(self, Self::Each | Self::With)
    }

    /// Returns how many names may follow `as`.
    pub(super) fn most_names(self) -> usize {
        match self {
            Self::Each => 2,
            Self::With => 1,
            Self::If | Self::Raw | Self::Unless => 0,
        }
    }
}
