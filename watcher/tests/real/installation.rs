//! `docs/platform/installation.md`, followed to the letter: its own commands in their order, from nothing to two synced clusters.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::real::{ARGO_CD_NAMESPACE, Helm, OpenBao, wait_until};

use crate::case::case;
use crate::repo::{bare, fleetwright};
use crate::vault::{configure, lead_to};
use crate::world::{World, text};

const PAGE: &str = include_str!("../../../docs/platform/installation.md");
const PART: &str = "Installation";
const LONGEST: Duration = Duration::from_mins(10);
const OF_PODS: &str = "what would run in a pod of Vault runs on this machine: pods are kwok's";

/// What the page says, what is run in its place, and why.
const REPLACED: [(&str, &str, &str); 8] = [
    ("cargo install --path watcher", ":", "this build is on the path"),
    (
        "https://argoproj.github.io/argo-helm",
        "\"$CHARTS\"",
        "the chart is a stand-in from a mirror; Argo CD's own servers run from the beginning",
    ),
    ("get applications --watch", "get applications", "it would not end"),
    ("<access key>", "AKIA", "a person fills it in"),
    ("fleetwright vault init\n", "fleetwright vault init --keys-file \"$KEYS\"\n", "there is no terminal"),
    (
        "kubectl --context control --namespace vault exec --stdin --tty vault-0 --container vault -- vault login\n",
        "vault login -\n",
        OF_PODS,
    ),
    (
        "kubectl --context control --namespace vault exec --stdin vault-0 --container vault -- vault",
        "vault",
        OF_PODS,
    ),
    ("kubectl --context control --namespace vault exec vault-0 --container vault -- vault", "vault", OF_PODS),
];
/// What is left out, and why.
const LEFT_OUT: (&str, &str) = ("fleet-repository", "the repository is public here");

/// The commands of the page, one text for each block of them.
fn blocks() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let replaced = |block: &str| {
        REPLACED.iter().fold(block.to_owned(), |text, (page, here, _)| text.replace(page, here))
    };
    blocks.filter(|block| !block.contains(LEFT_OUT.0)).map(replaced).collect()
}

/// A shell that runs one block after the other.
struct Shell {
    child: Child,
    orders: ChildStdin,
    ends: BufReader<ChildStdout>,
    folder: TempDir,
}

/// Runs the file that is named on each line, with an input, and prints how its commands ended.
const DRIVER: &str = r#"
set -E -o pipefail
while read -r block; do
  failed=0
  trap 'failed=$?' ERR
  . "$block" <"$block.in" >"$block.out" 2>&1
  trap - ERR
  echo "$failed"
done
"#;

impl Shell {
    fn start(world: &World, vault: &OpenBao) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(OpenBao::program().unwrap(), folder.path().join("vault")).unwrap();
        let own = Path::new(fleetwright()).parent().unwrap().to_owned();
        let folders = [folder.path().to_owned(), own, Helm::find().unwrap().folder()];
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let (authority, url) = (vault.authority(), vault.url());
        let mut command = Command::new("bash");
        bare(command.args(["-c", DRIVER]).current_dir(&world.repo.top))
            .envs([("PATH", path.as_os_str()), ("HOME", folder.path().as_os_str())])
            .env("KUBECONFIG", world.rig.kubeconfig())
            .env("CHARTS", world.mirror_of("argo-cd"))
            .env("KEYS", folder.path().join("keys"))
            .envs([("VAULT_ADDR", url), ("BAO_ADDR", url)])
            .envs([("VAULT_CACERT", &authority), ("BAO_CACERT", &authority)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (orders, ends) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, orders, ends, folder }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Runs a block with what a person would type.
    fn run(&mut self, number: usize, block: &str, input: &str) -> String {
        let path = self.folder.path().join(format!("block-{number}"));
        let beside = |end: &str| path.with_extension(end);
        fs::write(&path, block).unwrap();
        fs::write(beside("in"), input).unwrap();
        writeln!(self.orders, "{}", path.display()).unwrap();
        let mut end = String::new();
        self.ends.read_line(&mut end).unwrap();
        let written = fs::read_to_string(beside("out")).unwrap();
        eprintln!("--- block {number}\n{block}--- wrote\n{written}");
        assert_eq!(end, "0\n", "block {number} of the page failed:\n{block}\n{written}");
        written
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is(application: &Value, sync: &str) -> bool {
    text(application, "/status/sync/status") == sync
}

/// Waits until these Applications are synced, as the page asks for.
fn await_synced(world: &World, names: &[&str]) {
    wait_until(LONGEST, &format!("{names:?} were synced"), || {
        let all = world.rig.applications()?;
        let found =
            |name: &&str| all.iter().any(|it| text(it, "/metadata/name") == *name && is(it, "Synced"));
        Ok(names.iter().all(found))
    })
    .unwrap();
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn the_page_of_the_installation_leads_from_nothing_to_two_synced_clusters() {
    for (page, here, reason) in REPLACED {
        assert!(PAGE.contains(page), "the page has no `{page}` any more");
        println!("replaced: `{}` by `{}`: {reason}", page.trim_end(), here.trim_end());
    }
    println!("left out: the block with `{}`: {}", LEFT_OUT.0, LEFT_OUT.1);
    let vault = Arc::new(OpenBao::replicas::<3>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let world = world(&vault, folder.path());
    let mut shell = Shell::start(&world, &vault);
    let blocks = blocks();
    case(
        PART,
        "the commands of `installation.md`, from two empty clusters to two that are synced and healthy",
        || {
            let (mut token, mut keys) = (String::new(), String::new());
            for (number, block) in blocks.iter().enumerate() {
                if block.contains("annotate externalsecret reviewer-app") {
                    await_synced(&world, &["app-external-secrets", "app-istiod"]);
                }
                let input = match block {
                    block if block.contains("vault unseal") => keys.clone(),
                    block if block.contains("read -rs VAULT_TOKEN") || block.contains("vault login") => {
                        format!("{token}\n")
                    }
                    _ => String::new(),
                };
                shell.run(number, block, &input);
                if block.contains("vault init") {
                    keys = fs::read_to_string(shell.keys()).unwrap();
                    token = keys.lines().last().unwrap().to_owned();
                    fs::write(folder.path().join("token"), &token).unwrap();
                }
                if block.contains("vault bootstrap") {
                    eprintln!("{}", configure(&world.rig.control, &world.repo, &vault, &token));
                }
                if block.contains("register job") || block.contains("reviewer-app") {
                    put_secrets_of_the_spoke(&vault, &token);
                }
            }
            world.settle(&[]);
        },
    );
    for client in [world.rig.control.client(), world.rig.app.client()] {
        let all = client.list("external-secrets.io/v1", "ExternalSecret").unwrap();
        assert!(!all.is_empty());
        for one in all {
            assert_eq!(text(&one, "/status/conditions/0/status"), "True", "{one}");
        }
    }
    let revoked = vault.ask(
        "GET",
        "auth/token/lookup-self",
        &fs::read_to_string(folder.path().join("token")).unwrap(),
        &json!({}),
    );
    assert!(revoked.is_err() || revoked.unwrap()["errors"].is_array());
}

/// The shipped platform in git, on two clusters that have nothing of it, with an `OpenBao` that External Secrets reads.
fn world(vault: &Arc<OpenBao>, folder: &Path) -> World {
    let (kept, token) = (Arc::clone(vault), folder.join("token"));
    let world = World::shipped_with(|rig| {
        let app = rig.app.server();
        let (reviewer, authority) = (app.token().to_owned(), app.authority().to_owned());
        vault.stand_in(rig.control.client(), "vault", "192.168.64.106").unwrap();
        Arc::new(move |path, key| match (path, key) {
            // Read on the spoke.
            ("vault-reviewer", "token") => Some(reviewer.clone()),
            ("vault-reviewer", "ca.crt") => Some(authority.clone()),
            _ if path.contains('/') => {
                let token = fs::read_to_string(&token).ok()?;
                let found = kept.ask("GET", &format!("platform/data/{path}"), &token, &json!({})).ok()?;
                Some(found["data"]["data"][key].as_str()?.to_owned())
            }
            _ => Some("stand-in".to_owned()),
        })
    });
    lead_to(&world.rig.control, &world.repo);
    world.repo.write("slack-webhook", "https://hooks.slack.example/T0/B0/x\n");
    world.repo.write("s3-secret-key", "a value\n");
    world.repo.write(".git/info/exclude", "slack-webhook\ns3-secret-key\n");
    world.repo.commit("Lead Vault to where its API server is");
    let own = world.repo.top.to_str().unwrap().to_owned();
    world.repo.git(&["remote", "add", "origin", &world.git.url("repository/.git")]);
    world.repo.git(&["remote", "set-url", "--push", "origin", &own]);
    world.repo.git(&["config", "push.default", "current"]);
    let namespaces = world.rig.control.client().list("v1", "Namespace").unwrap();
    assert!(namespaces.iter().any(|it| text(it, "/metadata/name") == ARGO_CD_NAMESPACE));
    world
}

/// Puts in what `docs/platform/secrets.md` lists for the spoke and a person has.
fn put_secrets_of_the_spoke(vault: &OpenBao, token: &str) {
    for (name, keys) in [
        ("velero-repo-credentials", &["repository-password"][..]),
        ("velero-s3", &["accessKey", "secretKey"]),
        ("machine-mysql", &["user", "password"]),
        ("machine-redis", &["password"]),
    ] {
        let data: Value = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!("a value")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        vault.ask("POST", &format!("platform/data/app/{name}"), token, &json!({"data": data})).unwrap();
    }
}
