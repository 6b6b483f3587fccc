//! `OpenBao`, the free fork of Vault with the same interface, as a replica that pods of a cluster stand for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use ureq::Agent;

use super::OPENBAO;
use super::client::{Client, agent, trust};
use super::process::{Folder, Process, arguments, free_ports, wait_until};
use super::service::own_address;

/// How long it may take to become active.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server whose store is a Raft of one; sealed and without keys at first.
pub struct OpenBao {
    _process: Process,
    folder: Folder,
    agent: Agent,
    url: String,
    port: u16,
}

impl OpenBao {
    /// Starts a server on this machine's own address, or fails with what is missing for it.
    pub fn start() -> Result<Self> {
        let folder = Folder::new()?;
        let [port, raft_port] = free_ports()?;
        let address = format!("{}:{port}", own_address()?);
        let url = format!("https://{address}");
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![own_address()?.to_string()])?.self_signed(&key)?;
        fs::write(folder.path().join("server.pem"), certificate.pem())?;
        fs::write(folder.path().join("server.key"), key.serialize_pem())?;
        let agent = agent(trust(&certificate.pem())?);
        let configuration = json!({
            "api_addr": url,
            "listener": [{"tcp": {
                "address": address, "cluster_address": format!("127.0.0.1:{raft_port}"),
                "tls_cert_file": "server.pem", "tls_key_file": "server.key",
            }}],
            "cluster_addr": format!("https://127.0.0.1:{raft_port}"),
            "storage": [{"raft": {"path": ".", "node_id": "vault-0"}}],
            // As Vault does.
            "unsafe_allow_api_audit_creation": true,
        });
        fs::write(folder.path().join("config.json"), configuration.to_string())?;
        let arguments = arguments(["server", "-config=config.json"]);
        let mut process = Process::start("bao", &OPENBAO.binary("bao")?, arguments, [], folder.path())?;
        process.wait_until("OpenBao answered", || {
            agent
                .get(format!("{url}/v1/sys/seal-status"))
                .call()
                .is_ok_and(|answer| answer.status().is_success())
        })?;
        Ok(Self { _process: process, folder, agent, url, port })
    }

    /// Lets a pod of a cluster be it, behind a Service that asks for an address.
    pub fn stand_in(&self, client: &Client, namespace: &str, pod: &str, address: &str) -> Result<()> {
        let labels = json!({"app": "vault"});
        let own = own_address()?.to_string();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": namespace, "labels": labels},
            "spec": {"schedulerName": "none", "containers": [{"name": "main", "image": "main"}]},
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "vault-ui", "namespace": namespace},
            "spec": {
                "type": "LoadBalancer", "loadBalancerIP": address, "selector": labels,
                "ports": [{"name": "http", "port": 8200, "targetPort": self.port}],
            },
        });
        client
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}), "")?;
        client.apply(&pod, "")?;
        let running = json!({"status": {"phase": "Running", "podIP": own, "podIPs": [{"ip": own}]}});
        client.merge(&pod, "status", &running)?;
        Ok(client.apply(&service, "")?)
    }

    /// Returns where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the file with the certificate to trust, in PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// Initializes it, and returns the key that unseals it and the first token.
    pub fn initialize(&self) -> Result<(String, String)> {
        let keys = self.ask("PUT", "sys/init", "", &json!({"secret_shares": 1, "secret_threshold": 1}))?;
        let text =
            |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("no keys: {keys}"));
        Ok((text(&keys["keys_base64"][0])?, text(&keys["root_token"])?))
    }

    /// Unseals it and waits until it is active.
    pub fn unseal(&self, key: &str) -> Result<()> {
        self.ask("PUT", "sys/unseal", "", &json!({ "key": key }))?;
        wait_until(PATIENCE, "OpenBao was active", || {
            let health = self.ask("GET", "sys/health", "", &Value::Null)?;
            Ok(health["sealed"] == false && health["standby"] == false)
        })
    }

    /// Waits until it has sealed itself.
    pub fn wait_until_sealed(&self) -> Result<()> {
        wait_until(PATIENCE, "OpenBao was sealed", || {
            Ok(self.ask("GET", "sys/seal-status", "", &Value::Null)?["sealed"] == true)
        })
    }

    /// Asks it, past every cluster, and returns what it answers; nothing is an empty answer.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<Value> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}/v1/{path}", self.url));
        let request = request.header("X-Vault-Token", token).body(body.to_string())?;
        let text = self.agent.run(request)?.into_body().read_to_string()?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
