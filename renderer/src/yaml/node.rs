//! A parsed document as it was written: positions, scalar styles and spelling are kept, nothing is interpreted.

use crate::problem::Position;

/// A node of a parsed document with the position of its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the node starts; for a block scalar, its first line of text.
    pub position: Position,
    /// What it is.
    pub kind: NodeKind,
}

/// The three kinds of YAML node. Aliases and merge keys have been expanded by the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A scalar, not yet interpreted.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order it was written. Keys are scalars and differ.
    Map(Vec<(Node, Node)>),
}

/// The text of a scalar after YAML's own unescaping, and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The content.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written. Only a plain one can be anything but a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes, or tagged `!!str`.
    Quoted,
    /// A block scalar, `|` or `>`.
    Block,
}

impl Node {
    /// Returns the scalar, if the node is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Returns the entries, if the node is a map.
    pub(crate) fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns the items, if the node is a list.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the key node and the value node of `key`, if the node is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name.as_scalar().is_some_and(|scalar| scalar.text == key))
            .map(|(name, value)| (name, value))
    }

    /// Returns the value of `key`, if the node is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }
}
