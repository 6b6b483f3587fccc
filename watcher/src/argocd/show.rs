//! What became of a revision, for people and for other programs.

use std::fmt::Write as _;
use std::time::SystemTime;

use renderer::plan::markdown::code;
use renderer::plural::counted;
use renderer::span;
use serde_json::{Value, json};

use super::judge::State;
use super::rollout::{ApplicationState, GroupState, Rollout};
use crate::output::table::{Row, Table};

/// How many Applications that are not done are shown, unless all are asked for.
const MOST_ROWS: usize = 20;
/// How many of them a page shows that is kept within the limits of a comment.
const MOST_LISTED: usize = 100;
const HEADINGS: &[&str] = &["CLUSTER", "ADD-ON", "STATE", "SYNC", "HEALTH", "AT", "SINCE", "WHY"];
/// Stands for what is not known.
const NOTHING: &str = "-";

/// Returns the document for other programs.
#[must_use]
pub fn document(rollout: &Rollout, revision: &str) -> Value {
    json!({
        "revision": revision,
        "state": rollout.state(),
        "groups": rollout.groups(),
        "applications": rollout.applications,
        "leftovers": rollout.leftovers,
        "notAsked": rollout.unasked,
    })
}

/// Returns the groups with their counts, then what is not done, then what is left over.
#[must_use]
pub fn text(rollout: &Rollout, now: SystemTime, shows_all: bool) -> String {
    let mut text = String::new();
    for group in rollout.groups() {
        let _ = writeln!(text, "{}: {}", name(&group), counts(rollout, &group));
    }
    for unasked in &rollout.unasked {
        let _ = writeln!(text, "{unasked}");
    }
    let most = if shows_all { usize::MAX } else { MOST_ROWS };
    let open: Vec<_> = rollout.open().collect();
    if !open.is_empty() {
        let rows = open.iter().take(most).map(|it| row(it, now)).collect();
        let _ = write!(text, "\n{}", Table { headings: HEADINGS, rows }.text());
    }
    if let Some(more) = open.len().checked_sub(most).filter(|more| *more > 0) {
        let _ = writeln!(text, "… {}: `--all` shows them", counted(more, "more Application"));
    }
    if !rollout.leftovers.is_empty() {
        text.push_str("\nleft over, which git no longer wants (`fleetwright prune` removes it):\n");
        for leftover in rollout.leftovers.iter().take(most) {
            let _ = writeln!(text, "  {leftover}");
        }
    }
    if let Some(more) = rollout.leftovers.len().checked_sub(most).filter(|more| *more > 0) {
        let _ = writeln!(text, "  … {more} more: `--all` shows them");
    }
    text
}

/// Returns how far a revision is, in one line.
#[must_use]
pub fn progress(rollout: &Rollout, revision: &str) -> String {
    let of = counted(rollout.applications.len(), "Application");
    format!("{} of {of} synced and healthy at {revision}", rollout.count(State::Done))
}

/// Returns the same as [`text`] in Markdown. Nothing that a cluster says is markup in it.
#[must_use]
pub fn markdown(rollout: &Rollout, now: SystemTime) -> String {
    let mut text = "| group | state | Applications |\n|---|---|---|\n".to_owned();
    for group in rollout.groups() {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cell(name(&group)),
            group.state.word(),
            counts(rollout, &group)
        );
    }
    let open: Vec<_> = rollout.open().collect();
    if !open.is_empty() {
        text.push_str("\n| cluster | add-on | state | since | why |\n|---|---|---|---|---|\n");
    }
    for it in open.iter().take(MOST_LISTED) {
        let reason = it.reason.as_deref().map(cell).unwrap_or_default();
        let (cluster, addon) = (cell(&it.cluster), cell(addon(it)));
        let _ =
            writeln!(text, "| {cluster} | {addon} | {} | {} | {reason} |", it.state.word(), since(it, now));
    }
    if let Some(more) = open.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n… {}", counted(more, "more Application"));
    }
    text.push_str(&unasked(rollout));
    if !rollout.leftovers.is_empty() {
        text.push_str("\nLeft over, which git no longer wants:\n\n");
        for leftover in rollout.leftovers.iter().take(MOST_LISTED) {
            let _ = writeln!(text, "- {}", code(&leftover.to_string()));
        }
    }
    text
}

/// Returns the hubs that are not asked, in Markdown.
#[must_use]
pub fn unasked(rollout: &Rollout) -> String {
    let mut text = String::new();
    for unasked in &rollout.unasked {
        let _ = writeln!(text, "\n{}", code(&unasked.to_string()));
    }
    text
}

/// Writes a text as a code span in a table, whose cells a bar would end.
pub(crate) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn name(group: &GroupState) -> &str {
    group.group.as_deref().unwrap_or("clusters that are no longer described")
}

fn counts(rollout: &Rollout, group: &GroupState) -> String {
    let mut text = format!(
        "{} of {} done on {}",
        group.done,
        counted(group.applications, "Application"),
        counted(group.clusters, "cluster")
    );
    for state in [State::Failed, State::Waiting, State::Progressing] {
        let is_it = |it: &&ApplicationState| it.state == state && it.group == group.group;
        let number = rollout.applications.iter().filter(is_it).count();
        if number > 0 {
            let _ = write!(text, ", {number} {}", state.word());
        }
    }
    text
}

fn row(it: &ApplicationState, now: SystemTime) -> Row {
    let at = it.revision.as_deref().map(|revision| revision.get(..7).unwrap_or(revision));
    let cells = vec![
        it.cluster.clone(),
        addon(it).to_owned(),
        it.state.word().to_owned(),
        it.sync.map_or_else(|| NOTHING.to_owned(), |sync| format!("{sync:?}")),
        it.health.map_or_else(|| NOTHING.to_owned(), |health| format!("{health:?}")),
        at.unwrap_or(NOTHING).to_owned(),
        since(it, now),
    ];
    Row { cells, items: vec![it.reason.clone().unwrap_or_default()] }
}

fn addon(it: &ApplicationState) -> &str {
    it.addon.as_deref().unwrap_or(&it.key.name)
}

fn since(it: &ApplicationState, now: SystemTime) -> String {
    let since = it.since.and_then(|since| now.duration_since(since).ok());
    let seconds = since.and_then(|since| i64::try_from(since.as_secs()).ok());
    seconds.map_or_else(|| NOTHING.to_owned(), span::text)
}
