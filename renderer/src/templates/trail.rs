//! From a place in an expanded text back to the line of the template that wrote it.
//!
//! Templates are compiled with a mark before the first character of each line of their text: private-use
//! characters, which no tag holds and no trimming of white space meets. [`Trail::read`] takes them out again.
//! Knows nothing of YAML.

use std::ops::Range;
use std::sync::Arc;

use crate::path::RepoPath;
use crate::problem::{Place, Position};

use super::syntax::{LineIndex, Scan, token};

/// Where each mark stands in its template.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<(Arc<RepoPath>, Position)>);

impl Marks {
    /// Returns a source with marks in its text.
    pub(super) fn in_source(&mut self, file: &Arc<RepoPath>, lines: &LineIndex<'_>, scan: &Scan) -> String {
        let mut marked = String::with_capacity(2 * lines.text().len());
        let mut from = 0;
        for text in &scan.texts {
            marked.push_str(&lines.text()[from..text.start]);
            marked.push_str(&self.in_text(file, lines, text.clone()));
            from = text.end;
        }
        marked.push_str(&lines.text()[from..]);
        marked
    }

    /// Returns a stretch of text with a mark in each of its lines that is not blank.
    pub(super) fn in_text(
        &mut self,
        file: &Arc<RepoPath>,
        lines: &LineIndex<'_>,
        range: Range<usize>,
    ) -> String {
        let mut marked = String::new();
        let mut at = range.start;
        for line in lines.text()[range].split_inclusive('\n') {
            let (blank, text) = line.split_at(line.len() - line.trim_start().len());
            marked.push_str(blank);
            if !text.is_empty() {
                marked.extend(token::mark(self.0.len()));
                self.0.push((Arc::clone(file), lines.position(at + blank.len())));
                marked.push_str(text);
            }
            at += line.len();
        }
        marked
    }
}

/// What wrote each part of an expanded text, in order.
#[derive(Debug)]
pub(super) struct Trail(Vec<(Position, Author)>);

#[derive(Clone, Copy, Debug)]
enum Author {
    /// A tag: the index of the value that it inserted.
    Value(usize),
    /// The text of a template: the index of its mark.
    Text(usize),
}

impl Trail {
    /// Takes the marks out of an expanded text.
    pub(super) fn read(marked: &str) -> (String, Self) {
        let mut text = String::with_capacity(marked.len());
        let mut trail = Vec::new();
        let mut at = Position::START;
        let mut characters = marked.chars();
        while let Some(character) = characters.next() {
            if token::begins_mark(character) {
                let mark = token::marked(character, characters.next());
                trail.extend(mark.map(|mark| (at, Author::Text(mark))));
                continue;
            }
            trail.extend(token::index(character).map(|value| (at, Author::Value(value))));
            text.push(character);
            at = match character {
                '\n' => Position::new(at.line + 1, 1),
                _ => Position::new(at.line, at.column + 1),
            };
        }
        (text, Self(trail))
    }

    /// Returns about how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    /// Returns the place in a template that wrote what stands at `position` of the text; `inserted` knows
    /// where each value was inserted.
    pub(super) fn place(
        &self,
        position: Position,
        marks: &Marks,
        inserted: impl Fn(usize) -> Option<Place>,
    ) -> Option<Place> {
        let (before, after) = self.0.split_at(self.0.partition_point(|(at, _)| *at <= position));
        let is_near = |(at, _): &&(Position, Author)| at.line == position.line;
        let on_line = before.last().filter(is_near).or_else(|| after.first().filter(is_near));
        let (at, author) = on_line.or_else(|| before.last())?;
        match author {
            Author::Value(index) => inserted(*index),
            Author::Text(mark) => {
                let (file, start) = marks.0.get(*mark)?;
                let position = if at.line == position.line {
                    let column = (start.column + position.column).saturating_sub(at.column).max(1);
                    Position::new(start.line, column)
                } else {
                    Position::new(start.line + position.line - at.line, 1)
                };
                Some(Place { file: RepoPath::clone(file), position })
            }
        }
    }
}
