//! Finds the tags of a source: what stands between braces, and which braces are text.
//!
//! Knows nothing of what an expression means.

use std::ops::Range;

use crate::problem::{Fault, Position};

use super::super::lines::LineIndex;

/// Blocks, `else if` branches and partials inside each other, at most: each is one more level of the tree. Deeper
/// nesting is unreadable long before it is dangerous.
pub const MAX_NESTING: usize = 64;
/// The size of a template, in bytes.
pub const MAX_SOURCE_BYTES: usize = 128 * 1024;
/// The tags of a template, at most.
pub const MAX_TAGS: usize = 4_096;
/// Opening brackets of any kind in one expression, at most.
pub const MAX_BRACKETS: usize = 32;

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagKind {
    /// `{{path}}` or `{{function …}}`.
    Expression,
    /// `{{#block …}}` or `{{{{raw}}}}`.
    Open,
    /// `{{else if …}}`.
    ElseIf,
    /// `{{else}}`.
    Else,
    /// `{{/block}}`.
    Close,
    /// `{{> partial …}}`.
    Partial,
    /// `{{! … }}`.
    Comment,
}

impl TagKind {
    /// Returns whether such a tag is a node of its own in the tree.
    pub(super) fn is_in_tree(self) -> bool {
        matches!(self, Self::Expression | Self::Open | Self::ElseIf | Self::Partial)
    }
}

/// A tag of a template source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag<'s> {
    /// What it does.
    pub kind: TagKind,
    /// Where its braces start.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// What stands between the braces, without `#`, `/`, `>` and white space.
    pub text: &'s str,
    /// Whether a `~` takes away the white space before it, and after it.
    pub trims: (bool, bool),
    /// At the end of a raw block, the byte range of its text, without the lines that its two ends have to themselves.
    pub body: Option<Range<usize>>,
}

/// Finds the tags of a source, or returns what keeps them from being told apart.
pub(super) fn scan<'s>(source: &'s str, lines: &LineIndex<'_>) -> Result<Vec<Tag<'s>>, Fault> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the template is larger than {} KiB", MAX_SOURCE_BYTES >> 10);
        return Err(Fault::new(Position::START, message).hint("split it, or move data into the inventory"));
    }
    let mut scanner = Scanner { source, at: 0, tags: Vec::new() };
    scanner.run().map_err(|(at, message)| {
        Fault::new(lines.position(at), message)
            .hint("close it and the quotes in it, or write `\\{{` for braces that are meant as text")
    })?;
    match scanner.tags.get(MAX_TAGS) {
        None => Ok(scanner.tags),
        Some(tag) => {
            let message = format!("more than {MAX_TAGS} tags in one template");
            let hint = "loop over a list of the inventory, or insert a map as a whole";
            Err(Fault::new(lines.position(tag.start), message).hint(hint))
        }
    }
}

/// Returns whether only blanks stand before `at` on its line.
pub(super) fn begins_line(source: &str, at: usize) -> bool {
    let before = source[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with(['\n', '\r'])
}

/// Returns where the next line begins, if only blanks stand before it from `at` on.
pub(super) fn line_break(source: &str, at: usize) -> Option<usize> {
    let rest = source[at..].trim_start_matches([' ', '\t']);
    let next = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n"))?;
    Some(source.len() - next.len())
}

/// What may stand between the braces of a tag and its content.
const BLANK: [char; 5] = ['~', ' ', '\t', '\r', '\n'];

/// A tag that goes wrong before anything in it can be read.
type Unclosed = (usize, &'static str);

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    tags: Vec<Tag<'s>>,
}

impl<'s> Scanner<'s> {
    fn run(&mut self) -> Result<(), Unclosed> {
        while let Some(found) = self.source[self.at..].find("{{") {
            let open = self.at + found;
            let backslashes = self.source[..open].bytes().rev().take_while(|byte| *byte == b'\\').count();
            let rest = &self.source[open..];
            match rest {
                _ if backslashes == 1 => self.at = open + braces(rest),
                _ if rest.starts_with("{{{{") => self.raw_block(open)?,
                _ if rest.starts_with("{{!") => self.comment(open)?,
                _ => self.tag(open)?,
            }
        }
        Ok(())
    }

    fn tag(&mut self, open: usize) -> Result<(), Unclosed> {
        let rest = &self.source[open..];
        let end = find_end(rest).ok_or((open, "`{{` is never closed"))?;
        let inner = &rest[2..end];
        let trims = (
            inner.starts_with('~') || inner.starts_with("{~"),
            inner.ends_with('~') || inner.ends_with("~}"),
        );
        let inner = inner.trim_matches(BLANK);
        let in_third_braces = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        let (kind, text) = classify(in_third_braces.unwrap_or(inner).trim_matches(BLANK));
        self.push(kind, open..open + end + 2, text.trim(), trims, None);
        Ok(())
    }

    fn push(
        &mut self,
        kind: TagKind,
        Range { start, end }: Range<usize>,
        text: &'s str,
        trims: (bool, bool),
        body: Option<Range<usize>>,
    ) {
        self.at = end;
        self.tags.push(Tag { kind, start, end, text, trims, body });
    }

    fn comment(&mut self, open: usize) -> Result<(), Unclosed> {
        let rest = &self.source[open..];
        let long = rest.strip_prefix("{{!--").and_then(|inner| inner.find("--}}")).map(|end| end + 9);
        let length = long.or_else(|| rest.find("}}").map(|end| end + 2));
        let length = length.ok_or((open, "this comment is never closed"))?;
        self.push(TagKind::Comment, open..open + length, "", (false, false), None);
        Ok(())
    }

    /// `{{{{name}}}} … {{{{/name}}}}`: nothing inside is a tag.
    fn raw_block(&mut self, open: usize) -> Result<(), Unclosed> {
        let unclosed = (open, "this raw block is never closed");
        let find =
            |sign: &str, from: usize| self.source[from..].find(sign).map(|at| from + at).ok_or(unclosed);
        let head = find("}}}}", open)?;
        let tail = find("{{{{", head + 4)?;
        let end = find("}}}}", tail)?;
        let (opening, closing) = (&self.source[open + 4..head], &self.source[tail + 4..end]);
        let name = closing.trim_matches(BLANK).strip_prefix('/');
        let name = name.ok_or((tail, "a raw block stands inside a raw block"))?;
        let start = match line_break(self.source, head + 4) {
            _ if opening.ends_with('~') => tail - self.source[head + 4..tail].trim_start().len(),
            Some(next) if begins_line(self.source, open) => next,
            _ => head + 4,
        };
        let is_last_line = line_break(self.source, end + 4).is_some() || end + 4 == self.source.len();
        let text = &self.source[start..tail];
        let text = match closing.starts_with('~') {
            true => text.trim_end(),
            false if is_last_line && begins_line(self.source, tail) => text.trim_end_matches([' ', '\t']),
            false => text,
        };
        let body = start..start + text.len();
        let trims = (opening.starts_with('~'), false);
        self.push(TagKind::Open, open..head + 4, opening.trim_matches(BLANK), trims, None);
        self.push(TagKind::Close, tail..end + 4, name.trim(), (false, closing.ends_with('~')), Some(body));
        Ok(())
    }
}

/// Returns how many braces that are text stand at the beginning of one: two, or four.
pub(super) fn braces(text: &str) -> usize {
    if text.starts_with("{{{{") { 4 } else { 2 }
}

/// Finds the end of a tag, outside quotes, inner braces and brackets that hold a name: `{{a.[it's]}}`.
fn find_end(tag: &str) -> Option<usize> {
    let bytes = tag.as_bytes();
    let mut closes_with = None;
    let mut depth = 0;
    let mut at = 2;
    while at < bytes.len() {
        match (closes_with, bytes[at]) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(close), byte) if byte == close => closes_with = None,
            (None, b'[') if matches!(bytes[at - 1], b'.' | b'/' | b'{' | b'~') => closes_with = Some(b']'),
            (None, quote @ (b'"' | b'\'' | b'`')) => closes_with = Some(quote),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (Some(_) | None, _) => {}
        }
        at += 1;
    }
    None
}

fn classify(inner: &str) -> (TagKind, &str) {
    match inner.as_bytes().first() {
        Some(b'#') => (TagKind::Open, &inner[1..]),
        Some(b'/') if !inner.starts_with("/*") => (TagKind::Close, &inner[1..]),
        Some(b'>') => (TagKind::Partial, &inner[1..]),
        Some(b'&') => (TagKind::Expression, &inner[1..]),
        Some(b'^') => branch(&inner[1..]),
        _ => match inner.strip_prefix("else") {
            Some(rest) if rest.is_empty() || rest.starts_with(BLANK) => branch(rest),
            _ => (TagKind::Expression, inner),
        },
    }
}

fn branch(condition: &str) -> (TagKind, &str) {
    if condition.trim().is_empty() { (TagKind::Else, "") } else { (TagKind::ElseIf, condition) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(TagKind, &str)> {
        let tags = scan(source, &LineIndex::new(source)).unwrap();
        tags.into_iter().map(|tag| (tag.kind, tag.text)).collect()
    }

    #[test]
    fn every_kind_of_tag_is_told_apart() {
        use TagKind::{Close, Comment, Else, ElseIf, Expression, Open, Partial};
        let source = "{{a.b}}{{{c}}}{{~#if (eq d \"}}\")~}}x{{else if e}}y{{else}}z{{/if}}{{> p q}}{{!-- }} --}}{{! f }}";
        let found: Vec<_> = kinds(source).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(found, [Expression, Expression, Open, ElseIf, Else, Close, Partial, Comment, Comment]);
    }

    #[test]
    fn escaped_braces_and_raw_blocks_are_text() {
        assert_eq!(kinds(r"a: '\{{ .name }}' {{b}}"), [(TagKind::Expression, "b")]);
        let raw = kinds("{{{{raw}}}} {{x}} {{{{/raw}}}}{{y}}");
        assert_eq!(raw.last().unwrap(), &(TagKind::Expression, "y"));
        assert_eq!(raw.len(), 3);
    }

    #[test]
    fn a_tag_that_is_not_closed_is_reported_where_it_opens() {
        let source = "x\ny {{ a";
        let fault = scan(source, &LineIndex::new(source)).unwrap_err();
        assert_eq!(format!("{}: {}", fault.position, fault.message), "2:3: `{{` is never closed");
    }
}
