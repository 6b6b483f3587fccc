//! `null` in a nearer file drops what is inherited.

use insta::assert_snapshot;

use crate::world::{World, files};

const APP: &str = "environments/app.yaml";
const DEFAULTS: &str = "environments/_defaults.yaml";
const SOUND: &str = "no problems";

fn platform() -> World {
    World::platform()
}

fn rendered(world: &World, path: &str) -> String {
    files(&world.render())
        .into_iter()
        .find(|(other, _)| other == path)
        .map(|(_, text)| text)
        .unwrap_or_default()
}

#[test]
fn a_fact_that_is_dropped_is_not_there() {
    let inherited = platform().and(DEFAULTS, "addresses:\n  spare: 192.168.64.125\n").with(
        "environments/control.yaml",
        platform().text("environments/control.yaml").replace("addresses:\n", "addresses:\n  spare: null\n"),
    );
    // The template reads it where it is there.
    let world = inherited.with(
        "templates/cluster/spare.yaml.hbs",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"spare-{{cluster.name}}\"}\ndata:\n  spare: {{default cluster.addresses.spare \"none\"}}\n",
    );
    assert_eq!(world.problems(), SOUND);
    assert!(rendered(&world, "argocd-apps/app/spare.yaml").contains("192.168.64.125"));
    assert!(rendered(&world, "argocd-apps/control/spare.yaml").contains("spare: none"));
}

#[test]
fn whole_maps_and_choices_of_add_ons_are_dropped_too() {
    let values = "argocd-apps/app/prometheus-agent/values.yaml";
    let before = rendered(&platform(), values);
    let choice = "addons:\n  prometheus-agent:\n    values:\n      prometheus:\n        prometheusSpec:\n          logLevel: debug\n";
    let world = platform().and(DEFAULTS, choice);
    assert!(rendered(&world, values).contains("logLevel: debug"));
    for dropping in [
        "addons: {prometheus-agent: {values: {prometheus: {prometheusSpec: {logLevel: null}}}}}\n",
        "addons: {prometheus-agent: {values: {prometheus: null}}}\n",
        "addons: {prometheus-agent: {values: null}}\n",
        "addons: {prometheus-agent: null}\n",
        "addons: null\n",
    ] {
        let world = world.clone().and(APP, dropping);
        assert_eq!(world.problems(), SOUND, "{dropping}");
        assert_eq!(rendered(&world, values), before, "{dropping}");
    }
}

#[test]
fn a_null_without_anything_to_drop_is_a_value_as_before() {
    let world = platform().and(APP, "addons: {prometheus-agent: {values: {prometheus: {ingress: null}}}}\n");
    assert!(rendered(&world, "argocd-apps/app/prometheus-agent/values.yaml").contains("ingress: null"));
    assert_snapshot!(platform().and(APP, "apiServer: null\n").problems(), @"
    environments/app.yaml:16:12: `apiServer` must be a map, not null
      hint: write a value or remove the key
    ");
}

#[test]
fn the_nearest_file_has_the_last_word() {
    let region = "environments/eu/_defaults.yaml";
    let world = platform()
        .moved(APP, "environments/eu/app.yaml")
        .edit(DEFAULTS, "  region: local", "  region: local\n  tier: gold")
        .with(region, "labels: {tier: null}\n");
    let shows = "labels: {{cluster.labels}}\n";
    let world = world.with(
        "templates/cluster/labels.yaml.hbs",
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"labels-{{{{cluster.name}}}}\"\n  {shows}"
        ),
    );
    assert!(!rendered(&world, "argocd-apps/app/labels.yaml").contains("tier"));
    let again = world.clone().and("environments/eu/app.yaml", "labels: {tier: silver}\n");
    assert!(rendered(&again, "argocd-apps/app/labels.yaml").contains("tier: silver"));
    let twice = world.and("environments/eu/app.yaml", "labels: {tier: null}\n");
    assert_eq!(twice.problems(), SOUND);
}

#[test]
fn a_required_fact_that_is_dropped_is_a_problem_at_the_null() {
    let world = platform().and(DEFAULTS, "networks: {pods: 10.99.0.0/16, services: 10.98.0.0/16}\n").edit(
        APP,
        "pods: 10.245.0.0/16",
        "pods: null",
    );
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:11:9: missing key `pods`: this `null` drops the inherited one
      hint: write the network itself, such as `10.244.0.0/16` or `fd00:244::/56`
    ");
    let hub = platform().and(DEFAULTS, "hub: control\n").edit(APP, "hub: control", "hub: null");
    assert_snapshot!(hub.problems(), @"
    environments/app.yaml:4:6: app cluster `app` names no `hub`
      hint: write `hub:` with the control cluster that collects its telemetry
    ");
}
