//! What a review says: a comment, and a verdict with its annotations. Pure text, from what was found.

use std::fmt::Write as _;

use renderer::plan::{Budget, Plan, markdown, text};
use renderer::problem::Problem;
use serde::{Deserialize, Serialize};

use super::examine::Examination;
use super::{RENDER_LABEL, REVIEW, Subject, seal};
use crate::forge::github::{Annotation, Conclusion, OUTPUT_LIMIT, Verdict};
use crate::run::worker::WorkerDeath;

/// How many problems become annotations; the others are in the check's text.
const MAX_ANNOTATIONS: usize = 200;
/// How much of the problems the comment and the check's summary show, in characters.
const MAX_PROBLEM_TEXT: usize = 60_000;
/// How much of the refusals stands before the plan, in characters: it has to fit into the margin that the plan leaves.
const MAX_NOTES: usize = 1_200;
/// How many checks the full diff is split over; beyond them lines are counted.
const MAX_PARTS: usize = 10;
/// The longest message of an annotation, in characters: GitHub takes 64 KB.
const MAX_MESSAGE: usize = 8_000;
/// How much of the digest of a tree people read.
const SHOWN_DIGITS: usize = 12;

/// What a review says.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct Page {
    /// One line.
    pub(super) title: String,
    /// The comment, and the summary of the check.
    pub(super) comment: String,
    /// Whether the comment is worth one where there is none yet.
    pub(super) is_news: bool,
    conclusion: Conclusion,
    /// Everything, nothing folded, in parts that a check can hold.
    full: Vec<String>,
    annotations: Vec<Annotation>,
    seal: String,
}

impl Page {
    /// Writes down what was found; `budget` is how much may be deleted, and the plan that may delete more.
    pub(super) fn new(
        subject: Subject,
        found: &Examination,
        branch: &str,
        budget: &(Budget, Option<&str>),
    ) -> Self {
        let blank = Self {
            title: String::new(),
            comment: String::new(),
            is_news: true,
            conclusion: Conclusion::Success,
            full: Vec::new(),
            annotations: Vec::new(),
            seal: seal::write(found),
        };
        match found {
            Examination::Untouched => Self {
                title: "Nothing is touched that is rendered".to_owned(),
                comment: "This pull request touches nothing that is rendered.\n".to_owned(),
                is_news: false,
                ..blank
            },
            Examination::Mended { tree } => Self {
                title: "It renders".to_owned(),
                comment: format!(
                    "This pull request renders. What it started from does not, so there is nothing to compare with: what \
                     changes is in the pull requests that follow its merge.\n\n{}\n",
                    rendered(tree)
                ),
                ..blank
            },
            Examination::Broken { problems, inherited } => Self {
                title: format!("It does not render: {}", counted(problems.len(), "problem")),
                comment: broken(problems, *inherited, branch),
                conclusion: Conclusion::Failure,
                full: vec![listed(problems, OUTPUT_LIMIT)],
                annotations: problems.iter().take(MAX_ANNOTATIONS).map(annotation).collect(),
                ..blank
            },
            Examination::Compared { plan, tree, .. } if plan.is_empty() => Self {
                title: "Nothing changes in what is rendered".to_owned(),
                comment: format!(
                    "This pull request changes nothing in what is rendered.\n\n{}\n",
                    rendered(tree)
                ),
                ..blank
            },
            Examination::Compared { plan, groups, tree } => Self {
                title: text::headline(plan),
                comment: compared(plan, &refusals(groups.values(), budget), &footer(subject, tree)),
                full: markdown::full(plan, OUTPUT_LIMIT, MAX_PARTS),
                ..blank
            },
        }
    }

    /// Writes down that a pull request could not be rendered, since what rendered it did not survive.
    pub(super) fn of_death(death: &WorkerDeath) -> Self {
        let title = match death.limit() {
            Some(limit) => format!("It could not be rendered within {limit}"),
            None => "It could not be rendered".to_owned(),
        };
        let comment = format!(
            "### This pull request could not be rendered\n\nThe rendering was ended: {death}. It is not tried again \
             until something is pushed.\n\nThe way out: {}.\n",
            death.hint()
        );
        Self {
            title,
            comment,
            is_news: true,
            conclusion: Conclusion::Failure,
            full: Vec::new(),
            annotations: Vec::new(),
            seal: String::new(),
        }
    }

    /// Returns what does not fit into the verdict's own check: one more check for each further part of the full diff.
    pub(super) fn further_parts(&self, url: &str) -> Vec<Verdict> {
        let parts = self.full.len();
        let further = self.full.iter().enumerate().skip(1);
        further
            .map(|(index, text)| Verdict {
                name: format!("{REVIEW} {}", index + 1),
                conclusion: Conclusion::Neutral,
                title: format!("Part {} of {parts} of what changes", index + 1),
                summary: format!("The full diff goes on here, from `{REVIEW}`.\n"),
                text: Some(text.clone()),
                annotations: Vec::new(),
                seal: String::new(),
                url: url.to_owned(),
            })
            .collect()
    }

    /// Returns the verdict on the head of a pull request whose page is `url`.
    pub(super) fn into_verdict(self, url: &str) -> Verdict {
        Verdict {
            name: REVIEW.to_owned(),
            conclusion: self.conclusion,
            title: self.title,
            summary: self.comment.chars().take(OUTPUT_LIMIT).collect(),
            text: self.full.into_iter().next(),
            annotations: self.annotations,
            seal: self.seal,
            url: url.to_owned(),
        }
    }
}

/// Says that a fork was pushed to after a maintainer had asked for it to be rendered.
pub(super) fn permission_gone() -> String {
    format!(
        "Something was pushed to this fork after a maintainer had asked for it to be rendered, so the label was taken off. \
         Read what is there now, and set `{RENDER_LABEL}` again.\n"
    )
}

fn compared(plan: &Plan, notes: &str, footer: &str) -> String {
    format!("### What this pull request changes\n\n{notes}{}\n---\n{footer}\n", markdown::body(plan))
}

fn footer(subject: Subject, tree: &str) -> String {
    format!(
        "{} All of it: `fleetwright diff --full {} {}`, or as far as it fits in the check `{REVIEW}`.",
        rendered(tree),
        subject.base.short(),
        subject.head.short()
    )
}

fn rendered(tree: &str) -> String {
    format!("Digest of the rendered tree: `{}`.", &tree[..SHOWN_DIGITS.min(tree.len())])
}

/// Says which plans would be refused after the merge since they delete too much.
fn refusals<'a>(plans: impl Iterator<Item = &'a Plan>, (budget, allowed): &(Budget, Option<&str>)) -> String {
    let mut notes = String::new();
    for refusal in plans.filter_map(|plan| plan.refuse(budget, *allowed).err()) {
        let note = format!("**Refused after the merge**: {refusal}; {}.\n\n", refusal.hint());
        if notes.chars().count() + note.chars().count() <= MAX_NOTES {
            let _ = write!(notes, "{note}");
        }
    }
    notes
}

fn broken(problems: &[Problem], inherited: usize, branch: &str) -> String {
    let mut text =
        format!("### This pull request does not render: {}\n\n", counted(problems.len(), "problem"));
    text.push_str(&listed(problems, MAX_PROBLEM_TEXT));
    if inherited > 0 {
        let _ = write!(text, "\n{inherited} of them already stood where it left `{branch}`.\n");
    }
    text.push_str("\n`fleetwright check` prints them all.\n");
    text
}

fn listed(problems: &[Problem], limit: usize) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    markdown::fenced(&lines, "text", limit)
}

fn annotation(problem: &Problem) -> Annotation {
    let message = match &problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.message),
        None => problem.message.clone(),
    };
    let position = problem.place.position;
    let message = message.chars().take(MAX_MESSAGE).collect();
    Annotation { path: problem.place.file.to_string(), line: position.line, column: position.column, message }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
