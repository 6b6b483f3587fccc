//! What a change does to what runs, in words for pull requests and pages. What can't be made is counted beside what can.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use renderer::effects;
use renderer::path::RepoPath;
use renderer::plan::text::{Line, LineKind};
use renderer::plan::{Facts, FileChange};
use renderer::plural::counted;
use renderer::problem::Problem;
use renderer::render::Rendered;
use renderer::secrets::masked_words;
use serde::{Deserialize, Serialize};

use super::changes::{self, Fleet};
use super::describe::text::code;
use crate::charts::ChartError;
use crate::git::{FolderMemo, GitError, Repository, Revision};
use crate::helm::{Bound, Extent, Found, Making, Side};

/// How long a run looks at final objects.
pub const TIME: Duration = Duration::from_mins(1);
/// How much of a pull request it takes at most, in characters.
pub(super) const MAX_TEXT: usize = 24_000;
/// What is kept of that for headings.
const HEADINGS: usize = 64;
/// How much of that says what is not shown, and how much of one reason.
const MAX_NOTES: usize = 4_000;
const MAX_REASON: usize = 600;
/// How many reasons are named.
const MAX_REASONS: usize = 3;
/// What stands where it follows.
const PENDING: &str = "What this does to what runs is not worked out yet.\n";

/// Whether it is shown what changes do to what runs, and what makes the objects of charts that are published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Objects {
    /// Nothing is said of it.
    Unwanted,
    /// It can't be, for this reason.
    Unknown(String),
    /// It is, with these.
    MadeBy(Tools),
}

/// What final objects are made with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tools {
    /// The program.
    pub helm: PathBuf,
    /// Charts in the place of others.
    pub charts: Option<PathBuf>,
    /// Where charts and renderings are kept.
    pub folder: PathBuf,
    /// How long a run may look at them.
    pub time: Duration,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub between: Between,
    pub tools: Tools,
    /// How long it may take.
    pub time: Duration,
    /// The page that explains the effects, if the repository has it.
    pub page: Option<String>,
}

/// What is compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Between {
    /// What two revisions render to.
    Revisions { base: Revision, head: Revision },
    /// What is published at a revision, and the same with these files as the revision renders to them.
    Published(Revision, BTreeSet<RepoPath>),
}

impl Between {
    /// The revision that is rendered last.
    pub(super) const fn head(&self) -> Revision {
        match self {
            Self::Revisions { head, .. } => *head,
            Self::Published(revision, _) => *revision,
        }
    }
}

/// What a change does to what runs, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// For a pull request.
    pub markdown: String,
    /// For a page.
    pub lines: Vec<String>,
    /// Whether objects change, as far as they were looked at.
    pub has_changes: bool,
    /// How many Applications were not looked at for want of time.
    pub late: usize,
    /// Whether asking again may show more.
    pub goes_on: bool,
}

impl Shown {
    pub(super) fn without(reason: &str) -> Self {
        let text = format!("What this does to what runs is not shown: {reason}.");
        Self { markdown: format!("{text}\n"), lines: vec![text], ..Self::default() }
    }

    /// It follows.
    pub(super) fn pending() -> Self {
        Self {
            markdown: PENDING.to_owned(),
            lines: vec![PENDING.trim().to_owned()],
            goes_on: true,
            ..Self::default()
        }
    }

    /// Nothing could be compared yet: of so many Applications whose objects are published they are made.
    pub(super) fn late(made: usize, all: usize) -> Self {
        let of = counted(all, "Application");
        let text = format!(
            "The objects of {made} of {of} that are published are made; the next runs go on with it."
        );
        let (markdown, lines) = (format!("{text}\n"), vec![text]);
        Self { markdown, lines, late: all.saturating_sub(made), goes_on: true, ..Self::default() }
    }

    /// Returns whether it was not looked at yet.
    pub(super) fn is_pending(&self) -> bool {
        self.markdown == PENDING
    }

    /// Returns what stands above the changes of a pull request, in at most [`MAX_TEXT`] characters.
    pub(super) fn section(&self) -> String {
        if self.has_changes {
            format!("### What runs\n\n{}\n### What is rendered\n\n", self.markdown)
        } else {
            format!("{}\n", self.markdown)
        }
    }

    /// Returns the lines for a page.
    pub(super) fn page_lines(&self) -> Vec<Line> {
        self.lines.iter().map(|text| Line { kind: LineKind::Plain, text: text.clone() }).collect()
    }
}

/// Finds out what a change does, in a worker; nothing if one of its sides does not render.
pub(super) fn find(
    repository: &Repository,
    question: &Question,
    mut render: impl FnMut(Revision) -> Result<Result<Rendered, Vec<Problem>>, GitError>,
) -> Result<Shown, GitError> {
    let [mut base, mut head] = match &question.between {
        Between::Revisions { base, head } => {
            let has_no_changes = repository.rendered_differences(*base, *head)?.is_empty();
            if has_no_changes && repository.has_same_inputs(*base, *head)? {
                return Ok(Shown::default());
            }
            let (Ok(base), Ok(head)) = (render(*base)?, render(*head)?) else { return Ok(Shown::default()) };
            [base, head]
        }
        Between::Published(revision, paths) => {
            let Ok(rendered) = render(*revision)? else { return Ok(Shown::default()) };
            published(repository, *revision, &rendered, paths)?
        }
    };
    let Tools { helm, charts, folder, .. } = &question.tools;
    let revisions = match &question.between {
        Between::Revisions { base, head } => [*base, *head],
        Between::Published(revision, _) => [*revision; 2],
    };
    let side =
        |rendered, revision| Side::read(rendered, |path, room| repository.standing(revision, path, room));
    let [base, head] = [side(&mut base, revisions[0])?, side(&mut head, revisions[1])?];
    let making = match Making::below(folder, Some(helm), charts.as_deref()) {
        Ok(making) => making.fetching_within(question.time / 3),
        Err(error) => return Ok(Shown::without(&error.message())),
    };
    let making = match &question.between {
        Between::Revisions { .. } => making.asking_only_those_of(&base),
        Between::Published(..) => making,
    };
    let facts = Facts::between(&base.rendered.inventory, &head.rendered.inventory);
    let bound = Bound::of(question.time);
    let mut found = making.effects([&base, &head], &facts, bound, &(), &|_| {});
    // What is published and what will be are rendered from the same inputs.
    if matches!(question.between, Between::Revisions { .. }) && !found.effects.is_empty() {
        let (base, head) = (base.rendered, head.rendered);
        let plan = changes::plan_between(base, head, facts);
        effects::name_lines(&mut found.effects, &plan, base, head);
    }
    Ok(shown(found, question.page.as_deref()))
}

/// Returns what is published at a revision, and what is once some of it is what it renders to.
fn published(
    repository: &Repository,
    revision: Revision,
    rendered: &Rendered,
    paths: &BTreeSet<RepoPath>,
) -> Result<[Rendered; 2], GitError> {
    let changes = Fleet::compare(repository, revision, rendered, &mut FolderMemo::default())?.changes;
    let file = |change: &FileChange, is_new: bool| {
        let bytes = if is_new { &change.new } else { &change.old };
        (change.cluster.clone(), change.path.clone(), change.addon.clone(), bytes.clone())
    };
    let old = rendered.with_files(changes.iter().map(|change| file(change, false)));
    let new = old.with_files(
        changes.iter().filter(|change| paths.contains(&change.path)).map(|change| file(change, true)),
    );
    Ok([old, new])
}

/// Puts what was found into words.
fn shown(found: Found, page: Option<&str>) -> Shown {
    let Found { effects, extent, unread, absent, problems, judged } = found;
    let mut notes = Vec::new();
    notes.extend(so_far(extent));
    if extent.failed > 0 {
        let of = format!("Not shown: {} of {}", extent.failed, counted(extent.applications, "Application"));
        let (count, mut reasons) = (absent.len() + problems.len(), Vec::new());
        if !absent.is_empty() {
            reasons.push(ChartError::absent(absent.into_values().collect()).to_string());
        }
        reasons.extend(problems.iter().map(reason));
        notes.push((of, reasons, count));
    }
    if !judged.is_empty() {
        let reasons = judged.iter().take(MAX_REASONS).map(reason).collect();
        notes.push((counted(judged.len(), "problem") + " of the final objects", reasons, judged.len()));
    }
    if !unread.is_empty() {
        notes.push((counted(unread.len(), "Application") + " shown in part", unread.clone(), unread.len()));
    }
    let (mut text, mut lines) = (String::new(), Vec::new());
    for (note, reasons, count) in notes {
        let reasons: Vec<String> =
            reasons.iter().take(MAX_REASONS).map(|reason| masked_words(reason).into_owned()).collect();
        let colon = if reasons.is_empty() { "" } else { ":" };
        let mut part = format!("{note}{colon}\n");
        lines.push(part.trim().to_owned());
        for reason in &reasons {
            let _ = writeln!(part, "- {}", code(reason, MAX_REASON));
            lines.push(format!("  {}", reason.chars().take(MAX_REASON).collect::<String>()));
        }
        let more = count.saturating_sub(reasons.len());
        if more > 0 && !reasons.is_empty() {
            let _ = writeln!(part, "- … {more} more");
        }
        part.push('\n');
        if text.chars().count() + part.chars().count() <= MAX_NOTES {
            text.push_str(&part);
        }
    }
    let has_changes = !effects.is_empty();
    // That no object changes is known only if all were looked at.
    if has_changes || text.is_empty() {
        text.push_str(&effects::markdown(&effects, MAX_TEXT - HEADINGS - MAX_NOTES, page));
        lines.extend(effects::summary(&effects).into_iter().map(|line| line.text));
    }
    Shown { markdown: text, lines, has_changes, late: extent.late, goes_on: extent.late > 0 }
}

/// Returns how much was looked at, if that is not all.
fn so_far(extent: Extent) -> Option<(String, Vec<String>, usize)> {
    let Extent { clusters, done_clusters, late, has_each_kind, .. } = extent;
    let kinds = if has_each_kind { ", one of each kind of change" } else { "" };
    (late > 0).then(|| {
        let of = counted(clusters, "cluster");
        (
            format!(
                "Rendered on {done_clusters} of {of} so far{kinds}; the rest follows with the next runs."
            ),
            Vec::new(),
            0,
        )
    })
}

fn reason(problem: &Problem) -> String {
    format!("{}: {}", problem.place, problem.message)
}
