//! The inventory and the catalog side by side, with what every cluster needs of them worked out once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Catalog, GUESSES_ON_VALUES};
use crate::checks::DocumentKind;
use crate::inventory::{Cluster, Inventory};
use crate::path::ClusterName;
use crate::problem::Problem;
use crate::provenance::{ClusterScope, PlacedAddon};
use crate::root::Root;

use super::digest::{self, Digest};
use super::memory::Memory;

/// What clusters are rendered from.
pub(super) struct Sources<'a> {
    pub inventory: &'a Inventory,
    pub catalog: &'a Catalog,
    spokes: HashMap<&'a ClusterName, Vec<&'a Cluster>>,
    shared: Digest,
    templates: Digest,
    /// Whether the final objects are judged, too.
    pub has_objects: bool,
    /// What earlier processes have rendered.
    pub memory: Option<&'a dyn Memory>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(inventory: &'a Inventory, catalog: &'a Catalog) -> Self {
        let mut spokes: HashMap<_, Vec<_>> = HashMap::new();
        for cluster in inventory.clusters.values().filter(|cluster| !cluster.is_hub()) {
            spokes.entry(&cluster.hub).or_default().push(Arc::as_ref(cluster));
        }
        let shared = digest::of_shared(&inventory.fleet, catalog);
        let templates = digest::of_templates(catalog);
        Self { inventory, catalog, spokes, shared, templates, has_objects: false, memory: None }
    }

    /// Returns whether what a check finds in a document of a kind is told better by final objects.
    pub(super) fn is_for_objects(&self, check: &str, kind: DocumentKind) -> bool {
        self.has_objects && kind == DocumentKind::Values && GUESSES_ON_VALUES.contains(&check)
    }

    /// Returns all clusters, for the one that the files of the whole fleet are rendered with, if there are any.
    fn fleet(&self, cluster: &Cluster) -> Vec<&'a Cluster> {
        let is_first = self.inventory.first().is_some_and(|first| first.name == cluster.name);
        let is_needed = is_first && self.catalog.own(Root::Fleet).next().is_some();
        self.inventory.clusters.values().filter(|_| is_needed).map(Arc::as_ref).collect()
    }

    fn spokes(&self, cluster: &Cluster) -> &[&'a Cluster] {
        self.spokes.get(&cluster.name).map_or(&[], Vec::as_slice)
    }

    /// Returns what the templates of a cluster see.
    pub(super) fn scope(&self, cluster: &'a Cluster) -> Result<ClusterScope<'a>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut addons = Vec::new();
        for addon in self.catalog.addons.values().filter(|addon| addon.is_on(cluster)) {
            match addon.settings(cluster) {
                Ok(settings) => {
                    let (chart, publish) = (addon.chart_on(cluster), addon.publish_on(cluster));
                    addons.push(PlacedAddon { addon, chart, publish, settings });
                }
                Err(found) => problems.extend(found),
            }
        }
        addons.sort_by(|a, b| (a.addon.facts.wave, &a.addon.name).cmp(&(b.addon.facts.wave, &b.addon.name)));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(ClusterScope {
            cluster,
            hub: &self.inventory.clusters[&cluster.hub],
            spokes: self.spokes(cluster).to_vec(),
            fleet: &self.inventory.fleet,
            clusters: self.fleet(cluster),
            addons,
            catalog: self.catalog,
        })
    }

    /// Returns the identity of every fact that a template of the cluster may read.
    pub(super) fn facts_digest(&self, cluster: &Cluster) -> Digest {
        let hub = self.inventory.clusters[&cluster.hub].as_ref();
        let served = self.spokes(cluster).iter().copied().chain(self.fleet(cluster));
        digest::of_facts(&self.shared, [cluster, hub].into_iter().chain(served))
    }

    /// Returns what a cluster is remembered by: what passes where the final objects are judged may not pass elsewhere.
    pub(super) fn key(&self, inputs: &Digest) -> Digest {
        digest::of([inputs.as_slice(), &[u8::from(self.has_objects)]].into_iter())
    }

    /// Returns the identity of all facts and templates that a cluster's files could depend on.
    pub(super) fn inputs(&self, facts: &Digest) -> Digest {
        digest::of([facts.as_slice(), self.templates.as_slice()].into_iter())
    }
}
