//! Finds the tags of a handlebars source before handlebars parses it.
//!
//! Three things need this: the parser overflows the stack on deep nesting, it reports an unclosed block at the end of the
//! file, and its own positions are wrong inside `else if`. Knows nothing of what an expression means.

use std::ops::Range;

use crate::problem::{Fault, Position};

use super::braces;

/// Blocks, `else if` branches and partials inside each other, at most: each is one more level of the parsed tree. Deeper
/// nesting is unreadable long before it is dangerous.
pub const MAX_NESTING: usize = 64;
/// The size of a template, in bytes. Handlebars counts lines anew for each tag, so that its time grows with size times tags.
pub const MAX_SOURCE_BYTES: usize = 128 * 1024;
/// The tags of a template, at most.
pub const MAX_TAGS: usize = 4_096;
/// Opening brackets of any kind in one expression, at most.
pub const MAX_BRACKETS: usize = 32;

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
    pub(super) fn is_in_tree(self) -> bool {
        matches!(self, Self::Expression | Self::Open | Self::ElseIf | Self::Partial)
    }
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
    /// Whether it has a line to itself, the line break included.
    pub has_own_line: bool,
    /// What a raw block holds: the byte range of its text, without the lines that its two ends have to themselves.
    pub body: Option<Range<usize>>,
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

    /// Returns the whole text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
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
            Fault::new(lines.position(tag.start), format!("more than {MAX_TAGS} tags in one template"));
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
        let has_own_line =
            !rest[..end].ends_with('~') && self.begins_line(open) && self.line_break(self.at).is_some();
        self.scan.tags.push(Tag { kind, start: open, text, has_own_line, body: None });
        Ok(())
    }

    fn push(&mut self, kind: TagKind, start: usize, text: String, body: Option<Range<usize>>) {
        self.scan.tags.push(Tag { kind, start, text, has_own_line: false, body });
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
        self.push(TagKind::Comment, open, String::new(), None);
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
        let body = start..start + text.len();
        self.scan.texts.push(body.clone());
        self.push(TagKind::Open, open, name, Some(body));
        self.push(TagKind::Close, tail, closing.trim().to_owned(), None);
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

/// Returns everything about the tags that handlebars would choke on or explain badly: whether every block is closed where it can be, and whether anything is
/// nested deeper than the parser can bear.
pub(super) fn check_blocks(scan: &Scan, lines: &LineIndex<'_>) -> Vec<Fault> {
    let mut blocks = Blocks { lines, open: Vec::new(), levels: 0, faults: Vec::new() };
    for tag in &scan.tags {
        blocks.tag(tag);
        if blocks.is_too_deep(tag) {
            return blocks.faults;
        }
    }
    blocks.report_unclosed();
    blocks.faults
}

struct Blocks<'a> {
    lines: &'a LineIndex<'a>,
    open: Vec<OpenBlock<'a>>,
    levels: usize,
    faults: Vec<Fault>,
}

struct OpenBlock<'a> {
    tag: &'a Tag,
    /// How many levels its end takes away: itself and its `else if` branches, each of which stands inside the one before.
    levels: usize,
    has_else: bool,
}

impl<'a> Blocks<'a> {
    fn tag(&mut self, tag: &'a Tag) {
        match tag.kind {
            TagKind::Open => self.open(tag),
            TagKind::ElseIf | TagKind::Else => self.branch(tag),
            TagKind::Close => self.close(tag),
            TagKind::Expression | TagKind::Partial | TagKind::Comment => {}
        }
    }

    fn open(&mut self, tag: &'a Tag) {
        if tag.text.starts_with(['>', '*']) {
            let message = format!("`{{{{#{} …}}}}` is not supported", &tag.text[..1]);
            self.fault(tag, message, "put the text into a file of its own under `templates/_partials/`");
        }
        self.open.push(OpenBlock { tag, levels: 1, has_else: false });
        self.levels += 1;
    }

    fn branch(&mut self, tag: &Tag) {
        let name = if tag.kind == TagKind::Else { "else" } else { "else if" };
        match self.open.last_mut() {
            None => {
                let hint = braces::or_else("open it with `{{#if …}}`");
                self.fault(tag, format!("`{name}` outside a block"), &hint);
            }
            Some(block) if block.has_else => {
                let line = self.lines.position(block.tag.start).line;
                let message = format!("`{name}` after the `else` of the block of line {line}");
                self.fault(tag, message, "write `{{else}}` once, as the last branch");
            }
            Some(block) if tag.kind == TagKind::Else => block.has_else = true,
            Some(block) => {
                block.levels += 1;
                self.levels += 1;
            }
        }
    }

    fn close(&mut self, tag: &Tag) {
        let Some(block) = self.open.pop() else {
            self.fault(tag, format!("`{{{{/{}}}}}` closes nothing", tag.text), "remove it or open the block");
            return;
        };
        self.levels -= block.levels;
        let opened = block_name(block.tag);
        if opened != tag.text {
            let line = self.lines.position(block.tag.start).line;
            let message = format!("`{{{{/{}}}}}` closes `{{{{#{opened}}}}}` of line {line}", tag.text);
            let hint = format!("write `{{{{/{opened}}}}}` here, or close the inner block first");
            self.fault(tag, message, &hint);
        }
    }

    fn is_too_deep(&mut self, tag: &Tag) -> bool {
        if self.levels > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} blocks and `else if` branches inside each other");
            self.fault(
                tag,
                message,
                "use `lookup` in a map of the inventory, or move the inner ones into a partial",
            );
            return true;
        }
        // All of them are counted, not how deep they stand: a bracket in a quoted text must not hide another.
        if tag.text.matches(['(', '[', '{']).count() > MAX_BRACKETS {
            let message = format!("more than {MAX_BRACKETS} brackets in one expression");
            self.fault(tag, message, "split the expression");
            return true;
        }
        false
    }

    fn report_unclosed(&mut self) {
        for block in std::mem::take(&mut self.open) {
            let name = block_name(block.tag);
            let message = format!("`{{{{#{name}}}}}` is never closed");
            self.fault(block.tag, message, &format!("close it with `{{{{/{name}}}}}`"));
        }
    }

    fn fault(&mut self, tag: &Tag, message: impl Into<String>, hint: &str) {
        self.faults.push(Fault::new(self.lines.position(tag.start), message).hint(hint));
    }
}

/// Returns the name that closes a block.
fn block_name(open: &Tag) -> &str {
    open.text.trim_start_matches(['>', '*', ' ']).split_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(TagKind, String)> {
        scan(source).unwrap().tags.into_iter().map(|tag| (tag.kind, tag.text)).collect()
    }

    fn fault(source: &str) -> String {
        let faults = scan(source).map(|scan| check_blocks(&scan, &LineIndex::new(source)));
        let fault = faults.unwrap_or_else(|faults| faults).remove(0);
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
        let deep = "{{#if a}}".repeat(2_000) + &"{{/if}}".repeat(2_000);
        assert_eq!(fault(&deep), "1:577: more than 64 blocks and `else if` branches inside each other");
        let parentheses = format!("{{{{len {}a{}}}}}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(fault(&parentheses), "1:1: more than 32 brackets in one expression");
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(4_000));
        assert!(fault(&chain).ends_with("more than 64 blocks and `else if` branches inside each other"));
        let maps = format!("{{{{len {}1{}}}}}", "{\"a\": ".repeat(5_000), " }".repeat(5_000));
        assert_eq!(fault(&maps), "1:1: more than 32 brackets in one expression");
    }

    #[test]
    fn positions_count_characters() {
        let lines = LineIndex::new("ü: {{x}}\nb");
        assert_eq!(lines.position("ü: ".len()), Position::new(1, 4));
        assert_eq!(lines.offset(Position::new(2, 1)), "ü: {{x}}\n".len());
        assert_eq!(lines.line(2), "b");
    }
}
