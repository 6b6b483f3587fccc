//! Writes the object schemas that the renderer embeds, from the definitions of the projects that own the kinds.
//!
//! `cargo run -p testkit --example crd-schemas -- CRD_DIR SWAGGER OUT_DIR`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use testkit::crds::{KindSchema, condense_all, condense_core};

/// The folders of `CRD_DIR` with the kinds that templates of a platform write; all kinds where none are named.
///
/// Left out is what only controllers write, and the two kinds that are as large as all others together.
const OWNERS: [(&str, &[&str]); 9] = [
    ("argo-cd", &[]),
    ("cert-manager", &["Certificate", "ClusterIssuer", "Issuer"]),
    (
        "external-secrets",
        &["ClusterExternalSecret", "ClusterSecretStore", "ExternalSecret", "PushSecret", "SecretStore"],
    ),
    ("gateway-api", &["Gateway", "HTTPRoute"]),
    (
        "istio",
        &[
            "AuthorizationPolicy",
            "DestinationRule",
            "Gateway",
            "PeerAuthentication",
            "RequestAuthentication",
            "ServiceEntry",
            "Sidecar",
            "Telemetry",
            "VirtualService",
            "WorkloadEntry",
        ],
    ),
    ("keda", &["ClusterTriggerAuthentication", "ScaledObject", "TriggerAuthentication"]),
    ("kyverno", &["PolicyException", "ValidatingPolicy"]),
    ("metallb", &[]),
    ("monitoring.coreos.com", &["PodMonitor", "Probe", "PrometheusRule", "ScrapeConfig", "ServiceMonitor"]),
];

/// Kinds of Velero that people write; the folder holds also what it writes itself.
const VELERO: (&str, &[&str]) = ("velero", &["BackupStorageLocation", "Schedule", "VolumeSnapshotLocation"]);

/// Kinds of Kubernetes itself that templates write, each by the end of its definition's name.
///
/// Left out is what only the cluster itself writes, such as events, leases and reviews of access.
const CORE: [&str; 48] = [
    "admissionregistration.v1.MutatingAdmissionPolicy",
    "admissionregistration.v1.MutatingAdmissionPolicyBinding",
    "admissionregistration.v1.MutatingWebhookConfiguration",
    "admissionregistration.v1.ValidatingAdmissionPolicy",
    "admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    "admissionregistration.v1.ValidatingWebhookConfiguration",
    "apiextensions.v1.CustomResourceDefinition",
    "apiregistration.v1.APIService",
    "apps.v1.DaemonSet",
    "apps.v1.Deployment",
    "apps.v1.ReplicaSet",
    "apps.v1.StatefulSet",
    "autoscaling.v1.HorizontalPodAutoscaler",
    "autoscaling.v2.HorizontalPodAutoscaler",
    "batch.v1.CronJob",
    "batch.v1.Job",
    "core.v1.ConfigMap",
    "core.v1.Endpoints",
    "core.v1.LimitRange",
    "core.v1.Namespace",
    "core.v1.PersistentVolume",
    "core.v1.PersistentVolumeClaim",
    "core.v1.Pod",
    "core.v1.PodTemplate",
    "core.v1.ReplicationController",
    "core.v1.ResourceQuota",
    "core.v1.Secret",
    "core.v1.Service",
    "core.v1.ServiceAccount",
    "discovery.v1.EndpointSlice",
    "flowcontrol.v1.FlowSchema",
    "flowcontrol.v1.PriorityLevelConfiguration",
    "networking.v1.Ingress",
    "networking.v1.IngressClass",
    "networking.v1.NetworkPolicy",
    "node.v1.RuntimeClass",
    "policy.v1.PodDisruptionBudget",
    "rbac.v1.ClusterRole",
    "rbac.v1.ClusterRoleBinding",
    "rbac.v1.Role",
    "rbac.v1.RoleBinding",
    "resource.v1.DeviceClass",
    "resource.v1.ResourceClaim",
    "resource.v1.ResourceClaimTemplate",
    "scheduling.v1.PriorityClass",
    "storage.v1.CSIDriver",
    "storage.v1.StorageClass",
    "storage.v1.VolumeAttributesClass",
];

/// The file of the parts that kinds of Kubernetes itself share.
const CORE_PARTS: &str = "core-parts.json";

/// Where the table of all kinds is written, beside the folder of the schemas.
const TABLE: &str = "../kinds.rs";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [definitions, description, out] = arguments.as_slice() else {
        bail!("usage: crd-schemas CRD_DIR SWAGGER OUT_DIR")
    };
    let mut schemas = BTreeMap::new();
    for (owner, kinds) in OWNERS.iter().chain([&VELERO]) {
        for file in files_in(&definitions.join(owner))? {
            let found = condense_all(&fs::read_to_string(&file)?)
                .with_context(|| format!("failed to condense `{}`", file.display()))?;
            let wanted = found.into_iter().filter(|it| kinds.is_empty() || kinds.contains(&it.kind.as_str()));
            schemas.extend(wanted.map(|schema| (schema.file_name.clone(), schema)));
        }
    }
    let core = condense_core(&fs::read_to_string(description)?, &CORE)?;
    fs::write(out.join(CORE_PARTS), core.parts)?;
    schemas.extend(core.kinds.into_iter().map(|schema| (schema.file_name.clone(), schema)));
    // Versions of a kind are often equal, and so are a kind and its form for a whole cluster: kept once, under the first.
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for schema in schemas.values() {
        if files
            .insert(&schema.text, files.get(&*schema.text).copied().unwrap_or(&schema.file_name))
            .is_none()
        {
            println!("{:>7} bytes  {}", schema.text.len(), schema.file_name);
            fs::write(out.join(&schema.file_name), &schema.text)?;
        }
    }
    fs::write(out.join(TABLE), table(schemas.values().map(|schema| (schema, files[&*schema.text]))))?;
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn table<'a>(schemas: impl Iterator<Item = (&'a KindSchema, &'a str)>) -> String {
    let rows = schemas.map(|(schema, file_name)| {
        let KindSchema { api_version, kind, is_core, .. } = schema;
        let new = if *is_core { "core" } else { "new" };
        format!("    Kind::{new}({api_version:?}, {kind:?}, include_str!(\"schemas/{file_name}\")),\n")
    });
    let rows: Vec<String> = rows.collect();
    let (count, rows) = (rows.len(), rows.concat());
    format!(
        "//! The kinds whose fields are known. Written by `crd-schemas` (see `schemas/README.md`); do not edit.\n\n\
         use super::objects::Kind;\n\n\
         #[rustfmt::skip]\n\
         pub(super) static KINDS: [Kind; {count}] = [\n{rows}];\n"
    )
}
