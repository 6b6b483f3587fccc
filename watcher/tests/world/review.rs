//! Reviews of pull requests that people open on GitHub: the test kit's, on the very repository that the runs read.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright::error::CommandError;
use fleetwright::git::{Repository, Revision, Upstream};
use fleetwright::run::{RENDER_LABEL, REVIEWED_LABEL, Settings};
use insta::assert_snapshot;
use testkit::github::{self, CheckRun, FaultKind, MergeMethod};

use crate::office::{APP_TOKEN, BROKEN, Office, POOL, PROMETHEUS, process};
use crate::platform::{APP, APP_HEAD, BASE, CONTROL, World, is_stopped_at, settings};

#[test]
fn a_pull_request_that_touches_nothing_rendered_gets_a_verdict_and_no_comment() {
    let office = Office::new();
    office.world.git(&["branch", "docs", BASE]);
    office.world.commit("docs", "Explain", &[("README.md", Some("x\n"))]);
    let number = office.github.open("docs").unwrap();
    office.run();
    assert_eq!(office.comments(number), [""; 0]);
    assert_snapshot!(office.checks(number), @"fleetwright/review success: Nothing is touched that is rendered [0]");
    assert!(!office.has_news());
}

#[test]
fn a_change_is_said_in_one_comment_and_one_check() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.run();
    assert_snapshot!(office.comments(number).join("\n===\n"), @r#"
    ### What this pull request changes

    - `fact loadBalancer.pool: 192.168.64.120-192.168.64.140 → 192.168.64.120-192.168.64.139 on app, 1 setting`

    1 file changed on 1 cluster: app

    ### Risks

    - **exposed address**: an address moves that others may depend on
      - `metallb/manifests/address-pool.yaml IPAddressPool metallb-system/default spec.addresses[0]` on app

    ### On app

    ```diff
    # metallb/manifests/address-pool.yaml
    - IPAddressPool metallb-system/default spec.addresses[0]: "192.168.64.120-192.168.64.140"
    + IPAddressPool metallb-system/default spec.addresses[0]: "192.168.64.120-192.168.64.139"
    ```

    ---
    Digest of the rendered tree: `ce9e7e5c0491`. All of it: `fleetwright diff --full 3895217 6f62e21`, or as far as it fits in the check `fleetwright/review`.

    <!-- fleetwright:review -->
    "#);
    assert_snapshot!(office.checks(number), @"fleetwright/review success: 1 file changed on 1 cluster: app [0]");
    let text = office.github.state().check_runs[0].fields["output"]["text"].as_str().unwrap().to_owned();
    assert_snapshot!(text, @r#"
    ```diff
    1 file changed on 1 cluster: app

    cluster app changed
      add-on metallb changed
          argocd-apps/app/metallb/manifests/address-pool.yaml
    -       IPAddressPool metallb-system/default spec.addresses[0]: "192.168.64.120-192.168.64.140"
    +       IPAddressPool metallb-system/default spec.addresses[0]: "192.168.64.120-192.168.64.139"
            ! exposed address: an address moves that others may depend on
    ```
    "#);
    assert!(!office.has_news());
}

#[test]
fn a_pull_request_that_changes_nothing_rendered_says_so() {
    let office = Office::new();
    let number = office.propose("comment", [APP, "role: app\n", "# As before.\nrole: app\n"]);
    office.run();
    assert_snapshot!(office.comments(number).join("\n===\n"), @"
    This pull request changes nothing in what is rendered.

    Digest of the rendered tree: `04c55ff1085f`.

    <!-- fleetwright:review -->
    ");
    assert_snapshot!(office.checks(number), @"fleetwright/review success: Nothing changes in what is rendered [0]");
}

#[test]
fn every_problem_is_said_and_stands_on_its_line() {
    let office = Office::new();
    let number = office.propose("broken", BROKEN);
    office.run();
    assert_snapshot!(office.comments(number).join("\n===\n"), @"
    ### This pull request does not render: 1 problem

    ```text
    environments/control.yaml:4:1: unknown key `label`
      hint: known keys: `addons`, `addresses`, `apiServer`, `hub`, `kubernetes`, `labels`, `loadBalancer`, `machines`, `networks`, `publish`, `role`
    ```

    `fleetwright check` prints them all.

    <!-- fleetwright:review -->
    ");
    assert_snapshot!(office.checks(number), @"fleetwright/review failure: It does not render: 1 problem [1]");
    let annotations = office.github.state().check_runs[0].annotations.clone();
    let lines: Vec<_> =
        annotations.iter().map(|note| format!("{} {}", note["path"], note["start_line"])).collect();
    assert_snapshot!(lines.join("\n"), @r#""environments/control.yaml" 4"#);
}

#[test]
fn a_push_edits_the_comment_and_gives_the_new_head_its_own_verdict() {
    let office = Office::new();
    let number = office.propose("pool", BROKEN);
    office.run();
    let first = office.github.pull(number).unwrap().head_sha;
    office.edit("pool", [BROKEN[0], BROKEN[2], BROKEN[1]]);
    assert!(office.has_news());
    office.run();
    assert_eq!(office.comments(number).len(), 1);
    assert!(office.comments(number)[0].starts_with("This pull request touches nothing"));
    assert_snapshot!(office.checks(number), @"fleetwright/review success: Nothing is touched that is rendered [0]");

    // A force-push back is reviewed as if nothing had been there between.
    office.world.git(&["update-ref", "refs/heads/pool", &first]);
    office.run();
    assert_eq!(office.comments(number).len(), 1);
    assert!(office.comments(number)[0].starts_with("### This pull request does not render"));
    assert_eq!(
        office.checks(number).lines().count(),
        1,
        "what was found about this head stands there already"
    );
}

#[test]
fn a_review_takes_few_requests_and_what_is_said_already_takes_no_write() {
    let office = Office::new();
    office.run();
    let cost = |work: &dyn Fn()| {
        let before = (office.requests(), office.writes(), office.spent());
        work();
        (office.requests() - before.0, office.writes() - before.1, office.spent() - before.2)
    };
    // Without a pull request a run looks at each of its own branches, and once at the list.
    assert_eq!(cost(&|| office.run()), (3, 0, 0));
    office.propose("pool", POOL);
    assert_eq!(cost(&|| office.run()), (10, 3, 8));
    assert_eq!(cost(&|| assert!(!office.has_news())), (1, 0, 0), "what is known already was paid for");
    assert_eq!(cost(&|| office.run()), (3, 0, 0));
    office.restart();
    assert_eq!(cost(&|| office.run()), (8, 0, 8), "a new process looks, and says nothing");
}

#[test]
fn a_base_that_moves_changes_no_review_until_the_branch_takes_it_in() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.run();
    let (seen, writes) = (office.seen(number), office.writes());
    office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
    office.run();
    assert_eq!((office.seen(number), office.writes()), (seen.clone(), writes));
    let tree = office.world.git(&["merge-tree", "--write-tree", "pool", BASE]);
    let merge = office.world.git(&[
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=a@example.com",
        "commit-tree",
        &tree,
        "-p",
        "pool",
        "-p",
        BASE,
        "-m",
        "x",
    ]);
    office.world.git(&["update-ref", "refs/heads/pool", &merge]);
    office.run();
    assert_eq!(office.comments(number).len(), 1);
    assert_ne!(office.comments(number), seen.0, "the comment names what was compared");
    assert_eq!(office.checks(number), seen.1);
}

#[test]
fn a_plain_token_gets_one_commit_status_in_place_of_the_check() {
    let office = Office::with(World::new(), github::TOKEN, settings());
    let good = office.propose("pool", POOL);
    let bad = office.propose("broken", BROKEN);
    office.run();
    office.restart();
    office.run();
    assert_snapshot!(office.statuses(good).join("\n"), @r"
    fleetwright/review success: 1 file changed on 1 cluster: app · app=7868f9145c337f0ec9af3718308b4e64
    fleetwright/order success: no rendered file is changed
    ");
    assert_snapshot!(office.statuses(bad).join("\n"), @r"
    fleetwright/review failure: It does not render: 1 problem
    fleetwright/order success: no rendered file is changed
    ");
    assert_eq!(office.github.state().check_runs, []);
    assert_eq!(office.comments(good).len(), 1);
}

#[test]
fn a_base_that_does_not_render_keeps_nobody_from_seeing_that_a_pull_request_mends_it() {
    let office = Office::new();
    office.edit(BASE, BROKEN);
    let mends = office.propose("mend", [BROKEN[0], BROKEN[2], BROKEN[1]]);
    let breaks = office.propose("worse", [APP, "role: app", "role: ap"]);
    for _ in 0..2 {
        assert!(matches!(office.try_run(), Err(CommandError::Problems { .. })));
    }
    assert_snapshot!(office.comments(mends).join("\n===\n"), @"
    This pull request renders. What it started from does not, so there is nothing to compare with: what changes is in the pull requests that follow its merge.

    Digest of the rendered tree: `04c55ff1085f`.

    <!-- fleetwright:review -->
    ");
    assert_snapshot!(office.checks(mends), @"fleetwright/review success: It renders [0]");
    assert_snapshot!(office.comments(breaks).join("\n===\n"), @"
    ### This pull request does not render: 2 problems

    ```text
    environments/app.yaml:3:7: `role` must be one of `control`, `app`
      hint: did you mean `app`?
    environments/control.yaml:4:1: unknown key `label`
      hint: known keys: `addons`, `addresses`, `apiServer`, `hub`, `kubernetes`, `labels`, `loadBalancer`, `machines`, `networks`, `publish`, `role`
    ```

    1 of them already stood where it left `main`.

    `fleetwright check` prints them all.

    <!-- fleetwright:review -->
    ");
}

#[test]
fn a_closed_pull_request_is_left_alone() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.github.close(number).unwrap();
    office.run();
    assert_eq!((office.comments(number), office.writes()), (Vec::new(), 0));
}

#[test]
fn many_problems_are_sent_in_batches_and_every_answer_may_be_lost() {
    // One file has at most 100.
    let many = |count: usize| (0..count).map(|n| format!("unknown{n}: 1\n")).collect::<Vec<_>>().concat();
    let propose = |office: &Office| {
        let number = office.propose("broken", [APP, "role: app\n", &format!("role: app\n{}", many(100))]);
        office.edit("broken", [CONTROL, "role: control\n", &format!("role: control\n{}", many(30))]);
        number
    };
    let whole = Office::new();
    let number = propose(&whole);
    whole.run();
    assert_snapshot!(whole.checks(number), @"fleetwright/review failure: It does not render: 130 problems [130]");
    assert_snapshot!(whole.github.writes().join("\n"), @"
    POST /repos/acme/fleet/issues/1/comments 201
    POST /repos/acme/fleet/check-runs 201
    PATCH /repos/acme/fleet/check-runs/2 200
    PATCH /repos/acme/fleet/check-runs/2 200
    POST /repos/acme/fleet/statuses/37626e1aba8c00a6fcaf3b02ce870f8edcee39ff 201
    ");
    for (method, path, kind) in [
        ("POST", "/check-runs", FaultKind::After(502)),
        ("POST", "/check-runs", FaultKind::Cut),
        ("PATCH", "/check-runs/", FaultKind::CutAfter),
        ("PATCH", "/check-runs/", FaultKind::Instead(500)),
        ("GET", "/check-runs", FaultKind::Instead(502)),
        ("POST", "/comments", FaultKind::CutAfter),
    ] {
        let office = Office::new();
        let number = propose(&office);
        office.github.fail(method, path, 1, kind);
        office.run();
        assert_eq!(office.seen(number), whole.seen(number), "{method} {path} {kind:?}");
        assert!(!office.has_news());
    }
}

#[test]
fn a_review_that_is_cut_short_between_any_two_steps_is_finished_by_the_next_process() {
    let whole = Office::new();
    let number = whole.propose("pool", POOL);
    whole.run();
    for step in 0.. {
        let office = Office::new();
        assert_eq!(office.propose("pool", POOL), number);
        if !is_stopped_at(&mut office.pipeline.borrow_mut(), step) {
            // Two checks before anything is planned, two for each group, and three for the review.
            assert_eq!(step, 9);
            break;
        }
        assert!(office.has_news(), "{step}");
        office.restart();
        office.run();
        assert_eq!(office.seen(number), whole.seen(number), "cut short at check {step}");
    }
}

#[test]
fn a_verdict_that_a_person_asks_for_once_more_is_given_once_more() {
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.run();
    let (seen, writes) = (office.seen(number), office.writes());
    let head = office.github.pull(number).unwrap().head_sha;
    for (is_asked, written) in [(false, 0), (true, 1)] {
        if is_asked {
            office.github.rerequest(&head);
        }
        office.pipeline.borrow_mut().review_again();
        assert!(office.has_news());
        office.run();
        assert_eq!((office.seen(number), office.writes()), (seen.clone(), writes + written));
        assert!(!office.github.state().rerequested.contains(&head));
    }
}

#[test]
fn a_conversation_that_is_locked_keeps_no_other_from_being_reviewed() {
    let office = Office::new();
    let locked = office.propose("locked", POOL);
    let other = office.propose("pool", POOL);
    office.github.fail("POST", &format!("/issues/{locked}/comments"), 1, FaultKind::Instead(403));
    office.run();
    assert_eq!((office.comments(locked).len(), office.comments(other).len()), (0, 1));
    assert!(!office.has_news(), "it is tried again when something has changed");
}

#[test]
fn a_fork_is_rendered_when_a_maintainer_asks_for_what_is_there_now() {
    let office = Office::new();
    office.run();
    let head = office.commit_in_fork(POOL);
    let number = office.github.open_from_fork("mallory", "pool", &head).unwrap();
    let writes = office.writes();
    office.settle();
    assert_eq!((office.writes(), office.comments(number)), (writes + 2, Vec::new()), "nobody asked");

    // Both in the same second: the push may have come after the look.
    office.github.label(number, RENDER_LABEL).unwrap();
    office.settle();
    assert_eq!((office.labels(number).as_str(), office.comments(number).len()), ("", 0));

    office.github.advance(Duration::from_secs(1));
    office.github.label(number, RENDER_LABEL).unwrap();
    office.settle();
    assert_snapshot!(office.checks(number), @r"
    fleetwright/review action_required: Waits for the label fleetwright: render [0]
    fleetwright/review success: 1 file changed on 1 cluster: app [0]
    ");
    assert_eq!(office.comments(number).len(), 1);

    office.github.advance(Duration::from_secs(1));
    let worse = office.commit_in_fork(BROKEN);
    office.github.push_to_fork(number, &worse).unwrap();
    office.settle();
    assert_eq!(office.labels(number), "");
    assert_snapshot!(office.comments(number).join("\n===\n"), @"
    Something was pushed to this fork after a maintainer had asked for it to be rendered, so the label was taken off. Read what is there now, and set `fleetwright: render` again.

    <!-- fleetwright:review -->
    ");
    assert_snapshot!(office.checks(number), @"fleetwright/review action_required: Waits for the label fleetwright: render [0]");

    office.github.advance(Duration::from_secs(1));
    office.github.label(number, RENDER_LABEL).unwrap();
    office.settle();
    assert_snapshot!(office.checks(number), @r"
    fleetwright/review action_required: Waits for the label fleetwright: render [0]
    fleetwright/review failure: It does not render: 1 problem [1]
    ");
    assert_eq!(office.comments(number).len(), 1);
}

#[test]
fn a_comment_in_which_a_stranger_copied_our_mark_is_not_edited() {
    for token in [APP_TOKEN, github::TOKEN] {
        let office = Office::with(World::new(), token, settings());
        let number = office.propose("pool", POOL);
        let body = "This is fine.\n<!-- fleetwright:review -->".to_owned();
        let comment =
            github::Comment { id: 90, pull: number, author: "mallory".into(), body, created: 0, updated: 0 };
        office.github.state().comments.push(comment);
        office.run();
        office.restart();
        office.run();
        let comments = office.comments(number);
        assert!(comments[0].starts_with("This is fine.") && comments.len() == 2, "{comments:?}");
    }
}

#[test]
fn the_head_of_a_fork_is_fetched_only_once_it_may_be_rendered() {
    let office = Office::new();
    let clone = office.world.beside("clone");
    let repository = Repository::init_bare(&clone, BASE).unwrap();
    let url = format!("file://{}", office.world.path().display());
    let upstream = Upstream::at(repository, &url).unwrap();
    office.pipeline.replace(process(upstream, &office.github, APP_TOKEN, &office.settings));
    let head = office.commit_in_fork(POOL);
    let number = office.github.open_from_fork("mallory", "pool", &head).unwrap();
    let has = || Repository::open(&clone).unwrap().has(Revision::parse(&head).unwrap());
    office.run();
    assert!(!has());
    office.github.advance(Duration::from_secs(1));
    office.github.label(number, RENDER_LABEL).unwrap();
    office.run();
    assert!(has());
    assert_eq!(office.comments(number).len(), 1);
}

#[test]
fn a_change_that_was_read_is_known_again_however_it_was_merged() {
    for (token, method) in [
        (APP_TOKEN, MergeMethod::Merge),
        (APP_TOKEN, MergeMethod::Squash),
        (APP_TOKEN, MergeMethod::Rebase),
        (github::TOKEN, MergeMethod::Squash),
    ] {
        let office = Office::with(World::new(), token, settings());
        let number = office.propose("pool", POOL);
        office.edit("pool", PROMETHEUS);
        office.run();
        office.github.merge_by(number, method).unwrap();
        office.settle();
        assert_eq!(office.labels(number + 1), format!("control, {REVIEWED_LABEL}"), "{method:?}");
        assert_eq!(office.labels(number + 2), format!("app, {REVIEWED_LABEL}"), "{method:?}");
        let body = office.github.pull(number + 1).unwrap().body.unwrap();
        assert!(body.contains("\nThis very change was read before the merge of #1.\n"), "{body}");
    }
}

#[test]
fn a_change_that_was_not_shown_in_the_review_is_not_taken_for_read() {
    // Nobody proposed it.
    let office = Office::new();
    office.edit(BASE, POOL);
    office.settle();
    assert_eq!(office.labels(1), "app");

    // Something else went in before, unread, and is part of what the pull request of ours would change.
    let office = Office::new();
    let number = office.propose("pool", POOL);
    office.run();
    office.edit(BASE, PROMETHEUS);
    office.github.merge(number).unwrap();
    office.settle();
    assert_eq!((office.labels(number + 1), office.labels(number + 2)), ("control".into(), "app".into()));

    // Someone copies the words of a review.
    let office = Office::new();
    let head = office.commit_in_fork(POOL);
    let number = office.github.open_from_fork("mallory", "pool", &head).unwrap();
    let body = "This is fine.\n<!-- fleetwright:review -->".to_owned();
    let (id, created) = (90, office.github.state().now);
    let comment =
        github::Comment { id, pull: number, author: "mallory".into(), body, created, updated: created };
    office.github.state().comments.push(comment);
    office.run();
    office.github.merge(number).unwrap();
    office.settle();
    assert_eq!(office.labels(number + 1), "app");
    assert_eq!(office.comments(number).len(), 1);
}

/// An office in which a change was reviewed and merged, and that may merge what follows from it.
pub fn merged() -> (Office, u64) {
    let office = Office::with(World::new(), APP_TOKEN, Settings { merge_reviewed: true, ..settings() });
    let number = office.propose("pool", POOL);
    office.run();
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    office.run();
    (office, number + 1)
}

pub fn is_merged(office: &Office, number: u64) -> bool {
    office.github.pull(number).unwrap().merged.is_some()
}

#[test]
fn what_was_read_is_merged_at_the_next_look_if_the_owner_says_so() {
    let (office, ours) = merged();
    assert!(!is_merged(&office, ours), "its checks have to have time to begin");
    office.settle();
    assert!(is_merged(&office, ours));
    assert_eq!(
        office.world.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]),
        "refs/heads/main\nrefs/heads/pool"
    );
}

#[test]
fn what_was_read_is_not_merged_while_a_rule_or_a_status_is_in_its_way() {
    let (office, ours) = merged();
    let tip = office.world.tip(APP_HEAD).to_string();
    office.report_ci(&tip, "pending");
    office.settle();
    assert!(!is_merged(&office, ours) && !office.has_news());
    office.github.state().protected.insert(BASE.into(), 1);
    office.report_ci(&tip, "success");
    office.settle();
    assert!(!is_merged(&office, ours) && !office.has_news());
    office.github.edit(ours, |pull| pull.approvals = 1).unwrap();
    assert!(office.has_news());
    office.settle();
    assert!(is_merged(&office, ours));
}

#[test]
fn what_someone_pushed_to_our_branch_under_our_name_is_not_merged_as_read() {
    let (office, ours) = merged();
    let name = ["-c", "user.name=Fleetwright", "-c", "user.email=fleetwright@fleetwright.invalid"];
    let message = "Render app\n\nRendered-By: fleetwright";
    let commit = ["commit-tree", "main^{tree}", "-p", APP_HEAD, "-m", message];
    let forged = office.world.git(&[&name[..], &commit[..]].concat());
    office.world.git(&["update-ref", &format!("refs/heads/{APP_HEAD}"), &forged]);
    office.settle();
    let history = office.world.git(&["log", "--format=%H", BASE]);
    assert!(history.lines().all(|id| id != forged), "a commit that nobody read is on the base branch");
    assert!(!is_merged(&office, ours));
}

#[test]
fn a_change_of_a_thousand_clusters_is_said_within_the_limits_of_one_comment_and_one_check() {
    let office = Office::with(World::of_fleet(1_000), APP_TOKEN, settings());
    let edit = ["environments/_fleet.yaml", "storageClass: fast", "storageClass: slow"];
    let number = office.propose("storage", edit);
    office.run();
    let (comments, state) = (office.comments(number), office.github.state());
    let names: Vec<_> = state.check_runs.iter().map(|run| run.fields["name"].as_str().unwrap()).collect();
    assert_snapshot!(names.join("\n"), @"
    fleetwright/review 2
    fleetwright/review 3
    fleetwright/review 4
    fleetwright/review 5
    fleetwright/review 6
    fleetwright/review 7
    fleetwright/review 8
    fleetwright/review 9
    fleetwright/review 10
    fleetwright/review
    ");
    let text = |run: &CheckRun, field: &str| run.fields["output"][field].as_str().unwrap().to_owned();
    for run in &state.check_runs {
        assert!(["summary", "text"].iter().all(|field| text(run, field).chars().count() <= 65_535));
    }
    // What one part ends with, the next one goes on after.
    let parts: Vec<String> = state.check_runs.iter().rev().map(|run| text(run, "text")).collect();
    assert_eq!(parts.iter().collect::<BTreeSet<_>>().len(), parts.len(), "a part is there twice");
    let output = &state.check_runs.last().unwrap().fields["output"];
    assert!(comments[0].chars().count() <= 65_536);
    assert_snapshot!(output["title"].as_str().unwrap(), @"2000 files changed on 1000 clusters: app-0001, app-0002, app-0003, app-0004, app-0005 and 995 more");
    let is_cut = |run: &&CheckRun| text(run, "text").trim_end().ends_with("more lines");
    assert_eq!(state.check_runs.iter().filter(is_cut).count(), usize::from(names.len() == 10));
    assert_eq!(comments[0].matches("<details>").count(), comments[0].matches("</details>").count());
}
