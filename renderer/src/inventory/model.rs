//! The inventory as data.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::fact::Fact;
use super::facts::{ClusterFile, FleetFile};
use super::groups::{ClusterChoice, Group};
use super::machines::{Node, written_fact};
use super::role::Role;
use crate::key_path::Step;
use crate::path::{ClusterName, GroupName, RepoPath};
use crate::snapshot::SourceId;

/// All facts of the fleet.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The shared facts.
    pub fleet: Arc<Fleet>,
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, Arc<Cluster>>,
    /// Clusters whose own files have problems: that they exist is all that is known of them.
    pub broken: BTreeSet<ClusterName>,
    first: Option<ClusterName>,
}

impl Inventory {
    pub(super) fn new(
        fleet: Fleet,
        clusters: BTreeMap<ClusterName, Arc<Cluster>>,
        broken: BTreeSet<ClusterName>,
    ) -> Self {
        let mut inventory = Self { fleet: Arc::new(fleet), clusters, broken, first: None };
        let place = |cluster: &Cluster| inventory.groups_of(cluster).next().map(|(place, _)| place);
        let served = inventory.clusters.values().filter(|cluster| inventory.hub_of(cluster).is_some());
        inventory.first = served.min_by_key(|cluster| place(cluster)).map(|cluster| cluster.name.clone());
        inventory
    }

    /// Returns the cluster that the files of the whole fleet are rendered with: the first one of the first group.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<Cluster>> {
        self.clusters.get(self.first.as_ref()?)
    }

    /// Returns the hub of a cluster, if it names one that is.
    #[must_use]
    pub fn hub_of(&self, cluster: &Cluster) -> Option<&Arc<Cluster>> {
        self.clusters.get(&cluster.hub).filter(|hub| hub.is_hub())
    }

    /// Returns the group of a cluster; none only for one that is not described, or that a check refuses.
    #[must_use]
    pub fn group_of(&self, cluster: &ClusterName) -> Option<&GroupName> {
        let (_, group) = self.groups_of(self.clusters.get(cluster)?).next()?;
        Some(&group.name)
    }

    /// Returns every group that takes a cluster, with its place in the order.
    pub(crate) fn groups_of<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = (usize, &'a Group)> {
        let groups = &self.fleet.facts.groups;
        let is_chosen = |group: &Group| group.clusters.as_ref().map(|choice| cluster.fits(choice));
        let is_of_others = groups.iter().any(|group| is_chosen(group) == Some(true));
        groups.iter().enumerate().filter(move |(_, group)| is_chosen(group).unwrap_or(!is_of_others))
    }
}

/// The facts that all clusters share.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The typed facts.
    pub facts: FleetFile,
    /// The facts as a template sees them.
    pub view: Json,
    /// The facts with their places.
    pub origin: Fact,
    /// The identity of the content.
    pub id: SourceId,
    /// Whether the file is there and has no problem. Nothing is rendered from facts that are in doubt.
    pub is_valid: bool,
}

/// One cluster with its merged facts.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The name.
    pub name: ClusterName,
    /// The name of its hub; its own name on a hub.
    pub hub: ClusterName,
    /// The file that describes it.
    pub file: Arc<RepoPath>,
    /// The typed facts.
    pub facts: ClusterFile,
    /// The facts as a template sees them, without `addons`.
    pub view: Json,
    /// Its machines that have addresses.
    pub nodes: Vec<Node>,
    /// The merged facts with their places.
    pub origin: Fact,
    /// The files that the facts were merged from, outermost first, with the identities of their contents.
    pub sources: Vec<(RepoPath, SourceId)>,
    /// How much the merged facts take.
    pub(super) weight: usize,
}

impl Cluster {
    /// Returns whether the cluster is a hub: a control cluster that is its own.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        self.hub == self.name && self.facts.role == Role::Control
    }

    /// Returns the path of the fact that what templates see at `path` was made from.
    pub(crate) fn written_fact<'p>(&self, path: &'p [Step]) -> Cow<'p, [Step]> {
        written_fact(&self.nodes, path)
    }

    /// Returns what shows that a cluster of another name is this one: where its API server is, or else all its facts, if
    /// a network is among them. Within a fleet no other cluster has either.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        if let Some(server) = &self.facts.api_server {
            return Some(format!("{}:{}", server.address, server.port));
        }
        self.view.pointer("/networks/pods")?;
        let mut facts = self.view.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|key, value| key != "name" && !(key == "hub" && value == self.name.as_str()));
        }
        Some(blake3::hash(facts.to_string().as_bytes()).to_string())
    }

    /// Returns whether the cluster has one of some roles, if there are any, and all of some labels.
    pub(crate) fn has(&self, roles: &BTreeSet<Role>, labels: &BTreeMap<String, String>) -> bool {
        (roles.is_empty() || roles.contains(&self.facts.role))
            && labels.iter().all(|(key, value)| self.facts.labels.get(key) == Some(value))
    }

    fn fits(&self, ClusterChoice { roles, labels, names }: &ClusterChoice) -> bool {
        self.has(roles, labels) && (names.is_empty() || names.iter().any(|name| name == self.name.as_str()))
    }
}

impl Fleet {
    /// Stands in for facts that can't be read.
    pub(super) fn unknown(file: &Arc<RepoPath>, id: SourceId) -> Self {
        let origin = Fact::empty(file);
        Self { facts: FleetFile::default(), view: json!({}), origin, id, is_valid: false }
    }
}
