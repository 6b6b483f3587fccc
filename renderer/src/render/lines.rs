//! The lines that problems are at: what in them is a secret, and what of them people see.
//!
//! Checks know values and not always the keys above them. Here, the line that a problem is at says whether it holds a secret, so that
//! neither a message nor the line that is shown beside it repeats one. What is shown is cut, and nothing in it is hidden.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::path::RepoPath;
use crate::problem::{Excerpt, Problem};
use crate::secrets::{
    MASK, announces_a_secret, is_reference, masked, names_a_secret, refers_to_a_secret, secret_ranges,
    secrets_in,
};
use crate::snapshot::Snapshot;
use crate::visible::visible;

/// How far above a line the keys that it stands under are looked for.
const MAX_LINES: usize = 2_000;
/// A shorter text is also a part of words.
const SHORTEST: usize = 4;
/// How many characters of a line are shown on each side of a place.
const SIDE: usize = 200;
/// What stands for a tab, which has another width everywhere.
const TAB: &str = "    ";
/// The check after which a line is known to hold a secret.
const SECRETS: &str = "secrets";

/// Returns problems as people may see them: without secrets, and with the lines that they are at.
#[must_use]
pub fn with_lines(problems: Vec<Problem>, snapshot: &Snapshot) -> Vec<Problem> {
    let is_secret = |problem: &&Problem| problem.check == SECRETS;
    let place = |problem: &Problem| (problem.place.file.clone(), problem.place.position.line);
    let secret: BTreeSet<(RepoPath, u32)> = problems.iter().filter(is_secret).map(place).collect();
    let mut lines: Option<(RepoPath, Lines<'_>)> = None;
    let seen = |problem: Problem| {
        let file = &problem.place.file;
        if lines.as_ref().is_none_or(|(known, _)| known != file) {
            lines = Some((file.clone(), Lines::of(snapshot, file)));
        }
        let holds_secret = secret.contains(&place(&problem));
        let Some((_, lines)) = &lines else { return problem };
        lines.seen(problem, holds_secret)
    };
    problems.into_iter().map(seen).collect()
}

/// A file, line by line.
struct Lines<'t> {
    all: Vec<&'t str>,
    /// The secrets on each line that are known by their form, wherever they begin.
    known: Vec<(usize, Range<usize>)>,
    /// Whether a Secret of Kubernetes is written in it.
    has_secret_object: bool,
}

impl<'t> Lines<'t> {
    fn of(snapshot: &'t Snapshot, file: &RepoPath) -> Self {
        let source = snapshot.get(file.as_str());
        Self::new(source.and_then(|source| std::str::from_utf8(&source.bytes).ok()).unwrap_or_default())
    }

    fn new(text: &'t str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let says_secret = |line: &&str| {
            let line = line.replace(['"', '\'', ' '], "");
            line.starts_with("kind:Secret") && !line.starts_with("kind:SecretStore")
        };
        let has_secret_object = text.contains("Secret") && lines.iter().any(says_secret);
        Self { known: known_on_lines(text), all: lines, has_secret_object }
    }

    fn seen(&self, problem: Problem, holds_secret: bool) -> Problem {
        let number = (problem.place.position.line as usize).saturating_sub(1);
        let Some(line) = self.all.get(number) else { return masked_alone(problem) };
        let above = &self.all[number.saturating_sub(MAX_LINES)..number];
        let secrets = secrets_on(line, above);
        let mask = |message: String| {
            let message = secrets.iter().fold(message, |message, secret| message.replace(secret, MASK));
            masked(&message).into_owned()
        };
        let column = (problem.place.position.column as usize).saturating_sub(1);
        let excerpt =
            (!problem.is_of_file).then(|| excerpt(line, column, &self.hidden(number, holds_secret)));
        Problem { message: mask(problem.message), hint: problem.hint.map(mask), excerpt, ..problem }
    }

    /// Returns what must not be seen of a line, from its beginning to its end; rather too much than too little.
    fn hidden(&self, number: usize, holds_secret: bool) -> Vec<Range<usize>> {
        let line = self.all[number];
        let above = &self.all[number.saturating_sub(MAX_LINES)..number];
        let below = self.all.get(number + 1).copied();
        let first = self.known.partition_point(|(at, _)| *at < number);
        let known = self.known[first..].iter().take_while(|(at, _)| *at == number);
        let mut hidden: Vec<Range<usize>> = known.map(|(_, range)| range.clone()).collect();
        hidden.extend(behind_secret_name(line));
        let is_data = |key: &str| self.has_secret_object && matches!(key, "data" | "stringData");
        if holds_secret
            || is_below(line, above, |key| names_a_secret(key) || is_data(key))
            || is_named_by_neighbour(line, above, below)
        {
            hidden.push(value_start(line)..line.len());
        }
        hidden.retain(|range| !is_reference(line[range.clone()].trim_matches(['"', '\'', ' '])));
        joined(hidden)
    }
}

/// Sorts ranges, and joins those that overlap.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, first| {
        let overlaps = next.start <= first.end;
        if overlaps {
            first.end = first.end.max(next.end);
        }
        overlaps
    });
    ranges
}

fn masked_alone(problem: Problem) -> Problem {
    let mask = |message: String| masked(&message).into_owned();
    Problem { message: mask(problem.message), hint: problem.hint.map(mask), ..problem }
}

/// Finds the secrets of a text by their form, as parts of its lines.
fn known_on_lines(text: &str) -> Vec<(usize, Range<usize>)> {
    let mut known = Vec::new();
    let mut secrets = secret_ranges(text).peekable();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        while let Some(secret) = secrets.peek().filter(|secret| secret.start < end) {
            let length = line.trim_end_matches(['\n', '\r']).len();
            let from = secret.start.saturating_sub(start).min(length);
            known.push((number, from..(secret.end - start).min(length)));
            if secret.end > end {
                break;
            }
            secrets.next();
        }
        start = end;
    }
    known
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

/// Returns whether the line beside a value says that it is a secret: its `name`, or the argument before it.
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

/// Returns what people see of a line: about a place, escaped, and masked.
fn excerpt(line: &str, at: usize, hidden: &[Range<usize>]) -> Excerpt {
    let first = at.min(line.chars().count()).saturating_sub(SIDE);
    let mut text = if first > 0 { "…".to_owned() } else { String::new() };
    // How many characters are shown, where the mask that goes on began, and where the place is.
    let (mut length, mut mask, mut column) = (text.chars().count(), None, None);
    let mut rest = line.char_indices().enumerate().skip(first);
    for (number, (byte, character)) in rest.by_ref().take(2 * SIDE) {
        let start = length;
        let range = hidden.get(hidden.partition_point(|range| range.end <= byte));
        let is_hidden = range.is_some_and(|range| range.contains(&byte));
        let shown = match character {
            _ if is_hidden && mask.is_some() => String::new(),
            _ if is_hidden => MASK.to_owned(),
            '\t' => TAB.to_owned(),
            character => visible(character.encode_utf8(&mut [0; 4])).into_owned(),
        };
        mask = if is_hidden { mask.or(Some(start)) } else { None };
        length += shown.chars().count();
        text.push_str(&shown);
        if number == at {
            column = mask.or(Some(start));
        }
    }
    if rest.next().is_some() {
        text.push('…');
    }
    Excerpt { text, column: column.unwrap_or(length) + 1 }
}

/// Returns the secrets on a line: by their form, by their key, and below a key that names one.
fn secrets_on<'l>(line: &'l str, above: &[&str]) -> Vec<&'l str> {
    let mut found: Vec<&str> = secrets_in(line).collect();
    if key(line).is_some_and(names_a_secret) || is_below(line, above, names_a_secret) {
        let value = line.split_once(": ").map_or(line.trim_start_matches([' ', '-']), |(_, value)| value);
        let value = value.split(" #").next().unwrap_or_default().trim();
        found.push(value.trim_matches(['"', '\'']));
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found
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
    use testkit::hostile::text::HIDDEN;

    use super::*;
    use crate::problem::{Fault, Position};
    use crate::snapshot::{Source, SourceId};

    const FILE: &str = "environments/a.yaml";

    /// Shows the line of a problem of a check, with its place under it.
    fn shown_by(check: &'static str, text: &str, line: u32, column: u32) -> Vec<String> {
        let path = RepoPath::parse(FILE).unwrap();
        let source = Source { id: SourceId([0; 20]), bytes: text.as_bytes().into() };
        let snapshot: Snapshot = [(path.clone(), source)].into_iter().collect();
        let problem = Fault::new(Position::new(line, column), "x").in_file(&path).found_by(check);
        let excerpt = with_lines(vec![problem], &snapshot).remove(0).excerpt;
        excerpt.into_iter().flat_map(|it| [it.text, format!("{}^", " ".repeat(it.column - 1))]).collect()
    }

    fn shown(text: &str, line: u32, column: u32) -> Vec<String> {
        shown_by("schema", text, line, column)
    }

    #[test]
    fn a_line_is_shown_with_its_place() {
        assert_eq!(shown("a: 1\n  b: 2\n", 2, 3), ["  b: 2", "  ^"]);
        assert_eq!(shown("a: 1\r\nb: 2\r\n", 2, 4), ["b: 2", "   ^"], "line breaks of Windows");
        assert_eq!(shown("a:\t1\n", 1, 4), ["a:    1", "      ^"], "a tab");
        assert_eq!(shown("ü: 中x\n", 1, 5), ["ü: 中x", "    ^"]);
        assert_eq!(shown("a: 1\n", 1, 40), ["a: 1", "    ^"], "beyond the line");
        assert_eq!(shown("a: 1\n", 7, 1), Vec::<String>::new(), "beyond the file");
        assert_eq!(shown("", 1, 1), Vec::<String>::new());
        assert_eq!(shown("a: \u{202e}b\u{1b}[2Jc\n", 1, 5), ["a: \\u{202e}b\\u{1b}[2Jc", "           ^"]);
    }

    #[test]
    fn nothing_hidden_and_nothing_long_is_shown() {
        let text = format!("{}{HIDDEN}{}", "中".repeat(100_000), "b".repeat(100_000));
        for column in [1, 1_000, 100_010, 200_000, 200_100] {
            let shown = shown(&text.replace(['\n', '\r'], ""), 1, column);
            assert!(
                shown[0].chars().count() < 5_000 && !shown[0].chars().any(crate::visible::is_hidden),
                "{shown:?}"
            );
            assert!(shown[1].chars().count() <= shown[0].chars().count() + 1, "{shown:?}");
        }
        let long = shown(&"ab".repeat(500), 1, 500);
        assert!(long[0].starts_with('…') && long[0].ends_with('…'), "{long:?}");
        assert_eq!(long[0].chars().nth(long[1].len() - 1), Some('b'), "{long:?}");
    }

    #[test]
    fn a_secret_on_the_line_is_masked_and_the_place_stays() {
        for (text, line, column, expected) in [
            ("adminPassword: hunter2\n", 1, 16, ["adminPassword: ***", "               ^"]),
            ("adminPassword: hunter2\n", 1, 18, ["adminPassword: ***", "               ^"]),
            (
                "{user: a, password: hunter2, port: b}\n",
                1,
                31,
                ["{user: a, password: ***", "                    ^"],
            ),
            ("a: ghp_0123456789abcdefghij x\n", 1, 29, ["a: *** x", "       ^"]),
            ("password: |\n  hunter2\n", 2, 3, ["  ***", "  ^"]),
            ("password: \"hunter\n  two\"\n", 2, 3, ["  ***", "  ^"]),
            ("tokens:\n- a: x\n  b: hunter2\n", 3, 3, ["  b: ***", "  ^"]),
            ("env:\n  - name: DB_PASSWORD\n    value: hunter2\n", 3, 5, ["    value: ***", "    ^"]),
            ("env:\n  - value: hunter2\n    name: DB_PASSWORD\n", 2, 5, ["  - value: ***", "    ^"]),
            ("- --password\n- hunter2\n", 2, 3, ["- ***", "  ^"]),
            ("args: [\"--password\", \"hunter2\"]\n", 1, 1, ["args: [\"--password\", \"***", "^"]),
            ("kind: Secret\nstringData:\n  a: hunter2\n", 3, 3, ["  a: ***", "  ^"]),
            (
                "key: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n  -----END PRIVATE KEY-----\n",
                3,
                3,
                ["***", "^"],
            ),
        ] {
            assert_eq!(shown(text, line, column), expected, "{text}");
        }
        assert_eq!(shown_by("secrets", "labels:\n  x: hunter2\n", 2, 6), ["  x: ***", "     ^"]);
    }

    #[test]
    fn what_only_refers_to_a_secret_is_seen() {
        for line in [
            "secretKeyRef: {name: db, key: password}",
            "password: {{cluster.labels.x}}",
            "password: $(PASSWORD)",
            "passwordFile: /run/x",
        ] {
            assert_eq!(shown(&format!("{line}\n"), 1, 1)[0], line);
        }
        let below = "password:\n  valueFrom:\n    secretKeyRef:\n      name: db\n";
        assert_eq!(shown(below, 4, 7)[0], "      name: db");
    }

    #[test]
    fn a_fault_of_a_whole_file_shows_no_line() {
        let path = RepoPath::parse(FILE).unwrap();
        let source = Source { id: SourceId([0; 20]), bytes: b"a: 1\n".as_slice().into() };
        let snapshot: Snapshot = [(path.clone(), source)].into_iter().collect();
        let problems = with_lines(vec![Problem::in_whole_file(&path, "x")], &snapshot);
        assert_eq!(problems[0].excerpt, None);
    }

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
            let lines: Vec<_> = text.lines().collect();
            let mut found = secrets_on(lines[line - 1], &lines[..line - 1]);
            found.dedup();
            assert_eq!(found, secrets, "{text}");
        }
    }
}
