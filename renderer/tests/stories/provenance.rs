//! Where a rendered value comes from, and what a fact reaches.

use fleetwright_renderer::explain::{Reach, explain, grouped, reach};
use fleetwright_renderer::path::RepoPath;
use insta::assert_snapshot;

use crate::world::World;

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// The explanation as a person reads it: `template` and `fact` lines below each value.
fn explained(world: &World, file: &str, key: &str) -> String {
    let rendered = world.render();
    let Some(values) = explain(&rendered, &RepoPath::parse(file).unwrap(), Some(key)) else {
        return "nothing".to_owned();
    };
    let mut lines = Vec::new();
    for value in values {
        lines.push(fleetwright_renderer::key_path::text_of(&value.path));
        for line in &value.templates {
            lines.push(format!("  {} {}", line.place, line.expression.as_deref().unwrap_or("(literal)")));
        }
        for fact in &value.facts {
            lines.push(format!("  {} {} {:?}", fact.place, fact.fact, fact.influence));
        }
    }
    lines.join("\n")
}

fn reached(world: &World, file: &str, key: &str) -> String {
    let rendered = world.render();
    let Some(Reach { place, reached, .. }) = reach(&rendered, &RepoPath::parse(file).unwrap(), key) else {
        return "nothing".to_owned();
    };
    let lines = reached.iter().map(|reached| format!("  {} {}", reached.file, reached.path));
    std::iter::once(place.to_string()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_value_made_of_two_facts_names_both() {
    let file = "argocd-apps/app/prometheus-agent/values.yaml";
    let key = "prometheus.prometheusSpec.remoteWrite[0].url";
    assert_snapshot!(explained(&World::platform(), file, key), @"
    prometheus.prometheusSpec.remoteWrite[0].url
      templates/addons/prometheus-agent/values.yaml.hbs:11:21 hub.addresses.prometheus
      templates/addons/prometheus-agent/values.yaml.hbs:11:50 fleet.ports.prometheus
      environments/_fleet.yaml:13:15 fleet.ports.prometheus Value
      environments/control.yaml:16:15 hub.addresses.prometheus Value
    ");
}

#[test]
fn a_value_out_of_a_partial_names_the_partial_and_the_setting() {
    let file = "argocd-apps/control/kube-prometheus-stack/values.yaml";
    let claim = "prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec";
    assert_snapshot!(explained(&World::platform(), file, claim), @"
    prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.storageClassName
      templates/_partials/volume-claim.hbs:4:23 storageClass
      environments/_fleet.yaml:9:15 fleet.storageClass Value
    prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.accessModes[0]
      templates/_partials/volume-claim.hbs:5:19 (literal)
    prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage
      templates/_partials/volume-claim.hbs:8:18 size
      environments/control.yaml:24:16 addons[name=kube-prometheus-stack].settings.storage Value
    ");
    let file = "argocd-apps/app/prometheus-agent/values.yaml";
    assert_snapshot!(explained(&World::platform(), file, &format!("{claim}.resources")), @"
    prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage
      templates/_partials/volume-claim.hbs:8:18 size
      templates/addons/prometheus-agent/addon.yaml:22:14 addons[name=prometheus-agent].settings.buffer Value
    ");
}

#[test]
fn a_value_out_of_a_loop_names_its_own_item() {
    let file = "argocd-apps/app/applicationset.yaml";
    assert_snapshot!(explained(&World::platform(), file, "spec.generators[0].list.elements[1]"), @"
    spec.generators[0].list.elements[1].name
      templates/cluster/applicationset.yaml.hbs:24:19 name
      templates/addons/prometheus-agent/addon.yaml:3:1 addons[name=prometheus-agent].name Value
    spec.generators[0].list.elements[1].release
      templates/cluster/applicationset.yaml.hbs:25:22 release
      templates/addons/prometheus-agent/addon.yaml:3:1 addons[name=prometheus-agent].release Value
    spec.generators[0].list.elements[1].namespace
      templates/cluster/applicationset.yaml.hbs:26:24 namespace
      templates/addons/prometheus-agent/addon.yaml:8:12 addons[name=prometheus-agent].namespace Value
    spec.generators[0].list.elements[1].repository
      templates/cluster/applicationset.yaml.hbs:27:25 chart.repository
      templates/addons/prometheus-agent/addon.yaml:4:15 addons[name=prometheus-agent].chart.repository Value
    spec.generators[0].list.elements[1].chart
      templates/cluster/applicationset.yaml.hbs:28:20 chart.name
      templates/addons/prometheus-agent/addon.yaml:5:9 addons[name=prometheus-agent].chart.name Value
    spec.generators[0].list.elements[1].version
      templates/cluster/applicationset.yaml.hbs:29:22 chart.version
      templates/addons/prometheus-agent/addon.yaml:6:12 addons[name=prometheus-agent].chart.version Value
    spec.generators[0].list.elements[1].serverSideApply
      templates/cluster/applicationset.yaml.hbs:30:30 serverSideApply
      templates/addons/prometheus-agent/addon.yaml:14:18 addons[name=prometheus-agent].serverSideApply Value
    spec.generators[0].list.elements[1].manifests
      templates/cluster/applicationset.yaml.hbs:32:24 (literal)
      templates/addons/prometheus-agent/addon.yaml:3:1 addons[name=prometheus-agent].manifests Value
    ");
}

#[test]
fn a_value_behind_a_condition_names_what_decides() {
    let file = "argocd-apps/control/applicationset.yaml";
    assert_snapshot!(explained(&World::platform(), file, "spec.template.spec.destination.name"), @"
    spec.template.spec.destination.name
      templates/_partials/destination-name.hbs:2:22 (literal)
      environments/control.yaml:3:1 cluster.hub Value
      environments/control.yaml:3:1 cluster.name Value
    ");
}

#[test]
fn a_key_with_dots_is_written_in_quotes() {
    let file = "argocd-apps/control/argo-cd/values.yaml";
    assert_snapshot!(explained(&World::platform(), file, "configs.rbac.\"policy.default\""), @r#"
    configs.rbac."policy.default"
      templates/addons/argo-cd/values.yaml.hbs:13:21 (literal)
    "#);
    assert_eq!(explained(&World::platform(), file, "configs.rbac.policy"), "nothing");
}

#[test]
fn an_override_is_where_its_value_comes_from() {
    let world = World::platform().and(CONTROL, "    values:\n      grafana:\n        replicas: 2\n");
    let file = "argocd-apps/control/kube-prometheus-stack/values.yaml";
    assert_snapshot!(explained(&world, file, "grafana.replicas"), @"
    grafana.replicas
      environments/control.yaml:27:19 addons.kube-prometheus-stack.values.grafana.replicas Value
    ");
    assert_snapshot!(reached(&world, CONTROL, "addons.kube-prometheus-stack.values"), @"
    environments/control.yaml:26:7
      argocd-apps/control/kube-prometheus-stack/values.yaml grafana.replicas
    ");
}

#[test]
fn a_default_of_a_folder_is_where_its_value_comes_from() {
    let world = World::platform()
        .and("templates/addons/metallb/values.yaml.hbs", "\nregion: {{cluster.labels.region}}\n");
    assert_snapshot!(explained(&world, "argocd-apps/app/metallb/values.yaml", "region"), @"
    region
      templates/addons/metallb/values.yaml.hbs:7:9 cluster.labels.region
      environments/_defaults.yaml:5:11 cluster.labels.region Value
    ");
    assert_snapshot!(reached(&world, "environments/_defaults.yaml", "labels.region"), @"
    environments/_defaults.yaml:5:11
      argocd-apps/app/metallb/values.yaml region
      argocd-apps/control/metallb/values.yaml region
    ");
    assert_snapshot!(reached(&world, "environments/_defaults.yaml", "labels"), @"
    environments/_defaults.yaml:5:3
      argocd-apps/app/metallb/values.yaml region
      argocd-apps/control/metallb/values.yaml region
    ");
}

#[test]
fn a_helper_hides_nothing() {
    let zone = "\nzone: {{default cluster.labels.zone \"none\"}}\n";
    let template = "templates/addons/metallb/values.yaml.hbs";
    let world = World::platform().and(template, zone).and(CONTROL, "\nlabels: {zone: a}\n");
    assert_snapshot!(explained(&world, "argocd-apps/control/metallb/values.yaml", "zone"), @r#"
    zone
      templates/addons/metallb/values.yaml.hbs:7:7 default cluster.labels.zone "none"
      environments/control.yaml:26:16 cluster.labels.zone Value
    "#);
    assert_snapshot!(explained(&world, "argocd-apps/app/metallb/values.yaml", "zone"), @r#"
    zone
      templates/addons/metallb/values.yaml.hbs:7:7 default cluster.labels.zone "none"
    "#);
}

#[test]
fn a_fact_of_a_hub_reaches_its_spokes() {
    assert_snapshot!(reached(&World::platform(), CONTROL, "addresses.prometheus"), @"
    environments/control.yaml:16:15
      argocd-apps/app/prometheus-agent/values.yaml prometheus.prometheusSpec.remoteWrite[0].url
      argocd-apps/control/kube-prometheus-stack/values.yaml prometheus.service.loadBalancerIP
    ");
}

#[test]
fn a_shared_fact_reaches_every_cluster_that_reads_it() {
    assert_snapshot!(reached(&World::platform(), "environments/_fleet.yaml", "ports.prometheus"), @"
    environments/_fleet.yaml:13:15
      argocd-apps/app/prometheus-agent/values.yaml prometheus.prometheusSpec.remoteWrite[0].url
      argocd-apps/control/kube-prometheus-stack/values.yaml prometheus.service.port
    ");
}

#[test]
fn a_setting_reaches_where_it_is_chosen_or_not() {
    let key = "addons.kube-prometheus-stack.settings.retention";
    assert_snapshot!(reached(&World::platform(), CONTROL, key), @"
    environments/control.yaml:23:18
      argocd-apps/control/kube-prometheus-stack/values.yaml prometheus.prometheusSpec.retention
    ");
    let addon = "templates/addons/prometheus-agent/addon.yaml";
    assert_snapshot!(reached(&World::platform(), addon, "settings.buffer.default"), @"
    templates/addons/prometheus-agent/addon.yaml:22:14
      argocd-apps/app/prometheus-agent/values.yaml prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage
    ");
}

#[test]
fn what_is_not_there_is_not_explained() {
    let world = World::platform();
    assert_eq!(explained(&world, "argocd-apps/app/metallb/values.yaml", "nothing"), "nothing");
    assert_eq!(explained(&world, "argocd-apps/eu/metallb/values.yaml", "frrk8s"), "nothing");
    assert_eq!(reached(&world, APP, "addresses"), "nothing");
    assert_eq!(reached(&world, "environments/eu.yaml", "hub"), "nothing");
}

#[test]
fn one_of_several_documents_is_chosen_by_its_number() {
    let map = |name| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let world = World::platform().with(
        "templates/addons/metallb/manifests/x.yaml.hbs",
        format!("{}---\n{}", map("a"), map("\"b-{{cluster.name}}\"")),
    );
    let file = "argocd-apps/app/metallb/manifests/x.yaml";
    assert_snapshot!(explained(&world, file, "metadata.name"), @"
    metadata.name
      templates/addons/metallb/manifests/x.yaml.hbs:3:18 (literal)
    metadata.name
      templates/addons/metallb/manifests/x.yaml.hbs:7:21 cluster.name
      environments/app.yaml:3:1 cluster.name Value
    ");
    assert_snapshot!(explained(&world, file, "[1].metadata.name"), @"
    metadata.name
      templates/addons/metallb/manifests/x.yaml.hbs:7:21 cluster.name
      environments/app.yaml:3:1 cluster.name Value
    ");
}

#[test]
fn the_json_form_is_stable() {
    let rendered = World::platform().render();
    let file = RepoPath::parse("argocd-apps/control/kube-prometheus-stack/values.yaml").unwrap();
    let found = explain(&rendered, &file, Some("prometheus.service.loadBalancerIP")).unwrap();
    assert_snapshot!(json(&found), @r#"
    [
      {
        "file": "argocd-apps/control/kube-prometheus-stack/values.yaml",
        "document": 0,
        "path": "prometheus.service.loadBalancerIP",
        "value": "192.168.64.102",
        "templates": [
          {
            "file": "templates/addons/kube-prometheus-stack/values.yaml.hbs",
            "line": 6,
            "column": 21,
            "expression": "cluster.addresses.prometheus"
          }
        ],
        "facts": [
          {
            "file": "environments/control.yaml",
            "line": 16,
            "column": 15,
            "fact": "cluster.addresses.prometheus",
            "value": "192.168.64.102",
            "influence": "value"
          }
        ]
      }
    ]
    "#);
    let Reach { reached, .. } =
        reach(&rendered, &RepoPath::parse(CONTROL).unwrap(), "addresses.argocd").unwrap();
    assert_snapshot!(json(&reached), @r#"
    [
      {
        "file": "argocd-apps/control/argo-cd/values.yaml",
        "path": "global.domain",
        "influence": "value"
      },
      {
        "file": "argocd-apps/control/argo-cd/values.yaml",
        "path": "server.service.loadBalancerIP",
        "influence": "value"
      }
    ]
    "#);
}

#[test]
fn what_is_reached_on_many_clusters_is_one_group() {
    let world = (1..=9).fold(World::platform(), |world, at| {
        let spoke = world.text(APP);
        let spoke = spoke.replace("10.245.", &format!("10.{at}.")).replace("10.97.", &format!("10.1{at}."));
        let spoke = spoke.replace("192.168.64.1", &format!("192.168.{at}.1"));
        world.with(&format!("environments/app-{at}.yaml"), spoke)
    });
    let rendered = world.render();
    let found =
        reach(&rendered, &RepoPath::parse("environments/_fleet.yaml").unwrap(), "ports.prometheus").unwrap();
    let groups = grouped(&found.reached);
    let agent = groups.iter().find(|group| group.file == "prometheus-agent/values.yaml").unwrap();
    assert_eq!(
        (agent.clusters.len(), agent.path.as_str()),
        (10, "prometheus.prometheusSpec.remoteWrite[0].url")
    );
}
