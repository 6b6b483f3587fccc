//! `fleetwright check`: every problem in what people wrote.

use renderer::plural::counted;
use serde_json::json;

use super::{Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;

pub(super) fn run(global: &Global) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?)?;
    let (clusters, files) = (rendered.clusters.len(), rendered.file_count());
    let notes = rendered.notes();
    if global.is_json() {
        print_json(&json!({ "problems": [], "notes": notes, "clusters": clusters, "files": files }));
    } else {
        for note in notes {
            print_text(&format!("note: {note}\n"));
        }
        let (clusters, files) = (counted(clusters, "cluster"), counted(files, "rendered file"));
        print_text(&format!("no problems in {clusters}, {files}\n"));
    }
    Ok(Exit::Done)
}
