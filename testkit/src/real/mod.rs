//! Real components for tests: clusters of Kubernetes without machines, a whole Argo CD, `MetalLB`, cert-manager,
//! External Secrets, `OpenBao`, Prometheus, the OpenTelemetry collector, Helm, the definitions of custom resources.
//!
//! They are not part of this repository: `testkit/real/fetch` brings them into a cache.

mod api_server;
mod argo_cd;
mod authority;
mod cert_manager;
mod charts;
mod client;
mod cluster;
mod collector;
mod envoy;
mod etcd;
mod external_secrets;
mod helm;
mod openbao;
mod operators;
mod process;
mod prometheus;
mod rclone;
mod rig;
mod route;
mod service;
mod workflows;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use ring::digest::{SHA256, digest};
use serde_json::Value;

pub use api_server::{ApiServer, kubeconfig};
pub use argo_cd::{ARGO_CD_NAMESPACE, ArgoCd, Server};
pub use authority::Authority;
pub use cert_manager::CertManager;
pub use charts::{ChartRepository, StandIn};
pub use client::{Client, Refused};
pub use cluster::{Cluster, ControlPlane, METALLB_NAMESPACE};
pub use collector::Collector;
pub use envoy::Envoy;
pub use etcd::Etcd;
pub use external_secrets::ExternalSecrets;
pub use helm::{Helm, Templated};
pub use openbao::OpenBao;
pub use operators::{Operators, Vault};
pub use process::wait_until;
pub use prometheus::{Prometheus, PrometheusOperator};
pub use rclone::S3;
pub use rig::{ARGO_CD_VERSION, Rig};
pub use route::Route;
pub use service::{lead_to_machine, own_address};
pub use workflows::{Actions, Ended, Event};

/// A folder with binaries of one's own, in place of the cache.
const OWN_BINARIES: &str = "FLEETWRIGHT_REAL";
/// A folder with definitions of one's own, in place of the cache.
const OWN_DEFINITIONS: &str = "FLEETWRIGHT_CRDS";

/// Something that the script brings in.
struct Component {
    name: &'static str,
    /// The file that pins its content, below `testkit/real/`.
    pinned_by: &'static str,
}

const ETCD: Component = Component { name: "etcd", pinned_by: "etcd/go.sum" };
const KUBE: Component = Component { name: "kube", pinned_by: "kube/go.sum" };
const KWOK: Component = Component { name: "kwok", pinned_by: "kwok/go.sum" };
const ARGO_CD: Component = Component { name: "argocd", pinned_by: "argocd/go.sum" };
const METALLB: Component = Component { name: "metallb", pinned_by: "metallb/go.sum" };
const CERT_MANAGER: Component = Component { name: "cert-manager", pinned_by: "cert-manager/go.sum" };
const EXTERNAL_SECRETS: Component =
    Component { name: "external-secrets", pinned_by: "external-secrets/module.txt" };
const PROMETHEUS: Component = Component { name: "prometheus", pinned_by: "prometheus/go.sum" };
const COLLECTOR: Component = Component { name: "collector", pinned_by: "collector/go.sum" };
const REDIS: Component = Component { name: "redis", pinned_by: "redis/requirements.txt" };
const OPENBAO: Component = Component { name: "openbao", pinned_by: "openbao/requirements.txt" };
const RCLONE: Component = Component { name: "rclone", pinned_by: "rclone/go.sum" };
const ENVOY: Component = Component { name: "envoy", pinned_by: "envoy/requirements.txt" };
const ACT: Component = Component { name: "act", pinned_by: "act/go.sum" };
const CRDS: Component = Component { name: "crds", pinned_by: "crds.txt" };

impl Component {
    /// Returns the folder of the cache that the script fills.
    fn folder(&self) -> Result<PathBuf> {
        let pinned_by = Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(self.pinned_by);
        let content =
            fs::read(&pinned_by).with_context(|| format!("failed to read `{}`", pinned_by.display()))?;
        let folder = cache()?.join(format!("{}-{}", self.name, key(&content)));
        if !folder.is_dir() {
            bail!("`{}` is not here; run `testkit/real/fetch {}`", folder.display(), self.name);
        }
        Ok(folder)
    }

    fn binary(&self, binary: &str) -> Result<PathBuf> {
        match env::var_os(OWN_BINARIES) {
            Some(folder) => {
                let path = Path::new(&folder).join(binary);
                if !path.is_file() {
                    bail!("`{OWN_BINARIES}` names a folder without `{binary}`");
                }
                Ok(path)
            }
            None => Ok(self.folder()?.join(binary)),
        }
    }
}

fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        base.or_else(|| Some(env::home_dir()?.join(".cache"))).context("there is no home directory")?;
    Ok(base.join("fleetwright/real"))
}

/// The first 16 digits of the SHA-256, as the script names its folders.
fn key(content: &[u8]) -> String {
    let mut key = String::new();
    for byte in &digest(&SHA256, content).as_ref()[..8] {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Returns the program that checks rules and configurations of Prometheus.
pub fn promtool() -> Result<PathBuf> {
    PROMETHEUS.binary("promtool")
}

/// Returns the program that makes nodes members of a cluster.
pub fn kubeadm() -> Result<PathBuf> {
    KUBE.binary("kubeadm")
}

/// Makes a folder of programs under the names that the platform's images have them by.
pub fn programs(folder: &Path) -> Result<()> {
    let programs = [
        ("vault", OPENBAO.binary("bao")?),
        ("rclone", RCLONE.binary("rclone")?),
        ("etcdctl", ETCD.binary("etcdctl")?),
        ("etcdutl", ETCD.binary("etcdutl")?),
    ];
    for (name, program) in programs {
        symlink(program, folder.join(name))?;
    }
    Ok(())
}

/// Returns the definitions of custom resources, in the order of their files.
pub fn definitions() -> Result<Vec<Value>> {
    let folder =
        env::var_os(OWN_DEFINITIONS).map_or_else(|| CRDS.folder(), |folder| Ok(PathBuf::from(folder)))?;
    let mut definitions = Vec::new();
    for file in yaml_files(&folder)? {
        let text =
            fs::read_to_string(&file).with_context(|| format!("failed to read `{}`", file.display()))?;
        let documents: Vec<Value> = serde_yaml::from_multiple(&text)
            .with_context(|| format!("failed to understand `{}`", file.display()))?;
        definitions
            .extend(documents.into_iter().filter(|document| document["kind"] == "CustomResourceDefinition"));
    }
    if definitions.is_empty() {
        bail!("there is no definition of a custom resource in `{}`", folder.display());
    }
    Ok(definitions)
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read `{}`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
