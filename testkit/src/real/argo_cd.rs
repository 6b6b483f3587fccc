//! A whole Argo CD: its servers and its Redis, outside the cluster that they work for.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::client::{answers, fetch};
use super::cluster::Cluster;
use super::helm::HELM;
use super::process::{Folder, Process, arguments, free_ports};
use super::{ARGO_CD, REDIS};

/// The namespace of Argo CD's objects.
pub const ARGO_CD_NAMESPACE: &str = "argocd";

/// A server of Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Renders what is in git and in charts.
    Repository,
    /// Compares and syncs.
    Application,
    /// Makes Applications.
    ApplicationSet,
    /// Serves the API and the pages.
    Api,
}

impl Server {
    pub(super) const ALL: [Self; 4] = [Self::Repository, Self::Application, Self::ApplicationSet, Self::Api];

    const fn name(self) -> &'static str {
        match self {
            Self::Repository => "argocd-repo-server",
            Self::Application => "argocd-application-controller",
            Self::ApplicationSet => "argocd-applicationset-controller",
            Self::Api => "argocd-server",
        }
    }
}

/// A running Argo CD; it stops when it is dropped.
pub struct ArgoCd {
    // Dropped in this order.
    servers: RefCell<Vec<Process>>,
    ports: Ports,
    _redis: Process,
    _folder: Folder,
}

/// Where its servers listen.
struct Ports {
    redis: u16,
    repository: u16,
    api: u16,
    /// Where each server answers that it runs.
    metrics: [u16; Server::ALL.len()],
    /// Where a server listens that nothing connects to.
    unused: [u16; 2],
}

impl ArgoCd {
    /// Starts Argo CD on a cluster.
    pub fn start(cluster: &Cluster, definitions: &[Value]) -> Result<Self> {
        let folder = Folder::new()?;
        install(cluster, definitions)?;
        let ports = Ports::free()?;
        let redis = Process::start(
            "redis",
            &REDIS.binary("redis-server")?,
            redis_arguments(ports.redis),
            [],
            folder.path(),
        )?;
        let program = ARGO_CD.binary("argocd")?;
        let environment = environment(cluster, folder.path())?;
        let mut servers = Vec::new();
        for server in Server::ALL {
            let environment = environment.iter().map(|(name, value)| (*name, value.clone()));
            let environment = environment.chain([("ARGOCD_BINARY_NAME", server.name().into())]);
            servers.push(Process::start(
                server.name(),
                &program,
                ports.arguments(server),
                environment,
                folder.path(),
            )?);
        }
        let argo_cd = Self { servers: RefCell::new(servers), ports, _redis: redis, _folder: folder };
        for server in Server::ALL {
            argo_cd.wait_for(server)?;
        }
        Ok(argo_cd)
    }

    /// Kills one of its servers.
    pub fn kill(&self, server: Server) -> Result<()> {
        self.servers.borrow_mut()[server as usize].kill()
    }

    /// Starts a server that was killed.
    pub fn start_again(&self, server: Server) -> Result<()> {
        self.servers.borrow_mut()[server as usize].start_again()?;
        self.wait_for(server)
    }

    /// Returns the address of its API, which needs no login.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.api)
    }

    /// Returns the objects that its repository server makes of an Application. The values of Secrets are masked.
    pub fn manifests(&self, application: &str) -> Result<Vec<Value>> {
        let answer = fetch(&format!("{}/api/v1/applications/{application}/manifests", self.url()), &[])?;
        let texts = answer["manifests"].as_array().context("there are no manifests")?;
        texts.iter().map(|text| Ok(serde_json::from_str(text.as_str().unwrap_or_default())?)).collect()
    }

    /// Returns the objects that it wants on the cluster for an Application, each with its group, its kind, its namespace and its
    /// name; hooks are left out.
    pub fn wanted(&self, application: &str) -> Result<Vec<[String; 4]>> {
        let answer =
            fetch(&format!("{}/api/v1/applications/{application}/managed-resources", self.url()), &[])?;
        let items = answer["items"].as_array().context("there are no managed resources")?;
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let is_wanted = |item: &&Value| !["", "null"].contains(&&*text(item, "targetState"));
        let wanted = items.iter().filter(is_wanted);
        Ok(wanted.map(|item| ["group", "kind", "namespace", "name"].map(|key| text(item, key))).collect())
    }

    fn wait_for(&self, server: Server) -> Result<()> {
        let address = format!("http://127.0.0.1:{}/metrics", self.ports.metrics[server as usize]);
        let what = format!("`{}` answered", server.name());
        self.servers.borrow_mut()[server as usize].wait_until(&what, || answers(&address))
    }
}

impl Ports {
    fn free() -> Result<Self> {
        let [redis, repository, api, metrics @ .., probes, webhooks] = free_ports::<9>()?;
        Ok(Self { redis, repository, api, metrics, unused: [probes, webhooks] })
    }

    fn arguments(&self, server: Server) -> Vec<String> {
        let metrics = self.metrics[server as usize];
        let redis = format!("--redis=127.0.0.1:{}", self.redis);
        let repository = format!("127.0.0.1:{}", self.repository);
        let namespace = format!("--namespace={ARGO_CD_NAMESPACE}");
        match server {
            Server::Repository => arguments([
                &redis,
                &format!("--port={}", self.repository),
                &format!("--metrics-port={metrics}"),
                "--disable-tls",
            ]),
            Server::Application => arguments([
                &redis,
                &namespace,
                &format!("--repo-server={repository}"),
                &format!("--metrics-port={metrics}"),
                "--repo-server-plaintext",
                // As the shipped platform has it.
                "--persist-resource-health",
            ]),
            Server::ApplicationSet => arguments([
                &namespace,
                &format!("--argocd-repo-server={repository}"),
                &format!("--metrics-addr=127.0.0.1:{metrics}"),
                &format!("--probe-addr=127.0.0.1:{}", self.unused[0]),
                &format!("--webhook-addr=127.0.0.1:{}", self.unused[1]),
                "--repo-server-plaintext",
            ]),
            Server::Api => arguments([
                &redis,
                &namespace,
                &format!("--port={}", self.api),
                &format!("--repo-server={repository}"),
                &format!("--metrics-port={metrics}"),
                "--repo-server-plaintext",
                "--insecure",
                "--disable-auth",
            ]),
        }
    }
}

fn redis_arguments(port: u16) -> Vec<String> {
    arguments(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
}

/// Gives the cluster what Argo CD expects to be there when it starts.
fn install(cluster: &Cluster, definitions: &[Value]) -> Result<()> {
    let client = cluster.client();
    let own = |definition: &&Value| definition["spec"]["group"] == "argoproj.io";
    client.define(&definitions.iter().filter(own).cloned().collect::<Vec<_>>())?;
    client.apply(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ARGO_CD_NAMESPACE}}),
        "",
    )?;
    for name in ["cm", "rbac-cm", "gpg-keys-cm", "ssh-known-hosts-cm", "tls-certs-cm"] {
        client.apply(&own_object("ConfigMap", &format!("argocd-{name}")), ARGO_CD_NAMESPACE)?;
    }
    let mut secret = own_object("Secret", "argocd-secret");
    secret["stringData"] = json!({"server.secretkey": "tests", "admin.password": ""});
    client.apply(&secret, ARGO_CD_NAMESPACE)?;
    Ok(())
}

fn own_object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "argocd"}},
    })
}

/// What stands for the files and the account that its servers find in their pods.
fn environment(cluster: &Cluster, folder: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let at = |name: &str| -> Result<OsString> {
        let path = folder.join(name);
        fs::create_dir_all(&path)?;
        Ok(path.into())
    };
    fs::create_dir_all(folder.join("ssh"))?;
    fs::write(folder.join("ssh/ssh_known_hosts"), "")?;
    let helm = HELM.binary("helm")?;
    let helm = helm.parent().context("a binary has a folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([helm.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
    Ok(vec![
        ("PATH", path),
        ("KUBECONFIG", cluster.server().kubeconfig().into()),
        ("HOME", at("home")?),
        ("TMPDIR", at("tmp")?),
        ("HOSTNAME", "argocd-application-controller-0".into()),
        ("ARGOCD_FAKE_IN_CLUSTER", "true".into()),
        ("ARGOCD_TLS_DATA_PATH", at("tls")?),
        ("ARGOCD_SSH_DATA_PATH", at("ssh")?),
        ("ARGOCD_GPG_DATA_PATH", at("gpg/source")?),
        ("ARGOCD_GNUPGHOME", at("gpg/keys")?),
        ("ARGOCD_GPG_ENABLED", "false".into()),
        ("ARGOCD_PLUGINSOCKFILEPATH", at("plugins")?),
    ])
}
