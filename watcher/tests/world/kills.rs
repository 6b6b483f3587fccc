//! A run that ends in the middle: what it leaves behind, the next run puts right.

use crate::platform::{CONTROL, World};

/// What is to be done when the process ends.
type Scene = fn() -> World;

/// Everything is to be opened.
fn opening() -> World {
    World::unpublished()
}

/// Both pull requests are to be updated.
fn updating() -> World {
    let world = World::new();
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

/// One pull request is merged, the other one stays as it is.
fn keeping() -> World {
    let world = World::unpublished();
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
        ("keeping", keeping, 6),
    ];
    for (name, scene, passed) in scenes {
        let whole = scene();
        whole.run();
        let mut cuts = 0;
        for step in 0.. {
            let world = scene();
            if !world.run_until(step) {
                break;
            }
            cuts += 1;
            world.restart();
            world.run();
            assert_eq!(world.refs(), whole.refs(), "{name}, cut short at check {step}");
            assert_eq!(world.pulls(), whole.pulls(), "{name}, cut short at check {step}");
            world.assert_sound();
        }
        assert_eq!(cuts, passed, "{name}");
    }
}
