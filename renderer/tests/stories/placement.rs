//! What a cluster chooses must mean something to some template.

use insta::assert_snapshot;

use crate::world::World;

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";
const AGENT: &str = "templates/addons/prometheus-agent/addon.yaml";
const METALLB: &str = "templates/addons/metallb/addon.yaml";

fn platform() -> World {
    World::platform()
}

#[test]
fn an_unknown_addon_is_told() {
    let world = platform().and(APP, "\naddons:\n  metalb:\n    enabled: false\n  zebra: {}\n");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:18:3: unknown add-on `metalb`
      hint: did you mean `metallb`?
    environments/app.yaml:20:3: unknown add-on `zebra`
      hint: create `templates/addons/zebra/addon.yaml`
    ");
}

#[test]
fn a_choice_for_an_addon_that_does_not_run_here_is_told() {
    let world = platform().and(APP, "\naddons:\n  argo-cd:\n    values: {a: 1}\n");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:18:3: add-on `argo-cd` does not run on `app`
      hint: add `enabled: true` to run it here, or remove this
    ");
}

#[test]
fn a_choice_for_all_clusters_or_one_that_is_turned_off_is_left_alone() {
    let world = platform()
        .and("environments/_defaults.yaml", "\naddons:\n  prometheus-agent:\n    settings: {maxShards: 5}\n")
        .and(CONTROL, "  metallb:\n    enabled: false\n    values: {a: 1}\n");
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn a_setting_must_be_known_and_of_its_type() {
    let world = platform().and(
        APP,
        "\naddons:\n  prometheus-agent:\n    settings:\n      maxShards: many\n      bufer: 1Gi\n      buffer: big\n",
    );
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:20:18: `maxShards` must be an integer, not a string
    environments/app.yaml:21:7: unknown key `bufer`
      hint: known keys: `buffer`, `maxShards`
    environments/app.yaml:22:15: `big` is not a valid `buffer`
      hint: write a size such as `10Gi`
    ");
}

#[test]
fn a_setting_of_an_addon_that_is_turned_off_is_judged_too() {
    let off = "\naddons:\n  prometheus-agent:\n    enabled: false\n    settings:\n      maxShards: 51\n";
    assert_snapshot!(platform().and(APP, off).problems(), @"environments/app.yaml:21:18: `maxShards` must be at most 50, not 51");
}

#[test]
fn a_wrong_setting_of_a_hub_is_not_blamed_on_its_spokes() {
    assert_snapshot!(platform().edit(CONTROL, "retention: 31d", "retention: a month").problems(), @"
    environments/control.yaml:23:18: `a month` is not a valid `retention`
      hint: write a number and a unit, such as `15d` or `4w`
    ");
}

#[test]
fn a_setting_needs_a_default_that_fits() {
    assert_snapshot!(platform().edit(AGENT, "    maximum: 50\n    default: 10\n", "    maximum: 50\n").problems(), @"
    templates/addons/prometheus-agent/addon.yaml:23:3: setting `maxShards` has no default
      hint: add `default:`
    ");
    assert_snapshot!(platform().edit(AGENT, "    default: 10\n", "    default: 51\n").problems(), @"templates/addons/prometheus-agent/addon.yaml:28:14: `maxShards` must be at most 50, not 51");
    assert_snapshot!(platform().edit(AGENT, "type: integer", "type: intger").problems(), @"
    templates/addons/prometheus-agent/addon.yaml:25:11: `intger` is not a type
      hint: did you mean `integer`?
    ");
}

#[test]
fn a_chart_is_pinned_and_named_where_it_is_fetched() {
    for version in ["\"0.16\"", "\"*\"", "^0.16.1", "latest", "~0.16.1"] {
        let problems = platform().edit(METALLB, "version: 0.16.1", &format!("version: {version}")).problems();
        assert!(problems.contains("addon.yaml:6:12: ") && problems.contains("pin one version"), "{problems}");
    }
    assert_snapshot!(platform().edit(METALLB, "0.16.1", "^0.16").edit(METALLB, "https://", "http://").problems(), @"
    templates/addons/metallb/addon.yaml:4:15: `http://metallb.github.io/metallb` is not a valid `repository`
      hint: write an `https://` or `oci://` address
    templates/addons/metallb/addon.yaml:6:12: `^0.16` is not a valid `version`
      hint: pin one version, such as `88.5.3`: a range renders differently from day to day
    ");
}

#[test]
fn a_release_and_a_namespace_have_names_that_kubernetes_takes() {
    let world =
        platform().edit(METALLB, "namespace: metallb-system", "namespace: MetalLB\nrelease: metallb_1");
    assert_snapshot!(world.problems(), @"
    templates/addons/metallb/addon.yaml:8:12: `MetalLB` is not a valid `namespace`
      hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    templates/addons/metallb/addon.yaml:9:10: `metallb_1` is not a valid `release`
      hint: use at most 53 lower-case letters, digits and hyphens, with a letter or digit at both ends
    ");
}

#[test]
fn a_placement_label_that_no_cluster_has_is_told() {
    let place = |labels| platform().and(METALLB, &format!("clusters:\n  labels: {{{labels}}}\n")).problems();
    assert_snapshot!(place("region: locale"), @"
    templates/addons/metallb/addon.yaml:10:12: no cluster has the label `region: locale`
      hint: did you mean `local`?
    ");
    assert_snapshot!(place("regoin: local"), @"
    templates/addons/metallb/addon.yaml:10:12: no cluster has the label `regoin: local`
      hint: did you mean `region`?
    ");
    assert_eq!(place("region: local"), "no problems");
}

#[test]
fn a_fact_that_no_template_reads_is_told() {
    let world = platform()
        .and("environments/_fleet.yaml", "")
        .edit("environments/_fleet.yaml", "  prometheus: 9090", "  prometheus: 9090\n  promtheus: 9090")
        .edit(CONTROL, "addresses:", "addresses:\n  zebra: 192.168.64.105")
        .and(METALLB, "settings:\n  speed: {type: integer, default: 1}\n");
    assert_snapshot!(world.problems(), @"
    environments/_fleet.yaml:14:3: no template reads port `promtheus`
      hint: did you mean `prometheus`? otherwise remove it
    environments/control.yaml:14:3: no template reads address `zebra`
      hint: remove it, or use it in a template
    templates/addons/metallb/addon.yaml:10:3: no template reads setting `speed`
      hint: remove it, or use it in a template
    ");
}

#[test]
fn a_template_that_takes_all_addresses_reads_each() {
    let world = platform()
        .edit(CONTROL, "addresses:", "addresses:\n  zebra: 192.168.64.105")
        .and("templates/addons/metallb/values.yaml.hbs", "\nall: {{cluster.addresses}}\n");
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn a_repository_without_templates_is_told() {
    assert_snapshot!(World::platform().without_folder("templates").problems(), @"
    templates:1:1: there is no template
      hint: add an add-on, `templates/addons/<addon>/addon.yaml`; rendering nothing would delete all that is there
    ");
}
