//! What identifies the items of a list: a name, or whatever else stands in each of them and is another one each time.

use crate::key_path::Step;

use super::Tree;

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
    /// Returns the parts of an item's identity, joined by slashes, if it has all of them; only a namespace may be missing.
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

/// Returns the item of a list whose `field` is `id`, with its index.
pub fn find<'t, T: Tree>(list: &'t T, field: &str, id: &str) -> Option<(Step<&'t str>, &'t T)> {
    identified(list, field).find(|(.., found)| found == id).map(|(step, item, _)| (step, item))
}
