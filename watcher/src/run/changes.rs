//! From renderings to the changes that a plan is made of.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::{self, FileChange, MAX_COMPARED_BYTES, Plan, Published};
use renderer::render::{Rendered, RenderedCluster, RenderedFile};
use renderer::snapshot::OUTPUT;

use super::files::{ClusterFiles, FleetFiles, facts_of};
use super::group::Group;
use crate::git::{FileDelta, GitError, Repository};

/// The most that is read of published files that change: several times a large fleet.
const MAX_PUBLISHED_BYTES: usize = 256 << 20;

/// What changes for one group.
#[derive(Debug)]
pub(super) struct GroupPlan {
    pub group: Group,
    /// The files that change.
    pub files: Vec<FileChange>,
    pub plan: Plan,
}

/// Plans what differs from the base branch for each group, in the order of publishing; no group is left out.
pub(super) fn by_group(
    repository: &Repository,
    fleet: &FleetFiles,
    group_of: impl Fn(&ClusterName) -> Group,
    deltas: &[FileDelta],
) -> Result<Vec<GroupPlan>, GitError> {
    let mut changes: BTreeMap<Group, Vec<FileChange>> = Group::ALL.map(|group| (group, Vec::new())).into();
    let mut published = repository.published_files(MAX_COMPARED_BYTES, MAX_PUBLISHED_BYTES);
    for delta in deltas {
        let Some((cluster, addon)) = owner(&delta.path) else { continue };
        let old = delta.old.map(|file| published.read(file)).transpose()?;
        let (path, new) = (delta.path.clone(), delta.new.clone());
        changes.entry(group_of(&cluster)).or_default().push(FileChange { path, cluster, addon, old, new });
    }
    let plan = |(group, files): (Group, Vec<FileChange>)| {
        let clusters = fleet.values().filter(|cluster| group_of(&cluster.name) == group);
        let published = published_files(clusters.map(Arc::as_ref), &files);
        let plan = plan::plan(&files, &published, facts_of(fleet));
        GroupPlan { group, files, plan }
    };
    Ok(changes.into_iter().map(plan).collect())
}

/// Returns what is published of clusters: what is rendered, less what is new, and what is to be deleted.
fn published_files<'a>(
    clusters: impl Iterator<Item = &'a ClusterFiles>,
    changes: &'a [FileChange],
) -> Published {
    let created: HashSet<&RepoPath> =
        changes.iter().filter(|change| change.old.is_none()).map(|change| &change.path).collect();
    let files =
        clusters.flat_map(|cluster| cluster.paths().map(|(path, addon)| (&cluster.name, path, addon)));
    let kept =
        files.filter(|(_, path, _)| !created.contains(path)).map(|(cluster, _, addon)| (cluster, addon));
    let deleted = changes.iter().filter(|change| change.new.is_none());
    kept.chain(deleted.map(|change| (&change.cluster, change.addon.as_ref()))).collect()
}

/// Returns the cluster and the add-on that a rendered file belongs to, by where it stands.
///
/// What stands in no cluster's folder was not rendered, and belongs to no cluster.
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
    let old_files = old.into_iter().flat_map(RenderedCluster::iter_files);
    let mut before: BTreeMap<&RepoPath, &RenderedFile> = old_files.map(|file| (&file.path, file)).collect();
    for file in new.files() {
        let published = before.remove(&file.path).map(|old| Arc::clone(&old.bytes));
        if published.as_ref() != Some(&file.bytes) {
            changes.push(change(new, file, published, Some(Arc::clone(&file.bytes))));
        }
    }
    changes.extend(before.into_values().map(|file| deleted(new, file)));
}

fn deleted(cluster: &RenderedCluster, file: &RenderedFile) -> FileChange {
    change(cluster, file, Some(Arc::clone(&file.bytes)), None)
}

fn change(
    cluster: &RenderedCluster,
    file: &RenderedFile,
    old: Option<Arc<[u8]>>,
    new: Option<Arc<[u8]>>,
) -> FileChange {
    FileChange { path: file.path.clone(), cluster: cluster.name.clone(), addon: file.addon.clone(), old, new }
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
    fn a_file_belongs_to_a_cluster_and_an_addon_by_its_place() {
        let owner_of = |path: &str| {
            let (cluster, addon) = owner(&RepoPath::parse(path).unwrap())?;
            Some((cluster.to_string(), addon.map(|addon| addon.to_string())))
        };
        let addon = Some(("app".to_owned(), Some("metallb".to_owned())));
        let own = Some(("app".to_owned(), None));
        assert_eq!(owner_of("argocd-apps/app/metallb/values.yaml"), addon);
        assert_eq!(owner_of("argocd-apps/app/metallb/manifests/pool.yaml"), addon);
        assert_eq!(owner_of("argocd-apps/app/root.yaml"), own);
        assert_eq!(
            owner_of("argocd-apps/app/more/project.yaml"),
            own,
            "a cluster's own files may have folders"
        );
        assert_eq!(owner_of("argocd-apps/No_Cluster/values.yaml"), None);
        assert_eq!(owner_of("docs/app/values.yaml"), None);
    }
}
