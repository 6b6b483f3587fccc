//! Hashes of plans and of their parts, by which equal ones are found and one plan is named.
//!
//! Every text is preceded by its length and every choice by a tag, so that two different plans never feed the same
//! bytes.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::{Action, Change, KeyPath, Plan, Step};
use crate::inventory::OwnFacts;
use crate::yaml::Value;

/// The fewest hexadecimal digits that name a plan: 32 bits, enough to exclude a mistake.
const SHORTEST_PREFIX: usize = 8;
/// How many hexadecimal digits are shown to people.
const SHOWN_DIGITS: usize = 12;

/// The name of one plan: the BLAKE3 hash of everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(blake3::Hash);

impl Digest {
    /// Returns the first digits, which are enough to name the plan.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..SHOWN_DIGITS].to_owned()
    }

    /// Returns whether `prefix` names this plan: at least eight of its first digits.
    #[must_use]
    pub fn matches(&self, prefix: &str) -> bool {
        prefix.len() >= SHORTEST_PREFIX && self.to_string().starts_with(&prefix.to_ascii_lowercase())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Hashes a whole plan: which files change, from which bytes to which. Everything else follows from these.
pub(super) fn digest(plan: &Plan) -> Digest {
    let mut hash = Canonical::default();
    for file in plan.files() {
        hash.text(file.path.as_str());
        hash.action(file.action);
        hash.hash.update(file.content.as_bytes());
    }
    Digest(hash.finish())
}

/// Hashes the published and the rendered bytes of a file.
pub(super) fn content(old: Option<&[u8]>, new: Option<&[u8]>) -> blake3::Hash {
    let mut hash = Canonical::default();
    for side in [old, new] {
        hash.tag(u8::from(side.is_some()));
        hash.bytes(side.unwrap_or_default());
    }
    hash.finish()
}

/// A hash that is fed with tagged parts.
#[derive(Clone, Default)]
pub(super) struct Canonical<'a> {
    hash: blake3::Hasher,
    /// What is taken for the same on every cluster.
    own: Option<&'a OwnFacts>,
    /// Whether a key may be a cluster's own, too.
    has_own_keys: bool,
    /// Whether anything in the parts was a cluster's own.
    has_own: bool,
}

impl<'a> Canonical<'a> {
    /// A hash that is the same for two clusters if the parts differ only by what is each cluster's own; of keys only if
    /// `has_own_keys`, since a cluster's name may be a word that is a key everywhere, such as `app`.
    pub(super) fn up_to(own: &'a OwnFacts, has_own_keys: bool) -> Self {
        Self { own: Some(own), has_own_keys, ..Self::default() }
    }

    pub(super) const fn has_own(&self) -> bool {
        self.has_own
    }

    pub(super) fn finish(&self) -> blake3::Hash {
        self.hash.finalize()
    }

    pub(super) fn tag(&mut self, tag: u8) {
        self.hash.update(&[tag]);
    }

    pub(super) fn number(&mut self, number: usize) {
        self.hash.update(&(number as u64).to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        match self.own.map(|own| own.general(text)) {
            Some(Cow::Owned(general)) => {
                self.has_own = true;
                self.bytes(general.as_bytes());
            }
            _ => self.bytes(text.as_bytes()),
        }
    }

    fn key(&mut self, key: &str) {
        if self.has_own_keys { self.text(key) } else { self.bytes(key.as_bytes()) }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.hash.update(bytes);
    }

    pub(super) fn action(&mut self, action: Action) {
        self.tag(action as u8);
    }

    pub(super) fn change(&mut self, change: &Change) {
        self.place(change);
        self.optional(change.old.as_ref());
        self.optional(change.new.as_ref());
    }

    /// Feeds where a change happens and not what it is.
    pub(super) fn place(&mut self, change: &Change) {
        match &change.object {
            None => self.tag(0),
            Some(object) => {
                self.tag(1);
                self.text(&object.api_version);
                self.text(&object.kind);
                self.text(object.namespace.as_deref().unwrap_or_default());
                self.text(&object.name);
            }
        }
        self.path(&change.path);
    }

    fn path(&mut self, path: &KeyPath) {
        self.number(path.steps().len());
        for step in path.steps() {
            match step {
                Step::Key(key) => {
                    self.tag(0);
                    self.key(key);
                }
                Step::Index(index) => {
                    self.tag(1);
                    self.number(*index);
                }
                Step::Item { field, id } => {
                    self.tag(2);
                    self.text(field);
                    self.text(id);
                }
            }
        }
    }

    fn optional(&mut self, value: Option<&Value>) {
        match value {
            None => self.tag(0),
            Some(value) => {
                self.tag(1);
                self.value(value);
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(0),
            Value::Bool(value) => self.tag(1 + u8::from(*value)),
            Value::Number(number) => {
                self.tag(3);
                self.text(number.as_str());
            }
            Value::String(text) => {
                self.tag(4);
                self.text(text);
            }
            Value::List(items) => {
                self.tag(5);
                self.number(items.len());
                for item in items {
                    self.value(item);
                }
            }
            Value::Map(entries) => {
                self.tag(6);
                self.number(entries.len());
                for (key, value) in entries.iter() {
                    self.key(key);
                    self.value(value);
                }
            }
        }
    }
}
