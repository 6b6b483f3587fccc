//! Counts and lists in words. Knows nothing of what is counted.

use std::fmt::Display;

/// Returns a number of things: `1 file`, `2 files`, `0 entries`.
///
/// The noun is given in the singular; of several words, the last one takes the ending.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {}", plural(noun)) }
}

/// Returns the form of a verb that goes with a number of things: `agrees(1, "is", "are")` is `is`.
#[must_use]
pub const fn agrees<'a>(number: usize, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// Lists names, and counts those beyond the first few: `a, b and 3 more`.
#[must_use]
pub fn listed(names: impl IntoIterator<Item = impl Display>, most: usize) -> String {
    let mut names = names.into_iter();
    let shown = names.by_ref().take(most).map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Returns names in backticks with commas between them: `` `a`, `b` ``.
#[must_use]
pub fn quoted(names: impl IntoIterator<Item = impl Display>) -> String {
    quoted_up_to(usize::MAX, names)
}

/// Lists names in backticks, and counts those beyond the first few: `` `a`, `b` and 3 more``.
#[must_use]
pub fn quoted_up_to(most: usize, names: impl IntoIterator<Item = impl Display>) -> String {
    listed(names.into_iter().map(|name| format!("`{name}`")), most)
}

/// Joins alternatives the way a sentence does: `a, b or c`.
pub(crate) fn alternatives<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn plural(noun: &str) -> String {
    let takes_es = ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if takes_es => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_names_the_first_and_counts_the_rest() {
        assert_eq!(listed([0; 0], 2), "");
        assert_eq!(listed(["a", "b"], 2), "a, b");
        assert_eq!(listed(["a", "b", "c", "d"], 2), "a, b and 2 more");
    }

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        for (number, noun, text) in [
            (0, "problem", "0 problems"),
            (1, "cluster", "1 cluster"),
            (2, "rendered file", "2 rendered files"),
            (1, "entry", "1 entry"),
            (3, "entry", "3 entries"),
            (3, "key", "3 keys"),
            (2, "branch", "2 branches"),
            (2, "address", "2 addresses"),
        ] {
            assert_eq!(counted(number, noun), text);
        }
    }
}
