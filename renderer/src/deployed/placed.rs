//! Objects as Argo CD's controller applies them: in a namespace where their kind has one, and each once; and the kinds
//! that the objects themselves define.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::functions::AskedVersions;
use crate::manifests::{Object, ObjectName};
use crate::yaml::{Map, Value};

/// The kinds of Kubernetes 1.36 that are in no namespace, by group. Kinds of whole groups are `*`.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    ("admissionregistration.k8s.io", &["*"]),
    ("apiextensions.k8s.io", &["*"]),
    ("apiregistration.k8s.io", &["*"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenReview"]),
    ("authorization.k8s.io", &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["*"]),
    ("internal.apiserver.k8s.io", &["*"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["*"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &["*"]),
];

/// API versions that every cluster serves and that Helm does not know by itself: those of the aggregation layer. Argo CD
/// hands over all that a cluster serves; the others Helm knows.
const ALWAYS_SERVED: [&str; 2] = ["apiregistration.k8s.io/v1", "apiregistration.k8s.io/v1/APIService"];

/// The kinds that objects define.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Definitions {
    /// Whether each is in a namespace, by group and kind.
    scopes: BTreeMap<(String, String), bool>,
    /// The versions that are served, and the kinds in them.
    versions: BTreeSet<String>,
}

impl Definitions {
    /// Reads what objects define.
    #[must_use]
    pub fn of(objects: &[Object]) -> Self {
        let mut found = Self::default();
        for object in objects {
            found.add(object);
        }
        found
    }

    /// Adds what others define.
    pub fn extend(&mut self, others: &Self) {
        self.scopes.extend(others.scopes.iter().map(|(kind, scope)| (kind.clone(), *scope)));
        self.versions.extend(others.versions.iter().cloned());
    }

    fn add(&mut self, object: &Object) {
        let Some((group, kind)) = defined(object) else { return };
        for version in served(object).filter_map(|version| version.text_at(&["name"])) {
            self.versions.insert(format!("{group}/{version}"));
            self.versions.insert(format!("{group}/{version}/{kind}"));
        }
        let is_namespaced = object.value.text_at(&["spec", "scope"]).is_none_or(|scope| scope != "Cluster");
        self.scopes.insert((group.to_owned(), kind.to_owned()), is_namespaced);
    }

    /// Returns the API versions that Helm is given for a chart, in order: of these, those of every cluster, and those that are
    /// known of it, the ones that the chart asks for. So clusters that differ in others alone share a rendering.
    #[must_use]
    pub fn api_versions(&self, known: &[String], asked: &AskedVersions) -> Vec<String> {
        let is_served = |version: &String| {
            self.versions.contains(version)
                || ALWAYS_SERVED.contains(&version.as_str())
                || known.contains(version)
        };
        match asked {
            AskedVersions::Named(names) => names.iter().filter(|name| is_served(name)).cloned().collect(),
            AskedVersions::Any => {
                let always = ALWAYS_SERVED.iter().map(|version| (*version).to_owned());
                let all: BTreeSet<String> =
                    self.versions.iter().cloned().chain(always).chain(known.iter().cloned()).collect();
                all.into_iter().collect()
            }
        }
    }

    /// Returns whether an object is in a namespace. One whose kind is not known counts as if.
    fn is_namespaced(&self, name: &ObjectName) -> bool {
        let built_in = CLUSTER_SCOPED.iter().find(|(group, _)| *group == name.group());
        if built_in.is_some_and(|(_, kinds)| kinds.iter().any(|kind| *kind == "*" || *kind == name.kind)) {
            return false;
        }
        let key = (name.group().to_owned(), name.kind.clone());
        self.scopes.get(&key).copied().unwrap_or(true)
    }
}

/// Returns the group and the kind that an object defines, if it is a definition.
pub(super) fn defined(object: &Object) -> Option<(&str, &str)> {
    let is_definition = object.name.is_definition() && object.name.group() == "apiextensions.k8s.io";
    let text = |path: &[&str]| object.value.text_at(path).filter(|_| is_definition);
    Some((text(&["spec", "group"])?, text(&["spec", "names", "kind"])?))
}

/// Returns the versions of a definition that are served.
pub(super) fn served(definition: &Object) -> impl Iterator<Item = &Value> {
    let versions = definition.value.at(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
    versions.iter().filter(|version| version.get("served") != Some(&Value::Bool(false)))
}

/// Puts objects where Argo CD's controller does: into the Application's namespace if they name none and their kind has
/// one, and into none if it has none. Of objects with one name the last one counts.
#[must_use]
pub fn placed(objects: Vec<Object>, namespace: &str, definitions: &Definitions) -> Vec<Object> {
    let mut places: HashMap<ObjectName, usize> = HashMap::with_capacity(objects.len());
    let mut found: Vec<Object> = Vec::with_capacity(objects.len());
    for mut object in objects {
        let own = object.name.namespace.take().filter(|own| !own.is_empty());
        let wanted = own.or_else(|| Some(namespace.to_owned()).filter(|text| !text.is_empty()));
        let wanted = wanted.filter(|_| definitions.is_namespaced(&object.name));
        set_namespace(&mut object.value, wanted.as_deref());
        object.name.namespace = wanted;
        match places.get(&object.name.identity()) {
            // What the API server names is another object each time.
            Some(at) if !object.name.name.ends_with('*') => found[*at] = object,
            _ => {
                places.insert(object.name.identity(), found.len());
                found.push(object);
            }
        }
    }
    found
}

fn set_namespace(object: &mut Value, namespace: Option<&str>) {
    let Value::Map(entries) = object else { return };
    let changed = std::mem::take(entries).into_iter().map(|(key, value)| match value {
        Value::Map(metadata) if key == "metadata" => (key, Value::Map(with_namespace(metadata, namespace))),
        value => (key, value),
    });
    *entries = changed.collect();
}

fn with_namespace(metadata: Map, namespace: Option<&str>) -> Map {
    let is_there = metadata.get("namespace").and_then(Value::as_str) == namespace;
    if is_there && namespace.is_some() {
        return metadata;
    }
    let mut metadata: Map = metadata.into_iter().filter(|(key, _)| key != "namespace").collect();
    if let Some(namespace) = namespace {
        metadata.insert("namespace", Value::String(namespace.to_owned()));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::read;

    const DEFINITIONS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pools.x.example.com}
spec:
  group: x.example.com
  scope: Cluster
  names: {kind: Pool}
  versions: [{name: v1, served: true}, {name: v1beta1, served: false}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parts.x.example.com}
spec: {group: x.example.com, scope: Namespaced, names: {kind: Part}, versions: [{name: v2, served: true}]}
";

    fn definitions() -> Definitions {
        Definitions::of(&read(DEFINITIONS).unwrap())
    }

    fn shown(text: &str) -> Vec<String> {
        let objects = placed(read(text).unwrap(), "own", &definitions());
        let shown = objects.iter().map(|object| {
            let written = object.value.text_at(&["metadata", "namespace"]);
            assert_eq!(written, object.name.namespace.as_deref());
            object.name.to_string()
        });
        shown.collect()
    }

    #[test]
    fn an_object_is_in_a_namespace_if_its_kind_has_one() {
        let text = "
{apiVersion: v1, kind: Service, metadata: {name: a}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: other, name: b}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: '', name: c}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: d, namespace: lost}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: e}}
---
{apiVersion: x.example.com/v1, kind: Pool, metadata: {name: f}}
---
{apiVersion: x.example.com/v2, kind: Part, metadata: {name: g}}
---
{apiVersion: y.example.com/v1, kind: Pool, metadata: {name: h}}
";
        assert_eq!(
            shown(text),
            [
                "Service own/a",
                "Service other/b",
                "Service own/c",
                "ClusterRole d",
                "Role own/e",
                "Pool f",
                "Part own/g",
                "Pool own/h"
            ]
        );
    }

    #[test]
    fn of_objects_with_one_name_the_last_one_counts() {
        let text = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1}}
---
{apiVersion: v1, kind: Service, metadata: {name: a}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: own}, spec: {replicas: 2}}
---
{apiVersion: batch/v1, kind: Job, metadata: {generateName: a-}}
---
{apiVersion: batch/v1, kind: Job, metadata: {generateName: a-}}
";
        let objects = placed(read(text).unwrap(), "own", &Definitions::default());
        assert_eq!(objects.len(), 4);
        assert_eq!(objects[0].value.at(&["spec", "replicas"]).unwrap().to_json(), 2);
    }

    #[test]
    fn helm_is_given_what_the_objects_define_and_what_is_known_of_the_cluster() {
        let given =
            |asked: &AskedVersions| definitions().api_versions(&["cilium.io/v2".to_owned()], asked).join(" ");
        assert_eq!(
            given(&AskedVersions::Any),
            "apiregistration.k8s.io/v1 apiregistration.k8s.io/v1/APIService cilium.io/v2 x.example.com/v1 x.example.com/v1/Pool x.example.com/v2 x.example.com/v2/Part"
        );
        let names =
            ["cilium.io/v2", "x.example.com/v1/Pool", "x.example.com/v3", "apiregistration.k8s.io/v1"];
        let asked = AskedVersions::Named(names.map(str::to_owned).into());
        assert_eq!(given(&asked), "apiregistration.k8s.io/v1 cilium.io/v2 x.example.com/v1/Pool");
        assert_eq!(given(&AskedVersions::default()), "");
    }
}
