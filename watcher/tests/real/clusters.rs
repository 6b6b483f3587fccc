//! Two clusters and a whole Argo CD: what is in git and in a chart reaches the other API server.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::real::{ARGO_CD_NAMESPACE, ARGO_CD_VERSION, ChartRepository, Rig, StandIn, wait_until};
use testkit::smart_http::Server;

use crate::repo::Repo;

const PATIENCE: Duration = Duration::from_mins(2);

/// Makes an Application that draws a chart from one place, its values and a manifest from another.
fn application_set(charts: &str, repository: &str) -> Value {
    json!({
        "apiVersion": ARGO_CD_VERSION,
        "kind": "ApplicationSet",
        "metadata": {"name": "app"},
        "spec": {
            "goTemplate": true,
            "generators": [{"list": {"elements": [{"name": "web"}]}}],
            "template": {
                "metadata": {"name": "app-{{ .name }}"},
                "spec": {
                    "project": "default",
                    "destination": {"name": "app", "namespace": "web"},
                    "sources": [
                        {
                            "repoURL": charts,
                            "chart": "web",
                            "targetRevision": "1.0.0",
                            "helm": {"valueFiles": ["$values/web/values.yaml"]},
                        },
                        {"repoURL": repository, "targetRevision": "main", "ref": "values", "path": "web/manifests"},
                    ],
                    "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]},
                },
            },
        },
    })
}

fn fleet() -> Repo {
    let repo = Repo::empty();
    repo.write("web/values.yaml", "service: {loadBalancerIP: 192.168.64.125}\n");
    repo.write(
        "web/manifests/settings.yaml",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n",
    );
    repo.commit("Describe a workload");
    repo
}

fn pool() -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "default", "namespace": "metallb-system"},
        "spec": {"addresses": ["192.168.64.120-192.168.64.140"]},
    })
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn what_is_in_git_and_in_a_chart_is_healthy_on_the_other_cluster() {
    let rig = Rig::start().unwrap();
    let charts = ChartRepository::start().unwrap();
    charts.add("charts", &StandIn::named("web", "1.0.0")).unwrap();
    let repo = fleet();
    let git = Server::plain(repo.top.parent().unwrap()).unwrap();
    rig.app.client().apply(&pool(), "").unwrap();
    rig.control.client().apply(&rig.registration(), "").unwrap();
    let set = application_set(&charts.url("charts"), &git.url("repository/.git"));
    rig.control.client().apply(&set, ARGO_CD_NAMESPACE).unwrap();

    let revision = repo.git(&["rev-parse", "HEAD"]);
    wait_until(PATIENCE, "the Application was synced and healthy", || {
        let applications = rig.applications()?;
        Ok(applications.iter().any(|one| {
            let status = &one["status"];
            status["sync"]["status"] == "Synced"
                && status["sync"]["revisions"] == json!(["1.0.0", revision])
                && status["health"]["status"] == "Healthy"
        }))
    })
    .unwrap();
    let services = rig.app.client().list("v1", "Service").unwrap();
    let service = services.iter().find(|service| service["metadata"]["namespace"] == "web").unwrap();
    assert_eq!(service["status"]["loadBalancer"]["ingress"][0]["ip"], "192.168.64.125");
    let pods = rig.app.client().list("v1", "Pod").unwrap();
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["status"]["phase"] == "Running"));
    assert!(rig.control.client().list("v1", "Pod").unwrap().is_empty());
}
