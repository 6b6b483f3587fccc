//! Which pods stand behind an address, and what policies let reach pods: read from one document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checks::{Document, ExposedAddress, Pods};
use crate::key_path::{Step, keys};
use crate::yaml::{Map, Value};

/// A `NetworkPolicy` of what reaches pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The pods that it is about.
    pods: Pods,
    /// Where it lets in whatever asks, if it does.
    pub(super) open: Option<Vec<Step>>,
}

/// Returns the addresses that a document asks for, with the pods that they lead to: of a Service by its selector, of a chart's by what
/// `addon.yaml` says.
pub(super) fn exposed_with_pods(document: &Document<'_>) -> Vec<ExposedAddress> {
    let with_pods = |exposed: &ExposedAddress| {
        let described = document.values().and_then(|(addon, values)| {
            let mut described = addon.facts.provides.exposed.iter();
            described.find(|it| it.service.steps() == exposed.service).zip(Some(values))
        });
        let selector = || document.object()?.at(&["spec", "selector"]).map(labels_of);
        let labels = described.map(|(it, _)| it.pods.clone()).or_else(selector);
        let pods = labels.filter(|labels| !labels.is_empty());
        let opened = described.and_then(|(it, values)| it.opened.as_ref().filter(|it| it.holds(values)));
        ExposedAddress {
            pods: pods.map(|labels| Pods { namespace: namespace_of(document).to_owned(), labels }),
            opened: opened.map(|it| (it.value.steps(), it.counter_advice())),
            ..exposed.clone()
        }
    };
    document.exposed.iter().map(with_pods).collect()
}

/// Reads a policy of what reaches pods. One that chooses its pods by anything else than labels is none: it may leave some out.
pub(super) fn policy(document: &Document<'_>) -> Option<Policy> {
    policy_of(document.object()?, namespace_of(document))
}

/// Reads an object of a namespace as such a policy, if it is one.
pub(super) fn policy_of(object: &Value, namespace: &str) -> Option<Policy> {
    if object.text_at(&["kind"]) != Some("NetworkPolicy") {
        return None;
    }
    let list = |path: &[&str]| object.at(path).and_then(Value::as_list).unwrap_or_default();
    let types = list(&["spec", "policyTypes"]);
    let is_of_ingress = types.is_empty() || types.iter().any(|it| it.as_str() == Some("Ingress"));
    if !is_of_ingress || !list(&["spec", "podSelector", "matchExpressions"]).is_empty() {
        return None;
    }
    let labels = object.at(&["spec", "podSelector", "matchLabels"]).map(labels_of).unwrap_or_default();
    let open = list(&["spec", "ingress"]).iter().position(is_open);
    let at = |rule| [keys(&["spec", "ingress"]), vec![Step::Index(rule)]].concat();
    Some(Policy { pods: Pods { namespace: namespace.to_owned(), labels }, open: open.map(at) })
}

/// Returns whether a rule lets in whatever asks: one without peers, or with a network of all addresses.
fn is_open(rule: &Value) -> bool {
    let peers = rule.get("from").and_then(Value::as_list).unwrap_or_default();
    let is_everything = |peer: &Value| {
        let network = peer.text_at(&["ipBlock", "cidr"]);
        network.is_some_and(|network| network.ends_with("/0")) && peer.at(&["ipBlock", "except"]).is_none()
    };
    peers.is_empty() || peers.iter().any(is_everything)
}

impl Policy {
    /// Returns whether it is about all of some pods.
    pub(super) fn is_about(&self, pods: &Pods) -> bool {
        let has = |(name, value): (&String, &String)| pods.labels.get(name) == Some(value);
        self.pods.namespace == pods.namespace && self.pods.labels.iter().all(has)
    }
}

/// Returns the namespace that a document belongs to.
fn namespace_of<'a>(document: &Document<'a>) -> &'a str {
    let written = document.object().and_then(|object| object.text_at(&["metadata", "namespace"]));
    written.or(document.addon.map(|addon| addon.facts.namespace.as_str())).unwrap_or_default()
}

/// Returns the labels of a map.
pub(super) fn labels_of(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_map().into_iter().flat_map(Map::iter);
    entries.filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned()))).collect()
}
