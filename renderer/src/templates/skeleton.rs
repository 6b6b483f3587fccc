//! Structural interpolation: the expanded text is parsed once with a token in each place, then values take the places.
//!
//! The parser never sees a value, so no value can leave its scalar or change the structure. Equal texts have equal
//! skeletons, which is what makes remembering them worth it: a fleet's files differ in values, hardly in structure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value as Json;

use crate::key_path::Step;
use crate::network::{is_host_position, is_ipv6};
use crate::problem::{Fault, Position};
use crate::yaml::{self, Map, Node, NodeKind, Scalar, Style, Value};

use super::budget::MAX_OUTPUT_BYTES;
use super::functions::{kind_of, scalar_text};
use super::helpers::{Capture, too_large, weight};
use super::scan::LineIndex;
use super::token;

/// A parsed file with places for values.
#[derive(Debug)]
pub(super) struct Skeleton {
    documents: Vec<Place>,
    /// About how many bytes it takes: aliases make it larger than its text.
    pub weight: usize,
}

/// A node of a skeleton and where it stands in the expanded text.
#[derive(Debug)]
struct Place {
    position: Position,
    /// Where its key stands, if it has one.
    key: Option<Position>,
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
    Literal(String),
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
    /// What the value does, to follow its name.
    pub message: String,
    pub hint: String,
}

impl Skeleton {
    /// Parses an expanded text. Positions of faults are in that text.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let nodes = yaml::parse(text)?;
        let weight = nodes.iter().map(|node| 2 * yaml::weight(node)).sum();
        let mut faults = escaped_tokens(text);
        let documents = nodes.into_iter().map(|node| place(node, None, &mut faults)).collect();
        if faults.is_empty() { Ok(Self { documents, weight }) } else { Err(faults) }
    }

    /// Puts the captured values into their places; one value a document.
    pub(super) fn fill(&self, captures: &[Capture]) -> Result<Vec<Value>, Vec<Misfit>> {
        let mut filler = Filler::new(captures);
        let documents = self.documents.iter().map(|document| filler.fill(document)).collect();
        if filler.misfits.is_empty() { Ok(documents) } else { Err(filler.misfits) }
    }

    /// Returns the documents as [`Self::fill`] does, with every character of an inserted value that may mean something to
    /// another program replaced by a letter: what differs between the two was brought by a value.
    pub(super) fn fill_neutral(&self, captures: &[Capture]) -> Vec<Value> {
        let mut filler = Filler { is_neutral: true, ..Filler::new(captures) };
        self.documents.iter().map(|document| filler.fill(document)).collect()
    }

    /// Returns where the node at `steps` of document `document` stands in the expanded text, and the values in it.
    pub(super) fn locate(&self, document: usize, steps: &[Step], captures: &[Capture]) -> Option<Located> {
        let mut filler = Filler::new(captures);
        let mut node = self.documents.get(document)?;
        for step in steps {
            node = match (step, &node.kind) {
                (Step::Index(index), Kind::List(items)) => items.get(*index)?,
                (Step::Key(key), Kind::Map(entries)) => {
                    &entries.iter().find(|(name, _)| filler.key(name) == *key)?.1
                }
                // The rest of the path lies inside an inserted list or map.
                (_, Kind::Typed(_)) => break,
                _ => return None,
            };
        }
        let tokens = match &node.kind {
            Kind::Typed(token) => vec![*token],
            Kind::Text(pieces) => pieces.iter().filter_map(Piece::token).collect(),
            _ => Vec::new(),
        };
        Some(Located { position: node.position, key: node.key, tokens })
    }
}

/// Where a node of a document stands and which captures it holds.
#[derive(Debug)]
pub(super) struct Located {
    pub position: Position,
    pub key: Option<Position>,
    pub tokens: Vec<usize>,
}

impl Piece {
    fn token(&self) -> Option<usize> {
        match self {
            Self::Token(index) => Some(*index),
            Self::Text(_) => None,
        }
    }
}

fn place(node: Node, key: Option<Position>, faults: &mut Vec<Fault>) -> Place {
    let position = node.position;
    let kind = match node.kind {
        NodeKind::Scalar(scalar) => scalar_place(scalar, position, faults),
        NodeKind::List(items) => {
            Kind::List(items.into_iter().map(|item| place(item, None, faults)).collect())
        }
        NodeKind::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = Some(key.position);
                    (key_place(key), place(value, at, faults))
                })
                .collect(),
        ),
    };
    Place { position, key, kind }
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
    if token::is_in(&text) { Key::Text(position, pieces(&text)) } else { Key::Literal(text) }
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

/// Returns the escapes that YAML would turn into characters which stand for values.
fn escaped_tokens(text: &str) -> Vec<Fault> {
    let escapes = memchr::memchr_iter(b'\\', text.as_bytes()).filter(|at| is_token_escape(&text[at + 1..]));
    let lines = LineIndex::new(text);
    escapes
        .map(|at| {
            Fault::new(lines.position(at), "the escape of a private-use character in a template")
                .hint("remove it, or write it into the inventory")
        })
        .collect()
}

fn is_token_escape(escape: &str) -> bool {
    let number = |digits: Option<&str>| digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match escape.as_bytes().first() {
        Some(b'U') => number(escape.get(1..9)).and_then(char::from_u32).is_some_and(token::is_reserved),
        // The first halves of the characters from U+F0000 on, where a reader puts halves together.
        Some(b'u') => number(escape.get(1..5)).is_some_and(|half| (0xDB80..=0xDBFF).contains(&half)),
        _ => false,
    }
}

struct Filler<'a> {
    captures: &'a [Capture],
    misfits: Vec<Misfit>,
    /// Whether inserted values lose every character that is no letter, digit or sign of names and addresses.
    is_neutral: bool,
    /// What the text and the inserted values add up to: an alias in the template repeats both.
    bytes: usize,
}

impl<'a> Filler<'a> {
    fn new(captures: &'a [Capture]) -> Self {
        Self { captures, misfits: Vec::new(), is_neutral: false, bytes: 0 }
    }

    fn fill(&mut self, place: &Place) -> Value {
        match &place.kind {
            Kind::Literal(value) => value.clone(),
            Kind::Typed(token) => self.typed(*token, place.position),
            Kind::Text(pieces) => Value::String(self.text(pieces, place.position, "a larger string")),
            Kind::List(items) => Value::List(items.iter().map(|item| self.fill(item)).collect()),
            Kind::Map(entries) => Value::Map(self.map(entries)),
        }
    }

    fn value(&self, token: usize) -> &'a Json {
        self.captures.get(token).map_or(&Json::Null, |capture| &capture.value)
    }

    fn is_file(&self, token: usize) -> bool {
        self.captures.get(token).is_some_and(|capture| capture.is_file)
    }

    fn typed(&mut self, token: usize, position: Position) -> Value {
        let value = self.value(token);
        if !self.has_room(weight(value), token, position) {
            return Value::Null;
        }
        let value = value.into();
        if self.is_neutral && !self.is_file(token) { neutral(value) } else { value }
    }

    /// Counts bytes that are about to be inserted; says so once if they are too many.
    fn has_room(&mut self, bytes: usize, token: usize, position: Position) -> bool {
        let was_full = self.bytes > MAX_OUTPUT_BYTES;
        self.bytes += bytes;
        let is_full = self.bytes > MAX_OUTPUT_BYTES;
        if is_full && !was_full {
            let refusal = too_large();
            self.misfits.push(Misfit {
                capture: Some(token),
                position,
                message: format!("stands in many places: {}", refusal.message),
                hint: refusal.hint.unwrap_or_default(),
            });
        }
        !is_full
    }

    fn map(&mut self, entries: &[(Key, Place)]) -> Map {
        let mut filled = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.key(key);
            filled.push((name, self.fill(value)));
        }
        // The reader has compared the literal keys; a key from a value is compared here.
        if entries.iter().any(|(key, _)| matches!(key, Key::Text(..))) {
            let keys = entries.iter().map(|(key, _)| key);
            self.check_duplicates(filled.iter().map(|(name, _)| name.as_str()).zip(keys));
        }
        Map::from_iter(filled)
    }

    fn check_duplicates<'k>(&mut self, keys: impl Iterator<Item = (&'k str, &'k Key)>) {
        let mut seen: HashMap<&str, &Key> = HashMap::new();
        for (name, key) in keys {
            let Some(first) = seen.insert(name, key) else { continue };
            let inserted = key.inserted().or_else(|| first.inserted());
            self.misfits.extend(inserted.map(|(capture, position)| Misfit {
                capture: Some(capture),
                position,
                message: format!("makes the key `{name}`, which is there already"),
                hint:
                    "keys made from values must differ from each other and from the written ones".to_owned(),
            }));
        }
    }

    fn key(&mut self, key: &Key) -> String {
        match key {
            Key::Literal(text) => text.clone(),
            Key::Text(position, pieces) => self.text(pieces, *position, "a key"),
        }
    }

    fn text(&mut self, pieces: &[Piece], position: Position, place: &str) -> String {
        let mut text = String::new();
        // Where IPv6 addresses were inserted: what stands around them decides how they are written.
        let mut addresses = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Token(token) => match scalar_text(self.value(*token)) {
                    Some(scalar) if self.has_room(scalar.len(), *token, position) => {
                        if is_ipv6(&scalar) {
                            addresses.push(text.len()..text.len() + scalar.len());
                        }
                        let is_file = self.is_file(*token);
                        // A file that ends its last line needs no second line break after it.
                        let is_line = is_file && ends_line(pieces.get(at + 1));
                        let scalar =
                            if is_line { scalar.strip_suffix('\n').unwrap_or(&scalar) } else { &scalar };
                        let is_neutral = self.is_neutral && !is_file;
                        text.push_str(&if is_neutral {
                            neutral_text(scalar).into()
                        } else {
                            Cow::from(scalar)
                        });
                    }
                    Some(_) => {}
                    None => self.misfits.push(Misfit {
                        capture: Some(*token),
                        position,
                        message: format!("is {} inside {place}", kind_of(self.value(*token))),
                        hint: "give it a scalar of its own, or pick a string or number from it".to_owned(),
                    }),
                },
            }
        }
        with_brackets(text, addresses)
    }
}

fn ends_line(next: Option<&Piece>) -> bool {
    matches!(next, Some(Piece::Text(text)) if text.starts_with('\n'))
}

/// Puts brackets around the addresses that stand in a URL or before a port.
fn with_brackets(text: String, addresses: Vec<Range<usize>>) -> String {
    let mut hosts =
        addresses.into_iter().filter(|at| is_host_position(&text[..at.start], &text[at.end..])).peekable();
    if hosts.peek().is_none() {
        return text;
    }
    let mut written = String::with_capacity(text.len() + 2);
    let mut done = 0;
    for Range { start, end } in hosts {
        written.extend([&text[done..start], "[", &text[start..end], "]"]);
        done = end;
    }
    written.push_str(&text[done..]);
    written
}

fn neutral(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(neutral_text(&text)),
        Value::List(items) => Value::List(items.into_iter().map(neutral).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (neutral_text(&key), neutral(value))).collect())
        }
        other => other,
    }
}

/// Replaces each character that may mean something to another program, and keeps the number of characters.
fn neutral_text(text: &str) -> String {
    let is_neutral = |c: char| c.is_alphanumeric() || "-_./:@".contains(c);
    text.chars().map(|c| if is_neutral(c) { c } else { 'x' }).collect()
}

impl Key {
    /// Returns a value that the key is made from, and where the key stands.
    fn inserted(&self) -> Option<(usize, Position)> {
        match self {
            Self::Literal(_) => None,
            Self::Text(position, pieces) => Some((pieces.iter().find_map(Piece::token)?, *position)),
        }
    }
}
