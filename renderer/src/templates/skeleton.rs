//! Structural interpolation: the expanded text is parsed once with a token in each place, then values take the places.
//!
//! The parser never sees a value, so no value can leave its scalar or change the structure. Equal texts have equal
//! skeletons, which is what makes remembering them worth it: a fleet's files differ in values, hardly in structure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Match, Regex};
use serde_json::Value as Json;

use crate::key_path::Step;
use crate::network::{is_host_position, is_ipv6};
use crate::problem::{Fault, Position};
use crate::rewritten::rewritten;
use crate::yaml::{self, Map, Node, NodeKind, Scalar, Style, Value};

use super::budget::MAX_OUTPUT_BYTES;
use super::functions::{kind_of, scalar_text};
use super::recorder::{Capture, too_large, weight};
use super::refusal::Refusal;
use super::syntax::{LineIndex, token};
use super::trail::Trail;

/// A parsed file with places for values.
#[derive(Debug)]
pub(super) struct Skeleton {
    documents: Vec<Slot>,
    /// Where each part of the expanded text was written.
    pub trail: Trail,
    /// About how many bytes it takes: aliases make it larger than its text.
    pub weight: usize,
}

/// A node of a skeleton and where it stands in the expanded text.
#[derive(Debug)]
struct Slot {
    position: Position,
    /// Where its key stands, if it has one.
    key: Option<Position>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// A scalar of the template itself.
    Literal(Value),
    /// A plain scalar that is one token: takes the value with its type.
    Typed(usize),
    /// A scalar with tokens in it: takes the values as text.
    Text(String),
    List(Vec<Slot>),
    /// The keys may have tokens in them.
    Map(Vec<(String, Slot)>),
}

/// A value that cannot stand where it was put: which one, and what it does there, to follow its name.
pub(super) type Misfit = (usize, Fault);

impl Skeleton {
    /// Parses an expanded text with its marks. Positions of faults are in the text without them.
    pub(super) fn parse(marked: &str) -> Result<Self, (Vec<Fault>, Trail)> {
        let (text, trail) = Trail::read(marked);
        let nodes = match yaml::parse(&text) {
            Ok(nodes) => nodes,
            Err(faults) => return Err((faults, trail)),
        };
        let weight = trail.weight() + nodes.iter().map(|node| 2 * yaml::weight(node)).sum::<usize>();
        let mut faults = escaped_tokens(&text);
        let documents = nodes.into_iter().map(|node| slot(node, None, &mut faults)).collect();
        if faults.is_empty() { Ok(Self { documents, trail, weight }) } else { Err((faults, trail)) }
    }

    /// Puts the captured values into their places; one value a document.
    pub(super) fn fill(&self, captures: &[Capture]) -> (Vec<Value>, Vec<Misfit>) {
        let mut filler = Filler::new(captures);
        let documents = self.documents.iter().map(|document| filler.fill(document)).collect();
        (documents, filler.misfits)
    }

    /// Returns where the node at `steps` of document `document` stands in the expanded text, and the values in it.
    pub(super) fn locate(&self, document: usize, steps: &[Step], captures: &[Capture]) -> Option<Located> {
        let mut filler = Filler::new(captures);
        let mut node = self.documents.get(document)?;
        for step in steps {
            node = match (step, &node.content) {
                (Step::Index(index), Content::List(items)) => items.get(*index)?,
                (Step::Key(key), Content::Map(entries)) => {
                    &entries.iter().find(|(name, slot)| filler.key(name, slot) == *key)?.1
                }
                // The rest of the path lies inside an inserted list or map.
                (_, Content::Typed(_)) => break,
                _ => return None,
            };
        }
        let tokens = match &node.content {
            Content::Typed(token) => vec![*token],
            Content::Text(text) => text.chars().filter_map(token::index).collect(),
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

fn slot(node: Node, key: Option<Position>, faults: &mut Vec<Fault>) -> Slot {
    let position = node.position;
    let content = match node.kind {
        NodeKind::Scalar(scalar) => scalar_content(scalar, position, faults),
        NodeKind::List(items) => {
            Content::List(items.into_iter().map(|item| slot(item, None, faults)).collect())
        }
        NodeKind::Map(entries) => {
            let entry = |(key, value): (Node, Node)| {
                let at = key.position;
                // The reader refuses keys that are not scalars.
                let name = if let NodeKind::Scalar(scalar) = key.kind { scalar.text } else { String::new() };
                (name, slot(value, Some(at), faults))
            };
            Content::Map(entries.into_iter().map(entry).collect())
        }
    };
    Slot { position, key, content }
}

fn scalar_content(scalar: Scalar, position: Position, faults: &mut Vec<Fault>) -> Content {
    if token::is_in(&scalar.text) {
        return match (scalar.style, token::split(&scalar.text)) {
            (Style::Plain, Some(("", token, ""))) => Content::Typed(token),
            _ => Content::Text(scalar.text),
        };
    }
    let node = Node { position, kind: NodeKind::Scalar(scalar) };
    Content::Literal(yaml::interpret(&node).unwrap_or_else(|found| {
        faults.extend(found);
        Value::Null
    }))
}

/// The escapes of the characters from U+F0000 on, by their code or by the first of the halves that a reader
/// puts together.
static TOKEN_ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    let escape = r"\\(?:U(?:000[fF]|0010)[0-9a-fA-F]{4}|u[dD][bB][89a-fA-F][0-9a-fA-F])";
    Regex::new(escape).expect("the pattern is written here")
});

/// Returns the escapes that YAML would turn into characters which stand for values.
fn escaped_tokens(text: &str) -> Vec<Fault> {
    let lines = LineIndex::new(text);
    let fault = |escape: Match<'_>| {
        Fault::new(lines.position(escape.start()), "the escape of a private-use character in a template")
            .hint("remove it, or write it into the inventory")
    };
    TOKEN_ESCAPE.find_iter(text).map(fault).collect()
}

struct Filler<'a> {
    captures: &'a [Capture],
    misfits: Vec<Misfit>,
    /// What the text and the inserted values add up to: an alias in the template repeats both.
    bytes: usize,
}

impl<'a> Filler<'a> {
    fn new(captures: &'a [Capture]) -> Self {
        Self { captures, misfits: Vec::new(), bytes: 0 }
    }

    fn fill(&mut self, slot: &Slot) -> Value {
        match &slot.content {
            Content::Literal(value) => value.clone(),
            Content::Typed(token) => self.typed(*token, slot.position),
            Content::Text(text) => Value::String(self.text(text, slot.position, "a larger string")),
            Content::List(items) => Value::List(items.iter().map(|item| self.fill(item)).collect()),
            Content::Map(entries) => Value::Map(self.map(entries)),
        }
    }

    fn value(&self, token: usize) -> &'a Json {
        self.captures.get(token).map_or(&Json::Null, |capture| &capture.value)
    }

    fn typed(&mut self, token: usize, position: Position) -> Value {
        let value = self.value(token);
        if self.has_room(weight(value), token, position) { value.into() } else { Value::Null }
    }

    /// Counts bytes that are about to be inserted; says so once if they are too many.
    fn has_room(&mut self, bytes: usize, token: usize, position: Position) -> bool {
        let was_full = self.bytes > MAX_OUTPUT_BYTES;
        self.bytes += bytes;
        let is_full = self.bytes > MAX_OUTPUT_BYTES;
        if is_full && !was_full {
            let Refusal { message, hint } = too_large();
            let fault = Fault::new(position, format!("stands in many places: {message}"));
            self.misfits.push((token, Fault { hint, ..fault }));
        }
        !is_full
    }

    fn map(&mut self, entries: &[(String, Slot)]) -> Map {
        let mut filled = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            filled.push((self.key(key, value), self.fill(value)));
        }
        // The reader has compared the literal keys; a key from a value is compared here.
        if entries.iter().any(|(key, _)| token::is_in(key)) {
            self.check_duplicates(filled.iter().map(|(name, _)| name.as_str()).zip(entries));
        }
        Map::from_iter(filled)
    }

    fn check_duplicates<'k>(&mut self, keys: impl Iterator<Item = (&'k str, &'k (String, Slot))>) {
        let mut seen: HashMap<&str, &(String, Slot)> = HashMap::new();
        for (name, entry) in keys {
            let Some(first) = seen.insert(name, entry) else { continue };
            let made = [entry, first].into_iter().find_map(|(key, slot)| Some((token::split(key)?.1, slot)));
            self.misfits.extend(made.map(|(token, slot)| {
                let message = format!("makes the key `{name}`, which is there already");
                let hint = "keys made from values must differ from each other and from the written ones";
                (token, Fault::new(slot.key.unwrap_or(slot.position), message).hint(hint))
            }));
        }
    }

    fn key(&mut self, key: &str, value: &Slot) -> String {
        let position = value.key.unwrap_or(value.position);
        if token::is_in(key) { self.text(key, position, "a key") } else { key.to_owned() }
    }

    /// Puts values into a text.
    fn text(&mut self, pattern: &str, position: Position, place: &str) -> String {
        let mut text = String::with_capacity(pattern.len());
        // Where IPv6 addresses were inserted: what stands around them decides how they are written.
        let mut addresses = Vec::new();
        let mut rest = pattern;
        while let Some((before, token, after)) = token::split(rest) {
            text.push_str(before);
            rest = after;
            let value = self.value(token);
            let Some(scalar) = scalar_text(value) else {
                let fault = Fault::new(position, format!("is {} inside {place}", kind_of(value)));
                let hint = "give it a scalar of its own, or pick a string or number from it";
                self.misfits.push((token, fault.hint(hint)));
                continue;
            };
            if !self.has_room(scalar.len(), token, position) {
                continue;
            }
            let start = text.len();
            let is_file = self.captures.get(token).is_some_and(|capture| capture.is_file);
            // A file that ends its last line needs no second line break after it.
            let lines = scalar.strip_suffix('\n').filter(|_| is_file && after.starts_with('\n'));
            text.push_str(lines.unwrap_or(&scalar));
            if is_ipv6(&scalar) {
                addresses.push(start..text.len());
            }
        }
        text.push_str(rest);
        if addresses.is_empty() { text } else { with_brackets(&text, addresses).into_owned() }
    }
}

/// Puts brackets around the addresses that stand in a URL or before a port.
fn with_brackets(text: &str, addresses: Vec<Range<usize>>) -> Cow<'_, str> {
    let is_host = |at: &Range<usize>| is_host_position(&text[..at.start], &text[at.end..]);
    let hosts = addresses.into_iter().filter(is_host).map(|at| (at, ()));
    rewritten(text, hosts, |out, (), address| out.extend(["[", address, "]"]))
}

/// Returns values that mean nothing to another program: what differs where they are filled in was brought by a value.
pub(super) fn neutral(captures: &[Capture]) -> Vec<Capture> {
    let is_kept = |capture: &Capture| capture.is_file;
    let neutral = |capture: &Capture| Capture { value: neutral_value(&capture.value), ..capture.clone() };
    captures.iter().map(|it| if is_kept(it) { it.clone() } else { neutral(it) }).collect()
}

fn neutral_value(value: &Json) -> Json {
    match value {
        Json::String(text) => neutral_text(text).into(),
        Json::Array(items) => items.iter().map(neutral_value).collect(),
        Json::Object(map) => {
            map.iter().map(|(key, value)| (neutral_text(key), neutral_value(value))).collect()
        }
        other => other.clone(),
    }
}

/// Replaces each character that may mean something to another program, and keeps the number of characters.
fn neutral_text(text: &str) -> String {
    let is_neutral = |c: char| c.is_alphanumeric() || "-_./:@".contains(c);
    text.chars().map(|c| if is_neutral(c) { c } else { 'x' }).collect()
}
