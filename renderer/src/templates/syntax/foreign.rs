//! Braces that are meant for another program: Helm, Argo CD, Prometheus, Alertmanager, Grafana.
//!
//! Tells them by how they are written; knows nothing of which of the programs reads what.

use std::sync::LazyLock;

use regex::Regex;

use super::scan::{Tag, TagKind};

/// How to write such braces.
pub const HINT: &str = "braces for another program are written `\\{{ … }}`, in quotes or a block scalar, or stand in a raw block";

/// Adds how to write such braces to another hint.
pub fn or_else(hint: &str) -> String {
    let pause = if hint.ends_with('?') { "" } else { ";" };
    format!("{hint}{pause} {HINT}")
}

/// What no expression of ours begins with: a variable, a trimmed blank, a comment, a literal or a calculation
/// of another language.
const BEGINNINGS: [&str; 7] = ["$", "-", "/*", "`", "\"", "=", "%"];
/// Words of Go's templates that take arguments.
const WORDS: [&str; 8] = ["block", "define", "include", "print", "printf", "range", "template", "tpl"];
/// Words of Go's templates that stand alone. They may well be names of ours if nothing else is foreign.
const LONE_WORDS: [&str; 3] = ["break", "continue", "end"];

/// Returns the tags that are no expressions of ours by how they are written.
pub fn tags(tags: &[Tag]) -> Vec<&Tag> {
    let has_foreign = tags.iter().any(is_foreign);
    let is_one = |tag: &&Tag| is_foreign(tag) || (has_foreign && LONE_WORDS.contains(&tag.text.as_str()));
    tags.iter().filter(is_one).collect()
}

fn is_foreign(tag: &Tag) -> bool {
    let text = tag.text.as_str();
    if !tag.kind.is_in_tree() || text.is_empty() {
        return false;
    }
    let bare = QUOTED.replace_all(text, "");
    let mut words = bare.split([' ', '\t', '\r', '\n', '(', ')', ',']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    BEGINNINGS.iter().any(|sign| text.starts_with(sign))
        || is_go_path(first) && first != "."
        || words.any(is_go_path)
        || tag.kind == TagKind::Expression && WORDS.contains(&first) && text.len() > first.len()
}

/// What stands in quotes; they may be left open.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#"(?s)"(\\.|[^"\\])*("|$)|'(\\.|[^'\\])*('|$)|`(\\.|[^`\\])*(`|$)"#;
    Regex::new(quoted).expect("the pattern is written here")
});

/// Returns whether a word is `.`, `.name` or `$name`; `./name` and `../name` are ours.
fn is_go_path(word: &str) -> bool {
    match word.strip_prefix('.') {
        Some(rest) => !rest.starts_with(['.', '/']),
        None => word.starts_with('$'),
    }
}
