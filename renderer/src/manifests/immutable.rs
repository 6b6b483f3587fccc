//! The fields that the API server refuses to change, as a table.

use super::object::ObjectName;

/// Fields of some kinds that cannot be changed.
struct Row {
    group: &'static str,
    kinds: &'static [&'static str],
    /// Where they are; everything below is meant.
    path: &'static [&'static str],
    /// What directly below can be changed all the same.
    except: &'static [&'static str],
}

const fn row(
    group: &'static str,
    kinds: &'static [&'static str],
    path: &'static [&'static str],
    except: &'static [&'static str],
) -> Row {
    Row { group, kinds, path, except }
}

const STATEFUL_SET: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const STORAGE_CLASS: [&str; 6] =
    ["apiVersion", "kind", "metadata", "allowVolumeExpansion", "mountOptions", "allowedTopologies"];
const CLAIM: [&str; 2] = ["resources", "volumeAttributesClassName"];
const ROLE_BINDINGS: [&str; 2] = ["RoleBinding", "ClusterRoleBinding"];
const WITH_SELECTOR: [&str; 3] = ["Deployment", "DaemonSet", "ReplicaSet"];
const DEFINITION: [&str; 1] = ["CustomResourceDefinition"];

/// All of them, with the function of Kubernetes that refuses.
const ROWS: [Row; 21] = [
    // `ValidateUpdate` of each strategy below pkg/registry/apps.
    row("apps", &WITH_SELECTOR, &["spec", "selector"], &[]),
    // `ValidateStatefulSetUpdate` in pkg/apis/apps/validation.
    row("apps", &["StatefulSet"], &["spec"], &STATEFUL_SET),
    // `ValidateJobSpecUpdate` in pkg/apis/batch/validation.
    row("batch", &["Job"], &["spec", "selector"], &[]),
    row("batch", &["Job"], &["spec", "template"], &[]),
    row("batch", &["Job"], &["spec", "completions"], &[]),
    row("batch", &["Job"], &["spec", "completionMode"], &[]),
    row("batch", &["Job"], &["spec", "podFailurePolicy"], &[]),
    row("batch", &["Job"], &["spec", "backoffLimitPerIndex"], &[]),
    // `ValidateServiceUpdate` in pkg/apis/core/validation.
    row("", &["Service"], &["spec", "clusterIP"], &[]),
    row("", &["Service"], &["spec", "clusterIPs"], &[]),
    // `ValidatePersistentVolumeClaimUpdate`, `ValidateResourceQuotaUpdate` and `ValidateSecretUpdate` there.
    row("", &["PersistentVolumeClaim"], &["spec"], &CLAIM),
    row("", &["ResourceQuota"], &["spec", "scopes"], &[]),
    row("", &["Secret"], &["type"], &[]),
    // `ValidateStorageClassUpdate` in pkg/apis/storage/validation.
    row("storage.k8s.io", &["StorageClass"], &[], &STORAGE_CLASS),
    // `ValidateRoleBindingUpdate` and `ValidateClusterRoleBindingUpdate` in pkg/apis/rbac/validation.
    row("rbac.authorization.k8s.io", &ROLE_BINDINGS, &["roleRef"], &[]),
    // `validateCustomResourceDefinitionSpecUpdate` in apiextensions-apiserver/pkg/apis/apiextensions/validation.
    row("apiextensions.k8s.io", &DEFINITION, &["spec", "group"], &[]),
    row("apiextensions.k8s.io", &DEFINITION, &["spec", "scope"], &[]),
    row(
        "apiextensions.k8s.io",
        &DEFINITION,
        &["spec", "names"],
        &["shortNames", "categories", "singular", "listKind"],
    ),
    // `ValidatePriorityClassUpdate` in pkg/apis/scheduling/validation.
    row("scheduling.k8s.io", &["PriorityClass"], &["value"], &[]),
    // `ValidateIngressClassUpdate` in pkg/apis/networking/validation.
    row("networking.k8s.io", &["IngressClass"], &["spec", "controller"], &[]),
    // `ValidateRuntimeClassUpdate` in pkg/apis/node/validation.
    row("node.k8s.io", &["RuntimeClass"], &["handler"], &[]),
];

/// Returns whether the API server refuses to change a field of an object that is there; `keys` lead to it.
pub(crate) fn is_immutable(object: &ObjectName, keys: &[&str]) -> bool {
    ROWS.iter().any(|row| {
        row.group == object.group()
            && row.kinds.contains(&object.kind.as_str())
            && keys.starts_with(row.path)
            && !keys.get(row.path.len()).is_some_and(|below| row.except.contains(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_refuses_is_known_by_group_kind_and_path() {
        for (api_version, kind, path, refuses) in [
            ("apps/v1", "Deployment", "spec.selector.matchLabels.app", true),
            ("apps/v1", "Deployment", "spec.template.spec.nodeSelector", false),
            ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates.spec.resources", true),
            ("apps/v1", "StatefulSet", "spec.serviceName", true),
            ("apps/v1", "StatefulSet", "spec.podManagementPolicy", true),
            ("apps/v1", "StatefulSet", "spec.replicas", false),
            ("apps/v1", "StatefulSet", "metadata.labels.a", false),
            ("apps.example.com/v1", "StatefulSet", "spec.serviceName", false),
            ("batch/v1", "Job", "spec.template.spec.containers.image", true),
            ("batch/v1", "Job", "spec.parallelism", false),
            ("batch/v1", "CronJob", "spec.jobTemplate.spec.template", false),
            ("v1", "Service", "spec.clusterIP", true),
            ("serving.example.com/v1", "Service", "spec.clusterIP", false),
            ("v1", "PersistentVolumeClaim", "spec.storageClassName", true),
            ("v1", "PersistentVolumeClaim", "spec.resources.requests.storage", false),
            ("v1", "Secret", "type", true),
            ("storage.k8s.io/v1", "StorageClass", "parameters.type", true),
            ("storage.k8s.io/v1", "StorageClass", "provisioner", true),
            ("storage.k8s.io/v1", "StorageClass", "metadata.annotations.a", false),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name", true),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "subjects", false),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.scope", true),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.names.kind", true),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.names.shortNames", false),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.versions.schema", false),
        ] {
            let name = ObjectName {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: None,
                name: "a".to_owned(),
            };
            let keys: Vec<&str> = path.split('.').collect();
            assert_eq!(is_immutable(&name, &keys), refuses, "{kind} {path}");
        }
    }
}
