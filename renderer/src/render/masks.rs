//! Secrets in problems: a message that repeats a value does not repeat a secret.
//!
//! Checks know values and not always the keys above them. Here, the line that a problem is at says whether one names a secret.

use crate::problem::Problem;
use crate::secrets::{MASK, masked, names_a_secret, secrets_in};
use crate::snapshot::Snapshot;

/// How far above a line the keys that it stands under are looked for.
const MAX_LINES: usize = 2_000;
/// A shorter text is also a part of words.
const SHORTEST: usize = 4;

/// Masks what a problem repeats of the secrets on its line, and what has the form of one anywhere.
pub(super) fn without_secrets(problem: Problem, snapshot: &Snapshot) -> Problem {
    let source = snapshot.get(problem.place.file.as_str());
    let text = source.and_then(|source| std::str::from_utf8(&source.bytes).ok()).unwrap_or_default();
    let secrets = secrets_on(text, problem.place.position.line as usize);
    let mask = |message: String| {
        let message = secrets.iter().fold(message, |message, secret| message.replace(secret, MASK));
        masked(&message).into_owned()
    };
    Problem { message: mask(problem.message), hint: problem.hint.map(mask), ..problem }
}

/// Returns the secrets on a line, counted from 1: by their form, by their key, and below a key that names one.
fn secrets_on(text: &str, line: usize) -> Vec<&str> {
    let first = line.saturating_sub(MAX_LINES);
    let lines: Vec<&str> = text.lines().skip(first).take(line - first).collect();
    let Some((last, above)) = lines.split_last().filter(|_| first + lines.len() == line) else {
        return Vec::new();
    };
    let mut found: Vec<&str> = secrets_in(last).collect();
    if has_secret_key(last) || is_below_secret_key(last, above) {
        let value = last.split_once(": ").map_or(last.trim_start_matches([' ', '-']), |(_, value)| value);
        let value = value.split(" #").next().unwrap_or_default().trim();
        found.push(value.trim_matches(['"', '\'']));
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found
}

fn is_below_secret_key(line: &str, above: &[&str]) -> bool {
    let mut indent = indent(line);
    for upper in above.iter().rev().filter(|upper| !upper.trim().is_empty()) {
        let is_parent = self::indent(upper) < indent
            || (line.trim_start().starts_with('-') && self::indent(upper) == indent);
        if is_parent && upper.trim_end().ends_with(':') {
            if has_secret_key(upper) {
                return true;
            }
            indent = self::indent(upper);
        }
    }
    false
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn has_secret_key(line: &str) -> bool {
    let key = line.split(':').next().unwrap_or_default().trim_matches([' ', '-', '"', '\'']);
    line.contains(':') && names_a_secret(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_a_line_are_known_by_the_keys_above_it() {
        for (text, line, secrets) in [
            ("a: 1\nb: 2222\n", 2, &[][..]),
            ("adminPassword: hunter2\n", 1, &["hunter2"]),
            ("adminPassword: \"hunter2\"  # old\n", 1, &["hunter2"]),
            ("passwords:\n  - first\n  - second\n", 3, &["second"]),
            ("passwords:\n- first\n", 2, &["first"]),
            ("token:\n  of:\n    eu: abcd1\n", 3, &["abcd1"]),
            ("token:\n  of: x\nother: abcd1\n", 3, &[]),
            ("a: ghp_0123456789abcdefghij\n", 1, &["ghp_0123456789abcdefghij"]),
            ("a: 1\n", 9, &[]),
        ] {
            let mut found = secrets_on(text, line);
            found.dedup();
            assert_eq!(found, secrets, "{text}");
        }
    }
}
