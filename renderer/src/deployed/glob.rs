//! Patterns of file names as Argo CD's directories have them: `*`, `?` and `{a,b}`, and no difference between a slash and
//! any other character.

/// How many alternatives a pattern may come to.
const MAX_ALTERNATIVES: usize = 10_000;

/// Returns whether a pattern is of all of a name.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut waiting = vec![pattern.to_owned()];
    let mut looked_at = 0;
    while let Some(pattern) = waiting.pop() {
        looked_at += 1;
        if looked_at > MAX_ALTERNATIVES {
            return false;
        }
        match first_braces(&pattern) {
            Some((before, inside, after)) => {
                waiting.extend(alternatives(inside).map(|one| format!("{before}{one}{after}")));
            }
            None if is_like(pattern.as_bytes(), name.as_bytes()) => return true,
            None => {}
        }
    }
    false
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
            assert_eq!(matches(pattern, name), is_match, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_grows_without_end_matches_nothing() {
        assert!(!matches(&"{a,b}".repeat(40), "x"));
        assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_999)));
    }
}
