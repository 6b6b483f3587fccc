//! Several runs and people on one repository at the same time.

use std::sync::Barrier;
use std::thread;

use fleetwright::events::Cancel;
use fleetwright::forge::{ForgeError, LocalForge, PullState};
use fleetwright::git::{Repository, Signature, Upstream};
use insta::assert_snapshot;

use crate::platform::{APP, APP_HEAD, BASE, CONTROL, World, pipeline};

#[test]
fn what_a_run_moves_is_no_news_and_what_others_move_is() {
    let world = World::new();
    assert!(world.has_news(), "nobody knows what happened before the first run");
    world.run();
    assert!(!world.has_news());
    world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
    assert!(world.has_news());
    world.run();
    assert!(!world.has_news(), "branches and pull requests that the run made are no news");
    world.commit("feature", "Try something", &[("README.md", Some("# Fleet\n"))]);
    assert!(!world.has_news(), "no run reads a branch of someone's own");
    world.close(1);
    assert!(world.has_news());
    world.run();
    world.commit(APP_HEAD, "Fix it by hand", &[("argocd-apps/app/extra.yaml", Some("a: 1\n"))]);
    assert!(world.has_news());
}

#[test]
fn a_push_during_a_run_is_news_after_it() {
    for step in 0.. {
        let world = World::new();
        world.run();
        let edit = || {
            world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.139");
        };
        let (is_reached, result) = world.run_while(step, edit);
        if let Err(error) = result {
            assert!(error.is_conflict(), "{step}: {error:?}");
        }
        assert_eq!(world.branches() != World::new().branches(), is_reached);
        if !is_reached {
            assert!(!world.has_news() && step > 2, "{step}");
            break;
        }
        assert_eq!(world.has_news(), step != 0, "{step}");
    }
}

/// Everything is to be opened, updated or closed.
const SCENES: [fn() -> World; 3] = [
    World::unpublished,
    || {
        let world = World::new();
        world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
        world.run();
        world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
        world
    },
    || {
        let world = World::new();
        world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
        world.run();
        world.edit(CONTROL, "192.168.64.109", "192.168.64.102");
        world
    },
];

/// Returns what the head branches change, wherever they left the base branch.
fn proposed(world: &World) -> String {
    let branches = world.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    let changed = |branch: &str| world.git(&["diff", &format!("{BASE}...{branch}")]);
    branches.lines().flat_map(|branch| [branch.to_owned(), changed(branch)]).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_that_is_in_conflict_with_a_newer_one_never_undoes_it() {
    for scene in SCENES {
        let edit = |world: &World| {
            world.edit(CONTROL, "alertmanager: 192.168.64.103", "alertmanager: 192.168.64.107");
        };
        let whole = scene();
        edit(&whole);
        whole.run();
        for step in 0.. {
            let world = scene();
            let run_newer = || {
                edit(&world);
                pipeline(&world.path()).run(&Cancel::default(), &()).unwrap();
            };
            let (is_reached, result) = world.run_while(step, run_newer);
            if let Err(error) = result {
                assert!(error.is_conflict() && error.is_transient(), "{step}: {error:?}");
            }
            if world.tip(BASE) == whole.tip(BASE) {
                assert_eq!(proposed(&world), proposed(&whole), "a newer run at check {step}");
            }
            world.assert_sound();
            if !is_reached {
                break;
            }
        }
    }
}

#[test]
fn two_runs_at_once_lose_nothing() {
    for scene in SCENES {
        let whole = scene();
        whole.run();
        let world = scene();
        let path = world.path();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut pipeline = pipeline(&path);
                    start.wait();
                    if let Err(error) = pipeline.run(&Cancel::default(), &()) {
                        assert!(error.is_conflict(), "{error:?}");
                    }
                });
            }
        });
        world.run();
        assert_eq!((world.branches(), world.pulls()), (whole.branches(), whole.pulls()));
        world.assert_sound();
    }
}

fn mia() -> Signature {
    Signature {
        name: "Mia".into(),
        email: "mia@example.com".into(),
        seconds: 1_767_300_000,
        offset_minutes: 0,
    }
}

#[test]
fn two_merges_at_once_both_arrive() {
    let world = World::unpublished();
    world.run();
    let path = world.path();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for number in [1, 2] {
            let (path, start) = (&path, &start);
            scope.spawn(move || {
                let upstream = Upstream::own(Repository::open(path).unwrap());
                start.wait();
                LocalForge::new(&upstream).merge(number, &mia()).unwrap();
            });
        }
    });
    assert_snapshot!(world.pulls(), @r"
    #1 fleetwright/control merged
    #2 fleetwright/app merged
    ");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
    world.assert_sound();
}

#[test]
fn a_merge_takes_a_working_tree_along_and_keeps_what_is_not_committed() {
    let world = World::checked_out();
    world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.139");
    world.run();
    let pool = world.path().join("argocd-apps/app/metallb/manifests/address-pool.yaml");
    let published = std::fs::read_to_string(&pool).unwrap();
    std::fs::write(&pool, "by hand\n").unwrap();
    std::fs::write(world.path().join("notes"), "mine\n").unwrap();
    let (refs, status) = (world.refs(), world.git(&["status", "--porcelain"]));

    let error = LocalForge::new(&world.upstream()).merge(1, &mia()).unwrap_err();
    let ForgeError::Git(error) = error else { panic!("{error:?}") };
    let told = error.fault.to_string();
    assert!(told.starts_with("uncommitted changes to `argocd-apps/"), "{told}");
    assert_eq!((world.refs(), world.git(&["status", "--porcelain"])), (refs, status));
    assert_eq!(world.pull(1).state, PullState::Open);

    std::fs::write(&pool, published).unwrap();
    world.merge(1);
    assert!(std::fs::read_to_string(&pool).unwrap().contains("192.168.64.139"));
    assert_eq!(world.git(&["status", "--porcelain"]), "?? notes");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
}
