//! What fails on the way, and what the next run makes of it.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use testkit::multipass::Trouble;
use testkit::real::wait_until;

use crate::world::{Counts, World, has_terraform, machine};

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_mins(2);
/// Enough for every kind of step.
const COUNTS: Counts = Counts { control_planes: 2, workers: 1 };

/// Returns how many calls it takes to make the cluster.
fn calls() -> usize {
    let world = World::with_cluster(COUNTS);
    world.apply("app").unwrap();
    world.host().calls.len()
}

fn fails_at(trouble: Trouble) {
    let world = World::with_cluster(COUNTS);
    apply_again_after(&world, trouble);
    world.assert_whole(COUNTS);
    assert!(world.apply("app").unwrap().contains("0 added, 0 changed, 0 destroyed"), "after {trouble:?}");
}

/// Applies in the middle of trouble, and once more when it is over, which succeeds.
pub fn apply_again_after(world: &World, trouble: Trouble) {
    world.multipass.cause(Some(trouble)).unwrap();
    if matches!(trouble, Trouble::Hanging(_)) {
        kill_at_hang(world);
    } else {
        // One failure may be tried again, or not.
        let _ = world.apply("app");
    }
    world.multipass.cause(None).unwrap();
    world.apply("app").unwrap_or_else(|log| panic!("after {trouble:?}: {log}"));
}

/// Kills Terraform with all that it started once a call does not come back.
fn kill_at_hang(world: &World) {
    let mut command = world.command("app", &["apply", "-auto-approve"]);
    let mut terraform = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut is_over = || Ok(world.multipass.hangs() || terraform.try_wait()?.is_some());
    wait_until(PATIENCE, "a call did not come back", &mut is_over).unwrap();
    World::kill_group(terraform.id());
    terraform.wait().unwrap();
}

#[test]
fn a_failure_or_a_kill_is_recovered_from_by_the_next_run() {
    if !has_terraform() {
        return;
    }
    let calls = calls();
    // A launch, the beginning of the cluster, and what a control plane joins by.
    fails_at(Trouble::Lost(8));
    fails_at(Trouble::Hanging(calls / 2));
    fails_at(Trouble::RefusedFrom(calls * 2 / 3));
}

#[test]
fn a_kill_while_a_machine_is_resized_leaves_no_node_without_pods() {
    if !has_terraform() {
        return;
    }
    let resized = |world: &World| {
        world.apply("app").unwrap();
        let machines = json!([
            machine("app", "control-plane", 1, "4Gi"),
            machine("app", "control-plane", 2, "4Gi"),
            machine("app", "worker", 1, "16Gi"),
        ]);
        world.render_machines("app", "192.168.64.30:6443", &machines);
        world.host().calls.len()
    };
    let world = World::with_cluster(COUNTS);
    let before = resized(&world);
    world.apply("app").unwrap();
    let calls = world.host().calls.split_off(before);
    for step in ["drain", "stop", "set", "start", "uncordon"] {
        let at = 1 + calls.iter().position(|call| call.iter().any(|word| word == step)).unwrap();
        let world = World::with_cluster(COUNTS);
        let before = resized(&world);
        world.multipass.cause(Some(Trouble::Hanging(before + at))).unwrap();
        kill_at_hang(&world);
        world.multipass.cause(None).unwrap();
        world.apply("app").unwrap();
        world.assert_whole(COUNTS);
        assert_eq!(world.host().instances["app-worker-1"].memory_bytes, 16 << 30);
    }
}

/// Lets each call go wrong in turn.
fn fails_at_each_call(trouble: fn(usize) -> Trouble) {
    (1..=calls()).map(trouble).for_each(fails_at);
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn whichever_call_finds_no_daemon_the_next_run_ends_right() {
    fails_at_each_call(Trouble::Refused);
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn from_whichever_call_on_there_is_no_daemon_the_next_run_ends_right() {
    fails_at_each_call(Trouble::RefusedFrom);
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn whichever_call_is_lost_after_half_of_its_work_the_next_run_ends_right() {
    fails_at_each_call(Trouble::Lost);
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn at_whichever_call_terraform_is_killed_the_next_run_ends_right() {
    fails_at_each_call(Trouble::Hanging);
}

#[test]
#[ignore = "takes minutes: `.ci/run infra` runs it"]
fn whatever_call_fails_while_it_is_destroyed_the_next_run_removes_the_rest() {
    let made = || {
        let world = World::with_cluster(COUNTS);
        world.multipass.run(&["launch", "24.04", "--name", "app-worker-10"]).unwrap();
        world.apply("app").unwrap();
        world
    };
    let world = made();
    let first = world.host().calls.len() + 1;
    world.destroy("app").unwrap();
    for at in first..=world.host().calls.len() {
        for trouble in [Trouble::RefusedFrom(at), Trouble::Lost(at)] {
            let world = made();
            world.multipass.cause(Some(trouble)).unwrap();
            let _ = world.destroy("app");
            world.multipass.cause(None).unwrap();
            world.destroy("app").unwrap_or_else(|log| panic!("after {trouble:?}: {log}"));
            assert_eq!(world.instances(), ["app-worker-10"], "after {trouble:?}");
        }
    }
}
