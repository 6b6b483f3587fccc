//! What clusters have of their own: their names and the facts that differ from cluster to cluster.
//!
//! By these the same change is recognised on clusters whose names and addresses are not the same, and an address is known
//! to be the cluster's own.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Change, ObjectName, Step};
use crate::inventory::{Cluster, Inventory};
use crate::network::{AddressRange, Network};
use crate::path::ClusterName;
use crate::yaml::Value;

/// The shortest fact that is looked for in texts; what is shorter stands in too many by chance.
const SHORTEST: usize = 3;

/// What the clusters of a plan have of their own, and which facts were edited, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    own: BTreeMap<ClusterName, Arc<OwnFacts>>,
    /// The paths of the facts that went from one text to another.
    edited: BTreeMap<(String, String), BTreeSet<String>>,
}

/// What one cluster has of its own: texts with what they stand for, the longest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFacts(Vec<(String, String)>);

impl OwnFacts {
    /// Returns what a cluster has of its own; `hub` is the one that serves it.
    #[must_use]
    pub fn of(cluster: &Cluster, hub: Option<&Cluster>) -> Self {
        let mut facts = vec![(cluster.name.to_string(), "cluster".to_owned())];
        collect(&cluster.view, "", &mut |path, text| facts.push((text.to_owned(), path.to_owned())));
        if let Some(hub) = hub.filter(|hub| hub.name != cluster.name) {
            facts.push((hub.name.to_string(), "hub".to_owned()));
            collect(&hub.view, "hub", &mut |path, text| facts.push((text.to_owned(), path.to_owned())));
        }
        Self::new(facts)
    }

    fn named(cluster: &ClusterName) -> Self {
        Self(vec![(cluster.to_string(), "cluster".to_owned())])
    }

    /// Of facts with the same text the first counts.
    fn new(mut facts: Vec<(String, String)>) -> Self {
        let mut seen = BTreeSet::new();
        facts.retain(|(text, label)| {
            (text.len() >= SHORTEST || label == "cluster") && seen.insert(text.clone())
        });
        facts.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self(facts)
    }

    /// Returns a text with what is the cluster's own in it replaced by what that stands for: `<cluster>-prometheus`.
    pub(super) fn general<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        for (own, label) in self.0.iter().filter(|(own, _)| own.len() <= text.len()) {
            for at in memmem::find_iter(text.as_bytes(), own) {
                let end = at + own.len();
                let is_free = found.iter().all(|(start, stop, _)| end <= *start || *stop <= at);
                if is_free && is_whole(text, at, end) {
                    found.push((at, end, label));
                }
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let (mut general, mut from) = (String::with_capacity(text.len()), 0);
        for (at, end, label) in found {
            general.extend([&text[from..at], "<", label, ">"]);
            from = end;
        }
        general.push_str(&text[from..]);
        Cow::Owned(general)
    }

    /// Returns whether an address is one of the cluster's own: named, out of its pool, or in one of its networks.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let own = self.0.iter().filter(|(_, label)| {
            label.starts_with("addresses.")
                || label.starts_with("networks.")
                || label.starts_with("loadBalancer.")
                || label.starts_with("apiServer.")
        });
        own.map(|(text, _)| text).any(|text| {
            text.parse() == Ok(address)
                || text.parse::<Network>().is_ok_and(|network| network.span().contains(address))
                || text.parse::<AddressRange>().is_ok_and(|range| range.span().contains(address))
        })
    }
}

/// Returns whether a part of a text is a word of its own: `eu-1` in `eu-1-web`, and not in `eu-12`.
fn is_whole(text: &str, at: usize, end: usize) -> bool {
    let (before, own, after) = (&text[..at], &text[at..end], &text[end..]);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let goes_on = |c: char| is_word(c) || (c == ':' && own.contains(':'));
    // A number may go on behind a dot, and the prefix of Kubernetes' own labels is the name of no cluster.
    let is_number = own.ends_with(|c: char| c.is_ascii_digit()) && own.contains('.');
    let begins = before
        .strip_suffix('.')
        .is_some_and(|rest| is_number && rest.ends_with(|c: char| c.is_ascii_digit()));
    let continues = after.strip_prefix('.').is_some_and(|rest| {
        (is_number && rest.starts_with(|c: char| c.is_ascii_digit())) || rest.starts_with("kubernetes.io")
    });
    !before.ends_with(goes_on) && !after.starts_with(goes_on) && !begins && !continues
}

/// Visits the texts below a fact with their paths; what a cluster is for is no text of its own.
fn collect(fact: &Json, path: &str, found: &mut impl FnMut(&str, &str)) {
    match fact {
        Json::Object(entries) => {
            for (key, fact) in
                entries.iter().filter(|(key, _)| !matches!(key.as_str(), "role" | "name" | "hub"))
            {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(fact, &path, found);
            }
        }
        Json::Array(items) => {
            for (at, fact) in items.iter().enumerate() {
                collect(fact, &format!("{path}[{at}]"), found);
            }
        }
        Json::String(text) => found(path, text),
        _ => {}
    }
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
        self.own.get(cluster).map_or_else(|| Arc::new(OwnFacts::named(cluster)), Arc::clone)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnFacts {
        let facts = [
            ("eu-1", "cluster"),
            ("10.0.0.1", "addresses.web"),
            ("10.0.0.0-10.0.0.9", "loadBalancer.pool"),
            ("10.244.0.0/16", "networks.pods"),
            ("fd00::1", "addresses.six"),
        ];
        OwnFacts::new(facts.iter().map(|(text, label)| ((*text).to_owned(), (*label).to_owned())).collect())
    }

    #[test]
    fn what_is_the_clusters_own_is_found_as_a_whole_word() {
        for (text, general) in [
            ("eu-1-web", "<cluster>-web"),
            ("/eu-1/eu-1.example.com", "/<cluster>/<cluster>.example.com"),
            ("eu-12 leu-1 eu-1_a", "eu-12 leu-1 eu-1_a"),
            ("http://10.0.0.1:9090/", "http://<addresses.web>:9090/"),
            ("10.0.0.10 110.0.0.1 1.10.0.0.1 10.0.0.1.1", "10.0.0.10 110.0.0.1 1.10.0.0.1 10.0.0.1.1"),
            ("10.0.0.0-10.0.0.9", "<loadBalancer.pool>"),
            ("http://[fd00::1]:80 fd00::1:2", "http://[<addresses.six>]:80 fd00::1:2"),
            ("eu-1.kubernetes.io/x", "eu-1.kubernetes.io/x"),
        ] {
            assert_eq!(own().general(text), general);
        }
    }

    #[test]
    fn an_address_is_the_clusters_own_by_name_pool_or_network() {
        for (address, is_own) in [
            ("10.0.0.1", true),
            ("10.0.0.9", true),
            ("10.244.3.4", true),
            ("fd00::1", true),
            ("10.0.1.1", false),
        ] {
            assert_eq!(own().has_address(address.parse().unwrap()), is_own, "{address}");
        }
    }
}
