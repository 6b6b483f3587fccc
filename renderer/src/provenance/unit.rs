//! What is rendered for a cluster from which templates.

use crate::catalog::{ACCEPTABLE, Addon, Catalog, VALUES_FILE};
use crate::checks::{DocumentKind, Finding, Part, Spot};
use crate::inventory::Cluster;
use crate::key_path::text_of;
use crate::path::{ClusterName, RepoPath};
use crate::snapshot::OUTPUT;

/// The templates of a unit.
#[derive(Debug)]
pub struct UnitTemplates<'a> {
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
}

/// Returns what is rendered for a cluster: its add-ons, then its own files.
pub(crate) fn templates<'a>(catalog: &'a Catalog, cluster: &Cluster) -> Vec<UnitTemplates<'a>> {
    let addons = catalog.addons.values().filter(|addon| addon.is_on(cluster));
    let mut units: Vec<_> = addons.map(|addon| addon_templates(addon, cluster)).collect();
    let folder = output_folder(&cluster.name);
    let own = catalog.cluster_templates.iter().map(|(written, template)| UnitTemplate {
        writes: folder.join(written.as_str()).expect("both are paths"),
        template: Some(template),
        addon: None,
        kind: DocumentKind::Object,
    });
    units.push(UnitTemplates { addon: None, templates: own.collect() });
    units
}

fn addon_templates<'a>(addon: &'a Addon, cluster: &Cluster) -> UnitTemplates<'a> {
    let folder = output_folder(&cluster.name).join(addon.name.as_str()).expect("a name is a file name");
    let templates = addon.files().map(|(name, template)| UnitTemplate {
        writes: folder.join(&name).expect("a file name"),
        template,
        addon: Some(addon),
        kind: if name == VALUES_FILE { DocumentKind::Values } else { DocumentKind::Object },
    });
    UnitTemplates { addon: Some(addon), templates: templates.collect() }
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

/// Returns the folder that a cluster's files are rendered into.
#[must_use]
pub fn output_folder(cluster: &ClusterName) -> RepoPath {
    RepoPath::parse(&format!("{OUTPUT}/{cluster}")).expect("a cluster's name is a file name")
}
