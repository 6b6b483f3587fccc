//! One way through every tree of maps, lists and scalars: [`Tree::at`] follows a path, [`walk`] visits
//! everything with its path, [`parts`] and [`leaves`] list everything and what has nothing below it,
//! [`children`](Tree::children) is one level, and an [`Identity`] tells the items of a list apart.
//!
//! Rendered values ([`yaml::Value`](crate::yaml::Value)), facts with their places
//! ([`inventory::Fact`](crate::inventory::Fact)) and JSON are such trees. A walk borrows: it copies no key until
//! [`Visit::owned_path`] is asked for a path to keep. Knows nothing of what a tree means.
//!
//! ```
//! # use fleetwright_renderer::{key_path::text_of, tree::{Below, walk}, yaml::{interpret, parse}};
//! let value = interpret(&parse("a: [1, {b: x}]\nsecret: {c: z}\n").unwrap()[0]).unwrap();
//! let mut texts = Vec::new();
//! walk(&value, &mut |visit| {
//!     texts.extend(visit.value.as_str().map(|text| format!("{}={text}", text_of(visit.path))));
//!     if visit.key() == Some("secret") { Below::Skip } else { Below::Enter }
//! });
//! assert_eq!(texts, ["a[1].b=x"]);
//! ```

use serde_json::Value as Json;

use crate::key_path::{AsStep, Step, owned};

/// A tree of maps, lists and scalars.
pub trait Tree: Sized {
    /// Returns what is directly below a map or a list, in order; nothing is below a scalar.
    fn children(&self) -> impl Iterator<Item = (Step<&str>, &Self)>;

    /// Returns the value of a key of a map.
    fn get(&self, key: &str) -> Option<&Self>;

    /// Returns the text, if this is one.
    fn as_str(&self) -> Option<&str>;

    /// Returns the part that a step leads to.
    fn child(&self, step: Step<&str>) -> Option<&Self> {
        match step {
            Step::Key(key) => self.get(key),
            Step::Index(_) => self.children().find_map(|(own, item)| (own == step).then_some(item)),
            Step::Item { field, id } => {
                identified(self, field).find(|(.., found)| found == id).map(|(_, item, _)| item)
            }
        }
    }

    /// Returns the part at a path of steps or keys.
    fn at<S: AsStep>(&self, path: &[S]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, step| tree.child(step.as_step()))
    }
}

/// Whether a walk goes on below what was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// Visits what is below, too.
    Enter,
    /// Goes on beside it.
    Skip,
}

/// A part of a tree on a walk.
#[derive(Debug)]
pub struct Visit<'w, 'v, T> {
    /// The path from the top.
    pub path: &'w [Step<&'v str>],
    /// The part.
    pub value: &'v T,
    /// The maps and lists around it, the outermost first.
    pub above: &'w [&'v T],
}

impl<'v, T> Visit<'_, 'v, T> {
    /// Returns the key, if the part is the value of one.
    #[must_use]
    pub fn key(&self) -> Option<&'v str> {
        self.path.last()?.key().copied()
    }

    /// Returns the map or list that holds the part.
    pub(crate) fn parent(&self) -> Option<&'v T> {
        self.above.last().copied()
    }

    /// Returns whether nothing is below the part: a scalar, or an empty map or list.
    pub(crate) fn is_leaf(&self) -> bool
    where
        T: Tree,
    {
        self.value.children().next().is_none()
    }

    /// Returns the path as one to keep.
    #[must_use]
    pub fn owned_path(&self) -> Vec<Step> {
        owned(self.path)
    }
}

/// Visits a tree and everything below it, each part before what is in it.
pub fn walk<'v, T: Tree>(tree: &'v T, visitor: &mut impl FnMut(Visit<'_, 'v, T>) -> Below) {
    enter(tree, &mut Vec::new(), &mut Vec::new(), visitor);
}

fn enter<'v, T: Tree>(
    value: &'v T,
    path: &mut Vec<Step<&'v str>>,
    above: &mut Vec<&'v T>,
    visitor: &mut impl FnMut(Visit<'_, 'v, T>) -> Below,
) {
    if visitor(Visit { path, value, above }) == Below::Skip {
        return;
    }
    above.push(value);
    for (step, child) in value.children() {
        path.push(step);
        enter(child, path, above, visitor);
        path.pop();
    }
    above.pop();
}

/// Returns the scalars and the empty maps and lists of a tree, with their paths.
#[must_use]
pub fn leaves<T: Tree>(tree: &T) -> Vec<(Vec<Step<&str>>, &T)> {
    parts(tree).into_iter().filter(|(_, part)| part.children().next().is_none()).collect()
}

/// Returns a tree and everything in it, with their paths.
#[must_use]
pub fn parts<T: Tree>(tree: &T) -> Vec<(Vec<Step<&str>>, &T)> {
    let mut parts = Vec::new();
    walk(tree, &mut |visit| {
        parts.push((visit.path.to_vec(), visit.value));
        Below::Enter
    });
    parts
}

/// What may identify an item: the field that a path shows, and the keys that lead to each part of the identity.
#[derive(Debug)]
pub struct Identity {
    /// The field, for example `name`.
    pub field: &'static str,
    parts: &'static [&'static [&'static str]],
}

/// The kinds of identity, in the order in which they are tried.
pub const IDENTITIES: [Identity; 5] = [
    Identity { field: "name", parts: &[&["name"]] },
    Identity { field: "addon", parts: &[&["addon"]] },
    Identity { field: "name", parts: &[&["kind"], &["name"]] },
    Identity { field: "name", parts: &[&["kind"], &["metadata", "namespace"], &["metadata", "name"]] },
    Identity { field: "key", parts: &[&["key"]] },
];

impl Identity {
    /// Returns the parts of an item's identity, joined by slashes, if it has all of them; only a namespace
    /// may be missing.
    pub fn of<T: Tree>(&self, item: &T) -> Option<String> {
        let words = self.parts.iter().map(|keys| match item.at(keys) {
            Some(word) => word.as_str(),
            None if keys.last() == Some(&"namespace") && item.get("metadata").is_some() => Some(""),
            None => None,
        });
        Some(words.collect::<Option<Vec<_>>>()?.join("/"))
    }
}

/// Returns the items of a list that `field` identifies, each with the step to it and its identity.
pub fn identified<'t, T: Tree>(
    list: &'t T,
    field: &str,
) -> impl Iterator<Item = (Step<&'t str>, &'t T, String)> {
    let kinds = IDENTITIES.iter().filter(move |kind| kind.field == field);
    kinds.flat_map(|kind| list.children().filter_map(|(step, item)| Some((step, item, kind.of(item)?))))
}

impl Tree for Json {
    fn children(&self) -> impl Iterator<Item = (Step<&str>, &Self)> {
        let items = self.as_array().into_iter().flatten().enumerate();
        let entries = self.as_object().into_iter().flatten();
        items
            .map(|(at, item)| (Step::Index(at), item))
            .chain(entries.map(|(key, value)| (Step::Key(key.as_str()), value)))
    }

    fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    fn as_str(&self) -> Option<&str> {
        Self::as_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key_path::{key, text_of};

    #[test]
    fn a_path_of_steps_or_of_keys_leads_to_a_part() {
        let tree = json!({"a": [{"name": "x", "b": 1}, {"name": "y", "b": 2}], "0": {"c": 3}});
        assert_eq!(tree.at(&[key("a"), Step::Index(1), key("b")]), Some(&json!(2)));
        assert_eq!(tree.at(&["0", "c"]), Some(&json!(3)));
        let item = [Step::Key("a"), Step::Item { field: "name", id: "y" }, Step::Key("b")];
        assert_eq!(tree.at(&item), Some(&json!(2)));
        assert_eq!(tree.at(&["a", "0"]), None);
    }

    #[test]
    fn a_walk_visits_each_part_before_what_is_in_it_and_leaves_out_what_is_skipped() {
        let tree = json!({"a": {"b": [1, {}]}, "c": {"d": 2}});
        let mut seen = Vec::new();
        walk(&tree, &mut |visit| {
            seen.push(format!("{} in {}", text_of(visit.path), visit.above.len()));
            if visit.key() == Some("c") { Below::Skip } else { Below::Enter }
        });
        assert_eq!(seen, [" in 0", "a in 1", "a.b in 2", "a.b[0] in 3", "a.b[1] in 3", "c in 1"]);
        let leaves: Vec<_> = leaves(&tree).iter().map(|(path, _)| text_of(path)).collect();
        assert_eq!(leaves, ["a.b[0]", "a.b[1]", "c.d"]);
    }
}
