//! Whether rendered Kubernetes objects have the form that the cluster expects.
//!
//! The API server drops a misspelt field of a custom resource without a word, so that a setting does nothing
//! and nobody is told. Here it is a fault. Knows the kinds that our own templates write; of other kinds it
//! judges what all have in common.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::ObjectSchemas;
use crate::checks::{DefinedKind, Document, Finding, Part};
use crate::key_path::{key, keys};
use crate::schema::{Schema, Violation};

use crate::argo;

/// What holds for every object.
static OBJECT: EmbeddedSchema = EmbeddedSchema::new(include_str!("../schemas/object.json"));

/// The address of the API server of the cluster that Argo CD runs on.
const OWN_SERVER: &str = "https://kubernetes.default.svc";

/// Kinds that belong to no namespace, besides `ClusterRole` and the like.
const WITHOUT_NAMESPACE: [&str; 10] = [
    "APIService",
    "CSIDriver",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// What makes an object the same object, in whatever version it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// Whether it lands on the cluster's hub and not on the cluster itself.
    pub is_on_hub: bool,
    group: String,
    namespace: Option<String>,
}

impl ObjectId {
    /// Reads the identity of an object; nothing if it has no name.
    pub(in super::super) fn of(document: &Document<'_>) -> Option<Self> {
        let object = document.object()?;
        let text = |keys: &[&str]| object.text_at(keys).map(str::to_owned);
        let kind = text(&["kind"])?;
        let name = text(&["metadata", "name"])?;
        let version = text(&["apiVersion"])?;
        let group = version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        let is_global = is_cluster_kind(&kind) || WITHOUT_NAMESPACE.contains(&kind.as_str());
        let own = || document.addon.map(|addon| addon.facts.namespace.clone());
        let namespace = if is_global { None } else { text(&["metadata", "namespace"]).or_else(own) };
        Some(Self { kind, name, is_on_hub: document.addon.is_none(), group, namespace })
    }
}

impl ObjectId {
    /// Returns the namespace of an Application of Argo CD's; nothing for every other object.
    pub(in super::super) fn application_namespace(&self) -> Option<&str> {
        let is_application = self.kind == "Application" && self.group == "argoproj.io";
        is_application.then(|| self.namespace.as_deref().unwrap_or_default())
    }
}

/// The kinds whose fields are known, by version and name. Written by `crd-schemas` (see `schemas/README.md`).
static KINDS: LazyLock<HashMap<(&str, &str), EmbeddedSchema>> = LazyLock::new(|| {
    let parts = include_str!("../schemas/kinds.txt").split("\n== ").filter_map(|part| part.split_once('\n'));
    let kinds = parts.flat_map(|(header, text)| {
        let (owner, kinds) = header.trim_start_matches("== ").split_once(": ").unwrap_or_default();
        let schema = move || EmbeddedSchema { is_core: owner == "Kubernetes", ..EmbeddedSchema::new(text) };
        kinds.split(", ").filter_map(move |name| Some((name.split_once(' ')?, schema())))
    });
    kinds.collect()
});

/// What pods and other parts of several kinds of Kubernetes itself are, by name.
static CORE_PARTS: LazyLock<Value> =
    LazyLock::new(|| parsed(include_str!("../schemas/core-parts.json"))["$defs"].take());

/// A schema that is compiled when it is first used, since a repository uses few of them.
struct EmbeddedSchema {
    text: &'static str,
    /// Whether it is that of a kind of Kubernetes itself.
    is_core: bool,
    compiled: OnceLock<Schema>,
}

impl EmbeddedSchema {
    const fn new(text: &'static str) -> Self {
        Self { text, is_core: false, compiled: OnceLock::new() }
    }

    fn compiled(&self) -> &Schema {
        self.compiled.get_or_init(|| {
            let mut schema = parsed(self.text);
            if self.is_core {
                let mut parts = Map::new();
                add_parts(&schema, &mut parts);
                schema["$defs"] = parts.into();
            }
            Schema::own(&schema)
        })
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("an embedded schema is JSON")
}

/// Adds every shared part that a schema refers to, and those that they refer to.
fn add_parts(schema: &Value, parts: &mut Map<String, Value>) {
    match schema {
        Value::Object(entries) => {
            let reference = entries.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/"))
                && let Some(part) = CORE_PARTS.get(name).filter(|_| !parts.contains_key(name))
            {
                parts.insert(name.to_owned(), part.clone());
                add_parts(part, parts);
            }
            entries.values().for_each(|value| add_parts(value, parts));
        }
        Value::Array(items) => items.iter().for_each(|item| add_parts(item, parts)),
        _ => {}
    }
}

/// A misspelt field is dropped by the cluster without a word.
pub(in super::super) fn objects_fit_their_schema(document: &Document<'_>) -> Vec<Finding> {
    let Some(object) = document.object() else { return Vec::new() };
    violations(object.to_json(), document.schemas).into_iter().map(finding).collect()
}

/// The same of an object that a chart makes: its Secrets are not in the repository, and its definitions say what they may.
pub(in super::super) fn final_objects_fit_their_schema(document: &Document<'_>) -> Vec<Finding> {
    let Some(object) = document.object() else { return Vec::new() };
    let is_defined = document.defined.is_some_and(DefinedKind::is_usable);
    in_order(schema_violations(object.to_json(), document.schemas, is_defined))
        .into_iter()
        .map(finding)
        .collect()
}

/// A field that the definition of its kind does not name is dropped, too.
pub(in super::super) fn objects_fit_their_definition(document: &Document<'_>) -> Vec<Finding> {
    let (Some(object), Some(defined)) = (document.object(), document.defined) else { return Vec::new() };
    defined.violations(object.to_json()).into_iter().map(finding).collect()
}

fn finding(violation: Violation) -> Finding {
    Finding {
        part: if violation.on_key { Part::Key } else { Part::Value },
        hint: violation.hint,
        ..Finding::new(&violation.path, violation.message)
    }
}

/// Names that Argo CD has given already: a cluster or a project of that name would be its own.
pub(in super::super) fn names_are_not_reserved(document: &Document<'_>) -> Vec<Finding> {
    const PROJECT: &str = "default";
    let cluster = document.cluster;
    let name = document.value.text_at(&["metadata", "name"]);
    // Who writes the project's name down means it. A cluster that is called so does not.
    if argo::is_kind(document.value, "AppProject")
        && name == Some(PROJECT)
        && cluster.name.as_str() == PROJECT
    {
        let message = format!(
            "the project of cluster `{PROJECT}` is Argo CD's own, which its other Applications are in"
        );
        let hint = format!("rename `{}`, or call its project otherwise", cluster.file);
        return vec![Finding::new(&["metadata", "name"].map(key), message).hint(hint)];
    }
    let registered = argo::registered(document.value);
    // Of a cluster of that name, it is said once.
    let is_reserved = |registered: &argo::Registered| {
        registered.name == argo::IN_CLUSTER
            && cluster.name.as_str() != argo::IN_CLUSTER
            && !registered.server.starts_with(OWN_SERVER)
    };
    let finding = |registered: argo::Registered| {
        let message = format!("`{}` is what Argo CD calls the cluster that it runs on", registered.name);
        Finding::new(&registered.path, message).hint("register the cluster under a name of its own")
    };
    registered.filter(is_reserved).map(finding).into_iter().collect()
}

/// Returns everything that is wrong with one object, in the order of the paths.
fn violations(object: Value, own: &ObjectSchemas) -> Vec<Violation> {
    let secret: Vec<_> = secret_content(&id_of(&object), &object).collect();
    let mut violations = schema_violations(object, own, false);
    violations.extend(secret);
    in_order(violations)
}

fn in_order(mut violations: Vec<Violation>) -> Vec<Violation> {
    violations.sort();
    violations.dedup();
    violations
}

fn id_of(object: &Value) -> (String, String) {
    let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

/// A kind that is defined beside the object is judged by that definition, and not by what is built in of some version of it.
fn schema_violations(mut object: Value, own: &ObjectSchemas, is_defined: bool) -> Vec<Violation> {
    let id = id_of(&object);
    let known = KINDS.get(&(id.0.as_str(), id.1.as_str()));
    remove_nothing(&mut object, known.is_some_and(|kind| kind.is_core));
    // The schema that people keep of a kind goes before one that is built in.
    let own = own.kinds.get(&id).or_else(|| known.filter(|_| !is_defined).map(EmbeddedSchema::compiled));
    let schemas = [Some(OBJECT.compiled()), own];
    schemas.into_iter().flatten().flat_map(|schema| schema.violations(&object)).collect()
}

/// Leaves out what says nothing to the API server and is written by tools all the same: `creationTimestamp:
/// null`, `status: {}`, `annotations:`. A custom kind may take a null for a value, but not in its metadata.
fn remove_nothing(object: &mut Value, is_core: bool) {
    let is_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    if let Some(entries) = object.as_object_mut()
        && entries.get("status").is_some_and(is_nothing)
    {
        entries.remove("status");
    }
    if is_core {
        remove_nulls(object);
    } else if let Some(metadata) = object.get_mut("metadata") {
        remove_nulls(metadata);
    }
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// `ClusterRole` and the like; a plain `Cluster` is what operators of databases call theirs, in a namespace.
fn is_cluster_kind(kind: &str) -> bool {
    kind.strip_prefix("Cluster").is_some_and(|rest| !rest.is_empty())
}

/// A secret in a rendered file is a secret in git, where it can't be taken back.
fn secret_content(id: &(String, String), object: &Value) -> impl Iterator<Item = Violation> {
    let is_secret = *id == ("v1".to_owned(), "Secret".to_owned());
    let content =
        ["data", "stringData"].into_iter().filter(move |key| is_secret && object.get(key).is_some());
    content.map(|key| Violation {
        path: keys(&[key]),
        on_key: true,
        missing: None,
        message: format!("a `Secret` with `{key}` would put its content into the repository"),
        hint: Some("write an `ExternalSecret` that fetches it from a secret store".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;
    use crate::key_path::Step;

    fn told(object: &Value) -> String {
        let lines = violations(object.clone(), &ObjectSchemas::default()).into_iter().map(|violation| {
            let path: Vec<_> = violation.path.iter().map(Step::to_string).collect();
            let hint = violation.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", path.join("."), violation.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn pool() -> Value {
        json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": {"name": "default", "namespace": "metallb-system"},
            "spec": {"addresses": ["192.168.64.100-192.168.64.110"], "autoAssign": true},
        })
    }

    fn application_set() -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "app", "namespace": "argocd", "labels": {"cluster": "app"}},
            "spec": {
                "goTemplate": true,
                "generators": [{"list": {"elements": [{"name": "metallb", "wave": -10}]}}],
                "template": {
                    "metadata": {"name": "app-{{ .name }}"},
                    "spec": {
                        "project": "app",
                        "destination": {"name": "app", "namespace": "metallb-system"},
                        "sources": [{"repoURL": "https://example.com", "chart": "metallb", "targetRevision": "1.2.3"}],
                        "syncPolicy": {"automated": {"prune": true}, "retry": {"limit": 5, "backoff": {"factor": 2}}},
                    },
                },
            },
        })
    }

    #[test]
    fn objects_as_they_should_be_have_no_fault() {
        assert_eq!(told(&pool()), "");
        assert_eq!(told(&application_set()), "");
    }

    #[test]
    fn every_embedded_schema_compiles() {
        OBJECT.compiled();
        assert_eq!(KINDS.len(), 115);
        for kind in KINDS.values() {
            kind.compiled();
        }
    }

    #[test]
    fn a_field_that_the_cluster_would_drop_is_a_fault() {
        let mut pool = pool();
        pool["spec"]["address"] = json!([]);
        pool["spec"]["autoAssign"] = json!("yes");
        assert_snapshot!(told(&pool), @"
        spec.address: unknown key `address`
          hint: known keys: `addresses`, `autoAssign`, `avoidBuggyIPs`, `serviceAllocation`
        spec.autoAssign: `autoAssign` must be `true` or `false`, not a string
        ");
    }

    #[test]
    fn a_field_deep_in_a_shared_schema_is_found() {
        let mut set = application_set();
        set["spec"]["template"]["spec"]["syncPolicy"]["automated"]["selfheal"] = json!(true);
        set["spec"]["template"]["spec"]["sources"][0]["targetRevison"] = json!("1");
        set["spec"]["generators"][0]["list"]["element"] = json!([]);
        assert_snapshot!(told(&set), @"
        spec.generators.[0].list.element: unknown key `element`
          hint: did you mean `elementsYaml`?
        spec.template.spec.sources.[0].targetRevison: unknown key `targetRevison`
          hint: known keys: `chart`, `directory`, `helm`, `kustomize`, `name`, `path`, `plugin`, `ref`, `repoURL`, `targetRevision`
        spec.template.spec.syncPolicy.automated.selfheal: unknown key `selfheal`
          hint: did you mean `selfHeal`?
        ");
    }

    #[test]
    fn a_custom_resource_needs_a_dns_name() {
        let mut pool = pool();
        pool["metadata"]["name"] = json!("Default_Pool");
        assert_snapshot!(told(&pool), @"
        metadata.name: `Default_Pool` is not a valid `name`
          hint: use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends
        ");
    }

    #[test]
    fn every_object_needs_a_version_a_kind_and_a_name() {
        assert_snapshot!(told(&json!({"kind": "config map", "metadata": {"nmae": "x", "labels": {"a b": 1}}})), @"
        : missing key `apiVersion`
          hint: write `v1`, or a group and a version such as `metallb.io/v1beta1`
        kind: `config map` is not a valid `kind`
          hint: write the kind in one word with a capital, such as `ConfigMap`
        metadata.labels.a b: `a b` must be a string, not a number
          hint: put the value in quotes
        metadata.labels.a b: `a b` is not a valid key
          hint: write a name of at most 63 letters, digits, `-`, `_` and `.`, alone or after a domain and a `/`
        metadata.nmae: unknown key `nmae`
          hint: did you mean `name`?
        ");
        assert_snapshot!(told(&json!("text")), @": the document must be a map, not a string");
    }

    #[test]
    fn a_kind_that_is_not_known_is_judged_by_what_all_have_in_common() {
        let widget =
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "size": 1});
        assert_eq!(told(&widget), "");
    }

    /// A workload as `kubectl create --dry-run=client -o yaml` writes it.
    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"creationTimestamp": null, "name": "web", "labels": {"app": "web"}},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {},
                "template": {
                    "metadata": {"creationTimestamp": null, "labels": {"app": "web"}},
                    "spec": {"containers": [{
                        "name": "web", "image": "web:1.2", "resources": {}, "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80, "name": "http"}],
                    }]},
                },
            },
            "status": {},
        })
    }

    #[test]
    fn what_tools_write_beside_the_fields_says_nothing() {
        assert_eq!(told(&deployment()), "");
        let mut owned = pool();
        owned["metadata"]["creationTimestamp"] = Value::Null;
        owned["metadata"]["annotations"] = Value::Null;
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", "controller": true}]);
        assert_eq!(told(&owned), "");
        // A custom kind is handed the null.
        owned["spec"]["autoAssign"] = Value::Null;
        owned["metadata"]["ownerReferences"][0]["uuid"] = json!("b");
        assert_snapshot!(told(&owned), @"
        metadata.ownerReferences.[0].uuid: unknown key `uuid`
          hint: known keys: `apiVersion`, `blockOwnerDeletion`, `controller`, `kind`, `name`, `uid`
        spec.autoAssign: `autoAssign` must be `true` or `false`, not null
          hint: write a value or remove the key
        ");
    }

    #[test]
    fn the_fields_of_workloads_have_their_types() {
        let mut deployment = deployment();
        deployment["spec"]["replicas"] = json!("2");
        let pod = &mut deployment["spec"]["template"]["spec"];
        pod["containers"][0]["env"] = json!([{"name": "A", "value": 1}]);
        pod["containers"][0]["ports"][0]["name"] = json!("a-name-of-16-chr");
        pod["containers"][0]["imagePullpolicy"] = json!("Always");
        pod["tolerations"] = json!({"key": "a"});
        deployment["status"] = json!({"replicas": 1});
        assert_snapshot!(told(&deployment), @"
        spec.replicas: `replicas` must be an integer, not a string
          hint: remove the quotes
        spec.template.spec.containers.[0].env.[0].value: `value` must be a string, not a number
          hint: put the value in quotes
        spec.template.spec.containers.[0].imagePullpolicy: unknown key `imagePullpolicy`
          hint: did you mean `imagePullPolicy`?
        spec.template.spec.containers.[0].ports.[0].name: `name` must have at most 15 characters, not 16
        spec.template.spec.tolerations: `tolerations` must be a list, not a map
        status: unknown key `status`
          hint: known keys: `apiVersion`, `kind`, `metadata`, `spec`
        ");
    }

    #[test]
    fn common_kinds_of_kubernetes_are_judged() {
        for (version, kind, spec) in [
            ("apps/v1", "StatefulSet", json!({"replicas": "2"})),
            ("apps/v1", "DaemonSet", json!({"minReadySeconds": "2"})),
            ("apps/v1", "ReplicaSet", json!({"replicas": "2"})),
            ("v1", "Pod", json!({"containers": [{"name": "a", "env": [{"name": "A", "value": 1}]}]})),
            ("v1", "ReplicationController", json!({"replicas": "2"})),
            ("v1", "PersistentVolume", json!({"accessMode": ["ReadWriteOnce"]})),
            ("v1", "ResourceQuota", json!({"hard": ["pods"]})),
            ("v1", "LimitRange", json!({"limits": {"type": "Pod"}})),
            ("networking.k8s.io/v1", "Ingress", json!({"rules": [{"host": 1}]})),
            ("networking.k8s.io/v1", "IngressClass", json!({"controler": "a"})),
            ("autoscaling/v1", "HorizontalPodAutoscaler", json!({"maxReplicas": "2"})),
            ("autoscaling/v2", "HorizontalPodAutoscaler", json!({"maxReplicas": "2"})),
            ("policy/v1", "PodDisruptionBudget", json!({"minAvailable": true})),
            ("batch/v1", "CronJob", json!({"schedule": 1})),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({"scoope": "Cluster"})),
            ("apiregistration.k8s.io/v1", "APIService", json!({"versionPriority": "2"})),
        ] {
            let object =
                json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
            assert_ne!(told(&object), "", "{kind} was passed");
        }
    }

    #[test]
    fn a_name_may_be_left_to_the_cluster() {
        let job =
            json!({"apiVersion": "example.com/v1", "kind": "Run", "metadata": {"generateName": "migrate-"}});
        assert_eq!(told(&job), "");
        let nameless = json!({"apiVersion": "example.com/v1", "kind": "Run", "metadata": {}});
        assert_snapshot!(told(&nameless), @"
        metadata: missing key `name`
          hint: name the object without `/`, `%` and spaces
        ");
    }

    #[test]
    fn a_role_may_have_a_colon_in_its_name() {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:reader"},
            "rules": [],
        });
        assert_eq!(told(&role), "");
    }

    #[test]
    fn a_secret_with_content_is_refused_and_one_without_is_not() {
        let mut secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"});
        assert_eq!(told(&secret), "");
        secret["data"] = json!({});
        secret["stringData"] = json!({"password": "hunter2"});
        assert_snapshot!(told(&secret), @"
        data: a `Secret` with `data` would put its content into the repository
          hint: write an `ExternalSecret` that fetches it from a secret store
        stringData: a `Secret` with `stringData` would put its content into the repository
          hint: write an `ExternalSecret` that fetches it from a secret store
        ");
    }
}
