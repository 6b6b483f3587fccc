//! The text of an expansion, the values in it, and which part of which template wrote each part of it.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value as Json;

use crate::problem::{Place, Position};

use super::super::budget::{MAX_OUTPUT_BYTES, too_large};
use super::super::lines::LineIndex;
use super::super::refusal::Refusal;
use super::super::syntax::{Site, TemplateSource};
use super::super::token;

/// An inserted value and the site that inserted it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::templates) struct Capture<'c> {
    pub site: &'c Site,
    /// The value with its type.
    pub value: Cow<'c, Json>,
}

/// An expanded text, and the values that its tokens stand for.
#[derive(Debug)]
pub(in crate::templates) struct Expansion<'c> {
    pub text: String,
    pub captures: Vec<Capture<'c>>,
    marks: Vec<Mark<'c>>,
}

/// Where a stretch of the text begins, and what wrote it.
#[derive(Debug)]
struct Mark<'c> {
    at: usize,
    /// How many blanks it begins with that its partial is indented by.
    indent: usize,
    writer: Writer<'c>,
}

#[derive(Debug)]
enum Writer<'c> {
    Site(&'c Site),
    Text(&'c TemplateSource, Range<usize>),
}

/// Collects an expansion.
#[derive(Debug)]
pub(super) struct Output<'c> {
    text: String,
    captures: Vec<Capture<'c>>,
    marks: Vec<Mark<'c>>,
    is_traced: bool,
    /// What each line of the partials at hand is indented by.
    indent: String,
    is_line_start: bool,
}

/// What [`Output::end_partial`] needs to know of the beginning.
pub(super) struct Begun {
    indent: usize,
    length: usize,
    is_line_start: bool,
}

impl<'c> Output<'c> {
    pub(super) fn new(is_traced: bool) -> Self {
        let (text, indent) = (String::new(), String::new());
        Self { text, captures: Vec::new(), marks: Vec::new(), is_traced, indent, is_line_start: true }
    }

    pub(super) fn finish(self) -> Expansion<'c> {
        Expansion { text: self.text, captures: self.captures, marks: self.marks }
    }

    /// Writes a part of a template.
    pub(super) fn text(&mut self, source: &'c TemplateSource, range: Range<usize>) -> Result<(), Refusal> {
        let text = &source.text[range.clone()];
        if self.indent.is_empty() && !self.is_traced {
            return self.write(text);
        }
        let mut start = range.start;
        for line in text.split_inclusive('\n') {
            // A line break alone continues the line before it.
            let is_continued = start == range.start && line.starts_with(['\n', '\r']);
            let end = start + line.len();
            self.mark(Writer::Text(source, start..end), !is_continued)?;
            self.write(line)?;
            start = end;
        }
        Ok(())
    }

    /// Writes the token of a value.
    pub(super) fn value(&mut self, site: &'c Site, value: Cow<'c, Json>) -> Result<(), Refusal> {
        let token = token::of(self.captures.len()).ok_or_else(|| {
            Refusal::new(format!("the file inserts more than {} values", token::MAX))
                .hint("insert a list or a map as a whole: `{{list}}` as a value of its own")
        })?;
        self.captures.push(Capture { site, value });
        self.mark(Writer::Site(site), true)?;
        self.write(token.encode_utf8(&mut [0; 4]))
    }

    /// Begins what a partial writes, each line of it further in by `indent`.
    pub(super) fn begin_partial(&mut self, indent: &str) -> Begun {
        let begun =
            Begun { indent: self.indent.len(), length: self.text.len(), is_line_start: self.is_line_start };
        self.indent.push_str(indent);
        self.is_line_start |= !indent.is_empty();
        begun
    }

    /// Ends what a partial writes; one that has a line to itself ends it, whether or not its text does.
    pub(super) fn end_partial(&mut self, begun: &Begun, has_own_line: bool) -> Result<(), Refusal> {
        self.indent.truncate(begun.indent);
        if self.text.len() == begun.length {
            self.is_line_start = begun.is_line_start;
        } else if has_own_line && !self.text.ends_with('\n') {
            self.write("\n")?;
        }
        Ok(())
    }

    /// Notes what writes the text that follows, after the indent if a line begins.
    fn mark(&mut self, writer: Writer<'c>, may_indent: bool) -> Result<(), Refusal> {
        let at = self.text.len();
        if self.is_line_start && may_indent && !self.indent.is_empty() {
            let indent = std::mem::take(&mut self.indent);
            let written = self.write(&indent);
            self.indent = indent;
            written?;
        }
        if self.is_traced {
            self.marks.push(Mark { at, indent: self.text.len() - at, writer });
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Refusal> {
        if self.text.len() + text.len() > MAX_OUTPUT_BYTES {
            return Err(too_large());
        }
        self.text.push_str(text);
        self.is_line_start = text.ends_with('\n');
        Ok(())
    }
}

impl Expansion<'_> {
    /// Returns the place in a template that wrote the character at `position`, if the expansion is traced.
    pub(in crate::templates) fn place(&self, position: Position) -> Option<Place> {
        let offset = LineIndex::new(&self.text).offset(position);
        let after = self.marks.partition_point(|mark| mark.at <= offset);
        let mark = &self.marks[after.checked_sub(1)?];
        Some(match &mark.writer {
            Writer::Site(site) => site.place.clone(),
            Writer::Text(source, range) => {
                let at = range.start + (offset - mark.at).saturating_sub(mark.indent);
                let position = LineIndex::new(&source.text).position(at.min(range.end));
                Place { file: source.file.clone(), position }
            }
        })
    }
}
