//! Bytes into documents.
//!
//! The one place where the plan depends on how YAML is read.

use std::collections::HashMap;

use crate::yaml::{self, Value};

/// How many texts a memo remembers; with texts of at most [`MAX_REMEMBERED_BYTES`] it stays below some megabytes.
const MAX_REMEMBERED: usize = 4_096;
/// The longest text that is worth remembering; what is longer hardly ever recurs.
const MAX_REMEMBERED_BYTES: usize = 512;

/// Reads all documents of a text; `None` if it is not YAML, for example after an edit by hand. Of a text that is neither
/// a map nor a list, such as a hosts file, the lines are what is compared.
pub(in crate::plan) fn read(text: &str) -> Option<Vec<Value>> {
    let documents: Vec<_> = yaml::parse(text).ok()?.iter().map(yaml::interpret_as_written).collect();
    if let [Value::String(_)] = documents[..] {
        let lines = text.lines().map(|line| Value::String(line.to_owned()));
        return Some(vec![Value::List(lines.collect())]);
    }
    Some(documents)
}

/// Texts that were read before: what changes on one cluster mostly changes on the others in the same words.
#[derive(Default)]
pub(in crate::plan) struct Memo(HashMap<Box<str>, Value>);

impl Memo {
    /// Reads a text of one document.
    pub(in crate::plan) fn read(&mut self, text: &str) -> Option<Value> {
        if let Some(known) = self.0.get(text) {
            return Some(known.clone());
        }
        let [value] = <[Value; 1]>::try_from(read(text)?).ok()?;
        if text.len() <= MAX_REMEMBERED_BYTES && self.0.len() < MAX_REMEMBERED {
            self.0.insert(text.into(), value.clone());
        }
        Some(value)
    }
}
