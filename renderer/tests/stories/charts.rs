//! What a chart does not read is not rendered for it.

use fleetwright_renderer::charts::LOCK;
use fleetwright_renderer::render::Renderer;
use insta::assert_snapshot;

use crate::world::World;

const CONTROL: &str = "environments/control.yaml";
const METALLB: &str = "templates/addons/metallb/addon.yaml";
const METALLB_VALUES: &str = "templates/addons/metallb/values.yaml.hbs";
const ARGO_CD: &str = "templates/addons/argo-cd/addon.yaml";
const ARGO_CD_VALUES: &str = "templates/addons/argo-cd/values.yaml.hbs";
const HUB: &str = "templates/addons/kube-prometheus-stack/values.yaml.hbs";

#[test]
fn the_shipped_values_are_all_read_by_their_charts() {
    assert_eq!(World::locked().problems(), "no problems");
}

#[test]
fn a_key_that_the_chart_has_not_is_told_where_it_is_written() {
    let world = World::locked()
        .edit(HUB, "  persistence:\n", "  persistance:\n")
        .and(HUB, "\nprometheus-node-exporter:\n  enabled: false\nprometheusOperater:\n  resources: {}\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/kube-prometheus-stack/values.yaml.hbs:39:3: unknown key `grafana.persistance`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `grafana.persistence`?
    templates/addons/kube-prometheus-stack/values.yaml.hbs:48:3: unknown key `prometheus-node-exporter.enabled`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `nodeExporter.enabled`?
    templates/addons/kube-prometheus-stack/values.yaml.hbs:49:1: unknown key `prometheusOperater`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `prometheusOperator`?
    ");
}

#[test]
fn a_key_that_a_cluster_overrides_is_told_in_its_file() {
    let lines = "    values:\n      grafana:\n        sidecar:\n          dashbords: {enabled: true}\n";
    assert_snapshot!(World::locked().and(CONTROL, lines).problems(), @"
    environments/control.yaml:28:11: unknown key `grafana.sidecar.dashbords`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `grafana.sidecar.dashboards`?
    ");
}

#[test]
fn a_key_that_only_a_fact_fills_is_told_in_the_template_and_not_at_the_fact() {
    let world = World::locked().and(METALLB_VALUES, "\nclusterName: {{cluster.name}}\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/values.yaml.hbs:7:1: unknown key `clusterName`: chart `metallb` 0.16.1 has no such key (on `app` and `control`)
      hint: leave it out; if the chart takes any key here, name the place under `freeForm` in `templates/addons/metallb/addon.yaml`
    ");
}

#[test]
fn a_value_of_another_type_is_told_with_what_to_write() {
    let world = World::locked()
        .edit(HUB, "    enableRemoteWriteReceiver: true\n", "    enableRemoteWriteReceiver: 1\n")
        .and(HUB, "\nkubeStateMetrics:\n  enabled: \"true\"\nfullnameOverride: {a: b}\nnodeExporter: true\n")
        .and(CONTROL, "    values:\n      prometheus:\n        prometheusSpec: {retention: 30}\n");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:27:37: `prometheus.prometheusSpec.retention` must be text, not a number: chart `kube-prometheus-stack` 88.5.3
      hint: put the value in quotes
    templates/addons/kube-prometheus-stack/values.yaml.hbs:10:32: `prometheus.prometheusSpec.enableRemoteWriteReceiver` must be `true` or `false`, not a number: chart `kube-prometheus-stack` 88.5.3
    templates/addons/kube-prometheus-stack/values.yaml.hbs:48:12: `kubeStateMetrics.enabled` must be `true` or `false`, not text: chart `kube-prometheus-stack` 88.5.3
      hint: write the value without quotes
    templates/addons/kube-prometheus-stack/values.yaml.hbs:49:19: `fullnameOverride` must be a single value, not a map: chart `kube-prometheus-stack` 88.5.3
    templates/addons/kube-prometheus-stack/values.yaml.hbs:50:15: `nodeExporter` must be a map, not `true` or `false`: chart `kube-prometheus-stack` 88.5.3
    ");
}

#[test]
fn a_closed_place_says_that_it_refuses() {
    let world = World::locked().and(METALLB_VALUES, "\nimagePullSecrets:\n  - nmae: registry\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/values.yaml.hbs:8:5: unknown key `imagePullSecrets[0].nmae`: chart `metallb` 0.16.1 refuses this key (on `app` and `control`)
      hint: did you mean `imagePullSecrets[0].name`?
    ");
}

#[test]
fn a_place_that_the_chart_hands_on_may_be_named() {
    let world = World::locked().and(ARGO_CD_VALUES, "\nnotifications:\n  subscribers:\n    team: x\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/argo-cd/values.yaml.hbs:21:3: unknown key `notifications.subscribers`: chart `argo-cd` 10.1.1 has no such key
      hint: did you mean `notifications.subscriptions`?
    ");
    let named = world.and(ARGO_CD, "\nfreeForm:\n  - notifications.subscribers\n");
    assert_eq!(named.problems(), "no problems");
}

#[test]
fn an_image_with_a_doubled_registry_is_told() {
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: metallb-system}\nspec:\n  containers:\n    - name: x\n      image: ghcr.io/ghcr.io/a/b:1\n";
    let world = World::locked()
        .and(HUB, "\nprometheusOperator:\n  image:\n    repository: quay.io/prometheus-operator/prometheus-operator\n")
        .with("templates/addons/metallb/manifests/pod.yaml.hbs", manifest);
    assert_snapshot!(world.problems(), @"
    templates/addons/kube-prometheus-stack/values.yaml.hbs:49:17: `prometheusOperator.image.repository` names a registry, and chart `kube-prometheus-stack` 88.5.3 writes `registry` before it
      hint: leave the registry out of `repository`, and set `registry` beside it if it differs
    templates/addons/metallb/manifests/pod.yaml.hbs:7:14: image `ghcr.io/ghcr.io/a/b:1` names two registries (on `app` and `control`)
      hint: leave one of them out
    ");
}

#[test]
fn a_chart_that_is_not_locked_is_told_at_its_version() {
    assert_snapshot!(World::locked().edit(METALLB, "version: 0.16.1", "version: 0.16.2").problems(), @"
    templates/addons/metallb/addon.yaml:6:12: chart `metallb` 0.16.2 of `https://metallb.github.io/metallb` is not in `templates/charts.lock`
      hint: run `fleetwright charts lock`
    ");
}

#[test]
fn without_a_lock_no_key_is_judged() {
    assert_eq!(World::platform().and(METALLB_VALUES, "\nnonsense: true\n").problems(), "no problems");
}

#[test]
fn a_lock_that_was_damaged_is_told() {
    let text = World::locked().text(LOCK);
    assert_snapshot!(World::locked().with(LOCK, text.replacen("_bool:", "_boole:", 1)).problems(), @"
    templates/charts.lock:8:5: unknown type or shape `boole`
      hint: write the lock again: `fleetwright charts lock --refresh`
    ");
    assert_snapshot!(World::locked().with(LOCK, format!("<<<<<<< ours\n{text}")).problems(), @"templates/charts.lock:4:1: this is not YAML: did not find expected <document start>");
}

#[test]
fn a_lock_that_changes_is_judged_by_even_if_everything_else_is_remembered() {
    let mut renderer = Renderer::new();
    let world = World::platform().and(METALLB_VALUES, "\nnonsense: true\n");
    assert!(renderer.render(&world.snapshot(), &()).is_ok());
    let locked = world.with(LOCK, World::locked().text(LOCK));
    assert!(renderer.render(&locked.snapshot(), &()).is_err(), "what passed without a lock passed with one");
}

#[test]
fn without_a_lock_it_is_said_that_values_are_not_judged() {
    assert_eq!(World::locked().render().notes(), Vec::<String>::new());
    assert_snapshot!(World::locked().without(LOCK).render().notes().join("\n"), @"chart values are not judged, since there is no `templates/charts.lock`: run `fleetwright charts lock`");
}

#[test]
fn an_item_that_a_schema_leaves_open_takes_more_than_it_names() {
    const GATEWAY: &str = "templates/addons/istio-gateway/values.yaml.hbs";
    const LOKI: &str = "templates/addons/loki/values.yaml.hbs";
    let ports =
        "service:\n  ports:\n    - {name: http, port: 80, targetPort: 80, protocol: TCP, nodePort: 30080}\n";
    let ingress = "gateway:\n  enabled: true\n  ingress:\n    hosts:\n      - host: loki.example.com\n        paths: [{path: /, pathType: Prefix}]\n";
    let world = World::shipped().edit(GATEWAY, "service:\n", ports).edit(
        LOKI,
        "gateway:\n  enabled: false\n",
        ingress,
    );
    assert_eq!(world.problems(), "no problems");
}

/// The platform with a second version of a chart in the lock, which knows one key less and one more.
fn two_versions() -> World {
    let text = World::locked().text(LOCK);
    let start = text.find("- name: metallb\n").unwrap();
    let entry =
        &text[start..][..text[start + 1..].find("\n- name: ").map_or(text.len() - start, |at| at + 2)];
    let newer = entry.replace("\"0.16.1\"", "\"1.0.0\"").replace("rbac.create", "rbac.made");
    World::locked().with(LOCK, text.replace(entry, &format!("{entry}{newer}")))
}

const APP: &str = "environments/app.yaml";
const NEWER: &str = "\naddons:\n  metallb: {version: 1.0.0}\n";

fn versions_of(world: &World) -> String {
    let rendered = world.render();
    let version = |cluster: &str| {
        let files = rendered.clusters[cluster].files();
        let set = files.iter().find(|file| file.path.as_str().ends_with("applicationset.yaml")).unwrap();
        let text = String::from_utf8(set.bytes.to_vec()).unwrap();
        let at = text.find("chart: metallb").unwrap();
        text[at..].lines().nth(1).unwrap().trim().to_owned()
    };
    format!("control {}, app {}", version("control"), version("app"))
}

#[test]
fn a_version_comes_from_the_cluster_then_its_folder_then_the_addon() {
    let world = two_versions();
    assert_eq!(versions_of(&world), "control version: \"0.16.1\", app version: \"0.16.1\"");
    assert_eq!(
        versions_of(&world.clone().and(APP, NEWER)),
        "control version: \"0.16.1\", app version: \"1.0.0\""
    );
    let folder = world.clone().and("environments/_defaults.yaml", NEWER);
    assert_eq!(versions_of(&folder), "control version: \"1.0.0\", app version: \"1.0.0\"");
    let dropped = folder.and(APP, "\naddons:\n  metallb: {version: null}\n");
    assert_eq!(versions_of(&dropped), "control version: \"1.0.0\", app version: \"0.16.1\"");
    let by_role = "versions:\n- version: 1.0.0\n  clusters: {roles: [app]}\n";
    let addon = world.and(METALLB, by_role);
    assert_eq!(versions_of(&addon), "control version: \"0.16.1\", app version: \"1.0.0\"");
    let chosen = addon.and(APP, "\naddons:\n  metallb: {version: 0.16.1}\n");
    assert_eq!(versions_of(&chosen), "control version: \"0.16.1\", app version: \"0.16.1\"");
}

#[test]
fn values_are_judged_by_the_version_on_their_cluster() {
    let world = two_versions().and(METALLB_VALUES, "\nrbac: {create: true}\n");
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.and(APP, NEWER).problems(), @"
    templates/addons/metallb/values.yaml.hbs:7:8: unknown key `rbac.create`: chart `metallb` 1.0.0 has no such key
      hint: known keys: `made`; if the chart takes any key here, name the place under `freeForm` in `templates/addons/metallb/addon.yaml`
    ");
}

#[test]
fn every_version_that_is_named_is_locked() {
    let world = World::locked()
        .and(APP, "\naddons:\n  metallb: {version: 1.0.0}\n  prometheus-agent: {version: 9.x}\n")
        .and(METALLB, "versions:\n- version: 2.0.0\n  clusters: {labels: {region: locale}}\n");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:19:31: `9.x` is not a valid `version`
      hint: pin one version, such as `88.5.3`: a range renders differently from day to day
    templates/addons/metallb/addon.yaml:10:12: chart `metallb` 2.0.0 of `https://metallb.github.io/metallb` is not in `templates/charts.lock`
      hint: run `fleetwright charts lock`
    ");
    let world = World::locked()
        .and(APP, NEWER)
        .and(METALLB, "versions:\n- version: 2.0.0\n  clusters: {labels: {region: locale}}\n");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:18:22: chart `metallb` 1.0.0 of `https://metallb.github.io/metallb` is not in `templates/charts.lock`
      hint: run `fleetwright charts lock`
    templates/addons/metallb/addon.yaml:10:12: chart `metallb` 2.0.0 of `https://metallb.github.io/metallb` is not in `templates/charts.lock`
      hint: run `fleetwright charts lock`
    templates/addons/metallb/addon.yaml:11:23: no cluster has the label `region: locale`
      hint: did you mean `local`?
    ");
}

#[test]
fn a_description_may_name_what_one_of_the_versions_takes() {
    let described = "provides:\n  services: [{name: x, ports: [{value: rbac.made, default: 1}]}]\n";
    assert_eq!(two_versions().and(METALLB, described).problems(), "no problems");
    assert_snapshot!(World::locked().and(METALLB, described).problems(), @"
    templates/addons/metallb/addon.yaml:10:40: unknown key `rbac.made`: chart `metallb` 0.16.1 has no such key
      hint: known keys: `create`; if the chart takes any key here, name the place under `freeForm` in `templates/addons/metallb/addon.yaml`
    ");
}
