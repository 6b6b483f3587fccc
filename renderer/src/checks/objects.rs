//! Whether rendered Kubernetes objects have the form that the cluster expects.
//!
//! The API server drops a misspelt field of a custom resource without a word, so that a setting does nothing and nobody is
//! told. Here it is a fault. Knows the kinds that our own templates write; of other kinds it judges what all have in common.

use std::sync::OnceLock;

use serde_json::Value;

use crate::catalog::ObjectSchemas;
use crate::key_path::Step;
use crate::schema::{Schema, Violation};
use crate::yaml;

use super::kinds::KINDS;
use super::{Document, DocumentKind, Finding, Part};

/// What holds for every object.
static OBJECT: EmbeddedSchema = EmbeddedSchema::new(include_str!("schemas/object.json"));

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    pub(super) fn of(document: &Document<'_>) -> Option<Self> {
        let text = |keys: &[&str]| document.value.at(keys).and_then(yaml::Value::as_str).map(str::to_owned);
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

/// A kind whose fields are known.
pub(super) struct Kind {
    api_version: &'static str,
    name: &'static str,
    schema: EmbeddedSchema,
}

/// A schema that is compiled when it is first used, since a repository uses few of them.
struct EmbeddedSchema {
    text: &'static str,
    compiled: OnceLock<Schema>,
}

impl Kind {
    pub(super) const fn new(api_version: &'static str, name: &'static str, text: &'static str) -> Self {
        Self { api_version, name, schema: EmbeddedSchema::new(text) }
    }
}

impl EmbeddedSchema {
    const fn new(text: &'static str) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    fn get(&self) -> &Schema {
        self.compiled.get_or_init(|| {
            let schema = serde_json::from_str(self.text).expect("an embedded schema is JSON");
            Schema::compile(&schema).expect("an embedded schema is valid")
        })
    }
}

/// A misspelt field is dropped by the cluster without a word.
pub(super) fn objects_fit_their_schema(document: &Document<'_>) -> Vec<Finding> {
    if document.kind != DocumentKind::Object {
        return Vec::new();
    }
    let violations = check_object(&document.value.to_json(), document.schemas);
    let finding = |violation: Violation| Finding {
        part: if violation.on_key { Part::Key } else { Part::Value },
        hint: violation.hint,
        ..Finding::new(&violation.path, violation.message)
    };
    violations.into_iter().map(finding).collect()
}

/// Returns everything that is wrong with one object, in the order of the paths.
#[must_use]
pub fn check_object(object: &Value, own: &ObjectSchemas) -> Vec<Violation> {
    let mut violations = OBJECT.get().violations(object);
    if let Some(schema) = schema_of(object, own) {
        violations.extend(schema.violations(object));
    }
    violations.extend(secret_content(object));
    violations.sort();
    violations.dedup();
    violations
}

/// `ClusterRole` and the like; a plain `Cluster` is what operators of databases call theirs, in a namespace.
fn is_cluster_kind(kind: &str) -> bool {
    kind.strip_prefix("Cluster").is_some_and(|rest| !rest.is_empty())
}

/// Finds the schema of an object's kind; what people keep themselves goes before what is built in.
fn schema_of<'s>(object: &Value, own: &'s ObjectSchemas) -> Option<&'s Schema> {
    let (api_version, name) = (object.get("apiVersion")?.as_str()?, object.get("kind")?.as_str()?);
    own.kinds.get(&(api_version.to_owned(), name.to_owned())).or_else(|| {
        KINDS
            .iter()
            .find(|kind| kind.api_version == api_version && kind.name == name)
            .map(|kind| kind.schema.get())
    })
}

/// A secret in a rendered file is a secret in git, where it can't be taken back.
fn secret_content(object: &Value) -> Vec<Violation> {
    let is_secret =
        object.get("apiVersion") == Some(&"v1".into()) && object.get("kind") == Some(&"Secret".into());
    let content = ["data", "stringData"].into_iter().filter(|key| is_secret && object.get(key).is_some());
    content
        .map(|key| Violation {
            path: vec![Step::Key(key.to_owned())],
            on_key: true,
            message: format!("a `Secret` with `{key}` would put its content into the repository"),
            hint: Some("write an `ExternalSecret` that fetches it from Vault".to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    fn told(object: &Value) -> String {
        let lines = check_object(object, &ObjectSchemas::default()).into_iter().map(|violation| {
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
        OBJECT.get();
        for kind in &KINDS {
            kind.schema.get();
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
          hint: write an `ExternalSecret` that fetches it from Vault
        stringData: a `Secret` with `stringData` would put its content into the repository
          hint: write an `ExternalSecret` that fetches it from Vault
        ");
    }
}
