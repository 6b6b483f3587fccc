//! `vault` and `register-cluster`: the shipped fleet on two API servers at the wire, with a Vault of three replicas behind one.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::cluster::{Server, Trouble};
use testkit::web::wire::Request;

use crate::repo::{Repo, Told, bare, fleetwright};

const NEEDED: usize = 3;
const TOKEN: &str = "hvs.the-first-token";
const ACCOUNT_TOKEN: &str = "the-token-of-the-account";
const SECRETS: &str = "api/v1/secrets";
const READERS: &str = "apis/external-secrets.io/v1/externalsecrets";
const JOBS: &str = "apis/batch/v1/jobs";
const CRON_JOBS: &str = "apis/batch/v1/cronjobs";

/// What Vault knows.
#[derive(Default)]
struct Vault {
    replicas: BTreeMap<&'static str, Replica>,
    /// What is kept, by path.
    kept: BTreeMap<String, Value>,
    /// How often it was initialized.
    initialized: usize,
    /// What was asked: method and path.
    asked: Vec<String>,
}

#[derive(Default)]
struct Replica {
    is_initialized: bool,
    is_unsealed: bool,
    given: Vec<String>,
}

impl Vault {
    fn answer(&mut self, pod: &'static str, request: &Request) -> (u16, Value) {
        let refused = |code, reason: &str| (code, json!({ "errors": [reason] }));
        let path = request.path.strip_prefix("/v1/").unwrap().to_owned();
        let body: Value = request.json().unwrap();
        self.asked.push(format!("{pod} {} {path}", request.method));
        let is_active =
            self.replicas.iter().find(|(_, it)| it.is_unsealed).is_some_and(|(name, _)| *name == pod);
        let replica = self.replicas.entry(pod).or_default();
        match (request.method.as_str(), path.as_str()) {
            (_, "sys/health") => {
                let health = json!({"initialized": replica.is_initialized, "sealed": !replica.is_unsealed, "standby": !is_active});
                (if is_active { 200 } else { 503 }, health)
            }
            ("PUT", "sys/init") if self.initialized > 0 => refused(400, "Vault is already initialized"),
            ("PUT", "sys/init") => {
                self.initialized += 1;
                replica.is_initialized = true;
                let shares = body["secret_shares"].as_u64().unwrap();
                (
                    200,
                    json!({"keys_base64": (1..=shares).map(right).collect::<Vec<_>>(), "root_token": TOKEN}),
                )
            }
            ("GET", "sys/seal-status") => (200, replica.status()),
            ("PUT", "sys/unseal") => {
                let key = body["key"].as_str().unwrap().to_owned();
                if !key.starts_with("key-") {
                    return refused(400, "'key' must be a valid hex or base64 string");
                }
                if !replica.given.contains(&key) {
                    replica.given.push(key);
                }
                if replica.given.len() == NEEDED {
                    let given = std::mem::take(&mut replica.given);
                    if !given.iter().all(|key| key.starts_with("key-right-")) {
                        return refused(400, "failed to unseal: cipher: message authentication failed");
                    }
                    replica.is_unsealed = true;
                }
                let status = replica.status();
                // The others find one that is unsealed.
                let is_unsealed = self.replicas.values().any(|it| it.is_unsealed);
                self.replicas.values_mut().for_each(|it| it.is_initialized |= is_unsealed);
                (200, status)
            }
            _ if !replica.is_unsealed => refused(503, "Vault is sealed"),
            _ if request.headers.get("x-vault-token").is_none_or(|token| token != TOKEN) => {
                refused(403, "permission denied")
            }
            ("GET", _) => self
                .kept
                .get(&path)
                .map_or_else(|| refused(404, "nothing is there"), |kept| (200, json!({ "data": kept }))),
            _ if path.contains("/data/") => {
                let version =
                    self.kept.get(&path).map_or(0, |it| it["metadata"]["version"].as_u64().unwrap());
                if body["options"]["cas"] != version {
                    return refused(400, "check-and-set parameter did not match the current version");
                }
                let kept = json!({"data": body["data"], "metadata": {"version": version + 1}});
                self.kept.insert(path, kept);
                (200, json!({}))
            }
            _ => {
                self.kept.insert(path, body);
                (204, Value::Null)
            }
        }
    }
}

impl Replica {
    fn status(&self) -> Value {
        json!({"sealed": !self.is_unsealed, "t": NEEDED, "n": 5, "progress": self.given.len()})
    }
}

fn right(number: u64) -> String {
    format!("key-right-{number}")
}

/// The shipped fleet.
struct Fleet {
    repo: Repo,
    control: Server,
    app: Server,
    vault: Arc<Mutex<Vault>>,
    folder: TempDir,
}

impl Fleet {
    /// A fleet whose Vault runs, and whose hub has what Argo CD makes there for the spoke.
    fn new() -> Self {
        let fleet = Self {
            repo: Repo::shipped(),
            control: Server::start().unwrap(),
            app: Server::start().unwrap(),
            vault: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
        };
        let kubeconfig = Server::kubeconfig_of(&[("control", &fleet.control), ("app", &fleet.app)]);
        fs::write(fleet.path("kubeconfig"), kubeconfig).unwrap();
        let selector = json!({"app": "vault", "vault-active": "true"});
        let port = json!({"port": 8200, "targetPort": 8200});
        let service = json!({
            "kind": "Service", "metadata": {"namespace": "vault", "name": "vault-ui"},
            "spec": {"loadBalancerIP": "192.168.64.106", "selector": selector, "ports": [port]},
        });
        fleet.control.put("api/v1/services", service);
        for pod in ["vault-0", "vault-1", "vault-2"] {
            let vault = Arc::clone(&fleet.vault);
            fleet.vault().replicas.entry(pod).or_default();
            fleet.control.pod(&format!("vault/https:{pod}:8200"), move |request| {
                vault.lock().unwrap().answer(pod, request)
            });
            fleet.put_pod(pod, "Running");
        }
        for namespace in ["argocd", "external-secrets"] {
            let reader = json!({"kind": "ExternalSecret", "metadata": {"namespace": namespace, "name": "cluster-app"}});
            fleet.control.put(READERS, reader);
        }
        let set = json!({"kind": "ApplicationSet", "metadata": {"namespace": "argocd", "name": "app"}});
        fleet.control.put("apis/argoproj.io/v1alpha1/applicationsets", set);
        fleet.app.react(|written| {
            let mut secret = written.clone();
            if written["kind"] != "Secret" {
                return Vec::new();
            }
            secret["data"] = json!({"token": encoded(ACCOUNT_TOKEN), "ca.crt": encoded("the CA")});
            vec![(SECRETS, secret)]
        });
        fleet
    }

    /// Lets the hub do what its controllers do: External Secrets makes the Secret, and a Job ends.
    fn work(&self, ends: &'static str) {
        self.control.serve(JOBS, "Job");
        self.control.put(
            CRON_JOBS,
            json!({
                "kind": "CronJob", "metadata": {"namespace": "vault", "name": "vault-configure", "uid": "1"},
                "spec": {"jobTemplate": {"spec": {"backoffLimit": 0}}},
            }),
        );
        let vault = Arc::clone(&self.vault);
        self.control.react(move |written| {
            let mut object = written.clone();
            match written["kind"].as_str() {
                Some("ExternalSecret") if written["metadata"]["namespace"] == "argocd" => {
                    let vault = vault.lock().unwrap();
                    let kept = &vault.kept["platform/data/control/cluster-app"]["data"];
                    let config = json!({"bearerToken": kept["token"]}).to_string();
                    let metadata = json!({"namespace": "argocd", "name": "cluster-app"});
                    vec![(
                        SECRETS,
                        json!({"kind": "Secret", "metadata": metadata, "data": {"config": encoded(&config)}}),
                    )]
                }
                Some("Job") => {
                    assert_eq!(written["metadata"]["ownerReferences"][0]["name"], "vault-configure");
                    assert_eq!(written["spec"]["backoffLimit"], 0);
                    object["status"] = json!({"conditions": [{"type": ends, "status": "True"}]});
                    vec![(JOBS, object)]
                }
                _ => Vec::new(),
            }
        });
        self.control
            .pod("vault/vault-0", |_| (200, json!("a line of the job, and its token hvs.the-first-token")));
    }

    fn put_pod(&self, pod: &str, phase: &str) {
        let metadata = json!({"namespace": "vault", "name": pod});
        self.control
            .put("api/v1/pods", json!({"kind": "Pod", "metadata": metadata, "status": {"phase": phase}}));
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.repo.command(arguments);
        command.env("KUBECONFIG", self.path("kubeconfig")).env("VAULT_TOKEN", TOKEN);
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Told {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that refuses reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let mut told = self.repo.told(child.wait_with_output().unwrap());
        let folder = self.folder.path().to_str().unwrap();
        (told.out, told.err) = (told.out.replace(folder, "<folder>"), told.err.replace(folder, "<folder>"));
        told
    }

    fn init(&self) -> Told {
        self.run(&["vault", "init", "--timeout", "0s", "--keys-file", &self.path("keys")])
    }

    fn unseal(&self, keys: &str) -> Told {
        self.run_with(&["vault", "unseal", "--timeout", "1s"], keys)
    }

    /// Vault with its keys.
    fn unsealed() -> Self {
        let fleet = Self::new();
        assert_eq!(fleet.init().code, 0);
        assert_eq!(fleet.unseal(&fs::read_to_string(fleet.path("keys")).unwrap()).code, 0);
        fleet
    }
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn keys_go_into_a_new_file_that_only_the_owner_reads_and_are_made_once() {
    let fleet = Fleet::new();
    assert_snapshot!(fleet.init(), @"
    made: Vault's keys in `<folder>/keys`
    => 0
    ");
    let keys = fs::read_to_string(fleet.path("keys")).unwrap();
    assert_eq!(keys, format!("key-right-1\nkey-right-2\nkey-right-3\nkey-right-4\nkey-right-5\n\n{TOKEN}\n"));
    assert_eq!(fs::metadata(fleet.path("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_snapshot!(fleet.init(), @"
    current: Vault's keys in `<folder>/keys`
    => 0
    ");
    assert_snapshot!(fleet.run(&["vault", "init", "--keys-file", &fleet.path("others")]), @"
    ! error: Vault is initialized already (context `control`)
    !   hint: unseal it with the keys that it gave then: `fleetwright vault unseal`
    => 7
    ");
    assert!(!fs::exists(fleet.path("others")).unwrap());
    let json =
        fleet.run(&["vault", "init", "control", "--keys-file", &fleet.path("keys"), "--format", "json"]);
    assert_eq!(json.json(), json!({"cluster": "control", "keysFile": "<folder>/keys", "initialized": false}));
    assert_eq!(fleet.vault().initialized, 1);
}

#[test]
fn no_key_is_made_that_could_not_be_kept() {
    let fleet = Fleet::new();
    assert_snapshot!(fleet.run(&["vault", "init"]), @"
    ! error: the keys are shown on a terminal alone
    !   hint: run it on a terminal, or name a new file with `--keys-file`
    => 2
    ");
    assert_snapshot!(fleet.run(&["vault", "init", "--keys-file", &fleet.path("none/keys")]), @"
    ! error: failed to write `<folder>/none/keys`: No such file or directory (os error 2)
    => 1
    ");
    fs::write(fleet.path("taken"), "something\n").unwrap();
    fs::set_permissions(fleet.path("taken"), Permissions::from_mode(0o600)).unwrap();
    assert_snapshot!(fleet.run(&["vault", "init", "--keys-file", &fleet.path("taken")]), @"
    ! error: failed to write `<folder>/taken`: File exists (os error 17)
    => 1
    ");
    assert_eq!(fs::read_to_string(fleet.path("taken")).unwrap(), "something\n");
    assert_snapshot!(fleet.run(&["vault", "init", "--key-threshold", "6", "--keys-file", &fleet.path("keys")]), @"
    ! error: 6 of 5 keys cannot unseal Vault
    !   hint: let at least two of several keys unseal it, and no more than there are
    => 2
    ");
    assert_snapshot!(fleet.run(&["vault", "init", "app", "--keys-file", &fleet.path("keys")]), @"
    ! error: `app` is no hub
    !   hint: its hub is `control`
    => 2
    ");
    fleet.put_pod("vault-1", "Pending");
    assert_snapshot!(fleet.init(), @"
    ! error: pod `vault-1` does not run: what it keeps may be initialized (context `control`)
    !   hint: look at it with `kubectl describe pod`
    => 7
    ");
    fleet.control.trouble(Trouble { status: Some(500), ..Trouble::default() });
    assert_eq!(fleet.init().code, 7);
    assert!(!fs::exists(fleet.path("keys")).unwrap());
    assert_eq!(fleet.vault().initialized, 0);
}

#[test]
fn a_run_that_was_killed_before_it_had_the_keys_is_done_again() {
    let fleet = Fleet::new();
    fs::write(fleet.path("keys"), "").unwrap();
    fs::set_permissions(fleet.path("keys"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fleet.init().code, 0);
    assert!(fs::read_to_string(fleet.path("keys")).unwrap().ends_with(&format!("\n\n{TOKEN}\n")));
    // The kill came after Vault had made them: nobody has them.
    fs::write(fleet.path("keys"), "").unwrap();
    assert_snapshot!(fleet.init(), @"
    ! error: Vault is initialized already (context `control`)
    !   hint: the file is of a run that was ended before it had the keys: docs/platform/systems/vault.md says what is left to do
    => 7
    ");
}

#[test]
fn each_replica_is_unsealed_with_the_keys_that_are_right_and_the_wrong_ones_are_named_by_number() {
    let fleet = Fleet::new();
    assert_snapshot!(fleet.unseal("key-right-1\n"), @"
    ! error: Vault is not initialized (context `control`)
    !   hint: initialize it with `fleetwright vault init`
    => 7
    ");
    fleet.init();
    let keys =
        "key-right-2\nno key: secret\nkey-wrong-secret\nkey-right-2\nkey-right-5\nkey-right-1\n\nunread\n";
    let told = fleet.unseal(keys);
    assert_snapshot!(told, @"
    made: pod `vault-0` is unsealed
    made: pod `vault-1` is unsealed
    made: pod `vault-2` is unsealed
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 3 of 3 keys
    ! `vault-1` has 1 of 3 keys
    ! `vault-1` has 2 of 3 keys
    ! `vault-1` has 3 of 3 keys
    ! `vault-2` has 1 of 3 keys
    ! `vault-2` has 2 of 3 keys
    ! `vault-2` has 3 of 3 keys
    ! key 2 is wrong
    ! key 3 is wrong
    => 0
    ");
    assert!(!told.to_string().contains("right") && !told.to_string().contains("secret"));
    assert_snapshot!(fleet.unseal(""), @"
    current: pod `vault-0` is unsealed
    current: pod `vault-1` is unsealed
    current: pod `vault-2` is unsealed
    => 0
    ");
    let json = fleet.run(&["vault", "unseal", "--timeout", "1s", "--format", "json"]).json();
    assert_eq!((&json["wrongKeys"], &json["steps"][2]["changed"]), (&json!([]), &json!(false)));
}

#[test]
fn people_who_have_one_key_each_unseal_it_one_after_the_other() {
    let fleet = Fleet::new();
    fleet.init();
    assert_snapshot!(fleet.unseal("key-right-1\n"), @"
    ! `vault-0` has 1 of 3 keys
    ! error: Vault is still sealed: `vault-0` has 1 of 3 keys, `vault-1` has not joined the others, `vault-2` has not joined the others (context `control`)
    !   hint: run it again with other keys; a replica remembers those that it has until it is started again
    => 7
    ");
    assert_snapshot!(fleet.unseal("key-right-2\n"), @"
    ! `vault-0` has 2 of 3 keys
    ! error: Vault is still sealed: `vault-0` has 2 of 3 keys, `vault-1` has not joined the others, `vault-2` has not joined the others (context `control`)
    !   hint: run it again with other keys; a replica remembers those that it has until it is started again
    => 7
    ");
    // A wrong key uses up what others gave.
    assert_snapshot!(fleet.unseal("key-wrong\n"), @"
    ! `vault-0` has 1 of 3 keys
    ! error: Vault is still sealed: `vault-0` has 1 of 3 keys, `vault-1` has not joined the others, `vault-2` has not joined the others (context `control`)
    !   hint: run it again with other keys; a replica remembers those that it has until it is started again
    => 7
    ");
    assert_snapshot!(fleet.unseal("key-right-1\nkey-right-2\nkey-right-3\n"), @"
    made: pod `vault-0` is unsealed
    made: pod `vault-1` is unsealed
    made: pod `vault-2` is unsealed
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 3 of 3 keys
    ! `vault-1` has 1 of 3 keys
    ! `vault-1` has 2 of 3 keys
    ! `vault-1` has 3 of 3 keys
    ! `vault-2` has 1 of 3 keys
    ! `vault-2` has 2 of 3 keys
    ! `vault-2` has 3 of 3 keys
    => 0
    ");
    assert_snapshot!(fleet.unseal("nonsense\n"), @"
    current: pod `vault-0` is unsealed
    current: pod `vault-1` is unsealed
    current: pod `vault-2` is unsealed
    => 0
    ");
}

#[test]
fn keys_that_are_all_wrong_are_an_error() {
    let fleet = Fleet::new();
    fleet.init();
    assert_snapshot!(fleet.unseal("key-a\nkey-b\nkey-right-1\nkey-right-2\n"), @"
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! `vault-0` has 1 of 3 keys
    ! `vault-0` has 2 of 3 keys
    ! error: no 3 of the 4 keys that were given unseal pod `vault-0` (context `control`)
    !   hint: take the keys that this Vault gave when it was initialized
    => 7
    ");
    assert_snapshot!(fleet.unseal("nonsense\n"), @"
    ! error: pod `vault-0` is still sealed; no key at all is number 1 (context `control`)
    !   hint: take the keys that this Vault gave when it was initialized
    => 7
    ");
}

#[test]
fn vault_gets_what_the_job_needs_and_the_job_runs_each_time() {
    let fleet = Fleet::unsealed();
    let dry = fleet.run(&["vault", "bootstrap", "--dry-run"]);
    assert_snapshot!(dry, @"
    would make: `sys/auth/kubernetes/control` in Vault
    would make: `auth/kubernetes/control/config` in Vault
    would make: `sys/policies/acl/configure` in Vault
    would make: `auth/kubernetes/control/role/configure` in Vault
    would make: Job of CronJob `vault/vault-configure`
    => 0
    ");
    assert!(fleet.vault().kept.is_empty());
    fleet.work("Complete");
    let bootstrap = || {
        let told = fleet.run(&["vault", "bootstrap"]).to_string();
        let (before, after) = told.split_once("vault/vault-configure-").unwrap();
        format!("{before}vault/vault-configure-<number>{}", after.trim_start_matches(char::is_numeric))
    };
    assert_snapshot!(bootstrap(), @"
    made: `sys/auth/kubernetes/control` in Vault
    made: `auth/kubernetes/control/config` in Vault
    made: `sys/policies/acl/configure` in Vault
    made: `auth/kubernetes/control/role/configure` in Vault
      a line of the job, and its token ***
    made: Job `vault/vault-configure-<number>`, which is complete
    => 0
    ");
    assert_eq!(fleet.vault().kept["auth/kubernetes/control/role/configure"]["token_ttl"], 600);
    // As if it had been ended in between.
    fleet.vault().kept.remove("sys/policies/acl/configure");
    assert_snapshot!(bootstrap(), @"
    current: `sys/auth/kubernetes/control` in Vault
    current: `auth/kubernetes/control/config` in Vault
    made: `sys/policies/acl/configure` in Vault
    current: `auth/kubernetes/control/role/configure` in Vault
      a line of the job, and its token ***
    made: Job `vault/vault-configure-<number>`, which is complete
    => 0
    ");
    let mut wrong = fleet.command(&["vault", "bootstrap"]);
    let told = fleet.repo.told(wrong.env("VAULT_TOKEN", "hvs.wrong-token").output().unwrap());
    assert_snapshot!(told, @"
    ! error: failed to read `v1/sys/auth/kubernetes/control` in Vault: permission denied (403) (context `control`)
    !   hint: check that `VAULT_TOKEN` is valid, and that its policies allow this
    => 7
    ");
    let told =
        fleet.repo.told(fleet.command(&["vault", "bootstrap"]).env_remove("VAULT_TOKEN").output().unwrap());
    assert_snapshot!(told, @"
    ! error: there is no token for Vault
    !   hint: put it into the environment variable `VAULT_TOKEN`
    => 2
    ");
}

#[test]
fn a_job_that_fails_or_does_not_come_is_named() {
    let fleet = Fleet::unsealed();
    let told = fleet.run(&["vault", "bootstrap", "--timeout", "0s"]);
    assert!(told.code == 7 && told.err.contains("cronjobs/vault-configure` on the hub in time"), "{told}");
    fleet.work("Failed");
    let told = fleet.run(&["vault", "bootstrap"]);
    assert!(told.code == 7 && told.out.contains("a line of the job, and its token ***"), "{told}");
    assert!(told.err.contains("Job `vault/vault-configure-") && told.err.contains("` failed"), "{told}");
    // One of the CronJob that has not ended.
    let metadata =
        json!({"namespace": "vault", "name": "vault-configure-1", "ownerReferences": [{"uid": "1"}]});
    fleet.control.put(JOBS, json!({"kind": "Job", "metadata": metadata}));
    let told = fleet.run(&["vault", "bootstrap", "--timeout", "0s"]);
    assert!(
        told.code == 7 && told.err.contains("end of the Job of CronJob `vault/vault-configure` that runs"),
        "{told}"
    );
}

#[test]
fn a_spoke_is_registered_however_often_and_a_token_that_changed_is_brought_again() {
    let fleet = Fleet::unsealed();
    let register = || fleet.run(&["register-cluster", "app", "--timeout", "2s"]);
    assert_snapshot!(fleet.run(&["register-cluster", "app", "--dry-run"]), @"
    would make: ServiceAccount `fleet-hub` on the spoke
    would make: ClusterRoleBinding `fleet-hub` on the spoke
    would make: Secret `fleet-hub` on the spoke
    would make: credential at `platform/control/cluster-app` in Vault
    would make: Secret `argocd/cluster-app` of Argo CD on the hub
    => 0
    ");
    assert_eq!(fleet.app.get(SECRETS, "kube-system", "fleet-hub"), None);
    // Nothing makes Argo CD's Secret.
    let told = register();
    assert!(
        told.code == 7 && told.err.contains("Secret `argocd/cluster-app` with this credential"),
        "{told}"
    );
    fleet.work("Complete");
    assert_snapshot!(register(), @"
    current: ServiceAccount `fleet-hub` on the spoke
    current: ClusterRoleBinding `fleet-hub` on the spoke
    current: Secret `fleet-hub` on the spoke
    current: credential at `platform/control/cluster-app` in Vault
    made: Secret `argocd/cluster-app` of Argo CD on the hub
    => 0
    ");
    assert_snapshot!(register(), @"
    current: ServiceAccount `fleet-hub` on the spoke
    current: ClusterRoleBinding `fleet-hub` on the spoke
    current: Secret `fleet-hub` on the spoke
    current: credential at `platform/control/cluster-app` in Vault
    current: Secret `argocd/cluster-app` of Argo CD on the hub
    => 0
    ");
    let kept = fleet.vault().kept["platform/data/control/cluster-app"].clone();
    assert_eq!(
        kept,
        json!({"data": {"token": ACCOUNT_TOKEN, "ca.crt": "the CA"}, "metadata": {"version": 1}})
    );
    let binding = "apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(fleet.app.get(binding, "", "fleet-hub").unwrap()["roleRef"]["name"], "cluster-admin");
    let mut secret = fleet.app.get(SECRETS, "kube-system", "fleet-hub").unwrap();
    secret["data"]["token"] = encoded("another-token-of-the-account").into();
    fleet.app.put(SECRETS, secret);
    assert_snapshot!(register(), @"
    current: ServiceAccount `fleet-hub` on the spoke
    current: ClusterRoleBinding `fleet-hub` on the spoke
    current: Secret `fleet-hub` on the spoke
    made: credential at `platform/control/cluster-app` in Vault
    made: Secret `argocd/cluster-app` of Argo CD on the hub
    => 0
    ");
    assert_eq!(fleet.vault().kept["platform/data/control/cluster-app"]["metadata"]["version"], 2);
    assert_snapshot!(fleet.run(&["register-cluster", "control"]), @"
    ! error: nothing is rendered that registers `control` on a hub
    !   hint: name a spoke whose credential comes from a secret store in Vault
    => 2
    ");
    fleet.vault().replicas.get_mut("vault-0").unwrap().is_unsealed = false;
    fleet.vault().replicas.get_mut("vault-1").unwrap().is_unsealed = false;
    assert_eq!(register().code, 0);
    fleet.vault().replicas.get_mut("vault-2").unwrap().is_unsealed = false;
    assert_snapshot!(register(), @"
    current: ServiceAccount `fleet-hub` on the spoke
    current: ClusterRoleBinding `fleet-hub` on the spoke
    current: Secret `fleet-hub` on the spoke
    ! error: no replica of Vault answers: `vault-0` is sealed, `vault-1` is sealed, `vault-2` is sealed (context `control`)
    !   hint: initialize it with `fleetwright vault init`, and unseal it with `fleetwright vault unseal`
    => 7
    ");
}

#[test]
fn a_terminal_shows_the_keys_once_and_does_not_show_those_that_are_typed() {
    let fleet = Fleet::new();
    let on_a_terminal = |arguments: &str, input: &str| {
        let program = fleetwright();
        let line = format!("{} {arguments}", program.to_str().unwrap());
        let mut script = Command::new("script");
        bare(script.args(["-qec", &line, "/dev/null"]).current_dir(&fleet.repo.top));
        script.env("TERM", "xterm").env("KUBECONFIG", fleet.path("kubeconfig"));
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Some(String::from_utf8_lossy(&output.stdout).replace('\r', ""))
    };
    let Some(shown) = on_a_terminal("vault init --key-shares 3 --timeout 5s", "") else {
        eprintln!("left out: there is no `script` here to make a terminal");
        return;
    };
    assert!(
        shown.contains("key 3: key-right-3\n") && shown.contains(&format!("first token: {TOKEN}\n")),
        "{shown}"
    );
    let shown =
        on_a_terminal("vault unseal --timeout 5s", "key-right-1\nkey-right-2\nkey-right-3\n").unwrap();
    assert!(shown.contains("key 1, or nothing to end: "), "{shown}");
    assert!(fleet.vault().replicas.values().all(|it| it.is_unsealed), "{shown}");
}
