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

/// The file of the schemas of all kinds.
const KINDS: &str = "kinds.txt";

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
    fs::write(out.join(KINDS), kinds(schemas.values()))?;
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

/// Writes each schema below the kinds that it is of. Versions of a kind are often equal, and so are a kind
/// and its form for a whole cluster: kept once, at the first.
fn kinds<'a>(schemas: impl Iterator<Item = &'a KindSchema>) -> String {
    let mut texts: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for KindSchema { api_version, kind, is_core, text, .. } in schemas {
        let owner = if *is_core { "Kubernetes" } else { "custom" };
        let name = format!("{api_version} {kind}");
        if let Some((.., names)) = texts.iter_mut().find(|(of, known, _)| *of == owner && known == text) {
            names.push(name);
        } else {
            println!("{:>7} bytes  {name}", text.len());
            texts.push((owner, text, vec![name]));
        }
    }
    let parts = texts.iter().map(|(owner, text, names)| format!("== {owner}: {}\n{text}", names.join(", ")));
    parts.collect::<Vec<_>>().concat()
}
