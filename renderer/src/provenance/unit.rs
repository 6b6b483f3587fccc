//! What is rendered for a cluster from which templates.

use crate::catalog::{ACCEPTABLE, Addon, Catalog, VALUES_FILE};
use crate::checks::{DocumentKind, Finding, Part, Spot};
use crate::inventory::{Cluster, Inventory};
use crate::key_path::text_of;
use crate::path::RepoPath;
use crate::root::Root;

/// The templates of a unit.
#[derive(Debug)]
pub struct UnitTemplates<'a> {
    /// Where the files stand.
    pub root: Root,
    /// The add-on; none for the cluster's own files.
    pub addon: Option<&'a Addon>,
    /// What is written from what.
    pub templates: Vec<UnitTemplate<'a>>,
}

/// A file to write and the template that it comes from.
#[derive(Clone, Debug)]
pub struct UnitTemplate<'a> {
    /// The file.
    pub writes: RepoPath,
    /// The template; none for the values of an add-on that has only what clusters set.
    pub template: Option<&'a RepoPath>,
    /// The add-on that it belongs to.
    pub addon: Option<&'a Addon>,
    /// What the file holds.
    pub kind: DocumentKind,
    /// The path in the facts of the machine that it is for.
    pub machine: Option<Vec<String>>,
}

/// What stands in the name of a file that is rendered once for each machine.
const MACHINE: &str = "{machine}";

/// Returns what is rendered for a cluster: its add-ons, then its own files, and those of the fleet with the first one.
pub(crate) fn templates<'a>(
    catalog: &'a Catalog,
    inventory: &Inventory,
    cluster: &Cluster,
) -> Vec<UnitTemplates<'a>> {
    let addons = catalog.addons.values().filter(|addon| addon.is_on(cluster));
    let addons = addons.map(|addon| addon_templates(addon, cluster));
    let is_first = || inventory.first().is_some_and(|first| first.name == cluster.name);
    let is_there = |root: &Root| match root {
        Root::Applications => true,
        Root::Machines => !cluster.nodes.is_empty(),
        Root::Fleet => is_first(),
    };
    let roots = Root::ALL.into_iter().filter(is_there);
    addons.chain(roots.map(|root| own_templates(root, catalog, inventory, cluster))).collect()
}

fn own_templates<'a>(
    root: Root,
    catalog: &'a Catalog,
    inventory: &Inventory,
    cluster: &Cluster,
) -> UnitTemplates<'a> {
    let folder = root.folder(&cluster.name);
    let written = |name: &str, template: &'a RepoPath, machine| UnitTemplate {
        writes: folder.join(name).expect("both are paths"),
        template: Some(template),
        addon: None,
        kind: if root == Root::Applications { DocumentKind::Object } else { DocumentKind::Other },
        machine,
    };
    let mut templates = Vec::new();
    for (name, template) in catalog.own(root) {
        if root == Root::Applications || !name.as_str().contains(MACHINE) {
            templates.push(written(name.as_str(), template, None));
            continue;
        }
        let machines = machines(root, inventory, cluster).into_iter();
        templates.extend(
            machines.map(|(machine, path)| {
                written(&name.as_str().replace(MACHINE, &machine), template, Some(path))
            }),
        );
    }
    UnitTemplates { root, addon: None, templates }
}

/// Returns the machines that files in a root are rendered for, each with the path of its facts.
fn machines(root: Root, inventory: &Inventory, cluster: &Cluster) -> Vec<(String, Vec<String>)> {
    let path = |steps: [&str; 3]| steps.map(str::to_owned).to_vec();
    if root == Root::Fleet {
        let machines = &inventory.fleet.facts.machines;
        let made = machines.iter().filter(|(_, machine)| machine.engine.is_some());
        return made.map(|(name, _)| (name.clone(), path(["fleet", "machines", name]))).collect();
    }
    let nodes = cluster.nodes.iter().enumerate();
    nodes.map(|(at, node)| (node.name.clone(), path(["cluster", "nodes", &at.to_string()]))).collect()
}

fn addon_templates<'a>(addon: &'a Addon, cluster: &Cluster) -> UnitTemplates<'a> {
    let root = Root::Applications;
    let folder = root.folder(&cluster.name).join(addon.name.as_str()).expect("a name is a file name");
    let templates = addon.files().map(|(name, template)| UnitTemplate {
        writes: folder.join(&name).expect("a file name"),
        template,
        addon: Some(addon),
        kind: if name == VALUES_FILE { DocumentKind::Values } else { DocumentKind::Object },
        machine: None,
    });
    UnitTemplates { root, addon: Some(addon), templates: templates.collect() }
}

impl UnitTemplate<'_> {
    /// Returns which of the add-on's answers is to a finding, if one is.
    pub(crate) fn answer(&self, spot: Spot, finding: &Finding) -> Option<usize> {
        self.addon?.answer(finding.check, &self.writes, &spot.path_in_file(&finding.path))
    }

    /// Returns the path that an answer to a finding would name.
    pub(crate) fn accept_path(&self, spot: Spot, finding: &Finding) -> Option<String> {
        let is_of_addon = finding.part != Part::ClusterTemplates;
        self.addon.filter(|_| is_of_addon && ACCEPTABLE.contains(&finding.check))?;
        let path = match text_of(&spot.path_in_file(&finding.path)) {
            whole if whole.is_empty() => ".".to_owned(),
            path => path,
        };
        let file = self.writes.components().skip(3).collect::<Vec<_>>().join("/");
        Some(if file == VALUES_FILE { path } else { format!("{file} {path}") })
    }
}
