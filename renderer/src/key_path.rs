//! Paths into trees of maps and lists, and how they are written: `prometheus.prometheusSpec.remoteWrite[0].url`.
//!
//! A [`Step`] may borrow its texts, so that a walk copies nothing until a path is kept as a [`KeyPath`]. Knows nothing
//! of values.

use std::fmt;

use derive_more::{Deref, Display, From, IntoIterator};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One step from a tree into a part of it; `T` is the text of a key, owned or borrowed. It is shown without quotes.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step<T = String> {
    /// Into an item of a list, from 0.
    #[display("[{_0}]")]
    Index(usize),
    /// Into the value of a key.
    Key(T),
    /// Into the item of a list that a field identifies.
    #[display("[{field}={id}]")]
    Item {
        /// The field, for example `name`.
        field: &'static str,
        /// Its value in the item.
        id: T,
    },
}

impl<T> Step<T> {
    /// Returns the step with its text replaced.
    pub fn map<U>(self, text: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Index(index) => Step::Index(index),
            Self::Key(key) => Step::Key(text(key)),
            Self::Item { field, id } => Step::Item { field, id: text(id) },
        }
    }

    /// Returns the key, if it is a step into a map.
    pub const fn key(&self) -> Option<&T> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) | Self::Item { .. } => None,
        }
    }
}

impl<T: AsRef<str>> Step<T> {
    /// Returns the step with a borrowed text.
    pub fn borrowed(&self) -> Step<&str> {
        match self {
            Self::Index(index) => Step::Index(*index),
            Self::Key(key) => Step::Key(key.as_ref()),
            Self::Item { field, id } => Step::Item { field, id: id.as_ref() },
        }
    }

    /// Returns the step with a text of its own.
    pub fn owned(&self) -> Step {
        self.borrowed().map(str::to_owned)
    }
}

/// A key is written as a text, and an index as a number. An item that a field identifies is one of a comparison alone.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Index(index) => index.serialize(serializer),
            Self::Key(key) => key.serialize(serializer),
            Self::Item { .. } => Err(S::Error::custom("a step of a comparison")),
        }
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Index(usize),
            Key(String),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Index(index) => Self::Index(index),
            Written::Key(key) => Self::Key(key),
        })
    }
}

/// What can be written where a path is expected: a [`Step`], or the text of a key.
pub trait AsStep {
    /// Returns the step.
    fn as_step(&self) -> Step<&str>;
}

impl<T: AsRef<str>> AsStep for Step<T> {
    fn as_step(&self) -> Step<&str> {
        self.borrowed()
    }
}

impl AsStep for &str {
    fn as_step(&self) -> Step<&str> {
        Step::Key(self)
    }
}

/// A path from the top of a tree; empty for the tree itself. It is shown and serialized as [`text_of`] writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deref, From, IntoIterator)]
pub struct KeyPath(#[deref(forward)] Vec<Step>);

impl KeyPath {
    /// Returns the keys from the top down, without the items of lists.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Step::key).map(String::as_str)
    }
}

impl<T: Into<String>> FromIterator<Step<T>> for KeyPath {
    fn from_iter<I: IntoIterator<Item = Step<T>>>(steps: I) -> Self {
        Self(steps.into_iter().map(|step| step.map(Into::into)).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_path(f, &self.0)
    }
}

impl Serialize for KeyPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Returns a step into a map.
#[must_use]
pub fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// Returns the steps through maps along names.
#[must_use]
pub fn keys(names: &[&str]) -> Vec<Step> {
    names.iter().copied().map(key).collect()
}

/// Returns a borrowed path as one that can be kept.
pub(crate) fn owned<T: AsRef<str>>(path: &[Step<T>]) -> Vec<Step> {
    path.iter().map(Step::owned).collect()
}

/// Returns a path as text, with everything that could be mistaken in quotes: `configs.rbac."policy.default"`,
/// `elements[addon=loki].version`.
#[must_use]
pub fn text_of<T: AsRef<str>>(path: &[Step<T>]) -> String {
    let mut text = String::new();
    write_path(&mut text, path).expect("writing to a string does not fail");
    text
}

/// Returns a word as a path writes it: bare if nothing in it could end it, else as a JSON string.
pub(crate) fn word(word: &str) -> String {
    let mut text = String::new();
    write_word(&mut text, word).expect("writing to a string does not fail");
    text
}

/// Returns whether a path is the one written as `text`, or leads below it.
pub(crate) fn is_at_or_below<T: AsRef<str>>(path: &[Step<T>], text: &str) -> bool {
    let whole = text_of(path);
    whole
        .strip_prefix(text)
        .is_some_and(|rest| rest.is_empty() || text.is_empty() || rest.starts_with(['.', '[']))
}

fn write_path<T: AsRef<str>>(f: &mut impl fmt::Write, path: &[Step<T>]) -> fmt::Result {
    for (depth, step) in path.iter().enumerate() {
        match step.borrowed() {
            Step::Key(key) => {
                if depth > 0 {
                    f.write_char('.')?;
                }
                write_word(f, key)?;
            }
            Step::Index(index) => write!(f, "[{index}]")?,
            Step::Item { field, id } => {
                write!(f, "[{field}=")?;
                write_word(f, id)?;
                f.write_char(']')?;
            }
        }
    }
    Ok(())
}

pub(crate) fn write_word(f: &mut impl fmt::Write, word: &str) -> fmt::Result {
    let is_bare =
        !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
    if is_bare { f.write_str(word) } else { write!(f, "{}", serde_json::Value::from(word)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_values_that_it_leads_through() {
        let path = [key("configs"), key("rbac"), key("policy.default"), Step::Index(0), key("")];
        assert_eq!(text_of(&path), r#"configs.rbac."policy.default"[0]."""#);
        assert_eq!(text_of::<String>(&[]), "");
    }

    #[test]
    fn whole_steps_are_compared() {
        let path = [key("a"), key("bc"), Step::Index(1)];
        for above in ["", "a", "a.bc", "a.bc[1]"] {
            assert!(is_at_or_below(&path, above), "{above:?}");
        }
        for beside in ["a.b", "b", "a.bc[1].d"] {
            assert!(!is_at_or_below(&path, beside), "{beside:?}");
        }
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
        let item = Step::Item { field: "addon", id: "loki".to_owned() };
        let path: KeyPath = [key("elements"), item, key("version")].into_iter().collect();
        assert_eq!(path.to_string(), "elements[addon=loki].version");
    }
}
