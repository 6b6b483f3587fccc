//! A document's content: what the written text means, without positions.

use std::collections::HashMap;

use derive_more::IntoIterator;

use crate::key_path::{AsStep, Step};
use crate::tree::Tree;

/// A YAML value. Maps keep their order; numbers keep their spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in a spelling that YAML 1.1 and 1.2 readers agree on.
    Number(Number),
    /// A string.
    String(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping.
    Map(Map),
}

/// The spelling of a number that every reader takes for the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number(pub(super) Box<str>);

/// A mapping with string keys in the order they were inserted. Keys differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, IntoIterator)]
pub struct Map<T = Value>(Vec<(String, T)>);

impl Number {
    /// Returns the number as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Integers below this are exact in a float, and so are written as integers.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Returns the shortest spelling that every reader takes for this number.
///
/// A number without a fraction is spelled as an integer, as JSON writers do. An exponent has a point before
/// it and a sign, since `PyYAML` takes `1e21` for text.
pub(super) fn float_spelling(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    if number.fract() == 0.0 && number.abs() < EXACT_INTEGERS {
        return Some((number as i64).to_string());
    }
    if (1e-5..1e16).contains(&number.abs()) {
        return Some(number.to_string());
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    Some(format!("{digits}{point}e{sign}{exponent}"))
}

impl<T> Map<T> {
    /// Returns the value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets `key`, in place if it is there and at the end if not.
    pub fn insert(&mut self, key: impl Into<String>, value: T) {
        let key = key.into();
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Lays `over` on top: what both have is merged and keeps its place, what only `over` has comes after it.
    pub(crate) fn merged(self, over: Self, merge: &impl Fn(T, T) -> T) -> Self {
        let mut places: HashMap<String, usize> = HashMap::with_capacity(over.len());
        let mut over: Vec<Option<(String, T)>> = over.into_iter().map(Some).collect();
        places.extend(over.iter().flatten().enumerate().map(|(at, (key, _))| (key.clone(), at)));
        let base =
            self.into_iter().map(|(key, old)| match places.get(&key).and_then(|at| over[*at].take()) {
                Some((key, new)) => (key, merge(old, new)),
                None => (key, old),
            });
        let mut merged: Vec<_> = base.collect();
        merged.extend(over.into_iter().flatten());
        Self(merged)
    }

    /// Returns the entries in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns how many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> FromIterator<(String, T)> for Map<T> {
    /// Collects entries whose keys are known to differ.
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Value {
    /// Returns the map, if the value is one.
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the items, if the value is a list.
    pub(crate) fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the text, if the value is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of `key`, if the value is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Lays `over` on top: maps merge key by key, everything else replaces, as Helm does.
    pub(crate) fn merged(self, over: Self) -> Self {
        match (self, over) {
            (Self::Map(base), Self::Map(over)) => Self::Map(base.merged(over, &Self::merged)),
            (_, over) => over,
        }
    }

    /// Returns the text at a path.
    pub(crate) fn text_at<S: AsStep>(&self, path: &[S]) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// Returns the value at a path of keys or steps.
    #[must_use]
    pub fn at<S: AsStep>(&self, path: &[S]) -> Option<&Value> {
        Tree::at(self, path)
    }
}

impl Tree for Value {
    fn children(&self) -> impl Iterator<Item = (Step<&str>, &Self)> {
        let items = self.as_list().unwrap_or_default().iter().enumerate();
        let entries = self.as_map().into_iter().flat_map(Map::iter);
        items
            .map(|(at, item)| (Step::Index(at), item))
            .chain(entries.map(|(key, value)| (Step::Key(key), value)))
    }

    fn get(&self, key: &str) -> Option<&Self> {
        Self::get(self, key)
    }

    fn as_str(&self) -> Option<&str> {
        Self::as_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_spelled_so_that_every_reader_takes_it_for_the_same_number() {
        for (number, spelling) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.0, "2"),
            (1.5, "1.5"),
            (-0.1, "-0.1"),
            (1e15, "1000000000000000"),
            (1e21, "1.0e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-7, "1.0e-7"),
            (0.00001, "0.00001"),
        ] {
            assert_eq!(float_spelling(number).as_deref(), Some(spelling));
        }
        assert_eq!(float_spelling(f64::NAN), None);
        assert_eq!(float_spelling(f64::NEG_INFINITY), None);
    }
}
