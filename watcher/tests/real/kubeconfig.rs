//! Kubeconfigs that call everything alike, merged, by the real `kubectl` and two real API servers.

use std::process::Command;

use serde_json::{Value, json};
use testkit::real::ApiServer;

use crate::case::case;
use crate::repo::{Repo, bare};

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn kubectl_reaches_each_cluster_by_its_name() {
    let [hub, spoke] = ["hub", "eu-1"].map(|name| ApiServer::start(name).unwrap());
    case(
        "Cross-cluster",
        "`fleetwright kubeconfig merge`: `kubectl` reaches each of two clusters by its name",
        || {
            let repo = Repo::fleet();
            for (server, file) in [(&hub, "environments/hub.yaml"), (&spoke, "environments/prod/eu-1.yaml")] {
                let (_, port) = server.client().url().rsplit_once(':').unwrap();
                let facts = repo.read(file);
                repo.write(file, format!("{facts}apiServer: {{address: 127.0.0.1, port: {port}}}\n"));
                let name = server.name();
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("on-{name}")}});
                server.client().apply(&namespace, "").unwrap();
                repo.write(&format!("{name}.conf"), as_kubeadm_calls_it(server).to_string());
                let told = repo
                    .told(run(&repo, repo.command(&["kubeconfig", "merge", name, &format!("{name}.conf")])));
                assert_eq!(told.code, 0, "{told}");
            }
            for name in ["hub", "eu-1"] {
                assert_eq!(namespaces(&repo, &["--context", name]), [format!("on-{name}")]);
                let told = repo.told(run(&repo, repo.command(&["kubeconfig", "use", name])));
                assert_eq!(told.code, 0, "{told}");
                assert_eq!(namespaces(&repo, &[]), [format!("on-{name}")]);
            }
        },
    );
}

/// As kubeadm writes it, with the same names for every cluster.
pub fn as_kubeadm_calls_it(server: &ApiServer) -> Value {
    let cluster =
        json!({"server": server.client().url(), "certificate-authority-data": server.encoded_authority()});
    json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "kubernetes-admin@kubernetes",
        "clusters": [{"name": "kubernetes", "cluster": cluster}],
        "users": [{"name": "kubernetes-admin", "user": {"token": server.token()}}],
        "contexts": [{
            "name": "kubernetes-admin@kubernetes",
            "context": {"cluster": "kubernetes", "user": "kubernetes-admin"},
        }],
    })
}

/// The namespaces that only one of both has.
fn namespaces(repo: &Repo, options: &[&str]) -> Vec<String> {
    let mut command = Command::new("kubectl");
    bare(command.args(options).args(["get", "namespaces", "--output", "name"]));
    let told = repo.told(run(repo, command));
    assert_eq!(told.code, 0, "{told}");
    told.out
        .lines()
        .filter_map(|line| line.strip_prefix("namespace/on-"))
        .map(|name| format!("on-{name}"))
        .collect()
}

fn run(repo: &Repo, mut command: Command) -> std::process::Output {
    // `kubectl` keeps a cache in the home folder.
    command.env("HOME", &repo.top).env("KUBECONFIG", repo.path("kubeconfig")).output().unwrap()
}
