//! What a review shows: a comment, and a verdict with its annotations. Pure text, from what was found.

use std::fmt::Write as _;

use renderer::plan::{Plan, markdown, text};
use renderer::plural::counted;
use renderer::problem::Problem;
use renderer::root::APPLICATIONS;
use renderer::visible::visible;
use serde::{Deserialize, Serialize};

use super::edits::{Edit, Edits};
use super::question::{Question, Subject};
use crate::forge::{Annotation, Conclusion, MADE_BY_US, REVIEW, TEXT_LIMIT, Verdict};
use crate::git::{Entry, Revision};
use crate::run::changes::GroupPlan;
use crate::run::context::BRANCH_PREFIX;
use crate::run::describe::text::{code, push_lines};
use crate::run::effects::Shown;
use crate::run::reviewed;
use crate::run::worker::WorkerDeath;

/// The label by which a maintainer asks that a pull request from a fork is rendered, as it is at that moment.
pub const RENDER_LABEL: &str = "fleetwright: render";
/// The label by which a maintainer accepts that rendered files are edited by hand, as they are at that moment.
pub const ACCEPT_LABEL: &str = "fleetwright: accept-edits";

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
/// How much of a path or a key is shown, in characters.
const MAX_SHOWN: usize = 300;
/// The title where nothing is touched that is rendered.
const NOTHING_TOUCHED: &str = "Nothing is touched that is rendered";
const UNREAD_HARMLESS: &str =
    "This fork touches nothing that is rendered, by GitHub's list of its files. Nothing of it was fetched.\n";
/// How much of the digest of a tree people read.
const SHOWN_DIGITS: usize = 12;

/// How much of the comment the edits of rendered files take, in characters, and what of that is a list of files.
const MAX_EDITS: usize = 20_000;
const MAX_EDIT_LIST: usize = 10_000;

/// Who made the head of one of our own branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// We did, from this commit.
    Fleetwright { source: Revision },
    /// Another author did, or added to it.
    Person,
}

/// What a review shows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::run) struct Page {
    /// One line.
    pub(super) title: String,
    /// The comment, and the summary of the check.
    pub(super) comment: String,
    /// Whether the comment is worth one where there is none yet.
    pub(super) is_news: bool,
    /// What was edited by hand below the output folder: a path, and what the head has there.
    pub(super) edits: Vec<(String, Option<Entry>)>,
    conclusion: Conclusion,
    /// Whether it does not render.
    is_broken: bool,
    /// Everything, nothing folded, in parts that a check can hold.
    full: Vec<String>,
    annotations: Vec<Annotation>,
    attestation: String,
    /// The page for browsers, if one was asked for and both sides render.
    html: Option<String>,
}

impl Page {
    fn of(title: impl Into<String>, comment: String, conclusion: Conclusion) -> Self {
        Self { title: title.into(), comment, conclusion, ..Self::default() }
    }

    /// Puts something before the title, and before the comment.
    fn begin_with(&mut self, title: &str, text: &str) {
        self.title.insert_str(0, title);
        self.comment = format!("{text}\n{}", self.comment);
    }

    /// Writes down that nothing is touched that is rendered from.
    pub(super) fn untouched() -> Self {
        let comment = "This pull request touches nothing that is rendered.\n".to_owned();
        Self::of(NOTHING_TOUCHED, comment, Conclusion::Success)
    }

    /// Writes down that a head renders, and what it started from does not.
    pub(super) fn fixed(tree: &str) -> Self {
        let comment = format!(
            "This pull request renders. What it started from does not, so there is nothing to compare with: what \
             changes is in the pull requests that follow its merge.\n\n{}\n",
            rendered(tree)
        );
        Self { is_news: true, ..Self::of("It renders", comment, Conclusion::Success) }
    }

    /// Writes down what is wrong with a head; so many of the problems its base has as well.
    pub(super) fn broken(problems: &[Problem], inherited: usize, branch: &str, edits: &Edits) -> Self {
        let count = counted(problems.len(), "problem");
        let mut comment = format!("### This pull request does not render: {count}\n\n");
        comment.push_str(&listed(problems, MAX_PROBLEM_TEXT - room(edits)));
        if inherited > 0 {
            let _ = write!(comment, "\n{inherited} of them already stood where it left `{branch}`.\n");
        }
        comment.push_str("\n`fleetwright check` prints them all.\n");
        Self {
            is_news: true,
            is_broken: true,
            full: vec![listed(problems, TEXT_LIMIT)],
            annotations: problems.iter().flat_map(annotations).take(MAX_ANNOTATIONS).collect(),
            ..Self::of(format!("It does not render: {count}"), comment, Conclusion::Failure)
        }
    }

    /// Writes down what changes of what is rendered: all of it, and of each group.
    pub(super) fn compared(
        question: &Question,
        (plan, groups): (&Plan, &[GroupPlan]),
        tree: &str,
        edits: &Edits,
        risks: Option<&str>,
    ) -> Self {
        let (is_news, attestation, tree) = (true, reviewed::attest(groups), rendered(tree));
        let effects = question.effects.as_ref();
        if plan.is_empty() {
            // A chart may be another one although nothing that is rendered changes.
            let effects =
                effects.filter(|effects| effects.has_changes).map(Shown::section).unwrap_or_default();
            let comment =
                format!("This pull request changes nothing in what is rendered.\n\n{effects}{tree}\n");
            let title = "Nothing changes in what is rendered";
            return Self { is_news, attestation, ..Self::of(title, comment, Conclusion::Success) };
        }
        let effects = effects.map(Shown::section).unwrap_or_default();
        let limit = markdown::BODY_LIMIT - markdown::BODY_MARGIN - room(edits) - effects.chars().count();
        let (notes, body) = (refusals(groups, question), markdown::body_within(plan, limit, risks));
        let Subject { base, head } = question.subject;
        let page = question.number.and_then(|number| question.links.review(number));
        let page = page.map(|page| format!(" {page}.")).unwrap_or_default();
        let comment = format!(
            "### What this pull request changes\n\n{notes}{effects}{body}\n---\n{tree} All of it: `fleetwright diff --full {} {}`, \
             or as far as it fits in the check `{REVIEW}`.{page}\n",
            base.short(),
            head.short()
        );
        let full = markdown::full(plan, TEXT_LIMIT, MAX_PARTS);
        Self { is_news, full, attestation, ..Self::of(text::headline(plan), comment, Conclusion::Success) }
    }

    /// Adds the page for browsers.
    pub(super) fn with_html(self, html: Option<String>) -> Self {
        Self { html, ..self }
    }

    /// Takes the page for browsers.
    pub(super) fn take_html(&mut self) -> Option<String> {
        self.html.take()
    }

    /// Puts what was edited by hand first.
    pub(super) fn with_edits(mut self, edits: &Edits, risks: Option<&str>) -> Self {
        if edits.is_empty() {
            return self;
        }
        let count = counted(edits.files.len(), "rendered file");
        self.begin_with(&format!("{count} edited by hand; "), &edited(edits, risks));
        self.is_news = true;
        self.conclusion = Conclusion::Failure;
        // What is gone has no line, and GitHub need not know a name that hides something.
        let is_plain = |edit: &&Edit| edit.entry.is_some() && visible(&edit.path) == edit.path;
        let notes = edits.files.iter().filter(is_plain).map(edit_annotation);
        self.annotations = notes.chain(self.annotations).take(MAX_ANNOTATIONS).collect();
        self.full.splice(0..0, edits.plan.iter().flat_map(|plan| markdown::full(plan, TEXT_LIMIT, 1)));
        self.full.truncate(MAX_PARTS);
        self.edits = edits.files.iter().map(|edit| (edit.path.clone(), edit.entry)).collect();
        self
    }

    /// Writes down that a pull request could not be rendered, since the process that rendered it ended.
    pub(super) fn of_death(death: &WorkerDeath) -> Self {
        let within = death.limit().map(|limit| format!(" within {limit}")).unwrap_or_default();
        let comment = format!(
            "### This pull request could not be rendered\n\nThe rendering was ended: {death}. It is not tried again \
             until something is pushed.\n\nThe way out: {}.\n",
            death.hint()
        );
        let page = Self::of(format!("It could not be rendered{within}"), comment, Conclusion::Failure);
        Self { is_news: true, is_broken: true, ..page }
    }

    /// Writes down that nothing was read of a fork, and what that takes; `touches` is whether it touches what
    /// is rendered, by the forge's list of its files.
    pub(super) fn of_unread(touches: bool) -> Self {
        if !touches {
            return Self::of(NOTHING_TOUCHED, UNREAD_HARMLESS.to_owned(), Conclusion::Success);
        }
        let comment = format!(
            "This fork changes what is rendered, and anyone may have written it: nothing of it was fetched or rendered. \
             When you have read what is there, set the label `{RENDER_LABEL}`; it counts until the next push.\n"
        );
        Self::of(format!("Waits for the label {RENDER_LABEL}"), comment, Conclusion::ActionRequired)
    }

    /// Writes down that a head has nothing in common with the base branch.
    pub(super) fn of_unrelated(branch: &str) -> Self {
        let comment = format!(
            "This head shares no commit with {}: there is nothing to compare it with.\n",
            code(branch, MAX_SHOWN)
        );
        Self::of(format!("It shares no history with {branch}"), comment, Conclusion::Failure)
    }

    /// Puts who made a head of one of our own branches before what it changes.
    pub(super) fn made_by(mut self, maker: Maker) -> Self {
        let (title, text) = match maker {
            Maker::Fleetwright { source } => {
                let made = format!("Made by Fleetwright from {}", source.short());
                let text = format!("Fleetwright rendered this from `{source}`.\n");
                MADE_BY_US.clone_into(&mut self.attestation);
                (made, text)
            }
            Maker::Person => {
                self.conclusion = Conclusion::Failure;
                self.attestation.clear();
                let text = "The branch is Fleetwright's, and its head is not a commit that Fleetwright makes of the base \
                            branch: it is left alone. To change what is rendered, edit `environments/` or `templates/`; to \
                            let Fleetwright make it again, close this pull request and delete its branch.\n";
                ("Not made by Fleetwright".to_owned(), text.to_owned())
            }
        };
        if self.edits.is_empty() && !self.is_broken {
            (self.title, self.comment) = (title, text);
        } else {
            self.begin_with(&format!("{title}; "), &text);
        }
        self.is_news = false;
        // What it changes is known to the run that made it.
        self.html = None;
        self
    }

    /// Adds that the prefix of a branch is ours.
    pub(super) fn on_reserved_branch(mut self) -> Self {
        let text = format!(
            "Branches below `{BRANCH_PREFIX}` are Fleetwright's: use another name. This one is reviewed like any other.\n"
        );
        self.begin_with(&format!("The prefix {BRANCH_PREFIX} is reserved; "), &text);
        self
    }

    /// Lets the edits pass that a maintainer has accepted; what else is wrong stays so.
    pub(super) fn accept_edits(&mut self) {
        self.begin_with(
            "Accepted: ",
            &format!("The label `{ACCEPT_LABEL}` accepts the edits of this head.\n"),
        );
        if !self.is_broken {
            self.conclusion = Conclusion::Success;
        }
    }

    /// Returns the verdict on the head of a pull request whose page is `url`, and what does not fit into its
    /// own check: one more check for each further part of the full diff.
    pub(super) fn into_verdicts(self, url: Option<&str>) -> (Verdict, Vec<Verdict>) {
        let total = self.full.len();
        let mut full = self.full.into_iter();
        let verdict = Verdict {
            name: REVIEW.to_owned(),
            conclusion: self.conclusion,
            title: self.title,
            summary: self.comment.chars().take(TEXT_LIMIT).collect(),
            text: full.next(),
            annotations: self.annotations,
            attestation: self.attestation,
            url: url.map(str::to_owned),
        };
        let part = |(number, text)| Verdict {
            name: format!("{REVIEW} {number}"),
            conclusion: Conclusion::Neutral,
            title: format!("Part {number} of {total} of what changes"),
            summary: format!("The full diff goes on here, from `{REVIEW}`.\n"),
            text: Some(text),
            annotations: Vec::new(),
            attestation: String::new(),
            url: url.map(str::to_owned),
        };
        (verdict, (2..).zip(full).map(part).collect())
    }
}

/// Returns the comment on a fork that was pushed to after a maintainer had asked for it to be rendered.
pub(super) fn permission_gone() -> String {
    format!(
        "Something was pushed to this fork after a maintainer had asked for it to be rendered, so the label was taken off. \
         Read what is there now, and set `{RENDER_LABEL}` again.\n"
    )
}

/// How much of the comment the edits take.
fn room(edits: &Edits) -> usize {
    if edits.is_empty() { 0 } else { MAX_EDITS }
}

/// Lists what was edited by hand: the files first, each with the lines to change instead, and then what the edits are.
fn edited(edits: &Edits, risks: Option<&str>) -> String {
    let mut text = format!(
        "### Rendered files are edited by hand\n\n\
         **Argo CD applies what stands below `{APPLICATIONS}/`**, and these files are not what the inputs of this head render to. \
         Take the edits back and change the lines that are named; or a maintainer who has read the edits sets the label \
         `{ACCEPT_LABEL}`, which counts until the next push.\n\n"
    );
    push_lines(&mut text, edits.files.iter().map(edit_line), MAX_EDIT_LIST, "more file");
    if let Some(plan) = edits.plan.as_ref().filter(|plan| !plan.is_empty()) {
        let body = markdown::body_within(plan, MAX_EDITS - MAX_EDIT_LIST - 500, risks);
        let _ = write!(text, "\nFrom what is rendered to what is committed instead:\n\n{body}");
    }
    text
}

fn edit_line(edit: &Edit) -> String {
    let mut line = format!("- {} {}", code(&edit.path, MAX_SHOWN), edit.what);
    for risk in &edit.risks {
        let _ = write!(line, "; **{}**: {}", risk.kind, risk.note);
    }
    line.push('\n');
    for (key, place) in &edit.sources {
        let setting = if key.is_empty() { "it".to_owned() } else { code(key, MAX_SHOWN) };
        let _ = writeln!(line, "  - {setting} comes from {}", code(&place.to_string(), MAX_SHOWN));
    }
    line
}

fn edit_annotation(edit: &Edit) -> Annotation {
    let sources = edit.sources.iter().map(|(_, place)| place.to_string()).collect::<Vec<_>>().join(", ");
    let instead = if sources.is_empty() { String::new() } else { format!("\nchange instead: {sources}") };
    let message = format!("edited by hand: {}{instead}", edit.what);
    Annotation {
        path: edit.path.clone(),
        line: 1,
        column: 1,
        message: message.chars().take(MAX_MESSAGE).collect(),
    }
}

fn rendered(tree: &str) -> String {
    format!("Digest of the rendered tree: `{}`.", &tree[..SHOWN_DIGITS.min(tree.len())])
}

/// Lists which plans would be refused after the merge since they delete too much.
fn refusals(groups: &[GroupPlan], question: &Question) -> String {
    let (mut notes, allowed) = (String::new(), question.allow_deletions.as_deref());
    let refused = |planned: &GroupPlan| planned.plan.refuse(&question.budget, allowed).err();
    for refusal in groups.iter().filter_map(refused) {
        let note = format!("**Refused after the merge**: {refusal}; {}.\n\n", refusal.hint());
        if notes.chars().count() + note.chars().count() <= MAX_NOTES {
            let _ = write!(notes, "{note}");
        }
    }
    notes
}

fn listed(problems: &[Problem], limit: usize) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    markdown::fenced(&lines, "text", limit)
}

/// Annotates each place of a problem.
fn annotations(problem: &Problem) -> impl Iterator<Item = Annotation> {
    problem.at_each_place().map(|(place, message)| Annotation {
        path: place.file.to_string(),
        line: place.position.line,
        column: place.position.column,
        message: message.chars().take(MAX_MESSAGE).collect(),
    })
}
