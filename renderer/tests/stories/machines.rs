//! Machines below the clusters: what follows from facts about them, what is rendered for them, and what is refused.

use insta::assert_snapshot;

use super::world::{World, files};

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";
const FLEET: &str = "environments/_fleet.yaml";
const NODES: &str = "templates/infra/cluster/nodes.json.hbs";
const EACH: &str = "templates/infra/cluster/each/{machine}.yaml.hbs";
const HOSTS: &str = "templates/infra/fleet/hosts.hbs";

/// The small platform, on machines.
fn platform() -> World {
    World::platform()
        .edit(APP, "    count: 6\n", "    count: 2\n    addresses: [192.168.64.41-192.168.64.49, 192.168.64.60]\n    memory: 4Gi\n")
        .and(CONTROL, "machines:\n  controlPlane: {addresses: 192.168.64.11-192.168.64.13, workloads: true}\napiServer: {address: 192.168.64.10}\n")
        .and(FLEET, "nodeNetworks: [192.168.64.0/24]\n")
        .with(NODES, "nodes: {{cluster.nodes}}\n")
}

fn written(world: &World, path: &str) -> String {
    let found = files(&world.render()).into_iter().find(|(name, _)| name == path);
    found.unwrap_or_else(|| panic!("there is no `{path}`")).1
}

#[test]
fn nodes_take_the_first_of_their_addresses_in_order() {
    assert_snapshot!(written(&platform(), "infra/clusters/app/nodes.json"), @r#"
    {
      "//": "Rendered by Fleetwright from templates/infra/cluster/nodes.json.hbs; edit that file, not this one.",
      "nodes": [
        {
          "address": "192.168.64.41",
          "memory": "4Gi",
          "name": "app-worker-1",
          "role": "worker",
          "workloads": true
        },
        {
          "address": "192.168.64.42",
          "memory": "4Gi",
          "name": "app-worker-2",
          "role": "worker",
          "workloads": true
        }
      ]
    }
    "#);
    let more = platform().edit(APP, "count: 2", "count: 10");
    assert!(written(&more, "infra/clusters/app/nodes.json").contains("\"192.168.64.60\""));
}

#[test]
fn a_cluster_without_addresses_of_machines_renders_nothing_for_them() {
    let world = World::platform().with(NODES, "nodes: {{cluster.nodes}}\n");
    assert!(files(&world.render()).iter().all(|(path, _)| path.starts_with("argocd-apps/")));
}

#[test]
fn a_template_is_rendered_for_each_machine_and_keeps_a_mark_in_its_first_line() {
    let world = platform().with(EACH, "#cloud-config\n# A comment.\nname: {{machine.name}}\n");
    assert_snapshot!(written(&world, "infra/clusters/app/each/app-worker-2.yaml"), @"
    #cloud-config
    # Rendered by Fleetwright from templates/infra/cluster/each/{machine}.yaml.hbs; edit that file, not this one.
    name: app-worker-2
    ");
    let count = files(&world.render()).iter().filter(|(path, _)| path.contains("/each/")).count();
    assert_eq!(count, 5, "two workers of one cluster, three control planes of the other");
}

#[test]
fn the_files_of_the_fleet_see_all_clusters_and_the_machines_that_are_made() {
    let world = platform()
        .edit(FLEET, "    address: 192.168.64.21\n", "    address: 192.168.64.21\n    engine: mysql\n")
        .with(HOSTS, "{{#each clusters}}{{#each nodes}}\n- \"{{address}} {{name}}\"\n{{/each}}{{/each}}\n")
        .with(
            "templates/infra/fleet/{machine}.yaml.hbs",
            "engine: {{machine.engine}}\nname: {{machine.name}}\n",
        );
    assert_snapshot!(written(&world, "infra/fleet/hosts"), @"
    # Rendered by Fleetwright from templates/infra/fleet/hosts.hbs; edit that file, not this one.
    192.168.64.41 app-worker-1
    192.168.64.42 app-worker-2
    192.168.64.11 control-control-plane-1
    192.168.64.12 control-control-plane-2
    192.168.64.13 control-control-plane-3
    ");
    let rendered = files(&world.render());
    let fleet: Vec<_> = rendered.iter().filter(|(path, _)| path.starts_with("infra/fleet/")).collect();
    assert_eq!(fleet.len(), 2, "redis has no engine: {fleet:?}");
    let changed = world.edit(APP, "count: 2", "count: 1");
    assert!(!written(&changed, "infra/fleet/hosts").contains("app-worker-2"), "a fact of a spoke");
}

#[test]
fn a_text_file_is_a_list_of_its_lines_and_no_value_adds_one() {
    let world = platform()
        .edit(APP, "role: app\n", "role: app\nlabels: {note: \"a\\nb\"}\n")
        .with(HOSTS, "{{#each clusters}}\n- \"# {{default labels.note \"none\"}}\"\n{{/each}}\n- 5\n");
    assert_snapshot!(world.problems(), @r#"
    templates/infra/fleet/hosts.hbs:2:6: a text file is a list of its lines
      hint: write `- "line"` for each line; a number is quoted
    templates/infra/fleet/hosts.hbs:4:3: a text file is a list of its lines
      hint: write `- "line"` for each line; a number is quoted
    "#);
    assert_snapshot!(platform().with(NODES, "- a\n").problems(), @"
    templates/infra/cluster/nodes.json.hbs:1:1: a JSON file is one map (on `app` and `control`)
      hint: write `key: value` lines
    ");
}

#[test]
fn a_node_stands_apart_from_all_else_that_has_an_address() {
    let world = platform()
        .edit(APP, "[192.168.64.41-192.168.64.49, 192.168.64.60]", "[192.168.64.12, 192.168.64.125]")
        .edit(CONTROL, "address: 192.168.64.10", "address: 192.168.64.11")
        .edit(FLEET, "192.168.64.20", "192.168.64.13");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:9:16: machine `app-worker-2` has address `192.168.64.125`, which lies in the address pool `192.168.64.120-192.168.64.140` of `app`
      hint: give it an address outside every pool and every cluster's networks
    environments/control.yaml:26:29: machine `control-control-plane-1` has the same address as the API server of `control`, `192.168.64.11`
      hint: that of the API server, at environments/control.yaml:27:22, moves from node to node; give it another one
    ");
}

#[test]
fn a_node_stands_in_a_network_of_nodes_and_a_group_has_enough_addresses() {
    let world = platform().edit(APP, "[192.168.64.41-192.168.64.49, 192.168.64.60]", "10.9.0.1").edit(
        CONTROL,
        "192.168.64.11-192.168.64.13",
        "192.168.64.11-192.168.64.12",
    );
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:9:16: machine `app-worker-1` has address `10.9.0.1`, which lies in none of `nodeNetworks`
      hint: give it an address of one, or add its network to `environments/_fleet.yaml`
    environments/control.yaml:26:29: there are 2 addresses for 3 machines
      hint: give more addresses, or a smaller `count`
    ");
}

#[test]
fn what_is_placed_needs_a_machine_that_takes_workloads() {
    let world = platform().edit(CONTROL, ", workloads: true", "");
    assert_snapshot!(world.problems(), @"
    environments/control.yaml:26:17: no machine of `control` takes workloads, but add-on `argo-cd` and 2 more runs there
      hint: write `workloads: true` there, or give the cluster workers
    ");
}

#[test]
fn an_amount_has_a_unit_and_a_version_three_parts() {
    let world =
        platform().edit(APP, "memory: 4Gi", "memory: 4GB").and(CONTROL, "kubernetes: {version: \"1.36\"}\n");
    assert_snapshot!(world.problems(), @"
    environments/app.yaml:10:13: `4GB` is not a valid `memory`
      hint: write a whole number of `Mi`, `Gi` or `Ti`, such as `4Gi`
    environments/control.yaml:28:23: `1.36` is not a valid `version`
      hint: write all three parts, such as `1.36.3`
    ");
}
