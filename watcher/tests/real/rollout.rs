//! `status`, `wait` and `prune` by the program itself, on a real Argo CD that nothing else asks for anything.

use crate::published;
use crate::world::{World, text};

/// A fact that makes a chart's Deployment one that the API server refuses.
const INVALID: &str = "\n    values:\n      commonLabels:\n        team: \"not a label\"\n";
/// Its pods crash.
const CRASH: &str = "\n    values:\n      commonLabels:\n        crash: \"true\"\n";

/// What is reported of it.
pub const CRASHED: &str = "it is Degraded: Deployment monitoring/kube-prometheus-stack: Deployment \"kube-prometheus-stack\" exceeded \
                           its progress deadline";

impl World {
    /// Adds to the last fact of the hub, and merges what that changes there.
    fn add_to_hub(&self, title: &str, more: &str) {
        let facts = self.repo.read("environments/control.yaml");
        self.repo.write("environments/control.yaml", facts.trim_end().to_owned() + more);
        self.repo.commit(title);
        self.merge("fleetwright/control");
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn wait_follows_a_change_to_its_end_and_names_what_does_not_get_there() {
    let world = World::small();
    world.move_prometheus();
    let told = world.ask(&["wait", "--timeout", "5m"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(told.err.contains("control-kube-prometheus-stack: done"), "{told}");

    let facts = world.repo.read("environments/control.yaml");
    world.add_to_hub("Let pods crash", CRASH);
    let told = world.ask(&["wait", "--group", "control", "--timeout", "90s"]);
    assert_eq!(told.code, 7, "{told}");
    assert!(told.out.contains(CRASHED), "{told}");
    assert!(told.err.contains("error: 1 Application is not synced and healthy in time after 90 s"), "{told}");

    world.repo.write("environments/control.yaml", facts);
    world.add_to_hub("Break a label", INVALID);
    let told = world.ask(&["wait", "--group", "control", "--timeout", "8m"]);
    assert_eq!(told.code, 7, "{told}");
    let why =
        "Deployment monitoring/kube-prometheus-stack: Deployment.apps \"kube-prometheus-stack\" is invalid";
    assert!(told.out.contains(why), "{told}");
    assert!(told.err.contains("error: 1 Application will not become synced and healthy"), "{told}");
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn prune_removes_an_add_on_that_git_no_longer_wants_with_what_it_deployed() {
    let world = World::small();
    published::switch(&world);
    let deployments = || {
        let all = world.rig.app.client().list("apps/v1", "Deployment").unwrap();
        all.iter().map(|one| text(one, "/metadata/name").to_owned()).collect::<Vec<_>>()
    };
    assert!(deployments().contains(&"prometheus-agent".to_owned()), "{:?}", deployments());
    let facts = world.repo.read("environments/app.yaml");
    world.repo.write("environments/app.yaml", facts + "\naddons:\n  prometheus-agent: {enabled: false}\n");
    world.repo.commit("Turn the agent off");
    world.merge("fleetwright/app");
    let told = world.ask(&["wait", "--timeout", "5m"]);
    assert_eq!(told.code, 0, "{told}");

    let plan = world.ask(&["prune", "--resources", "delete", "--format", "json"]).json();
    assert_eq!(text(&plan, "/removals/0/name"), "app-prometheus-agent", "{plan}");
    let digest = text(&plan, "/digest");
    let told = world.ask(&["prune", "--resources", "delete", "--confirm", digest, "--timeout", "3m"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(!deployments().contains(&"prometheus-agent".to_owned()), "{:?}", deployments());
    assert_eq!(world.ask(&["prune"]).out, "nothing is left over\n");
    assert_eq!(world.ask(&["wait", "--timeout", "2m"]).code, 0, "nothing else has gone");
}
