//! `fleetwright clusters`: the fleet as a table, a document or a diagram.

mod mermaid;

use renderer::render::{Rendered, RenderedCluster};
use serde_json::{Value, json};

use super::{Format, Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::output::table::{Row, Table};

use mermaid::diagram;

const HEADINGS: &[&str] =
    &["CLUSTER", "ROLE", "GROUP", "HUB", "MACHINES", "PODS", "SERVICES", "POOL", "ADD-ONS"];

pub(super) fn run(global: &Global) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?)?;
    match global.format {
        Format::Json => {
            let clusters: Vec<_> =
                rendered.clusters.values().map(|cluster| as_json(&rendered, cluster)).collect();
            print_json(&json!({ "clusters": clusters }));
        }
        Format::Mermaid => print_text(&diagram(&rendered)),
        Format::Text | Format::Sarif | Format::Github => {
            let rows = rendered.clusters.values().map(|cluster| row(&rendered, cluster)).collect();
            print_text(&Table { headings: HEADINGS, rows }.text());
        }
    }
    Ok(Exit::Done)
}

/// The merged facts as a template sees them, and what comes of them.
fn as_json(rendered: &Rendered, cluster: &RenderedCluster) -> Value {
    let mut document = rendered.scope(&cluster.name).facts()["cluster"].clone();
    document["group"] = json!(rendered.inventory.group_of(&cluster.name));
    document["addons"] = json!(cluster.addons().collect::<Vec<_>>());
    document["files"] = json!(cluster.files().len());
    document
}

fn row(rendered: &Rendered, cluster: &RenderedCluster) -> Row {
    let described = &rendered.inventory.clusters[&cluster.name];
    let facts = &described.facts;
    let pool = facts.load_balancer.as_ref().map(|load_balancer| load_balancer.pool.to_string());
    let cells = vec![
        cluster.name.to_string(),
        facts.role.as_str().to_owned(),
        rendered.inventory.group_of(&cluster.name).map(ToString::to_string).unwrap_or_default(),
        described.hub.to_string(),
        format!("{}+{}", facts.machines.control_plane.count, facts.machines.workers.count),
        facts.networks.pods.to_string(),
        facts.networks.services.to_string(),
        pool.unwrap_or_else(|| "-".to_owned()),
    ];
    Row { cells, items: cluster.addons().map(ToString::to_string).collect() }
}
