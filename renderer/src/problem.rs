//! Problems: faults in the source files, each with its place and what to do about it.
//!
//! Knows nothing of what is being checked. Problems are collected, never thrown one at a time.

use std::borrow::Cow;
use std::fmt;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::path::{ClusterName, RepoPath};
use crate::plural::{counted, listed};
use crate::visible::visible;

/// How many further places of a problem are named.
const MAX_PLACES: usize = 3;

/// A position in a text file; line and column start at 1, the column counts characters.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[display("{line}:{column}")]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Creates a position from a line and a column that both start at 1.
    #[must_use]
    pub const fn new(line: u32, column: u32) -> Self {
        Self { line, column }
    }
}

/// A position in a file of the repository.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[display("{}:{position}", visible(file.as_str()))]
pub struct Place {
    /// The file.
    pub file: RepoPath,
    /// The position in it.
    #[serde(flatten)]
    pub position: Position,
}

impl Place {
    /// Returns the beginning of a file.
    #[must_use]
    pub fn start_of(file: &RepoPath) -> Self {
        Self { file: file.clone(), position: Position::START }
    }
}

/// A fault at a position of a text whose file is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub position: Position,
    /// What is wrong: a lower-case fragment with names in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where that stands which it collides with.
    pub first: Option<Position>,
}

impl Fault {
    /// Creates a fault without a hint.
    #[must_use]
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into(), hint: None, first: None }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where that stands which it collides with.
    pub(crate) fn first(mut self, position: Position) -> Self {
        self.first = Some(position);
        self
    }

    /// Returns the message with the line of what the fault collides with.
    pub(crate) fn full_message(&self) -> String {
        match self.first {
            Some(first) => format!("{}, first on line {}", self.message, first.line),
            None => self.message.clone(),
        }
    }

    /// Names the file that the fault is in.
    #[must_use]
    pub fn in_file(self, file: &RepoPath) -> Problem {
        let message = self.full_message();
        let place = Place { file: file.clone(), position: self.position };
        Problem { hint: self.hint, ..Problem::at(place, message) }
    }
}

/// A fault in the source files, as `file:line:column: message` and a hint on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// Where a person must edit.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong: a lower-case fragment with names in backticks.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The path in a rendered file of an add-on, as `accept` in its `addon.yaml` takes it, where the check
    /// may be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// Which check found it, or which part of reading: one of [`READING`].
    pub check: Cow<'static, str>,
    /// The clusters that share it, if it was found in what is rendered for them or is the same in the files
    /// of several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterName>,
    /// Where else the very same is wrong: in the files of the other clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Place>,
    /// The line that it is at, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
    /// Whether it concerns the file as a whole, so that no line is shown.
    #[serde(skip)]
    pub is_of_file: bool,
}

/// What people see of a line: without secrets, with escapes for what is hidden, and cut if it is long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Excerpt {
    /// The text.
    pub text: String,
    /// The character of the text that the problem is at, from 1; one beyond the last at its end.
    pub column: usize,
}

/// The names under which problems are found before there is anything to check: places and names of files,
/// YAML, keys and types of facts, hubs, the chart lock, templates, and what is too much of anything.
pub const READING: [&str; 7] = ["files", "yaml", "schema", "hubs", "lock", "template", "limits"];

impl Problem {
    /// Creates a problem at the head of a file, for faults that concern the file as a whole.
    #[must_use]
    pub fn in_whole_file(file: &RepoPath, message: impl Into<String>) -> Self {
        Self { is_of_file: true, ..Fault::new(Position::START, message).in_file(file) }
    }

    /// Creates a problem without a hint.
    #[must_use]
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: None,
            accept: None,
            check: Cow::Borrowed(""),
            clusters: Vec::new(),
            also: Vec::new(),
            excerpt: None,
            is_of_file: false,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds in how many more places the same is wrong.
    pub(crate) fn and_in_more_places(mut self, more: usize) -> Self {
        if more > 0 {
            self.message = format!("{} (and in {})", self.message, counted(more, "more place"));
        }
        self
    }

    /// Adds which check found it, unless something nearer to the fault has.
    #[must_use]
    pub fn found_by(mut self, check: &'static str) -> Self {
        if self.check.is_empty() {
            self.check = Cow::Borrowed(check);
        }
        self
    }
}

impl Problem {
    /// Returns the message on one line, with the clusters that share the problem if there are several.
    pub(crate) fn headline(&self) -> String {
        let message = visible(&self.message);
        match self.clusters.as_slice() {
            [] | [_] => message.into_owned(),
            clusters if !self.also.is_empty() => format!("{message} (on {} clusters)", clusters.len()),
            [first, second] => format!("{message} (on `{first}` and `{second}`)"),
            [first, rest @ ..] => format!("{message} (on {} clusters, such as `{first}`)", rest.len() + 1),
        }
    }
}

impl Problem {
    /// Returns each place of the problem with what is wrong there, and the hint on a line of its own.
    pub fn at_each_place(&self) -> impl Iterator<Item = (&Place, String)> {
        let hint = self.hint.as_ref().map(|hint| format!("\nhint: {}", visible(hint))).unwrap_or_default();
        let text = format!("{}{hint}", self.headline());
        // The text names the facts of the first cluster.
        let also = format!("the same as at `{}`: {text}", self.place);
        let first = std::iter::once((&self.place, text));
        first.chain(self.also.iter().map(move |place| (place, also.clone())))
    }
}

impl fmt::Display for Problem {
    /// Writes the place, the message and the hint; further places are counted, and all listed by `{:#}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.headline())?;
        if !self.also.is_empty() {
            let most = if f.alternate() { self.also.len() } else { MAX_PLACES };
            write!(f, "\n  also: {}", listed(&self.also, most))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", visible(hint)),
            None => Ok(()),
        }
    }
}

/// Returns the candidate nearest to `word`, if one is near enough to be what was meant.
///
/// Near means a Jaro-Winkler similarity of at least 0.8, which forgives one or two slips in a short word.
///
/// Of very many candidates only the first are looked at, and long words are not: to compare them takes time.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 128;
    const MOST: usize = 10_000;
    candidates
        .into_iter()
        .take(MOST)
        .filter(|candidate| word.len() <= LONGEST && candidate.len() <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// Returns the hint that names the candidate nearest to `word`, or another one if none is near enough.
pub fn hint_at_near<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    did_you_mean(word, candidates).map_or_else(otherwise, |near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_place_message_and_hint() {
        let file = RepoPath::parse("environments/prod/eu-1.yaml").unwrap();
        let problem = Fault::new(Position::new(12, 5), "unknown key `replica`")
            .hint("did you mean `replicas`?")
            .in_file(&file);
        assert_eq!(
            problem.to_string(),
            "environments/prod/eu-1.yaml:12:5: unknown key `replica`\n  hint: did you mean `replicas`?"
        );
    }

    #[test]
    fn a_problem_has_two_lines_whatever_is_in_it() {
        let file = RepoPath::parse("environments/\u{202e}lmay.yaml").unwrap();
        let problem = Problem::in_whole_file(&file, "a\nb\u{1b}[2J").hint("c\rd\u{61c}");
        assert_eq!(
            problem.to_string(),
            "environments/\\u{202e}lmay.yaml:1:1: a\\nb\\u{1b}[2J\n  hint: c\\rd\\u{61c}"
        );
    }

    #[test]
    fn the_nearest_candidate_is_offered_and_a_far_one_is_not() {
        let known = ["networks", "labels", "addresses"];
        assert_eq!(did_you_mean("adresses", known), Some("addresses"));
        assert_eq!(did_you_mean("zebra", known), None);
        let long = "a".repeat(1_000_000);
        assert_eq!(did_you_mean(&long, [long.as_str()]), None);
    }
}
