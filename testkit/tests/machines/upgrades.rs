//! Machines whose image or version of Kubernetes becomes another one.

use testkit::multipass::Trouble;

use crate::failures::apply_again_after;
use crate::world::{Counts, World, has_terraform};

const COUNTS: Counts = Counts { control_planes: 3, workers: 2 };
/// Enough for every kind of step.
const SMALL: Counts = Counts { control_planes: 2, workers: 1 };

/// Returns a cluster that is made, and rendered with another version.
fn upgraded(counts: Counts, version: &'static str) -> World {
    let mut world = World::with_cluster(counts);
    world.apply("app").unwrap();
    world.kubernetes = version;
    world.render("app", counts);
    world
}

fn versions(world: &World) -> Vec<String> {
    let host = world.host();
    let cluster = host.clusters.values().next().unwrap();
    let nodes = cluster.nodes.values().map(|node| node.version.clone());
    std::iter::once(cluster.version.clone()).chain(nodes).collect()
}

fn assert_at(world: &World, counts: Counts, version: &str) {
    world.assert_whole(counts);
    let versions = versions(world);
    assert!(versions.iter().all(|found| found == version), "{versions:?}");
    assert!(world.apply("app").unwrap().contains("0 added, 0 changed, 0 destroyed"));
}

/// Returns which nodes were acted on by calls with a word, in order: the last that is named, since it may be through another.
fn about(world: &World, from: usize, wanted: &str) -> Vec<String> {
    let calls = world.host().calls.split_off(from).into_iter();
    let calls = calls.filter(|call| call.iter().any(|part| part == wanted));
    calls.filter_map(|call| call.into_iter().rfind(|part| part.starts_with("app-"))).collect()
}

#[test]
fn another_version_comes_to_one_node_after_the_other_and_no_machine_is_replaced() {
    if !has_terraform() {
        return;
    }
    let world = upgraded(COUNTS, "1.37.1");
    let before = world.host().calls.len();
    let plan = world.terraform("app", &["plan", "-no-color"]).unwrap();
    assert!(plan.contains("1 to add, 0 to change, 1 to destroy") && plan.contains("1.37.1"), "{plan}");
    world.apply("app").unwrap();
    assert_at(&world, COUNTS, "1.37.1");
    let order =
        ["app-control-plane-1", "app-control-plane-2", "app-control-plane-3", "app-worker-1", "app-worker-2"];
    for word in ["drain", "uncordon", "/usr/local/sbin/upgrade-kubernetes"] {
        let about = about(&world, before, word);
        // A script is put onto the machine, and then run.
        let times = if word.starts_with('/') { 2 } else { 1 };
        let expected: Vec<_> = order.iter().flat_map(|name| vec![*name; times]).collect();
        assert_eq!(about, expected, "{word}");
    }
    let calls = world.host().calls.split_off(before);
    assert!(!calls.iter().any(|call| ["launch", "delete", "stop"].contains(&call[0].as_str())), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.last().is_some_and(|step| step == "apply")).count(), 1);
}

#[test]
fn a_new_node_joins_once_the_control_planes_have_its_version() {
    if !has_terraform() {
        return;
    }
    let world = upgraded(SMALL, "1.37.0");
    let more = Counts { workers: 2, ..SMALL };
    world.render("app", more);
    world.apply("app").unwrap();
    assert_at(&world, more, "1.37.0");
}

#[test]
fn the_only_control_plane_is_upgraded_in_place() {
    if !has_terraform() {
        return;
    }
    let alone = Counts { control_planes: 1, workers: 1 };
    let world = upgraded(alone, "1.36.9");
    world.apply("app").unwrap();
    assert_at(&world, alone, "1.36.9");
}

#[test]
fn what_kubeadm_would_refuse_is_refused_before_a_node_is_drained() {
    if !has_terraform() {
        return;
    }
    for (version, reason) in [
        ("1.38.0", "`app-control-plane-1` has Kubernetes 1.36.3, which is not brought to 1.38.0 in one step"),
        ("1.36.2", "`app-control-plane-1` has Kubernetes 1.36.3, and none goes back to 1.36.2"),
    ] {
        let mut world = upgraded(SMALL, version);
        let before = world.host().calls.len();
        let refused = world.apply("app").unwrap_err();
        assert!(refused.contains(reason), "{refused}");
        assert!(about(&world, before, "drain").is_empty());
        world.kubernetes = "1.36.3";
        world.render("app", SMALL);
        world.apply("app").unwrap();
        assert_at(&world, SMALL, "1.36.3");
    }
}

#[test]
fn a_failure_or_a_kill_in_the_middle_is_recovered_from_by_the_next_run() {
    if !has_terraform() {
        return;
    }
    let world = upgraded(SMALL, "1.37.0");
    let before = world.host().calls.len();
    world.apply("app").unwrap();
    let calls = world.host().calls.split_off(before);
    let at = |words: &[&str]| {
        let is = |call: &Vec<String>| words.iter().all(|word| call.iter().any(|part| part == word));
        1 + calls.iter().position(is).unwrap_or_else(|| panic!("no call with {words:?}"))
    };
    let note = "/etc/fleetwright/kubernetes-version";
    let ends = calls.iter().rposition(|call| call.last().is_some_and(|part| part == note)).unwrap() + 1;
    for (number, cause) in [
        (at(&["drain"]), Trouble::Hanging as fn(usize) -> Trouble),
        (at(&["apply"]), Trouble::Hanging),
        (at(&["apply"]), Trouble::Lost),
        (at(&["node", "bash"]), Trouble::Hanging),
        (at(&["uncordon"]), Trouble::RefusedFrom),
        (ends, Trouble::Hanging),
    ] {
        let world = upgraded(SMALL, "1.37.0");
        let trouble = cause(world.host().calls.len() + number);
        apply_again_after(&world, trouble);
        assert_at(&world, SMALL, "1.37.0");
    }
}

#[test]
fn another_image_is_for_machines_that_are_made_from_now_on() {
    if !has_terraform() {
        return;
    }
    let mut world = World::with_cluster(SMALL);
    world.apply("app").unwrap();
    world.image = "26.04";
    world.render("app", SMALL);
    assert!(world.apply("app").unwrap().contains("0 added, 0 changed, 0 destroyed"));
    let more = Counts { workers: 2, ..SMALL };
    world.render("app", more);
    world.apply("app").unwrap();
    world.assert_whole(more);
    let image = |name: &str| world.host().instances[name].image.clone();
    assert_eq!([image("app-control-plane-1"), image("app-worker-2")], ["24.04", "26.04"]);
    // One machine after the other is moved by the command in the book.
    let first = "module.cluster.module.machines.terraform_data.machine[\"app-control-plane-1\"]";
    world.terraform("app", &["apply", "-auto-approve", &format!("-replace={first}")]).unwrap();
    world.assert_whole(more);
    assert_eq!([image("app-control-plane-1"), image("app-control-plane-2")], ["26.04", "24.04"]);
}
