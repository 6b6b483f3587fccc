//! Structural interpolation: the expanded text is parsed once with a token in each place, then values take the places.
//!
//! The parser never sees a value, so no value can leave its scalar or change the structure. Equal texts have equal
//! skeletons, which is what makes remembering them worth it: a fleet's files differ in values, hardly in structure.

use serde_json::Value as Json;

use crate::key_path::Step;
use crate::problem::{Fault, Position};
use crate::yaml::{self, Map, Node, NodeKind, Scalar, Style, Value};

use super::helpers::{Capture, kind_of, scalar_text};
use super::token;

/// A parsed file with places for values.
#[derive(Debug)]
pub(super) struct Skeleton {
    documents: Vec<Place>,
}

/// A node of a skeleton and where it stands in the expanded text.
#[derive(Debug)]
struct Place {
    position: Position,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A scalar of the template itself.
    Literal(Value),
    /// A plain scalar that is one token: takes the value with its type.
    Typed(usize),
    /// A scalar with tokens in it: takes the values as text.
    Text(Vec<Piece>),
    List(Vec<Place>),
    Map(Vec<(Key, Place)>),
}

#[derive(Debug)]
enum Key {
    Literal(Position, String),
    Text(Position, Vec<Piece>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Token(usize),
}

/// A value that cannot stand where it was put.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Which value; nothing if the fault is in the text around it.
    pub capture: Option<usize>,
    /// Where, in the expanded text.
    pub position: Position,
    pub message: String,
    pub hint: &'static str,
}

impl Skeleton {
    /// Parses an expanded text. Positions of faults are in that text.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let nodes = yaml::parse(text)?;
        let mut faults = Vec::new();
        let documents = nodes.into_iter().map(|node| place(node, &mut faults)).collect();
        if faults.is_empty() { Ok(Self { documents }) } else { Err(faults) }
    }

    /// Puts the captured values into their places; one value a document.
    pub(super) fn fill(&self, captures: &[Capture]) -> Result<Vec<Value>, Vec<Misfit>> {
        let mut filler = Filler { captures, misfits: Vec::new() };
        let documents = self.documents.iter().map(|document| filler.fill(document)).collect();
        if filler.misfits.is_empty() { Ok(documents) } else { Err(filler.misfits) }
    }

    /// Returns where the node at `steps` of document `document` stands in the expanded text, and the values in it.
    pub(super) fn locate(&self, document: usize, steps: &[Step], captures: &[Capture]) -> Option<Located> {
        let mut filler = Filler { captures, misfits: Vec::new() };
        let mut node = self.documents.get(document)?;
        let mut key_position = None;
        for step in steps {
            (key_position, node) = match (step, &node.kind) {
                (Step::Index(index), Kind::List(items)) => (None, items.get(*index)?),
                (Step::Key(key), Kind::Map(entries)) => {
                    let (name, value) =
                        entries.iter().find(|(name, _)| filler.key(name).as_deref() == Some(key))?;
                    (Some(name.position()), value)
                }
                // The rest of the path lies inside an inserted list or map.
                (_, Kind::Typed(_)) => {
                    key_position = None;
                    break;
                }
                _ => return None,
            };
        }
        let tokens = match &node.kind {
            Kind::Typed(token) => vec![*token],
            Kind::Text(pieces) => pieces.iter().filter_map(Piece::token).collect(),
            _ => Vec::new(),
        };
        Some(Located { position: node.position, key: key_position, tokens })
    }
}

/// Where a node of a document stands and which captures it holds.
#[derive(Debug)]
pub(super) struct Located {
    pub position: Position,
    /// Where its key stands, unless it is part of an inserted value.
    pub key: Option<Position>,
    pub tokens: Vec<usize>,
}

impl Key {
    const fn position(&self) -> Position {
        match self {
            Self::Literal(position, _) | Self::Text(position, _) => *position,
        }
    }
}

impl Piece {
    fn token(&self) -> Option<usize> {
        match self {
            Self::Token(index) => Some(*index),
            Self::Text(_) => None,
        }
    }
}

fn place(node: Node, faults: &mut Vec<Fault>) -> Place {
    let position = node.position;
    let kind = match node.kind {
        NodeKind::Scalar(scalar) => scalar_place(scalar, position, faults),
        NodeKind::List(items) => Kind::List(items.into_iter().map(|item| place(item, faults)).collect()),
        NodeKind::Map(entries) => Kind::Map(
            entries.into_iter().map(|(key, value)| (key_place(key), place(value, faults))).collect(),
        ),
    };
    Place { position, kind }
}

fn scalar_place(scalar: Scalar, position: Position, faults: &mut Vec<Fault>) -> Kind {
    if token::is_in(&scalar.text) {
        let pieces = pieces(&scalar.text);
        return match (scalar.style, pieces.as_slice()) {
            (Style::Plain, [Piece::Token(index)]) => Kind::Typed(*index),
            _ => Kind::Text(pieces),
        };
    }
    let node = Node { position, kind: NodeKind::Scalar(scalar) };
    match yaml::interpret(&node) {
        Ok(value) => Kind::Literal(value),
        Err(found) => {
            faults.extend(found);
            Kind::Literal(Value::Null)
        }
    }
}

fn key_place(key: Node) -> Key {
    let position = key.position;
    let text = match key.kind {
        NodeKind::Scalar(scalar) => scalar.text,
        // The reader refuses keys that are not scalars.
        NodeKind::List(_) | NodeKind::Map(_) => String::new(),
    };
    if token::is_in(&text) { Key::Text(position, pieces(&text)) } else { Key::Literal(position, text) }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, character) in text.char_indices() {
        let Some(index) = token::index(character) else { continue };
        if start < at {
            pieces.push(Piece::Text(text[start..at].to_owned()));
        }
        pieces.push(Piece::Token(index));
        start = at + character.len_utf8();
    }
    if start < text.len() {
        pieces.push(Piece::Text(text[start..].to_owned()));
    }
    pieces
}

struct Filler<'a> {
    captures: &'a [Capture],
    misfits: Vec<Misfit>,
}

impl Filler<'_> {
    fn fill(&mut self, place: &Place) -> Value {
        match &place.kind {
            Kind::Literal(value) => value.clone(),
            Kind::Typed(token) => {
                self.captures.get(*token).map_or(Value::Null, |capture| Value::from(&capture.value))
            }
            Kind::Text(pieces) => Value::String(self.text(pieces, place.position, "a larger string")),
            Kind::List(items) => Value::List(items.iter().map(|item| self.fill(item)).collect()),
            Kind::Map(entries) => self.map(entries, place.position),
        }
    }

    fn map(&mut self, entries: &[(Key, Place)], position: Position) -> Value {
        // The reader has compared the literal keys; a key from a value is compared here.
        let mut filled: Vec<(String, Value)> = Vec::with_capacity(entries.len());
        let has_inserted_keys = entries.iter().any(|(key, _)| matches!(key, Key::Text(..)));
        for (key, value) in entries {
            let name = self.key(key).unwrap_or_default();
            if has_inserted_keys && filled.iter().any(|(other, _)| *other == name) {
                let (capture, position) = match key {
                    Key::Text(at, pieces) => (pieces.iter().find_map(Piece::token), *at),
                    Key::Literal(..) => (None, position),
                };
                self.misfits.push(Misfit {
                    capture,
                    position,
                    message: format!("key `{name}` is there twice"),
                    hint: "keys made from values must differ from each other and from the written ones",
                });
                continue;
            }
            let value = self.fill(value);
            filled.push((name, value));
        }
        Value::Map(Map::from_iter(filled))
    }

    fn key(&mut self, key: &Key) -> Option<String> {
        match key {
            Key::Literal(_, text) => Some(text.clone()),
            Key::Text(position, pieces) => Some(self.text(pieces, *position, "a key")),
        }
    }

    fn text(&mut self, pieces: &[Piece], position: Position, place: &str) -> String {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Token(token) => {
                    let value = self.captures.get(*token).map_or(&Json::Null, |capture| &capture.value);
                    match scalar_text(value) {
                        Some(scalar) => text.push_str(&scalar),
                        None => self.misfits.push(Misfit {
                            capture: Some(*token),
                            position,
                            message: format!("{} inside {place}", kind_of(value)),
                            hint: "give it a scalar of its own, or pick a string or number from it",
                        }),
                    }
                }
            }
        }
        text
    }
}
