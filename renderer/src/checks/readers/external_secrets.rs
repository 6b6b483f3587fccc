//! External Secrets: where a secret store sends its requests, and by what it logs in.

use crate::checks::{Ends, Finding, Login, Part, Sender};
use crate::key_path::{Step, keys};
use crate::yaml::Value;

use super::super::flows::ends::Endpoint;

/// The signal that a store sends: requests for secrets.
const SIGNAL: &str = "secrets";
/// Where External Secrets looks for the auth method where nothing is set.
const DEFAULT_MOUNT: &str = "kubernetes";

/// Reads a secret store of External Secrets that leads to Vault; nothing if the object is something else.
pub(in super::super) fn store(object: &Value) -> Option<Ends> {
    let kind = object.text_at(&["kind"])?;
    let is_store = ["ClusterSecretStore", "SecretStore"].contains(&kind)
        && object.text_at(&["apiVersion"]).is_some_and(|version| version.starts_with("external-secrets.io/"));
    let at = ["spec", "provider", "vault"];
    let vault = object.at(&at).filter(|_| is_store)?;
    let below = |rest: &[&str]| -> Vec<Step> { keys(&[&at[..], rest].concat()) };
    let mut ends = Ends::of(SIGNAL);
    if let Some(url) = vault.text_at(&["server"]) {
        let (path, url_text) = (below(&["server"]), url.trim_end_matches('/').to_owned());
        ends.senders.push(Sender {
            path,
            part: Part::Value,
            url: url_text,
            unnamed_tenant: None,
            unnamed_certificate: None,
        });
        ends.faults.extend(trust_fault(vault, url, &below(&["server"])));
    }
    let has_namespace = vault.at(&["caProvider", "namespace"]).is_some();
    if kind == "ClusterSecretStore" && vault.get("caProvider").is_some() && !has_namespace {
        let message = "a ClusterSecretStore must say in which namespace its certificate lies";
        ends.faults.push(Finding::new(&below(&["caProvider"]), message).hint("add `namespace:`"));
    }
    if let Some(kubernetes) = vault.at(&["auth", "kubernetes"]) {
        let mount = kubernetes.text_at(&["mountPath"]).unwrap_or(DEFAULT_MOUNT);
        let path = below(&["auth", "kubernetes", "mountPath"]);
        if let Some(rest) = mount.strip_prefix("auth/") {
            let message = format!("`{mount}` would be looked for at `auth/{mount}`");
            ends.faults.push(Finding::new(&path, message).hint(format!("write `{rest}`")));
        } else {
            ends.logins.push(Login { path, name: mount.trim_matches('/').to_owned() });
        }
    }
    Some(ends)
}

/// No public authority signs certificates for a private address or a name inside a cluster.
fn trust_fault(vault: &Value, url: &str, path: &[Step]) -> Option<Finding> {
    let is_trusted = vault.get("caProvider").is_some() || vault.get("caBundle").is_some();
    let is_own = Endpoint::parse(url).is_some() || url.contains(".svc");
    if is_trusted || !is_own || !url.starts_with("https://") {
        return None;
    }
    let message = format!("no CA is named for the certificate of `{url}`");
    Some(Finding::new(path, message).hint("add `caProvider` with the Secret or ConfigMap that holds it"))
}
