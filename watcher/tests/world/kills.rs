//! A run that ends in the middle: what it leaves behind, the next run puts right.

use fleetwright::run::{Group, Step};

use crate::platform::{CONTROL, World};

/// Every point between two steps.
fn steps() -> Vec<Step> {
    let of_group =
        |group| [Step::Planned(group), Step::Committed(group), Step::Pushed(group), Step::Proposed(group)];
    [Step::Start, Step::Rendered].into_iter().chain(Group::ALL.into_iter().flat_map(of_group)).collect()
}

/// What is to be done when the process ends.
type Scene = fn() -> World;

/// Everything is to be opened.
fn opening() -> World {
    World::unpublished()
}

/// Both pull requests are to be updated.
fn updating() -> World {
    let mut world = World::new();
    world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
    world.run();
    world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    world
}

/// Both pull requests are to be closed.
fn closing() -> World {
    let world = updating();
    world.edit(CONTROL, "192.168.64.108", "192.168.64.102");
    world
}

/// One pull request is merged, the other one is to be rebuilt.
fn rebuilding() -> World {
    let mut world = World::unpublished();
    world.run();
    world.merge(1);
    world
}

#[test]
fn a_run_that_is_cut_short_between_any_two_steps_is_finished_by_the_next() {
    // A group of which nothing is proposed has neither a commit nor a push.
    let scenes: [(&str, Scene, usize); 4] = [
        ("opening", opening, 10),
        ("updating", updating, 10),
        ("closing", closing, 6),
        ("rebuilding", rebuilding, 8),
    ];
    for (name, scene, passed) in scenes {
        let mut whole = scene();
        whole.run();
        let mut cuts = 0;
        for step in steps() {
            let mut world = scene();
            if !world.run_until(step) {
                continue;
            }
            cuts += 1;
            world.restart();
            world.run();
            assert_eq!(world.refs(), whole.refs(), "{name}, cut short after {step:?}");
            assert_eq!(world.pulls(), whole.pulls(), "{name}, cut short after {step:?}");
            world.assert_sound();
        }
        assert_eq!(cuts, passed, "{name}");
    }
}
