//! `fleetwright render`: renders the working tree into `argocd-apps/`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use renderer::plan::Action;
use renderer::plural::{agrees, counted};
use renderer::render::Rendered;
use serde_json::{Value, json};

use super::Global;
use super::options::{HelmArgs, ProfileArgs};
use crate::error::CommandError;
use crate::output::Exit;
use crate::working_tree::{Kept, KeptReason, Output, OutputChange, OutputChanges, Written};

/// How many files are listed before the rest is counted.
const MAX_LISTED: usize = 40;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Check that the rendered files are current, and exit with code 3 if they are not.
    #[arg(long)]
    check: bool,
    /// Also delete files that nothing renders if git has them or Fleetwright wrote them; without it, both have to be
    /// true.
    #[arg(long)]
    prune: bool,
    /// Render into this folder in place of the top of the working tree.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    helm: HelmArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let top = global.working_tree()?;
    let folder = args.folder(&top)?;
    let rendered = global.render_whole_working_tree(&top, &args.profile, &args.helm)?;
    let output = Output::read(folder, &Written::default())?;
    let found = output.changes(&rendered, args.prune)?;
    if !args.check {
        output.apply(&found.changes)?;
    }
    global.show(
        || document(args, &found, rendered.file_count()),
        || list(&found) + &if args.check { verdict(&found, &rendered) } else { summary(&found, &rendered) },
    );
    Ok(if args.check && !found.is_current() { Exit::Changes } else { Exit::Done })
}

impl Args {
    /// Returns the folder to render into. What is published is never rendered in a profile.
    fn folder<'a>(&'a self, top: &'a Path) -> Result<&'a Path, CommandError> {
        let folder = self.out.as_deref().unwrap_or(top);
        let is_top =
            folder.canonicalize().is_ok_and(|folder| top.canonicalize().is_ok_and(|top| folder == top));
        if self.profile.is_given() && is_top {
            return Err(CommandError::usage(
                "the files of a profile would take the place of those that are published",
                "name another folder with `--out DIR`",
            ));
        }
        Ok(folder)
    }
}

/// Makes the rendered files of a working tree current, and returns a summary; `written` remembers what was written.
pub(super) fn write(top: &Path, rendered: &Rendered, written: &mut Written) -> Result<String, CommandError> {
    let output = Output::read(top, written)?;
    let found = output.changes(rendered, false)?;
    output.apply(&found.changes)?;
    written.remember(&found.changes);
    Ok(list(&found) + &summary(&found, rendered))
}

fn document(args: &Args, found: &OutputChanges, files: usize) -> Value {
    let change =
        |change: &OutputChange| json!({ "path": change.path.to_string_lossy(), "action": change.action() });
    let kept = |kept: &Kept| json!({ "path": kept.path.to_string_lossy(), "reason": kept.reason });
    let changes: Vec<_> = found.changes.iter().map(change).collect();
    let kept: Vec<_> = found.kept.iter().map(kept).collect();
    json!({ "files": files, "changes": changes, "kept": kept, "written": !args.check })
}

fn list(found: &OutputChanges) -> String {
    let changes =
        found.changes.iter().map(|change| format!("{}  {}", word(change.action()), change.path.display()));
    let kept =
        found.kept.iter().map(|kept| format!("keep    {}: {}", kept.path.display(), kept.reason.words()));
    shortened(changes) + &shortened(kept)
}

/// Writes the first lines, and counts the rest.
fn shortened(lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = lines.len().saturating_sub(MAX_LISTED);
    let mut text = lines.take(MAX_LISTED).fold(String::new(), |text, line| text + &line + "\n");
    if more > 0 {
        let _ = writeln!(text, "… and {more} more");
    }
    text
}

fn verdict(found: &OutputChanges, rendered: &Rendered) -> String {
    if found.is_current() {
        return summary(found, rendered);
    }
    let run = (!found.changes.is_empty()).then_some("run `fleetwright render`");
    let (counts, hint) = (counts(found, "to "), run.or_else(|| hint(found)).unwrap_or_default());
    format!("not current: {counts}\n  hint: {hint}\n")
}

fn summary(found: &OutputChanges, rendered: &Rendered) -> String {
    let files = rendered.file_count();
    let hint = hint(found).map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    if found.changes.is_empty() && found.is_current() {
        return format!("{} {} current\n{hint}", counted(files, "file"), agrees(files, "is", "are"));
    }
    format!("rendered {}: {}\n{hint}", counted(files, "file"), counts(found, ""))
}

/// Returns what to do about files that nothing renders and that are left alone.
fn hint(found: &OutputChanges) -> Option<&'static str> {
    let has = |reasons: &[KeptReason]| found.kept.iter().any(|kept| reasons.contains(&kept.reason));
    if has(&[KeptReason::NotOurs, KeptReason::OursUntracked]) {
        Some(
            "`fleetwright render --prune` deletes what it wrote or git can bring back; \
             move or delete other files yourself",
        )
    } else if has(&[KeptReason::LeftOut]) {
        Some("delete it with `git rm --sparse`, or check it out with `git sparse-checkout add FOLDER`")
    } else if has(&[KeptReason::Repository]) {
        Some("take it out with `git rm`, or move it away")
    } else if has(&[KeptReason::Edited, KeptReason::Untracked]) {
        Some("move or delete it yourself: git could not bring it back")
    } else {
        None
    }
}

/// Counts what happens: `1 to create, 2 to update`, or without `to `: `1 created, 2 updated`.
fn counts(found: &OutputChanges, to: &str) -> String {
    let counts = [Action::Create, Action::Update, Action::Delete].map(|action| {
        let count = found.changes.iter().filter(|change| change.action() == action).count();
        let past = if to.is_empty() { "d" } else { "" };
        (count > 0).then(|| format!("{count} {to}{}{past}", word(action)))
    });
    let kept = (!found.kept.is_empty()).then(|| format!("{} kept", found.kept.len()));
    counts.into_iter().flatten().chain(kept).collect::<Vec<_>>().join(", ")
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}
