//! A checkout with Terraform, and a Multipass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::multipass::{Host, Multipass};

/// What no output, state or command line may hold.
pub const PASSWORD: &str = "it's \"secret\" \\ $HOME";

/// A copy of what is shipped, beside rendered files.
pub struct World {
    pub multipass: Multipass,
    top: TempDir,
    /// The variables that scripts see.
    pub variables: Vec<(&'static str, &'static str)>,
    /// The version of Kubernetes that is rendered.
    pub kubernetes: &'static str,
    /// The image that is rendered.
    pub image: &'static str,
}

/// How many nodes of each kind a cluster has.
#[derive(Clone, Copy)]
pub struct Counts {
    pub control_planes: usize,
    pub workers: usize,
}

/// What a run of Terraform came to.
pub struct Ran {
    pub is_success: bool,
    pub log: String,
}

/// Returns whether Terraform is here, and says so if it is not.
pub fn has_terraform() -> bool {
    let found = Command::new("terraform").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("left out: there is no `terraform` here");
    }
    found
}

impl World {
    /// A world with what is rendered for the shipped platform.
    pub fn shipped() -> Self {
        let world = Self::of(&["terraform", "scripts", "clusters", "fleet"]);
        for folder in ["clusters/control", "clusters/app", "fleet"] {
            let inputs =
                fs::read_to_string(world.path(&format!("infra/{folder}/terraform.tfvars.json"))).unwrap();
            let inputs: Value = serde_json::from_str(&inputs).unwrap();
            for machine in inputs["machines"].as_array().unwrap() {
                let path = format!("infra/{folder}/{}", machine["cloud_init"].as_str().unwrap());
                if !world.path(&path).exists() {
                    world.write(&path, "#cloud-config\n{}\n");
                }
            }
        }
        world
    }

    pub fn new() -> Self {
        Self::of(&["terraform", "scripts"])
    }

    fn of(folders: &[&str]) -> Self {
        let multipass = Multipass::new(Path::new(env!("CARGO_BIN_EXE_multipass"))).unwrap();
        let top = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
        fs::create_dir(top.path().join("infra")).unwrap();
        for folder in folders {
            let copied =
                Command::new("cp").arg("-R").arg(shipped.join(folder)).arg(top.path().join("infra")).status();
            assert!(copied.unwrap().success());
        }
        Self { multipass, top, variables: Vec::new(), kubernetes: "1.36.3", image: "24.04" }
    }

    /// Returns a world with a rendered cluster `app`, and Terraform ready for it.
    pub fn with_cluster(counts: Counts) -> Self {
        let world = Self::new();
        world.render("app", counts);
        world.terraform("app", &["init"]).unwrap();
        world
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.top.path().join(path)
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes what is rendered for a cluster.
    pub fn render(&self, cluster: &str, counts: Counts) {
        self.render_at(cluster, "192.168.64.30:6443", counts);
    }

    /// Writes what is rendered for a cluster with this endpoint.
    pub fn render_at(&self, cluster: &str, endpoint: &str, counts: Counts) {
        let roles = [("control-plane", counts.control_planes, "4Gi"), ("worker", counts.workers, "8Gi")];
        let machines = roles.into_iter().flat_map(|(role, count, memory)| {
            (1..=count).map(move |number| machine(cluster, role, number, memory))
        });
        self.render_machines(cluster, endpoint, &machines.collect());
    }

    pub fn render_machines(&self, cluster: &str, endpoint: &str, machines: &Value) {
        let folder = format!("infra/clusters/{cluster}");
        let inputs = json!({
            "cluster": cluster, "image": self.image, "machines": machines, "api_server": endpoint,
            "kubernetes_version": self.kubernetes,
        });
        self.write(&format!("{folder}/terraform.tfvars.json"), &inputs.to_string());
        for machine in machines.as_array().unwrap() {
            let path = machine["cloud_init"].as_str().unwrap();
            let content =
                format!("#cloud-config\npackages: [kubeadm]\n# KUBERNETES_VERSION={}\n", self.kubernetes);
            self.write(&format!("{folder}/{path}"), &content);
        }
        let init = format!(
            "kind: InitConfiguration\n---\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: {endpoint}\n"
        );
        self.write(&format!("{folder}/kubeadm/init.yaml"), &init);
        let join = format!(
            "kind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    apiServerEndpoint: {endpoint}\n    token: \"@TOKEN@\"\n    \
             caCertHashes: [\"@CA_CERT_HASH@\"]\n"
        );
        self.write(&format!("{folder}/kubeadm/join-worker.yaml"), &join);
        let control_plane = "controlPlane:\n  certificateKey: \"@CERTIFICATE_KEY@\"\n  localAPIEndpoint:\n    \
                             advertiseAddress: \"@ADDRESS@\"\n";
        self.write(&format!("{folder}/kubeadm/join-control-plane.yaml"), &format!("{join}{control_plane}"));
    }

    /// Returns a command of Terraform in a root module.
    pub fn command(&self, root: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command
            .arg(format!("-chdir={}", self.path(&format!("infra/terraform/clusters/{root}")).display()))
            .args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Lets a command find this Multipass, and what the world has in `bin`.
    pub fn prepare(&self, command: &mut Command) {
        self.multipass.serve(command, &[self.path("bin")]).unwrap();
        command
            .env_remove("TF_CLI_CONFIG_FILE")
            .envs([
                ("TF_IN_AUTOMATION", "1"),
                ("CHECKPOINT_DISABLE", "1"),
                ("TF_INPUT", "0"),
                ("RETRY_PAUSE", "0"),
            ])
            .envs(self.variables.iter().copied());
    }

    /// Kills a command that leads a group, with all that it started.
    pub fn kill_group(leader: u32) {
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).stderr(Stdio::null()).status();
    }

    pub fn run(&self, root: &str, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(root, arguments).output().unwrap();
        let log = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        Ran { is_success: status.success(), log }
    }

    /// Runs Terraform, and returns what it printed, or as an error what it printed when it failed.
    pub fn terraform(&self, root: &str, arguments: &[&str]) -> Result<String, String> {
        let Ran { is_success, log } = self.run(root, arguments);
        if is_success { Ok(log) } else { Err(log) }
    }

    pub fn apply(&self, root: &str) -> Result<String, String> {
        self.terraform(root, &["apply", "-auto-approve", "-no-color"])
    }

    pub fn destroy(&self, root: &str) -> Result<String, String> {
        self.terraform(root, &["destroy", "-auto-approve", "-no-color"])
    }

    /// Returns the content of the state file.
    pub fn state(&self, root: &str) -> String {
        fs::read_to_string(self.path(&format!("infra/terraform/clusters/{root}/terraform.tfstate"))).unwrap()
    }

    pub fn host(&self) -> Host {
        self.multipass.host().unwrap()
    }

    /// Returns the names of all instances.
    pub fn instances(&self) -> Vec<String> {
        self.host().instances.into_keys().collect()
    }

    /// Asserts that the cluster is what it was rendered as: its instances, nodes and members of etcd.
    pub fn assert_whole(&self, counts: Counts) {
        let host = self.host();
        let names = names(counts);
        assert_eq!(host.instances.keys().cloned().collect::<Vec<_>>(), names);
        assert!(
            host.instances.values().all(|instance| instance.is_initialized && instance.state == "Running")
        );
        let cluster = host.clusters.values().next().unwrap();
        assert_eq!(cluster.nodes.keys().cloned().collect::<Vec<_>>(), names);
        assert!(cluster.nodes.values().all(|node| !node.is_cordoned), "a node takes no pods");
        assert_eq!(cluster.etcd.iter().cloned().collect::<Vec<_>>(), names[..counts.control_planes]);
        assert_eq!(host.clusters.len(), 1);
    }
}

fn names(counts: Counts) -> Vec<String> {
    let of = |role: &'static str, count| (1..=count).map(move |number| format!("app-{role}-{number}"));
    of("control-plane", counts.control_planes).chain(of("worker", counts.workers)).collect()
}

pub fn machine(cluster: &str, role: &str, number: usize, memory: &str) -> Value {
    let name = format!("{cluster}-{role}-{number}");
    let address = format!("192.168.64.{}", number + if role == "worker" { 40 } else { 30 });
    let cloud_init = format!("cloud-init/{name}.yaml");
    json!({
        "name": name, "role": role, "address": address, "cpus": 2, "memory": memory, "disk": "40Gi", "cloud_init": cloud_init,
    })
}
