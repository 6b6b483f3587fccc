//! From renderings to the changes that a plan is made of.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::{Facts, FileChange, MAX_COMPARED_BYTES, Published};
use renderer::render::{Rendered, RenderedCluster, RenderedFile};
use renderer::snapshot::OUTPUT;

use super::files::{FleetFiles, facts_of};
use super::group::{Group, Groups};
use crate::git::{FileDelta, GitError, Repository};

/// The most that is read of published files that change: several times a large fleet.
const MAX_PUBLISHED_BYTES: usize = 256 << 20;

/// What changes for one group, and of what.
#[derive(Debug, Default)]
pub(super) struct GroupChanges {
    /// The files that change.
    pub files: Vec<FileChange>,
    /// What is published now.
    pub published: Published,
    /// What the clusters of the fleet have of their own.
    pub facts: Facts,
}

/// Sorts what differs from the base branch by the groups that it is published with; no group is left out.
pub(super) fn by_group(
    repository: &Repository,
    fleet: &FleetFiles,
    groups: &Groups<'_>,
    deltas: &[FileDelta],
) -> Result<BTreeMap<Group, GroupChanges>, GitError> {
    let mut changes: BTreeMap<Group, GroupChanges> =
        Group::ALL.into_iter().map(|group| (group, GroupChanges::default())).collect();
    let mut published = repository.published_files(MAX_COMPARED_BYTES, MAX_PUBLISHED_BYTES);
    for delta in deltas {
        let Some((cluster, addon)) = owner(&delta.path) else { continue };
        let old = delta.old.map(|file| published.read(file)).transpose()?;
        let (path, new) = (delta.path.clone(), delta.new.clone());
        changes.entry(groups.of(&cluster)).or_default().files.push(FileChange {
            path,
            cluster,
            addon,
            old,
            new,
        });
    }
    for (group, changes) in &mut changes {
        changes.published = published_of_group(fleet, groups, *group, &changes.files);
        changes.facts = facts_of(fleet);
    }
    Ok(changes)
}

/// Returns what is published of a group: what is rendered, less what is new, and what is to be deleted.
fn published_of_group(
    fleet: &FleetFiles,
    groups: &Groups<'_>,
    group: Group,
    changes: &[FileChange],
) -> Published {
    let created: HashSet<&RepoPath> =
        changes.iter().filter(|change| change.old.is_none()).map(|change| &change.path).collect();
    let clusters = fleet.values().filter(|cluster| groups.of(&cluster.name) == group);
    let files =
        clusters.flat_map(|cluster| cluster.paths().map(|(path, addon)| (&cluster.name, path, addon)));
    let kept = files.filter(|(_, path, _)| created.is_empty() || !created.contains(path));
    let kept = kept.map(|(cluster, _, addon)| (cluster, addon));
    let deleted = changes.iter().filter(|change| change.new.is_none());
    kept.chain(deleted.map(|change| (&change.cluster, change.addon.as_ref()))).collect()
}

/// Returns the cluster and the add-on that a rendered file belongs to, by where it stands.
///
/// What stands in no cluster's folder was not rendered, and is nobody's.
pub(super) fn owner(path: &RepoPath) -> Option<(ClusterName, Option<AddonName>)> {
    let mut parts = path.below(OUTPUT)?.split('/');
    let cluster = ClusterName::parse(parts.next()?).ok()?;
    let addon = match parts.collect::<Vec<_>>()[..] {
        [addon, "values.yaml"] | [addon, "manifests", _] => AddonName::parse(addon).ok(),
        _ => None,
    };
    Some((cluster, addon))
}

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
    let mut before: BTreeMap<&RepoPath, &RenderedFile> = old
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
    let clusters = rendered.clusters.values();
    clusters
        .flat_map(|cluster| cluster.iter_files().map(|file| (&cluster.name, file.addon.as_ref())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_place_tells_its_cluster_and_its_addon() {
        let told = |path: &str| {
            let (cluster, addon) = owner(&RepoPath::parse(path).unwrap())?;
            Some((cluster.to_string(), addon.map(|addon| addon.to_string())))
        };
        let addon = Some(("app".to_owned(), Some("metallb".to_owned())));
        let own = Some(("app".to_owned(), None));
        assert_eq!(told("argocd-apps/app/metallb/values.yaml"), addon);
        assert_eq!(told("argocd-apps/app/metallb/manifests/pool.yaml"), addon);
        assert_eq!(told("argocd-apps/app/root.yaml"), own);
        assert_eq!(told("argocd-apps/app/more/project.yaml"), own, "a cluster's own files may have folders");
        assert_eq!(told("argocd-apps/No_Cluster/values.yaml"), None);
        assert_eq!(told("docs/app/values.yaml"), None);
    }
}
