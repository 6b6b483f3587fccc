//! A hub and a spoke, whole: two clusters with `MetalLB`, and an Argo CD on the first for both.

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::api_server::{ApiServer, kubeconfig};
use super::argo_cd::{ARGO_CD_NAMESPACE, ArgoCd, Server};
use super::cluster::Cluster;
use super::definitions;
use super::process::Folder;

/// The version of Argo CD's objects.
pub const ARGO_CD_VERSION: &str = "argoproj.io/v1alpha1";

/// How many nodes the hub and the spoke have: as many as both platforms describe machines.
const NODES: [usize; 2] = [3, 9];

/// Everything that runs; it stops when it is dropped.
pub struct Rig {
    // Dropped in this order.
    /// Argo CD, for both clusters.
    pub argo_cd: ArgoCd,
    /// The hub.
    pub control: Cluster,
    /// The spoke.
    pub app: Cluster,
    folder: Folder,
}

impl Rig {
    /// Starts everything, or fails with what is missing for it.
    pub fn start() -> Result<Self> {
        let folder = Folder::new()?;
        let definitions = definitions()?;
        let start = |name, nodes| {
            let cluster = Cluster::start(name, nodes)?;
            cluster.balance_loads(&definitions).map(|()| cluster)
        };
        // Each waits for its servers most of the time.
        let (control, app) = thread::scope(|scope| {
            let app = scope.spawn(|| start("app", NODES[1]));
            (start("control", NODES[0]), app.join())
        });
        let (control, app) = (control?, app.map_err(|_| anyhow!("the thread of the spoke panicked"))??);
        let argo_cd = ArgoCd::start(&control, &definitions)?;
        let rig = Self { argo_cd, control, app, folder };
        let servers = [rig.control.server(), rig.app.server()];
        fs::write(rig.kubeconfig(), kubeconfig(&servers).to_string())?;
        Ok(rig)
    }

    /// Returns a file with a context for each cluster: `control`, which is the current one, and `app`.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Kills the whole hub, its Argo CD included; what it knows stays in its etcd.
    pub fn lose_hub(&self) -> Result<()> {
        Server::ALL.into_iter().try_for_each(|server| self.argo_cd.kill(server))?;
        self.control.kill()
    }

    /// Starts the hub after it was lost.
    pub fn restore_hub(&self) -> Result<()> {
        self.control.start_again()?;
        Server::ALL.into_iter().try_for_each(|server| self.argo_cd.start_again(server))
    }

    /// Returns the object that makes the spoke known to Argo CD.
    #[must_use]
    pub fn registration(&self) -> Value {
        registration(self.app.server())
    }

    /// Returns every Application, with its status.
    pub fn applications(&self) -> Result<Vec<Value>> {
        Ok(self.control.client().list(ARGO_CD_VERSION, "Application")?)
    }

    /// Asks for an Application to be compared with what its sources are now.
    pub fn refresh(&self, application: &Value) -> Result<()> {
        let ask = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}});
        Ok(self.control.client().merge(application, "", &ask)?)
    }
}

fn registration(server: &ApiServer) -> Value {
    let config = json!({
        "bearerToken": server.token(),
        "tlsClientConfig": {"caData": server.encoded_authority()},
    });
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("cluster-{}", server.name()),
            "namespace": ARGO_CD_NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "cluster"},
        },
        "stringData": {"name": server.name(), "server": server.client().url(), "config": config.to_string()},
    })
}
