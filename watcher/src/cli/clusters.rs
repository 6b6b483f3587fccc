//! `fleetwright clusters`: the fleet as a table, a document or a diagram.

use renderer::render::{Rendered, RenderedCluster};
use serde_json::{Value, json};

use super::mermaid::diagram;
use super::{Format, Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;

const HEADINGS: [&str; 8] = ["CLUSTER", "ROLE", "HUB", "MACHINES", "PODS", "SERVICES", "POOL", "ADD-ONS"];

pub(super) fn run(global: &Global) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?)?;
    match global.format {
        Format::Json => {
            let clusters: Vec<_> =
                rendered.clusters.values().map(|cluster| as_json(&rendered, cluster)).collect();
            print_json(&json!({ "clusters": clusters }));
        }
        Format::Mermaid => print_text(&diagram(&rendered)),
        Format::Text => {
            let rows = rendered.clusters.values().map(|cluster| row(&rendered, cluster));
            print_text(&table(std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect()));
        }
    }
    Ok(Exit::Done)
}

/// The merged facts as a template sees them, and what comes of them.
fn as_json(rendered: &Rendered, cluster: &RenderedCluster) -> Value {
    let mut document = rendered.scope(&cluster.name).facts()["cluster"].clone();
    document["addons"] = json!(cluster.addons().collect::<Vec<_>>());
    document["files"] = json!(cluster.files().len());
    document
}

fn row(rendered: &Rendered, cluster: &RenderedCluster) -> [String; 8] {
    let described = &rendered.inventory.clusters[&cluster.name];
    let facts = &described.facts;
    let addons: Vec<_> = cluster.addons().map(ToString::to_string).collect();
    [
        cluster.name.to_string(),
        facts.role.as_str().to_owned(),
        described.hub.to_string(),
        format!("{}+{}", facts.machines.control_plane.count, facts.machines.workers.count),
        facts.networks.pods.to_string(),
        facts.networks.services.to_string(),
        facts
            .load_balancer
            .as_ref()
            .map_or_else(|| "-".to_owned(), |load_balancer| load_balancer.pool.to_string()),
        addons.join(","),
    ]
}

fn table(rows: Vec<[String; 8]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..HEADINGS.len()).map(width).collect();
    let line = |row: [String; 8]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.into_iter().map(line).collect()
}
