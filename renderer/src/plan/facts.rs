//! What is known of the clusters of a plan, by which the same change is recognised on clusters whose names and addresses are not
//! the same, and an edited fact behind what it changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Change, ObjectName, Step};
use crate::inventory::{Inventory, OwnFacts};
use crate::path::ClusterName;
use crate::yaml::Value;

/// What the clusters of a plan have of their own, and which facts were edited, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    own: BTreeMap<ClusterName, Arc<OwnFacts>>,
    /// The paths of the facts that went from one text to another.
    edited: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Change {
    /// Returns the change with what is a cluster's own replaced by what it stands for.
    pub(super) fn general(&self, own: &OwnFacts, has_own_keys: bool) -> Self {
        let text = |text: &str| own.general(text).into_owned();
        let object = self.object.as_ref().map(|object| {
            Arc::new(ObjectName {
                api_version: object.api_version.clone(),
                kind: object.kind.clone(),
                namespace: object.namespace.as_deref().map(text),
                name: text(&object.name),
            })
        });
        let step = |step: &Step| match step {
            Step::Key(key) if has_own_keys => Step::Key(text(key).into()),
            Step::Item { field, id } => Step::Item { field, id: text(id).into() },
            step => step.clone(),
        };
        Self {
            object,
            path: self.path.steps().iter().map(step).collect(),
            old: self.old.as_ref().map(|value| general_value(value, own, has_own_keys)),
            new: self.new.as_ref().map(|value| general_value(value, own, has_own_keys)),
            risk: self.risk,
        }
    }
}

fn general_value(value: &Value, own: &OwnFacts, has_own_keys: bool) -> Value {
    match value {
        Value::String(text) => Value::String(own.general(text).into_owned()),
        Value::List(items) => {
            Value::List(items.iter().map(|item| general_value(item, own, has_own_keys)).collect())
        }
        Value::Map(map) => {
            let general_key = |key| if has_own_keys { own.general(key) } else { Cow::Borrowed(key) };
            let entry =
                |(key, value)| (general_key(key).into_owned(), general_value(value, own, has_own_keys));
            Value::Map(map.iter().map(entry).collect())
        }
        other => other.clone(),
    }
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
        facts.edit("", &old.fleet.view, &new.fleet.view);
        for (name, cluster) in &new.clusters {
            if let Some(old) = old.clusters.get(name) {
                facts.edit("", &old.view, &cluster.view);
            }
        }
        facts
    }

    fn edit(&mut self, path: &str, old: &Json, new: &Json) {
        match (old, new) {
            (old, new) if old == new => {}
            (Json::Object(old), Json::Object(new)) => {
                for (key, new) in new {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    old.get(key).into_iter().for_each(|old| self.edit(&path, old, new));
                }
            }
            (Json::Array(old), Json::Array(new)) => {
                for (at, (old, new)) in old.iter().zip(new).enumerate() {
                    self.edit(&format!("{path}[{at}]"), old, new);
                }
            }
            (old, new) => {
                if let (Some(old), Some(new)) = (text_of(old), text_of(new)) {
                    self.edited.entry((old, new)).or_default().insert(path.to_owned());
                }
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

fn text_of(fact: &Json) -> Option<String> {
    match fact {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
