//! The shape of a chart's values: which keys it knows at each place, and which types of value.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use bitflags::bitflags;

use crate::yaml::Value;

/// What may stand at a place of a chart's values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// The types of value that it takes. A null is always taken: it removes the chart's default.
    pub types: Types,
    /// The keys that a map here is known to have.
    pub entries: BTreeMap<Box<str>, Shape>,
    /// What becomes of other keys.
    pub others: Others,
    /// What an item of a list here must be; anything if left out.
    pub items: Option<Box<Shape>>,
}

/// What becomes of keys that a chart does not name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Others<T = Shape> {
    /// Nothing reads them, and nothing is reported.
    Ignored,
    /// The chart's schema refuses them.
    Refused,
    /// The chart passes them on, whatever they are.
    Free,
    /// Each of them is of one shape.
    Each(Box<T>),
}

bitflags! {
    /// A set of types of value.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Types: u8 {
        /// `true` and `false`.
        const BOOL = 1;
        /// Numbers.
        const NUMBER = 2;
        /// Text.
        const TEXT = 4;
        /// Lists.
        const LIST = 8;
        /// Maps.
        const MAP = 16;
        /// Everything that is neither a list nor a map.
        const SCALAR = 1 | 2 | 4;
    }
}

impl Types {
    pub(super) const NAMES: [(&'static str, Self); 5] = [
        ("bool", Self::BOOL),
        ("number", Self::NUMBER),
        ("text", Self::TEXT),
        ("list", Self::LIST),
        ("map", Self::MAP),
    ];
}

impl From<&Value> for Types {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::empty(),
            Value::Bool(_) => Self::BOOL,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::TEXT,
            Value::List(_) => Self::LIST,
            Value::Map(_) => Self::MAP,
        }
    }
}

impl fmt::Display for Types {
    /// Writes the types as the lock names them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = [("any", Self::all()), ("scalar", Self::SCALAR), ("nothing", Self::empty())];
        if let Some((name, _)) = wide.iter().find(|(_, types)| types == self) {
            return f.write_str(name);
        }
        let names: Vec<_> =
            Self::NAMES.iter().filter(|(_, types)| self.contains(*types)).map(|(name, _)| *name).collect();
        f.write_str(&names.join("|"))
    }
}

impl Shape {
    /// Returns the shape of values of some types that may hold whatever they want.
    #[must_use]
    pub const fn of(types: Types) -> Self {
        Self { types, entries: BTreeMap::new(), others: Others::Free, items: None }
    }

    /// Returns the shape of a map with these keys; others have no effect.
    pub(crate) const fn map(entries: BTreeMap<Box<str>, Self>) -> Self {
        Self { types: Types::MAP, entries, others: Others::Ignored, items: None }
    }

    /// Returns how many places it describes, its own included.
    #[must_use]
    pub(super) fn count(&self) -> usize {
        let others = match &self.others {
            Others::Each(each) => each.count(),
            Others::Ignored | Others::Refused | Others::Free => 0,
        };
        let entries: usize = self.entries.values().map(Self::count).sum();
        1 + entries + others + self.items.as_ref().map_or(0, |items| items.count())
    }

    /// Returns whether nothing is known but the types, of the value and of what it holds.
    pub(crate) fn is_plain(&self) -> bool {
        self.entries.is_empty()
            && self.items.as_ref().is_none_or(|items| items.is_plain())
            && match &self.others {
                Others::Free => true,
                Others::Each(each) => each.is_plain(),
                Others::Ignored | Others::Refused => false,
            }
    }

    /// Returns the shape at a chain of keys that are known by name.
    #[must_use]
    pub fn at<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Option<&Self> {
        keys.into_iter().try_fold(self, |shape, key| shape.entries.get(key))
    }

    /// Lays a chart's shape of a subchart's values over the subchart's own.
    ///
    /// Both read these values, so each adds the keys that it knows. Only the chart's schema can refuse a key here.
    pub(super) fn join(&mut self, over: Self) {
        // A null, or a key that is commented out, states nothing about types.
        if over.types != Types::all() {
            self.types |= over.types;
        }
        for (key, shape) in over.entries {
            self.join_entry(key, shape);
        }
        if over.others == Others::Refused {
            self.others = Others::Refused;
        }
        if over.items.is_none() {
            self.items = None;
        }
    }

    /// Lays a shape over that of a key, if there is one.
    pub(super) fn join_entry(&mut self, key: Box<str>, over: Self) {
        match self.entries.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().join(over),
            Entry::Vacant(entry) => {
                entry.insert(over);
            }
        }
    }

    /// Returns the shape at a chain of keys, each of which may be a map then.
    pub(super) fn place(&mut self, keys: &[String]) -> &mut Self {
        keys.iter().fold(self, |place, key| {
            let below =
                place.entries.entry(key.as_str().into()).or_insert_with(|| Self::map(BTreeMap::new()));
            below.types |= Types::MAP;
            below
        })
    }
}
