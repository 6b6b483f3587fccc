//! A cluster without machines: an API server, the controllers and the scheduler of Kubernetes, and kwok, which
//! reports nodes as ready and pods as running.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::client::Client;
use super::process::{Folder, Process, arguments, free_ports};
use super::{ETCD, KUBE, KWOK, METALLB};

/// What kwok does besides making all nodes ready and all pods run.
const OWN_STAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/real/kwok/stages.yaml");
/// The namespace of `MetalLB`'s controller.
pub const METALLB_NAMESPACE: &str = "metallb-system";

/// A running cluster.
pub struct Cluster {
    // Dropped in this order.
    controllers: RefCell<Vec<Process>>,
    server: ApiServer,
}

impl Cluster {
    /// Starts a cluster of so many nodes that its credentials call by a name, or fails with what is missing for it.
    pub fn start(name: &str, nodes: usize) -> Result<Self> {
        let server = ApiServer::start(name)?;
        let cluster = Self { controllers: RefCell::default(), server };
        let kubeconfig = cluster.server.kubeconfig().display().to_string();
        let not_listening = |shared| [shared, arguments(["--secure-port=0"])].concat();
        cluster.run("kube-controller-manager", &KUBE, not_listening(controllers_arguments(&kubeconfig)))?;
        cluster.run("kube-scheduler", &KUBE, not_listening(scheduler_arguments(&kubeconfig)))?;
        cluster.run("kwok", &KWOK, kwok_arguments(&kubeconfig)?)?;
        for number in 1..=nodes {
            cluster.add_node(&format!("{name}-{number}"))?;
        }
        Ok(cluster)
    }

    /// Adds a node, which becomes ready.
    pub fn add_node(&self, name: &str) -> Result<()> {
        Ok(self.client().apply(&node(name), "")?)
    }

    /// Starts `MetalLB`'s controller, which gives Services their addresses, with the definitions that it needs.
    pub fn balance_loads(&self, definitions: &[Value]) -> Result<()> {
        let own = |definition: &&Value| definition["spec"]["group"] == "metallb.io";
        let own: Vec<_> = definitions.iter().filter(own).cloned().collect();
        self.client().define(&own)?;
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": METALLB_NAMESPACE}});
        self.client().apply(&namespace, "")?;
        let kubeconfig = self.server.kubeconfig().display().to_string();
        self.run("metallb-controller", &METALLB, metallb_arguments(&kubeconfig)?)
    }

    /// Returns a client of the API server.
    #[must_use]
    pub const fn client(&self) -> &Client {
        self.server.client()
    }

    /// Returns the API server.
    #[must_use]
    pub const fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Kills the API server and all controllers; what the cluster knows stays in its etcd.
    pub fn kill(&self) -> Result<()> {
        self.controllers.borrow_mut().iter_mut().try_for_each(Process::kill)?;
        self.server.kill()
    }

    /// Starts a cluster that was killed, at the same address.
    pub fn start_again(&self) -> Result<()> {
        self.server.start_again()?;
        self.controllers.borrow_mut().iter_mut().try_for_each(Process::start_again)
    }

    fn run(&self, binary: &str, component: &super::Component, arguments: Vec<String>) -> Result<()> {
        let program = component.binary(binary)?;
        let process = Process::start(binary, &program, arguments, [], self.server.folder())?;
        self.controllers.borrow_mut().push(process);
        Ok(())
    }
}

/// What kubeadm runs on a control plane beside the API server; it stops when it is dropped.
pub struct ControlPlane {
    _processes: [Process; 3],
    _folder: Folder,
}

impl ControlPlane {
    /// Starts an etcd, the controllers and the scheduler, each with the arguments that `own` returns for its name in the
    /// configuration of kubeadm, after those that kubeadm gives by itself.
    pub fn start(server: &ApiServer, own: impl Fn(&str) -> Vec<String>) -> Result<Self> {
        let folder = Folder::new()?;
        let kubeconfig = server.kubeconfig().display().to_string();
        let [client, peer] = free_ports::<2>()?.map(|port| format!("http://127.0.0.1:{port}"));
        let etcd = arguments([
            &format!("--listen-client-urls={client}"),
            &format!("--advertise-client-urls={client}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=default={peer}"),
            "--listen-metrics-urls=http://127.0.0.1:2381",
        ]);
        let listening =
            |shared| [shared, arguments(["--cert-dir=certificates", "--bind-address=127.0.0.1"])].concat();
        let start = |name: &str, program: PathBuf, shared: Vec<String>, folder: &Path| {
            Process::start(name, &program, [shared, own(name)].concat(), [], folder)
        };
        let controllers = listening(controllers_arguments(&kubeconfig));
        let scheduler = listening(scheduler_arguments(&kubeconfig));
        let processes = [
            start("etcd", ETCD.binary("etcd")?, etcd, folder.path())?,
            start(
                "controllerManager",
                KUBE.binary("kube-controller-manager")?,
                controllers,
                server.folder(),
            )?,
            start("scheduler", KUBE.binary("kube-scheduler")?, scheduler, server.folder())?,
        ];
        Ok(Self { _processes: processes, _folder: folder })
    }
}

fn controllers_arguments(kubeconfig: &str) -> Vec<String> {
    arguments([
        &format!("--kubeconfig={kubeconfig}"),
        &format!("--authentication-kubeconfig={kubeconfig}"),
        &format!("--authorization-kubeconfig={kubeconfig}"),
        "--service-account-private-key-file=accounts.key",
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        "--controllers=*,-node-ipam-controller",
        // A busy machine may miss the heartbeats of nodes that nothing runs on.
        "--node-monitor-grace-period=1h",
    ])
}

fn scheduler_arguments(kubeconfig: &str) -> Vec<String> {
    arguments([
        &format!("--kubeconfig={kubeconfig}"),
        &format!("--authentication-kubeconfig={kubeconfig}"),
        &format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false",
    ])
}

fn kwok_arguments(kubeconfig: &str) -> Result<Vec<String>> {
    Ok(arguments([
        &format!("--kubeconfig={kubeconfig}"),
        "--manage-all-nodes=true",
        "--node-ip=127.0.0.1",
        &format!("--config={}", KWOK.binary("stages.yaml")?.display()),
        &format!("--config={OWN_STAGES}"),
    ]))
}

fn metallb_arguments(kubeconfig: &str) -> Result<Vec<String>> {
    let [port] = free_ports()?;
    Ok(arguments([
        &format!("-kubeconfig={kubeconfig}"),
        &format!("-namespace={METALLB_NAMESPACE}"),
        &format!("-port={port}"),
        "-webhook-mode=disabled",
        "-disable-cert-rotation",
    ]))
}

fn node(name: &str) -> Value {
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "500"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "status": {"allocatable": room.clone(), "capacity": room},
    })
}
