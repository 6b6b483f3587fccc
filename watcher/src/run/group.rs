//! Groups: which clusters are published together, by one pull request.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use renderer::inventory::Role;
use renderer::path::ClusterName;
use renderer::snapshot::ENVIRONMENTS;
use serde::Serialize;

use super::files::FleetFiles;
use super::pipeline::Steps;
use super::worker::Workers;
use crate::error::CommandError;
use crate::git::{Repository, Revision};

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
    fleet: &'a FleetFiles,
    gone: BTreeMap<ClusterName, Group>,
}

impl<'a> Groups<'a> {
    /// Creates the groups of the clusters of `fleet`, and of those that are published and no longer described.
    pub(super) const fn new(fleet: &'a FleetFiles, gone: BTreeMap<ClusterName, Group>) -> Self {
        Self { fleet, gone }
    }

    pub(super) fn of(&self, cluster: &ClusterName) -> Group {
        match self.fleet.get(cluster) {
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
    /// Returns the groups in which clusters were when they were last described before `base`; nothing if a stop was
    /// requested meanwhile.
    ///
    /// One of which history tells nothing goes with the apps, as all but a few clusters do.
    pub(super) fn groups(
        &mut self,
        (repository, base): (&Repository, Revision),
        clusters: Vec<ClusterName>,
        workers: &mut Workers,
        steps: &dyn Steps,
    ) -> Result<Option<BTreeMap<ClusterName, Group>>, CommandError> {
        let mut groups = BTreeMap::new();
        for cluster in clusters {
            let file = format!("{cluster}.yaml");
            let group = match repository.newest_with_file(base, ENVIRONMENTS, &file)? {
                None => Group::App,
                Some(described) => {
                    let key = (described, cluster.clone());
                    if !self.known.contains_key(&key) {
                        let roles = workers.roles(repository.git_dir(), described, steps)?;
                        let Some(roles) = roles else { return Ok(None) };
                        // Whoever deletes one cluster often deletes several.
                        self.known
                            .extend(roles.into_iter().map(|(name, role)| ((described, name), role.into())));
                    }
                    *self.known.entry(key).or_insert(Group::App)
                }
            };
            groups.insert(cluster, group);
        }
        Ok(Some(groups))
    }
}
