//! The lines that problems are at, as they are shown: cut, with secrets masked, and with nothing hidden in them.
//!
//! Checks know values and not always the keys above them. Here, the line of a problem shows whether it holds a
//! secret, so that neither a message nor the line that is shown beside it repeats one.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::path::RepoPath;
use crate::problem::{Excerpt, Problem};
use crate::secrets::{Lines, MASK};
use crate::snapshot::Snapshot;
use crate::visible::visible;

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
            let source = snapshot.get(file.as_str());
            let text = source.and_then(|source| std::str::from_utf8(&source.bytes).ok());
            lines = Some((file.clone(), Lines::new(text.unwrap_or_default())));
        }
        let holds_secret = secret.contains(&place(&problem));
        let Some((_, lines)) = &lines else { return problem };
        shown(problem, lines, holds_secret)
    };
    problems.into_iter().map(seen).collect()
}

fn shown(problem: Problem, lines: &Lines<'_>, holds_secret: bool) -> Problem {
    let number = (problem.place.position.line as usize).saturating_sub(1);
    let column = (problem.place.position.column as usize).saturating_sub(1);
    let line = lines.line(number).filter(|_| !problem.is_of_file);
    let excerpt = line.map(|line| excerpt(line, column, &lines.hidden(number, holds_secret)));
    let mask = |text: String| lines.masked(number, text);
    Problem { message: mask(problem.message), hint: problem.hint.map(mask), excerpt, ..problem }
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
}
