//! From renderings to the changes that a plan is made of.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use renderer::inventory::{Cluster, Groups, Inventory, OwnFacts};
use renderer::path::{AddonName, ClusterName, GroupName, RepoPath};
use renderer::plan::{self, Facts, FileChange, MAX_COMPARED_BYTES, Plan, Published};
use renderer::render::{Rendered, RenderedFile};
use renderer::root::Root;
use serde::{Deserialize, Serialize};

use crate::git::{FileDelta, FolderMemo, GitError, OutputFolder, Repository, Revision};

/// The most that is read of published files that change: several times a large fleet.
const MAX_PUBLISHED_BYTES: usize = 256 << 20;

/// What a revision of the base branch renders to, compared with what is published there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fleet {
    /// The groups, in the order of their release.
    pub order: Groups,
    /// The clusters that are described, with their groups.
    pub groups: BTreeMap<ClusterName, GroupName>,
    /// How many files are rendered.
    pub files: usize,
    published: Published,
    /// What the clusters have of their own of which files change.
    facts: BTreeMap<ClusterName, OwnFacts>,
    /// What identifies the clusters of which files change.
    identities: BTreeMap<ClusterName, String>,
    /// The files that change, by cluster. Their bytes pass between processes beside this.
    #[serde(skip)]
    pub changes: Vec<FileChange>,
}

/// What changes for one group.
#[derive(Debug)]
pub(super) struct GroupPlan {
    pub group: GroupName,
    /// The files that change.
    pub files: Vec<FileChange>,
    pub plan: Plan,
}

impl Fleet {
    /// Compares what is rendered of `base` with what is published there.
    pub(super) fn compare(
        repository: &Repository,
        base: Revision,
        rendered: &Rendered,
        memo: &mut FolderMemo,
    ) -> Result<Self, GitError> {
        let mut published = repository.published_files(MAX_COMPARED_BYTES, MAX_PUBLISHED_BYTES);
        let mut changes = Vec::new();
        for FileDelta { path, old, new } in deltas(repository, base, rendered, memo)? {
            let Some((cluster, addon)) = owner(&path, &rendered.inventory) else { continue };
            let old = old.map(|file| published.read(file)).transpose()?;
            changes.push(FileChange { path, cluster, addon, old, new });
        }
        changes.sort_by(|a, b| (&a.cluster, &a.path).cmp(&(&b.cluster, &b.path)));
        let names: BTreeSet<_> = changes.iter().map(|change| &change.cluster).collect();
        let described: Vec<_> =
            names.into_iter().filter_map(|name| rendered.inventory.clusters.get(name)).collect();
        let identities = described.iter().filter_map(|it| Some((it.name.clone(), it.identity()?)));
        let facts = described.iter().map(|cluster| {
            let hub = rendered.inventory.hub_of(cluster).map(Arc::as_ref);
            (cluster.name.clone(), OwnFacts::of(cluster, hub))
        });
        Ok(Self {
            order: rendered.inventory.fleet.facts.groups.clone(),
            groups: groups(&rendered.inventory),
            files: rendered.file_count(),
            published: before(rendered, &changes),
            facts: facts.collect(),
            identities: identities.collect(),
            changes,
        })
    }

    /// Plans what changes, whatever group it belongs to.
    pub(super) fn plan_of_all(self) -> Plan {
        let facts = self.facts.into_iter().map(|(name, own)| (name, Arc::new(own))).collect();
        plan::plan(&self.changes, &self.published, facts)
    }

    /// Plans what changes for each group, in the order of release; no group is left out. `gone` are clusters that are
    /// described no more, as they were.
    pub(super) fn plan(self, gone: &Members) -> Vec<GroupPlan> {
        let facts: Facts = self.facts.into_iter().map(|(name, own)| (name, Arc::new(own))).collect();
        let identities = gone.iter().filter_map(|(name, it)| Some((name.clone(), it.identity.clone()?)));
        let facts = facts.with_renamed(&identities.collect(), &self.identities);
        let group_of =
            |cluster: &ClusterName| self.groups.get(cluster).or_else(|| Some(&gone.get(cluster)?.group));
        by_group(&self.order.names(), self.changes, &self.published, &facts, group_of)
    }
}

/// A cluster that a revision describes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// The group that it is published with.
    pub group: GroupName,
    /// What shows that a cluster of another name is this one.
    pub identity: Option<String>,
}

/// The clusters that a revision describes.
pub(super) type Members = BTreeMap<ClusterName, Member>;

/// Returns the clusters that are described.
pub(super) fn members(inventory: &Inventory) -> Members {
    let member = |(name, cluster): (&ClusterName, &Arc<Cluster>)| {
        let group = inventory.group_of(name)?.clone();
        Some((name.clone(), Member { group, identity: cluster.identity() }))
    };
    inventory.clusters.iter().filter_map(member).collect()
}

fn groups(inventory: &Inventory) -> BTreeMap<ClusterName, GroupName> {
    let names = inventory.clusters.keys();
    names.filter_map(|name| Some((name.clone(), inventory.group_of(name)?.clone()))).collect()
}

/// Plans what changes for each group, in the order of release; no group is left out.
///
/// What belongs to none of them, since its group is no more for one, goes with the last.
pub(super) fn by_group<'g>(
    order: &[GroupName],
    files: Vec<FileChange>,
    published: &Published,
    facts: &Facts,
    group_of: impl Fn(&ClusterName) -> Option<&'g GroupName>,
) -> Vec<GroupPlan> {
    let position = |cluster: &ClusterName| {
        let known = group_of(cluster).and_then(|group| order.iter().position(|other| other == group));
        known.unwrap_or(order.len() - 1)
    };
    let mut changes = vec![Vec::new(); order.len()];
    for change in files {
        changes[position(&change.cluster)].push(change);
    }
    let plan = |(index, files): (usize, Vec<FileChange>)| {
        let published = published.only(|cluster| position(cluster) == index);
        let plan = plan::plan(&files, &published, facts.clone());
        GroupPlan { group: order[index].clone(), files, plan }
    };
    changes.into_iter().enumerate().map(plan).collect()
}

/// Returns the files that differ from those that are published at `base`.
fn deltas(
    repository: &Repository,
    base: Revision,
    rendered: &Rendered,
    memo: &mut FolderMemo,
) -> Result<Vec<FileDelta>, GitError> {
    let mut found = Vec::new();
    for root in Root::ALL {
        let folders: Vec<_> =
            rendered.clusters.values().filter_map(|cluster| Some((cluster, cluster.folder(root)?))).collect();
        let paths: Vec<_> =
            folders.iter().map(|(_, (path, digest))| OutputFolder { path, digest: *digest }).collect();
        let content = |file: &RenderedFile| (file.path.clone(), Arc::clone(&file.bytes));
        let files_of = |index: usize| folders[index].0.files_in(root).into_iter().map(content).collect();
        found.extend(repository.compare(base, root, &paths, files_of, memo)?);
    }
    Ok(found)
}

/// Returns the published files that are not what is rendered, each with its cluster.
pub(crate) fn not_current(
    repository: &Repository,
    revision: Revision,
    rendered: &Rendered,
) -> Result<Vec<(ClusterName, RepoPath)>, GitError> {
    let found = deltas(repository, revision, rendered, &mut FolderMemo::default())?;
    let owned = |delta: FileDelta| Some((owner(&delta.path, &rendered.inventory)?.0, delta.path));
    Ok(found.into_iter().filter_map(owned).collect())
}

/// Returns what is published of a fleet: what is rendered, less what is new, and what is to be deleted.
fn before(rendered: &Rendered, changes: &[FileChange]) -> Published {
    let created: HashSet<&RepoPath> =
        changes.iter().filter(|change| change.old.is_none()).map(|change| &change.path).collect();
    let kept =
        rendered.clusters.values().flat_map(|cluster| cluster.iter_files().map(move |file| (cluster, file)));
    let kept = kept.filter(|(_, file)| !created.contains(&file.path));
    let deleted = changes.iter().filter(|change| change.new.is_none());
    let kept = kept.map(|(cluster, file)| (&cluster.name, file.addon.as_ref()));
    let published: Published =
        kept.chain(deleted.map(|change| (&change.cluster, change.addon.as_ref()))).collect();
    published.about(changes)
}

/// Returns the cluster and the add-on that a rendered file belongs to, by where it stands.
///
/// What stands in no cluster's folder was not rendered, and belongs to no cluster.
pub(super) fn owner(path: &RepoPath, inventory: &Inventory) -> Option<(ClusterName, Option<AddonName>)> {
    let (root, rest) = Root::of(path.as_str())?;
    if root == Root::Fleet {
        return Some((inventory.first()?.name.clone(), None));
    }
    let (cluster, rest) = rest.split_once('/')?;
    let addon = match rest.split('/').collect::<Vec<_>>()[..] {
        [addon, "values.yaml"] | [addon, "manifests", _] if root == Root::Applications => {
            AddonName::parse(addon).ok()
        }
        _ => None,
    };
    Some((ClusterName::parse(cluster).ok()?, addon))
}

/// Returns the files that differ between two renderings.
pub(crate) fn between(base: &Rendered, head: &Rendered) -> Vec<FileChange> {
    let mut changes: BTreeMap<&RepoPath, FileChange> = BTreeMap::new();
    for (side, other, is_head) in [(base, head, false), (head, base, true)] {
        let digest = |name: &ClusterName| other.clusters.get(name).map(|cluster| cluster.digest);
        for cluster in side.clusters.values().filter(|cluster| digest(&cluster.name) != Some(cluster.digest))
        {
            for file in cluster.iter_files() {
                let change = changes.entry(&file.path).or_insert_with(|| FileChange {
                    path: file.path.clone(),
                    cluster: cluster.name.clone(),
                    addon: file.addon.clone(),
                    old: None,
                    new: None,
                });
                let bytes = if is_head { &mut change.new } else { &mut change.old };
                *bytes = Some(Arc::clone(&file.bytes));
            }
        }
    }
    changes.into_values().filter(|change| change.old != change.new).collect()
}

/// Plans what changes from one rendering to another.
pub(crate) fn plan_between(base: &Rendered, head: &Rendered, facts: Facts) -> Plan {
    plan::plan(&between(base, head), &published(base), facts)
}

/// Returns what a rendering publishes.
pub(crate) fn published(rendered: &Rendered) -> Published {
    let clusters = rendered.clusters.values();
    clusters
        .flat_map(|cluster| cluster.iter_files().map(|file| (&cluster.name, file.addon.as_ref())))
        .collect()
}

#[cfg(test)]
mod tests {
    use renderer::inventory::{self, InventoryCache};
    use renderer::snapshot::{Source, SourceId};

    use super::*;

    #[test]
    fn a_file_belongs_to_a_cluster_and_an_addon_by_its_place() {
        let files = [(
            "environments/hub.yaml",
            "role: control\nnetworks: {pods: 10.0.0.0/16, services: 10.1.0.0/16}\n",
        )];
        let source = |text: &str| Source { id: SourceId([0; 20]), bytes: text.as_bytes().into() };
        let files = files.map(|(path, text)| (RepoPath::parse(path).unwrap(), source(text)));
        let (inventory, _) = inventory::read(&files.into_iter().collect(), &mut InventoryCache::default());
        let owner_of = |path: &str| {
            let (cluster, addon) = owner(&RepoPath::parse(path).unwrap(), &inventory)?;
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
        assert_eq!(owner_of("infra/clusters/app/hosts"), own);
        assert_eq!(owner_of("infra/clusters/app/metallb/values.yaml"), own, "no add-on has files there");
        assert_eq!(owner_of("infra/fleet/hosts"), Some(("hub".to_owned(), None)), "the first cluster");
        assert_eq!(owner_of("infra/terraform/main.tf"), None);
        assert_eq!(owner_of("argocd-apps/No_Cluster/values.yaml"), None);
        assert_eq!(owner_of("docs/app/values.yaml"), None);
    }
}
