//! From a push to healthy Applications, and what an edit then touches: the platform that this repository ships.

use std::collections::BTreeSet;

use testkit::real::Client;

use crate::case::case;
use crate::manifests;
use crate::verify;
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

const STEPS: &str = "From push to healthy";
/// What is pushed.
const PLATFORM: &str = "the whole platform";
const FACT: &str = "one fact";

impl World {
    /// Merges the open pull request of a group with what was pushed, and waits with these options.
    fn deploy(&self, pushed: &str, group: &str, options: &[&str]) {
        let number = &self.propose()[&format!("fleetwright/{group}")];
        case(
            STEPS,
            &format!("{pushed}, `{group}`: its pull request is merged, until it is synced and healthy"),
            || {
                self.merge_number(number);
                // Once is enough, and again changes nothing.
                self.hand_over();
                self.settle(options);
            },
        );
    }
}

fn assert_addresses(client: &Client) {
    let (assigned, promised) = addresses(client);
    assert_eq!(assigned, promised);
    assert!(!promised.is_empty());
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_push_becomes_healthy_applications_and_an_edit_touches_only_its_own() {
    let world = World::shipped();
    let pulls =
        case(STEPS, &format!("{PLATFORM} is pushed, until its pull requests are open"), || world.propose());
    assert_eq!(pulls.keys().collect::<Vec<_>>(), ["fleetwright/app", "fleetwright/control"]);
    case("Control alone", "its Applications are synced and healthy, and each address is assigned", || {
        world.deploy(PLATFORM, "control", &["--group", "control"]);
        assert_addresses(world.rig.control.client());
    });
    case("Cross-cluster", "the hub deploys the spoke's Applications, and each address is assigned", || {
        world.deploy(PLATFORM, "app", &[]);
        assert_addresses(world.rig.app.client());
    });

    verify::show(&world);
    manifests::compare(&world);

    let before = world.syncs();
    case(
        "Cross-cluster",
        "an edit of one fact of the hub syncs what shows it on both clusters, and nothing else",
        || {
            world.repo.edit(
                "environments/control.yaml",
                "telemetry: 192.168.64.104",
                "telemetry: 192.168.64.109",
            );
            world.repo.commit("Move the gateway");
            case(STEPS, &format!("{FACT} is pushed, until the pull requests are open"), || world.propose());
            world.deploy(FACT, "control", &["--group", "control"]);
            world.deploy(FACT, "app", &[]);
            let touched = world.syncs().into_iter().filter(|(name, syncs)| before[name] != *syncs);
            let names: Vec<_> = touched.map(|(name, _)| name).collect();
            let on_app = ["app-fluent-bit", "app-opentelemetry-collector", "app-prometheus-agent"];
            let on_control = ["control-fluent-bit", "control-metallb", "control-telemetry-gateway"];
            assert_eq!(names, [on_app, on_control].concat());
            assert!(addresses(world.rig.control.client()).0.contains("192.168.64.109"));
        },
    );
}
