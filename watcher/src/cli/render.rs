//! `fleetwright render`: the working tree's facts and templates into `argocd-apps/`.

use std::fmt::Write as _;
use std::path::Path;

use renderer::plural::{agrees, counted};
use renderer::render::Rendered;
use serde_json::json;

use super::{Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::working_tree::{Output, OutputAction, OutputChange};

/// How many files are listed before the rest is counted.
const MAX_LISTED: usize = 40;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say whether the rendered files are current; end with exit code 3 if they are not.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let top = global.working_tree()?;
    let rendered = global.render_working_tree(&top)?;
    let output = Output::read(&top)?;
    let changes = output.changes(&rendered)?;
    if !args.check {
        output.apply(&changes)?;
    }
    if global.is_json() {
        show_json(args, &changes, rendered.file_count());
    } else {
        print_text(&list(&changes));
        print_text(&if args.check { verdict(&changes, &rendered) } else { summary(&changes, &rendered) });
    }
    Ok(if args.check && !changes.is_empty() { Exit::Changes } else { Exit::Done })
}

/// Makes the rendered files of a working tree current and says what that took.
pub(super) fn write(top: &Path, rendered: &Rendered) -> Result<String, CommandError> {
    let output = Output::read(top)?;
    let changes = output.changes(rendered)?;
    output.apply(&changes)?;
    Ok(list(&changes) + &summary(&changes, rendered))
}

fn show_json(args: &Args, changes: &[OutputChange], files: usize) {
    let change = |change: &OutputChange| json!({ "path": change.path.to_string_lossy(), "action": change.action().word() });
    let changes: Vec<_> = changes.iter().map(change).collect();
    print_json(&json!({ "files": files, "changes": changes, "written": !args.check }));
}

fn list(changes: &[OutputChange]) -> String {
    let mut text = String::new();
    for change in changes.iter().take(MAX_LISTED) {
        let _ = writeln!(text, "{}  {}", change.action().word(), change.path.display());
    }
    if let Some(more @ 1..) = changes.len().checked_sub(MAX_LISTED) {
        let _ = writeln!(text, "… and {more} more");
    }
    text
}

fn verdict(changes: &[OutputChange], rendered: &Rendered) -> String {
    if changes.is_empty() {
        return summary(changes, rendered);
    }
    format!("not current: {}\n  hint: run `fleetwright render`\n", counts(changes, "to "))
}

fn summary(changes: &[OutputChange], rendered: &Rendered) -> String {
    let files = rendered.file_count();
    if changes.is_empty() {
        let verb = agrees(files, "is", "are");
        return format!("{} {verb} current\n", counted(files, "file"));
    }
    format!("rendered {}: {}\n", counted(files, "file"), counts(changes, ""))
}

/// Counts what happens: `1 to create, 2 to update`, or without `to `: `1 created, 2 updated`.
fn counts(changes: &[OutputChange], to: &str) -> String {
    let counts = [OutputAction::Create, OutputAction::Update, OutputAction::Delete].map(|action| {
        let count = changes.iter().filter(|change| change.action() == action).count();
        let past = if to.is_empty() { "d" } else { "" };
        (count > 0).then(|| format!("{count} {to}{}{past}", action.word()))
    });
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
