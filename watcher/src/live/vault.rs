//! Vault behind the API server of its cluster: each replica is asked by itself, through the proxy to its pod.

use std::collections::BTreeMap;

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::cluster::{Client, ClusterError, PodRequest};
use crate::secrets;
use crate::vault::{Place, Standing, Store, laid_over, reasons, standing};

const NOT_ACTIVE: &str =
    "initialize it with `fleetwright vault init`, and unseal it with `fleetwright vault unseal`";

/// Vault on a cluster.
pub struct Vault<'c> {
    client: &'c Client,
    place: Place,
    /// The replicas that run, by the names of their pods, with their ports.
    pods: BTreeMap<String, u16>,
    /// The names of those that do not run.
    pub(super) idle: Vec<String>,
}

impl<'c> Vault<'c> {
    /// Finds the Vault of a store.
    pub async fn find(client: &'c Client, store: &Store) -> Result<Self, ClusterError> {
        let services = client.objects(("v1", "Service"), None, &BTreeMap::new()).await?;
        let place = store.place(&services).ok_or_else(|| {
            let message = format!("no Service has the address `{}` of the secret store", store.server);
            ClusterError::not_yet(
                &message,
                client.place(),
                "wait until Argo CD has synced what is rendered for Vault",
            )
        })?;
        let pods = client.objects(("v1", "Pod"), Some(&place.namespace), &place.labels).await?;
        let name = |pod: &Value| Some(pod["metadata"]["name"].as_str()?.to_owned());
        let (running, idle): (Vec<_>, Vec<_>) =
            pods.iter().partition(|pod| pod["status"]["phase"] == "Running");
        let with_port = |pod: &&Value| Some((name(pod)?, place.port_of(pod)?));
        let pods: BTreeMap<_, _> = running.iter().filter_map(with_port).collect();
        let idle = idle.into_iter().filter_map(name).collect();
        if pods.is_empty() {
            let message = format!("no pod of Vault runs in namespace `{}`", place.namespace);
            return Err(ClusterError::not_yet(
                &message,
                client.place(),
                "look at the pods with `kubectl get pods`",
            ));
        }
        Ok(Self { client, place, pods, idle })
    }

    /// Finds the Vault of a store, all of whose replicas run.
    pub async fn find_whole(client: &'c Client, store: &Store) -> Result<Self, ClusterError> {
        let vault = Self::find(client, store).await?;
        let Some(idle) = vault.idle.first() else { return Ok(vault) };
        let message = format!("pod `{idle}` does not run: what it keeps may be initialized");
        Err(ClusterError::not_yet(&message, client.place(), "look at it with `kubectl describe pod`"))
    }

    /// Returns the names of the replicas that run.
    pub fn pods(&self) -> impl Iterator<Item = &str> {
        self.pods.keys().map(String::as_str)
    }

    /// Returns what messages call its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.client.place()
    }

    /// Asks a replica, and returns the status and the answer.
    pub async fn ask(
        &self,
        pod: &str,
        (method, path): (Method, &str),
        token: Option<&SecretString>,
        body: Option<Value>,
    ) -> Result<(u16, Value), ClusterError> {
        let Place { namespace, is_encrypted, .. } = &self.place;
        let header = token.map(|token| ("X-Vault-Token", token.expose_secret()));
        let request = PodRequest {
            namespace,
            pod,
            port: self.pods.get(pod).copied().unwrap_or_default(),
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
        for pod in self.pods() {
            match self.standing(pod).await {
                Ok(Standing::Active) => return Ok(pod),
                Ok(standing) => found.push(format!("`{pod}` is {}", standing.word())),
                Err(error) if error.is_transient() => found.push(format!("`{pod}` does not answer")),
                Err(error) => return Err(error),
            }
        }
        let message = format!("no replica of Vault answers: {}", found.join(", "));
        Err(ClusterError::not_yet(&message, self.client.place(), NOT_ACTIVE))
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

    pub(super) fn refused(&self, verb: &str, address: &str, code: u16, answer: &Value) -> ClusterError {
        let message = format!("failed to {verb} `{address}` in Vault: {} ({code})", reasons(answer));
        let hint = match code {
            403 => "check that `VAULT_TOKEN` is valid, and that its policies allow this",
            404 => "let the job configure Vault: `fleetwright vault bootstrap`",
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
