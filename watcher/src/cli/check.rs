//! `fleetwright check`: every problem in what people wrote.

use renderer::plural::counted;
use serde_json::json;

use super::{Format, Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::output::findings::{sarif, workflow_commands};

pub(super) fn run(global: &Global) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?)?;
    let (clusters, files) = (rendered.clusters.len(), rendered.file_count());
    let notes = rendered.notes();
    match global.format {
        Format::Json => {
            print_json(&json!({ "problems": [], "notes": notes, "clusters": clusters, "files": files }));
        }
        Format::Sarif => print_json(&sarif(&[])),
        Format::Github => print_text(&workflow_commands(&[])),
        Format::Text | Format::Mermaid => {
            for note in notes {
                print_text(&format!("note: {note}\n"));
            }
            let (clusters, files) = (counted(clusters, "cluster"), counted(files, "rendered file"));
            print_text(&format!("no problems in {clusters}, {files}\n"));
        }
    }
    Ok(Exit::Done)
}
