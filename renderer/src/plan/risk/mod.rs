//! Risks: changes that a person should look at twice, by name.
//!
//! Each check is a pure function over one leaf, in one table. Knows nothing of how much changes; that is the budget's.

pub(super) mod kind;
pub(crate) mod version;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::inventory::OwnFacts;
use crate::key_path::Step;
use crate::manifests::{ObjectName, is_immutable};
use crate::network::host_and_port;
use crate::plan::compare::read::read;
use crate::plan::model::{Action, Change, FileChange};
use crate::plan::risk::kind::{DOWNGRADE, Risk, RiskKind};
use crate::tree::{Below, walk};
use crate::yaml::Value;

/// A scalar, or an empty list or map, that appears, changes or goes; or an object as a whole.
struct Leaf<'a> {
    object: Option<&'a ObjectName>,
    /// The keys from the document's top down; empty for an object as a whole.
    keys: &'a [&'a str],
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    /// Whether the object exists before and after.
    is_update: bool,
    /// What the cluster has of its own.
    own: &'a OwnFacts,
}

type Check = fn(&Leaf<'_>) -> Option<&'static str>;

/// All checks, most severe first.
const CHECKS: [(RiskKind, Check); 10] = [
    (RiskKind::OtherRepository, other_repository),
    (RiskKind::Deletion, deletion),
    (RiskKind::BackupInside, backup_inside),
    (RiskKind::Prune, prune),
    (RiskKind::Crd, crd),
    (RiskKind::ImmutableField, immutable_field),
    (RiskKind::NamespaceMove, namespace_move),
    (RiskKind::ExposedAddress, exposed_address),
    (RiskKind::Downgrade, downgrade),
    (RiskKind::Rbac, rbac),
];

/// Returns the most severe risk of a change.
pub(in crate::plan) fn of_change(change: &Change, own: &OwnFacts) -> Option<Risk> {
    let is_update = !change.path.is_empty() || (change.old.is_some() && change.new.is_some());
    risks(change, is_update, own).into_iter().next()
}

/// Returns the risks of a file that is created or deleted, one of a kind, most severe first.
pub(in crate::plan) fn of_file(documents: &[Change], action: Action, own: &OwnFacts) -> Vec<Risk> {
    let mut risks: Vec<Risk> = documents.iter().flat_map(|document| risks(document, false, own)).collect();
    risks.sort_unstable();
    risks.dedup_by_key(|risk| risk.kind);
    // A deleted file has its own risk, which knows what Argo CD will do.
    risks.retain(|risk| action == Action::Create || risk.kind != RiskKind::Prune);
    risks
}

/// Returns the risks of a change, one of a kind, most severe first.
fn risks(change: &Change, is_update: bool, own: &OwnFacts) -> Vec<Risk> {
    let mut found: BTreeMap<RiskKind, &'static str> = BTreeMap::new();
    let object = change.object.as_deref();
    let mut look = |keys: &[&str], old: Option<&Value>, new: Option<&Value>| {
        let leaf = Leaf { object, keys, old, new, is_update, own };
        for (kind, check) in CHECKS {
            if !found.contains_key(&kind) {
                found.extend(check(&leaf).map(|note| (kind, note)));
            }
        }
    };
    let mut keys: Vec<&str> = change.path.keys().collect();
    if keys.is_empty() {
        look(&keys, change.old.as_ref(), change.new.as_ref());
    }
    if let (Some(old), Some(new)) = (&change.old, &change.new)
        && is_scalar(old)
        && is_scalar(new)
    {
        look(&keys, Some(old), Some(new));
    } else {
        let above = keys.len();
        for (side, is_old) in [(&change.old, true), (&change.new, false)] {
            let Some(value) = side else { continue };
            walk(value, &mut |visit| {
                if visit.is_leaf() {
                    keys.truncate(above);
                    keys.extend(visit.path.iter().filter_map(Step::key));
                    let leaf = Some(visit.value);
                    look(&keys, leaf.filter(|_| is_old), leaf.filter(|_| !is_old));
                }
                Below::Enter
            });
        }
    }
    found.into_iter().map(|(kind, note)| Risk { kind, note }).collect()
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
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
        return loss(leaf.kind());
    }
    match (leaf.kind(), leaf.last()) {
        ("ApplicationSet", "applicationsSync") if !may_keep(leaf.new) && may_keep(leaf.old) => {
            Some("the ApplicationSet may now delete Applications whose element is gone")
        }
        ("ApplicationSet", "preserveResourcesOnDeletion") if leaf.new != Some(&Value::Bool(true)) => {
            Some("deleting an Application now deletes the objects that it made")
        }
        ("", "fullnameOverride" | "nameOverride") if leaf.is_update => Some(
            "the chart's objects get other names: the old ones are deleted, with their data, if Argo CD prunes",
        ),
        _ => None,
    }
}

/// Says what is lost with an object, if it is more than the object.
fn loss(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" => "the namespace is deleted with everything in it, if Argo CD prunes",
        "PersistentVolumeClaim" => "the volume claim is deleted, and with it the data, if Argo CD prunes",
        "PersistentVolume" => "the volume is deleted, and by its reclaim policy the data, if Argo CD prunes",
        "StatefulSet" => {
            "the StatefulSet is deleted if Argo CD prunes; the data in its volume claims is used by no other one"
        }
        "CustomResourceDefinition" => {
            "if Argo CD prunes the definition, every object of this kind is deleted with it"
        }
        "Application" | "ApplicationSet" | "AppProject" => {
            "Argo CD deletes it if its parent prunes; its objects go with it unless they are preserved"
        }
        _ => return None,
    })
}

/// How a backup or its bucket is called in a key or a kind.
const STORES: [&str; 5] = ["backup", "s3", "bucket", "objectstor", "snapshot"];

/// What is lost with a cluster is no backup of it. The host tells where something is; no chart has to be
/// known for that.
fn backup_inside(leaf: &Leaf<'_>) -> Option<&'static str> {
    let (old, new) = leaf.texts();
    if !leaf.is_update || leaf.new.is_none() || !is_inside(new, leaf.own) || is_inside(old, leaf.own) {
        return None;
    }
    let is_store = |word: &str| {
        let word = word.to_ascii_lowercase();
        STORES.iter().any(|store| word.contains(store))
    };
    (is_store(leaf.kind()) || leaf.keys.iter().any(|key| is_store(key))).then_some(
        "backups or buckets move into the cluster that they are of: what is lost with it is lost twice",
    )
}

/// Returns whether an address leads to the cluster itself: by the name of a Service, or by an address of its own.
fn is_inside(address: &str, own: &OwnFacts) -> bool {
    let (host, port) = host_and_port(address);
    if let Ok(address) = host.parse() {
        return own.has_address(address);
    }
    let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    // A name of one label is a Service beside it; without a scheme or a port it may be any word.
    let is_service = labels.len() >= 3 && labels[2] == "svc";
    is_service || (labels.len() == 1 && !host.is_empty() && (port.is_some() || address.contains("://")))
}

fn downgrade(leaf: &Leaf<'_>) -> Option<&'static str> {
    let is_tag = matches!(leaf.last(), "tag" | "imageTag" | "imageVersion")
        || (leaf.last() == "version" && leaf.has("image"));
    let (old, new) = match (leaf.old?, leaf.new?, leaf.last()) {
        (Value::String(old), Value::String(new), "image") => (tag_of(old)?, tag_of(new)?),
        (Value::String(old), Value::String(new), _) if is_tag => (old.as_str(), new.as_str()),
        (Value::Number(old), Value::Number(new), _) if is_tag => (old.as_str(), new.as_str()),
        _ => return None,
    };
    (version::compare(old, new)? == Ordering::Greater).then_some(DOWNGRADE)
}

/// Returns the tag of an image.
fn tag_of(image: &str) -> Option<&str> {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    image.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
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
        // What comes with the setting was not there to be deleted.
        _ if !leaf.is_update => None,
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
            // That is a deletion.
            (false, false) => return None,
        });
    }
    let is_switch = [leaf.old, leaf.new].into_iter().flatten().any(|value| matches!(value, Value::Bool(_)));
    let names_crds = || leaf.keys.iter().any(|key| key.to_ascii_lowercase().contains("crds"));
    (leaf.object.is_none() && leaf.is_update && is_switch && names_crds())
        .then_some("the chart starts or stops installing its definitions")
}

fn immutable_field(leaf: &Leaf<'_>) -> Option<&'static str> {
    if !leaf.is_update {
        return None;
    }
    let in_values = || {
        matches!(leaf.last(), "storageClass" | "storageClassName" | "clusterIP" | "serviceName")
            || leaf.has("volumeClaimTemplates")
            || (leaf.has("volumeClaimTemplate") && !leaf.has("requests"))
    };
    let is_immutable = leaf.object.map_or_else(in_values, |object| is_immutable(object, leaf.keys));
    is_immutable.then_some("the API server refuses to change it in place: the object must be recreated")
}

fn namespace_move(leaf: &Leaf<'_>) -> Option<&'static str> {
    match leaf.keys {
        // With two namespaces it is two objects.
        ["metadata", "namespace"] if leaf.object.is_some() && leaf.is_update => {
            Some("if the Application's own namespace is another one, the object is deleted there or here")
        }
        _ if leaf.is_update && leaf.object.is_none() && leaf.last() == "namespaceOverride" => Some(
            "everything is created in the new namespace; what is in the old one is deleted or left behind",
        ),
        _ => None,
    }
}

fn exposed_address(leaf: &Leaf<'_>) -> Option<&'static str> {
    let (old, new) = leaf.texts();
    let is_address = match leaf.last().rsplit('/').next()? {
        "type" | "serviceType" => {
            let is_outward = [old, new].iter().any(|kind| matches!(*kind, "LoadBalancer" | "NodePort"));
            return is_outward.then_some("a service becomes reachable from outside or stops being so");
        }
        "loadBalancerIP" | "loadBalancerIPs" | "externalIPs" => true,
        "addresses" => leaf.kind().ends_with("AddressPool"),
        last => {
            last.to_ascii_lowercase().ends_with("url")
                && leaf.keys.iter().any(|key| key.starts_with("remoteWrite"))
        }
    };
    is_address.then_some(match (leaf.old, leaf.new) {
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
    grants.then_some("permissions change")
}

/// What Argo CD does with what is no longer rendered, as far as the plan shows it.
///
/// It is read from the cluster's own `ApplicationSet`, which changes whenever an add-on comes or goes.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Consequences {
    /// Of deleting the cluster: its `ApplicationSet` goes.
    pub cluster: Risk,
    /// Of deleting an add-on: its element goes from the `ApplicationSet`.
    pub addon: Risk,
    /// Of deleting a file of something that stays.
    pub file: Risk,
}

impl Consequences {
    /// Reads them from the files of one cluster; without a deletion they are not needed.
    pub(in crate::plan) fn of(changes: &[&FileChange]) -> Self {
        let is_needed = changes.iter().any(|change| change.action() == Action::Delete);
        let texts = changes.iter().filter_map(|change| change.new.as_deref().or(change.old.as_deref()));
        let set = texts
            .filter(|_| is_needed)
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
            .filter(|text| text.contains("ApplicationSet"))
            .filter_map(read)
            .flatten()
            .find(|document| document.get("kind").and_then(Value::as_str) == Some("ApplicationSet"));
        let [cluster, addon, file] = notes(set.as_ref()).map(|note| Risk { kind: RiskKind::Deletion, note });
        Self { cluster, addon, file }
    }
}

/// Returns what becomes of a cluster, of an add-on, and of a file.
fn notes(application_set: Option<&Value>) -> [&'static str; 3] {
    let Some(set) = application_set else {
        let unknown =
            "the cluster's ApplicationSet decides whether its objects are deleted; the plan does not show it";
        let of_file = "Argo CD deletes the objects of this file on the next sync if it prunes; without pruning they stay";
        return [unknown, unknown, of_file];
    };
    let is_true = |keys: &[&str]| set.at(keys) == Some(&Value::Bool(true));
    let keeps_objects = is_true(&["spec", "syncPolicy", "preserveResourcesOnDeletion"]);
    let keeps_applications = may_keep(set.at(&["spec", "syncPolicy", "applicationsSync"]));
    [
        if keeps_objects {
            "Argo CD stops managing the cluster and leaves everything running on it (`preserveResourcesOnDeletion`)"
        } else {
            "Argo CD deletes the Applications with the ApplicationSet, and every object that they made"
        },
        if keeps_applications {
            "Argo CD keeps the Application and its objects (`applicationsSync`): delete it by hand when it may go"
        } else if keeps_objects {
            "Argo CD deletes the Application and leaves its objects running (`preserveResourcesOnDeletion`)"
        } else {
            "Argo CD deletes the Application and every object that it made"
        },
        if is_true(&["spec", "template", "spec", "syncPolicy", "automated", "prune"]) {
            "Argo CD prunes the objects of this file on the next sync"
        } else {
            "Argo CD leaves the objects of this file running and shows them as out of sync"
        },
    ]
}
