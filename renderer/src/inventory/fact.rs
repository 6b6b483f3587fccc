//! Facts with their origins: every value of the merged inventory knows the file, line and column it was written at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};

use crate::key_path::Step;
use crate::path::RepoPath;
use crate::problem::{Fault, Place, Position};
use crate::yaml::{self, Node, NodeKind, Value};

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
    Map(BTreeMap<String, Fact>),
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
    #[must_use]
    pub fn empty(file: &Arc<RepoPath>) -> Self {
        let kind = FactKind::Map(BTreeMap::new());
        Self { file: Arc::clone(file), position: Position::START, key: None, kind }
    }

    /// Lays `over` on top: maps merge key by key, `null` drops what is inherited, and everything else replaces.
    #[must_use]
    pub fn merged(self, over: Self) -> Self {
        let Self { file, position, key, kind } = over;
        let kind = match (self.kind, kind) {
            (FactKind::Map(mut base), FactKind::Map(over)) => {
                for (name, fact) in over {
                    let merged = match base.remove(&name) {
                        Some(_) if fact.is_null() => Self { kind: FactKind::Dropped, ..fact },
                        Some(old) => old.merged(fact),
                        None => fact,
                    };
                    base.insert(name, merged);
                }
                FactKind::Map(base)
            }
            (_, kind) => kind,
        };
        Self { file, position, key, kind }
    }

    /// Returns about how much the fact takes with everything in it, in bytes of text and 64 for each fact.
    #[must_use]
    pub fn weight(&self) -> usize {
        const FACT: usize = 64;
        FACT + match &self.kind {
            FactKind::Scalar(Json::String(text)) => text.len(),
            FactKind::Scalar(_) | FactKind::Dropped => 0,
            FactKind::List(items) => items.iter().map(Self::weight).sum(),
            FactKind::Map(entries) => entries.iter().map(|(key, fact)| key.len() + fact.weight()).sum(),
        }
    }

    /// Returns the facts without their places.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.kind {
            FactKind::Scalar(value) => value.clone(),
            FactKind::List(items) => items.iter().map(Self::to_json).collect(),
            FactKind::Map(entries) => Json::Object(
                there(entries).map(|(key, fact)| (key.clone(), fact.to_json())).collect::<Map<_, _>>(),
            ),
            FactKind::Dropped => Json::Null,
        }
    }

    /// Returns the fact at a path.
    #[must_use]
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |fact, step| fact.child(step))
    }

    /// Returns the place of the value at a path, or of the nearest fact above it.
    #[must_use]
    pub fn place(&self, path: &[Step]) -> Place {
        let fact = self.nearest(path);
        fact.place_at(fact.position)
    }

    /// Returns the place of the key at a path, or of the nearest fact above it.
    #[must_use]
    pub fn key_place(&self, path: &[Step]) -> Place {
        let fact = self.nearest(path);
        fact.place_at(fact.key.unwrap_or(fact.position))
    }

    /// Returns every fact below this one, maps and lists included, with its path.
    #[must_use]
    pub fn all(&self) -> Vec<(Vec<Step>, &Self)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    /// Returns the file that the fact is written in.
    #[must_use]
    pub fn file(&self) -> &RepoPath {
        &self.file
    }

    /// Returns the place that the fact itself is written at.
    #[must_use]
    pub fn own_place(&self) -> Place {
        self.place_at(self.position)
    }

    /// Returns the paths of the facts directly below this one.
    #[must_use]
    pub fn children(&self) -> Vec<(Step, &Self)> {
        match &self.kind {
            FactKind::Scalar(_) | FactKind::Dropped => Vec::new(),
            FactKind::List(items) => {
                items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).collect()
            }
            FactKind::Map(entries) => {
                there(entries).map(|(key, fact)| (Step::Key(key.clone()), fact)).collect()
            }
        }
    }

    /// Returns the place of the `null` that drops an entry of this map, if one does.
    #[must_use]
    pub fn dropped(&self, key: &str) -> Option<Place> {
        let FactKind::Map(entries) = &self.kind else { return None };
        entries.get(key).filter(|fact| fact.is_dropped()).map(Self::own_place)
    }

    fn is_dropped(&self) -> bool {
        self.kind == FactKind::Dropped
    }

    fn is_null(&self) -> bool {
        self.kind == FactKind::Scalar(Json::Null)
    }

    fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.kind, step) {
            (FactKind::List(items), Step::Index(index)) => items.get(*index),
            (FactKind::Map(entries), Step::Key(key)) => entries.get(key).filter(|fact| !fact.is_dropped()),
            _ => None,
        }
    }

    fn nearest(&self, path: &[Step]) -> &Self {
        let mut fact = self;
        for step in path {
            match fact.child(step) {
                Some(child) => fact = child,
                None => break,
            }
        }
        fact
    }

    fn place_at(&self, position: Position) -> Place {
        Place { file: RepoPath::clone(&self.file), position }
    }

    fn collect<'a>(&'a self, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, &'a Self)>) {
        for (step, child) in self.children() {
            path.push(step);
            found.push((path.clone(), child));
            child.collect(path, found);
            path.pop();
        }
    }
}

/// Returns the entries of a map that are not dropped.
fn there(entries: &BTreeMap<String, Fact>) -> impl Iterator<Item = (&String, &Fact)> {
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
    match yaml::interpret(node) {
        Ok(Value::Null | Value::List(_) | Value::Map(_)) => Json::Null,
        Ok(Value::Bool(flag)) => Json::Bool(flag),
        Ok(Value::String(text)) => Json::String(text),
        Ok(Value::Number(number)) => number.as_str().parse::<Number>().map_or(Json::Null, Json::Number),
        Err(found) => {
            faults.extend(found);
            Json::Null
        }
    }
}
