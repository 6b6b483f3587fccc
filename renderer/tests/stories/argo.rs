//! What Argo CD makes of the objects that are written for it: no two are the same, none is its own, and no
//! name is too long.

use insta::assert_snapshot;

use crate::world::World;

const SET: &str = "templates/cluster/applicationset.yaml.hbs";
const METALLB: &str = "templates/addons/metallb/manifests";

/// The platform with one more spoke, in networks of its own.
fn with_spoke(name: &str) -> World {
    let world = World::platform();
    let text = world.text("environments/app.yaml");
    let text = text.replace("192.168.64.", "192.168.70.").replace("10.", "11.");
    world.with(&format!("environments/{name}.yaml"), text)
}

#[test]
fn names_that_are_joined_must_not_meet() {
    let agent = World::platform().text("templates/addons/prometheus-agent/addon.yaml");
    let values = World::platform().text("templates/addons/prometheus-agent/values.yaml.hbs");
    let world = with_spoke("app-prometheus")
        .with("templates/addons/agent/addon.yaml", agent)
        .with("templates/addons/agent/values.yaml.hbs", values);
    assert_snapshot!(world.problems(), @"
    templates/cluster/applicationset.yaml.hbs:24:19: Application `app-prometheus-agent` is made twice: of `prometheus-agent` on `app` and of `agent` on `app-prometheus`
      hint: rename `environments/app.yaml` or `environments/app-prometheus.yaml`, or one of the add-ons: joined, their names are the same
    ");
    assert_eq!(with_spoke("app-two").problems(), "no problems");
}

#[test]
fn an_application_of_an_element_must_not_be_one_that_is_written() {
    let world =
        World::platform().edit("templates/cluster/root.yaml.hbs", "name: root", "name: control-metallb");
    assert_snapshot!(world.problems(), @"
    templates/cluster/root.yaml.hbs:9:9: Application `control-metallb` is made twice: of `metallb` on `control` and by `argocd-apps/control/root.yaml`
      hint: give each its own name
    ");
}

#[test]
fn two_clusters_are_not_registered_under_one_name_or_address() {
    let secret = |name: &str, server: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: \"c-{{{{cluster.name}}}}\", namespace: argocd}}\nspec:\n  target:\n    template:\n      metadata: {{labels: {{argocd.argoproj.io/secret-type: cluster}}}}\n      data: {{name: \"{name}\", server: \"{server}\"}}\n"
        )
    };
    let with = |name: &str, server: &str| {
        World::platform().with("templates/cluster/registration.yaml.hbs", secret(name, server))
    };
    assert_eq!(with("{{cluster.name}}", "https://{{cluster.name}}:6443").problems(), "no problems");
    assert_snapshot!(with("spoke", "https://{{cluster.name}}:6443").problems(), @"
    templates/cluster/registration.yaml.hbs:8:20: `spoke` is registered with Argo CD twice: for cluster `app` and for `control`
      hint: `argocd-apps/app/registration.yaml` registers it, too; give each cluster its own name and address
    ");
    assert_snapshot!(with("{{cluster.name}}", "https://10.0.0.1:6443").problems(), @"
    templates/cluster/registration.yaml.hbs:8:21: `https://10.0.0.1:6443` is registered with Argo CD twice: for cluster `app` and for `control`
      hint: `argocd-apps/app/registration.yaml` registers it, too; give each cluster its own name and address
    ");
    assert_snapshot!(with("in-cluster", "https://{{cluster.name}}:6443").problems(), @"
    templates/cluster/registration.yaml.hbs:8:20: `in-cluster` is what Argo CD calls the cluster that it runs on (on `app` and `control`)
      hint: register the cluster under a name of its own
    ");
    assert_eq!(
        World::platform()
            .with(
                "templates/cluster/registration.yaml.hbs",
                format!(
                    "{{{{#if (eq cluster.name hub.name)}}}}\n{}{{{{/if}}}}\n",
                    secret("in-cluster", "https://kubernetes.default.svc")
                )
            )
            .problems(),
        "no problems"
    );
}

#[test]
fn names_of_argo_cd_itself_are_taken() {
    assert_snapshot!(World::platform().moved("environments/app.yaml", "environments/in-cluster.yaml").problems(), @"
    environments/in-cluster.yaml:1:1: a spoke cannot be called `in-cluster`: so Argo CD calls the hub, `control` here
      hint: rename the file
    ");
    assert_snapshot!(World::platform().moved("environments/app.yaml", "environments/default.yaml").problems(), @"
    templates/_partials/argocd-metadata.hbs:2:7: the project of cluster `default` is Argo CD's own, which its other Applications are in
      hint: rename `environments/default.yaml`, or call its project otherwise
    ");
}

#[test]
fn a_name_that_is_composed_is_short_enough() {
    let long = "a".repeat(60);
    let certificate = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: ca}\nspec:\n  secretName: ca\n  commonName: \"mesh-{{cluster.name}}\"\n  dnsNames: [\"svc-{{cluster.name}}.example.com\"]\n  issuerRef: {name: x}\n";
    let world = World::platform()
        .moved("environments/app.yaml", &format!("environments/{long}.yaml"))
        .and("templates/addons/kube-prometheus-stack/addon.yaml", "outside: {secrets: [grafana-admin]}\n")
        .with(&format!("{METALLB}/ca.yaml.hbs"), certificate);
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/manifests/ca.yaml.hbs:6:21: the common name of a certificate has at most 64 characters, and `mesh-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 65
      hint: shorten it: of these, the cluster's name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 60
    templates/addons/metallb/manifests/ca.yaml.hbs:7:19: a part of the name of a host has at most 63 characters, and `svc-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 64
      hint: shorten it: of these, the cluster's name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 60
    ");
    let objects = "apiVersion: v1\nkind: Service\nmetadata: {name: \"svc-{{cluster.name}}\"}\nspec: {ports: [{port: 80}]}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: \"{{cluster.name}}\"}\nspec: {schedule: \"@daily\", jobTemplate: {}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"map-{{cluster.name}}\", labels: {cluster: \"map-{{cluster.name}}\"}}\n";
    let world = World::platform()
        .moved("environments/app.yaml", &format!("environments/{long}.yaml"))
        .with(&format!("{METALLB}/objects.yaml.hbs"), objects);
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/manifests/objects.yaml.hbs:3:23: the name of a Service has at most 63 characters, and `svc-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 64
      hint: shorten it: of these, the cluster's name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 60
    templates/addons/metallb/manifests/objects.yaml.hbs:8:19: the name of a CronJob has at most 52 characters, and `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 60
      hint: shorten it: of these, the cluster's name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 60
    templates/addons/metallb/manifests/objects.yaml.hbs:13:65: `cluster` must have at most 63 characters, not 64
      hint: use letters, digits, `-`, `_` and `.`, with a letter or digit at both ends
    ");
}

#[test]
fn a_release_has_a_name_that_helm_takes() {
    let long = "x".repeat(54);
    assert_snapshot!(World::platform().addon(&long, "some-chart", "app").problems(), @"
    templates/addons/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/addon.yaml:1:1: the name of a release has at most 53 characters, and `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` has 54
      hint: give it a shorter name by `release:`, or rename the folder
    ");
    let short = World::platform()
        .addon(&long, "some-chart", "app")
        .and(&format!("templates/addons/{long}/addon.yaml"), "release: x\n");
    assert_eq!(short.problems(), "no problems");
    let composed =
        "releaseName: \"{{cluster.name}}-of-a-platform-that-has-a-rather-long-name-\\{{ .release }}\"";
    let world = World::platform().edit(SET, "releaseName: \"\\{{ .release }}\"", composed);
    assert_snapshot!(world.problems(), @"
    templates/addons/argo-cd/addon.yaml:9:10: the name of a release has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-argocd` has 56
      hint: shorten it: of these, the cluster's name `control` has 7
    templates/cluster/applicationset.yaml.hbs:25:22: the name of a release has at most 53 characters, and `app-of-a-platform-that-has-a-rather-long-name-prometheus-agent` has 62
      hint: shorten it: of these, the cluster's name `app` has 3
    templates/cluster/applicationset.yaml.hbs:25:22: the name of a release has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-kube-prometheus-stack` has 71
      hint: shorten it: of these, the cluster's name `control` has 7
    templates/cluster/applicationset.yaml.hbs:25:22: the name of a release has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-metallb` has 57
      hint: shorten it: of these, the cluster's name `control` has 7
    ");
    let world = World::platform()
        .edit(SET, "          helm:\n            releaseName: \"\\{{ .release }}\"\n", "          helm:\n")
        .edit(
            SET,
            "name: \"{{cluster.name}}-\\{{ .name }}\"",
            "name: \"{{cluster.name}}-of-a-platform-that-has-a-rather-long-name-\\{{ .name }}\"",
        );
    assert_snapshot!(world.problems(), @"
    templates/cluster/applicationset.yaml.hbs:24:19: the name of a release, which is that of the Application here, has at most 53 characters, and `app-of-a-platform-that-has-a-rather-long-name-prometheus-agent` has 62
      hint: shorten it: of these, the cluster's name `app` has 3
    templates/cluster/applicationset.yaml.hbs:24:19: the name of a release, which is that of the Application here, has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-argo-cd` has 57
      hint: shorten it: of these, the cluster's name `control` has 7
    templates/cluster/applicationset.yaml.hbs:24:19: the name of a release, which is that of the Application here, has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-kube-prometheus-stack` has 71
      hint: shorten it: of these, the cluster's name `control` has 7
    templates/cluster/applicationset.yaml.hbs:24:19: the name of a release, which is that of the Application here, has at most 53 characters, and `control-of-a-platform-that-has-a-rather-long-name-metallb` has 57
      hint: shorten it: of these, the cluster's name `control` has 7
    ");
}
