//! Problems for people, on a terminal and in a pipe: place and message on the first line, then the line in the file.
//!
//! Knows nothing of what is wrong.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use console::Term;
use renderer::plural::counted;
use renderer::problem::{Excerpt, Problem};
use renderer::visible::visible;

use super::style::{FAULT, HEADING, HINT, PLAIN, paint};

/// How many problems are shown before the rest is counted: with their lines they are more than a screenful.
const MAX_PROBLEMS: usize = 20;
/// How wide lines are shown that go to no terminal.
const WIDTH: usize = 140;
/// The narrowest terminal that lines are cut for.
const LEAST_WIDTH: usize = 40;

/// How problems are shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// How many at most.
    most: usize,
    /// How wide.
    width: usize,
}

impl Show {
    /// Shows problems as standard error takes them; `all` leaves out none.
    pub(crate) fn on_stderr(all: bool) -> Self {
        let width = Term::stderr().size_checked().map_or(WIDTH, |(_, width)| usize::from(width));
        Self { most: if all { usize::MAX } else { MAX_PROBLEMS }, width: width.max(LEAST_WIDTH) }
    }

    /// Writes problems for people, painted, and counts those that are left out.
    pub(crate) fn painted(self, problems: &[Problem]) -> String {
        let mut text = String::new();
        for problem in problems.iter().take(self.most) {
            self.problem(&mut text, problem);
        }
        if let Some(more) = more(problems, self.most) {
            let _ = writeln!(text, "{}", paint(HEADING, &format!("… {more}: `--all` shows them")));
        }
        text
    }

    fn problem(self, text: &mut String, problem: &Problem) {
        let words = if self.most == usize::MAX { format!("{problem:#}") } else { problem.to_string() };
        let mut words = words.lines();
        for line in words.by_ref().take(1) {
            let _ = writeln!(text, "{}", paint(HEADING, line));
        }
        if let Some(excerpt) = &problem.excerpt {
            for line in self.lines(excerpt, problem.place.position.line as usize).lines() {
                let style = if line.ends_with('^') { FAULT } else { PLAIN };
                let _ = writeln!(text, "{}", paint(style, line));
            }
        }
        for line in words {
            let style = if line.starts_with("  hint: ") { HINT } else { PLAIN };
            let _ = writeln!(text, "{}", paint(style, line));
        }
        if let Some(path) = &problem.accept {
            let path = serde_json::to_string(path).expect("a text is JSON");
            let (check, path) = (visible(&problem.check), visible(&path));
            let answer =
                format!("  or: in `addon.yaml`, accept: [{{check: {check}, path: {path}, reason: …}}]");
            let _ = writeln!(text, "{}", paint(HINT, &answer));
        }
    }

    /// Draws a line with its number, and a caret below the place.
    fn lines(self, excerpt: &Excerpt, number: usize) -> String {
        let Excerpt { text, column } = excerpt;
        let mut from_place =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(column.saturating_sub(1));
        let start = from_place.next().unwrap_or(text.len());
        let end = from_place.next().unwrap_or(start);
        let place = AnnotationKind::Primary.span(start..end);
        let line = Snippet::source(text.as_str()).line_start(number).annotation(place);
        let drawing = Group::with_level(Level::ERROR).element(line);
        Renderer::plain().term_width(self.width).render(&[drawing])
    }
}

/// Writes problems for a log, one after the other, and counts those that are left out.
pub(crate) fn listed(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(MAX_PROBLEMS) {
        let _ = writeln!(text, "{problem}");
    }
    if let Some(more) = more(problems, MAX_PROBLEMS) {
        let _ = writeln!(text, "… {more}: `fleetwright check --all` shows them");
    }
    text
}

fn more(problems: &[Problem], most: usize) -> Option<String> {
    let more = problems.len().checked_sub(most).filter(|more| *more > 0)?;
    Some(counted(more, "more problem"))
}
