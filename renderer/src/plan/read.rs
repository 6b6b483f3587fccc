//! Bytes into documents.
//!
//! The one place where the plan depends on how YAML is read.

use std::collections::HashMap;

use crate::yaml::{self, Map, Node, NodeKind, Style, Value};

/// Reads all documents of a text; `None` if it is not YAML, for example after an edit by hand.
pub(super) fn read(text: &str) -> Option<Vec<Value>> {
    Some(yaml::parse(text).ok()?.iter().map(value).collect())
}

/// How many entries a memo remembers; with entries of at most [`MAX_REMEMBERED_BYTES`] it stays below some megabytes.
const MAX_REMEMBERED: usize = 4_096;
/// The longest entry that is worth remembering; what is longer hardly ever recurs.
const MAX_REMEMBERED_BYTES: usize = 512;

/// Entries that were read before: what changes on one cluster mostly changes on the others in the same words.
#[derive(Default)]
pub(super) struct Memo(HashMap<Box<str>, Value>);

impl Memo {
    /// Reads a text that is one document: a map with one key.
    pub(super) fn read_entry(&mut self, text: &str) -> Option<Value> {
        if let Some(known) = self.0.get(text) {
            return Some(known.clone());
        }
        let Ok([Value::Map(map)]) = <[Value; 1]>::try_from(read(text)?) else { return None };
        let [(_, value)] = <[_; 1]>::try_from(map.into_iter().collect::<Vec<_>>()).ok()?;
        if text.len() <= MAX_REMEMBERED_BYTES && self.0.len() < MAX_REMEMBERED {
            self.0.insert(text.into(), value.clone());
        }
        Some(value)
    }
}

/// Interprets a node; a scalar that readers disagree about (`no`, `12:30:00`) is what is written there.
///
/// Our own files have none, but what is published may have been written by someone else, and can still be compared.
fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.style == Style::Plain => {
            yaml::interpret_plain(&scalar.text).unwrap_or_else(|_| Value::String(scalar.text.clone()))
        }
        NodeKind::Scalar(scalar) => Value::String(scalar.text.clone()),
        NodeKind::List(items) => Value::List(items.iter().map(value).collect()),
        NodeKind::Map(entries) => Value::Map(
            entries
                .iter()
                .filter_map(|(key, item)| Some((key.as_scalar()?.text.clone(), value(item))))
                .collect::<Map>(),
        ),
    }
}
