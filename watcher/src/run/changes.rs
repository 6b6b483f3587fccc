//! From renderings to the changes that a plan is made of.

use std::sync::Arc;

use renderer::path::RepoPath;
use renderer::plan::{FileChange, Published};
use renderer::render::{Rendered, RenderedCluster, RenderedFile};

/// Returns the files that differ between two renderings.
#[must_use]
pub fn between(base: &Rendered, head: &Rendered) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (name, cluster) in &head.clusters {
        match base.clusters.get(name) {
            Some(old) if old.digest == cluster.digest => {}
            old => compare(old.map(Arc::as_ref), cluster, &mut changes),
        }
    }
    for cluster in base.clusters.values().filter(|cluster| !head.clusters.contains_key(&cluster.name)) {
        changes.extend(cluster.files().into_iter().map(|file| deleted(cluster, file)));
    }
    changes
}

fn compare(old: Option<&RenderedCluster>, new: &RenderedCluster, changes: &mut Vec<FileChange>) {
    let mut before: std::collections::BTreeMap<&RepoPath, &RenderedFile> = old
        .map(RenderedCluster::files)
        .unwrap_or_default()
        .into_iter()
        .map(|file| (&file.path, file))
        .collect();
    for file in new.files() {
        let published = before.remove(&file.path);
        if published.is_none_or(|old| old.bytes != file.bytes) {
            changes.push(FileChange {
                path: file.path.clone(),
                cluster: new.name.clone(),
                addon: file.addon.clone(),
                old: published.map(|old| Arc::clone(&old.bytes)),
                new: Some(Arc::clone(&file.bytes)),
            });
        }
    }
    changes.extend(before.into_values().map(|file| deleted(new, file)));
}

fn deleted(cluster: &RenderedCluster, file: &RenderedFile) -> FileChange {
    FileChange {
        path: file.path.clone(),
        cluster: cluster.name.clone(),
        addon: file.addon.clone(),
        old: Some(Arc::clone(&file.bytes)),
        new: None,
    }
}

/// Returns what a rendering publishes.
#[must_use]
pub fn published(rendered: &Rendered) -> Published {
    let files = rendered
        .clusters
        .values()
        .flat_map(|cluster| cluster.files().into_iter().map(|file| (&cluster.name, file.addon.as_ref())));
    files.collect()
}
