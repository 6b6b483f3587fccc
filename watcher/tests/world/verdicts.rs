//! Both verdicts on everything that is proposed: people's pull requests, those of forks, ours, and what a
//! merge queue holds.

use std::time::Duration;

use fleetwright::run::{RENDER_LABEL, Settings};
use insta::assert_snapshot;
use renderer::plan::{Allowance, Budget};
use testkit::github::{self, MergeMethod};

use crate::office::{APP_TOKEN, BROKEN, Office, POOL, PROMETHEUS};
use crate::platform::{APP_HEAD, BASE, CONTROL_HEAD, World, settings};

/// What is done about a fork's branch that touches nothing rendered.
fn fork(office: &Office, file: &str) -> u64 {
    office.world.git(&["branch", "elsewhere", BASE]);
    let head = office.world.commit("elsewhere", "Explain", &[(file, Some("x\n"))]).to_string();
    office.world.git(&["branch", "-q", "-D", "elsewhere"]);
    office.github.open_from_fork("mallory", "patch", &head).unwrap()
}

/// An office in which a fact of the hub was changed on the base, and a run has proposed what follows: #1 and #2.
fn proposed(token: &'static str) -> Office {
    let office = Office::with(World::new(), token, settings());
    office.edit(BASE, PROMETHEUS);
    office.settle();
    office
}

#[test]
fn every_open_pull_request_gets_both_verdicts() {
    for token in [APP_TOKEN, github::TOKEN] {
        let office = proposed(token);
        let pool = office.propose("pool", POOL);
        let docs = fork(&office, "README.md");
        let hostile = fork(&office, "templates/cluster/x.yaml.hbs");
        office.settle();
        for number in [1, 2, pool, docs, hostile] {
            let verdicts = office.verdicts(number);
            for name in ["fleetwright/order ", "fleetwright/review "] {
                assert!(verdicts.lines().any(|line| line.starts_with(name)), "#{number}: {verdicts}");
            }
        }
        if token == APP_TOKEN {
            assert_snapshot!(office.verdicts(1), @"
            fleetwright/order success: nothing has to be merged first
            fleetwright/review success: Made by Fleetwright from 19e5401
            ");
            assert_snapshot!(office.verdicts(2), @"
            fleetwright/order pending: waits until #1 is merged
            fleetwright/review success: Made by Fleetwright from 19e5401
            ");
            assert_snapshot!(office.verdicts(pool), @r"
            fleetwright/order success: no rendered file is changed
            fleetwright/review success: 1 file changed on 1 cluster: app
            ");
            assert_snapshot!(office.verdicts(docs), @r"
            fleetwright/order success: no rendered file is changed
            fleetwright/review success: Nothing is touched that is rendered
            ");
            assert_snapshot!(office.verdicts(hostile), @r"
            fleetwright/order success: no rendered file is changed
            fleetwright/review action_required: Waits for the label fleetwright: render
            ");
        } else {
            assert_snapshot!(office.verdicts(1), @"
            fleetwright/order success: nothing has to be merged first
            fleetwright/review success: Made by Fleetwright from 19e5401 · made=fleetwright
            ");
            assert_snapshot!(office.verdicts(hostile), @r"
            fleetwright/order success: no rendered file is changed
            fleetwright/review pending: Waits for the label fleetwright: render
            ");
        }
        assert_eq!([docs, hostile].map(|number| office.comments(number).len()), [0, 0], "nobody asked");
        let writes = office.writes();
        office.restart();
        office.settle();
        assert_eq!(office.writes(), writes, "what is said already is not said again");
    }
}

#[test]
fn a_branch_with_our_prefix_is_reviewed_like_anyones_and_told_that_the_prefix_is_reserved() {
    for token in [APP_TOKEN, github::TOKEN] {
        let office = Office::with(World::new(), token, settings());
        let number = office.propose("fleetwright/feature-x", POOL);
        office.settle();
        let comments = office.comments(number);
        assert!(comments[0].contains("### What this pull request changes"), "{comments:?}");
        assert!(comments[0].starts_with("Branches below `fleetwright/` are Fleetwright's"), "{comments:?}");
        assert!(office.verdicts(number).contains("The prefix fleetwright/ is reserved; 1 file changed"));
    }
    // In a fork our names mean nothing.
    let office = Office::new();
    let head = office.commit_in_fork(POOL);
    let number = office.github.open_from_fork("mallory", APP_HEAD, &head).unwrap();
    office.settle();
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: no rendered file is changed
    fleetwright/review action_required: Waits for the label fleetwright: render
    ");
    office.github.advance(Duration::from_secs(1));
    office.github.label(number, RENDER_LABEL).unwrap();
    office.settle();
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: no rendered file is changed
    fleetwright/review success: 1 file changed on 1 cluster: app
    ");
}

#[test]
fn a_fork_that_hides_a_file_among_hundreds_or_under_another_name_waits_for_a_maintainer() {
    let office = Office::new();
    let many = (0..301).fold(String::new(), |all, n| all + &format!("M 644 inline docs/{n}\ndata 2\nx\n"));
    let moved = "R environments/app.yaml docs/app.yaml\n";
    for commands in [many.as_str(), moved] {
        let head = office.commit_raw("elsewhere", commands).to_string();
        office.world.git(&["branch", "-q", "-D", "elsewhere"]);
        let number = office.github.open_from_fork("mallory", "patch", &head).unwrap();
        office.settle();
        let verdicts = office.verdicts(number);
        assert!(verdicts.contains("action_required: Waits for the label fleetwright: render"), "{verdicts}");
    }
}

#[test]
fn a_head_of_ours_that_a_person_changed_is_no_longer_called_ours() {
    let office = proposed(APP_TOKEN);
    assert!(office.verdicts(2).contains("fleetwright/review success: Made by Fleetwright from "));
    let by_hand = "M 644 inline argocd-apps/app/extra.yaml\ndata 5\na: 1\n";
    office.commit_raw(APP_HEAD, by_hand);
    office.settle();
    assert_snapshot!(office.verdicts(2), @r"
    fleetwright/order pending: waits until #1 is merged
    fleetwright/review failure: Not made by Fleetwright; 1 rendered file edited by hand; Nothing changes in what is rendered
    ");
}

#[test]
fn the_gate_stays_shut_while_controls_plan_is_not_on_the_base_whatever_became_of_its_pull_request() {
    let gate = |office: &Office| office.verdicts(2).lines().next().unwrap().to_owned();
    let office = proposed(APP_TOKEN);
    assert_snapshot!(gate(&office), @"fleetwright/order pending: waits until #1 is merged");
    office.github.close(1).unwrap();
    office.settle();
    assert_snapshot!(gate(&office), @"fleetwright/order pending: waits for control: #1 was closed, and what it changes is still not on the base");

    let office = proposed(APP_TOKEN);
    office.commit_raw(CONTROL_HEAD, "M 644 inline argocd-apps/control/extra.yaml\ndata 5\na: 1\n");
    office.settle();
    assert_snapshot!(gate(&office), @"fleetwright/order pending: waits for control: a person changed `fleetwright/control`");

    // What the head publishes of control itself need not be there before.
    let office = proposed(APP_TOKEN);
    office.github.merge_by(1, MergeMethod::Squash).unwrap();
    office.settle();
    assert_snapshot!(gate(&office), @"fleetwright/order success: what comes first is merged (Argo CD is not asked)");
}

#[test]
fn the_gate_stays_shut_while_controls_plan_is_refused() {
    let none = Allowance { percent: 0, floor: 0 };
    let budget = Budget { clusters: none, addons: none, objects: none };
    let office = Office::with(World::new(), APP_TOKEN, Settings { budget, ..settings() });
    office.edit(BASE, POOL);
    office.settle();
    assert_snapshot!(office.verdicts(1), @"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/review success: Made by Fleetwright from 6f62e21
    ");
    let extra = "argocd-apps/control/extra.yaml";
    office.world.commit(BASE, "Add by hand", &[(extra, Some("a: 1\n"))]);
    office.settle();
    assert_snapshot!(office.verdicts(1).lines().next().unwrap(), @"fleetwright/order pending: waits for control: its plan deletes too much and is refused");
}

#[test]
fn a_base_that_does_not_render_keeps_the_apps_waiting_and_nothing_else() {
    let office = proposed(APP_TOKEN);
    let docs = fork(&office, "README.md");
    office.edit(BASE, BROKEN);
    assert!(office.try_run().is_err());
    assert_snapshot!(office.verdicts(1).lines().next().unwrap(), @"fleetwright/order success: nothing has to be merged first");
    assert_snapshot!(office.verdicts(2).lines().next().unwrap(), @"fleetwright/order pending: waits until it is known what has to be merged first: the base does not render");
    assert_snapshot!(office.verdicts(docs).lines().next().unwrap(), @"fleetwright/order success: no rendered file is changed");
}

#[test]
fn what_a_merge_queue_holds_gets_both_verdicts_by_polling_alone() {
    for token in [APP_TOKEN, github::TOKEN] {
        let office = Office::with(World::new(), token, settings());
        office.propose("pool", POOL);
        office.propose("broken", BROKEN);
        office.settle();
        assert!(!office.has_news());
        let good = office.queue(&["pool"]);
        assert!(office.has_news(), "a head of the queue is news");
        office.settle();
        assert!(
            office
                .verdicts_on(&good)
                .contains("fleetwright/review success: 1 file changed on 1 cluster: app")
        );
        assert!(office.verdicts_on(&good).contains("fleetwright/order success"));
        let bad = office.queue(&["pool", "broken"]);
        office.settle();
        assert!(
            office.verdicts_on(&bad).contains("fleetwright/review failure: It does not render: 1 problem")
        );
        let writes = office.writes();
        office.run();
        assert_eq!(office.writes(), writes);
    }
}

#[test]
fn a_merge_queue_takes_the_apps_only_together_with_control_or_after_it() {
    let office = proposed(APP_TOKEN);
    let pool = office.propose("pool", POOL);
    let alone = office.queue(&[APP_HEAD]);
    office.settle();
    assert_snapshot!(office.verdicts_on(&alone), @r"
    fleetwright/order failure: waits until #1 is merged
    fleetwright/review success: Nothing changes in what is rendered
    ");
    let both = office.queue(&[CONTROL_HEAD, APP_HEAD]);
    office.settle();
    assert_snapshot!(office.verdicts_on(&both), @r"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/review success: Nothing changes in what is rendered
    ");
    // What people change beside them makes a rendering of ours no edit by hand.
    let all = office.queue(&[CONTROL_HEAD, APP_HEAD, "pool"]);
    office.settle();
    assert_snapshot!(office.verdicts_on(&all), @r"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/review success: 1 file changed on 1 cluster: app
    ");
    assert!(office.verdicts(pool).contains("success"));
}

#[test]
fn a_head_that_cannot_be_read_keeps_no_other_from_its_verdicts() {
    let office = Office::new();
    let tree = office.world.git(&["rev-parse", &format!("{BASE}^{{tree}}")]);
    let unreadable = office.github.open_from_fork("mallory", "patch", &tree).unwrap();
    office.github.advance(Duration::from_secs(1));
    office.github.label(unreadable, RENDER_LABEL).unwrap();
    let pool = office.propose("pool", POOL);
    office.settle();
    assert!(office.verdicts(pool).contains("fleetwright/review success"), "{}", office.verdicts(pool));
}

#[test]
fn a_head_without_a_common_history_fails() {
    let office = Office::new();
    office.world.commit("orphan", "Begin again", &[("README.md", Some("x\n"))]);
    let number = office.github.open("orphan").unwrap();
    office.settle();
    assert_snapshot!(office.verdicts(number), @r"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/review failure: It shares no history with main
    ");
}
