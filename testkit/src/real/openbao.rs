//! `OpenBao`, the free fork of Vault with the same interface: replicas that agree by Raft, for which pods of a cluster stand.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use ureq::Agent;

use super::OPENBAO;
use super::client::{Client, agent, trust};
use super::process::{Folder, Process, arguments, free_ports, wait_until};
use super::service::own_address;

/// What the files of the certificate of the platform are called.
const CERTIFIED: &str = "certified";
/// How long it may take to become active.
const PATIENCE: Duration = Duration::from_mins(1);

/// Replicas; without keys at first.
pub struct OpenBao {
    replicas: Vec<Replica>,
    folder: Folder,
    agent: Agent,
}

struct Replica {
    process: Process,
    url: String,
    port: u16,
    /// Where it answers with the certificate of the platform.
    certified: SocketAddr,
}

impl OpenBao {
    /// Starts one replica, as [`OpenBao::replicas`] does.
    pub fn start() -> Result<Self> {
        Self::replicas::<1>()
    }

    /// Starts replicas on this machine's own address, or fails with what is missing for them.
    pub fn replicas<const REPLICAS: usize>() -> Result<Self> {
        let (folder, own) = (Folder::new()?, own_address()?.to_string());
        let [ports, cluster_ports, certified_ports, other_ports] =
            [free_ports::<REPLICAS>()?, free_ports()?, free_ports()?, free_ports()?];
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![own.clone()])?.self_signed(&key)?;
        for name in ["server", CERTIFIED] {
            fs::write(folder.path().join(name).with_extension("pem"), certificate.pem())?;
            fs::write(folder.path().join(name).with_extension("key"), key.serialize_pem())?;
        }
        let agent = agent(trust(&certificate.pem())?);
        let others = ports.map(|port| json!({"leader_api_addr": format!("https://{own}:{port}"), "leader_ca_cert_file": "server.pem"}));
        let start = |number: usize| {
            let (port, cluster_port) = (ports[number], cluster_ports[number]);
            let certified = SocketAddr::from(([127, 0, 0, 1], certified_ports[number]));
            let (name, url) = (format!("vault-{number}"), format!("https://{own}:{port}"));
            fs::create_dir(folder.path().join(&name))?;
            let listener = json!({
                "address": format!("{own}:{port}"), "cluster_address": format!("{own}:{cluster_port}"),
                "tls_cert_file": "server.pem", "tls_key_file": "server.key",
            });
            let (certificate, key) = (format!("{CERTIFIED}.pem"), format!("{CERTIFIED}.key"));
            let second = json!({
                "address": certified, "cluster_address": format!("127.0.0.1:{}", other_ports[number]),
                "tls_cert_file": certificate, "tls_key_file": key,
            });
            let configuration = json!({
                "api_addr": url, "cluster_addr": format!("https://{own}:{cluster_port}"), "listener": [{"tcp": listener}, {"tcp": second}],
                "storage": [{"raft": {"path": name, "node_id": name, "retry_join": others.to_vec()}}],
                // As Vault does.
                "unsafe_allow_api_audit_creation": true,
            });
            fs::write(folder.path().join(format!("{name}.json")), configuration.to_string())?;
            let arguments = arguments(["server", &format!("-config={name}.json")]);
            let process = Process::start(&name, &OPENBAO.binary("bao")?, arguments, [], folder.path())?;
            Ok(Replica { process, url, port, certified })
        };
        let mut replicas = (0..REPLICAS).map(start).collect::<Result<Vec<_>>>()?;
        replicas.iter_mut().try_for_each(|replica| replica.wait(&agent))?;
        Ok(Self { replicas, folder, agent })
    }

    /// Returns its program, which is a client, too.
    pub fn program() -> Result<PathBuf> {
        OPENBAO.binary("bao")
    }

    /// Lets pods of a cluster be the replicas, behind a Service that leads to the active one and names an address.
    pub fn stand_in(&self, client: &Client, namespace: &str, address: &str) -> Result<()> {
        let own = own_address()?.to_string();
        client
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}), "")?;
        for (number, replica) in self.replicas.iter().enumerate() {
            let metadata = json!({"name": format!("openbao-{number}"), "namespace": namespace, "labels": {"app": "openbao"}});
            let ports = json!([{"name": "https", "containerPort": replica.port}]);
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                "spec": {"schedulerName": "none", "containers": [{"name": "main", "image": "main", "ports": ports}]},
            });
            client.apply(&pod, "")?;
            let running = json!({"status": {"phase": "Running", "podIP": own, "podIPs": [{"ip": own}]}});
            client.merge(&pod, "status", &running)?;
        }
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "openbao", "namespace": namespace, "annotations": {"metallb.io/loadBalancerIPs": address}},
            "spec": {
                "selector": {"app": "openbao", "vault-active": "true"},
                "ports": [{"name": "http", "port": 8200, "targetPort": "https"}],
            },
        });
        Ok(client.apply(&service, "")?)
    }

    /// Returns where the first replica answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.replicas[0].url
    }

    /// Lets the replicas answer with the certificate of a Secret, too, as pods do that it is mounted into.
    pub fn certify(&self, secret: &Value) -> Result<()> {
        for (key, ending) in [("tls.crt", "pem"), ("tls.key", "key")] {
            let encoded =
                secret["data"][key].as_str().with_context(|| format!("the Secret has no `{key}`"))?;
            let file = self.folder.path().join(CERTIFIED).with_extension(ending);
            fs::write(file, STANDARD.decode(encoded)?)?;
        }
        self.replicas.iter().try_for_each(|replica| replica.process.signal("HUP"))
    }

    /// Returns where the first replica answers with the certificate of that Secret.
    #[must_use]
    pub fn certified(&self) -> SocketAddr {
        self.replicas[0].certified
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

    /// Asks the first replica, past every cluster, and returns what it answers; nothing is an empty answer.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<Value> {
        let request =
            ureq::http::Request::builder().method(method).uri(format!("{}/v1/{path}", self.replicas[0].url));
        let request = request.header("X-Vault-Token", token).body(body.to_string())?;
        let text = self.agent.run(request)?.into_body().read_to_string()?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Kills a replica and starts it again: it is sealed then.
    pub fn restart(&mut self, number: usize) -> Result<()> {
        let replica = &mut self.replicas[number];
        replica.process.kill()?;
        replica.process.start_again()?;
        replica.wait(&self.agent)
    }
}

impl Replica {
    fn wait(&mut self, agent: &Agent) -> Result<()> {
        let url = format!("{}/v1/sys/seal-status", self.url);
        self.process.wait_until("OpenBao answered", || {
            agent.get(&url).call().is_ok_and(|answer| answer.status().is_success())
        })
    }
}
