//! What is backed up of a hub, and that it comes back: the scripts that are rendered, run on this machine in the place of pods,
//! against the real programs and an S3.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fleetwright::vault::Write;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::real::{ApiServer, Etcd, OpenBao, S3, kubeadm, programs};

use crate::case::case;
use crate::platform::{landing_on, shipped};

const PART: &str = "Backups";
const BUCKET: &str = "backups";
/// What the Secret with the access to the S3 has in it, and the password beside it.
const SECRET: [(&str, &str); 3] =
    [("accessKey", "hub-access"), ("secretKey", "hub-secret-key"), ("password", "correct horse")];
/// Where pods have what they are given.
const MOUNTS: [&str; 5] = ["/vault/", "/backup", "/pki", "/scripts/", "/tmp"];

/// The programs that pods of a hub run, in a folder that stands for their file systems.
struct Pods {
    objects: Vec<Value>,
    root: TempDir,
    s3: S3,
    /// Variables that are different outside of a cluster.
    outside: BTreeMap<String, String>,
}

impl Pods {
    fn start() -> Self {
        let rendered = shipped();
        let control = rendered.clusters.keys().find(|name| name.as_str() == "control").unwrap();
        let objects = landing_on(&rendered, control).into_iter().map(|landing| landing.object).collect();
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "tmp", "backup", "vault/tls", "vault/login", "vault/audit"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        programs(&root.path().join("bin")).unwrap();
        let s3 = S3::start(BUCKET, SECRET[0].1, SECRET[1].1).unwrap();
        let outside = BTreeMap::from([("RCLONE_CONFIG_S3_ENDPOINT".to_owned(), s3.url().to_owned())]);
        Self { objects, root, s3, outside }
    }

    fn object(&self, kind: &str, name: &str) -> &Value {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} `{name}` is rendered"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Writes paths of a pod as those of this machine.
    fn moved(&self, text: &str) -> String {
        let mut moved = String::new();
        for (at, character) in text.char_indices() {
            let goes_on =
                text[..at].ends_with(|before: char| before.is_alphanumeric() || "/.-_}".contains(before));
            if !goes_on && MOUNTS.iter().any(|mount| text[at..].starts_with(mount)) {
                let _ = write!(moved, "{}", self.root.path().display());
            }
            moved.push(character);
        }
        moved
    }

    /// A command that finds the programs of the images and nothing of the environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.path("bin").display(), env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).env("HOME", self.path("tmp")).envs(&self.outside);
        command
    }

    /// Runs a script of a `ConfigMap`, with some of its words replaced.
    fn script(&self, config_map: &str, script: &str, edits: &[(&str, &str)]) -> Command {
        let text = self.object("ConfigMap", config_map)["data"][script].as_str().unwrap();
        let text = edits.iter().fold(self.moved(text), |text, (old, new)| {
            assert_eq!(text.matches(old).count(), 1, "`{old}` in {script}");
            text.replace(old, new)
        });
        let file = self.path(script);
        fs::write(&file, text).unwrap();
        let mut command = self.command("sh");
        command.arg(file);
        command
    }

    /// The command of a container: a program with its arguments, or a script.
    fn command_of(&self, container: &Value, scripts: &str) -> Command {
        let words: Vec<_> =
            container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        if words[0] == "/bin/sh" {
            return self.script(scripts, Path::new(words[1]).file_name().unwrap().to_str().unwrap(), &[]);
        }
        let mut command = self.command(words[0]);
        for word in &words[1..] {
            let filled =
                |word: String, (name, value): (&String, &String)| word.replace(&format!("$({name})"), value);
            command.arg(self.moved(&self.outside.iter().fold((*word).to_owned(), filled)));
        }
        command
    }

    /// Runs the containers of a job one after the other, as a pod does, and ends with the first one that fails.
    fn run(&self, job: &str, scripts: &str) -> Result<(), String> {
        let pod = &self.object("CronJob", job)["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let containers =
            ["initContainers", "containers"].map(|key| pod[key].as_array().cloned().unwrap_or_default());
        for container in containers.concat() {
            let mut command = self.command_of(&container, scripts);
            for variable in container["env"].as_array().unwrap() {
                let name = variable["name"].as_str().unwrap();
                let key = variable["valueFrom"]["secretKeyRef"]["key"].as_str();
                let value = key.map(|key| SECRET.iter().find(|(name, _)| *name == key).unwrap().1);
                if !self.outside.contains_key(name) {
                    command.env(name, self.moved(value.or_else(|| variable["value"].as_str()).unwrap()));
                }
            }
            succeeded(command.output().unwrap())?;
        }
        Ok(())
    }

    /// The names of what is kept of one kind, oldest first.
    fn kept(&self, kind: &str) -> Vec<String> {
        let entries = fs::read_dir(self.s3.bucket(BUCKET).join("control").join(kind)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Puts backups of before into the S3, one a day, and something else beside them.
    fn fill(&self, kind: &str, backups: usize, suffix: &str) {
        let folder = self.s3.bucket(BUCKET).join("control").join(kind);
        fs::create_dir_all(&folder).unwrap();
        for number in 0..backups {
            let (month, day) = (number / 28 + 1, number % 28 + 1);
            fs::write(folder.join(format!("2020-{month:02}-{day:02}T000000Z.tar{suffix}")), "old").unwrap();
        }
        fs::write(folder.join("2020-notes.tar"), "of a person").unwrap();
    }
}

fn succeeded(output: Output) -> Result<(), String> {
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() { Ok(()) } else { Err(told.concat()) }
}

/// A hub with Vault, as far as both know each other.
struct Hub {
    server: ApiServer,
    pods: Pods,
}

impl Hub {
    fn start() -> Self {
        let (server, pods) = (ApiServer::start("control").unwrap(), Pods::start());
        server.client().apply(pods.object("Namespace", "vault"), "").unwrap();
        for account in ["vault-configure", "vault-snapshot"] {
            server.client().apply(pods.object("ServiceAccount", account), "").unwrap();
        }
        Self { server, pods }
    }

    /// Lets what the pods run reach a Vault.
    fn reaches(&mut self, vault: &OpenBao) {
        let trust = self.pods.path("vault/tls/ca.crt");
        fs::copy(vault.authority(), &trust).unwrap();
        let address = ("VAULT_ADDR".to_owned(), vault.url().to_owned());
        self.pods.outside.extend([address, ("VAULT_CACERT".to_owned(), trust.display().to_string())]);
    }

    /// What a pod of an account logs in with.
    fn login(&self, account: &str) -> String {
        self.server.client().token_for("vault", account, "vault").unwrap()
    }

    /// Runs a job under its own account.
    fn run(&self, job: &str) -> Result<(), String> {
        fs::write(self.pods.path("vault/login/token"), self.login(job)).unwrap();
        self.pods.run(job, "vault-scripts")
    }

    /// Does by hand what is done once.
    fn bootstrap(&self, vault: &OpenBao, token: &str) {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../argocd-apps/control/vault/manifests/configure.yaml");
        let objects: Vec<Value> = serde_yaml::from_multiple(&fs::read_to_string(own).unwrap()).unwrap();
        let needs = |it: &Value| {
            it["metadata"]["annotations"]["fleetwright/vault-bootstrap"].as_str().map(str::to_owned)
        };
        let writes: Vec<Write> = serde_yaml::from_str(&objects.iter().find_map(needs).unwrap()).unwrap();
        for Write { path, mut values } in writes {
            if path.ends_with("/config") {
                // In a pod, Vault finds the last two by itself.
                values.insert("kubernetes_host".to_owned(), self.server.client().url().into());
                values.insert("kubernetes_ca_cert".to_owned(), self.server.authority().into());
                values.insert("token_reviewer_jwt".to_owned(), self.server.token().into());
            }
            let answer = vault.ask("POST", &path, token, &values.into()).unwrap();
            assert_eq!(answer["errors"], Value::Null, "{path}: {answer}");
        }
    }

    /// Runs a command of Vault as a person who has logged in.
    fn vault(&self, arguments: &[&str], token: &str) -> Result<(), String> {
        succeeded(self.pods.command("vault").args(arguments).env("VAULT_TOKEN", token).output().unwrap())
    }
}

fn password(vault: &OpenBao, token: &str) -> Value {
    vault.ask("GET", "platform/data/control/grafana-admin", token, &Value::Null).unwrap()["data"]["data"]
        .clone()
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_vault_that_is_lost_comes_back_from_the_snapshot_that_its_job_has_saved() {
    let mut hub = Hub::start();
    let vault = OpenBao::start().unwrap();
    let (key, token) = vault.initialize().unwrap();
    let secret = json!({"admin-password": "before it was lost"});
    hub.reaches(&vault);

    case(PART, "Vault's job fails while Vault is sealed, and saves nothing", || {
        let told = hub.run("vault-snapshot").unwrap_err();
        assert!(told.contains("sealed"), "{told}");
        assert!(!hub.pods.s3.bucket(BUCKET).join("control").exists());
    });
    vault.unseal(&key).unwrap();
    hub.bootstrap(&vault, &token);
    case(PART, "the job that configures Vault lets the one for snapshots in", || {
        assert!(hub.run("vault-snapshot").is_err());
        hub.run("vault-configure").unwrap();
    });
    let written = json!({ "data": secret });
    vault.ask("POST", "platform/data/control/grafana-admin", &token, &written).unwrap();
    case(PART, "a snapshot of Vault is saved to the S3, and as many are kept as the platform says", || {
        hub.pods.fill("vault", 60, "");
        hub.run("vault-snapshot").unwrap();
        let kept = hub.pods.kept("vault");
        assert_eq!(kept.len(), 56 + 1, "{kept:?}");
        assert!(kept[0].starts_with("2020-01-06") && kept.contains(&"2020-notes.tar".to_owned()), "{kept:?}");
        assert!(!kept[56].starts_with("2020"), "{kept:?}");
    });
    case(PART, "an S3 that refuses makes the job fail, and nothing is removed for it", || {
        let before = hub.pods.kept("vault");
        hub.pods.outside.insert("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY".to_owned(), "wrong".to_owned());
        let told = hub.run("vault-snapshot").unwrap_err();
        assert!(told.contains("403"), "{told}");
        assert!(!told.contains("wrong"), "{told}");
        hub.pods.outside.remove("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY");
        assert_eq!(hub.pods.kept("vault"), before);
    });
    case(
        PART,
        "the account for snapshots can read no secret and bring nothing back, and no other account is it",
        || {
            let log_in = |account: &str| {
                let body = json!({"role": "snapshot", "jwt": hub.login(account)});
                vault.ask("POST", "auth/kubernetes/control/login", "", &body).unwrap()
            };
            let own = log_in("vault-snapshot")["auth"]["client_token"].as_str().unwrap().to_owned();
            assert_eq!(password(&vault, &own), Value::Null);
            let path = "sys/storage/raft/snapshot-force";
            let told = vault.ask("POST", path, &own, &Value::Null).unwrap();
            assert!(told.to_string().contains("permission denied"), "{told}");
            let told = log_in("vault-configure");
            assert!(told["errors"].to_string().contains("not authorized"), "{told}");
        },
    );

    drop(vault);
    let vault = OpenBao::start().unwrap();
    let (new_key, new_token) = vault.initialize().unwrap();
    vault.unseal(&new_key).unwrap();
    hub.reaches(&vault);
    case(
        PART,
        "a Vault that is lost is brought back from its newest snapshot, and opens with the old keys",
        || {
            let newest = hub.pods.s3.bucket(BUCKET).join("control/vault").join(&hub.pods.kept("vault")[56]);
            let unpacked =
                hub.pods.command("tar").arg("-xf").arg(newest).arg("-C").arg(hub.pods.path("tmp")).output();
            succeeded(unpacked.unwrap()).unwrap();
            let snapshot = hub.pods.path("tmp/vault.snapshot");
            let restore = ["operator", "raft", "snapshot", "restore", "-force", snapshot.to_str().unwrap()];
            let told = hub.vault(&[&restore[..4], &restore[5..]].concat(), &new_token).unwrap_err();
            assert!(told.contains("unseal keys"), "{told}");
            hub.vault(&restore, &new_token).unwrap();
            vault.wait_until_sealed().unwrap();
            vault.unseal(&key).unwrap();
            assert_eq!(password(&vault, &new_token), Value::Null);
            assert_eq!(password(&vault, &token), secret);
            hub.run("vault-configure").unwrap();
            hub.run("vault-snapshot").unwrap();
            assert_eq!(hub.pods.kept("vault").len(), 56 + 1);
        },
    );
}

/// Where etcd answers in the place of a control plane.
const CONTROL_PLANE: &str = "127.0.64.11";
/// What kubeadm makes all other keys and certificates from.
const AUTHORITIES: [&str; 8] = [
    "ca.crt",
    "ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
];

/// Makes the keys and certificates of a control plane that are not there, as `kubeadm init` does.
fn certify(pods: &Pods) {
    let rendered = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/clusters/control/kubeadm/init.yaml");
    let pki = pods.path("pki").display().to_string();
    let configuration = fs::read_to_string(rendered).unwrap();
    let configuration = configuration
        .replace(
            "kind: ClusterConfiguration\n",
            &format!("kind: ClusterConfiguration\ncertificatesDir: {pki}\n"),
        )
        .replace("    dataDir: ", &format!("    serverCertSANs: [{CONTROL_PLANE}]\n    dataDir: "));
    let file = pods.path("init.yaml");
    fs::write(&file, configuration).unwrap();
    let made = Command::new(kubeadm().unwrap())
        .args(["init", "phase", "certs", "all", "--config"])
        .arg(file)
        .output();
    succeeded(made.unwrap()).unwrap();
}

/// Asks etcd as its health check does.
fn etcdctl(pods: &Pods, arguments: &[&str]) -> Result<String, String> {
    let pki = pods.path("pki/etcd").display().to_string();
    let mut command = pods.command("etcdctl");
    command.args([&format!("--endpoints=https://{CONTROL_PLANE}:2379"), &format!("--cacert={pki}/ca.crt")]);
    command.args([
        &format!("--cert={pki}/healthcheck-client.crt"),
        &format!("--key={pki}/healthcheck-client.key"),
    ]);
    let output = command.args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    succeeded(output).map(|()| told)
}

/// Takes the newest backup of etcd out of the S3, with a password, and unpacks it.
fn take_out(pods: &Pods, password: &str) -> Result<PathBuf, String> {
    let script = "
        RCLONE_CONFIG_BACKUPS_PASSWORD=$(printf %s \"$1\" | rclone obscure -) && export RCLONE_CONFIG_BACKUPS_PASSWORD
        rclone copyto backups:\"$(rclone lsf backups: | grep Z | sort | tail -n 1)\" \"$2/etcd.tar\"
        mkdir -p \"$2/taken\" && tar -xf \"$2/etcd.tar\" -C \"$2/taken\"
    ";
    let mut command = pods.command("sh");
    command.args(["-euc", script, "sh", password]).arg(pods.path("tmp"));
    command.envs([("RCLONE_CONFIG_S3_TYPE", "s3"), ("RCLONE_CONFIG_S3_PROVIDER", "Other")]);
    command.envs([
        ("RCLONE_CONFIG_S3_ACCESS_KEY_ID", SECRET[0].1),
        ("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", SECRET[1].1),
    ]);
    command.envs([
        ("RCLONE_CONFIG_BACKUPS_TYPE", "crypt"),
        ("RCLONE_CONFIG_BACKUPS_FILENAME_ENCRYPTION", "off"),
    ]);
    command.envs([
        ("RCLONE_CONFIG_BACKUPS_DIRECTORY_NAME_ENCRYPTION", "false"),
        ("RCLONE_CONFIG_BACKUPS_REMOTE", "s3:backups/control/etcd-backup/"),
    ]);
    succeeded(command.output().unwrap()).map(|()| pods.path("tmp/taken"))
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn an_etcd_that_is_lost_comes_back_from_the_snapshot_that_its_job_has_saved() {
    let mut pods = Pods::start();
    pods.outside.insert("NODE".to_owned(), CONTROL_PLANE.to_owned());
    certify(&pods);
    let (data, key, secret) =
        (pods.path("etcd"), "/registry/secrets/shop/database", "the password of the shop");
    let mount = |pods: &Pods| {
        succeeded(
            pods.command("cp").arg("-r").arg(pods.path("pki")).arg(pods.path("backup")).output().unwrap(),
        )
    };
    mount(&pods).unwrap();

    let etcd = Etcd::start(CONTROL_PLANE, &data, &pods.path("pki")).unwrap();
    etcdctl(&pods, &["put", key, secret]).unwrap();
    case(PART, "without a password nothing of etcd is saved, and nothing is removed", || {
        pods.fill("etcd-backup", 60, ".bin");
        pods.outside.insert("PASSWORD".to_owned(), String::new());
        let told = pods.run("etcd-backup", "etcd-backup-scripts").unwrap_err();
        assert!(told.contains("password"), "{told}");
        pods.outside.remove("PASSWORD");
        assert_eq!(pods.kept("etcd-backup").len(), 60 + 1);
    });
    case(
        PART,
        "a snapshot of etcd is saved with the keys of the authorities, and neither can be read in the S3",
        || {
            pods.run("etcd-backup", "etcd-backup-scripts").unwrap();
            let kept = pods.kept("etcd-backup");
            assert_eq!(kept.len(), 56 + 1, "{kept:?}");
            let bytes = fs::read(pods.s3.bucket(BUCKET).join("control/etcd-backup").join(&kept[56])).unwrap();
            let has =
                |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(has(&fs::read(pods.path("tmp/backup.tar")).unwrap(), secret));
            for word in [secret, "PRIVATE KEY", "etcd.db"] {
                assert!(!has(&bytes, word), "`{word}` can be read");
            }
            assert!(take_out(&pods, "wrong horse").is_err());
        },
    );

    drop(etcd);
    let authority = fs::read(pods.path("pki/ca.key")).unwrap();
    for lost in ["etcd", "pki", "backup/pki"] {
        fs::remove_dir_all(pods.path(lost)).unwrap();
    }
    case(
        PART,
        "an etcd that is lost is brought back from its newest snapshot, with the authorities of its cluster",
        || {
            let taken = take_out(&pods, SECRET[2].1).unwrap();
            fs::create_dir_all(pods.path("pki/etcd")).unwrap();
            for file in AUTHORITIES {
                fs::copy(taken.join("pki").join(file), pods.path("pki").join(file)).unwrap();
            }
            certify(&pods);
            assert_eq!(fs::read(pods.path("pki/ca.key")).unwrap(), authority);
            let mut restore = pods.command("etcdutl");
            restore.args(["snapshot", "restore"]).arg(taken.join("etcd.db")).arg("--data-dir").arg(&data);
            succeeded(restore.args(["--bump-revision", "1000000000", "--mark-compacted"]).output().unwrap())
                .unwrap();
            let _etcd = Etcd::start(CONTROL_PLANE, &data, &pods.path("pki")).unwrap();
            assert_eq!(etcdctl(&pods, &["get", "--print-value-only", key]).unwrap(), format!("{secret}\n"));
            mount(&pods).unwrap();
            pods.run("etcd-backup", "etcd-backup-scripts").unwrap();
        },
    );
}
