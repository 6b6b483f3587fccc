//! From nothing to two synced clusters by `infra/scripts/provision-all`, killed again and again: the machines are Multipass' without
//! machines, and what `kubeadm` begins on them are the real API servers, with a real Argo CD.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use testkit::multipass::Multipass;
use testkit::real::{ApiServer, Helm, OpenBao, definitions};

use crate::case::case;
use crate::kubeconfig::as_kubeadm_calls_it;
use crate::repo::fleetwright;
use crate::world::World;

const KILLS: u64 = 10;
/// What is waited for at most before it is killed.
const LONGEST: Duration = Duration::from_secs(6);
/// The secret store of the hub, and the job that configures its Vault: here it has nothing to do.
const STORE: &str = r#"
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: vault}
spec: {provider: {vault: {server: "https://192.168.64.106:8200", path: platform, version: v2}}}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: vault-configure
  namespace: argocd
  annotations:
    fleetwright/vault-bootstrap: |
      - {path: sys/mounts/platform, values: {type: kv, options: {version: "2"}}}
spec:
  schedule: 0 0 1 1 *
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: configure, image: "configure:1"}]
"#;
const ACCEPTED: &str = r#"
accept:
  - {check: flows, path: "manifests/vault.yaml spec.provider.vault.server", reason: no add-on of this hub brings Vault}
"#;
/// What makes the spoke known on the hub.
const REGISTRATION: &str = r#"
{{#if (ne cluster.name hub.name)}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: cluster-app, namespace: argocd}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  target:
    name: cluster-app
    template:
      metadata: {labels: {argocd.argoproj.io/secret-type: cluster}}
      data:
        name: app
        server: https://{{cluster.apiServer.address}}:{{cluster.apiServer.port}}
        config: |
          {
            "bearerToken": "\{{ .token }}",
            "tlsClientConfig": {"caData": "\{{ index . "ca.crt" | b64enc }}"}
          }
  data:
    - {secretKey: token, remoteRef: {key: control/cluster-app, property: token}}
    - {secretKey: ca.crt, remoteRef: {key: control/cluster-app, property: ca.crt}}
{{/if}}
"#;

/// A checkout of the small platform with its machines, and the programs that are called.
struct Checkout {
    world: World,
    multipass: Multipass,
    vault: Arc<OpenBao>,
}

impl Checkout {
    fn new() -> Self {
        let vault = Arc::new(OpenBao::replicas::<3>().unwrap());
        let keys =
            vault.ask("PUT", "sys/init", "", &json!({"secret_shares": 2, "secret_threshold": 2})).unwrap();
        let [first, second, token] = [&keys["keys_base64"][0], &keys["keys_base64"][1], &keys["root_token"]]
            .map(|text| text.as_str().unwrap().to_owned());
        let world = World::undeployed_with(|rig| {
            let hub = rig.control.client();
            let is_own = |it: &Value| it["spec"]["group"] == "external-secrets.io";
            hub.define(&definitions().unwrap().into_iter().filter(is_own).collect::<Vec<_>>()).unwrap();
            vault.stand_in(hub, "vault", "192.168.64.106").unwrap();
            let (vault, token) = (Arc::clone(&vault), token.clone());
            Arc::new(move |path, key| {
                let kept = vault.ask("GET", &format!("platform/data/{path}"), &token, &json!({})).ok()?;
                Some(kept["data"]["data"][key].as_str()?.to_owned())
            })
        });
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
        fs::create_dir(world.repo.path("infra")).unwrap();
        for folder in ["scripts", "terraform"] {
            let copied =
                Command::new("cp").arg("-R").arg(shipped.join(folder)).arg(world.repo.path("infra")).status();
            assert!(copied.unwrap().success());
        }
        let checkout = Self { multipass: Multipass::new(&program()).unwrap(), world, vault };
        checkout.say_where_servers_are();
        checkout.register_by_vault();
        checkout.describe("control", 3, 0, checkout.world.rig.control.server());
        checkout.describe("app", 1, 2, checkout.world.rig.app.server());
        checkout.world.repo.write("infra/fleet/terraform.tfvars.json", "{}");
        // Vault gives keys once: a kill in that moment would lose them.
        checkout.world.repo.write(".git/test/keys/control", format!("{first}\n{second}\n\n{token}\n"));
        fs::set_permissions(
            checkout.world.repo.path(".git/test/keys/control"),
            fs::Permissions::from_mode(0o600),
        )
        .unwrap();
        checkout
    }

    /// A context is of the server that the inventory names.
    fn say_where_servers_are(&self) {
        let (repo, rig) = (&self.world.repo, &self.world.rig);
        for (cluster, server) in [("control", rig.control.server()), ("app", rig.app.server())] {
            let (_, port) = server.client().url().rsplit_once(':').unwrap();
            let path = format!("environments/{cluster}.yaml");
            let facts = repo.read(&path);
            repo.write(&path, format!("{facts}\napiServer: {{address: 127.0.0.1, port: {port}}}\n"));
        }
        repo.commit("Say where API servers are");
    }

    /// Has the hub take the spoke's credential out of Vault, as the shipped platform does.
    fn register_by_vault(&self) {
        let repo = &self.world.repo;
        let addon = "templates/addons/argo-cd/addon.yaml";
        repo.write(addon, repo.read(addon) + ACCEPTED);
        repo.write("templates/addons/argo-cd/manifests/vault.yaml.hbs", STORE);
        repo.write("templates/cluster/registration.yaml.hbs", REGISTRATION);
        let spoke = "{{name}}/applicationset{{/each";
        let both = spoke.replace("{{/each", ",{{name}}/registration{{/each");
        repo.edit("templates/cluster/root.yaml.hbs", spoke, &both);
        let told = repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        repo.commit("Register by Vault");
    }

    /// Writes what is rendered for a cluster, and lets `kubeadm init` hand out the credentials of a server.
    fn describe(&self, cluster: &str, control_planes: usize, workers: usize, server: &ApiServer) {
        let folder = format!("infra/clusters/{cluster}");
        let endpoint = server.client().url().strip_prefix("https://").unwrap();
        let machine = |role: &str, number: usize| {
            let name = format!("{cluster}-{role}-{number}");
            self.world
                .repo
                .write(&format!("{folder}/cloud-init/{name}.yaml"), "#cloud-config\npackages: [kubeadm]\n");
            json!({
                "name": name, "role": role, "address": format!("192.168.64.{}", 30 + number), "cpus": 2, "memory": "4Gi",
                "disk": "40Gi", "cloud_init": format!("cloud-init/{name}.yaml"),
            })
        };
        let of = |role: &'static str, count| (1..=count).map(move |number| (role, number));
        let machines = of("control-plane", control_planes).chain(of("worker", workers));
        let machines: Vec<_> = machines.map(|(role, number)| machine(role, number)).collect();
        let inputs = json!({"cluster": cluster, "image": "24.04", "machines": machines, "kubernetes_version": "1.36.3"});
        self.world.repo.write(&format!("{folder}/terraform.tfvars.json"), inputs.to_string());
        let init = format!(
            "kind: InitConfiguration\n---\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: {endpoint}\n"
        );
        self.world.repo.write(&format!("{folder}/kubeadm/init.yaml"), init);
        let join = format!(
            "kind: JoinConfiguration\ndiscovery: {{bootstrapToken: {{apiServerEndpoint: '{endpoint}', token: '@TOKEN@', \
             caCertHashes: ['@CA_CERT_HASH@']}}}}\n"
        );
        let control_plane = "controlPlane: {certificateKey: '@CERTIFICATE_KEY@', localAPIEndpoint: {advertiseAddress: '@ADDRESS@'}}\n";
        self.world.repo.write(&format!("{folder}/kubeadm/join-worker.yaml"), &join);
        self.world.repo.write(&format!("{folder}/kubeadm/join-control-plane.yaml"), join + control_plane);
        self.multipass.serve_cluster(endpoint, &as_kubeadm_calls_it(server).to_string()).unwrap();
    }

    fn token(&self) -> String {
        self.world.repo.read(".git/test/keys/control").lines().last().unwrap().to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.world.repo.path("infra/scripts/provision-all"));
        let own = Path::new(fleetwright()).parent().unwrap().to_owned();
        let folders = [own, Helm::find().unwrap().folder()];
        self.multipass.serve(&mut command, &folders).unwrap();
        command
            .current_dir(&self.world.repo.top)
            .env_remove("TF_CLI_CONFIG_FILE")
            .envs([("CHECKPOINT_DISABLE", "1"), ("RETRY_PAUSE", "1")])
            .env("KUBECONFIG", self.world.repo.path(".git/test/kubeconfig"))
            .env("VAULT_KEYS", self.world.repo.path(".git/test/keys"))
            .process_group(0)
            .stdin(Stdio::null());
        command
    }

    /// Kills it with all that it started after a while, and returns whether it still ran.
    fn kill_after(&self, delay: Duration) -> bool {
        let mut running = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(delay);
        let runs = running.try_wait().unwrap().is_none();
        let group = format!("-{}", running.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        running.wait().unwrap();
        runs
    }
}

/// Builds the Multipass without machines, which is a program of another package.
fn program() -> PathBuf {
    let build = ["build", "--quiet", "--package", "testkit", "--bin", "multipass"];
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(Command::new(env!("CARGO")).args(build).current_dir(top).status().unwrap().success());
    Path::new(&fleetwright()).with_file_name("multipass")
}

fn nodes(server: &ApiServer) -> Vec<String> {
    let nodes = server.client().list("v1", "Node").unwrap();
    nodes.iter().map(|node| node["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn everything_comes_from_nothing_however_often_it_is_killed() {
    if Command::new("terraform").arg("version").output().is_err() {
        eprintln!("left out: there is no `terraform` here");
        return;
    }
    let checkout = Checkout::new();
    let seed: u64 = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    eprintln!("seed {seed}");
    case("Machines", "machines, clusters and platform from nothing, killed at ten random moments", || {
        for kill in 0..KILLS {
            let delay = LONGEST.mul_f64(random(seed + kill));
            let killed = checkout.kill_after(delay);
            eprintln!("after {delay:?}: {}", if killed { "killed" } else { "it was over" });
        }
        let output = checkout.command().output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
    });
    let host = checkout.multipass.host().unwrap();
    let own = |cluster: &str| {
        host.instances.keys().filter(|name| name.starts_with(cluster)).cloned().collect::<Vec<_>>()
    };
    for (cluster, server, count) in
        [("control", checkout.world.rig.control.server(), 3), ("app", checkout.world.rig.app.server(), 3)]
    {
        assert_eq!(own(&format!("{cluster}-")).len(), count);
        let nodes = nodes(server);
        assert!(own(&format!("{cluster}-")).iter().all(|name| nodes.contains(name)), "{nodes:?}");
    }
    let read = |path: &str| checkout.vault.ask("GET", path, &checkout.token(), &json!({})).unwrap();
    assert_eq!(read("sys/seal-status")["sealed"], false);
    // However often it was killed, the credential was written once.
    assert_eq!(read("platform/data/control/cluster-app")["data"]["metadata"]["version"], 1);
    // What it waited for is so: the command asks again.
    checkout.world.settle(&[]);
    case("Machines", "the same again, with nothing to do", || {
        assert!(checkout.command().output().unwrap().status.success());
    });
}

/// Returns a number between 0 and 1.
fn random(seed: u64) -> f64 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((state >> 32) as u32) / f64::from(u32::MAX)
}
