//! Counts in words. Knows nothing of what is counted.

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
