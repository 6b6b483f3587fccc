//! Two texts of block-style YAML without the entries that are equal in both, by their lines alone.
//!
//! Parsing is most of what a plan costs, and two versions of a file are nearly always the same but for a line
//! or two. Where a text is not plainly made of block maps (which our own writer guarantees and a person's
//! edit may not), there is no answer and the caller parses all of it. Knows nothing of values: what is left
//! is parsed.

use std::collections::BTreeMap;

/// The keys by which an object is known, or a list of them; they are kept even if they are equal.
const IDENTITY: [&str; 4] = ["apiVersion", "items", "kind", "metadata"];

/// The keys that say what a value beside them is.
const NAMES: [&str; 2] = ["key", "name"];

/// The deepest line below which maps are cut down; the reader takes nothing that is much deeper.
const MAX_INDENT: usize = 256;

/// The entries of a block map as they are written, by their keys.
type Entries<'t> = BTreeMap<&'t str, &'t str>;

/// Returns two texts of one document each that differ as the given ones do; `None` if either has to be parsed
/// as a whole.
pub(in crate::plan) fn reduced(old: &str, new: &str) -> Option<[String; 2]> {
    let (old, new) = (document(old)?, document(new)?);
    let is_object = old.contains_key("kind") || new.contains_key("kind");
    let is_kept = |key: &str| NAMES.contains(&key) || (is_object && IDENTITY.contains(&key));
    let mut texts = [String::new(), String::new()];
    reduce(&old, &new, &is_kept, &mut texts);
    Some(texts.map(|text| if text.is_empty() { "{}\n".to_owned() } else { text }))
}

/// Returns the entries of a text of one document, each a document of its own; `None` if it has to be parsed
/// as a whole.
pub(in crate::plan) fn entries(text: &str) -> Option<impl Iterator<Item = &str>> {
    Some(document(text)?.into_values())
}

/// Adds the entries that differ or are kept to the texts.
fn reduce(old: &Entries<'_>, new: &Entries<'_>, is_kept: &dyn Fn(&str) -> bool, texts: &mut [String; 2]) {
    let mut keys: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let sides = [old.get(key).copied(), new.get(key).copied()];
        match sides {
            [old, new] if old == new && !is_kept(key) => {}
            [Some(old), Some(new)] if !is_kept(key) => reduce_entry([old, new], texts),
            _ => texts.iter_mut().zip(sides).for_each(|(text, side)| text.extend(side)),
        }
    }
}

/// Adds an entry that differs: the map below it reduced, if it has one on both sides.
fn reduce_entry(sides: [&str; 2], texts: &mut [String; 2]) {
    let [Some((old_key, old)), Some((new_key, new))] = sides.map(nested) else {
        texts.iter_mut().zip(sides).for_each(|(text, side)| text.push_str(side));
        return;
    };
    let mut below = [String::new(), String::new()];
    reduce(&old, &new, &|key| NAMES.contains(&key), &mut below);
    for ((text, key), below) in texts.iter_mut().zip([old_key, new_key]).zip(below) {
        text.push_str(key);
        text.push_str(if below.is_empty() { " {}\n" } else { "\n" });
        text.push_str(&below);
    }
}

/// Returns the first line of an entry and the block map below it, if it holds nothing else.
fn nested(entry: &str) -> Option<(&str, Entries<'_>)> {
    let (line, below) = entry.split_once('\n')?;
    let content = line.trim_start_matches(' ');
    let (_, inline) = split_key(content).filter(|_| line.len() - content.len() <= MAX_INDENT)?;
    inline.trim().is_empty().then_some((line.trim_end(), block_map(below)?))
}

/// Splits a text of one document into its entries.
fn document(text: &str) -> Option<Entries<'_>> {
    if has_far_effects(text) || !text.ends_with('\n') {
        return None;
    }
    block_map(without_header(text))
}

/// Returns whether a line may change what another line means: anchors and aliases; also carriage returns and
/// tabs, which make counting spaces meaningless.
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

/// Splits a block map into its entries; `None` if it is not plainly one.
fn block_map(text: &str) -> Option<Entries<'_>> {
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
        if entries.insert(*key, &text[*start..end]).is_some() {
            return None;
        }
    }
    (!entries.is_empty()).then_some(entries)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::compare::read::{Memo, read};
    use crate::plan::compare::{self, one_document};
    use crate::yaml::{Value, write};

    fn paths(old: &str, new: &str) -> Option<Vec<String>> {
        let [old, new] = reduced(old, new)?.map(|text| read(&text).unwrap());
        Some(
            compare::documents(&old, &new, &|change, _| change)
                .iter()
                .map(|change| change.path.to_string())
                .collect(),
        )
    }

    #[test]
    fn what_is_equal_is_left_out_apart_from_what_an_object_is() {
        let old = "kind: A\nmetadata:\n  name: x\nspec:\n  a: 1\n  b: 2\n";
        let new = "kind: A\nmetadata:\n  name: x\nspec:\n  a: 1\n";
        assert_eq!(
            reduced(old, new).unwrap(),
            ["kind: A\nmetadata:\n  name: x\nspec:\n  b: 2\n", "kind: A\nmetadata:\n  name: x\nspec: {}\n"]
        );
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
            assert!(reduced(text, "a: 5\n").is_none(), "{text:?}");
            assert!(reduced("a: 5\n", text).is_none(), "{text:?}");
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
            let [written_old, written_new] = [&old, &new].map(write);
            prop_assert_eq!(one_document(&written_new, &mut Memo::default()), Some(new.clone()));
            // Our own writer's files are always read the quick way, or it would be no use.
            let [reduced_old, reduced_new] = reduced(&written_old, &written_new).unwrap().map(|text| read(&text).unwrap());
            prop_assert_eq!(compare::documents(&reduced_old, &reduced_new, &|change, _| change), compare::documents(&[old], &[new], &|change, _| change));
        }
    }
}
