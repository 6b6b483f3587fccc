//! What is rendered is deployed: an add-on that no Application carries runs nowhere.

use insta::assert_snapshot;

use crate::world::{World, files};

const SET: &str = "templates/cluster/applicationset.yaml.hbs";

/// One hub with one add-on, and nothing that deploys it.
fn minimal() -> World {
    World::default()
        .with("environments/_fleet.yaml", "repository: {url: https://git.example.com/a.git, branch: main}\n")
        .with(
            "environments/hub.yaml",
            "role: control\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n",
        )
        .addon("x", "some-chart", "control")
}

fn with(object: &str) -> World {
    minimal().with("templates/cluster/apps.yaml.hbs", object)
}

fn application(source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: x, namespace: argocd}}\nspec:\n  project: default\n  destination: {{name: in-cluster}}\n  {source}\n"
    )
}

fn set(generators: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: x, namespace: argocd}}\nspec:\n  goTemplate: true\n  generators: {generators}\n  template:\n    metadata: {{name: \"a-\\{{{{ .name }}}}\"}}\n    spec:\n      project: default\n      destination: {{name: in-cluster}}\n      source: {{repoURL: https://git.example.com/a.git, path: \"{path}\"}}\n"
    )
}

#[test]
fn an_addon_that_no_application_carries_is_told() {
    assert_snapshot!(minimal().problems(), @"
    templates/cluster:1:1: no rendered Application deploys anything on `hub`: `x` would run nowhere
      hint: write `templates/cluster/applicationset.yaml.hbs`, which makes an Application for each of `addons` out of `argocd-apps/{{cluster.name}}/<add-on>`; if something outside this repository deploys them, say so under `accept` in `addon.yaml`
    ");
    assert_snapshot!(minimal().addon("other", "chart-z", "control").problems(), @"
    templates/cluster:1:1: no rendered Application deploys anything on `hub`: `other`, `x` would run nowhere
      hint: write `templates/cluster/applicationset.yaml.hbs`, which makes an Application for each of `addons` out of `argocd-apps/{{cluster.name}}/<add-on>`; if something outside this repository deploys them, say so under `accept` in `addon.yaml`
    ");
    let other =
        application("source: {repoURL: https://git.example.com/a.git, path: argocd-apps/hub/y/manifests}");
    assert_snapshot!(with(&other).problems(), @"
    templates/addons/x/addon.yaml:1:1: no rendered Application deploys add-on `x` on `hub`
      hint: name `argocd-apps/{{cluster.name}}/x` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, say so under `accept` in `addon.yaml`
    ");
    let filtered =
        World::platform().edit(SET, "{{#each addons}}", "{{#each (where addons \"name\" \"metallb\")}}");
    assert_snapshot!(filtered.problems(), @"
    templates/addons/argo-cd/addon.yaml:1:1: no rendered Application deploys add-on `argo-cd` on `control`
      hint: name `argocd-apps/{{cluster.name}}/argo-cd` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, say so under `accept` in `addon.yaml`
    templates/addons/kube-prometheus-stack/addon.yaml:1:1: no rendered Application deploys add-on `kube-prometheus-stack` on `control`
      hint: name `argocd-apps/{{cluster.name}}/kube-prometheus-stack` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, say so under `accept` in `addon.yaml`
    templates/addons/prometheus-agent/addon.yaml:1:1: no rendered Application deploys add-on `prometheus-agent` on `app`
      hint: name `argocd-apps/{{cluster.name}}/prometheus-agent` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, say so under `accept` in `addon.yaml`
    ");
    // What the hub deploys for itself is no deployment on a spoke.
    let text = World::platform().text(SET);
    let of_hubs = format!("{{{{#if (eq cluster.name hub.name)}}}}\n{text}\n{{{{/if}}}}\n");
    let problems = World::platform().with(SET, of_hubs).problems();
    assert_eq!(problems.matches("on `app`").count(), 2, "{problems}");
    assert_eq!(World::platform().problems(), "no problems");
}

#[test]
fn an_addon_is_carried_in_many_ways() {
    for object in [
        application("source: {repoURL: https://git.example.com/a.git, path: \"argocd-apps/{{cluster.name}}/x\"}"),
        application("source: {repoURL: https://charts.example.com, chart: some-chart, targetRevision: 1.2.3}"),
        application(
            "sources: [{repoURL: https://charts.example.com, chart: other, targetRevision: 1.2.3, helm: {valueFiles: [$values/argocd-apps/hub/x/values.yaml]}}]",
        ),
        set("[{list: {elements: [{name: x}]}}]", "argocd-apps/hub/\\{{ .name }}/manifests"),
        set("[{list: {elements: [{name: x, path: argocd-apps/hub/x}]}}]", "\\{{ .path }}"),
        set(
            "[{git: {repoURL: https://git.example.com/a.git, revision: main, directories: [{path: argocd-apps/*/*}]}}]",
            "\\{{ .path.path }}",
        ),
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\nspec: {path: ./argocd-apps/hub/x}\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: example.com/v1\n    kind: App\n    metadata: {name: x}\n    spec: {path: argocd-apps/hub/*}\n".to_owned(),
    ] {
        assert_eq!(with(&object).problems(), "no problems", "{object}");
    }
}

#[test]
fn an_application_on_the_hub_carries_what_its_spokes_run() {
    let spoke = "role: app\nhub: hub\nnetworks: {pods: 10.3.0.0/16, services: 10.4.0.0/16}\n";
    let hub = set("[{list: {elements: [{name: x}]}}]", "argocd-apps/spoke/\\{{ .name }}/manifests");
    let world = minimal()
        .without("templates/addons/x/addon.yaml")
        .addon("x", "some-chart", "app")
        .with("environments/spoke.yaml", spoke)
        .with(
            "templates/cluster/apps.yaml.hbs",
            format!("{{{{#if (eq cluster.name hub.name)}}}}\n{hub}{{{{/if}}}}\n"),
        );
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.edit("templates/cluster/apps.yaml.hbs", "name: x}]", "name: z}]").problems(), @"
    templates/addons/x/addon.yaml:1:1: no rendered Application deploys add-on `x` on `spoke`
      hint: name `argocd-apps/{{cluster.name}}/x` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, say so under `accept` in `addon.yaml`
    ");
}

/// One hub with one add-on that consists of its manifests, and what deploys it.
fn plain() -> World {
    let source = "source: {repoURL: \"https://git.example.com/a.git\", path: argocd-apps/hub/x/manifests}";
    with(&application(source)).with("templates/addons/x/addon.yaml", "namespace: x\n").with(
        "templates/addons/x/manifests/note.yaml.hbs",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note\ndata:\n  cluster: {{cluster.name}}\n",
    )
}

#[test]
fn an_add_on_may_be_manifests_alone() {
    assert_eq!(plain().problems(), "no problems");
    let paths: Vec<_> = files(&plain().render()).into_iter().map(|(path, _)| path).collect();
    assert_snapshot!(paths.join("\n"), @"
    argocd-apps/hub/apps.yaml
    argocd-apps/hub/x/manifests/note.yaml
    ");
    assert_snapshot!(plain().without("templates/cluster/apps.yaml.hbs").problems(), @"
    templates/cluster:1:1: no rendered Application deploys anything on `hub`: `x` would run nowhere
      hint: write `templates/cluster/applicationset.yaml.hbs`, which makes an Application for each of `addons` out of `argocd-apps/{{cluster.name}}/<add-on>`; if something outside this repository deploys them, say so under `accept` in `addon.yaml`
    ");
}

#[test]
fn what_describes_a_chart_needs_one() {
    let addon = "templates/addons/x/addon.yaml";
    assert_snapshot!(plain().and(addon, "release: other\nmesh: istio-gateway\n").problems(), @"templates/addons/x/addon.yaml:1:1: missing key `chart`");
    assert_snapshot!(plain().with("templates/addons/x/values.yaml.hbs", "a: 1\n").problems(), @"
    templates/addons/x/values.yaml.hbs:1:1: add-on `x` has values and no chart that takes them
      hint: name the `chart` in `addon.yaml`, or remove the file
    ");
    assert_snapshot!(plain().without("templates/addons/x/manifests/note.yaml.hbs").problems(), @"
    templates/addons/x/addon.yaml:1:1: add-on `x` has neither a chart nor manifests
      hint: name the `chart`, or write objects into `manifests/<name>.yaml.hbs`
    ");
    let values = "addons:\n  x:\n    values: {a: 1}\n";
    assert_snapshot!(plain().and("environments/hub.yaml", values).problems(), @"
    environments/hub.yaml:5:5: add-on `x` has no chart, and nothing else takes values
      hint: use its settings, or remove this
    ");
}
