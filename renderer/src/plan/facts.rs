//! What is known of the clusters of a plan, by which the same change is recognised on clusters whose names
//! and addresses are not the same, and an edited fact behind what it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::inventory::{Inventory, OwnFacts};
use crate::key_path::text_of;
use crate::path::ClusterName;
use crate::tree::{Tree, leaves};

/// What the clusters of a plan have of their own, and which facts were edited, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    own: BTreeMap<ClusterName, Arc<OwnFacts>>,
    /// The paths of the facts that went from one text to another.
    edited: BTreeMap<(String, String), BTreeSet<String>>,
}

impl FromIterator<(ClusterName, Arc<OwnFacts>)> for Facts {
    fn from_iter<I: IntoIterator<Item = (ClusterName, Arc<OwnFacts>)>>(own: I) -> Self {
        Self { own: own.into_iter().collect(), edited: BTreeMap::new() }
    }
}

impl Facts {
    /// Returns what the clusters of `new` have of their own, and which facts were edited since `old`.
    #[must_use]
    pub fn between(old: &Inventory, new: &Inventory) -> Self {
        let own = new.clusters.iter().map(|(name, cluster)| {
            let hub = new.hub_of(cluster).map(Arc::as_ref);
            (name.clone(), Arc::new(OwnFacts::of(cluster, hub)))
        });
        let mut facts: Self = own.collect();
        facts.edit(&old.fleet.view, &new.fleet.view);
        for (name, cluster) in &new.clusters {
            if let Some(old) = old.clusters.get(name) {
                facts.edit(&old.view, &cluster.view);
            }
        }
        facts
    }

    fn edit(&mut self, old: &Json, new: &Json) {
        for (path, new) in leaves(new) {
            let old = old.at(&path).and_then(text);
            if let Some(edit) = old.zip(text(new)).filter(|(old, new)| old != new) {
                self.edited.entry(edit).or_default().insert(text_of(&path));
            }
        }
    }

    /// Returns the path of the fact that went from one text to another, if it was one alone.
    pub(super) fn edited(&self, old: &str, new: &str) -> Option<&str> {
        let paths = self.edited.get(&(old.to_owned(), new.to_owned()))?;
        paths.first().filter(|_| paths.len() == 1).map(String::as_str)
    }

    /// Returns what a cluster has of its own, which is its name at least.
    pub(super) fn own(&self, cluster: &ClusterName) -> Arc<OwnFacts> {
        self.own.get(cluster).map_or_else(|| Arc::new(OwnFacts::named(cluster, "")), Arc::clone)
    }
}

fn text(fact: &Json) -> Option<String> {
    match fact {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
