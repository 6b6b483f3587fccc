//! What stands for the operators that can't run here, cert-manager and External Secrets with its Vault: they
//! report that everything of theirs is ready, and make the Secrets that others wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::client::Client;

/// How often they look.
const PAUSE: Duration = Duration::from_millis(500);
/// When certificates end.
const NOT_AFTER: &str = "2100-01-01T00:00:00Z";
const EXTERNAL_SECRET: &str = "ExternalSecret";
/// What is reported to be ready.
const KINDS: [(&str, &str); 7] = [
    ("cert-manager.io/v1", "Issuer"),
    ("cert-manager.io/v1", "ClusterIssuer"),
    ("cert-manager.io/v1", "Certificate"),
    ("external-secrets.io/v1", "ClusterSecretStore"),
    ("external-secrets.io/v1", EXTERNAL_SECRET),
    ("external-secrets.io/v1", "ClusterExternalSecret"),
    ("external-secrets.io/v1alpha1", "PushSecret"),
];

/// The annotation by which an `ExternalSecret` is asked to be read again.
const READ_AGAIN: &str = "force-sync";

/// What Vault holds at a path under a key. What has a value that is not there yet is not ready.
pub type Vault = Arc<dyn Fn(&str, &str) -> Option<String> + Send + Sync>;

/// Operators at work on some clusters, until they are dropped.
pub struct Operators {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Operators {
    /// Starts them on clusters that share a Vault.
    #[must_use]
    pub fn start(clusters: &[&Client], vault: &Vault) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let work = |client: &&Client| {
            let (client, vault, is_over) = ((*client).clone(), Arc::clone(vault), Arc::clone(&is_over));
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    // What fails because a server is away, or a kind not defined yet, is tried again.
                    let _ = reconcile(&client, &vault);
                    thread::sleep(PAUSE);
                }
            })
        };
        let threads = clusters.iter().map(work).collect();
        Self { is_over, threads }
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It panics on nothing.
            let _ = thread.join();
        }
    }
}

fn reconcile(client: &Client, vault: &Vault) -> Result<()> {
    for (version, kind) in KINDS {
        for object in client.list(version, kind)?.iter().filter(|object| !is_ready(object)) {
            let mut status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]});
            if kind == EXTERNAL_SECRET {
                let Some(secret) = secret(object, vault) else { continue };
                client.apply(&secret, "")?;
                status["syncedResourceVersion"] = asked(object).into();
            }
            if kind == "Certificate" {
                status["notAfter"] = NOT_AFTER.into();
            }
            client.merge(object, "status", &json!({ "status": status }))?;
        }
    }
    Ok(())
}

fn is_ready(object: &Value) -> bool {
    let status = &object["status"];
    let is_current = object["kind"] != EXTERNAL_SECRET || status["syncedResourceVersion"] == asked(object);
    is_current && status["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
}

/// Returns by what an object was asked to be read again.
fn asked(object: &Value) -> &str {
    object["metadata"]["annotations"][READ_AGAIN].as_str().unwrap_or_default()
}

/// Returns the Secret that External Secrets makes of an object, if Vault has all of it.
fn secret(object: &Value, vault: &Vault) -> Option<Value> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let mut values = values(&spec["data"], vault)?;
    let template = &spec["target"]["template"];
    if let Some(data) = template["data"].as_object() {
        let filled = |(key, text): (&String, &Value)| (key.clone(), filled(text, &values).into());
        values = data.iter().map(filled).collect();
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": spec["target"]["name"].as_str().or(metadata["name"].as_str()),
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
        },
        "stringData": values,
    }))
}

fn values(references: &Value, vault: &Vault) -> Option<Map<String, Value>> {
    let value = |reference: &Value| {
        let text = |pointer| reference.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let key = text("/remoteRef/property").unwrap_or_default();
        Some((text("/secretKey")?, vault(&text("/remoteRef/key")?, &key)?.into()))
    };
    references.as_array().into_iter().flatten().map(value).collect()
}

/// Fills a template in, as far as those of the platform go: a value as it is, or in base64.
fn filled(text: &Value, values: &Map<String, Value>) -> String {
    let mut text = text.as_str().unwrap_or_default().to_owned();
    for (key, value) in values {
        let value = value.as_str().unwrap_or_default();
        text = text
            .replace(&format!("{{{{ .{key} }}}}"), value)
            .replace(&format!("{{{{ index . \"{key}\" | b64enc }}}}"), &STANDARD.encode(value));
    }
    text
}
