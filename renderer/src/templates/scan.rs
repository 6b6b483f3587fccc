//! Finds the tags of a handlebars source before handlebars parses it.
//!
//! Three things need this: the parser overflows the stack on deep nesting, it reports an unclosed block at the end of the
//! file, and its own positions are wrong inside `else if`. Knows nothing of what an expression means.

use std::ops::Range;

use crate::problem::{Fault, Position};

/// Blocks inside blocks, at most. Deeper nesting is unreadable long before it is dangerous.
pub const MAX_NESTING: usize = 32;
/// `else if` branches of one block, at most: each is one more level of the parsed tree.
pub const MAX_ELSE_IF: usize = 64;
/// Parentheses inside parentheses in one expression, at most.
pub const MAX_PARENTHESES: usize = 16;

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

/// A tag of a template source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it does.
    pub kind: TagKind,
    /// Where its braces start.
    pub start: usize,
    /// What stands between the braces, without `#`, `/`, `>` and white space.
    pub text: String,
}

/// A scanned source: its tags, and the stretches of text between them.
#[derive(Debug)]
pub struct Scan {
    /// The tags in order.
    pub tags: Vec<Tag>,
    /// The byte ranges of literal text in order.
    pub texts: Vec<Range<usize>>,
}

/// Translates byte offsets of a text to positions.
#[derive(Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Indexes the lines of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { text, starts: starts.collect() }
    }

    /// Returns the position of the character at byte `offset`.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let column = self.text[self.starts[line]..offset].chars().count() + 1;
        Position::new(line as u32 + 1, column as u32)
    }

    /// Returns the byte offset of a position; one past the end of its line if the column is too large.
    #[must_use]
    pub fn offset(&self, position: Position) -> usize {
        let line = self.line(position.line);
        let start = self.starts.get(position.line as usize - 1).copied().unwrap_or(self.text.len());
        start + line.char_indices().nth(position.column as usize - 1).map_or(line.len(), |(at, _)| at)
    }

    /// Returns the text of a line (from 1) without its line break, or nothing past the end.
    #[must_use]
    pub fn line(&self, line: u32) -> &'a str {
        let Some(start) = self.starts.get(line as usize - 1) else { return "" };
        self.text[*start..].lines().next().unwrap_or("")
    }
}

/// Scans a source, or returns everything about its tags that handlebars would choke on or explain badly.
pub fn scan(source: &str) -> Result<Scan, Vec<Fault>> {
    let lines = LineIndex::new(source);
    let scanner = Scanner { source, at: 0, scan: Scan { tags: Vec::new(), texts: Vec::new() } };
    let scan = scanner.run().map_err(|(at, message)| {
        vec![
            Fault::new(lines.position(at), message)
                .hint("close it, or write `\\{{` for braces that are meant as text"),
        ]
    })?;
    let faults = check_blocks(&scan, &lines);
    if faults.is_empty() { Ok(scan) } else { Err(faults) }
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    scan: Scan,
}

impl Scanner<'_> {
    fn run(mut self) -> Result<Scan, (usize, &'static str)> {
        let mut text_start = 0;
        while let Some(found) = self.source[self.at..].find("{{") {
            let open = self.at + found;
            let backslashes = self.source[..open].bytes().rev().take_while(|byte| *byte == b'\\').count();
            if backslashes == 1 {
                self.at = open + if self.source[open..].starts_with("{{{{") { 4 } else { 2 };
                continue;
            }
            self.scan.texts.push(text_start..open);
            self.tag(open)?;
            text_start = self.at;
        }
        self.scan.texts.push(text_start..self.source.len());
        self.scan.texts.retain(|range| !range.is_empty());
        Ok(self.scan)
    }

    fn tag(&mut self, open: usize) -> Result<(), (usize, &'static str)> {
        let rest = &self.source[open..];
        if rest.starts_with("{{{{") {
            return self.raw_block(open);
        }
        let comment = rest.trim_start_matches(['{', '~']).starts_with('!');
        let (braces, end) = if comment {
            let dashes = rest.trim_start_matches(['{', '~']).starts_with("!--");
            (2, if dashes { rest.find("--}}").or_else(|| rest.find("--~}}")) } else { rest.find("}}") })
        } else if rest.starts_with("{{{") {
            (3, find_outside_quotes(rest, "}}}"))
        } else {
            (2, find_outside_quotes(rest, "}}"))
        };
        let end = end.ok_or((open, "`{{` is never closed"))?;
        let close = open + end + self.source[open + end..].find("}}").unwrap_or(0) + braces;
        let inner = rest[braces..end].trim_matches(['~', ' ', '\t', '\r', '\n']);
        let (kind, text) = classify(inner);
        self.scan.tags.push(Tag { kind, start: open, text: text.trim().to_owned() });
        self.at = close;
        Ok(())
    }

    /// `{{{{name}}}} … {{{{/name}}}}`: nothing inside is a tag.
    fn raw_block(&mut self, open: usize) -> Result<(), (usize, &'static str)> {
        let unclosed = (open, "this raw block is never closed");
        let head = self.source[open..].find("}}}}").ok_or(unclosed)? + open;
        let name = self.source[open + 4..head].trim().to_owned();
        let body = head + 4;
        let tail = self.source[body..].find("{{{{/").ok_or(unclosed)? + body;
        let end = self.source[tail..].find("}}}}").ok_or(unclosed)? + tail + 4;
        self.scan.tags.push(Tag { kind: TagKind::Open, start: open, text: name.clone() });
        self.scan.texts.push(body..tail);
        self.scan.tags.push(Tag { kind: TagKind::Close, start: tail, text: name });
        self.at = end;
        Ok(())
    }
}

fn find_outside_quotes(text: &str, end: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if text.as_bytes()[at..].starts_with(end.as_bytes()) => return Some(at),
            None => {}
        }
    }
    None
}

fn classify(inner: &str) -> (TagKind, &str) {
    let else_rest =
        inner.strip_prefix("else").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
    match inner.as_bytes().first() {
        Some(b'!') => (TagKind::Comment, ""),
        Some(b'#') => (TagKind::Open, &inner[1..]),
        Some(b'/') => (TagKind::Close, &inner[1..]),
        Some(b'>') => (TagKind::Partial, &inner[1..]),
        Some(b'^') if inner.len() == 1 => (TagKind::Else, ""),
        _ => match else_rest {
            Some(rest) if rest.trim().is_empty() => (TagKind::Else, ""),
            Some(rest) => (TagKind::ElseIf, rest),
            None => (TagKind::Expression, inner),
        },
    }
}

struct OpenBlock<'a> {
    tag: &'a Tag,
    else_ifs: usize,
}

fn check_blocks(scan: &Scan, lines: &LineIndex<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut open: Vec<OpenBlock<'_>> = Vec::new();
    let mut fault = |at: usize, message: String, hint: &str| {
        faults.push(Fault::new(lines.position(at), message).hint(hint));
    };
    for tag in &scan.tags {
        if parentheses(&tag.text) > MAX_PARENTHESES {
            fault(
                tag.start,
                format!("more than {MAX_PARENTHESES} parentheses inside each other"),
                "split the expression",
            );
            return faults;
        }
        match tag.kind {
            TagKind::Open if tag.text.starts_with(['>', '*']) => {
                let message = format!("`{{{{#{} …}}}}` is not supported", &tag.text[..1]);
                fault(tag.start, message, "put the text into a file of its own under `templates/_partials/`");
                open.push(OpenBlock { tag, else_ifs: 0 });
            }
            TagKind::Open => {
                open.push(OpenBlock { tag, else_ifs: 0 });
                if open.len() > MAX_NESTING {
                    fault(
                        tag.start,
                        format!("more than {MAX_NESTING} blocks inside each other"),
                        "move the inner ones into a partial",
                    );
                    return faults;
                }
            }
            TagKind::ElseIf => match open.last_mut() {
                Some(block) => {
                    block.else_ifs += 1;
                    if block.else_ifs > MAX_ELSE_IF {
                        let hint = "use `lookup` in a map of the inventory";
                        fault(tag.start, format!("more than {MAX_ELSE_IF} `else if` branches"), hint);
                        return faults;
                    }
                }
                None => fault(tag.start, "`else if` outside a block".into(), "open it with `{{#if …}}`"),
            },
            TagKind::Else if open.is_empty() => {
                fault(tag.start, "`else` outside a block".into(), "open it with `{{#if …}}`");
            }
            TagKind::Close => match open.pop() {
                Some(block)
                    if first_word(&block.tag.text).trim_start_matches(['>', '*', ' ']) == tag.text => {}
                Some(block) => {
                    let opened = first_word(&block.tag.text);
                    let place = lines.position(block.tag.start);
                    fault(
                        tag.start,
                        format!("`{{{{/{}}}}}` closes `{{{{#{opened}}}}}` of line {}", tag.text, place.line),
                        &format!("write `{{{{/{opened}}}}}` here, or close the inner block first"),
                    );
                }
                None => fault(
                    tag.start,
                    format!("`{{{{/{}}}}}` closes nothing", tag.text),
                    "remove it or open the block",
                ),
            },
            _ => {}
        }
    }
    for block in open {
        let name = first_word(&block.tag.text);
        fault(
            block.tag.start,
            format!("`{{{{#{name}}}}}` is never closed"),
            &format!("close it with `{{{{/{name}}}}}`"),
        );
    }
    faults
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

fn parentheses(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(TagKind, String)> {
        scan(source).unwrap().tags.into_iter().map(|tag| (tag.kind, tag.text)).collect()
    }

    fn fault(source: &str) -> String {
        let fault = scan(source).unwrap_err().remove(0);
        format!("{}: {}", fault.position, fault.message)
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

    #[test]
    fn a_block_that_is_not_closed_is_reported_where_it_opens() {
        assert_eq!(fault("a: 1\n  {{#if x}}\nb: 2\n"), "2:3: `{{#if}}` is never closed");
        assert_eq!(
            fault("{{#each x}}{{#if y}}\n{{/each}}{{/if}}"),
            "2:1: `{{/each}}` closes `{{#if}}` of line 1"
        );
        assert_eq!(fault("{{/if}}"), "1:1: `{{/if}}` closes nothing");
        assert_eq!(fault("x\ny {{ a"), "2:3: `{{` is never closed");
    }

    #[test]
    fn nesting_that_would_overflow_the_parser_is_refused() {
        let deep = "{{#if a}}".repeat(20_000) + &"{{/if}}".repeat(20_000);
        assert_eq!(fault(&deep), "1:289: more than 32 blocks inside each other");
        let parentheses = format!("{{{{len {}a{}}}}}", "(".repeat(50_000), ")".repeat(50_000));
        assert_eq!(fault(&parentheses), "1:1: more than 16 parentheses inside each other");
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(10_000));
        assert!(fault(&chain).ends_with("more than 64 `else if` branches"));
    }

    #[test]
    fn positions_count_characters() {
        let lines = LineIndex::new("ü: {{x}}\nb");
        assert_eq!(lines.position("ü: ".len()), Position::new(1, 4));
        assert_eq!(lines.offset(Position::new(2, 1)), "ü: {{x}}\n".len());
        assert_eq!(lines.line(2), "b");
    }
}
