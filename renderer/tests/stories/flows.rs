//! What clusters send to each other, and what they expose.

use insta::assert_snapshot;

use crate::world::World;

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";
const AGENT: &str = "templates/addons/prometheus-agent/values.yaml.hbs";
const HUB: &str = "templates/addons/kube-prometheus-stack/values.yaml.hbs";
const URL: &str = "http://{{hub.addresses.prometheus}}:{{fleet.ports.prometheus}}/api/v1/write";

fn platform() -> World {
    World::platform()
}

fn sending_to(url: &str) -> World {
    let over = format!(
        "\naddons:\n  prometheus-agent:\n    values:\n      prometheus:\n        prometheusSpec:\n          remoteWrite:\n            - url: {url}\n"
    );
    platform().and(APP, &over)
}

fn hub_with(values: &str) -> World {
    platform().and(CONTROL, &format!("    values:\n{values}"))
}

#[test]
fn metrics_sent_to_nobody_are_told_where_the_override_stands() {
    assert_snapshot!(sending_to("http://192.168.64.99:9090/api/v1/write").problems(), @"
    environments/app.yaml:23:20: `http://192.168.64.99:9090/api/v1/write` is not an endpoint for metrics
      hint: hub `control` has `http://192.168.64.102:9090/api/v1/write`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}

#[test]
fn metrics_sent_to_a_wrong_port_path_or_scheme_are_told_in_the_template() {
    for wrong in [
        URL.replace("{{fleet.ports.prometheus}}", "9091"),
        URL.replace("write", "wirte"),
        URL.replace("http:", "https:"),
    ] {
        let problems = platform().edit(AGENT, URL, &wrong).problems();
        assert!(problems.contains("is not an endpoint for"), "{problems}");
        assert!(
            problems.contains("hub `control` has `http://192.168.64.102:9090/api/v1/write`"),
            "{problems}"
        );
    }
    assert_snapshot!(platform().edit(AGENT, URL, &URL.replace("write", "wirte")).problems(), @"
    templates/addons/prometheus-agent/values.yaml.hbs:11:21: `http://192.168.64.102:9090/api/v1/wirte` is not an endpoint for metrics
      hint: hub `control` has `http://192.168.64.102:9090/api/v1/write`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}

#[test]
fn a_default_port_may_be_written_or_left_out() {
    let world = platform().edit("environments/_fleet.yaml", "prometheus: 9090", "prometheus: 80");
    let url = URL.replace(":{{fleet.ports.prometheus}}", "");
    assert_eq!(world.edit(AGENT, URL, &url).problems(), "no problems");
}

#[test]
fn a_hub_that_does_not_receive_is_told_once_where_it_is_deaf() {
    let off = "      prometheus:\n        prometheusSpec:\n          enableRemoteWriteReceiver: false\n";
    assert_snapshot!(hub_with(off).problems(), @"
    environments/control.yaml:28:38: spokes cannot reach the endpoint for metrics here
      hint: set `prometheus.prometheusSpec.enableRemoteWriteReceiver: true`
    ");
    let private = "      prometheus:\n        service:\n          type: ClusterIP\n";
    assert_snapshot!(hub_with(private).problems(), @"
    environments/control.yaml:28:17: spokes cannot reach the endpoint for metrics here
      hint: set `prometheus.service.type: LoadBalancer`, and `loadBalancerIP` to an address of the pool
    ");
    assert_snapshot!(hub_with("").edit(CONTROL, "    values:\n", "    enabled: false\n").problems(), @"
    templates/addons/prometheus-agent/values.yaml.hbs:11:21: `http://192.168.64.102:9090/api/v1/write` is not an endpoint for metrics
      hint: hub `control` runs no add-on that receives metrics
    ");
}

#[test]
fn metrics_may_go_to_a_host_name_or_to_a_machine_outside_the_clusters() {
    assert_eq!(sending_to("https://metrics.example.com/api/v1/write").problems(), "no problems");
    assert_eq!(sending_to("http://192.168.64.20:8428/api/v1/write").problems(), "no problems");
}

#[test]
fn a_second_remote_write_is_judged_like_the_first() {
    let over = "\naddons:\n  prometheus-agent:\n    values:\n      prometheus:\n        prometheusSpec:\n          additionalRemoteWrite:\n            - url: http://192.168.64.103:9090/api/v1/write\n";
    assert_snapshot!(platform().and(APP, over).problems(), @"
    environments/app.yaml:23:20: `http://192.168.64.103:9090/api/v1/write` is not an endpoint for metrics
      hint: hub `control` has `http://192.168.64.102:9090/api/v1/write`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}

fn second_hub() -> World {
    let eu = platform()
        .text(CONTROL)
        .replace("10.244", "10.250")
        .replace("10.96", "10.251")
        .replace("192.168.64.1", "192.168.65.1");
    platform().with("environments/eu.yaml", eu)
}

#[test]
fn metrics_must_go_to_the_clusters_own_hub() {
    assert_eq!(second_hub().problems(), "no problems");
    let world = second_hub().edit(AGENT, "{{hub.addresses.prometheus}}", "192.168.65.102");
    assert_snapshot!(world.problems(), @"
    templates/addons/prometheus-agent/values.yaml.hbs:11:36: `http://192.168.65.102:9090/api/v1/write` is the endpoint for metrics of `eu` and not of the hub
      hint: hub `control` has `http://192.168.64.102:9090/api/v1/write`; a machine outside the clusters is named in `_fleet.yaml`
    ");
}

#[test]
fn a_hub_may_send_to_another_hub() {
    let over = "      prometheus:\n        prometheusSpec:\n          remoteWrite:\n            - url: http://192.168.65.102:9090/api/v1/write\n";
    assert_eq!(second_hub().and(CONTROL, &format!("    values:\n{over}")).problems(), "no problems");
}

#[test]
fn a_prometheus_that_is_turned_off_neither_sends_nor_listens() {
    let over = "\naddons:\n  prometheus-agent:\n    values:\n      prometheus:\n        enabled: false\n        prometheusSpec:\n          remoteWrite: [{url: \"http://10.0.0.1/\"}]\n          externalLabels: {cluster: x}\n";
    assert_eq!(platform().and(APP, over).problems(), "no problems");
}

#[test]
fn a_hub_may_ask_for_its_address_by_an_annotation() {
    let world = platform().edit(
        HUB,
        "    loadBalancerIP: {{cluster.addresses.prometheus}}\n",
        "    annotations:\n      metallb.io/loadBalancerIPs: \"{{cluster.addresses.prometheus}}\"\n",
    );
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn metrics_carry_the_name_of_their_cluster() {
    let label = "    externalLabels:\n      cluster: {{cluster.name}}\n";
    assert_snapshot!(platform().edit(AGENT, label, "").problems(), @"
    templates/addons/prometheus-agent/values.yaml.hbs:10:5: metrics of `app` carry no `cluster` label
      hint: set `prometheus.prometheusSpec.externalLabels.cluster` to `{{cluster.name}}`: the hub tells clusters apart by it
    ");
    assert_snapshot!(platform().edit(AGENT, label, "    externalLabels:\n      cluster: {{hub.name}}\n").problems(), @"
    templates/addons/prometheus-agent/values.yaml.hbs:16:16: metrics of `app` carry the label `cluster: control`
      hint: set `prometheus.prometheusSpec.externalLabels.cluster` to `{{cluster.name}}`: the hub tells clusters apart by it
    ");
}

#[test]
fn an_exposed_address_lies_in_the_pool_even_through_an_override() {
    let over = "      grafana:\n        service:\n          loadBalancerIP: 192.168.64.200\n";
    assert_snapshot!(hub_with(over).problems(), @"
    environments/control.yaml:28:27: address `192.168.64.200` is outside the pool `192.168.64.100-192.168.64.110` of `control`
      hint: the Service would stay pending; choose an address of the pool
    ");
    let over = "      grafana:\n        service:\n          loadBalancerIP: grafana.local\n";
    assert_snapshot!(hub_with(over).problems(), @"
    environments/control.yaml:28:27: `grafana.local` is not an address
      hint: a host name is not taken here: write the address that it leads to
    ");
    let over = "\naddons:\n  metallb:\n    values:\n      x:\n        annotations:\n          metallb.io/loadBalancerIPs: 192.168.64.120, 192.168.64.141\n";
    assert_snapshot!(platform().and(APP, over).problems(), @"
    environments/app.yaml:22:39: address `192.168.64.141` is outside the pool `192.168.64.120-192.168.64.140` of `app`
      hint: the Service would stay pending; choose an address of the pool
    ");
}

#[test]
fn an_address_is_exposed_once() {
    let world = platform().edit(HUB, "{{cluster.addresses.alertmanager}}", "{{cluster.addresses.argocd}}");
    let world = world.edit(CONTROL, "  alertmanager: 192.168.64.103\n", "");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:14:11: address `192.168.64.100` is exposed twice on `control`
      hint: `argocd-apps/control/argo-cd/values.yaml` asks for it, too; give each Service its own address
    ");
}

#[test]
fn services_may_agree_to_share_an_address_and_one_may_name_it_twice() {
    let share =
        "      annotations: {metallb.io/allow-shared-ip: web}\n      loadBalancerIP: 192.168.64.130\n";
    let both = "    three:\n      annotations: {metallb.io/loadBalancerIPs: 192.168.64.131}\n      loadBalancerIP: 192.168.64.131\n";
    let world = platform().and(
        "templates/addons/metallb/values.yaml.hbs",
        &format!(
            "{{{{#if (eq cluster.name \"app\")}}}}\nx:\n    one:\n{share}    two:\n{share}{both}{{{{/if}}}}\n"
        ),
    );
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn an_address_in_a_later_document_counts() {
    let service = |name| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer, loadBalancerIP: 192.168.64.130}}\n"
        )
    };
    let manifest =
        format!("{{{{#if (eq cluster.name \"app\")}}}}\n{}---\n{}{{{{/if}}}}\n", service("a"), service("b"));
    assert_snapshot!(platform().with("templates/addons/metallb/manifests/x.yaml.hbs", manifest).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:10:44: address `192.168.64.130` is exposed twice on `app`
      hint: `argocd-apps/app/metallb/manifests/x.yaml` asks for it, too; give each Service its own address
    ");
}
