//! Risks: changes that a person should look at twice, by name.
//!
//! Each check is a pure function over one leaf, in one table. Knows nothing of how much changes; that is the budget's.

use std::fmt;

use serde::Serialize;

use super::{Action, Change, FileChange, ObjectName, read::read};
use crate::yaml::Value;

/// What can go wrong, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskKind {
    /// Argo CD reads what it applies from another repository.
    OtherRepository,
    /// A cluster, an add-on, a file or a guard against their deletion goes.
    Deletion,
    /// Argo CD deletes objects that are no longer rendered.
    Prune,
    /// The definition of a kind of object changes.
    Crd,
    /// The API server refuses to change the field in place.
    ImmutableField,
    /// Objects are made anew in another namespace.
    NamespaceMove,
    /// An address that others use appears, moves or goes.
    ExposedAddress,
    /// Someone may do more or less than before.
    Rbac,
    /// A chart's major version changes.
    ChartMajorVersion,
}

/// A named risk and what will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Risk {
    /// What can go wrong.
    pub kind: RiskKind,
    /// What will happen, for a person: a lower-case fragment.
    pub note: &'static str,
}

impl fmt::Display for RiskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OtherRepository => "other repository",
            Self::Deletion => "deletion",
            Self::Prune => "prune",
            Self::Crd => "CRD",
            Self::ImmutableField => "immutable field",
            Self::NamespaceMove => "namespace move",
            Self::ExposedAddress => "exposed address",
            Self::Rbac => "RBAC",
            Self::ChartMajorVersion => "chart major version",
        })
    }
}

/// A scalar, or an empty list or map, that appears, changes or goes; or an object as a whole.
struct Leaf<'a> {
    object: Option<&'a ObjectName>,
    /// The keys from the document's top down; empty for an object as a whole.
    keys: &'a [&'a str],
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    /// Whether the object exists before and after.
    is_update: bool,
}

type Check = fn(&Leaf<'_>) -> Option<&'static str>;

/// All checks, most severe first.
const CHECKS: [(RiskKind, Check); 9] = [
    (RiskKind::OtherRepository, other_repository),
    (RiskKind::Deletion, deletion),
    (RiskKind::Prune, prune),
    (RiskKind::Crd, crd),
    (RiskKind::ImmutableField, immutable_field),
    (RiskKind::NamespaceMove, namespace_move),
    (RiskKind::ExposedAddress, exposed_address),
    (RiskKind::Rbac, rbac),
    (RiskKind::ChartMajorVersion, chart_major_version),
];

/// Returns the most severe risk of a change.
pub(super) fn of_change(change: &Change) -> Option<Risk> {
    let is_update = !change.path.is_root() || (change.old.is_some() && change.new.is_some());
    risks(change, is_update).into_iter().next()
}

/// Returns the risks of a file that is created or deleted, one of a kind, most severe first.
pub(super) fn of_file(documents: &[Change], action: Action) -> Vec<Risk> {
    let mut risks: Vec<Risk> = documents.iter().flat_map(|document| risks(document, false)).collect();
    risks.sort_unstable();
    risks.dedup_by_key(|risk| risk.kind);
    // A deleted file has its own risk, which knows what Argo CD will do.
    risks.retain(|risk| {
        action == Action::Create || !matches!(risk.kind, RiskKind::Deletion | RiskKind::Prune)
    });
    risks
}

/// Returns the risks of a change, one of a kind, most severe first.
fn risks(change: &Change, is_update: bool) -> Vec<Risk> {
    let mut found: [Option<Risk>; CHECKS.len()] = [None; CHECKS.len()];
    let object = change.object.as_deref();
    let mut look = |keys: &[&str], old: Option<&Value>, new: Option<&Value>| {
        let leaf = Leaf { object, keys, old, new, is_update };
        for ((kind, check), slot) in CHECKS.iter().zip(&mut found) {
            if slot.is_none() {
                *slot = check(&leaf).map(|note| Risk { kind: *kind, note });
            }
        }
    };
    let mut keys: Vec<&str> = change.path.keys().collect();
    if keys.is_empty() {
        look(&keys, change.old.as_ref(), change.new.as_ref());
    }
    match (&change.old, &change.new) {
        (Some(old), Some(new)) if is_leaf(old) && is_leaf(new) => look(&keys, Some(old), Some(new)),
        (old, new) => {
            visit(old.as_ref(), &mut keys, &mut |keys, leaf| look(keys, Some(leaf), None));
            visit(new.as_ref(), &mut keys, &mut |keys, leaf| look(keys, None, Some(leaf)));
        }
    }
    found.into_iter().flatten().collect()
}

fn is_leaf(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
}

fn visit<'v>(value: Option<&'v Value>, keys: &mut Vec<&'v str>, look: &mut impl FnMut(&[&str], &Value)) {
    match value {
        Some(Value::Map(map)) if !map.is_empty() => {
            for (key, value) in map.iter() {
                keys.push(key);
                visit(Some(value), keys, look);
                keys.pop();
            }
        }
        Some(Value::List(items)) if !items.is_empty() => {
            for item in items {
                visit(Some(item), keys, look);
            }
        }
        Some(leaf) => look(keys, leaf),
        None => {}
    }
}

impl Leaf<'_> {
    fn kind(&self) -> &str {
        self.object.map_or("", |object| &object.kind)
    }

    fn last(&self) -> &str {
        self.keys.last().copied().unwrap_or_default()
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }

    fn is_argo(&self) -> bool {
        matches!(self.kind(), "Application" | "ApplicationSet")
    }

    /// Returns whether an object goes as a whole.
    fn is_object_going(&self) -> bool {
        self.keys.is_empty() && self.object.is_some() && self.new.is_none()
    }

    /// Returns the old and the new text, with `""` for what is absent or is no string.
    fn texts(&self) -> (&str, &str) {
        (text_of(self.old), text_of(self.new))
    }
}

fn text_of(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// Of what is there already: an add-on that comes brings its own repository along.
fn other_repository(leaf: &Leaf<'_>) -> Option<&'static str> {
    let is_read = leaf.is_argo() && leaf.last() == "repoURL" && leaf.is_update && leaf.new.is_some();
    let is_another = leaf.old.is_some() || leaf.has("source") || leaf.has("sources");
    (is_read && is_another).then_some("Argo CD reads what it applies from another repository")
}

fn deletion(leaf: &Leaf<'_>) -> Option<&'static str> {
    if leaf.is_object_going() {
        return match leaf.kind() {
            "Namespace" => Some("the namespace is deleted with everything in it, if Argo CD prunes"),
            "PersistentVolumeClaim" => {
                Some("the volume claim is deleted, and with it the data, if Argo CD prunes")
            }
            "Application" | "ApplicationSet" | "AppProject" => Some(
                "Argo CD deletes it if its parent prunes; its objects go with it unless they are preserved",
            ),
            _ => None,
        };
    }
    match (leaf.kind(), leaf.last()) {
        ("ApplicationSet", "applicationsSync") if !may_keep(leaf.new) && may_keep(leaf.old) => {
            Some("the ApplicationSet may now delete Applications whose element is gone")
        }
        ("ApplicationSet", "preserveResourcesOnDeletion") if leaf.new != Some(&Value::Bool(true)) => {
            Some("deleting an Application now deletes the objects that it made")
        }
        ("ApplicationSet", _) if leaf.has("elements") && leaf.last() == "addon" && leaf.new.is_none() => {
            Some("the ApplicationSet no longer generates this Application")
        }
        _ => None,
    }
}

/// Returns whether this `applicationsSync` keeps Applications whose element is gone.
fn may_keep(policy: Option<&Value>) -> bool {
    matches!(text_of(policy), "create-only" | "create-update")
}

fn prune(leaf: &Leaf<'_>) -> Option<&'static str> {
    if leaf.is_object_going() {
        return Some("Argo CD deletes the object on the next sync if it prunes; without pruning it stays");
    }
    match leaf.last() {
        "prune" if leaf.has("automated") && leaf.new == Some(&Value::Bool(true)) => {
            Some("Argo CD now deletes what is no longer rendered")
        }
        "allowEmpty" if leaf.new == Some(&Value::Bool(true)) => {
            Some("Argo CD may now delete everything when nothing is rendered")
        }
        _ => None,
    }
}

fn crd(leaf: &Leaf<'_>) -> Option<&'static str> {
    if leaf.kind() == "CustomResourceDefinition" {
        return Some(match (leaf.is_update, leaf.new.is_some()) {
            (true, _) => "objects of this kind must fit the new definition",
            (false, true) => "a new kind of object is defined",
            (false, false) => {
                "if Argo CD prunes the definition, every object of this kind is deleted with it"
            }
        });
    }
    let installs_crds = leaf.last() == "installCRDs"
        || (matches!(leaf.last(), "enabled" | "install" | "keep") && leaf.has("crds"));
    (leaf.object.is_none() && installs_crds && leaf.is_update)
        .then_some("the chart starts or stops installing its definitions")
}

fn immutable_field(leaf: &Leaf<'_>) -> Option<&'static str> {
    if !leaf.is_update {
        return None;
    }
    let is_immutable = match (leaf.kind(), leaf.keys) {
        ("Service", ["spec", "clusterIP" | "clusterIPs", ..])
        | ("Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet", ["spec", "selector", ..])
        | ("StatefulSet", ["spec", "serviceName" | "volumeClaimTemplates" | "podManagementPolicy", ..])
        | (
            "PersistentVolumeClaim",
            ["spec", "storageClassName" | "accessModes" | "volumeName" | "selector", ..],
        )
        | ("Job", ["spec", "template" | "selector", ..])
        | ("StorageClass", ["provisioner" | "parameters" | "reclaimPolicy" | "volumeBindingMode", ..])
        | ("RoleBinding" | "ClusterRoleBinding", ["roleRef", ..]) => true,
        ("", _) => {
            matches!(leaf.last(), "storageClass" | "storageClassName" | "clusterIP" | "serviceName")
                || leaf.has("volumeClaimTemplates")
                || (leaf.has("volumeClaimTemplate") && !leaf.has("requests"))
        }
        _ => false,
    };
    is_immutable.then_some("the API server refuses to change it in place: the object has to be made anew")
}

fn namespace_move(leaf: &Leaf<'_>) -> Option<&'static str> {
    let is_moved = leaf.is_update && leaf.old.is_some() && leaf.new.is_some();
    let names_namespace = match leaf.keys {
        ["metadata", "namespace"] => leaf.object.is_some(),
        _ if leaf.is_argo() => {
            leaf.last() == "namespace" && (leaf.has("destination") || leaf.has("elements"))
        }
        _ => leaf.object.is_none() && leaf.last() == "namespaceOverride",
    };
    (is_moved && names_namespace)
        .then_some("everything is made anew there; what is in the old namespace is left or pruned")
}

fn exposed_address(leaf: &Leaf<'_>) -> Option<&'static str> {
    let is_address = match leaf.last() {
        "loadBalancerIP"
        | "externalIPs"
        | "remoteWriteUrl"
        | "metallb.io/loadBalancerIPs"
        | "metallb.universe.tf/loadBalancerIPs" => true,
        "url" => leaf.has("remoteWrite"),
        "addresses" => leaf.kind() == "IPAddressPool",
        "type" | "serviceType" => {
            let (old, new) = leaf.texts();
            [old, new].iter().any(|kind| matches!(*kind, "LoadBalancer" | "NodePort"))
        }
        _ => false,
    };
    is_address.then_some(match (leaf.old, leaf.new) {
        _ if matches!(leaf.last(), "type" | "serviceType") => {
            "a service becomes reachable from outside or stops being so"
        }
        (None, _) => "an address appears that others may reach or depend on",
        (_, None) => "an address goes that others may depend on",
        _ => "an address moves that others may depend on",
    })
}

fn rbac(leaf: &Leaf<'_>) -> Option<&'static str> {
    let grants = match (leaf.kind(), leaf.keys) {
        ("Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding", keys) => {
            keys.first() != Some(&"metadata")
        }
        ("AppProject", ["spec", section, ..]) => *section != "description" && *section != "orphanedResources",
        ("", keys) => keys.windows(2).any(|pair| pair == ["configs", "rbac"]),
        _ => false,
    };
    grants.then_some("someone may do more or less than before")
}

fn chart_major_version(leaf: &Leaf<'_>) -> Option<&'static str> {
    let names_version =
        leaf.is_argo() && matches!(leaf.last(), "version" | "targetRevision" | "chartVersion");
    let (old, new) = leaf.texts();
    (names_version && breaking_part(old)? != breaking_part(new)?)
        .then_some("keys may have been renamed or removed: read the chart's notes on upgrading")
}

/// Returns the part of a version that changes when it breaks its users: the first number, or `0.` and the second.
fn breaking_part(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.strip_prefix('v').unwrap_or(version).splitn(3, '.');
    let major: u64 = numbers.next()?.parse().ok()?;
    let minor: u64 = numbers.next()?.parse().ok()?;
    Some((major, if major == 0 { minor } else { 0 }))
}

/// What Argo CD does with what is no longer rendered, as far as the plan shows it.
///
/// It is read from the cluster's own `ApplicationSet`, which changes whenever an add-on comes or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    rules: Option<Rules>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    keeps_applications: bool,
    keeps_objects: bool,
    prunes: bool,
}

impl Fate {
    /// Reads the fate from the files of one cluster; without a deletion nobody asks.
    pub(super) fn of(changes: &[&FileChange]) -> Self {
        if !changes.iter().any(|change| change.action() == Action::Delete) {
            return Self::default();
        }
        let texts = changes.iter().filter_map(|change| change.new.as_deref().or(change.old.as_deref()));
        let rules = texts
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
            .filter(|text| text.contains("ApplicationSet"))
            .filter_map(read)
            .flatten()
            .find(|document| document.get("kind").and_then(Value::as_str) == Some("ApplicationSet"))
            .map(|document| Rules::of(&document));
        Self { rules }
    }

    /// Returns the risk of deleting a cluster: its `ApplicationSet` goes.
    pub(super) fn of_cluster(self) -> Risk {
        let note = match self.rules {
            Some(Rules { keeps_objects: true, .. }) => {
                "Argo CD lets go of the cluster and leaves everything running on it (`preserveResourcesOnDeletion`)"
            }
            Some(_) => {
                "Argo CD deletes the Applications with the ApplicationSet, and every object that they made"
            }
            None => {
                "the cluster's ApplicationSet decides whether its objects are deleted; the plan does not show it"
            }
        };
        Risk { kind: RiskKind::Deletion, note }
    }

    /// Returns the risk of deleting an add-on: its element goes from the `ApplicationSet`.
    pub(super) fn of_addon(self) -> Risk {
        let note = match self.rules {
            Some(Rules { keeps_applications: true, .. }) => {
                "Argo CD keeps the Application and its objects (`applicationsSync`): delete it by hand when it may go"
            }
            Some(Rules { keeps_objects: true, .. }) => {
                "Argo CD deletes the Application and leaves its objects running (`preserveResourcesOnDeletion`)"
            }
            Some(_) => "Argo CD deletes the Application and every object that it made",
            None => {
                "the cluster's ApplicationSet decides whether its objects are deleted; the plan does not show it"
            }
        };
        Risk { kind: RiskKind::Deletion, note }
    }

    /// Returns the risk of deleting a file of something that stays.
    pub(super) fn of_file(self) -> Risk {
        let note = match self.rules {
            Some(Rules { prunes: true, .. }) => "Argo CD prunes the objects of this file on the next sync",
            Some(_) => "Argo CD leaves the objects of this file running and shows them as out of sync",
            None => {
                "Argo CD deletes the objects of this file on the next sync if it prunes; without pruning they stay"
            }
        };
        Risk { kind: RiskKind::Deletion, note }
    }
}

impl Rules {
    fn of(application_set: &Value) -> Self {
        let is_true = |keys: &[&str]| application_set.at(keys) == Some(&Value::Bool(true));
        Self {
            keeps_applications: may_keep(application_set.at(&["spec", "syncPolicy", "applicationsSync"])),
            keeps_objects: is_true(&["spec", "syncPolicy", "preserveResourcesOnDeletion"]),
            prunes: is_true(&["spec", "template", "spec", "syncPolicy", "automated", "prune"]),
        }
    }
}
