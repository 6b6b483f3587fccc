//! `fleetwright render`: the working tree's facts and templates into `argocd-apps/`.

use serde_json::json;

use super::{Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::working_tree::{Output, OutputChange};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say whether the rendered files are current; exit code 3 if not.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree()?;
    let output = Output::read(&global.repo)?;
    let changes = output.changes(&rendered);
    if !args.check {
        output.apply(&changes)?;
    }
    show(global, args, &changes, rendered.file_count());
    Ok(if args.check && !changes.is_empty() { Exit::Changes } else { Exit::Done })
}

fn show(global: &Global, args: &Args, changes: &[OutputChange], files: usize) {
    if global.is_json() {
        let changes: Vec<_> =
            changes.iter().map(|change| json!({ "path": change.path, "action": change.action() })).collect();
        print_json(&json!({ "files": files, "changes": changes, "written": !args.check }));
        return;
    }
    let mut text: String =
        changes.iter().map(|change| format!("{:<7} {}\n", change.action(), change.path)).collect();
    text.push_str(&match (changes.len(), args.check) {
        (0, _) => format!("{files} files are current\n"),
        (count, true) => format!("{count} of {files} files are not current: run `fleetwright render`\n"),
        (count, false) => format!("wrote {count} of {files} files\n"),
    });
    print_text(&text);
}
