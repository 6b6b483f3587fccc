//! From a push to healthy Applications, and what an edit then touches: the platform that this repository ships.

use std::collections::BTreeSet;

use testkit::real::Client;

use crate::world::{World, text};

/// The addresses that Services of a cluster have, of those that they were promised.
fn addresses(client: &Client) -> (BTreeSet<String>, BTreeSet<String>) {
    let services = client.list("v1", "Service").unwrap();
    let all = |pointer: &str| {
        let found = services.iter().map(|service| text(service, pointer).to_owned());
        found.filter(|address| !address.is_empty()).collect()
    };
    (all("/status/loadBalancer/ingress/0/ip"), all("/spec/loadBalancerIP"))
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_push_becomes_healthy_applications_and_an_edit_touches_only_its_own() {
    let world = World::shipped();
    let pulls = world.propose();
    assert_eq!(pulls.keys().collect::<Vec<_>>(), ["fleetwright/app", "fleetwright/control"]);
    world.merge("fleetwright/control");
    world.hand_over();
    world.settle(&["control"]);
    world.merge("fleetwright/app");
    world.settle(&["control", "app"]);

    for cluster in [&world.rig.control, &world.rig.app] {
        let (assigned, promised) = addresses(cluster.client());
        assert_eq!(assigned, promised);
        assert!(!promised.is_empty());
    }

    let before = world.syncs();
    world.repo.edit("environments/control.yaml", "loki: 192.168.64.104", "loki: 192.168.64.109");
    world.repo.commit("Move Loki");
    world.merge("fleetwright/control");
    world.settle(&["control"]);
    world.merge("fleetwright/app");
    world.settle(&["control", "app"]);
    let touched: Vec<_> = world.syncs().into_iter().filter(|(name, syncs)| before[name] != *syncs).collect();
    let names: Vec<_> = touched.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["app-fluent-bit", "control-loki"]);
    assert!(addresses(world.rig.control.client()).0.contains("192.168.64.109"));
}
