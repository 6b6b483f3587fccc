//! Verdicts on commits, as every forge that shows them takes them.

use serde::{Deserialize, Serialize};

/// The most characters of a verdict's summary, and of its text as well: what a check run of GitHub takes.
pub const TEXT_LIMIT: usize = 65_535;

/// The name of the verdict of a review.
pub const REVIEW: &str = "fleetwright/review";
/// The attestation in our verdict on a commit of one of our own branches that we made. No other account's
/// verdict counts, and ours has it nowhere else.
pub const MADE_BY_US: &str = "made=fleetwright";

/// What is found about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it is about, such as `fleetwright/review`.
    pub name: String,
    /// What it comes to.
    pub conclusion: Conclusion,
    /// One line for people.
    pub title: String,
    /// What matters, in Markdown; at most [`TEXT_LIMIT`] characters.
    pub summary: String,
    /// Everything, in Markdown; at most [`TEXT_LIMIT`] characters.
    pub text: Option<String>,
    /// What is wrong with which lines.
    pub annotations: Vec<Annotation>,
    /// What a later run wants to know of it: words that hold no space and no `:`, with spaces between them.
    #[serde(rename = "seal")]
    pub attestation: String,
    /// Where people read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What a verdict comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All is well.
    #[default]
    Success,
    /// Something is wrong with the commit.
    Failure,
    /// Nothing is for or against it.
    Neutral,
    /// It waits for a person to do something; until then it counts as little as a failure.
    ActionRequired,
}

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A status of a commit: one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// What it is about, such as `fleetwright/order`.
    pub context: String,
    /// How it stands.
    pub state: StatusState,
    /// One line for people; what is longer than GitHub takes is cut.
    pub description: String,
    /// Where more is shown.
    pub target_url: Option<String>,
}

/// How a commit status stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusState {
    /// It is not decided yet.
    Pending,
    /// All is well.
    Success,
    /// Something is wrong with the commit.
    Failure,
}
