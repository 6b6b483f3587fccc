//! A signal and the add-ons that receive and send it are described by data alone.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::world::World;

const STORE: &str = "templates/addons/pyroscope/addon.yaml";
const STORE_VALUES: &str = "templates/addons/pyroscope/values.yaml.hbs";
const AGENT: &str = "templates/addons/profiler/addon.yaml";
const AGENT_VALUES: &str = "templates/addons/profiler/values.yaml.hbs";
const CONTROL: &str = "environments/control.yaml";

const RECEIVES: &str = "receives:
  profiles:
    requires:
      - {value: ingest.enabled}
    exposed: {service: service}
    endpoints:
      - scheme: http
        tls: {value: tls.enabled}
        port: {value: service.port, default: 4040}
        path: /push
    tenant: {value: multitenancy}
provides:
  services:
    - name: <fullName>
      ports: [{value: service.port, default: 4040}]
";

const SENDS: &str = "sends:
  profiles:
    targets:
      - {each: outputs, url: address, scheme: http, path: /push, tenant: tenant}
    clusterLabel: labels.cluster
    login: {value: account, prefix: cluster-}
";

/// The platform with a store of profiles on the hub and what sends them on the spoke: a signal that no code knows.
fn platform() -> World {
    World::platform()
        .hub_address("profiles", "192.168.64.104")
        .addon("pyroscope", "pyroscope", "control")
        .and(STORE, RECEIVES)
        .with(
            STORE_VALUES,
            "ingest: {enabled: true}
service:
  type: LoadBalancer
  loadBalancerIP: {{cluster.addresses.profiles}}
",
        )
        .addon("profiler", "profiler", "app")
        .and(AGENT, SENDS)
        .with(
            AGENT_VALUES,
            "outputs:
  hub:
    address: \"{{hub.addresses.profiles}}:4040\"
labels:
  cluster: {{cluster.name}}
account: cluster-{{cluster.name}}
",
        )
}

#[test]
fn a_signal_of_ones_own_that_arrives_is_no_problem() {
    assert_eq!(platform().problems(), "no problems");
    let rendered = platform().render();
    let sends: BTreeSet<_> = rendered.clusters.values().flat_map(|cluster| cluster.sends()).collect();
    assert!(sends.contains(&("profiles", "http://192.168.64.104:4040/push")), "{sends:?}");
}

#[test]
fn a_signal_of_ones_own_that_is_sent_elsewhere_is_told() {
    assert_snapshot!(platform().edit(AGENT_VALUES, ":4040", ":4041").problems(), @"
    templates/addons/profiler/values.yaml.hbs:3:15: `http://192.168.64.104:4041/push` is not an endpoint for profiles
      hint: hub `control` has `http://192.168.64.104:4040/push`; a machine outside the clusters is named in `_fleet.yaml`
    ");
    let moved = platform().and(STORE_VALUES, "  port: 4041\n");
    assert_eq!(moved.edit(AGENT_VALUES, ":4040", ":4041").problems(), "no problems");
    let encrypted = platform().and(STORE_VALUES, "tls: {enabled: true}\n");
    assert!(encrypted.problems().contains("hub `control` has `https://192.168.64.104:4040/push`"));
    let without = platform().edit(CONTROL, "addons:\n", "addons:\n  pyroscope: {enabled: false}\n");
    assert!(without.problems().contains("hint: hub `control` runs no add-on that receives profiles"));
}

#[test]
fn a_service_is_there_where_its_conditions_hold() {
    let said = "    - name: <fullName>-cache\n      when: [{value: caching}]\n";
    let off =
        platform().and(STORE, said).and(STORE_VALUES, "cache: http://pyroscope-cache.pyroscope.svc:80\n");
    let problems = off.clone().problems();
    assert!(problems.contains("nothing of `control` is called `pyroscope-cache`"), "{problems}");
    assert_eq!(off.and(STORE_VALUES, "caching: true\n").problems(), "no problems");
}

#[test]
fn a_receiver_that_spokes_cannot_reach_is_told_where_it_is_described() {
    assert_snapshot!(platform().edit(STORE_VALUES, "LoadBalancer", "ClusterIP").problems(), @"
    templates/addons/pyroscope/values.yaml.hbs:3:9: spokes cannot reach the endpoint for profiles here
      hint: set `service.type: LoadBalancer`, and `loadBalancerIP` to an address of the pool
    ");
    assert_snapshot!(platform().edit(STORE_VALUES, "ingest: {enabled: true}\n", "").problems(), @"
    templates/addons/pyroscope/values.yaml.hbs:1:1: spokes cannot reach the endpoint for profiles here
      hint: set `ingest.enabled: true`
    ");
}

#[test]
fn a_tenant_a_label_and_a_login_are_judged_by_data_too() {
    assert_snapshot!(platform().and(STORE_VALUES, "multitenancy: true\n").problems(), @"
    templates/addons/profiler/values.yaml.hbs:3:15: profiles are sent to `http://192.168.64.104:4040/push` without a tenant, and hub `control` requires one
      hint: name one by `tenant`, or set `multitenancy: false` on the hub
    ");
    let named = platform().and(STORE_VALUES, "multitenancy: true\n");
    let named = named.edit(AGENT_VALUES, "  hub:\n", "  hub:\n    tenant: platform\n");
    assert_eq!(named.problems(), "no problems");
    assert_snapshot!(platform().edit(AGENT_VALUES, "  cluster: {{cluster.name}}", "  cluster: {{hub.name}}").problems(), @"
    templates/addons/profiler/values.yaml.hbs:5:12: profiles of `app` carry the label `cluster: control`
      hint: set `labels.cluster` to `{{cluster.name}}`: the hub tells clusters apart by it
    ");
    assert_snapshot!(platform().edit(AGENT_VALUES, "account: cluster-", "account: ").problems(), @"
    templates/addons/profiler/values.yaml.hbs:6:10: `app` does not begin with `cluster-`
      hint: write `cluster-app`
    ");
}

#[test]
fn a_receiver_may_be_exposed_by_something_else_at_an_address_of_the_facts() {
    let world = platform()
        .edit(STORE, "exposed: {service: service}", "exposed: {address: profiles}")
        .with(STORE_VALUES, "ingest: {enabled: true}\nurl: http://{{cluster.addresses.profiles}}\n");
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.edit(STORE, "{address: profiles}", "{address: profile}").problems(), @"
    templates/addons/pyroscope/addon.yaml:8:24: `control` has no address `profile`
      hint: did you mean `profiles`?
    ");
}

#[test]
fn services_of_a_described_chart_are_known_by_name_and_port() {
    let world = platform()
        .addon("user", "some-chart", "control")
        .with("templates/addons/user/values.yaml.hbs", "url: http://pyroscope.pyroscope.svc:4040\n");
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.clone().and(STORE_VALUES, "  port: 80\n").edit(AGENT_VALUES, ":4040", ":80").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: Service `pyroscope` of the namespace `pyroscope` has no port `4040`
      hint: its ports: `80`
    ");
    assert_snapshot!(world.and(STORE_VALUES, "nameOverride: store\n").problems(), @"
    templates/addons/user/values.yaml.hbs:1:6: nothing of `control` is called `pyroscope` in the namespace `pyroscope`
      hint: did you mean `pyroscope-store`?
    ");
}

#[test]
fn a_description_that_can_not_be_true_is_told_where_it_is_written() {
    assert_snapshot!(platform().edit(STORE, "    requires:", "    require:").problems(), @"
    templates/addons/pyroscope/addon.yaml:6:5: unknown key `require`
      hint: did you mean `requires`?
    ");
    assert_snapshot!(platform().edit(STORE, "exposed: {service: service}", "exposed: {}").problems(), @"templates/addons/pyroscope/addon.yaml:8:14: missing one of the keys `service`, `address`");
    assert_snapshot!(platform().edit(STORE, "port: {value: service.port, default: 4040}\n        path", "port: {value: service.port}\n        path").problems(), @"templates/addons/pyroscope/addon.yaml:12:15: missing key `default`");
    assert_snapshot!(platform().edit(AGENT, "    targets:", "    reader: fluentbit\n    targets:").problems(), @"
    templates/addons/profiler/addon.yaml:6:13: there is no reader `fluentbit`
      hint: did you mean `fluent-bit`?
    ");
    assert_snapshot!(platform().edit(AGENT, "clusterLabel: labels.cluster", "clusterLabel: labels cluster").problems(), @"
    templates/addons/profiler/addon.yaml:8:19: `labels cluster` is not a valid `clusterLabel`
      hint: write keys with dots between them, such as `service.port`; one with a dot in it stands in quotes
    ");
}

#[test]
fn a_description_names_values_that_the_locked_chart_takes() {
    let hub = "templates/addons/kube-prometheus-stack/addon.yaml";
    let port = "        port: {value: prometheus.service.port, default: 9090}";
    let world = World::locked();
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.clone().edit(hub, port, "        port: {value: prometheus.service.prot, default: 9090}").problems(), @"
    templates/addons/kube-prometheus-stack/addon.yaml:76:23: unknown key `prometheus.service.prot`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `prometheus.service.port`?
    ");
    let target = "{each: prometheus.prometheusSpec.remoteWrite, url: url, tenant: headers.X-Scope-OrgID}";
    assert_snapshot!(world.edit(hub, target, "{each: prometheus.prometheusSpec.remoteWrites, url: url}").problems(), @"
    templates/addons/kube-prometheus-stack/addon.yaml:85:16: unknown key `prometheus.prometheusSpec.remoteWrites`: chart `kube-prometheus-stack` 88.5.3 has no such key
      hint: did you mean `prometheus.prometheusSpec.remoteWrite`?
    ");
}
