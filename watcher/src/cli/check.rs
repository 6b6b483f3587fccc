//! `fleetwright check`: every problem in the source files.

use renderer::inventory::profile_names;
use renderer::plural::counted;
use renderer::problem::Problem;
use renderer::snapshot::Snapshot;
use serde_json::json;

use super::options::{HelmArgs, ProfileArgs, renderer};
use super::{Format, Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::output::findings::{sarif, workflow_commands};
use crate::working_tree::read_working_tree;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    helm: HelmArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let (snapshot, problems) = read_working_tree(&global.working_tree()?)?;
    let snapshot = args.profile.chosen(snapshot)?;
    let rendered = global.render_whole(&mut renderer(), &snapshot, problems, &args.helm)?;
    if !args.profile.is_given() {
        check_profiles(global, &snapshot, &args.helm)?;
    }
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
        Format::Text | Format::Mermaid | Format::Html => {
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

/// Renders in each profile, since nothing else does until one is asked for.
fn check_profiles(global: &Global, snapshot: &Snapshot, helm: &HelmArgs) -> Result<(), CommandError> {
    let (mut renderer, mut found) = (renderer(), Vec::new());
    for profile in profile_names(snapshot) {
        let chosen = snapshot.clone().in_profile(profile.clone());
        match global.render_whole(&mut renderer, &chosen, Vec::new(), helm) {
            Err(CommandError::Problems { problems }) => found.extend(problems.into_iter().map(|problem| {
                let message = format!("in profile `{profile}`: {}", problem.message);
                Problem { message, ..problem }
            })),
            other => drop(other?),
        }
    }
    found.sort();
    if found.is_empty() { Ok(()) } else { Err(CommandError::Problems { problems: found }) }
}
