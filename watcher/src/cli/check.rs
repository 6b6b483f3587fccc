//! `fleetwright check`: every problem in the source files.

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
        Format::Json => print_json(&json!({
            "problems": [],
            "notes": notes,
            "accepted": rendered.accepted,
            "clusters": clusters,
            "files": files,
        })),
        Format::Sarif => print_json(&sarif(&[])),
        Format::Github => print_text(&workflow_commands(&[])),
        Format::Text | Format::Mermaid => {
            for note in notes {
                print_text(&format!("note: {note}\n"));
            }
            for accepted in &rendered.accepted {
                print_text(&format!("accepted: {accepted}\n"));
            }
            let (clusters, files) = (counted(clusters, "cluster"), counted(files, "rendered file"));
            let accepted = match rendered.accepted.len() {
                0 => String::new(),
                many => format!(", {many} accepted"),
            };
            print_text(&format!("no problems in {clusters}, {files}{accepted}\n"));
        }
    }
    Ok(Exit::Done)
}
