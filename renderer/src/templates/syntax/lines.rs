//! Places in a text: from byte offsets to lines and columns, and back.

use crate::problem::Position;

/// Translates byte offsets of a text to positions.
#[derive(Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Indexes the lines of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { text, starts: starts.collect() }
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the position of the character at byte `offset`.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let column = self.text[self.starts[line]..offset].chars().count() + 1;
        Position::new(line as u32 + 1, column as u32)
    }

    /// Returns the text of a line (from 1) without its line break, or nothing past the end.
    pub(crate) fn line(&self, line: u32) -> &'a str {
        let Some(start) = self.starts.get(line as usize - 1) else { return "" };
        self.text[*start..].lines().next().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let lines = LineIndex::new("ü: {{x}}\nb");
        assert_eq!(lines.position("ü: ".len()), Position::new(1, 4));
        assert_eq!(lines.line(2), "b");
    }
}
