//! An API server of Kubernetes with an etcd of its own: it judges objects exactly as a cluster would, and
//! runs nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};

use super::process::Process;
use super::{ETCD, KUBE};

/// Who may do anything.
const TOKEN: &str = "tests";
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running API server with nothing in it but what every cluster has.
pub struct ApiServer {
    agent: Agent,
    url: String,
    /// The resources of each `apiVersion` that was asked for.
    resources: RefCell<BTreeMap<String, Vec<Resource>>>,
    // Dropped in this order.
    server: RefCell<Process>,
    _etcd: Process,
    _folder: TempDir,
}

/// A kind of object, as the server calls it.
#[derive(Clone)]
struct Resource {
    kind: String,
    plural: String,
    is_namespaced: bool,
}

/// An object that the server does not take, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer; none if the server does not know the kind.
    pub status: Option<u16>,
    /// The server's words.
    pub message: String,
}

impl ApiServer {
    /// Starts a server, or says what is missing for it.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [client_port, peer_port, port] = free_ports()?;
        let binaries = [ETCD.binary("etcd")?, KUBE.binary("kube-apiserver")?];
        let authority = write_credentials(folder.path())?;
        let etcd_url = format!("http://127.0.0.1:{client_port}");
        let mut etcd = Process::start(&binaries[0], &etcd_arguments(&etcd_url, peer_port), folder.path())?;
        let agent = agent(&authority)?;
        etcd.wait_until("etcd was healthy", || is_ok(&agent, &format!("{etcd_url}/health")))?;
        let mut server = Process::start(&binaries[1], &server_arguments(&etcd_url, port), folder.path())?;
        let url = format!("https://127.0.0.1:{port}");
        server.wait_until("the API server was ready", || is_ok(&agent, &format!("{url}/readyz")))?;
        Ok(Self {
            agent,
            url,
            resources: RefCell::default(),
            server: RefCell::new(server),
            _etcd: etcd,
            _folder: folder,
        })
    }

    /// Makes the server know these kinds, and waits until it does.
    pub fn define(&self, definitions: &[Value]) -> Result<()> {
        for definition in definitions {
            self.apply(definition, "").map_err(|refused| anyhow!("{refused}"))?;
        }
        for definition in definitions {
            let name = text_at(definition, "/metadata/name")?;
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            self.server.borrow_mut().wait_until(&format!("`{name}` was established"), || {
                self.get(&path).is_ok_and(|found| is_established(&found))
            })?;
        }
        for (version, plural) in definitions.iter().flat_map(served) {
            self.server.borrow_mut().wait_until(&format!("`{plural}` of `{version}` was served"), || {
                self.fetch_resources(&version).is_ok_and(|all| all.iter().any(|found| found.plural == plural))
            })?;
        }
        self.resources.borrow_mut().clear();
        Ok(())
    }

    /// Applies an object on the server, as Argo CD does with `ServerSideApply=true`, and takes no field that
    /// the kind has not. An object that names no namespace goes into the given one, if its kind has
    /// namespaces.
    pub fn apply(&self, object: &Value, namespace: &str) -> Result<(), Refused> {
        let path = self.path(object, namespace)?;
        let address = format!("{}{path}?fieldManager=tests&fieldValidation=Strict", self.url);
        // Kinds that have just been defined are answered with 429 for a moment.
        for _ in 0..100 {
            let answer = self
                .agent
                .patch(&address)
                .header("Authorization", format!("Bearer {TOKEN}"))
                .header("Content-Type", "application/apply-patch+yaml")
                .send(object.to_string());
            match read(answer) {
                Err(Refused { status: Some(429), .. }) => std::thread::sleep(Duration::from_millis(50)),
                answer => return answer.map(drop),
            }
        }
        Err(Refused { status: Some(429), message: "the server went on being busy".to_owned() })
    }

    fn path(&self, object: &Value, namespace: &str) -> Result<String, Refused> {
        let text = |pointer| {
            text_at(object, pointer).map_err(|error| Refused { status: None, message: error.to_string() })
        };
        let (version, kind, name) = (text("/apiVersion")?, text("/kind")?, text("/metadata/name")?);
        let resource = self.resource(version, kind)?;
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace);
        let namespace =
            if resource.is_namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        Ok(format!("{}{namespace}/{}/{name}", root_of(version), resource.plural))
    }

    fn resource(&self, version: &str, kind: &str) -> Result<Resource, Refused> {
        let unknown = || Refused { status: None, message: format!("no `{kind}` of `{version}` is defined") };
        if !self.resources.borrow().contains_key(version) {
            let found = self.fetch_resources(version).map_err(|_| unknown())?;
            self.resources.borrow_mut().insert(version.to_owned(), found);
        }
        let known = self.resources.borrow();
        known[version].iter().find(|resource| resource.kind == kind).cloned().ok_or_else(unknown)
    }

    fn fetch_resources(&self, version: &str) -> Result<Vec<Resource>, Refused> {
        let list = self.get(&root_of(version))?;
        let resource = |found: &Value| {
            let plural = found["name"].as_str().filter(|name| !name.contains('/'))?;
            Some(Resource {
                kind: found["kind"].as_str()?.to_owned(),
                plural: plural.to_owned(),
                is_namespaced: found["namespaced"] == true,
            })
        };
        Ok(list["resources"].as_array().into_iter().flatten().filter_map(resource).collect())
    }

    fn get(&self, path: &str) -> Result<Value, Refused> {
        read(
            self.agent
                .get(format!("{}{path}", self.url))
                .header("Authorization", format!("Bearer {TOKEN}"))
                .call(),
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn read(answer: Result<http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Refused> {
    let lost = |error: ureq::Error| Refused { status: None, message: error.to_string() };
    let mut answer = answer.map_err(lost)?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(lost)?;
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "message": text }));
    if status.is_success() {
        return Ok(body);
    }
    let message = body["message"].as_str().unwrap_or_default().to_owned();
    Err(Refused { status: Some(status.as_u16()), message })
}

fn is_ok(agent: &Agent, address: &str) -> bool {
    let answer = agent.get(address).header("Authorization", format!("Bearer {TOKEN}")).call();
    answer.is_ok_and(|answer| answer.status().is_success())
}

fn root_of(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("`{pointer}` is missing"))
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Returns the versions in which a defined kind is served, each with the kind's plural.
fn served(definition: &Value) -> Vec<(String, String)> {
    let text = |pointer| text_at(definition, pointer).unwrap_or_default().to_owned();
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true);
    served
        .filter_map(|version| Some((format!("{group}/{}", version["name"].as_str()?), plural.clone())))
        .collect()
}

/// Ports that were free a moment ago: neither program can be asked which one it took.
fn free_ports() -> Result<[u16; 3]> {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// Writes what the server needs to be trusted and to trust, and returns the certificate to trust.
fn write_credentials(folder: &Path) -> Result<String> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
    fs::write(folder.join("server.pem"), certificate.pem())?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;
    let accounts = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), accounts.serialize_pem())?;
    fs::write(folder.join("accounts.pub"), accounts.public_key_pem())?;
    fs::write(folder.join("tokens.csv"), format!("{TOKEN},admin,admin,system:masters\n"))?;
    Ok(certificate.pem())
}

fn etcd_arguments(url: &str, peer_port: u16) -> Vec<String> {
    let peer = format!("http://127.0.0.1:{peer_port}");
    let arguments = [
        "--data-dir=etcd",
        &format!("--listen-client-urls={url}"),
        &format!("--advertise-client-urls={url}"),
        &format!("--listen-peer-urls={peer}"),
        &format!("--initial-advertise-peer-urls={peer}"),
        &format!("--initial-cluster=default={peer}"),
        // What a test loses with the machine it did not need.
        "--unsafe-no-fsync",
        "--log-level=error",
    ];
    arguments.map(str::to_owned).to_vec()
}

fn server_arguments(etcd: &str, port: u16) -> Vec<String> {
    let arguments = [
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
    ];
    arguments.map(str::to_owned).to_vec()
}

fn agent(authority: &str) -> Result<Agent> {
    let certificate = Certificate::from_pem(authority.as_bytes())?;
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(vec![certificate])))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        // This machine is reached without any proxy of the environment.
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build();
    Ok(config.into())
}
