//! Groups: which clusters are published together, by one pull request.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use renderer::inventory::{self, InventoryCache, Role};
use renderer::path::ClusterName;
use renderer::render::Rendered;
use renderer::snapshot::ENVIRONMENTS;
use serde::Serialize;

use crate::git::{BlobCache, GitError, Repository, Revision};

/// Clusters that are published together, by one pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The hubs.
    Control,
    /// The clusters that run workloads.
    App,
}

impl Group {
    /// All groups, in the order in which they are published.
    pub const ALL: [Self; 2] = [Self::Control, Self::App];

    /// Returns the group's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::App => "app",
        }
    }
}

impl From<Role> for Group {
    fn from(role: Role) -> Self {
        match role {
            Role::Control => Self::Control,
            Role::App => Self::App,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The groups of all clusters: of those that are described by their role, of those that are gone by their last one.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    rendered: &'a Rendered,
    gone: BTreeMap<ClusterName, Group>,
}

impl<'a> Groups<'a> {
    /// Finds the groups at `base`; `gone` are the clusters that are published and no longer described.
    pub(super) fn find(
        repository: &Repository,
        base: Revision,
        rendered: &'a Rendered,
        gone: impl Iterator<Item = ClusterName>,
        memory: &mut LastRoles,
    ) -> Result<Self, GitError> {
        let gone = gone
            .map(|cluster| Ok((cluster.clone(), memory.group(repository, base, cluster)?)))
            .collect::<Result<_, GitError>>()?;
        Ok(Self { rendered, gone })
    }

    pub(super) fn of(&self, cluster: &ClusterName) -> Group {
        match self.rendered.clusters.get(cluster) {
            Some(cluster) => cluster.role.into(),
            None => self.gone.get(cluster).copied().unwrap_or(Group::App),
        }
    }
}

/// The last roles of clusters that are gone, as they were read from history.
#[derive(Debug, Default)]
pub(super) struct LastRoles {
    known: HashMap<(Revision, ClusterName), Group>,
}

impl LastRoles {
    /// Returns the group in which a cluster was when it was last described before `base`.
    ///
    /// One of which history tells nothing goes with the apps, as all but a few clusters do.
    fn group(
        &mut self,
        repository: &Repository,
        base: Revision,
        cluster: ClusterName,
    ) -> Result<Group, GitError> {
        let file = format!("{cluster}.yaml");
        let Some(described) = repository.newest_with_file(base, ENVIRONMENTS, &file)? else {
            return Ok(Group::App);
        };
        let key = (described, cluster);
        if let Some(group) = self.known.get(&key) {
            return Ok(*group);
        }
        let (snapshot, _) = repository.snapshot(described, &mut BlobCache::default())?;
        let (inventory, _) = inventory::read(&snapshot, &mut InventoryCache::default());
        // Whoever deletes one cluster often deletes several.
        let all = inventory.clusters.values();
        self.known.extend(all.map(|cluster| ((described, cluster.name.clone()), cluster.facts.role.into())));
        Ok(*self.known.entry(key).or_insert(Group::App))
    }
}
