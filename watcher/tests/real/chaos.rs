//! What goes away comes back, with nothing lost and nothing done twice. The platform is the small one of the test kit.

use std::collections::BTreeMap;

use testkit::real::Server;

use crate::world::World;

/// A fact of the hub that both clusters' files show.
const PROMETHEUS: [&str; 3] =
    ["environments/control.yaml", "prometheus: 192.168.64.102", "prometheus: 192.168.64.109"];

impl World {
    /// Moves Prometheus, and merges what that changes on both clusters.
    fn move_prometheus(&self) {
        let [file, old, new] = PROMETHEUS;
        self.repo.edit(file, old, new);
        self.repo.commit("Move Prometheus");
        self.merge("fleetwright/control");
        self.merge("fleetwright/app");
    }

    /// Shows that both clusters get to where the move leads, and that each Application was synced once for it.
    fn settle_once(&self, before: &BTreeMap<String, usize>) {
        self.settle(&["control", "app"]);
        let after = self.syncs();
        let syncs = |name: &str| after[name] - before[name];
        assert_eq!(syncs("control-kube-prometheus-stack"), 1);
        assert_eq!(syncs("app-prometheus-agent"), 1);
        let others = after.keys().filter(|name| !name.contains("prometheus"));
        assert!(others.clone().all(|name| syncs(name) == 0), "{before:?} {after:?}");
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_spoke_whose_api_server_was_away_gets_what_it_missed() {
    let world = World::small();
    let before = world.syncs();
    world.rig.app.server().kill().unwrap();
    world.move_prometheus();
    world.settle(&["control"]);
    world.rig.app.server().start_again().unwrap();
    world.settle_once(&before);
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn an_argo_cd_that_was_killed_while_it_synced_completes_it() {
    let world = World::small();
    let before = world.syncs();
    world.move_prometheus();
    world.refresh();
    world.rig.argo_cd.kill(Server::Application).unwrap();
    world.rig.argo_cd.start_again(Server::Application).unwrap();
    world.settle_once(&before);
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_git_server_that_was_away_loses_nothing() {
    let world = World::small();
    let before = world.syncs();
    world.git.set_away(true);
    world.move_prometheus();
    world.refresh();
    world.git.set_away(false);
    world.settle_once(&before);
}

/// Pods with this label crash.
const CRASH: &str = "\n    values:\n      commonLabels:\n        crash: \"true\"\n";

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_change_whose_pods_crash_is_taken_back() {
    let world = World::small();
    let workload = || {
        let all = world.rig.control.client().list("apps/v1", "Deployment").unwrap();
        all.into_iter().find(|one| one["metadata"]["name"] == "kube-prometheus-stack").unwrap()
    };
    let first = workload()["spec"].clone();
    let facts = world.repo.read("environments/control.yaml");
    world.repo.write("environments/control.yaml", facts.trim_end().to_owned() + CRASH);
    world.repo.commit("Let pods crash");
    world.merge("fleetwright/control");
    world.degrade("control-kube-prometheus-stack");
    assert_ne!(workload()["spec"], first);

    let told = world.repo.run(&["rollback"]);
    assert_eq!(told.code, 0, "{told}");
    let pulls = world.pulls();
    let (_, number) = pulls.first_key_value().unwrap();
    world.merge_number(number);
    assert!(world.propose().is_empty(), "what was taken back leaves nothing to render");
    world.settle(&["control", "app"]);
    assert_eq!(workload()["spec"], first);
}
