//! An API server of Kubernetes with an etcd of its own: it judges objects exactly as a cluster would, and
//! runs nothing.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::client::{Client, answers};
use super::process::{Folder, Process, arguments, free_ports};
use super::{ETCD, KUBE};

/// A running API server with nothing in it but what every cluster has.
pub struct ApiServer {
    name: String,
    client: Client,
    token: String,
    authority: String,
    // Dropped in this order.
    server: RefCell<Process>,
    _etcd: Process,
    folder: Folder,
}

impl ApiServer {
    /// Starts a server that its credentials call by a name, or fails with what is missing for it.
    pub fn start(name: &str) -> Result<Self> {
        let folder = Folder::new()?;
        let [client_port, peer_port, port] = free_ports()?;
        let binaries = [ETCD.binary("etcd")?, KUBE.binary("kube-apiserver")?];
        let token = format!("token-of-{name}");
        let authority = write_credentials(folder.path(), &token)?;
        let etcd_url = format!("http://127.0.0.1:{client_port}");
        let mut etcd =
            Process::start("etcd", &binaries[0], etcd_arguments(&etcd_url, peer_port), [], folder.path())?;
        etcd.wait_until("etcd was healthy", || answers(&format!("{etcd_url}/health")))?;
        let mut server = Process::start(
            "kube-apiserver",
            &binaries[1],
            server_arguments(&etcd_url, port),
            [],
            folder.path(),
        )?;
        let client = Client::new(format!("https://127.0.0.1:{port}"), token.clone(), &authority)?;
        server.wait_until("the API server was ready", || client.is_ready())?;
        let server = RefCell::new(server);
        let name = name.to_owned();
        let server = Self { name, client, token, authority, server, _etcd: etcd, folder };
        fs::write(server.kubeconfig(), kubeconfig(&[&server]).to_string())?;
        Ok(server)
    }

    /// Returns what its credentials call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a client of the server.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the token of its administrator.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the certificate that vouches for it, in PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the same certificate as a kubeconfig holds it.
    #[must_use]
    pub fn encoded_authority(&self) -> String {
        STANDARD.encode(&self.authority)
    }

    /// Returns a file with the administrator's credentials.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// Kills the server; what it knows stays in its etcd.
    pub fn kill(&self) -> Result<()> {
        self.server.borrow_mut().kill()
    }

    /// Starts a server that was killed, at the same address.
    pub fn start_again(&self) -> Result<()> {
        let mut server = self.server.borrow_mut();
        server.start_again()?;
        server.wait_until("the API server was ready again", || self.client.is_ready())
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns a kubeconfig with a context for each server, under its name; the first one is current.
#[must_use]
pub fn kubeconfig(servers: &[&ApiServer]) -> Value {
    let named = |field: &str, entry: fn(&ApiServer) -> Value| {
        let entries = servers.iter().map(|server| json!({"name": server.name, field: entry(server)}));
        entries.collect::<Vec<_>>()
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": named("cluster", |server| json!({
            "server": server.client.url(),
            "certificate-authority-data": server.encoded_authority(),
        })),
        "users": named("user", |server| json!({"token": server.token})),
        "contexts": named("context", |server| json!({"cluster": server.name, "user": server.name})),
        "current-context": servers.first().map(|server| server.name.as_str()),
    })
}

/// Writes what the server needs to be trusted and to trust, and returns the certificate to trust.
fn write_credentials(folder: &Path, token: &str) -> Result<String> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
    fs::write(folder.join("server.pem"), certificate.pem())?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;
    let accounts = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), accounts.serialize_pem())?;
    fs::write(folder.join("accounts.pub"), accounts.public_key_pem())?;
    fs::write(folder.join("tokens.csv"), format!("{token},admin,admin,system:masters\n"))?;
    Ok(certificate.pem())
}

fn etcd_arguments(url: &str, peer_port: u16) -> Vec<String> {
    let peer = format!("http://127.0.0.1:{peer_port}");
    arguments([
        "--data-dir=etcd",
        &format!("--listen-client-urls={url}"),
        &format!("--advertise-client-urls={url}"),
        &format!("--listen-peer-urls={peer}"),
        &format!("--initial-advertise-peer-urls={peer}"),
        &format!("--initial-cluster=default={peer}"),
        // What a test loses with the machine it did not need.
        "--unsafe-no-fsync",
        "--log-level=error",
    ])
}

fn server_arguments(etcd: &str, port: u16) -> Vec<String> {
    arguments([
        &format!("--etcd-servers={etcd}"),
        &format!("--secure-port={port}"),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        // Loopback is no address for the endpoints of the server's own Service.
        "--endpoint-reconciler-type=none",
        "--tls-cert-file=server.pem",
        "--tls-private-key-file=server.key",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=accounts.pub",
        "--service-account-signing-key-file=accounts.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        // No controller makes the accounts that it would ask for.
        "--disable-admission-plugins=ServiceAccount",
    ])
}
