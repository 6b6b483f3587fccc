//! Texts from outside, and lists of any length, in the bounded space of a pull request.

use std::fmt::Write as _;

use renderer::plan::markdown;
use renderer::plural::counted;
use renderer::visible::visible;

/// Writes a text from outside as a code span of at most so many characters.
pub(in crate::run) fn code(text: &str, max: usize) -> String {
    let text: String = visible(text).chars().take(max).collect();
    markdown::code(if text.trim().is_empty() { "?" } else { &text })
}

/// Adds lines to a text up to a limit in characters; `what` names what the rest of them stand for, which is counted.
pub(in crate::run) fn push_lines(
    text: &mut String,
    lines: impl ExactSizeIterator<Item = String>,
    limit: usize,
    what: &str,
) {
    let total = lines.len();
    for (shown, line) in lines.enumerate() {
        if text.chars().count() + line.chars().count() + ROOM_FOR_COUNT > limit {
            let _ = writeln!(text, "- and {}", counted(total - shown, what));
            return;
        }
        text.push_str(&line);
    }
}

/// What is kept for the line that counts the rest, in characters.
const ROOM_FOR_COUNT: usize = 40;
