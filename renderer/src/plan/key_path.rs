//! The path of a setting inside a document: `prometheus.prometheusSpec.remoteWrite[0].url`.
//!
//! Knows nothing of values.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::key_path::write_word;

/// The path of a setting; empty for the document itself.
///
/// It is written with a dot before each key, an index or an identity in brackets for a list's item, and quotes around
/// everything that could be mistaken: `configs.rbac."policy.default"`, `elements[addon=loki].version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Vec<Step>);

/// One step down from a map or a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into the value of a key.
    Key(Box<str>),
    /// Into an item, counted from zero; in the rendered list if it is there, else in the published one.
    Index(usize),
    /// Into the item that a field identifies.
    Item {
        /// The field, for example `name`.
        field: &'static str,
        /// Its value in the item.
        id: Box<str>,
    },
}

impl KeyPath {
    /// Returns the steps from the top down.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns whether this is the document itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the keys from the top down, leaving out the items of lists.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) | Step::Item { .. } => None,
        })
    }

    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }
}

impl FromIterator<Step> for KeyPath {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => write_word(f, key)?,
                Step::Key(key) => {
                    f.write_str(".")?;
                    write_word(f, key)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Item { field, id } => {
                    write!(f, "[{field}=")?;
                    write_word(f, id)?;
                    f.write_str("]")?;
                }
            }
        }
        Ok(())
    }
}

/// Returns a word as a path writes it.
pub(super) fn word(word: &str) -> String {
    let mut text = String::new();
    write_word(&mut text, word).expect("writing to a string does not fail");
    text
}

impl Serialize for KeyPath {
    /// Serialises the path as its text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Step {
        Step::Key(key.into())
    }

    #[test]
    fn a_key_that_could_be_mistaken_is_quoted() {
        let path: KeyPath = [key("configs"), key("rbac"), key("policy.default")].into_iter().collect();
        assert_eq!(path.to_string(), r#"configs.rbac."policy.default""#);
        let path: KeyPath = [key(""), key("a\"\n[0]")].into_iter().collect();
        assert_eq!(path.to_string(), r#"""."a\"\n[0]""#);
    }

    #[test]
    fn an_item_is_named_by_its_index_or_its_identity() {
        let path: KeyPath = [key("remoteWrite"), Step::Index(0), key("url")].into_iter().collect();
        assert_eq!(path.to_string(), "remoteWrite[0].url");
        let item = Step::Item { field: "addon", id: "loki".into() };
        let path: KeyPath = [key("elements"), item, key("version")].into_iter().collect();
        assert_eq!(path.to_string(), "elements[addon=loki].version");
    }
}
