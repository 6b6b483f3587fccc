//! A change as rows of a page: what was beside what comes, with the lines around it.

use std::ops::Range;

use serde::Serialize;

use crate::plan::compare::sequence::gaps;
use crate::plan::model::Change;
use crate::plan::show::{elide, inline};
use crate::plural::counted;
use crate::yaml::{Value, write};

/// How many lines of one change are shown.
const MAX_LINES: usize = 200;
/// The longest line that is shown whole, in characters.
const MAX_LINE: usize = 2_000;
/// How many lines that stay are shown before and after those that do not.
const AROUND: usize = 2;
/// A longer value that is a map or a list is written as lines.
const MAX_INLINE: usize = 80;

/// A row: a text that stays, or what was and what comes.
#[derive(Serialize)]
pub(super) struct Row {
    is_same: bool,
    text: String,
    sides: Vec<Side>,
}

#[derive(Serialize)]
struct Side {
    is_old: bool,
    text: String,
}

impl Row {
    /// Returns what was, or what comes, alone.
    pub(super) fn side(is_old: bool, text: String) -> Self {
        Self { is_same: false, text: String::new(), sides: vec![Side { is_old, text }] }
    }

    fn sides(old: Option<String>, new: Option<String>) -> Self {
        let side = |is_old| move |text| Side { is_old, text };
        let sides = old.map(side(true)).into_iter().chain(new.map(side(false))).collect();
        Self { is_same: false, text: String::new(), sides }
    }

    fn same(text: String) -> Self {
        Self { is_same: true, text, sides: Vec::new() }
    }

    /// Returns every text of it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.sides.iter().map(|side| side.text.as_str()).chain([self.text.as_str()])
    }
}

/// Returns the rows of a change, and how much of it they leave out.
pub(super) fn rows(change: &Change) -> (Vec<Row>, Option<String>) {
    let texts = (change.old.as_ref().map(shown), change.new.as_ref().map(shown));
    let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\n'));
    match texts {
        (Some(old), Some(new)) if old.contains('\n') && new.contains('\n') => compared(&old, &new),
        texts if is_text(&texts.0) || is_text(&texts.1) => {
            let (old, new) = texts;
            let lines = old.iter().chain(&new).map(|text| text.lines().count()).max().unwrap_or_default();
            let cut = |text: String| joined(&text.lines().take(MAX_LINES).collect::<Vec<_>>());
            (vec![Row::sides(old.map(cut), new.map(cut))], more(lines.saturating_sub(MAX_LINES)))
        }
        (old, new) => {
            let cut = |text: String| elide(&text, MAX_LINE);
            (vec![Row::sides(old.map(cut), new.map(cut))], None)
        }
    }
}

/// Writes a value: a text with lines as it is, a map or a list as YAML if it is long, all else on one line.
fn shown(value: &Value) -> String {
    let line = || inline(value);
    match value {
        Value::String(text) if text.contains('\n') => text.clone(),
        Value::List(_) | Value::Map(_) => {
            let line = line();
            if line.chars().count() > MAX_INLINE { write(value) } else { line }
        }
        _ => line(),
    }
}

fn compared(old: &str, new: &str) -> (Vec<Row>, Option<String>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let gaps = gaps(&old, &new);
    let (mut rows, mut shown, mut left) = (Vec::new(), 0, 0);
    let mut at = 0;
    for (index, (removed, added)) in gaps.iter().enumerate() {
        let lines = removed.len().max(added.len());
        if shown + lines > MAX_LINES {
            left += lines;
            continue;
        }
        shown += lines;
        let start = removed.start.saturating_sub(AROUND).max(at);
        if start > at && at > 0 {
            rows.push(Row::same("…".to_owned()));
        }
        push_same(&mut rows, &old[start..removed.start]);
        let side =
            |lines: &[&str], range: &Range<usize>| (!range.is_empty()).then(|| joined(&lines[range.clone()]));
        rows.push(Row::sides(side(&old, removed), side(&new, added)));
        let next = gaps.get(index + 1).map_or(old.len(), |(removed, _)| removed.start);
        at = (removed.end + AROUND).min(next);
        push_same(&mut rows, &old[removed.end..at]);
    }
    if gaps.is_empty() {
        rows.push(Row::same("(only the line breaks differ)".to_owned()));
    }
    (rows, more(left))
}

fn push_same(rows: &mut Vec<Row>, lines: &[&str]) {
    if !lines.is_empty() {
        rows.push(Row::same(joined(lines)));
    }
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| elide(line, MAX_LINE)).collect::<Vec<_>>().join("\n")
}

fn more(lines: usize) -> Option<String> {
    (lines > 0).then(|| format!("… {}", counted(lines, "more line")))
}
