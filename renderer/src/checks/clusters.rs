//! What the documents of one cluster, and those of all, do outside themselves: what checks of clusters and of
//! flows judge.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::catalog::Addon;
use crate::checks::{Ends, Finding, Footprint, MeshPart, NameUse, Names, Provided, Spot};
use crate::inventory::Cluster;
use crate::path::{ClusterName, RepoPath};

/// What every rendered document does outside itself, by cluster.
pub struct Flows<'a> {
    /// The clusters with what their documents do. One that could not be rendered is not here.
    pub clusters: BTreeMap<ClusterName, ClusterFlows<'a>>,
    /// The clusters of which it is not known what they do, each with its hub if that is known: they have
    /// problems of their own.
    pub unknown: Vec<Option<ClusterName>>,
    /// The addresses of machines outside every cluster.
    pub machines: Vec<IpAddr>,
    /// Whether the fleet names the networks that people come from: then each exposed address has to be limited.
    pub names_operators: bool,
    /// Whether to go on: called often, since much may have to be compared with much.
    pub may_go_on: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Flows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").field("clusters", &self.clusters).finish_non_exhaustive()
    }
}

impl<'a> Flows<'a> {
    /// Returns whether it is known what each cluster of a hub does. If not, nothing can be said to be missing there.
    pub(super) fn is_whole(&self, hub: &ClusterName) -> bool {
        self.unknown.iter().all(|unknown| unknown.as_ref().is_some_and(|unknown| unknown != hub))
    }

    /// Returns the clusters one after the other, for as long as the checks may go on.
    pub(super) fn each(&self) -> impl Iterator<Item = &ClusterFlows<'a>> {
        self.clusters.values().take_while(|_| (self.may_go_on)())
    }
}

/// What one cluster's documents do outside themselves.
#[derive(Debug)]
pub struct ClusterFlows<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The documents that do something: file, place in it, and what they do.
    pub documents: Vec<(&'a RepoPath, Spot, &'a Footprint)>,
    /// The documents that name something.
    pub names: &'a [DocumentNames],
    /// Which of the documents have ends of flows, and which say something of the mesh: few do, and each check
    /// looks at them.
    with_ends: Vec<usize>,
    with_mesh: Vec<usize>,
}

/// The names in one document.
#[derive(Clone, Debug)]
pub struct DocumentNames {
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it.
    pub document: Spot,
    /// The names.
    pub names: Arc<Names>,
}

/// What one cluster's documents do outside themselves, with the add-ons that they belong to and the other clusters.
#[derive(Debug)]
pub struct ClusterContent<'a> {
    /// What the documents do.
    pub flows: &'a ClusterFlows<'a>,
    /// What those of all clusters do.
    pub all: &'a Flows<'a>,
    /// The add-ons that run on the cluster.
    pub addons: Vec<&'a Addon>,
    /// Whether these are all final objects of the cluster: then it is not guessed what charts bring.
    pub is_final: bool,
}

/// A finding in a rendered file of some cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFinding {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it.
    pub document: Spot,
    /// What is wrong where.
    pub finding: Finding,
}

/// Returns the cluster that something rendered for a cluster is applied to: its own files are on the hub.
pub(crate) fn lands_on(cluster: &Cluster, is_on_hub: bool) -> &ClusterName {
    if is_on_hub { &cluster.hub } else { &cluster.name }
}

impl<'a> ClusterFlows<'a> {
    /// Sorts the documents of a cluster by what they do.
    pub(crate) fn new(
        cluster: &'a Cluster,
        documents: Vec<(&'a RepoPath, Spot, &'a Footprint)>,
        names: &'a [DocumentNames],
    ) -> Self {
        let indices = |has: fn(&Footprint) -> bool| {
            let all = documents.iter().enumerate();
            all.filter(|(_, (_, _, footprint))| has(footprint)).map(|(at, _)| at).collect()
        };
        let with_ends = indices(|footprint| !footprint.ends.is_empty());
        let with_mesh = indices(|footprint| footprint.mesh.is_some());
        Self { cluster, documents, names, with_ends, with_mesh }
    }

    pub(super) fn finding(&self, file: &RepoPath, document: Spot, finding: Finding) -> FlowFinding {
        FlowFinding { cluster: self.cluster.name.clone(), file: file.clone(), document, finding }
    }

    /// Judges the names that the cluster's documents use.
    pub(super) fn judge_names(&self, mut judge: impl FnMut(&NameUse) -> Option<Finding>) -> Vec<FlowFinding> {
        let used = self.names.iter().flat_map(|it| it.names.used.iter().map(move |used| (it, used)));
        used.filter_map(|(it, used)| Some(self.finding(&it.file, it.document, judge(used)?))).collect()
    }

    /// Returns what the cluster's documents provide.
    pub(super) fn provided(&self) -> impl Iterator<Item = &Provided> {
        self.names.iter().flat_map(|document| &document.names.provided)
    }

    /// Returns the ends of flows with the documents that they stand in.
    pub(super) fn all_ends(&self) -> impl Iterator<Item = (usize, &Ends)> {
        self.with_ends.iter().flat_map(|at| self.documents[*at].2.ends.iter().map(move |ends| (*at, ends)))
    }

    /// Returns what is said of the mesh with the documents that say it.
    pub(super) fn mesh_parts(&self) -> impl Iterator<Item = (usize, &MeshPart)> {
        self.with_mesh.iter().filter_map(|at| Some((*at, self.documents[*at].2.mesh.as_deref()?)))
    }

    /// Places a finding in the document at a place of [`Self::documents`].
    pub(super) fn finding_in(&self, at: usize, finding: Finding) -> FlowFinding {
        let (file, document, _) = self.documents[at];
        self.finding(file, document, finding)
    }
}
