//! `fleetwright explain`: where a rendered value comes from, or what a fact reaches.

use renderer::explain::{self, Influence, Provenance, Reached};
use renderer::path::RepoPath;
use renderer::problem::Place;
use renderer::snapshot::OUTPUT;
use serde_json::json;

use super::{Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A rendered file, or a file with facts.
    file: String,
    /// The key, such as `prometheus.prometheusSpec.remoteWrite[0].url`; a file with facts needs one.
    key: Option<String>,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let path = RepoPath::parse(&args.file).map_err(|error| CommandError::Usage {
        message: error.to_string(),
        hint: "name the file from the top of the repository".to_owned(),
    })?;
    let rendered = global.render_working_tree()?;
    if path.below(OUTPUT).is_some() {
        let found = explain::explain(&rendered, &path, args.key.as_deref()).ok_or_else(|| not_found(args))?;
        if global.is_json() {
            print_json(&json!({ "values": found }));
        } else {
            print_text(&found.iter().map(value_text).collect::<String>());
        }
    } else {
        let key = args.key.as_deref().unwrap_or_default();
        let (place, reached) = explain::reach(&rendered, &path, key).ok_or_else(|| not_found(args))?;
        if global.is_json() {
            print_json(&json!({ "fact": { "key": key, "place": place }, "reached": reached }));
        } else {
            print_text(&reach_text(key, &place, &reached));
        }
    }
    Ok(Exit::Done)
}

fn not_found(args: &Args) -> CommandError {
    let message = match &args.key {
        Some(key) => format!("`{}` has no `{key}`", args.file),
        None => format!("`{}` is not a rendered file", args.file),
    };
    let hint = "name a file below `argocd-apps/`, or one below `environments/` and a key of it".to_owned();
    CommandError::NotFound { message, hint }
}

fn value_text(value: &Provenance) -> String {
    let mut text = format!("{} {}\n", value.file, renderer::schema::text_of(&value.path));
    for line in &value.templates {
        text.push_str(&match &line.expression {
            Some(expression) => format!("  template  {}  {{{{{expression}}}}}\n", line.place),
            None => format!("  template  {}\n", line.place),
        });
    }
    for fact in &value.facts {
        let influence = match fact.influence {
            Influence::Value => "fact    ",
            Influence::Presence => "decides ",
        };
        text.push_str(&format!("  {influence}  {}  {}\n", fact.place, fact.fact));
    }
    text
}

fn reach_text(key: &str, place: &Place, reached: &[Reached]) -> String {
    let mut text = format!("{place}  {key}\n");
    text.extend(reached.iter().map(|place| format!("  {} {}\n", place.file, place.path)));
    if reached.is_empty() {
        text.push_str("  reaches no rendered file\n");
    }
    text
}
