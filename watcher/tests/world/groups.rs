//! Groups in order: who is merged before whom, and what becomes of open pull requests when groups change.

use insta::assert_snapshot;
use testkit::github::MergeMethod;

use crate::office::{APP_TOKEN, BROKEN, Office, PROMETHEUS};
use crate::platform::{APP, BASE, World, settings};

pub const FLEET: &str = "environments/_fleet.yaml";
const WAVES: &str = "groups:\n- name: control\n  clusters: {roles: [control]}\n\
                     - name: canary\n  clusters: {labels: {wave: canary}}\n- name: rest\n";

/// A hub and three spokes, of which `eu-1` goes first; everything is published.
pub fn waves() -> World {
    let world = World::new();
    let spoke = |number: u32, label: &str| {
        let text = world.read(BASE, APP).replace("10.245.0.0", &format!("10.{number}.0.0"));
        let text = text.replace("10.97.0.0", &format!("10.{}.0.0", number + 1));
        let text = text.replace("192.168.64.1", &format!("192.168.{number}.1"));
        text.replace("role: app", &format!("role: app\nlabels: {{wave: {label}}}"))
    };
    let fleet = format!("{}{WAVES}", world.read(BASE, FLEET));
    world.commit(
        BASE,
        "Describe waves",
        &[
            (FLEET, Some(&fleet)),
            ("environments/eu-1.yaml", Some(&spoke(65, "canary"))),
            ("environments/eu-2.yaml", Some(&spoke(67, "later"))),
        ],
    );
    world.run();
    world.merge_all();
    world.restart();
    world
}

/// The same on the test kit's GitHub, with a fact of the hub edited that all clusters' files show.
fn proposed() -> Office {
    let office = Office::with(waves(), APP_TOKEN, settings());
    office.edit(BASE, PROMETHEUS);
    office.settle();
    office
}

fn edit(world: &World) {
    world.edit(PROMETHEUS[0], PROMETHEUS[1], PROMETHEUS[2]);
}

fn order_of(office: &Office, number: u64) -> String {
    office.verdicts(number).lines().next().unwrap().to_owned()
}

#[test]
fn each_group_has_a_pull_request_that_waits_for_those_before_it() {
    let world = waves();
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    canary   nothing to do
    rest     nothing to do
    ");
    edit(&world);
    assert_snapshot!(world.run(), @r"
    control  opened pull request #4
    canary   opened pull request #5
    rest     opened pull request #6
    ");
    assert_snapshot!(world.changed_by("fleetwright/canary"), @"M	argocd-apps/eu-1/prometheus-agent/values.yaml");
    assert_snapshot!(world.changed_by("fleetwright/rest"), @r"
    M	argocd-apps/app/prometheus-agent/values.yaml
    M	argocd-apps/eu-2/prometheus-agent/values.yaml
    ");
    world.assert_sound();

    let office = proposed();
    assert_snapshot!([1, 2, 3].map(|number| order_of(&office, number)).join("\n"), @r"
    fleetwright/order success: nothing has to be merged first
    fleetwright/order pending: waits until #1 is merged
    fleetwright/order pending: waits until #1 is merged
    ");
    office.github.merge_by(1, MergeMethod::Squash).unwrap();
    office.settle();
    assert_snapshot!([2, 3].map(|number| order_of(&office, number)).join("\n"), @r"
    fleetwright/order success: what comes first is merged (Argo CD is not asked)
    fleetwright/order pending: waits until #2 is merged
    ");
    office.github.close(2).unwrap();
    office.settle();
    assert_snapshot!(order_of(&office, 3), @"fleetwright/order pending: waits for canary: #2 was closed, and what it changes is still not on the base");
}

#[test]
fn a_base_that_does_not_render_keeps_all_but_the_first_group_waiting_after_a_restart_too() {
    let office = proposed();
    office.edit(BASE, BROKEN);
    let mut told = Vec::new();
    for _ in 0..2 {
        assert!(office.try_run().is_err());
        told.push([1, 2].map(|number| office.verdicts(number)).join("\n"));
        office.restart();
    }
    assert_eq!(told[0], told[1]);
    assert_snapshot!(told[0], @"
    fleetwright/order success: nothing has to be merged first
    fleetwright/review success: Made by Fleetwright from 17aef22
    fleetwright/order pending: waits until it is known what has to be merged first: the base does not render
    fleetwright/review success: Made by Fleetwright from 17aef22
    ");
}

#[test]
fn a_group_that_is_renamed_goes_on_under_its_new_name() {
    let renamed = |world: &World| world.edit(FLEET, "name: canary", "name: early");
    let world = waves();
    edit(&world);
    world.run();
    let change = world.git(&["diff", "main...fleetwright/canary"]);
    renamed(&world);
    assert_snapshot!(world.run(), @"
    control  updated pull request #4
    early    opened pull request #7
    rest     updated pull request #6
    canary   closed pull request #5: nothing is left to change
    ");
    assert_eq!(world.git(&["diff", "main...fleetwright/early"]), change);
    assert_snapshot!(world.pulls(), @"
    #1 fleetwright/control merged
    #2 fleetwright/canary merged
    #3 fleetwright/rest merged
    #4 fleetwright/control open
    #5 fleetwright/canary closed (nothing is left to change)
    #6 fleetwright/rest open
    #7 fleetwright/early open
    ");
    assert_snapshot!(world.branches().lines().map(|line| line.split(' ').nth(1).unwrap()).collect::<Vec<_>>().join(" "), @"fleetwright/control fleetwright/early fleetwright/rest main");

    let office = proposed();
    renamed(&office.world);
    office.restart();
    office.settle();
    assert_snapshot!(office.verdicts(4), @"
    fleetwright/order pending: waits until #1 is merged
    fleetwright/review success: Made by Fleetwright from 24b02eb
    ");
    assert!(office.world.git(&["branch", "--list", "fleetwright/canary"]).is_empty());
    assert!(office.comments(2)[0].starts_with("Closed by Fleetwright: nothing is left to change."));
}

#[test]
fn a_renaming_that_is_cut_short_anywhere_is_finished_by_the_next_process() {
    for step in 0.. {
        let world = waves();
        edit(&world);
        world.run();
        world.edit(FLEET, "name: canary", "name: early");
        if !world.run_until(step) {
            break;
        }
        world.restart();
        world.run();
        world.run();
        let open: Vec<_> = world.pulls_open().into_iter().map(|pull| pull.proposal.head).collect();
        assert_eq!(
            open,
            ["fleetwright/control", "fleetwright/rest", "fleetwright/early"],
            "cut short at check {step}"
        );
        assert!(!world.branches().contains("canary"), "cut short at check {step}");
    }
}

#[test]
fn a_cluster_that_moves_to_another_group_is_in_one_pull_request_at_the_end() {
    let world = waves();
    edit(&world);
    world.run();
    world.edit("environments/eu-2.yaml", "wave: later", "wave: canary");
    assert_snapshot!(world.run(), @"
    control  pull request #4 is current
    canary   updated pull request #5
    rest     updated pull request #6
    ");
    let changed =
        ["control", "canary", "rest"].map(|group| world.changed_by(&format!("fleetwright/{group}")));
    assert_snapshot!(changed.join("\n"), @"
    M	argocd-apps/control/kube-prometheus-stack/values.yaml
    M	argocd-apps/eu-1/prometheus-agent/values.yaml
    M	argocd-apps/eu-2/prometheus-agent/values.yaml
    M	argocd-apps/app/prometheus-agent/values.yaml
    ");
    world.merge_all();
    assert_snapshot!(world.run(), @"
    control  nothing to do
    canary   nothing to do
    rest     nothing to do
    ");
}

#[test]
fn a_group_without_clusters_has_no_pull_request_and_none_waits_for_it() {
    let world = waves();
    world.edit(
        FLEET,
        "clusters: {labels: {wave: canary}}",
        "clusters: {roles: [control], labels: {wave: canary}}",
    );
    edit(&world);
    assert_snapshot!(world.run(), @"
    control  opened pull request #4
    canary   nothing to do
    rest     opened pull request #5
    ");
}

#[test]
fn what_a_person_has_below_our_prefix_is_no_group_that_is_gone() {
    let office = Office::with(waves(), APP_TOKEN, settings());
    let number = office.propose("fleetwright/early", [APP, "192.168.64.140", "192.168.64.139"]);
    office.settle();
    assert!(
        office.verdicts(number).contains("The prefix fleetwright/ is reserved"),
        "{}",
        office.verdicts(number)
    );
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    office.settle();
    assert!(!office.world.git(&["branch", "--list", "fleetwright/early"]).is_empty());

    // The pull request of a group that is gone, to which a person added something, is that person's.
    let office = proposed();
    office.commit_raw("fleetwright/canary", "M 644 inline argocd-apps/eu-1/extra.yaml\ndata 5\na: 1\n");
    office.settle();
    office.world.edit(FLEET, "name: canary", "name: early");
    office.settle();
    assert!(!office.world.git(&["branch", "--list", "fleetwright/canary"]).is_empty());
    assert_snapshot!(office.verdicts(2), @"
    fleetwright/order pending: waits until #1 is merged
    fleetwright/review failure: The prefix fleetwright/ is reserved; 1 rendered file edited by hand; Nothing changes in what is rendered
    ");
}
