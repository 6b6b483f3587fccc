//! Vault behind the API server of its cluster: each replica is asked by itself, through the proxy to its pod.

use std::collections::BTreeMap;

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::cluster::{Client, ClusterError, PodRequest};
use crate::secrets;
use crate::vault::{Place, Standing, Store, laid_over, reasons, standing};

const INSTALLATION: &str = "initialize and unseal it: docs/platform/installation.md";

/// Vault on a cluster.
pub struct Vault<'c> {
    client: &'c Client,
    place: Place,
    /// The replicas, by the names of their pods.
    pub pods: Vec<String>,
}

impl<'c> Vault<'c> {
    /// Finds the Vault of a store.
    pub async fn find(client: &'c Client, store: &Store) -> Result<Self, ClusterError> {
        let services = client.objects(("v1", "Service"), None, &BTreeMap::new()).await?;
        let place = store.place(&services).ok_or_else(|| {
            let message = format!("no Service has the address `{}` of the secret store", store.server);
            ClusterError::missing(
                &message,
                client.place(),
                "wait until Argo CD has synced what is rendered for Vault",
            )
        })?;
        let pods = client.objects(("v1", "Pod"), Some(&place.namespace), &place.labels).await?;
        let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running");
        let mut pods: Vec<_> =
            running.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect();
        pods.sort();
        if pods.is_empty() {
            let message = format!("no pod of Vault runs in namespace `{}`", place.namespace);
            return Err(ClusterError::missing(
                &message,
                client.place(),
                "look at the pods with `kubectl get pods`",
            ));
        }
        Ok(Self { client, place, pods })
    }

    /// Asks a replica, and returns the status and the answer.
    pub async fn ask(
        &self,
        pod: &str,
        (method, path): (Method, &str),
        token: Option<&SecretString>,
        body: Option<Value>,
    ) -> Result<(u16, Value), ClusterError> {
        let Place { namespace, port, is_encrypted, .. } = &self.place;
        let header = token.map(|token| ("X-Vault-Token", token.expose_secret()));
        let request = PodRequest {
            namespace,
            pod,
            port: *port,
            is_encrypted: *is_encrypted,
            method,
            path,
            header,
            body,
        };
        self.client.ask_pod(&request).await
    }

    /// Returns where a replica stands.
    pub async fn standing(&self, pod: &str) -> Result<Standing, ClusterError> {
        let (_, health) = self.ask(pod, (Method::GET, "v1/sys/health"), None, None).await?;
        standing(&health).ok_or_else(|| {
            let message = format!("pod `{pod}` does not answer as Vault does");
            ClusterError::missing(
                &message,
                self.client.place(),
                "check that the address of the secret store is Vault's",
            )
        })
    }

    /// Returns the replica that answers.
    pub async fn active(&self) -> Result<&str, ClusterError> {
        let mut found = Vec::new();
        for pod in &self.pods {
            match self.standing(pod).await? {
                Standing::Active => return Ok(pod),
                standing => found.push(format!("`{pod}` is {}", standing.word())),
            }
        }
        let message = format!("no replica of Vault answers: {}", found.join(", "));
        Err(ClusterError::missing(&message, self.client.place(), INSTALLATION))
    }

    /// Lays values over a secret, and returns whether they were not there. With `is_dry` nothing is written.
    pub async fn keep(
        &self,
        address: &str,
        token: &SecretString,
        values: &[(&str, &SecretString)],
        is_dry: bool,
    ) -> Result<bool, ClusterError> {
        let pod = self.active().await?;
        let (code, read) = self.ask(pod, (Method::GET, address), Some(token), None).await?;
        // It was never written, or deleted.
        if code != 200 && code != 404 {
            return Err(self.refused("read", address, code, &read));
        }
        if let Some(held) = read["data"]["data"].as_object() {
            held.values().filter_map(Value::as_str).for_each(|value| secrets::remember(&value.into()));
        }
        let Some(body) = laid_over(&read, values) else { return Ok(false) };
        if !is_dry {
            let (code, answer) = self.ask(pod, (Method::POST, address), Some(token), Some(body)).await?;
            if code >= 300 {
                return Err(self.refused("write", address, code, &answer));
            }
        }
        Ok(true)
    }

    fn refused(&self, verb: &str, address: &str, code: u16, answer: &Value) -> ClusterError {
        let message = format!("failed to {verb} `{address}` in Vault: {} ({code})", reasons(answer));
        let hint = match code {
            403 => "check that `VAULT_TOKEN` is valid, and that its policies allow this",
            404 => "run the job that configures Vault: docs/platform/installation.md",
            _ => "try again",
        };
        ClusterError::missing(&message, self.client.place(), hint)
    }
}

impl Standing {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uninitialized => "not initialized",
            Self::Sealed => "sealed",
            Self::Standby => "on standby",
            Self::Active => "active",
        }
    }
}
