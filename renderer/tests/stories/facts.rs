//! What a cluster says of itself must fit what the others say.

use insta::assert_snapshot;

use crate::world::World;

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";
const DEFAULTS: &str = "environments/_defaults.yaml";
const FLEET: &str = "environments/_fleet.yaml";

fn platform() -> World {
    World::platform()
}

#[test]
fn the_shipped_repository_has_no_problems() {
    assert_eq!(platform().problems(), "no problems");
}

#[test]
fn an_address_outside_its_pool_is_told_once_where_it_is_given() {
    let world = platform().edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.99");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:16:15: address `192.168.64.99` is outside the pool `192.168.64.100-192.168.64.110` of `control`
      hint: choose an address of the pool, or widen `loadBalancer.pool`
    ");
}

#[test]
fn an_address_in_another_clusters_pool_says_whose_it_is() {
    let world = platform().edit(CONTROL, "grafana: 192.168.64.101", "grafana: 192.168.64.121");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:15:12: address `192.168.64.121` is outside the pool `192.168.64.100-192.168.64.110` of `control`
      hint: it lies in the pool of `app`; choose an address of this cluster's pool
    ");
}

#[test]
fn an_address_under_two_names_is_told_once() {
    let world = platform().edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.101");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:16:15: address `192.168.64.101` is given twice
      hint: it is also given at environments/control.yaml:15:12
    ");
}

#[test]
fn an_address_needs_a_pool() {
    let world = platform()
        .edit(CONTROL, "loadBalancer:\n  pool: 192.168.64.100-192.168.64.110\n", "")
        .edit(CONTROL, "  argocd: 192.168.64.100\n  grafana: 192.168.64.101\n", "  argocd: 192.168.64.100\n")
        .edit("templates/addons/kube-prometheus-stack/values.yaml.hbs", "{{cluster.addresses.grafana}}", "")
        .edit(
            "templates/addons/metallb/manifests/address-pool.yaml.hbs",
            "{{cluster.loadBalancer.pool}}",
            "a",
        );
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:12:11: address `argocd` and 2 more are given, but `control` has no pool
      hint: add `loadBalancer: {pool: first-last}`
    ");
}

#[test]
fn an_address_is_one() {
    assert_snapshot!(platform().edit(CONTROL, "grafana: 192.168.64.101", "grafana: grafana.local").problems(), @"
    environments/control.yaml:15:12: `grafana` must be an address, not `grafana.local`
      hint: a host name is not taken here: write the address that it leads to
    ");
}

#[test]
fn networks_of_two_clusters_must_not_overlap() {
    let world = platform().edit(CONTROL, "services: 10.96.0.0/16", "services: 10.96.0.0/12");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:7:13: service network `10.96.0.0/12` of `control` overlaps service network `10.97.0.0/16` of `app`
      hint: the other one is at environments/app.yaml:12:13; make them disjoint
    ");
}

#[test]
fn a_network_that_all_clusters_inherit_overlaps_once() {
    let inherit = |world: World, path| {
        let text = world.text(path);
        let (before, after) = text.split_once("  services: ").unwrap();
        let content = format!("{before}{}", after.split_once('\n').unwrap().1);
        world.with(path, content)
    };
    let world =
        inherit(inherit(platform(), APP), CONTROL).and(DEFAULTS, "\nnetworks:\n  services: 10.96.0.0/16\n");
    let eu =
        world.text(APP).replace("10.245", "10.246").replace(".120-192.168.64.140", ".150-192.168.64.160");
    assert_snapshot!(world.with("environments/eu.yaml", eu).problems(), @"
    environments/_defaults.yaml:13:13: service network `10.96.0.0/16` of `control` overlaps service network `10.96.0.0/16` of `app`
      hint: both take it from here; give each cluster its own, in its own file
    ");
}

#[test]
fn a_pool_must_not_lie_in_a_pod_network() {
    let world = platform().edit(APP, "pods: 10.245.0.0/16", "pods: 192.168.64.0/24");
    assert_snapshot!(world.problems(), @"
    environments/_fleet.yaml:18:14: machine `mysql` has address `192.168.64.21`, which lies in the pod network `192.168.64.0/24` of `app`
      hint: give it an address outside every pool and every cluster's networks
    environments/_fleet.yaml:20:14: machine `redis` has address `192.168.64.20`, which lies in the pod network `192.168.64.0/24` of `app`
      hint: give it an address outside every pool and every cluster's networks
    environments/app.yaml:15:9: address pool `192.168.64.120-192.168.64.140` of `app` overlaps pod network `192.168.64.0/24` of `app`
      hint: the other one is at environments/app.yaml:11:9; make them disjoint
    environments/control.yaml:10:9: address pool `192.168.64.100-192.168.64.110` of `control` overlaps pod network `192.168.64.0/24` of `app`
      hint: the other one is at environments/app.yaml:11:9; make them disjoint
    ");
}

#[test]
fn a_network_has_no_host_bits_and_a_pool_runs_upwards() {
    let world = platform().edit(APP, "pods: 10.245.0.0/16", "pods: 10.245.1.0/16").edit(
        APP,
        "pool: 192.168.64.120-192.168.64.140",
        "pool: 192.168.64.140-192.168.64.120",
    );
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:11:9: `pods` must be a network such as `10.244.0.0/16`, with no bits set after the prefix, not `10.245.1.0/16`
      hint: the network of that address is `10.245.0.0/16`
    environments/app.yaml:15:9: `pool` must be a range of addresses, the first before the last, or a network, not `192.168.64.140-192.168.64.120`
      hint: the first address comes first: `192.168.64.120-192.168.64.140`
    ");
}

#[test]
fn a_machine_stands_outside_pools_and_networks_with_an_address_of_its_own() {
    let world = platform().edit(FLEET, "192.168.64.21", "192.168.64.130").edit(
        FLEET,
        "    address: 192.168.64.20\n",
        "    address: 192.168.64.130\n  old:\n    address: 10.96.3.4\n",
    );
    assert_snapshot!(world.problems(), @"
    environments/_fleet.yaml:18:14: machine `mysql` has address `192.168.64.130`, which lies in the address pool `192.168.64.120-192.168.64.140` of `app`
      hint: give it an address outside every pool and every cluster's networks
    environments/_fleet.yaml:20:14: machine `redis` has address `192.168.64.130`, which lies in the address pool `192.168.64.120-192.168.64.140` of `app`
      hint: give it an address outside every pool and every cluster's networks
    environments/_fleet.yaml:20:14: machine `redis` has the same address as machine `mysql`, `192.168.64.130`
      hint: the other one is at environments/_fleet.yaml:18:14; give each its own address
    environments/_fleet.yaml:22:14: machine `old` has address `10.96.3.4`, which lies in the service network `10.96.0.0/16` of `control`
      hint: give it an address outside every pool and every cluster's networks
    ");
}

#[test]
fn an_unknown_hub_is_told_once_and_not_by_every_template() {
    assert_snapshot!(platform().edit(APP, "hub: control", "hub: controll").problems(), @"
    environments/app.yaml:4:6: unknown hub `controll`
      hint: did you mean `control`?
    ");
    assert_snapshot!(platform().edit(APP, "hub: control", "hub: zebra").problems(), @"
    environments/app.yaml:4:6: unknown hub `zebra`
      hint: known hubs: `control`
    ");
    assert_snapshot!(platform().edit(APP, "hub: control", "hub: Control_1").problems(), @"
    environments/app.yaml:4:6: `Control_1` is not a valid name
      hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    ");
}

#[test]
fn a_hub_is_a_control_cluster_of_its_own() {
    assert_snapshot!(platform().edit(APP, "hub: control", "hub: app").problems(), @"
    environments/app.yaml:4:6: `app` is not a hub
      hint: a hub has `role: control` and is its own hub
    ");
    let eu = "role: app\nhub: app\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\nloadBalancer: {pool: 10.9.9.1-10.9.9.9}\n";
    assert_snapshot!(platform().with("environments/eu.yaml", eu).problems(), @"
    environments/eu.yaml:2:6: `app` is not a hub
      hint: a hub has `role: control` and is its own hub
    ");
}

#[test]
fn an_app_cluster_names_its_hub() {
    assert_snapshot!(platform().edit(APP, "hub: control\n", "").problems(), @"
    environments/app.yaml:3:1: app cluster `app` names no `hub`
      hint: write `hub:` with the control cluster that collects its telemetry
    ");
}

#[test]
fn spokes_of_a_hub_that_cannot_be_read_are_not_blamed() {
    assert_snapshot!(platform().edit(CONTROL, "role: control", "role: controll").problems(), @"
    environments/control.yaml:3:7: `role` must be one of `control`, `app`
      hint: did you mean `control`?
    ");
    assert_snapshot!(platform().moved(CONTROL, "environments/control.yml").problems(), @"
    environments/control.yml:1:1: the file's name ends in `.yml` and is not read
      hint: rename it to `control.yaml`
    ");
}

#[test]
fn a_cluster_is_described_once() {
    let world = platform().with("environments/prod/app.yaml", platform().text(APP));
    assert_snapshot!(world.problems(), @"
    environments/prod/app.yaml:1:1: cluster `app` is described twice
      hint: it is also described by `environments/app.yaml`; rename or remove one
    ");
}

#[test]
fn a_misspelt_key_is_told_where_it_is_written() {
    assert_snapshot!(platform().edit(APP, "networks:", "network:").problems(), @"
    environments/app.yaml:10:1: unknown key `network`
      hint: did you mean `networks`?
    ");
    assert_snapshot!(platform().edit(DEFAULTS, "  controlPlane:", "  controlplane:").problems(), @"
    environments/_defaults.yaml:9:3: unknown key `controlplane`
      hint: did you mean `controlPlane`?
    ");
    assert_snapshot!(platform().edit(FLEET, "storageClass:", "storageclass:").problems(), @"
    environments/_fleet.yaml:9:1: unknown key `storageclass`
      hint: did you mean `storageClass`?
    ");
    let addon = "templates/addons/metallb/addon.yaml";
    assert_snapshot!(platform().edit(addon, "namespace:", "namespaces:").problems(), @"
    templates/addons/metallb/addon.yaml:8:1: unknown key `namespaces`
      hint: did you mean `namespace`?
    ");
}

#[test]
fn a_misspelt_key_of_an_address_is_told_where_it_is_missing() {
    assert_snapshot!(platform().edit(CONTROL, "  prometheus: 192", "  promeheus: 192").problems(), @"
    environments/control.yaml:16:3: no template reads address `promeheus`
      hint: did you mean `prometheus`? otherwise remove it
    ");
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_their_places() {
    let world = platform()
        .edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.99")
        .edit(APP, "services: 10.97.0.0/16", "services: 10.96.0.0/16")
        .edit(FLEET, "192.168.64.21", "192.168.64.20")
        .edit("templates/addons/metallb/manifests/advertisement.yaml.hbs", "ipAddressPools", "ipAdressPools")
        .with("environments/notes.txt", "");
    assert_snapshot!(world.problems(), @"
    environments/_fleet.yaml:20:14: machine `redis` has the same address as machine `mysql`, `192.168.64.20`
      hint: the other one is at environments/_fleet.yaml:18:14; give each its own address
    environments/control.yaml:7:13: service network `10.96.0.0/16` of `control` overlaps service network `10.96.0.0/16` of `app`
      hint: the other one is at environments/app.yaml:12:13; make them disjoint
    environments/control.yaml:16:15: address `192.168.64.99` is outside the pool `192.168.64.100-192.168.64.110` of `control`
      hint: choose an address of the pool, or widen `loadBalancer.pool`
    environments/notes.txt:1:1: nothing reads this file
      hint: a cluster is described in `<cluster>.yaml`; remove other files, or make them `.md`
    templates/addons/metallb/manifests/advertisement.yaml.hbs:11:3: unknown key `ipAdressPools` (on `app` and `control`)
      hint: did you mean `ipAddressPools`?
    ");
}
