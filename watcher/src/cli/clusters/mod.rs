//! `fleetwright clusters`: the fleet as a table, a document or a diagram.

mod mermaid;

use std::collections::BTreeSet;

use renderer::deployed;
use renderer::inventory::{Cluster, Machine, Node, Resources};
use renderer::path::{AddonName, ClusterName};
use renderer::plural::counted;
use renderer::render::{Rendered, RenderedCluster};
use serde_json::{Value, json};

use super::options::ProfileArgs;
use super::{Format, Global, print_json, print_text};
use crate::error::CommandError;
use crate::output::Exit;
use crate::output::table::{Row, Table};

use mermaid::diagram;

const HEADINGS: &[&str] = &[
    "CLUSTER", "ROLE", "GROUP", "HUB", "MACHINES", "CPUS", "MEMORY", "DISK", "PODS", "SERVICES", "POOL",
    "ADD-ONS",
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?, &args.profile)?;
    match global.format {
        Format::Json => {
            let clusters: Vec<_> =
                rendered.clusters.values().map(|cluster| as_json(&rendered, cluster)).collect();
            let (outside, all) = (outside(&rendered), total(&rendered));
            print_json(&json!({ "clusters": clusters, "outside": outside, "total": all }));
        }
        Format::Mermaid => print_text(&diagram(&rendered)),
        Format::Text | Format::Sarif | Format::Github | Format::Html => {
            let published = deployed::publishing(&rendered);
            let rows = rendered.clusters.values().map(|it| row(&rendered, it, &published)).collect();
            print_text(&Table { headings: HEADINGS, rows }.text());
            print_text(&in_sum(&rendered));
        }
    }
    Ok(Exit::Done)
}

/// The merged facts as a template sees them, and what comes of them.
fn as_json(rendered: &Rendered, cluster: &RenderedCluster) -> Value {
    let mut document = rendered.scope(&cluster.name).facts()["cluster"].clone();
    document["group"] = json!(rendered.inventory.group_of(&cluster.name));
    document["addons"] = json!(cluster.addons().collect::<Vec<_>>());
    let published = deployed::publishing(rendered).into_iter().filter(|(of, _)| *of == cluster.name);
    document["manifests"] = published.map(|(_, addon)| json!(addon)).collect();
    document["files"] = json!(cluster.files().len());
    document["resources"] = json!(resources(&rendered.inventory.clusters[&cluster.name]));
    document
}

fn resources(cluster: &Cluster) -> Resources {
    cluster.nodes.iter().map(Node::resources).sum()
}

/// What the machines outside the clusters take that are made from the inventory.
fn outside(rendered: &Rendered) -> Resources {
    rendered.inventory.fleet.facts.machines.values().filter_map(Machine::resources).sum()
}

fn total(rendered: &Rendered) -> Resources {
    let clusters = rendered.inventory.clusters.values().map(|cluster| resources(cluster));
    clusters.chain([outside(rendered)]).sum()
}

/// What one computer that holds all machines needs; nothing where no machine is described.
fn in_sum(rendered: &Rendered) -> String {
    let (outside, all) = (outside(rendered), total(rendered));
    if all.machines == 0 {
        return String::new();
    }
    let machines = counted(all.machines, "machine");
    let cpus = counted(all.cpus, "CPU");
    let [memory, disk] = [all.memory_mebibytes, all.disk_mebibytes].map(amount);
    let besides = match outside.machines {
        0 => String::new(),
        count => format!(", {count} of them outside the clusters"),
    };
    format!("\n{machines}{besides}: {cpus}, {memory} of memory, {disk} of disk\n")
}

/// An amount as the inventory writes it.
fn amount(mebibytes: u64) -> String {
    match mebibytes {
        0 => "-".to_owned(),
        whole if whole % 1024 == 0 => format!("{}Gi", whole / 1024),
        rest => format!("{rest}Mi"),
    }
}

fn row(
    rendered: &Rendered,
    cluster: &RenderedCluster,
    published: &BTreeSet<(ClusterName, AddonName)>,
) -> Row {
    let described = &rendered.inventory.clusters[&cluster.name];
    let (facts, taken) = (&described.facts, resources(described));
    let pool = facts.load_balancer.as_ref().map(|load_balancer| load_balancer.pool.to_string());
    let cells = vec![
        cluster.name.to_string(),
        facts.role.as_str().to_owned(),
        rendered.inventory.group_of(&cluster.name).map(ToString::to_string).unwrap_or_default(),
        described.hub.to_string(),
        format!("{}+{}", facts.machines.control_plane.count, facts.machines.workers.count),
        if taken.cpus == 0 { "-".to_owned() } else { taken.cpus.to_string() },
        amount(taken.memory_mebibytes),
        amount(taken.disk_mebibytes),
        facts.networks.pods.to_string(),
        facts.networks.services.to_string(),
        pool.unwrap_or_else(|| "-".to_owned()),
    ];
    let shown = |addon: &AddonName| {
        let is_published = published.contains(&(cluster.name.clone(), addon.clone()));
        if is_published { format!("{addon} (manifests)") } else { addon.to_string() }
    };
    Row { cells, items: cluster.addons().map(shown).collect() }
}
