//! From a place in an expanded text back to the line of the template that wrote it.
//!
//! The templates are compiled once more so that every stretch of literal text is marked; this happens only for problems and
//! explanations. Knows nothing of YAML.

use std::collections::HashMap;
use std::sync::Arc;

use crate::path::RepoPath;
use crate::problem::{Place, Position};

use super::compiled::Compiled;
use super::helpers::Capture;
use super::scan::LineIndex;
use super::token;

/// A traced text without its marks, and which mark each part of it follows.
pub(super) struct Trail {
    text: String,
    marks: Vec<(usize, Mark)>,
}

#[derive(Clone, Copy, Debug)]
enum Mark {
    Token(usize),
    Stretch(usize),
}

impl Trail {
    pub(super) fn new(marked: &str) -> Self {
        let mut trail = Self { text: String::with_capacity(marked.len()), marks: Vec::new() };
        for character in marked.chars() {
            if let Some(index) = token::marked(character) {
                trail.marks.push((trail.text.len(), Mark::Stretch(index)));
                continue;
            }
            if let Some(index) = token::index(character) {
                trail.marks.push((trail.text.len(), Mark::Token(index)));
            }
            trail.text.push(character);
        }
        trail
    }

    /// Returns the text without marks: what the templates expand to when nobody traces them.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the place in a template that wrote the character at `position`.
    pub(super) fn place(
        &self,
        position: Position,
        traced: &Compiled,
        captures: &[Capture],
        sources: &HashMap<RepoPath, Arc<str>>,
    ) -> Option<Place> {
        let written = LineIndex::new(&self.text);
        let offset = written.offset(position);
        let after = self.marks.partition_point(|(start, _)| *start <= offset);
        let (start, mark) = self.marks[after.checked_sub(1)?];
        match mark {
            Mark::Token(token) => Some(traced.sites.get(captures.get(token)?.site)?.place.clone()),
            Mark::Stretch(index) => {
                let stretch = traced.stretches.get(index)?;
                let source = LineIndex::new(sources.get(&stretch.file)?);
                let text = &self.text[start..offset];
                let position = position_in_source(&source, stretch.offset, text, written.line(position.line));
                Some(Place { file: stretch.file.clone(), position })
            }
        }
    }
}

/// Returns where a stretch of text that starts at `from` stands after it has written `text`, whose last line is the
/// beginning of `line`.
fn position_in_source(source: &LineIndex<'_>, from: usize, text: &str, line: &str) -> Position {
    let Some(newline) = text.rfind('\n') else {
        return source.position(advance(source.text(), from, text.chars().count()));
    };
    let rows = text.matches('\n').count() as u32;
    let row = source.position(from).line + rows;
    // A partial may have been indented: count from the first character that is not blank.
    let characters = (text.len() - newline - 1).saturating_sub(indent(line));
    let shown = text.len().saturating_sub(characters);
    let characters = text[text.floor_char_boundary(shown)..].chars().count();
    let start = source.offset(Position::new(row, 1)) + indent(source.line(row));
    source.position(advance(source.text(), start, characters))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Goes `characters` written characters further in a source, in which a backslash before braces is not written.
fn advance(source: &str, from: usize, characters: usize) -> usize {
    let mut at = from;
    for _ in 0..characters {
        if is_escape(source, at) {
            at += 1;
        }
        at += source[at..].chars().next().map_or(0, char::len_utf8);
    }
    if is_escape(source, at) { at + 1 } else { at }
}

/// Returns whether the backslash at `at` is the first of those before braces.
fn is_escape(source: &str, at: usize) -> bool {
    source[at..].starts_with('\\')
        && !source[..at].ends_with('\\')
        && source[at..].trim_start_matches('\\').starts_with("{{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_before_braces_is_not_written() {
        let source = r"a \{{ b }} \c";
        assert_eq!(&source[advance(source, 0, 2)..], "{{ b }} \\c");
        assert_eq!(&source[advance(source, 0, 5)..], "b }} \\c");
        assert_eq!(&source[advance(source, 0, 10)..], "\\c");
        assert_eq!(advance(source, 0, 100), source.len());
    }

    #[test]
    fn an_indented_line_is_counted_from_its_first_character() {
        let source = LineIndex::new("a:\n  ü: b\n");
        let position = position_in_source(&source, 0, "a:\n      ü: ", "      ü: b");
        assert_eq!(position, Position::new(2, 6));
    }
}
