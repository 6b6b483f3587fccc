//! The shape of a chart's values: which keys it knows at each place, and which types of value.

use std::collections::BTreeMap;
use std::fmt;

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
pub enum Others {
    /// Nothing reads them, and nothing is reported.
    Ignored,
    /// The chart's schema refuses them.
    Refused,
    /// The chart passes them on, whatever they are.
    Free,
    /// Each of them is of one shape.
    Each(Box<Shape>),
}

/// A set of types of value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types(u8);

impl Types {
    /// No type at all.
    pub const NONE: Self = Self(0);
    /// `true` and `false`.
    pub const BOOL: Self = Self(1);
    /// Numbers.
    pub const NUMBER: Self = Self(2);
    /// Text.
    pub const TEXT: Self = Self(4);
    /// Lists.
    pub const LIST: Self = Self(8);
    /// Maps.
    pub const MAP: Self = Self(16);
    /// Everything that is neither a list nor a map.
    pub const SCALAR: Self = Self(1 | 2 | 4);
    /// Everything.
    pub const ANY: Self = Self(1 | 2 | 4 | 8 | 16);

    pub(super) const NAMES: [(&'static str, Self); 5] = [
        ("bool", Self::BOOL),
        ("number", Self::NUMBER),
        ("text", Self::TEXT),
        ("list", Self::LIST),
        ("map", Self::MAP),
    ];

    /// Returns the types of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the types that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns these types without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether all of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl From<&Value> for Types {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::NONE,
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
        match *self {
            Self::ANY => return f.write_str("any"),
            Self::SCALAR => return f.write_str("scalar"),
            Self::NONE => return f.write_str("nothing"),
            _ => {}
        }
        let names = Self::NAMES.iter().filter(|(_, types)| self.has(*types));
        for (index, (name, _)) in names.enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { "|" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Shape {
    /// Returns the shape of values of some types that may hold whatever they want.
    #[must_use]
    pub const fn of(types: Types) -> Self {
        Self { types, entries: BTreeMap::new(), others: Others::Free, items: None }
    }

    /// Returns the shape of a map with these keys; others have no effect.
    #[must_use]
    pub const fn map(entries: BTreeMap<Box<str>, Self>) -> Self {
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
    #[must_use]
    pub fn is_plain(&self) -> bool {
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
        if over.types != Types::ANY {
            self.types = self.types.or(over.types);
        }
        for (key, shape) in over.entries {
            match self.entries.get_mut(&key) {
                Some(known) => known.join(shape),
                None => {
                    self.entries.insert(key, shape);
                }
            }
        }
        if over.others == Others::Refused {
            self.others = Others::Refused;
        }
        if over.items.is_none() {
            self.items = None;
        }
    }
}
