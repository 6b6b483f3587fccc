//! What OpenTelemetry collectors send must be what Tempo receives.

use insta::assert_snapshot;

use crate::world::World;

const TEMPO: &str = "templates/addons/tempo/values.yaml.hbs";
const COLLECTOR: &str = "templates/addons/collector/values.yaml.hbs";

/// The platform with Tempo on the hub and a collector on the spoke.
fn platform() -> World {
    World::platform()
        .hub_address("tempo", "192.168.64.105")
        .addon("tempo", "tempo", "control")
        .with(TEMPO, "service:\n  type: LoadBalancer\n  loadBalancerIP: {{cluster.addresses.tempo}}\n")
        .addon("collector", "opentelemetry-collector", "app")
        .with(
            COLLECTOR,
            "config:
  processors:
    resource:
      attributes:
        - key: k8s.cluster.name
          value: {{cluster.name}}
          action: upsert
  exporters:
    otlp/hub:
      endpoint: \"{{hub.addresses.tempo}}:4317\"
      tls:
        insecure: true
  service:
    pipelines:
      traces:
        processors: [memory_limiter, resource, batch]
        exporters: [otlp/hub, debug]
",
        )
}

fn other_exporter(exporter: &str) -> World {
    let exporters = "    otlp/hub:\n      endpoint: \"{{hub.addresses.tempo}}:4317\"\n      tls:\n        insecure: true\n";
    platform().edit(COLLECTOR, exporters, exporter)
}

#[test]
fn traces_that_arrive_are_no_problem() {
    assert_eq!(platform().problems(), "no problems");
    let http = "    otlphttp:\n      endpoint: http://{{hub.addresses.tempo}}:4318/\n";
    assert_eq!(other_exporter(http).edit(COLLECTOR, "[otlp/hub,", "[otlphttp,").problems(), "no problems");
    let url = "    otlp/hub:\n      endpoint: http://{{hub.addresses.tempo}}:4317\n";
    assert_eq!(other_exporter(url).problems(), "no problems");
}

#[test]
fn traces_sent_to_nobody_are_told() {
    assert_snapshot!(platform().edit(COLLECTOR, "hub.addresses.tempo", "hub.addresses.grafana").problems(), @"
    templates/addons/collector/values.yaml.hbs:10:18: `grpc://192.168.64.101:4317` is not an endpoint for traces
      hint: hub `control` has `grpc://192.168.64.105:4317`, `http://192.168.64.105:4318/v1/traces`; a machine outside the clusters is named in `_fleet.yaml`
    ");
    for (right, wrong) in [(":4317", ":4318"), ("        insecure: true", "        insecure: false")] {
        let problems = platform().edit(COLLECTOR, right, wrong).problems();
        assert!(problems.contains("is not an endpoint for"), "{problems}");
    }
}

#[test]
fn a_tempo_that_wants_certificates_does_not_listen_in_plain_text() {
    let tls = "tempo:\n  receivers:\n    otlp:\n      protocols:\n        grpc:\n          tls: {cert_file: /tls/tls.crt}\n";
    let world = platform().and(TEMPO, tls);
    assert_snapshot!(world.problems(), @"
    templates/addons/collector/values.yaml.hbs:10:18: `grpc://192.168.64.105:4317` is not an endpoint for traces
      hint: hub `control` has `grpcs://192.168.64.105:4317`, `http://192.168.64.105:4318/v1/traces`; a machine outside the clusters is named in `_fleet.yaml`
    ");
    assert_eq!(
        world.edit(COLLECTOR, "        insecure: true", "        insecure: false").problems(),
        "no problems"
    );
}

#[test]
fn a_tempo_that_can_not_be_reached_is_told_where_it_is_deaf() {
    assert_snapshot!(platform().edit(TEMPO, "LoadBalancer", "ClusterIP").problems(), @"
    templates/addons/tempo/values.yaml.hbs:2:9: spokes cannot reach the endpoint for traces here
      hint: set `service.type: LoadBalancer`, and `loadBalancerIP` to an address of the pool
    ");
    let local = "tempo:\n  receivers:\n    otlp:\n      protocols:\n        grpc: {endpoint: \"localhost:4317\"}\n        http:\n";
    assert_snapshot!(platform().and(TEMPO, local).problems(), @"
    templates/addons/tempo/values.yaml.hbs:8:26: spokes cannot reach the endpoint for traces here
      hint: let it listen on port `4317` of every address: the Service leads there
    ");
}

#[test]
fn an_exporter_must_be_in_a_pipeline() {
    assert_snapshot!(platform().edit(COLLECTOR, "exporters: [otlp/hub, debug]", "exporters: [debug]").problems(), @"
    templates/addons/collector/values.yaml.hbs:9:5: exporter `otlp/hub` is in no pipeline, so that nothing is sent to it
      hint: name it in `config.service.pipelines.traces.exporters`
    ");
}

#[test]
fn an_exporter_that_a_pipeline_names_must_be_defined() {
    assert_snapshot!(platform().edit(COLLECTOR, "[otlp/hub, debug]", "[debug, otlp/hub, otlp/tempo]").problems(), @"
    templates/addons/collector/values.yaml.hbs:17:38: pipeline `traces` names the exporter `otlp/tempo`, which is not defined
      hint: define it in `config.exporters`
    ");
}

#[test]
fn traces_need_a_tenant_where_the_hub_keeps_tenants_apart() {
    let world = platform().and(TEMPO, "tempo:\n  multitenancyEnabled: true\n");
    assert_snapshot!(world.problems(), @"
    templates/addons/collector/values.yaml.hbs:10:18: traces are sent to `grpc://192.168.64.105:4317` without a tenant, and hub `control` requires one
      hint: name one by the header `X-Scope-OrgID`, or set `tempo.multitenancyEnabled: false` on the hub
    ");
    let header = "        insecure: true\n      headers: {X-Scope-OrgID: platform}\n";
    assert_eq!(world.edit(COLLECTOR, "        insecure: true\n", header).problems(), "no problems");
}

#[test]
fn traces_carry_the_name_of_their_cluster() {
    assert_snapshot!(platform().edit(COLLECTOR, "value: {{cluster.name}}", "value: {{hub.name}}").problems(), @"
    templates/addons/collector/values.yaml.hbs:6:18: traces of `app` carry the label `cluster: control`
      hint: insert the attribute `cluster` with `{{cluster.name}}` by a `resource` processor of the pipeline: the hub tells clusters apart by it
    ");
    let unused = platform().edit(COLLECTOR, "memory_limiter, resource, batch", "memory_limiter, batch");
    assert_snapshot!(unused.problems(), @"
    templates/addons/collector/values.yaml.hbs:3:5: traces of `app` carry no `cluster` label
      hint: insert the attribute `cluster` with `{{cluster.name}}` by a `resource` processor of the pipeline: the hub tells clusters apart by it
    ");
    let other = platform().edit(COLLECTOR, "memory_limiter, resource, batch", "transform, batch");
    let other = other.edit(
        COLLECTOR,
        "  processors:\n    resource:",
        "  processors:\n    transform: {}\n    resource:",
    );
    assert_eq!(other.problems(), "no problems");
}
