//! What is known of the clusters of a plan, by which the same change is recognised on clusters whose names
//! and addresses are not the same, and an edited fact behind what it changes.

use std::borrow::Cow;
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
    /// The clusters that are described under another name, by their old names.
    pub(super) renamed: BTreeMap<ClusterName, ClusterName>,
}

impl FromIterator<(ClusterName, Arc<OwnFacts>)> for Facts {
    fn from_iter<I: IntoIterator<Item = (ClusterName, Arc<OwnFacts>)>>(own: I) -> Self {
        Self { own: own.into_iter().collect(), ..Self::default() }
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
        let identities = |of: &Inventory, other: &Inventory| {
            let own = of.clusters.iter().filter(|(name, _)| !other.clusters.contains_key(*name));
            own.filter_map(|(name, cluster)| Some((name.clone(), cluster.identity()?))).collect()
        };
        facts.with_renamed(&identities(old, new), &identities(new, old))
    }

    /// Notes which clusters that are gone are described under a new name, by what identifies them.
    #[must_use]
    pub fn with_renamed(
        mut self,
        gone: &BTreeMap<ClusterName, String>,
        new: &BTreeMap<ClusterName, String>,
    ) -> Self {
        for (old, identity) in gone {
            let mut same = new.iter().filter(|(_, of)| *of == identity);
            if let (Some((new, _)), None) = (same.next(), same.next()) {
                self.renamed.insert(old.clone(), new.clone());
            }
        }
        self
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

    /// Returns a text with what is a cluster's own in it replaced by what that stands for.
    #[must_use]
    pub fn general<'t>(&self, cluster: &ClusterName, text: &'t str) -> Cow<'t, str> {
        self.own(cluster).general(text)
    }

    /// Returns what a cluster has of its own, which is its name at least.
    pub(crate) fn own(&self, cluster: &ClusterName) -> Arc<OwnFacts> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_renamed_if_one_new_cluster_alone_is_the_same() {
        let clusters = |text: &str| -> BTreeMap<ClusterName, String> {
            let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, of)| (ClusterName::parse(name).unwrap(), of.to_owned())).collect()
        };
        for (gone, new, renamed) in [
            ("a=1", "b=1", "a→b"),
            ("a=1", "b=2", ""),
            ("a=1", "", ""),
            ("a=1", "b=1 c=1", ""),
            ("a=1 b=2", "c=2 d=1", "a→d b→c"),
        ] {
            let facts = Facts::default().with_renamed(&clusters(gone), &clusters(new));
            let found: Vec<_> = facts.renamed.iter().map(|(old, new)| format!("{old}→{new}")).collect();
            assert_eq!(found.join(" "), renamed, "{gone} {new}");
        }
    }
}
