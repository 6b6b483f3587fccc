//! Finds the tags of a handlebars source before handlebars parses it.
//!
//! Three things need this: the parser overflows the stack on deep nesting, it reports an unclosed block at
//! the end of the file, and its own positions are wrong inside `else if`. Knows nothing of what an expression
//! means.

use std::ops::Range;

use crate::problem::{Fault, Position};

use super::lines::LineIndex;

/// The size of a template, in bytes. Handlebars counts lines anew for each tag, so that its time grows with
/// size times tags.
pub const MAX_SOURCE_BYTES: usize = 128 * 1024;
/// The tags of a template, at most.
pub const MAX_TAGS: usize = 4_096;

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// `{{path}}` or `{{helper …}}`.
    Expression,
    /// `{{#helper …}}` or `{{{{raw}}}}`.
    Open,
    /// `{{else if …}}`.
    ElseIf,
    /// `{{else}}`.
    Else,
    /// `{{/helper}}`.
    Close,
    /// `{{> partial …}}`.
    Partial,
    /// `{{! … }}`.
    Comment,
}

impl TagKind {
    /// Returns whether such a tag is an element of its own in handlebars' syntax tree.
    pub fn is_in_tree(self) -> bool {
        matches!(self, Self::Expression | Self::Open | Self::ElseIf | Self::Partial)
    }
}

/// A tag of a template source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it does.
    pub kind: TagKind,
    /// Where it stands, with its braces.
    pub range: Range<usize>,
    /// What stands between the braces, without `#`, `/`, `>` and white space.
    pub text: String,
    /// What a raw block holds: the byte range of its text, without the lines that its two ends have to themselves.
    pub body: Option<Range<usize>>,
}

/// A scanned source: its tags, and the stretches of text between them.
#[derive(Debug)]
pub struct Scan {
    /// The tags in order.
    pub tags: Vec<Tag>,
    /// The byte ranges of literal text in order, without raw blocks. After an escape, which loses its
    /// backslash, another one begins.
    pub texts: Vec<Range<usize>>,
}

/// Scans a source, or returns what keeps its tags from being told apart.
pub fn scan(source: &str) -> Result<Scan, Vec<Fault>> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the template is larger than {} KiB", MAX_SOURCE_BYTES >> 10);
        return Err(vec![
            Fault::new(Position::START, message).hint("split it, or move data into the inventory"),
        ]);
    }
    let lines = LineIndex::new(source);
    let scanner = Scanner { source, at: 0, scan: Scan { tags: Vec::new(), texts: Vec::new() } };
    let scan = scanner.run().map_err(|(at, message)| {
        vec![
            Fault::new(lines.position(at), message)
                .hint("close it and the quotes in it, or write `\\{{` for braces that are meant as text"),
        ]
    })?;
    if let Some(tag) = scan.tags.get(MAX_TAGS) {
        let fault =
            Fault::new(lines.position(tag.range.start), format!("more than {MAX_TAGS} tags in one template"));
        return Err(vec![fault.hint("loop over a list of the inventory, or insert a map as a whole")]);
    }
    Ok(scan)
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    scan: Scan,
}

/// What may stand between the braces of a tag and its content.
const BLANK: [char; 5] = ['~', ' ', '\t', '\r', '\n'];

/// A tag that goes wrong before anything in it can be read.
type Unclosed = (usize, &'static str);

impl Scanner<'_> {
    fn run(mut self) -> Result<Scan, Unclosed> {
        let mut text_start = 0;
        while let Some(found) = self.source[self.at..].find("{{") {
            let open = self.at + found;
            let backslashes = self.source[..open].bytes().rev().take_while(|byte| *byte == b'\\').count();
            if backslashes == 1 {
                self.at = open + if self.source[open..].starts_with("{{{{") { 4 } else { 2 };
                self.scan.texts.push(text_start..self.at);
            } else {
                self.scan.texts.push(text_start..open);
                self.tag(open)?;
            }
            text_start = self.at;
        }
        self.scan.texts.push(text_start..self.source.len());
        self.scan.texts.retain(|range| !range.is_empty());
        Ok(self.scan)
    }

    fn tag(&mut self, open: usize) -> Result<(), Unclosed> {
        let rest = &self.source[open..];
        if rest.starts_with("{{{{") {
            return self.raw_block(open);
        }
        if rest.starts_with("{{!") {
            return self.comment(open);
        }
        let end = find_end(rest).ok_or((open, "`{{` is never closed"))?;
        let inner = rest[2..end].trim_matches(BLANK);
        let has_third_brace = inner.starts_with('{') && rest[end + 2..].starts_with('}');
        let inner = inner.trim_matches(['{', '}']).trim_matches(BLANK);
        let (kind, text) = classify(inner);
        let text = text.trim().to_owned();
        self.at = open + end + if has_third_brace { 3 } else { 2 };
        self.push(kind, open..self.at, text, None);
        Ok(())
    }

    fn push(&mut self, kind: TagKind, range: Range<usize>, text: String, body: Option<Range<usize>>) {
        self.scan.tags.push(Tag { kind, range, text, body });
    }

    /// Returns whether only blanks stand before `at` on its line.
    fn begins_line(&self, at: usize) -> bool {
        let before = self.source[..at].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    }

    /// Returns where the next line begins, if only blanks stand before it from `at` on.
    fn line_break(&self, at: usize) -> Option<usize> {
        let rest = self.source[at..].trim_start_matches([' ', '\t']);
        let next = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n"))?;
        Some(self.source.len() - next.len())
    }

    fn comment(&mut self, open: usize) -> Result<(), Unclosed> {
        let rest = &self.source[open..];
        let long = rest.strip_prefix("{{!--").and_then(|inner| inner.find("--}}")).map(|end| end + 9);
        let length = long.or_else(|| rest.find("}}").map(|end| end + 2));
        self.at = open + length.ok_or((open, "this comment is never closed"))?;
        self.push(TagKind::Comment, open..self.at, String::new(), None);
        Ok(())
    }

    /// `{{{{name}}}} … {{{{/name}}}}`: nothing inside is a tag.
    fn raw_block(&mut self, open: usize) -> Result<(), Unclosed> {
        let unclosed = (open, "this raw block is never closed");
        let head = self.source[open..].find("}}}}").ok_or(unclosed)? + open;
        let name = self.source[open + 4..head].trim_matches(BLANK).to_owned();
        let body = head + 4;
        let tail = self.source[body..].find("{{{{").ok_or(unclosed)? + body;
        let end = self.source[tail..].find("}}}}").ok_or(unclosed)? + tail;
        let closing = self.source[tail + 4..end].trim_matches(BLANK);
        let closing = closing.strip_prefix('/').ok_or((tail, "a raw block stands inside a raw block"))?;
        self.at = end + 4;
        let start = match self.line_break(body) {
            _ if self.source[..head].ends_with('~') => tail - self.source[body..tail].trim_start().len(),
            Some(next) if self.begins_line(open) => next,
            _ => body,
        };
        let is_last_line = self.line_break(self.at).is_some() || self.at == self.source.len();
        let text = &self.source[start..tail];
        let text = match self.source[tail + 4..].starts_with('~') {
            true => text.trim_end(),
            false if is_last_line && self.begins_line(tail) => text.trim_end_matches([' ', '\t']),
            false => text,
        };
        let text = start..start + text.len();
        self.push(TagKind::Open, open..body, name, Some(text));
        self.push(TagKind::Close, tail..end + 4, closing.trim().to_owned(), None);
        Ok(())
    }
}

/// Finds the end of a tag, outside quotes and outside brackets that hold a name: `{{a.[it's]}}`.
fn find_end(tag: &str) -> Option<usize> {
    let bytes = tag.as_bytes();
    let mut closes_with = None;
    let mut at = 0;
    while at < bytes.len() {
        match (closes_with, bytes[at]) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(close), byte) if byte == close => closes_with = None,
            (None, b'[') if matches!(bytes[at - 1], b'.' | b'/' | b'{' | b'~') => closes_with = Some(b']'),
            (None, quote @ (b'"' | b'\'' | b'`')) => closes_with = Some(quote),
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
        _ => match inner.strip_prefix("else").or_else(|| inner.strip_prefix('^')) {
            Some(rest) if rest.trim().is_empty() => (TagKind::Else, ""),
            // Handlebars needs no space after `else`, and so `elsewhere` is one; only a longer path is not.
            Some(rest) if !rest.starts_with(['.', '/']) => (TagKind::ElseIf, rest),
            _ => (TagKind::Expression, inner),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(TagKind, String)> {
        scan(source).unwrap().tags.into_iter().map(|tag| (tag.kind, tag.text)).collect()
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
        assert_eq!(kinds(r"a: '\{{ .name }}' {{b}}"), [(TagKind::Expression, "b".to_owned())]);
        let raw = kinds("{{{{raw}}}} {{x}} {{{{/raw}}}}{{y}}");
        assert_eq!(raw.last().unwrap(), &(TagKind::Expression, "y".to_owned()));
        assert_eq!(raw.len(), 3);
    }
}
