//! What was found, for people and for other programs.

use std::fmt::Write as _;

use renderer::plural::counted;
use serde_json::{Value, json};

use super::finding::{Finding, Verdict, counts};
use crate::argocd::cell;
use crate::output::table::{Row, Table};

/// How many checks are listed, unless all are asked for.
const MOST_ROWS: usize = 60;
/// How many a page lists that is kept within the limits of a comment.
const MOST_LISTED: usize = 100;
const HEADINGS: &[&str] = &["CLUSTER", "CHECK", "VERDICT", "LOOKED AT", "FOUND"];

/// Returns the document for other programs.
#[must_use]
pub fn document(findings: &[Finding]) -> Value {
    let number = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    json!({
        "passed": number(Verdict::Passed),
        "failed": number(Verdict::Failed),
        "unanswered": number(Verdict::Unanswered),
        "notAsked": number(Verdict::NotAsked),
        "checks": findings,
    })
}

/// Returns how many checks passed, and the table: all of them, or if they are many, those that did not pass.
#[must_use]
pub fn text(findings: &[Finding], shows_all: bool) -> String {
    let (listed, more) = listed(findings, if shows_all { usize::MAX } else { MOST_ROWS });
    let rows = listed.iter().map(|it| Row {
        cells: vec![it.cluster.clone(), it.name(), it.verdict.words().to_owned(), it.about.clone()],
        items: vec![it.found.clone()],
    });
    let mut text = format!("{}: {}\n", counted(findings.len(), "check"), counts(findings));
    if !listed.is_empty() {
        let _ = write!(text, "\n{}", Table { headings: HEADINGS, rows: rows.collect() }.text());
    }
    if more > 0 {
        let _ = writeln!(text, "… {}: `--all` shows them", counted(more, "more check"));
    }
    text
}

/// Returns the same as [`text`] in Markdown. Nothing that a cluster says is markup in it.
#[must_use]
pub fn markdown(findings: &[Finding]) -> String {
    let (listed, more) = listed(findings, MOST_LISTED);
    let mut text = format!("{}: {}\n", counted(findings.len(), "check"), counts(findings));
    if !listed.is_empty() {
        text.push_str("\n| cluster | check | verdict | looked at | found |\n|---|---|---|---|---|\n");
    }
    for it in listed {
        let (cluster, name, verdict) = (cell(&it.cluster), cell(&it.name()), it.verdict.words());
        let _ =
            writeln!(text, "| {cluster} | {name} | {verdict} | {} | {} |", cell(&it.about), cell(&it.found));
    }
    if more > 0 {
        let _ = writeln!(text, "\n… {}", counted(more, "more check"));
    }
    text
}

/// Returns what is listed, and how many are not: if all are too many, those that passed are left out first.
fn listed(findings: &[Finding], most: usize) -> (Vec<&Finding>, usize) {
    let is_short = findings.len() <= most;
    let listed = findings.iter().filter(|it| is_short || it.verdict != Verdict::Passed).take(most);
    let listed: Vec<_> = listed.collect();
    let more = findings.len() - listed.len();
    (listed, more)
}
