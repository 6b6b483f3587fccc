//! What a file below `templates/` is for: what it is made of, what uses it, and what is rendered from it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::path::RepoPath;
use crate::provenance::templates;
use crate::render::Rendered;

use super::reach::Reached;

/// How a template, a partial, an `addon.yaml` or a file to insert is used.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The file.
    pub file: RepoPath,
    /// The partials that it calls, and the files whose text it inserts.
    pub calls: Vec<RepoPath>,
    /// The templates and partials that call or insert it.
    pub called_by: Vec<RepoPath>,
    /// What is rendered with it.
    #[serde(skip)]
    pub reached: Vec<Reached>,
}

/// Returns how a file below `templates/` is used; nothing if it is none that anything is rendered from.
#[must_use]
pub fn usage(rendered: &Rendered, file: &RepoPath) -> Option<Usage> {
    let catalog = &rendered.catalog;
    let is_addon = catalog.addons.values().any(|addon| addon.origin.file() == file);
    if !is_addon && !catalog.ids.contains_key(file) {
        return None;
    }
    let called_by = callers(catalog, file);
    let sources = with_callers(catalog, file);
    let mut reached = BTreeSet::new();
    for (name, cluster) in &rendered.clusters {
        let written: BTreeSet<_> = cluster.iter_files().map(|file| &file.path).collect();
        let units = templates(catalog, &rendered.inventory, &rendered.inventory.clusters[name]);
        let uses = units.iter().flat_map(|unit| &unit.templates).filter(|template| {
            template.template.is_some_and(|source| sources.contains(source))
                || template.addon.is_some_and(|addon| addon.origin.file() == file)
        });
        let uses = uses.filter(|template| written.contains(&template.writes));
        reached.extend(uses.map(|template| Reached::whole(&template.writes)));
    }
    let calls = catalog.templates.parts(file).cloned().collect();
    Some(Usage { file: file.clone(), calls, called_by, reached: reached.into_iter().collect() })
}

fn callers(catalog: &Catalog, file: &RepoPath) -> Vec<RepoPath> {
    let calls = |source: &&RepoPath| catalog.templates.parts(source).any(|part| part == file);
    catalog.ids.keys().filter(calls).cloned().collect()
}

/// Returns a file with all that call or insert it, at once or through others.
fn with_callers(catalog: &Catalog, file: &RepoPath) -> BTreeSet<RepoPath> {
    let mut found = BTreeSet::from([file.clone()]);
    let mut open = vec![file.clone()];
    while let Some(file) = open.pop() {
        open.extend(callers(catalog, &file).into_iter().filter(|caller| found.insert(caller.clone())));
    }
    found
}
