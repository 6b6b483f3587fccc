//! What changes nothing that runs: labels that only tell a version, annotations that only tell that something else
//! changed, descriptions of fields, and sets in another order.
//!
//! Below a pod template nothing is noise, since each change of it replaces pods. Everything that is not named here is
//! shown.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::model::NoiseKind;
use crate::key_path::{KeyPath, Step};
use crate::manifests::{Object, ObjectName};
use crate::tree::{Below, walk};
use crate::yaml::Value;

/// Labels that tell a version, and that nothing selects by unless it says so.
const LABELS: [&str; 2] = ["app.kubernetes.io/version", "helm.sh/chart"];
/// The beginning of annotations that hold the hash of something else.
const CHECKSUM: &str = "checksum/";

/// A list in whose order nothing happens; `*` stands for any item.
type Set = (&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

/// All of them, by group and kinds.
const SETS: [Set; 5] = [
    (
        "rbac.authorization.k8s.io",
        &["Role", "ClusterRole"],
        &[
            &["rules"],
            &["rules", "*", "apiGroups"],
            &["rules", "*", "resources"],
            &["rules", "*", "resourceNames"],
            &["rules", "*", "verbs"],
            &["rules", "*", "nonResourceURLs"],
        ],
    ),
    ("rbac.authorization.k8s.io", &["RoleBinding", "ClusterRoleBinding"], &[&["subjects"]]),
    (
        "networking.k8s.io",
        &["NetworkPolicy"],
        &[
            &["spec", "policyTypes"],
            &["spec", "ingress"],
            &["spec", "ingress", "*", "from"],
            &["spec", "ingress", "*", "ports"],
            &["spec", "egress"],
            &["spec", "egress", "*", "to"],
            &["spec", "egress", "*", "ports"],
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
        &[
            &["webhooks", "*", "rules"],
            &["webhooks", "*", "rules", "*", "apiGroups"],
            &["webhooks", "*", "rules", "*", "apiVersions"],
            &["webhooks", "*", "rules", "*", "operations"],
            &["webhooks", "*", "rules", "*", "resources"],
        ],
    ),
    (
        "apiextensions.k8s.io",
        &["CustomResourceDefinition"],
        &[&["spec", "names", "categories"], &["spec", "names", "shortNames"]],
    ),
];

/// Returns what kind of noise a change of an object that stays is, if it is noise.
pub(super) fn kind(object: &ObjectName, path: &KeyPath) -> Option<NoiseKind> {
    if object.is_definition() && describes_a_field(path) {
        return Some(NoiseKind::Description);
    }
    let [Step::Key(metadata), Step::Key(section), Step::Key(key)] = &path[..] else { return None };
    match (metadata.as_str(), section.as_str()) {
        ("metadata", "labels") => LABELS.into_iter().find(|label| label == key).map(NoiseKind::Label),
        ("metadata", "annotations") if key.starts_with(CHECKSUM) => Some(NoiseKind::Annotation),
        _ => None,
    }
}

/// Returns whether what is at a path of a definition is the description of a field: a word of its schema, and no name of a field and no
/// part of a default.
fn describes_a_field(path: &KeyPath) -> bool {
    let keys: Vec<Option<&str>> = path.iter().map(|step| step.key().map(String::as_str)).collect();
    let [Some("spec"), Some("versions"), None, Some("schema"), Some("openAPIV3Schema"), rest @ ..] =
        &keys[..]
    else {
        return false;
    };
    let mut words = rest.iter();
    loop {
        match words.next() {
            Some(Some("description")) => return words.next().is_none(),
            Some(Some("items" | "additionalProperties" | "not")) => {}
            // What follows is the name of a field, or the place in a list.
            Some(Some("properties" | "patternProperties" | "allOf" | "anyOf" | "oneOf")) => {
                words.next();
            }
            _ => return false,
        }
    }
}

/// Returns the labels that would be noise and by which something selects, as far as the objects show it: each that is
/// named anywhere but among labels.
pub(super) fn selected(objects: &[Object]) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for object in objects.iter().filter(|object| !object.name.is_definition()) {
        walk(&object.value, &mut |visit| {
            let above = visit.path.len().checked_sub(2).and_then(|at| visit.path[at].key().copied());
            let key = visit.key().filter(|_| above != Some("labels"));
            let texts = [key, visit.value.as_str()];
            found.extend(
                LABELS
                    .into_iter()
                    .filter(|label| texts.into_iter().flatten().any(|text| text.contains(label))),
            );
            Below::Enter
        });
    }
    found
}

/// Writes the sets of an object in the order that they had before, and returns where they were in another one.
pub(super) fn in_old_order<'v>(
    name: &ObjectName,
    old: &Value,
    new: &'v Value,
) -> (Cow<'v, Value>, Vec<KeyPath>) {
    let is_meant = |(group, kinds, _): &&Set| *group == name.group() && kinds.contains(&name.kind.as_str());
    let sets = SETS.iter().filter(is_meant).flat_map(|(.., paths)| paths.iter().copied()).collect();
    let mut ordering = Ordering { sets, path: Vec::new(), found: Vec::new() };
    if ordering.sets.is_empty() {
        return (Cow::Borrowed(new), Vec::new());
    }
    let new = ordering.value(old, new.clone());
    (Cow::Owned(new), ordering.found)
}

struct Ordering {
    sets: Vec<&'static [&'static str]>,
    path: Vec<Step>,
    found: Vec<KeyPath>,
}

impl Ordering {
    fn value(&mut self, old: &Value, new: Value) -> Value {
        match (old, new) {
            (Value::List(old), Value::List(new))
                if *old != new && self.is_set() && are_permuted(old, &new) =>
            {
                self.found.push(self.path.iter().cloned().collect());
                Value::List(old.clone())
            }
            (Value::List(old), Value::List(new)) => {
                let items = new.into_iter().enumerate();
                Value::List(items.map(|(at, new)| self.below(Step::Index(at), old.get(at), new)).collect())
            }
            (Value::Map(old), Value::Map(new)) => {
                let below = |(key, new): (String, Value)| {
                    let new = self.below(Step::Key(key.clone()), old.get(&key), new);
                    (key, new)
                };
                Value::Map(new.into_iter().map(below).collect())
            }
            (_, new) => new,
        }
    }

    fn below(&mut self, step: Step, old: Option<&Value>, new: Value) -> Value {
        let Some(old) = old else { return new };
        self.path.push(step);
        let new = self.value(old, new);
        self.path.pop();
        new
    }

    /// Returns whether the list at hand is a set.
    fn is_set(&self) -> bool {
        let is_part = |(step, part): (&Step, &&str)| step.key().map_or(*part == "*", |key| key == part);
        let mut sets = self.sets.iter();
        sets.any(|set| set.len() == self.path.len() && self.path.iter().zip(*set).all(is_part))
    }
}

/// Returns whether two lists hold the same items, each as often.
fn are_permuted(old: &[Value], new: &[Value]) -> bool {
    let mut counts: HashMap<&Value, isize> = HashMap::new();
    for (items, step) in [(old, 1), (new, -1)] {
        for item in items {
            *counts.entry(item).or_default() += step;
        }
    }
    counts.values().all(|count| *count == 0)
}
