//! The commands of an installation on two real clusters, with `OpenBao` in the place of Vault.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
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
    /// The shipped platform, whose Vault are pods of the hub, with what is rendered for the registration of the spoke.
    fn start(vault: OpenBao) -> Self {
        let repo = Repo::shipped();
        let definitions = definitions().unwrap();
        let is_wanted = |it: &&Value| {
            let group = it["spec"]["group"].as_str().unwrap_or_default();
            group == "external-secrets.io" || it["spec"]["names"]["kind"] == "ApplicationSet"
        };
        let wanted: Vec<_> = definitions.iter().filter(is_wanted).cloned().collect();
        let (hub, spoke) = (Cluster::start("control", 1).unwrap(), Cluster::start("app", 1).unwrap());
        hub.client().define(&wanted).unwrap();
        for namespace in ["argocd", "external-secrets"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            hub.client().apply(&namespace, "").unwrap();
        }
        vault.stand_in(hub.client(), "vault", "192.168.64.106").unwrap();
        repo.write("kubeconfig", kubeconfig(&[hub.server(), spoke.server()]).to_string());
        Self { repo, hub, spoke, vault }
    }

    /// Does what Argo CD does with these files of a namespace.
    fn sync(&self, namespace: &str, files: &[&str]) {
        for file in files {
            let objects: Vec<Value> = serde_yaml::from_multiple(&self.repo.read(file)).unwrap();
            for object in &objects {
                self.hub.client().apply(object, namespace).unwrap();
            }
        }
    }

    /// Starts a command, gives it an input, and kills it once it has written a line with this in it.
    fn kill_after(&self, arguments: &[&str], token: &str, input: &str, seen: &str) {
        let mut command = self.command(arguments, token);
        let mut run =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut given = run.stdin.take().unwrap();
        given.write_all(input.as_bytes()).unwrap();
        let (out, err) = (run.stdout.take().unwrap(), run.stderr.take().unwrap());
        let find = |line: &Result<String, _>| line.as_ref().is_ok_and(|line| line.contains(seen));
        let mut errors = BufReader::new(err).lines();
        let is_found = if seen.starts_with('`') {
            errors.any(|line| find(&line))
        } else {
            BufReader::new(out).lines().any(|line| find(&line))
        };
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(is_found, "{arguments:?} did not write `{seen}`");
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Told {
        let mut command = self.command(arguments, "");
        let mut run =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        run.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        self.repo.told(run.wait_with_output().unwrap())
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

/// Lets the job lead Vault to the hub's API server, which it finds by itself in a pod.
pub fn lead_to(hub: &Cluster, repo: &Repo) {
    let template = "templates/addons/vault/manifests/configure.yaml.hbs";
    let own = r#"{kubernetes_host: "https://kubernetes.default.svc"}"#;
    repo.edit(template, own, &config(hub).to_string());
}

fn config(hub: &Cluster) -> Value {
    let authority = hub.server().authority().trim_end();
    json!({"kubernetes_host": hub.client().url(), "kubernetes_ca_cert": authority, "disable_local_ca_jwt": true})
}

/// Does the work of the job that configures Vault, with its own script, account and rights.
pub fn configure(hub: &Cluster, repo: &Repo, vault: &OpenBao, token: &str) -> String {
    // In a pod it is Vault's own account that asks.
    let mut reviewer = config(hub);
    reviewer["token_reviewer_jwt"] = hub.server().token().into();
    vault.ask("POST", "auth/kubernetes/control/config", token, &reviewer).unwrap();

    let login = hub.client().token_for("vault", "vault-configure", "vault").unwrap();
    let scripts: Value =
        serde_yaml::from_str(&repo.read("argocd-apps/control/vault/manifests/scripts.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (path, authority, url) = (folder.path().to_str().unwrap(), vault.authority(), vault.url());
    for made in ["login", "tls", "bin", "reviewers/app"] {
        fs::create_dir_all(folder.path().join(made)).unwrap();
    }
    fs::write(folder.path().join("login/token"), login).unwrap();
    fs::copy(&authority, folder.path().join("tls/ca.crt")).unwrap();
    if let Ok(secret) = hub.client().get("/api/v1/namespaces/vault/secrets/reviewer-app") {
        for key in ["token", "ca.crt"] {
            let value = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
            fs::write(folder.path().join("reviewers/app").join(key), value).unwrap();
        }
    }
    symlink(OpenBao::program().unwrap(), folder.path().join("bin/vault")).unwrap();
    let script = scripts["data"]["configure.sh"].as_str().unwrap();
    let script = script.replace("/vault/audit/", &format!("{path}/")).replace("/vault/", &format!("{path}/"));
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("PATH", format!("{path}/bin:{}", std::env::var("PATH").unwrap()))
        .envs([("VAULT_ADDR", url), ("BAO_ADDR", url), ("HOME", path)])
        .envs([("VAULT_CACERT", &authority), ("BAO_CACERT", &authority)])
        .output()
        .unwrap();
    let written =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{written}");
    written
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_spoke_is_registered_by_one_command_however_often_it_is_run() {
    let install = Install::start(OpenBao::start().unwrap());
    let arguments = ["register-cluster", "app", "--timeout", "2s"];
    case(
        PART,
        "`fleetwright register-cluster` names what is missing: keys, an engine, what External Secrets reads",
        || {
            let dry = install.run(&["register-cluster", "app", "--dry-run"], "none");
            assert_eq!((dry.code, dry.out.matches("would make: ").count()), (0, 5), "{dry}");
            let told = install.run(&arguments, "none");
            assert_eq!(told.code, 7, "{told}");
            assert!(
                told.err.contains("no replica of Vault answers: `openbao-0` is not initialized"),
                "{told}"
            );
            let token = install.unsealed();
            let told = install.run(&arguments, "wrong");
            assert!(told.code == 7 && told.err.contains("permission denied (403)"), "{told}");
            let told = install.run(&arguments, &token);
            assert!(
                told.code == 7 && told.err.contains("externalsecrets/cluster-app` on the hub in time"),
                "{told}"
            );
            install.sync("argocd", &["argocd-apps/app/registration.yaml"]);
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

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn vault_is_installed_by_commands_that_are_killed_and_run_again() {
    let mut install = Install::start(OpenBao::replicas::<3>().unwrap());
    lead_to(&install.hub, &install.repo);
    let told = install.repo.run(&["render"]);
    assert_eq!(told.code, 0, "{told}");
    let files =
        ["configure", "scripts"].map(|name| format!("argocd-apps/control/vault/manifests/{name}.yaml"));
    install.sync("vault", &[&files[0], &files[1]]);
    let file = install.repo.path("../keys").to_str().unwrap().to_owned();
    let init = ["vault", "init", "--keys-file", &file];
    let keys: Vec<String> =
        case(PART, "`fleetwright vault init` makes keys once, in a file that it may find empty", || {
            // As a run leaves it that was killed before Vault had answered.
            fs::write(&file, "").unwrap();
            assert_eq!(install.run(&init, "").code, 0);
            let told = install.run(&init, "");
            assert!(told.code == 0 && told.out.starts_with("current: "), "{told}");
            let told = install.run(&["vault", "init", "--keys-file", "new"], "");
            assert!(told.code == 7 && told.err.contains("Vault is initialized already"), "{told}");
            fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect()
        });
    let token = keys[6].clone();
    case(
        PART,
        "`fleetwright vault unseal` unseals three replicas in spite of a wrong key, a kill and a restart",
        || {
            install.kill_after(
                &["vault", "unseal"],
                "",
                &format!("{}\n", keys[0]),
                "`openbao-0` has 1 of 3 keys",
            );
            let wrong = STANDARD.encode([7; 33]);
            let told = install.run_with(
                &["vault", "unseal"],
                &format!("{}\n{wrong}\n{}\nx\n{}\n", keys[0], keys[1], keys[2]),
            );
            assert_eq!(told.code, 0, "{told}");
            assert_eq!(told.out.matches("made: pod `openbao-").count(), 3, "{told}");
            assert!(told.err.contains("key 2 is wrong\n") && told.err.contains("key 4 is wrong\n"), "{told}");
            assert!(
                keys.iter().chain([&wrong]).all(|key| key.is_empty() || !told.to_string().contains(key)),
                "{told}"
            );
            install.vault.restart(1).unwrap();
            let told = install.run_with(&["vault", "unseal"], &keys[2..5].join("\n"));
            assert_eq!((told.code, told.out.matches("current: ").count()), (0, 2), "{told}");
        },
    );
    case(
        PART,
        "`fleetwright vault bootstrap` gives the job the rights that its script needs, and no write is missing after a kill",
        || {
            let dry = install.run(&["vault", "bootstrap", "--dry-run"], &token);
            assert_eq!((dry.code, dry.out.matches("would make: ").count()), (0, 5), "{dry}");
            install.kill_after(&["vault", "bootstrap"], &token, "", "made: `auth/kubernetes/control/config`");
            let told = install.run(&["vault", "bootstrap"], &token);
            assert_eq!(told.code, 0, "{told}");
            assert!(told.out.contains("current: `auth/kubernetes/control/config` in Vault"), "{told}");
            let configure = || configure(&install.hub, &install.repo, &install.vault, &token);
            assert!(configure().contains("app: its account for reviews has not come yet"));
            let told = install.run(&["vault", "bootstrap"], &token);
            assert_eq!((told.code, told.out.matches("current: ").count()), (0, 4), "{told}");
            let read = |path: &str| install.vault.ask("GET", path, &token, &json!({})).unwrap();
            assert_eq!(read("sys/mounts")["data"]["platform/"]["type"], "kv");
            assert!(
                read("sys/policies/acl/cluster-control")["data"]["policy"]
                    .as_str()
                    .unwrap()
                    .contains("platform/data/control/*")
            );
            assert_eq!(configure().matches("Success! Enabled").count(), 0);
        },
    );
}
