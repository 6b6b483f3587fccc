//! Groups of clusters: each cluster is in one, and templates know nothing of them.

use fleetwright_renderer::path::ClusterName;
use insta::assert_snapshot;

use crate::world::World;

const FLEET: &str = "environments/_fleet.yaml";
const APP: &str = "environments/app.yaml";

fn grouped(groups: &str) -> World {
    World::platform().and(FLEET, &format!("groups:\n{groups}"))
}

fn groups_of(world: &World) -> String {
    let inventory = world.render().inventory;
    let group = |name: &ClusterName| format!("{name}: {}", inventory.group_of(name).unwrap());
    inventory.clusters.keys().map(group).collect::<Vec<_>>().join(", ")
}

#[test]
fn without_the_key_there_is_a_group_for_each_role() {
    assert_eq!(groups_of(&World::platform()), "app: app, control: control");
}

#[test]
fn a_group_takes_clusters_by_role_label_and_name_and_one_takes_the_rest() {
    let world = World::platform().edit(APP, "role: app", "role: app\nlabels: {wave: canary}");
    let world = world.and(
        FLEET,
        "groups:\n- name: hubs\n  clusters: {roles: [control]}\n- name: canary\n  clusters: {labels: {wave: canary}}\n- name: rest\n",
    );
    assert_eq!(groups_of(&world), "app: canary, control: hubs");
    let named = grouped("- name: one\n  clusters: {roles: [app], names: [app, control]}\n- name: rest\n");
    assert_eq!(groups_of(&named), "app: one, control: rest");
    assert_eq!(groups_of(&grouped("- name: all\n")), "app: all, control: all");
    assert_eq!(
        groups_of(&grouped("- name: all\n- name: empty\n  clusters: {roles: [app], names: [control]}\n")),
        "app: all, control: all"
    );
}

#[test]
fn groups_change_nothing_of_what_is_rendered() {
    let digest = |world: World| world.render().tree_digest();
    assert_eq!(digest(grouped("- name: all\n")), digest(World::platform()));
}

#[test]
fn a_cluster_is_in_one_group_and_in_no_other() {
    let overlapping = "- name: hubs\n  clusters: {roles: [control]}\n- name: control\n  clusters: {names: [control, cotrol]}\n- name: hubs\n  clusters: {labels: {region: locale}}\n";
    assert_snapshot!(grouped(overlapping).problems(), @"
    environments/_fleet.yaml:25:31: unknown cluster `cotrol`
      hint: did you mean `control`?
    environments/_fleet.yaml:26:9: two groups are called `hubs`
      hint: the other one is at environments/_fleet.yaml:22:9
    environments/_fleet.yaml:27:23: no cluster has the label `region: locale`
      hint: did you mean `local`?
    environments/app.yaml:1:1: `app` is in no group
      hint: see environments/_fleet.yaml:22:3: a group without `clusters` takes what no other group does
    environments/control.yaml:1:1: `control` is in several groups: `hubs`, `control`
      hint: let only one of them take it: see environments/_fleet.yaml:22:3 and environments/_fleet.yaml:24:3
    ");
}

#[test]
fn the_name_of_a_group_is_one_that_a_branch_can_have() {
    assert_snapshot!(grouped("- name: ../main\n- {name: a, cluster: {}}\n").problems(), @"
    environments/_fleet.yaml:22:9: `../main` is not a valid `name`
      hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    environments/_fleet.yaml:23:13: unknown key `cluster`
      hint: did you mean `clusters`?
    ");
    assert_snapshot!(World::platform().and(FLEET, "groups: []\n").problems(), @"environments/_fleet.yaml:21:9: `groups` must not be empty");
}
