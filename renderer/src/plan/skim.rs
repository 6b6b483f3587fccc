//! The quick way to compare two texts of block-style YAML: by their lines, down to the smallest maps that differ.
//!
//! Parsing is most of what a plan costs, and two versions of a file are nearly always the same but for a line or two.
//! Where the shape of the text is not plainly block maps (which our own writer guarantees and a person's edit may not),
//! there is no answer and the caller parses the whole text. Knows nothing of scalars: what differs is parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Change, KeyPath, ObjectName, Step, compare, read::Memo};
use crate::yaml::{Map, Value};

/// An entry of a block map as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry<'a> {
    /// All lines of the entry.
    text: &'a str,
    /// What stands behind the colon.
    inline: &'a str,
    /// The lines below the first.
    below: &'a str,
}

type Entries<'a> = BTreeMap<&'a str, Entry<'a>>;

/// Compares two texts of one document each; `None` if either has to be parsed as a whole.
pub(super) fn compare(old: &str, new: &str, memo: &mut Memo) -> Option<Vec<Change>> {
    if has_far_effects(old) || has_far_effects(new) {
        return None;
    }
    let (old, new) = (entries(without_header(old))?, entries(without_header(new))?);
    let object = match (old.contains_key("kind"), new.contains_key("kind")) {
        (false, false) => None,
        (true, true) => {
            let name = object_name(&new, memo)?;
            (object_name(&old, memo)?.identity() == name.identity()).then_some(Some(Arc::new(name)))?
        }
        _ => return None,
    };
    let mut skim = Skim { object, path: KeyPath::default(), changes: Vec::new(), memo };
    skim.maps(&old, &new)?;
    Some(skim.changes)
}

/// Reads a text of one document entry by entry; `None` if it has to be parsed as a whole.
pub(super) fn document(text: &str, memo: &mut Memo) -> Option<Value> {
    if has_far_effects(text) {
        return None;
    }
    let entries = entries(without_header(text))?;
    let map: Option<Map> =
        entries.iter().map(|(key, entry)| Some(((*key).to_owned(), memo.read_entry(entry.text)?))).collect();
    map.map(Value::Map)
}

/// Returns whether a line may change what another line means: anchors and aliases; also carriage returns and tabs, which
/// make counting spaces meaningless.
fn has_far_effects(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b'&', b'*', bytes)
        .any(|at| at == 0 || matches!(bytes[at - 1], b' ' | b'\n' | b'[' | b'{' | b','))
        || memchr::memchr2(b'\r', b'\t', bytes).is_some()
}

/// Leaves out the comment lines at the head.
fn without_header(mut text: &str) -> &str {
    while text.starts_with('#') {
        text = text.split_once('\n').map_or("", |(_, rest)| rest);
    }
    text
}

fn object_name(entries: &Entries<'_>, memo: &mut Memo) -> Option<ObjectName> {
    let header: Map = ["apiVersion", "kind", "metadata"]
        .into_iter()
        .map(|key| Some((key.to_owned(), memo.read_entry(entries.get(key)?.text)?)))
        .collect::<Option<_>>()?;
    compare::object_name(&Value::Map(header))
}

/// Splits a block map into its entries; `None` if it is not plainly one.
fn entries(text: &str) -> Option<Entries<'_>> {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let mut starts: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        if content == "\n" || content.is_empty() || depth > indent {
            // A blank line or a deeper one belongs to the entry above it.
            starts.last()?;
        } else if depth == indent {
            starts.push((at, split_key(content)?.0));
        } else {
            return None;
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let mut entries = Entries::new();
    for ((start, key), end) in starts.iter().zip(ends) {
        if entries.insert(key, entry(&text[*start..end])).is_some() {
            return None;
        }
    }
    (!entries.is_empty()).then_some(entries)
}

fn entry(text: &str) -> Entry<'_> {
    let (line, below) = text.split_once('\n').unwrap_or((text, ""));
    let inline = split_key(line.trim_start_matches(' ')).map_or(line, |(_, inline)| inline.trim());
    Entry { text, inline, below }
}

/// Splits a line at its key, if that is bare or in double quotes without an escape.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let (key, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').filter(|(key, _)| !key.contains('\\'))?,
        // Documents begin with `---`, end with `...`, and items begin with a dash.
        None if line.starts_with(['-', '.']) => return None,
        None => line.split_at(line.find(|c| !is_bare(c))?),
    };
    let rest = rest.strip_prefix(':')?;
    let is_key =
        (line.starts_with('"') || !key.is_empty()) && (rest.is_empty() || rest.starts_with([' ', '\n']));
    is_key.then_some((key, rest))
}

struct Skim<'m> {
    object: Option<Arc<ObjectName>>,
    path: KeyPath,
    changes: Vec<Change>,
    memo: &'m mut Memo,
}

impl Skim<'_> {
    fn maps(&mut self, old: &Entries<'_>, new: &Entries<'_>) -> Option<()> {
        let mut keys: BTreeMap<&str, (Option<&Entry>, Option<&Entry>)> =
            old.iter().map(|(key, entry)| (*key, (Some(entry), None))).collect();
        for (key, entry) in new {
            keys.entry(key).or_default().1 = Some(entry);
        }
        keys.retain(|_, (old, new)| old.map(|entry| entry.text) != new.map(|entry| entry.text));
        for (key, (old, new)) in keys {
            self.path.push(Step::Key(key.into()));
            let compared = self.entry(old, new);
            self.path.pop();
            compared?;
        }
        Some(())
    }

    fn entry(&mut self, old: Option<&Entry<'_>>, new: Option<&Entry<'_>>) -> Option<()> {
        let mark = self.changes.len();
        if let (Some(old), Some(new)) = (old, new)
            && old.inline.is_empty()
            && new.inline.is_empty()
            && let (Some(old), Some(new)) = (entries(old.below), entries(new.below))
        {
            if self.maps(&old, &new).is_some() {
                return Some(());
            }
            self.changes.truncate(mark);
        }
        let mut parse = |entry: Option<&Entry<'_>>| match entry {
            Some(entry) => self.memo.read_entry(entry.text).map(Some),
            None => Some(None),
        };
        let (old, new) = (parse(old)?, parse(new)?);
        compare::values(
            self.object.clone(),
            self.path.clone(),
            old.as_ref(),
            new.as_ref(),
            &mut self.changes,
        );
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::write;

    fn paths(old: &str, new: &str) -> Option<Vec<String>> {
        Some(compare(old, new, &mut Memo::default())?.iter().map(|change| change.path.to_string()).collect())
    }

    #[test]
    fn the_header_and_what_is_equal_are_passed_over() {
        let old = "# header\na:\n  b: 1\n  c:\n    d: x\ne: 1\n";
        let new = "# another\na:\n  b: 1\n  c:\n    d: z\ne: 1\n";
        assert_eq!(paths(old, new).unwrap(), ["a.c.d"]);
        assert_eq!(paths(old, old).unwrap(), [""; 0]);
    }

    #[test]
    fn a_list_and_a_block_scalar_are_parsed_as_a_whole() {
        let old = "a:\n  - b: 1\n    c: 2\ntext: |\n  x: 1\n\n  y: 2\nz: 0\n";
        let new = "a:\n  - b: 1\n    c: 3\ntext: |\n  x: 1\n\n  y: 3\nz: 0\n";
        assert_eq!(paths(old, new).unwrap(), ["a[0].c", "text"]);
    }

    #[test]
    fn a_quoted_key_is_a_key() {
        assert_eq!(paths("\"a.b\": 1\n", "\"a.b\": 2\n").unwrap(), ["\"a.b\""]);
    }

    #[test]
    fn a_shape_that_is_not_plain_has_to_be_parsed() {
        for text in [
            "- a\n",
            "a: &x 1\nb: *x\n",
            "a: 1\n---\nb: 2\n",
            "a:\r\n  b: 1\r\n",
            "{a: 1}\n",
            "a: 1\na: 2\n",
            "",
            "x\n",
        ] {
            assert!(compare(text, "a: 5\n", &mut Memo::default()).is_none(), "{text:?}");
            assert!(compare("a: 5\n", text, &mut Memo::default()).is_none(), "{text:?}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = "[a-c:#|>\\n \"'-]{0,6}|[a-z]{1,3}|no|[0-9]{1,2}";
        let leaf =
            prop_oneof![text.prop_map(Value::String), any::<bool>().prop_map(Value::Bool), Just(Value::Null)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key = "[a-c]|a\\.b|x y|\"|no|#";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| Value::Map(map.into_iter().collect())),
            ]
        })
    }

    fn any_map() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-d]", any_value(), 1..4)
            .prop_map(|map| Value::Map(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_quick_way_gives_what_parsing_gives(old in any_map(), new in any_map()) {
            let mut parsed = Vec::new();
            compare::values(None, KeyPath::default(), Some(&old), Some(&new), &mut parsed);
            prop_assert_eq!(document(&write(&new), &mut Memo::default()), Some(new.clone()));
            // Our own writer's files are always read the quick way, or it would be no use.
            prop_assert_eq!(compare(&write(&old), &write(&new), &mut Memo::default()), Some(parsed));
        }
    }
}
