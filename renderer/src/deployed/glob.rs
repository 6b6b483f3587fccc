//! Patterns of file names as Argo CD's directories have them: `*`, `?` and `{a,b}`, and no difference between a slash and
//! any other character.

use std::collections::HashSet;

/// How many bytes the alternatives of a pattern may come to.
const MAX_BYTES: usize = 16 << 20;

/// A pattern, by its alternatives.
pub(super) struct Pattern {
    names: HashSet<String>,
    others: Vec<String>,
}

impl Pattern {
    /// Reads a pattern; nothing if its alternatives come to more than [`MAX_BYTES`].
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let (mut names, mut others) = (HashSet::new(), Vec::new());
        let mut waiting = vec![pattern.to_owned()];
        let mut bytes = 0;
        while let Some(pattern) = waiting.pop() {
            bytes += pattern.len() + size_of::<String>();
            if bytes > MAX_BYTES {
                return None;
            }
            match first_braces(&pattern) {
                Some((before, inside, after)) => {
                    for one in alternatives(inside) {
                        waiting.push(format!("{before}{one}{after}"));
                    }
                }
                None if pattern.contains(['*', '?']) => others.push(pattern),
                None => drop(names.insert(pattern)),
            }
        }
        Some(Self { names, others })
    }

    /// Returns whether it is of all of a name.
    pub(super) fn matches(&self, name: &str) -> bool {
        let is_like = |pattern: &String| is_like(pattern.as_bytes(), name.as_bytes());
        self.names.contains(name) || self.others.iter().any(is_like)
    }
}

/// Splits a pattern around its first pair of braces.
fn first_braces(pattern: &str) -> Option<(&str, &str, &str)> {
    let start = pattern.find('{')?;
    let mut depth = 0;
    for (at, c) in pattern[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let end = start + at;
            return Some((&pattern[..start], &pattern[start + 1..end], &pattern[end + 1..]));
        }
    }
    None
}

/// Splits at the commas that are in no deeper braces.
fn alternatives(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    inside.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// Matches `*` and `?`. It goes back to the last `*` alone, so that it takes no longer than both are long.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((back, from)) = star else { return false };
                star = Some((back, from + 1));
                (at, seen) = (back + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_whole_names_and_knows_no_slash() {
        for (pattern, name, is_match) in [
            ("{control/root,app/root}.yaml", "app/root.yaml", true),
            ("{control/root,app/root}.yaml", "app/rooty.yaml", false),
            ("*.yaml", "app/root.yaml", true),
            ("*root*", "app/root.yaml", true),
            ("?oot.yaml", "root.yaml", true),
            ("{a,{b,c}d}", "cd", true),
            ("{a,{b,c}d}", "bd", true),
            ("{a,{b,c}d}", "d", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("{a", "{a", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), is_match, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_grows_without_end_is_not_read() {
        assert!(Pattern::parse(&"{a,b}".repeat(40)).is_none());
        let long = format!("{{{}}}{}", "a,".repeat(10_000), "b".repeat(100_000));
        assert!(Pattern::parse(&long).is_none());
        assert!(!Pattern::parse(&"*a".repeat(2_000)).unwrap().matches(&"a".repeat(1_999)));
    }
}
