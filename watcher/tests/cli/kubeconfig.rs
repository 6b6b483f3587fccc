//! `kubeconfig`: what it writes, what it leaves alone, and what it refuses.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use insta::assert_snapshot;

use crate::repo::{Repo, Told};

/// As kubeadm writes it for the cluster at an address.
fn admin(address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: kubernetes-admin@kubernetes\n\
         clusters: [{{name: kubernetes, cluster: {{server: 'https://{address}:6443'}}}}]\n\
         users: [{{name: kubernetes-admin, user: {{token: token-at-{address}}}}}]\n\
         contexts: [{{name: kubernetes-admin@kubernetes, context: {{cluster: kubernetes, user: kubernetes-admin}}}}]\n"
    )
}

fn fleet() -> Repo {
    let repo = Repo::fleet();
    repo.edit("environments/hub.yaml", "role: control\n", "role: control\napiServer: {address: 10.8.0.1}\n");
    repo.edit("environments/prod/eu-1.yaml", "role: app\n", "role: app\napiServer: {address: 10.8.0.2}\n");
    repo
}

/// Runs `kubeconfig` on a file of the repository, with an input.
fn kubeconfig(repo: &Repo, arguments: &[&str], input: &str) -> Told {
    let mut command = repo.command(&[&["kubeconfig"], arguments].concat());
    command.env("KUBECONFIG", repo.path("new/config"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    repo.told(child.wait_with_output().unwrap())
}

fn mode(repo: &Repo, path: &str) -> u32 {
    fs::metadata(repo.path(path)).unwrap().permissions().mode() & 0o777
}

#[test]
fn each_cluster_gets_a_context_of_its_name_that_only_the_owner_reads() {
    let repo = fleet();
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub", "--dry-run"], &admin("10.8.0.1")), @"
    would add context `hub` of `https://10.8.0.1:6443` to `<repo>/new/config`
    => 0
    ");
    assert!(!repo.path("new").exists());
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub", "-"], &admin("10.8.0.1")), @"
    added context `hub` of `https://10.8.0.1:6443` to `<repo>/new/config`
    => 0
    ");
    repo.write("eu-1.conf", admin("10.8.0.2"));
    assert_snapshot!(kubeconfig(&repo, &["merge", "eu-1", "eu-1.conf", "--format", "json"], ""), @r#"
    {
      "change": "added",
      "cluster": "eu-1",
      "dryRun": false,
      "file": "<repo>/new/config",
      "server": "https://10.8.0.2:6443"
    }
    => 0
    "#);
    assert_eq!((mode(&repo, "new"), mode(&repo, "new/config")), (0o700, 0o600));
    let before = repo.state();
    assert_snapshot!(kubeconfig(&repo, &["merge", "eu-1"], &admin("10.8.0.2")), @"
    context `eu-1` of `https://10.8.0.2:6443` in `<repo>/new/config` is current
    => 0
    ");
    assert!(repo.state() == before);
    assert_snapshot!(kubeconfig(&repo, &["use", "eu-1"], ""), @"
    made context `eu-1` the current one
    => 0
    ");
    assert_snapshot!(kubeconfig(&repo, &["use", "eu-1"], ""), @"
    context `eu-1` is the current one
    => 0
    ");
    assert!(repo.read("new/config").contains("\ncurrent-context: eu-1\n"));
}

#[test]
fn a_link_stays_a_link_and_a_file_that_others_read_is_closed() {
    let repo = fleet();
    repo.write("shared", "contexts: [{name: work, context: {cluster: work, user: ann}}]\n");
    fs::set_permissions(repo.path("shared"), Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(repo.path("new")).unwrap();
    symlink(repo.path("shared"), repo.path("new/config")).unwrap();
    assert_eq!(kubeconfig(&repo, &["merge", "hub"], &admin("10.8.0.1")).code, 0);
    assert!(repo.path("new/config").is_symlink());
    assert!(repo.read("shared").contains("name: work") && repo.read("shared").contains("name: hub"));
    assert_eq!(mode(&repo, "shared"), 0o600);
}

#[test]
fn what_is_not_that_cluster_s_is_refused_and_changes_nothing() {
    let repo = fleet();
    let before = repo.state();
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub"], &admin("10.8.0.2")), @"
    ! error: standard input is not for cluster `hub`: it leads to `https://10.8.0.2:6443`, and not to `https://10.8.0.1:6443`
    !   hint: take the kubeconfig of that cluster, or correct its `apiServer` in environments/
    => 2
    ");
    assert_snapshot!(kubeconfig(&repo, &["merge", "hbu"], ""), @"
    ! error: there is no cluster `hbu`
    !   hint: the clusters are `eu-1`, `hub`
    => 2
    ");
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub", "missing"], ""), @"
    ! error: failed to read `missing`: No such file or directory (os error 2)
    => 1
    ");
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub"], "token: [hunter2"), @"
    ! error: standard input is not a kubeconfig (line 1, column 8)
    !   hint: look at it with `kubectl config view`, which masks credentials
    => 2
    ");
    let program = admin("10.8.0.1").replace("{token:", "{exec: {command: sh}, token:");
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub"], &program), @"
    ! error: standard input names `exec` in the place of the credential itself
    !   hint: bring files into it with `kubectl config view --raw --flatten`; with a plugin, merge it by hand
    => 2
    ");
    assert!(repo.state() == before);
    assert_snapshot!(kubeconfig(&repo, &["use", "hub"], ""), @"
    ! error: the kubeconfig has no whole context `hub`
    !   hint: bring it in with `fleetwright kubeconfig merge hub FILE`
    => 2
    ");
    repo.write("new/config", admin("10.8.0.9").replace("kubernetes-admin@kubernetes", "hub"));
    assert_snapshot!(kubeconfig(&repo, &["use", "hub"], ""), @"
    ! error: context `hub` is not for cluster `hub`: it leads to `https://10.8.0.9:6443`, and not to `https://10.8.0.1:6443`
    !   hint: take the kubeconfig of that cluster, or correct its `apiServer` in environments/
    => 2
    ");
    assert_snapshot!(kubeconfig(&repo, &["merge", "hub"], &admin("10.8.0.1")), @"
    ! error: the kubeconfig has a `hub` that is not this cluster's: context `hub` is for another cluster or user
    !   hint: rename or remove it with `kubectl config rename-context`, `delete-context`, `delete-cluster` or `delete-user`
    => 2
    ");
}
