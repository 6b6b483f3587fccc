//! Facts with their origins: every value of the merged inventory knows the file, line and column it was written at.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::key_path::{Step, owned};
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position};
use crate::tree::{Tree, parts};
use crate::yaml::{self, Map, Node, NodeKind, Value};

/// A fact, or a map or list of them, with the place it was written at.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    file: Arc<RepoPath>,
    /// Where the value starts.
    position: Position,
    /// Where its key stands, if it has one.
    key: Option<Position>,
    kind: FactKind,
}

#[derive(Clone, Debug, PartialEq)]
enum FactKind {
    Scalar(Json),
    List(Vec<Fact>),
    Map(Map<Fact>),
    /// An entry that a nearer file drops: it is not there, and it is known which `null` is to blame.
    Dropped,
}

impl Fact {
    /// Reads a parsed document, collecting all faults in its scalars.
    pub fn read(node: &Node, file: &Arc<RepoPath>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let fact = read(node, None, file, &mut faults);
        if faults.is_empty() { Ok(fact) } else { Err(faults) }
    }

    /// Returns an empty map at the head of a file.
    pub(crate) fn empty(file: &Arc<RepoPath>) -> Self {
        let kind = FactKind::Map(Map::default());
        Self { file: Arc::clone(file), position: Position::START, key: None, kind }
    }

    /// Lays `over` on top: maps merge key by key, `null` drops what is inherited, and everything else replaces.
    pub(crate) fn merged(self, over: Self) -> Self {
        let merge = |old: Self, new: Self| match new.kind {
            FactKind::Scalar(Json::Null) => Self { kind: FactKind::Dropped, ..new },
            _ => old.merged(new),
        };
        let kind = match (self.kind, over.kind) {
            (FactKind::Map(base), FactKind::Map(over)) => FactKind::Map(base.merged(over, &merge)),
            (_, kind) => kind,
        };
        Self { kind, ..over }
    }

    /// Lays `over` on top as [`merged`](Self::merged) does, and stays what it is about: its own place is kept.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        let (file, position, key) = (Arc::clone(&self.file), self.position, self.key);
        Self { file, position, key, ..self.merged(over) }
    }

    /// Returns about how much the fact takes with everything in it, in bytes of text and 64 for each fact.
    pub(crate) fn weight(&self) -> usize {
        const FACT: usize = 64;
        FACT + match &self.kind {
            FactKind::Scalar(Json::String(text)) => text.len(),
            FactKind::Scalar(_) | FactKind::Dropped => 0,
            FactKind::List(items) => items.iter().map(Self::weight).sum(),
            FactKind::Map(entries) => entries.iter().map(|(key, fact)| key.len() + fact.weight()).sum(),
        }
    }

    /// Returns the facts without their places.
    pub(crate) fn to_json(&self) -> Json {
        match &self.kind {
            FactKind::Scalar(value) => value.clone(),
            FactKind::List(items) => items.iter().map(Self::to_json).collect(),
            FactKind::Map(entries) => {
                there(entries).map(|(key, fact)| (key.to_owned(), fact.to_json())).collect()
            }
            FactKind::Dropped => Json::Null,
        }
    }

    /// Returns the text or the number that the fact is.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.kind {
            FactKind::Scalar(Json::String(text)) => Some(text.clone()),
            FactKind::Scalar(Json::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Returns the fact at a path.
    #[must_use]
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        Tree::at(self, path)
    }

    /// Returns the place of the value at a path, or of the nearest fact above it.
    pub(crate) fn place(&self, path: &[Step]) -> Place {
        self.nearest(path).own_place()
    }

    /// Returns the place of the key at a path, or of the nearest fact above it.
    pub(crate) fn key_place(&self, path: &[Step]) -> Place {
        let fact = self.nearest(path);
        Place { position: fact.key.unwrap_or(fact.position), ..fact.own_place() }
    }

    /// Returns every fact below this one, maps and lists included, with its path.
    #[must_use]
    pub fn all(&self) -> Vec<(Vec<Step>, &Self)> {
        parts(self).into_iter().skip(1).map(|(path, fact)| (owned(&path), fact)).collect()
    }

    /// Returns the file that the fact is written in.
    pub(crate) fn file(&self) -> &RepoPath {
        &self.file
    }

    /// Returns the place that the fact itself is written at.
    #[must_use]
    pub fn own_place(&self) -> Place {
        Place { file: RepoPath::clone(&self.file), position: self.position }
    }

    /// Returns the place of the `null` that drops an entry of this map, if one does.
    pub(crate) fn dropped(&self, key: &str) -> Option<Place> {
        let FactKind::Map(entries) = &self.kind else { return None };
        entries.get(key).filter(|fact| fact.is_dropped()).map(Self::own_place)
    }

    fn is_dropped(&self) -> bool {
        self.kind == FactKind::Dropped
    }

    fn nearest(&self, path: &[Step]) -> &Self {
        (0..=path.len()).rev().find_map(|length| self.at(&path[..length])).unwrap_or(self)
    }
}

impl Tree for Fact {
    fn children(&self) -> impl Iterator<Item = (Step<&str>, &Self)> {
        let (items, entries) = match &self.kind {
            FactKind::List(items) => (items.as_slice(), None),
            FactKind::Map(entries) => ([].as_slice(), Some(entries)),
            FactKind::Scalar(_) | FactKind::Dropped => ([].as_slice(), None),
        };
        let entries = entries.into_iter().flat_map(there).map(|(key, fact)| (Step::Key(key), fact));
        items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).chain(entries)
    }

    fn get(&self, key: &str) -> Option<&Self> {
        let FactKind::Map(entries) = &self.kind else { return None };
        entries.get(key).filter(|fact| !fact.is_dropped())
    }

    fn as_str(&self) -> Option<&str> {
        let FactKind::Scalar(value) = &self.kind else { return None };
        value.as_str()
    }
}

/// Returns the entries of a map that are not dropped.
fn there(entries: &Map<Fact>) -> impl Iterator<Item = (&str, &Fact)> {
    entries.iter().filter(|(_, fact)| !fact.is_dropped())
}

fn read(node: &Node, key: Option<Position>, file: &Arc<RepoPath>, faults: &mut Vec<Fault>) -> Fact {
    let kind = match &node.kind {
        NodeKind::Scalar(_) => FactKind::Scalar(scalar(node, faults)),
        NodeKind::List(items) => {
            FactKind::List(items.iter().map(|item| read(item, None, file, faults)).collect())
        }
        NodeKind::Map(entries) => {
            let read_entry = |(key, value): &(Node, Node)| {
                let name = key.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
                (name, read(value, Some(key.position), file, faults))
            };
            FactKind::Map(entries.iter().map(read_entry).collect())
        }
    };
    Fact { file: Arc::clone(file), position: node.position, key, kind }
}

fn scalar(node: &Node, faults: &mut Vec<Fault>) -> Json {
    let value = yaml::interpret(node).unwrap_or_else(|found| {
        faults.extend(found);
        Value::Null
    });
    value.to_json()
}
