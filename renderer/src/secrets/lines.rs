//! Secrets on the lines of a file, as text: by the keys on a line and above it, by its neighbours, and by their form.

use std::ops::Range;

use super::forms::{self, Found};
use super::mask::MASK;
use super::names::{announces_a_secret, names_a_secret};
use super::references::{is_reference, refers_to_a_secret};

/// How far above a line the keys that it stands under are looked for.
const MAX_LINES: usize = 2_000;
/// A shorter text is also a part of words.
const SHORTEST: usize = 4;

/// A file, line by line.
pub(crate) struct Lines<'t> {
    text: &'t str,
    all: Vec<&'t str>,
    /// The secrets that are known by their form, wherever they stand in the text.
    known: Vec<Range<usize>>,
    /// Whether a Secret of Kubernetes is written in it.
    has_secret_object: bool,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let all: Vec<&str> = text.lines().collect();
        let says_secret = |line: &&str| {
            let line = line.replace(['"', '\'', ' '], "");
            line.starts_with("kind:Secret") && !line.starts_with("kind:SecretStore")
        };
        let has_secret_object = text.contains("Secret") && all.iter().any(says_secret);
        let known = forms::find(text).into_iter().map(|found| found.range).collect();
        Self { text, all, known, has_secret_object }
    }

    /// Returns a line by its number, from 0.
    pub(crate) fn line(&self, number: usize) -> Option<&'t str> {
        self.all.get(number).copied()
    }

    /// Returns a text without the secrets of a line.
    pub(crate) fn masked(&self, number: usize, text: String) -> String {
        let secrets = self.secrets(number).into_iter();
        let text = secrets.fold(text, |text, secret| text.replace(secret, MASK));
        super::masked(&text).into_owned()
    }

    /// Returns the secrets on a line, without quotes and comments.
    fn secrets(&self, number: usize) -> Vec<&'t str> {
        let Some(line) = self.line(number) else { return Vec::new() };
        let bare = |range: Range<usize>| {
            let value = line[range].split(" #").next().unwrap_or_default();
            value.trim().trim_matches(['"', '\''])
        };
        let secrets = self.hidden(number, false).into_iter().map(bare);
        secrets.filter(|secret| secret.len() >= SHORTEST).collect()
    }

    /// Returns what must not be seen of a line, from its beginning to its end; rather too much than too little.
    pub(crate) fn hidden(&self, number: usize, holds_secret: bool) -> Vec<Range<usize>> {
        let line = self.all[number];
        let above = &self.all[number.saturating_sub(MAX_LINES)..number];
        let below = self.all.get(number + 1).copied();
        let start = line.as_ptr() as usize - self.text.as_ptr() as usize;
        let end = start + line.len();
        let known = self.known.iter().filter(|secret| secret.start < end && start < secret.end);
        let known = known.map(|secret| secret.start.max(start) - start..secret.end.min(end) - start);
        let mut hidden: Vec<Range<usize>> = known.chain(behind_secret_name(line)).collect();
        let is_data = |key: &str| self.has_secret_object && matches!(key, "data" | "stringData");
        if holds_secret
            || is_below(line, above, |key| names_a_secret(key) || is_data(key))
            || is_named_by_neighbour(line, above, below)
        {
            hidden.push(value_start(line)..line.len());
        }
        hidden.retain(|range| !is_reference(line[range.clone()].trim_matches(['"', '\'', ' '])));
        let hidden = hidden.into_iter().map(|range| Found { range, kind: "" }).collect();
        forms::apart(hidden).into_iter().map(|found| found.range).collect()
    }
}

/// Returns what stands behind the first word of a line that names a secret.
fn behind_secret_name(line: &str) -> Option<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut from = 0;
    while let Some(start) = line[from..].find(is_part).map(|at| from + at) {
        let end = line[start..].find(|c| !is_part(c)).map_or(line.len(), |length| start + length);
        let rest = line[end..].trim_start_matches(['"', '\'']);
        let value = rest.trim_start_matches([':', '=', ',', ' ', '"', '\'', '[']);
        if names_a_secret(line[start..end].trim_start_matches('-'))
            && value.len() < rest.len()
            && !value.is_empty()
        {
            return Some(line.len() - value.len()..line.len());
        }
        from = end;
    }
    None
}

/// Returns whether a line stands below a key that names a secret, and below none that only refers to one.
fn is_below(line: &str, above: &[&str], is_secret: impl Fn(&str) -> bool) -> bool {
    if key(line).is_some_and(refers_to_a_secret) {
        return false;
    }
    let mut depth = indent(line);
    let mut is_item = line.trim_start().starts_with('-');
    for upper in above.iter().rev().filter(|upper| !upper.trim().is_empty()) {
        let is_parent = indent(upper) < depth
            || (is_item && indent(upper) == depth && !upper.trim_start().starts_with('-'));
        if !is_parent {
            continue;
        }
        match key(upper) {
            Some(key) if refers_to_a_secret(key) => return false,
            Some(key) if is_secret(key) => return true,
            _ => {}
        }
        depth = indent(upper);
        is_item = upper.trim_start().starts_with('-');
    }
    false
}

/// Returns whether the line beside a value names a secret: its `name`, or the argument before it.
fn is_named_by_neighbour(line: &str, above: &[&str], below: Option<&str>) -> bool {
    let names = |neighbour: &str| {
        let (key, value) = neighbour.trim_start_matches([' ', '-']).split_once(':').unwrap_or_default();
        matches!(key, "name" | "key") && names_a_secret(value.trim_matches([' ', '"', '\'']))
    };
    let announces = |neighbour: &str| {
        let item = neighbour.trim_start().strip_prefix("- ").unwrap_or_default();
        announces_a_secret(item.trim_matches([' ', '"', '\'']))
    };
    let before = above.last().copied().unwrap_or_default();
    let is_value = key(line).is_some_and(|key| matches!(key, "value" | "plain" | "plaintext" | "literal"));
    (is_value && (names(before) || below.is_some_and(names)))
        || (line.trim_start().starts_with("- ") && announces(before))
}

/// Returns where the value of a line begins.
fn value_start(line: &str) -> usize {
    match line.split_once(": ") {
        Some((key, _)) => key.len() + 2,
        None => line.len() - line.trim_start_matches([' ', '-']).len(),
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Returns the key that a line begins with, if it does.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    Some(key.trim_matches([' ', '-', '"', '\'']))
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
        ] {
            assert_eq!(Lines::new(text).secrets(line - 1), secrets, "{text}");
        }
    }
}
