//! The commands of an installation on two real clusters, with `OpenBao` in the place of Vault.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::real::{Cluster, OpenBao, definitions, kubeconfig};

use crate::case::case;
use crate::repo::{Repo, Told};

const PART: &str = "Cross-cluster";

struct Install {
    repo: Repo,
    hub: Cluster,
    spoke: Cluster,
    vault: OpenBao,
}

impl Install {
    /// The shipped platform, whose Vault is a pod of the hub, with what is rendered for the registration of the spoke.
    fn start() -> Self {
        let repo = Repo::shipped();
        let definitions = definitions().unwrap();
        let is_wanted = |it: &&Value| {
            let group = it["spec"]["group"].as_str().unwrap_or_default();
            group == "external-secrets.io" || it["spec"]["names"]["kind"] == "ApplicationSet"
        };
        let wanted: Vec<_> = definitions.iter().filter(is_wanted).cloned().collect();
        let (hub, spoke) = (Cluster::start("control", 1).unwrap(), Cluster::start("app", 1).unwrap());
        hub.client().define(&wanted).unwrap();
        let vault = OpenBao::start().unwrap();
        for namespace in ["argocd", "external-secrets"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            hub.client().apply(&namespace, "").unwrap();
        }
        vault.stand_in(hub.client(), "vault", "vault-0", "192.168.64.106").unwrap();
        repo.write("kubeconfig", kubeconfig(&[hub.server(), spoke.server()]).to_string());
        Self { repo, hub, spoke, vault }
    }

    /// Does what Argo CD does with these files.
    fn sync(&self, files: &[&str]) {
        for file in files {
            let objects: Vec<Value> = serde_yaml::from_multiple(&self.repo.read(file)).unwrap();
            for object in &objects {
                self.hub.client().apply(object, "argocd").unwrap();
            }
        }
    }

    fn command(&self, arguments: &[&str], token: &str) -> Command {
        let mut command = self.repo.command(arguments);
        command.env("KUBECONFIG", self.repo.path("kubeconfig")).env("VAULT_TOKEN", token);
        command
    }

    fn run(&self, arguments: &[&str], token: &str) -> Told {
        self.repo.told(self.command(arguments, token).output().unwrap())
    }

    /// Initializes and unseals Vault with its engine, and returns the first token.
    fn unsealed(&self) -> String {
        let (key, token) = self.vault.initialize().unwrap();
        self.vault.unseal(&key).unwrap();
        let engine = json!({"type": "kv", "options": {"version": "2"}});
        self.vault.ask("POST", "sys/mounts/platform", &token, &engine).unwrap();
        token
    }

    /// Does what External Secrets does once it is asked to read.
    fn read_by_external_secrets(&self, token: &str) {
        let read = || {
            let list = self.hub.client().list("external-secrets.io/v1", "ExternalSecret").unwrap();
            list.iter().filter(|it| it["metadata"]["annotations"]["force-sync"].is_string()).count()
        };
        while read() < 2 {
            thread::sleep(Duration::from_millis(100));
        }
        let kept = self.vault.ask("GET", "platform/data/control/cluster-app", token, &json!({})).unwrap();
        let config = json!({"bearerToken": kept["data"]["data"]["token"]}).to_string();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cluster-app", "namespace": "argocd"},
            "stringData": {"config": config},
        });
        self.hub.client().apply(&secret, "").unwrap();
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_spoke_is_registered_by_one_command_however_often_it_is_run() {
    let install = Install::start();
    let arguments = ["register-cluster", "app", "--timeout", "2s"];
    case(
        PART,
        "`fleetwright register-cluster` names what is missing: keys, an engine, what External Secrets reads",
        || {
            let dry = install.run(&["register-cluster", "app", "--dry-run"], "none");
            assert_eq!((dry.code, dry.out.matches("would make: ").count()), (0, 5), "{dry}");
            let told = install.run(&arguments, "none");
            assert_eq!(told.code, 7, "{told}");
            assert!(told.err.contains("no replica of Vault answers: `vault-0` is not initialized"), "{told}");
            let token = install.unsealed();
            let told = install.run(&arguments, "wrong");
            assert!(told.code == 7 && told.err.contains("permission denied (403)"), "{told}");
            let told = install.run(&arguments, &token);
            assert!(
                told.code == 7 && told.err.contains("externalsecrets/cluster-app` on the hub in time"),
                "{told}"
            );
            install.sync(&["argocd-apps/app/registration.yaml"]);
            let set = json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
                "metadata": {"name": "app", "namespace": "argocd"},
                "spec": {"generators": [], "template": {"metadata": {"name": "x"}, "spec": {"project": "app", "destination": {}}}},
            });
            install.hub.client().apply(&set, "").unwrap();
            let told = install.run(&arguments, &token);
            assert!(
                told.code == 7 && told.err.contains("Secret `argocd/cluster-app` with this credential"),
                "{told}"
            );

            let mut run = install.command(&["register-cluster", "app", "--timeout", "1m"], &token);
            let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            install.read_by_external_secrets(&token);
            let told = install.repo.told(run.wait_with_output().unwrap());
            assert_eq!(told.code, 0, "{told}");
            let account =
                install.spoke.client().get("/api/v1/namespaces/kube-system/secrets/fleet-hub").unwrap();
            let kept =
                install.vault.ask("GET", "platform/data/control/cluster-app", &token, &json!({})).unwrap();
            for key in ["token", "ca.crt"] {
                let made = STANDARD.decode(account["data"][key].as_str().unwrap()).unwrap();
                assert_eq!(kept["data"]["data"][key].as_str().unwrap().as_bytes(), made);
            }
            // Five runs have written it once.
            assert_eq!(kept["data"]["metadata"]["version"], 1);
            let set = install
                .hub
                .client()
                .get("/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets/app")
                .unwrap();
            assert_eq!(set["metadata"]["annotations"]["argocd.argoproj.io/application-set-refresh"], "true");
            assert_snapshot!(install.run(&arguments, &token), @"
        current: ServiceAccount `fleet-hub` on the spoke
        current: ClusterRoleBinding `fleet-hub` on the spoke
        current: Secret `fleet-hub` on the spoke
        current: credential at `platform/control/cluster-app` in Vault
        current: Secret `argocd/cluster-app` of Argo CD on the hub
        => 0
        ");
            assert_eq!(
                install.run(&["register-cluster", "app", "--format", "json"], &token).json()["steps"][4]["changed"],
                false
            );
        },
    );
}
