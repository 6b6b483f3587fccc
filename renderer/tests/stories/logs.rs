//! What Fluent Bit sends must be what Loki receives.

use insta::assert_snapshot;

use crate::world::World;

const LOKI: &str = "templates/addons/loki/values.yaml.hbs";
const FLUENT_BIT: &str = "templates/addons/fluent-bit/values.yaml.hbs";

/// The platform with Loki on the hub and Fluent Bit on the spoke.
fn platform() -> World {
    World::platform()
        .hub_address("loki", "192.168.64.104")
        .addon("loki", "loki", "control")
        .with(
            LOKI,
            "loki:
  auth_enabled: false
gateway:
  service:
    type: LoadBalancer
    loadBalancerIP: {{cluster.addresses.loki}}
    port: 3100
",
        )
        .addon("fluent-bit", "fluent-bit", "app")
        .with(
            FLUENT_BIT,
            "config:
  outputs: |
    # To the hub.
    [OUTPUT]
        Name    loki
        Match   kube.*
        Host    {{hub.addresses.loki}}
        Port    3100
        Labels  job=fluent-bit, cluster={{cluster.name}}
        tls     off
",
        )
}

#[test]
fn logs_that_arrive_are_no_problem() {
    assert_eq!(platform().problems(), "no problems");
}

#[test]
fn logs_sent_to_nobody_are_told_on_their_line() {
    assert_snapshot!(platform().edit(FLUENT_BIT, "hub.addresses.loki", "hub.addresses.grafana").problems(), @"
    templates/addons/fluent-bit/values.yaml.hbs:7:9: `http://192.168.64.101:3100/loki/api/v1/push` is not an endpoint for logs
      hint: hub `control` has `http://192.168.64.104:3100/loki/api/v1/push`; a machine outside the clusters is named in `_fleet.yaml`
    ");
    for (right, wrong) in [
        ("Port    3100", "Port    80"),
        ("tls     off", "tls     on"),
        ("Port    3100", "Port    3100\n        Uri     /api/push"),
        ("        Host    {{hub.addresses.loki}}\n", ""),
    ] {
        let problems = platform().edit(FLUENT_BIT, right, wrong).problems();
        assert!(problems.contains("is not an endpoint for"), "{problems}");
    }
}

#[test]
fn logs_need_a_tenant_where_the_hub_keeps_tenants_apart() {
    let world = platform().edit(LOKI, "auth_enabled: false", "auth_enabled: true");
    assert_snapshot!(world.problems(), @"
    templates/addons/fluent-bit/values.yaml.hbs:7:9: logs are sent to `http://192.168.64.104:3100/loki/api/v1/push` without a tenant, and hub `control` requires one
      hint: name one by `Tenant_id`, or set `loki.auth_enabled: false` on the hub
    ");
    let world = world.edit(FLUENT_BIT, "tls     off", "Tenant_id platform");
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn a_loki_without_an_address_is_told_where_it_is_deaf() {
    assert_snapshot!(platform().edit(LOKI, "LoadBalancer", "ClusterIP").problems(), @"
    templates/addons/loki/values.yaml.hbs:5:11: spokes cannot reach the endpoint for logs here
      hint: set `gateway.service.type: LoadBalancer`, and `loadBalancerIP` to an address of the pool
    ");
    let world = platform().edit(LOKI, "    loadBalancerIP: {{cluster.addresses.loki}}\n", "");
    assert_snapshot!(world.problems(), @"
    templates/addons/loki/values.yaml.hbs:5:5: spokes cannot reach the endpoint for logs here
      hint: set `gateway.service.loadBalancerIP` to an address of the pool
    ");
}

#[test]
fn logs_carry_the_name_of_their_cluster() {
    assert_snapshot!(platform().edit(FLUENT_BIT, ", cluster={{cluster.name}}", "").problems(), @"
    templates/addons/fluent-bit/values.yaml.hbs:9:9: logs of `app` carry no `cluster` label
      hint: write `cluster={{cluster.name}}` among the `Labels` of the output: the hub tells clusters apart by it
    ");
    assert_snapshot!(platform().edit(FLUENT_BIT, "cluster={{cluster.name}}", "cluster={{hub.name}}").problems(), @"
    templates/addons/fluent-bit/values.yaml.hbs:9:9: logs of `app` carry the label `cluster: control`
      hint: write `cluster={{cluster.name}}` among the `Labels` of the output: the hub tells clusters apart by it
    ");
}

#[test]
fn a_fluent_bit_without_outputs_of_its_own_is_told() {
    assert_snapshot!(platform().with(FLUENT_BIT, "kind: DaemonSet\n").problems(), @"
    templates/addons/fluent-bit/values.yaml.hbs:1:1: logs go to `elasticsearch-master`, as the chart does by default
      hint: write an `[OUTPUT]` with `Name loki` to `config.outputs`
    ");
}

#[test]
fn logs_may_go_to_a_host_name_or_into_something_else() {
    let elsewhere = platform().edit(FLUENT_BIT, "{{hub.addresses.loki}}", "logs.example.com");
    assert_eq!(
        elsewhere
            .edit("environments/control.yaml", "  loki: 192.168.64.104\n", "")
            .edit(LOKI, "{{cluster.addresses.loki}}", "192.168.64.104")
            .problems(),
        "no problems"
    );
    let world = platform()
        .with(FLUENT_BIT, "config:\n  outputs: |\n    [OUTPUT]\n        Name s3\n        bucket b\n");
    assert_eq!(world.problems(), "no problems");
}
