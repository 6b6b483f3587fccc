//! Head branches at which others left something: what is ours is proven by commit ids, and anything else is
//! left alone.

use std::cell::Cell;

use fleetwright::git::Revision;
use fleetwright::run::Settings;
use insta::assert_snapshot;
use testkit::github::{self, MergeMethod};
use testkit::hostile::{checks, heads};

use crate::office::{APP_TOKEN, Office, POOL, PROMETHEUS};
use crate::platform::{
    APP, APP_HEAD, BASE, CONTROL, CONTROL_HEAD, World, is_stopped_at, run_beside, settings,
};
use crate::review::{is_merged, merged};

/// The tokens that the product works with: that of an App and that of a person.
const TOKENS: [&str; 2] = [APP_TOKEN, github::TOKEN];

type Forgery = fn(&std::path::Path, &str, heads::Files<'_>) -> anyhow::Result<String>;

/// The ways to copy everything of a commit of ours but its files.
const FORGERIES: [Forgery; 2] = [heads::copied, heads::on_top];

fn forge(world: &World, branch: &str, forgery: Forgery) -> String {
    let genuine = world.tip(branch).to_string();
    let forged = forgery(&world.path(), &genuine, heads::PAYLOAD).unwrap();
    put(world, branch, &forged);
    forged
}

fn put(world: &World, branch: &str, commit: &str) {
    world.git(&["update-ref", &format!("refs/heads/{branch}"), commit]);
}

/// An office in which both groups have a pull request.
fn office(token: &'static str) -> Office {
    let office = Office::with(World::new(), token, Settings { merge_reviewed: true, ..settings() });
    office.edit(BASE, PROMETHEUS);
    office.settle();
    office
}

#[test]
fn a_forged_head_is_left_alone_by_the_local_forge_and_never_current() {
    for branch in [CONTROL_HEAD, APP_HEAD] {
        for forgery in FORGERIES {
            let world = World::new();
            world.edit(PROMETHEUS[0], PROMETHEUS[1], PROMETHEUS[2]);
            world.run();
            let genuine = world.tip(branch).to_string();
            let forged = forge(&world, branch, forgery);
            for _ in 0..2 {
                let told = world.run();
                let line = format!("left `{branch}` alone: it is at {}", &forged[..7]);
                assert!(told.contains(&line), "{told}");
                assert_eq!(world.tip(branch).to_string(), forged);
                world.restart();
            }
            // Put back, it is what it was.
            put(&world, branch, &genuine);
            assert!(!world.run().contains("alone"));
            assert_eq!(world.tip(branch).to_string(), genuine);
        }
    }
}

#[test]
fn a_forged_head_is_said_on_its_pull_request_and_in_a_failing_verdict_and_is_not_merged() {
    for token in TOKENS {
        for (number, branch) in [(1, CONTROL_HEAD), (2, APP_HEAD)] {
            for forgery in FORGERIES {
                let office = office(token);
                let genuine = office.world.tip(branch).to_string();
                let forged = forge(&office.world, branch, forgery);
                for _ in 0..2 {
                    office.settle();
                    office.run();
                    assert_eq!(office.world.tip(branch).to_string(), forged);
                    let comments = office.comments(number);
                    assert_eq!(comments.len(), 1, "{comments:?}");
                    assert!(comments[0].contains("which Fleetwright did not make"), "{}", comments[0]);
                    let verdicts = office.verdicts(number);
                    assert!(verdicts.contains("fleetwright/review failure"), "{verdicts}");
                    assert!(!verdicts.contains("fleetwright/review success"), "{verdicts}");
                    assert!(!is_merged(&office, number));
                    office.restart();
                }
                put(&office.world, branch, &genuine);
                office.settle();
                office.run();
                assert_eq!(office.world.tip(branch).to_string(), genuine);
                assert!(office.verdicts(number).contains("fleetwright/review success"));
                assert!(office.comments(number)[0].contains("is at a commit of Fleetwright again"));
            }
        }
    }
}

#[test]
fn what_was_read_is_not_merged_once_its_head_is_forged() {
    for forgery in FORGERIES {
        let (office, ours) = merged();
        let forged = forge(&office.world, APP_HEAD, forgery);
        office.settle();
        office.run();
        assert!(!is_merged(&office, ours));
        let history = office.world.git(&["log", "--format=%H", BASE]);
        assert!(history.lines().all(|id| id != forged));
    }
}

#[test]
fn the_words_of_a_forged_commit_are_no_attestation() {
    let office = office(github::TOKEN);
    let genuine = office.world.tip(APP_HEAD).to_string();
    let forged = heads::on_top(&office.world.path(), &genuine, heads::PAYLOAD).unwrap();
    let title = "Fine · head=0a1b2c3d";
    let commit = office.world.git(&[
        "-c",
        "user.name=x",
        "-c",
        "user.email=x",
        "commit-tree",
        "-p",
        &forged,
        "-m",
        title,
        &format!("{forged}^{{tree}}"),
    ]);
    put(&office.world, APP_HEAD, &commit);
    for _ in 0..3 {
        office.run();
        office.restart();
    }
    assert_eq!(office.world.tip(APP_HEAD).to_string(), commit);
}

#[test]
fn a_head_of_an_earlier_plan_is_replaced_by_a_process_that_remembers_nothing() {
    for token in TOKENS {
        let office = office(token);
        let first = office.world.tip(APP_HEAD);
        office.restart();
        office.edit(BASE, [CONTROL, "192.168.64.109", "192.168.64.108"]);
        office.settle();
        assert_ne!(office.world.tip(APP_HEAD), first);
        assert_eq!(office.comments(2), [""; 0]);

        // A run that was cut short after its push has said nothing of the commit.
        office.edit(BASE, [CONTROL, "192.168.64.108", "192.168.64.107"]);
        assert!(is_stopped_at(&mut office.pipeline.borrow_mut(), PUSHED_APP));
        let second = office.world.tip(APP_HEAD);
        office.restart();
        office.edit(BASE, [CONTROL, "192.168.64.107", "192.168.64.109"]);
        office.settle();
        assert_ne!(office.world.tip(APP_HEAD), second);
        assert_eq!(office.comments(2), [""; 0]);
    }
}

#[test]
fn only_our_own_account_can_say_of_a_commit_that_an_older_fleetwright_made_it() {
    for token in TOKENS {
        let office = office(token);
        let genuine = office.world.tip(APP_HEAD).to_string();
        // What an older version rendered is not what this one renders.
        let older =
            heads::copied(&office.world.path(), &genuine, &[("argocd-apps/app/x.yaml", "a: 1\n")]).unwrap();
        put(&office.world, APP_HEAD, &older);
        let (runs, statuses) = {
            let state = office.github.state();
            (state.check_runs.clone(), state.statuses.clone())
        };
        let runs: Vec<_> = runs.iter().filter(|run| run.sha == genuine).collect();
        let statuses: Vec<_> = statuses.iter().filter(|status| status.sha == genuine).collect();
        {
            let mut state = office.github.state();
            state.check_runs.extend(runs.iter().map(|run| checks::check_run(run, &older, "mallory-ci")));
            state.statuses.extend(statuses.iter().map(|status| checks::status(status, &older, "mallory")));
        }
        office.restart();
        office.run();
        assert_eq!(office.world.tip(APP_HEAD).to_string(), older, "another account says so");
        {
            let mut state = office.github.state();
            (state.check_runs, state.statuses) = (Vec::new(), Vec::new());
            state.check_runs.extend(runs.iter().map(|run| checks::check_run(run, &older, "fleetwright")));
            state
                .statuses
                .extend(statuses.iter().map(|status| checks::status(status, &older, "fleetwright")));
        }
        office.restart();
        office.run();
        assert_eq!(office.world.tip(APP_HEAD).to_string(), genuine, "our account says so");
    }
}

#[test]
fn a_branch_that_github_updated_stays_ours_and_is_replaced() {
    for token in TOKENS {
        let office = office(token);
        let genuine = office.world.tip(APP_HEAD).to_string();
        let base = office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
        let once = heads::update(&office.world.path(), &genuine, &base.to_string(), &[]).unwrap();
        let base = office.world.commit(BASE, "Explain more", &[("README.md", Some("y\n"))]);
        let twice = heads::update(&office.world.path(), &once, &base.to_string(), &[]).unwrap();
        put(&office.world, APP_HEAD, &twice);
        office.restart();
        office.settle();
        assert_eq!(office.world.upstream().repository().parents(office.world.tip(APP_HEAD)).unwrap(), [base]);
        assert_eq!(office.comments(2), [""; 0]);
    }
}

#[test]
fn a_merge_of_the_base_that_brings_something_else_is_a_persons() {
    let office = office(APP_TOKEN);
    let genuine = office.world.tip(APP_HEAD).to_string();
    let base = office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
    let update = heads::update(&office.world.path(), &genuine, &base.to_string(), heads::PAYLOAD).unwrap();
    put(&office.world, APP_HEAD, &update);
    office.settle();
    assert_eq!(office.world.tip(APP_HEAD).to_string(), update);
    assert_eq!(office.comments(2).len(), 1);

    // A merge of something that the base does not have.
    office.world.git(&["branch", "side", &base.to_string()]);
    let side = office.world.commit("side", "Sneak", &[("argocd-apps/app/x.yaml", Some("a: 1\n"))]);
    let update = heads::update(&office.world.path(), &genuine, &side.to_string(), &[]).unwrap();
    put(&office.world, APP_HEAD, &update);
    office.settle();
    assert_eq!(office.world.tip(APP_HEAD).to_string(), update);
}

/// The check after the push of the apps' head, in a run that moves both heads: two before anything is
/// planned, four of control.
const PUSHED_APP: usize = 8;

#[test]
fn a_base_that_always_moves_neither_rewrites_a_head_nor_keeps_it_from_being_merged() {
    let office = Office::with(World::new(), APP_TOKEN, Settings { merge_reviewed: true, ..settings() });
    let number = office.propose("pool", POOL);
    let notes = Cell::new(0);
    // A commit that has nothing to do with what is rendered.
    let take_note = || {
        let number = notes.replace(notes.get() + 1);
        office.world.commit(BASE, "Take a note", &[(&format!("notes/{number}.md"), Some("x\n"))]);
    };
    let run = || {
        take_note();
        run_beside(&mut office.pipeline.borrow_mut(), |_| take_note()).unwrap()
    };
    run();
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    run();
    let (head, body) = (office.world.tip(APP_HEAD), office.github.pull(number + 1).unwrap().body);
    // A check takes its time.
    office.report_ci(&head.to_string(), "pending");
    let writes = office.github.writes();
    for _ in 0..3 {
        run();
        assert_eq!(office.world.tip(APP_HEAD), head);
        assert_eq!(office.github.pull(number + 1).unwrap().body, body);
    }
    assert_eq!(office.github.writes(), writes, "nothing is pushed, edited or reported again");
    office.report_ci(&head.to_string(), "success");
    run();
    let pull = office.github.pull(number + 1).unwrap();
    assert!(pull.merged.is_some());
    assert_eq!(pull.head_sha, head.to_string());
}

#[test]
fn where_a_head_has_to_stand_on_the_newest_base_it_is_moved_there_before_it_is_merged() {
    let (office, ours) = merged();
    office.github.state().is_strict = true;
    office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
    let before = office.world.tip(APP_HEAD);
    office.settle();
    assert!(is_merged(&office, ours));
    assert_ne!(office.github.pull(ours).unwrap().head_sha, before.to_string());
}

#[test]
fn inputs_that_changed_for_another_group_leave_a_head_where_it_is() {
    let world = World::new();
    world.edit(PROMETHEUS[0], PROMETHEUS[1], PROMETHEUS[2]);
    world.run();
    let head = world.tip(CONTROL_HEAD);
    world.edit(APP, POOL[1], POOL[2]);
    assert_snapshot!(world.run(), @r"
    control  pull request #1 is current
    app      updated pull request #2
    ");
    assert_eq!(world.tip(CONTROL_HEAD), head);
}

#[test]
fn a_branch_below_our_prefix_that_is_no_head_of_ours_is_never_deleted_or_counted_as_ours() {
    let office = Office::with(World::new(), APP_TOKEN, settings());
    let number = office.propose("fleetwright/feature-x", POOL);
    office.settle();
    assert!(!office.verdicts(number).contains("Made by Fleetwright"), "{}", office.verdicts(number));
    let tip = office.world.tip("fleetwright/feature-x");
    office.github.close(number).unwrap();
    office.settle();
    office.run();
    assert_eq!(office.world.tip("fleetwright/feature-x"), tip);
}

#[test]
fn a_body_that_was_edited_changes_no_decision() {
    let office = office(APP_TOKEN);
    let body = office.github.pull(2).unwrap().body.unwrap();
    let head = office.world.tip(APP_HEAD);
    office.github.edit(2, |pull| pull.body = Some(body.replace("\"plan\":\"", "\"plan\":\"0"))).unwrap();
    office.restart();
    office.run();
    assert_eq!(office.github.pull(2).unwrap().body.unwrap(), body, "it says again what is so");
    assert_eq!(office.world.tip(APP_HEAD), head);
    // Whoever may edit a body says that we closed what a person closed, over a commit of their own.
    let forged = forge(&office.world, APP_HEAD, heads::copied);
    let end = body.replace("\"title\":", "\"closed\":\"nothing is left to change\",\"title\":");
    office.github.edit(2, |pull| pull.body = Some(end)).unwrap();
    office.github.close(2).unwrap();
    office.settle();
    assert_eq!(office.world.tip(APP_HEAD), Revision::parse(&forged).unwrap());
}

#[test]
fn a_label_that_says_reviewed_is_taken_off_where_nothing_was_and_others_stay() {
    let office = office(APP_TOKEN);
    office.github.label(2, fleetwright::run::REVIEWED_LABEL).unwrap();
    office.github.label(2, "team-a").unwrap();
    office.settle();
    office.run();
    assert_eq!(office.labels(2), "app, team-a");
    assert!(!is_merged(&office, 2));
}

#[test]
fn what_people_add_to_a_pull_request_keeps_it_from_nothing() {
    let (office, ours) = merged();
    office.github.label(ours, "team-a").unwrap();
    office.github.edit(ours, |pull| pull.title = "Move the pool".into()).unwrap();
    office.settle();
    assert!(is_merged(&office, ours));
}

/// Takes back what a pull request of ours brought, by a commit of a person.
fn revert(world: &World, files: &[&str], before: Revision) -> Revision {
    let texts: Vec<_> = files.iter().map(|file| (*file, world.read(&before.to_string(), file))).collect();
    let files: Vec<_> = texts.iter().map(|(file, text)| (*file, Some(text.as_str()))).collect();
    world.commit(BASE, "Revert \"Render app\"", &files)
}

const POOL_FILE: &str = "argocd-apps/app/metallb/manifests/address-pool.yaml";

#[test]
fn what_an_operator_took_back_is_proposed_with_their_name_and_never_merged_by_itself() {
    let (office, ours) = merged();
    let before = office.world.tip(BASE);
    office.settle();
    assert!(is_merged(&office, ours));
    let revert = revert(&office.world, &[POOL_FILE], before);
    for _ in 0..2 {
        office.settle();
        office.run();
        assert!(!is_merged(&office, ours + 1));
        assert_eq!(office.labels(ours + 1), "app");
        let body = office.github.pull(ours + 1).unwrap().body.unwrap();
        let line = format!("- {revert} `Revert \"Render app\"` by `Ann` on 2026-01-01: `{POOL_FILE}`\n");
        assert!(body.contains("### Changed by hand\n") && body.contains(&line), "{body}");
        assert!(!body.contains("was read before the merge"), "{body}");
        // Later commits and a copied name change nothing.
        office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
        office.restart();
    }
}

#[test]
fn a_revert_counts_however_it_came_onto_the_base_and_whoever_signed_it() {
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        let (office, ours) = merged();
        let before = office.world.tip(BASE).to_string();
        office.settle();
        assert!(is_merged(&office, ours));
        // Signed with our name, on a branch of its own.
        let text = office.world.read(&before, POOL_FILE);
        let commit =
            heads::on_top(&office.world.path(), &office.world.tip(BASE).to_string(), &[(POOL_FILE, &text)])
                .unwrap();
        put(&office.world, "revert", &commit);
        let number = office.github.open("revert").unwrap();
        office.github.merge_by(number, method).unwrap();
        office.settle();
        office.run();
        let next = office.github.pulls().unwrap().len() as u64;
        assert_eq!(office.github.pull(next).unwrap().head, APP_HEAD);
        assert!(!is_merged(&office, next));
        assert_eq!(office.labels(next), "app");
        assert!(office.github.pull(next).unwrap().body.unwrap().contains("### Changed by hand\n"));
    }
}

#[test]
fn a_commit_that_is_signed_as_ours_is_changed_by_hand_all_the_same() {
    let office = office(APP_TOKEN);
    office.edit(BASE, POOL);
    office.settle();
    let genuine = office.world.tip(APP_HEAD).to_string();
    let text = office.world.read(APP_HEAD, POOL_FILE).replace("192.168.64.139", "192.168.64.150");
    let forged = heads::on_top(&office.world.path(), &genuine, &[(POOL_FILE, &text)]).unwrap();
    put(&office.world, BASE, &forged);
    office.settle();
    let pulls = office.github.pulls().unwrap();
    let body = pulls.iter().rfind(|pull| pull.head == APP_HEAD).unwrap().body.clone().unwrap();
    assert!(body.contains("### Changed by hand\n"), "{body}");
    let named: Vec<_> = body.lines().filter(|line| line.starts_with(&format!("- {forged}"))).collect();
    assert_eq!(named.len(), 1, "{body}");
    assert!(named[0].ends_with(&format!("`{POOL_FILE}`")), "{body}");
    assert!(!body.contains(&genuine), "what was rendered is nobody's edit: {body}");
}
