//! What is said about a tag that cannot be read.

use crate::problem::Fault;

use super::super::functions::FUNCTIONS;
use super::super::lines::LineIndex;
use super::foreign;
use super::tags::{Tag, TagKind};

/// The names by which templates call facts.
const FACTS: [&str; 7] = ["cluster", "hub", "spokes", "fleet", "addon", "this", "@"];

/// Returns the fault of a tag that is meant for another program.
pub(super) fn foreign_tag(tag: &Tag<'_>, lines: &LineIndex<'_>) -> Fault {
    fault(tag, lines).hint(foreign::HINT)
}

/// Returns the fault of a tag whose expression follows no grammar.
pub(super) fn tag(tag: &Tag<'_>, lines: &LineIndex<'_>) -> Fault {
    fault(tag, lines).hint(hint(tag))
}

fn fault(tag: &Tag<'_>, lines: &LineIndex<'_>) -> Fault {
    Fault::new(lines.position(tag.start), format!("cannot read `{}`", shown(tag)))
}

/// Returns a tag as it is written, shortened for a message.
fn shown(tag: &Tag<'_>) -> String {
    const SHOWN_CHARS: usize = 60;
    let sign = match tag.kind {
        TagKind::Expression | TagKind::Else | TagKind::Comment => "",
        TagKind::Open => "#",
        TagKind::ElseIf => "else ",
        TagKind::Close => "/",
        TagKind::Partial => "> ",
    };
    let written = format!("{{{{{sign}{}}}}}", tag.text);
    match written.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &written[..end]),
        None => written,
    }
}

/// Returns the way out for what people write by habit from other template languages.
fn hint(tag: &Tag<'_>) -> String {
    let text = tag.text;
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let hint = match text {
        "" if tag.kind == TagKind::Partial => "name the partial and its argument: `{{> name cluster}}`",
        "" => "write a path between the braces: `{{cluster.name}}`",
        "." | ".." => "write `this` for the item of a loop, and `../this` for what stands around it",
        _ if text.starts_with('!') => "a comment is written `{{! … }}`, without `~`",
        _ if text.starts_with('*') => "decorators are not supported: use a plain partial",
        _ if has(&["../@"]) => "write `@../index` for the index of the outer loop",
        _ if has(&["==", "!=", "&&", "||", " > ", " < "]) => {
            "there are no operators: write `(eq a b)`, `(ne a b)`, `(and a b)`, `(or a b)` or `(not a)`"
        }
        _ if has(&["|"]) && !has(&[" as |"]) => {
            "there are no filters, and none is needed for quoting or indentation: values keep their type"
        }
        _ => {
            "write a path, as in `{{cluster.name}}`, or a helper with its arguments, as in \
             `{{default cluster.labels.zone \"a\"}}`"
        }
    };
    let is_ours = tag.kind != TagKind::Expression
        || text.len() < 3
        || text.starts_with(['!', '*'])
        || FACTS.iter().any(|name| text.contains(name))
        || FUNCTIONS.iter().any(|function| text.split_whitespace().next() == Some(function.name));
    if is_ours { hint.to_owned() } else { foreign::or_else(hint) }
}
