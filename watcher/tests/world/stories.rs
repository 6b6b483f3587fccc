//! Stories of one run after the other, by one process.

use fleetwright::error::CommandError;
use fleetwright::git::SOURCE_REVISION;
use fleetwright::output::Exit;
use fleetwright::run::Published;
use insta::assert_snapshot;
use renderer::plan::text;

use crate::platform::{APP, APP_HEAD, BASE, CONTROL, CONTROL_HEAD, World};

/// A fact that only the app cluster's files show.
const POOL: [&str; 3] = [APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.139"];
/// A fact of the hub that both clusters' files show.
const PROMETHEUS: [&str; 3] = [CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109"];

fn edit(world: &World, [file, old, new]: [&str; 3]) {
    world.edit(file, old, new);
}

fn take_back(world: &World, [file, old, new]: [&str; 3]) {
    world.edit(file, new, old);
}

#[test]
fn a_run_on_what_is_published_does_nothing() {
    let world = World::new();
    let before = (world.refs(), world.objects());
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
    assert_eq!((world.refs(), world.objects()), before);
}

#[test]
fn the_first_run_proposes_everything_by_one_pull_request_a_group() {
    let world = World::unpublished();
    assert_snapshot!(world.run(), @r"
    control  opened pull request #1
    app      opened pull request #2
    ");
    let folders = |branch: &str| {
        let changed = world.changed_by(branch);
        let folder = |line: &str| line.split('/').take(2).collect::<Vec<_>>().join("/");
        let mut folders: Vec<_> = changed.lines().map(folder).collect();
        folders.dedup();
        folders.join("\n")
    };
    assert_snapshot!(folders(CONTROL_HEAD), @"A	argocd-apps/control");
    assert_snapshot!(folders(APP_HEAD), @"A	argocd-apps/app");
    world.assert_sound();
}

#[test]
fn a_pull_request_begins_with_the_commit_that_it_was_rendered_from() {
    let world = World::new();
    let source = world.edit(APP, POOL[1], POOL[2]);
    world.run();
    let proposal = || world.pull(1).proposal;
    assert_eq!(proposal().title, "Render app: Edit environments/app.yaml");
    let body = proposal().body;
    let first = format!("Rendered from `{}`: `Edit environments/app.yaml` by `Ann`.\n\n", source.short());
    assert!(body.starts_with(&first), "{body}");
    assert!(body.contains(&format!("git revert {}", source.short())), "{body}");
    world.commit(
        BASE,
        "Say nothing @all",
        &[(
            "environments/_fleet.yaml",
            Some(&format!("{}# x\n", world.read(BASE, "environments/_fleet.yaml"))),
        )],
    );
    world.run();
    assert_eq!(proposal().body, body, "a head that stays names its own source");
}

#[test]
fn a_fact_of_one_cluster_reaches_only_its_group() {
    let world = World::new();
    edit(&world, POOL);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      opened pull request #1
    ");
    assert_snapshot!(world.changed_by(APP_HEAD), @"M	argocd-apps/app/metallb/manifests/address-pool.yaml");
}

#[test]
fn a_fact_of_the_hub_reaches_both_groups() {
    let world = World::new();
    edit(&world, PROMETHEUS);
    assert_snapshot!(world.run(), @r"
    control  opened pull request #1
    app      opened pull request #2
    ");
    assert_snapshot!(world.changed_by(CONTROL_HEAD), @"M	argocd-apps/control/kube-prometheus-stack/values.yaml");
    assert_snapshot!(world.changed_by(APP_HEAD), @"M	argocd-apps/app/prometheus-agent/values.yaml");
    world.assert_sound();
}

#[test]
fn a_second_edit_updates_the_pull_request_in_place() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    let (first, head) = (world.pull(1), world.tip(APP_HEAD));
    world.edit(APP, "192.168.64.139", "192.168.64.138");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      updated pull request #1
    ");
    let second = world.pull(1);
    assert_ne!(world.tip(APP_HEAD), head);
    assert_eq!(second.proposal.head_revision, world.tip(APP_HEAD));
    assert_eq!(second.proposal.base_revision, world.tip(BASE));
    assert!(
        first.proposal.body.contains("192.168.64.139") && !second.proposal.body.contains("192.168.64.139")
    );
    assert!(second.proposal.body.contains("192.168.64.138"));
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      pull request #1 is current
    ");
}

#[test]
fn an_edit_that_is_taken_back_closes_its_pull_request_and_a_new_one_opens_when_it_comes_back() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    take_back(&world, POOL);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      closed pull request #1: nothing is left to change
    ");
    assert!(!world.refs().contains(APP_HEAD), "the head branch is still there");
    edit(&world, POOL);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      opened pull request #2
    ");
    assert_snapshot!(world.pulls(), @r"
    #1 fleetwright/app closed (nothing is left to change)
    #2 fleetwright/app open
    ");
}

#[test]
fn a_pull_request_that_a_person_closes_stays_closed_until_the_plan_changes() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    world.close(1);
    let closed = world.refs();
    let declined = "control  nothing to do\napp      pull request #1 was closed with this very change; it stays closed until the change differs";
    for _ in 0..2 {
        assert_eq!(world.run(), declined);
        assert_eq!(world.refs(), closed);
        world.restart();
    }
    world.commit(BASE, "Say more", &[("README.md", Some("# Fleet\n"))]);
    assert_eq!(world.run(), declined, "the plan is the same on a newer base");
    world.edit(APP, "192.168.64.139", "192.168.64.138");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      opened pull request #2
    ");
}

#[test]
fn a_head_branch_that_a_person_deletes_is_a_pull_request_that_a_person_closes() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    world.git(&["update-ref", "-d", "refs/heads/fleetwright/app"]);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      pull request #1 was closed with this very change; it stays closed until the change differs
    ");
    assert_snapshot!(world.pulls(), @"#1 fleetwright/app closed (its branch was deleted)");
}

#[test]
fn a_persons_commit_on_a_head_branch_is_left_alone_and_the_other_group_is_published() {
    let world = World::new();
    edit(&world, PROMETHEUS);
    world.run();
    let own = world.commit(APP_HEAD, "Fix it by hand", &[("argocd-apps/app/extra.yaml", Some("a: 1\n"))]);
    world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    let left_alone = format!(
        "\napp      left `fleetwright/app` alone: it is at {} `Fix it by hand` by Ann, which Fleetwright did not make; put the \
         branch back to the commit before, or close its pull request and delete it",
        own.short()
    );
    assert_eq!(world.run(), format!("control  updated pull request #1{left_alone}"));
    assert_eq!(world.tip(APP_HEAD), own);
    assert_eq!(world.run(), format!("control  pull request #1 is current{left_alone}"));
    world.edit(CONTROL, "192.168.64.108", "192.168.64.102");
    assert_eq!(
        world.run(),
        format!("control  closed pull request #1: nothing is left to change{left_alone}"),
        "the person may want to keep what is not rendered"
    );
    assert_eq!(world.tip(APP_HEAD), own);
    world.merge(2);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      opened pull request #3
    ");
    world.assert_sound();
}

#[test]
fn what_is_merged_leaves_nothing_to_do_and_a_merge_is_no_new_source() {
    let world = World::unpublished();
    let source = world.tip(BASE);
    world.run();
    let before = world.tip(APP_HEAD);
    world.merge(1);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      pull request #2 is current
    ");
    assert_eq!(world.tip(APP_HEAD), before, "it merges as cleanly as before");
    let trailer = world.upstream().repository().read_trailer(before, SOURCE_REVISION).unwrap();
    assert_eq!(trailer, Some(source.to_string()));
    world.merge(2);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
    assert_eq!(world.report().unwrap().source, source);
    world.assert_sound();
}

#[test]
fn an_unrelated_commit_leaves_a_pull_request_as_it_is() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    let (pull, head) = (world.pull(1), world.tip(APP_HEAD));
    world.commit(BASE, "Say more", &[("README.md", Some("# Fleet\n"))]);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      pull request #1 is current
    ");
    assert_eq!((world.pull(1), world.tip(APP_HEAD)), (pull, head));
    world.merge(1);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
}

#[test]
fn a_base_that_is_set_back_takes_its_pull_requests_along() {
    let world = World::new();
    let start = world.tip(BASE);
    edit(&world, POOL);
    world.run();
    world.git(&["update-ref", "refs/heads/main", &start.to_string()]);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      closed pull request #1: nothing is left to change
    ");
    world.assert_sound();
}

#[test]
fn a_base_with_another_history_gets_its_pull_request_rebuilt_on_it() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    world.begin_again();
    edit(&world, POOL);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      updated pull request #1
    ");
    world.merge(1);
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
    world.assert_sound();
}

const MORE: [(&str, &str); 2] = [
    (
        "environments/app-2.yaml",
        "role: app\nhub: control\nnetworks: {pods: 10.2.0.0/16, services: 10.102.0.0/16}\nloadBalancer: {pool: 192.168.65.10-192.168.65.20}\n",
    ),
    (
        "environments/app-3.yaml",
        "role: app\nhub: control\nnetworks: {pods: 10.3.0.0/16, services: 10.103.0.0/16}\nloadBalancer: {pool: 192.168.66.10-192.168.66.20}\n",
    ),
];

/// Allows what the next run would delete, and nothing else.
fn allow_the_next_plan(world: &World) {
    let refusal = world.report().unwrap().refusal().expect("nothing is deleted").clone();
    world.allow_deletions(&refusal.digest.short());
}

/// The platform with three app clusters, published.
fn with_three_apps() -> World {
    let world = World::new();
    world.commit(BASE, "Add two clusters", &MORE.map(|(path, text)| (path, Some(text))));
    world.run();
    world.merge_all();
    world
}

#[test]
fn a_deleted_cluster_is_a_risk_that_the_pull_request_names() {
    let world = with_three_apps();
    world.commit(BASE, "Retire app-3", &[(MORE[1].0, None)]);
    allow_the_next_plan(&world);
    let report = world.report().unwrap();
    let app = report.groups.last().unwrap();
    assert!(matches!(app.done, Published::Proposed(_)), "{:?}", app.done);
    let body = world.pulls_open().pop().unwrap().proposal.body;
    assert!(body.contains("app-3") && body.to_lowercase().contains("deletion"), "{body}");
    world.merge_all();
    assert_eq!(world.git(&["ls-tree", "--name-only", "main:argocd-apps"]), "app-2\napp\ncontrol");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
}

#[test]
fn a_cluster_that_is_renamed_has_to_be_allowed() {
    let world = with_three_apps();
    let facts = MORE[1].1;
    world.commit(BASE, "Rename app-3", &[(MORE[1].0, None), ("environments/app-4.yaml", Some(facts))]);
    let refusal = world.report().unwrap().refusal().unwrap().clone();
    assert_snapshot!(
        refusal.to_string().replace(&refusal.digest.short(), "DIGEST"),
        @"plan `DIGEST` deletes more than the budget allows: 1 of 3 clusters (0 allowed)"
    );
    assert_snapshot!(refusal.hint().replace(&refusal.digest.short(), "DIGEST"), @"`app-3` is described as `app-4` now: a rename is safe if the old name goes first, and its Applications with `fleetwright prune`; if this is meant, allow this one plan with `--allow-deletions DIGEST`");
    world.allow_deletions(&refusal.digest.short());
    let report = world.report().unwrap();
    let lines = text::summary(&report.groups[1].plan);
    let lines: Vec<_> = lines.iter().take(3).map(|line| &*line.text).collect();
    assert_snapshot!(lines.join("\n"), @"
    cluster renamed: app-3 → app-4; Applications of app-3 stay until `fleetwright prune`
    1 cluster added: app-4
    1 cluster removed: app-3
    ");
}

#[test]
fn a_cluster_that_goes_while_another_one_comes_is_not_renamed() {
    let world = with_three_apps();
    let facts = MORE[1].1.replace("role: app", "role: app\nlabels: {zone: b}");
    world.commit(BASE, "Replace app-3", &[(MORE[1].0, None), ("environments/app-4.yaml", Some(&facts))]);
    let refusal = world.report().unwrap().refusal().unwrap().clone();
    assert!(refusal.renamed.is_empty(), "{}", refusal.hint());
}

#[test]
fn more_deletions_than_the_budget_allows_are_refused_until_that_one_plan_is_allowed() {
    let world = with_three_apps();
    world.commit(BASE, "Retire both", &MORE.map(|(path, _)| (path, None)));
    let refusal = world.report().unwrap().refusal().unwrap().clone();
    assert!(!world.refs().contains(APP_HEAD), "a refused plan is pushed");
    assert_snapshot!(
        refusal.to_string().replace(&refusal.digest.short(), "DIGEST"),
        @"plan `DIGEST` deletes more than the budget allows: 2 of 3 clusters (0 allowed)"
    );
    world.allow_deletions("0123456789ab");
    assert!(world.report().unwrap().refusal().is_some(), "another plan's digest allows this one");
    world.allow_deletions(&refusal.digest.short());
    assert!(world.report().unwrap().refusal().is_none());
    world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.139");
    assert!(world.report().unwrap().refusal().is_some(), "the leave is for one plan only");
}

#[test]
fn an_inventory_without_clusters_is_refused() {
    let world = World::new();
    world.commit(BASE, "Oops", &[(CONTROL, None), (APP, None)]);
    let before = (world.refs(), world.objects());
    match world.report() {
        Ok(report) => assert!(report.refusal().is_some(), "{report}"),
        Err(error) => assert_eq!(error.exit(), Exit::Problems, "{error}"),
    }
    assert_eq!((world.refs(), world.objects()), before);
}

#[test]
fn a_cluster_that_was_a_hub_is_deleted_with_the_control_group() {
    let world = World::new();
    let (path, text) = MORE[0];
    let hub = text.replace(
        "role: app\nhub: control\n",
        "role: control\naddons: {argo-cd: {enabled: false}, kube-prometheus-stack: {enabled: false}}\n",
    );
    world.commit(BASE, "Add a hub", &[(path, Some(&hub))]);
    assert_snapshot!(world.run(), @r"
    control  opened pull request #1
    app      nothing to do
    ");
    world.merge(1);
    world.commit(BASE, "Retire it", &[(path, None)]);
    world.commit(BASE, "Say more", &[("README.md", Some("# Fleet\n"))]);
    allow_the_next_plan(&world);
    assert_snapshot!(world.run(), @r"
    control  opened pull request #2
    app      nothing to do
    ");
}

#[test]
fn problems_in_the_inputs_are_reported_and_nothing_is_written() {
    let world = World::new();
    edit(&world, POOL);
    world.run();
    world.edit(APP, "192.168.64.139", "192.168.64.99");
    let before = (world.refs(), world.objects());
    let error = world.report().unwrap_err();
    assert!(matches!(&error, CommandError::Problems { problems } if !problems.is_empty()), "{error:?}");
    assert_eq!(error.exit(), Exit::Problems);
    assert!(!error.is_transient());
    assert_eq!((world.refs(), world.objects()), before);
    world.edit(APP, "192.168.64.99", "192.168.64.138");
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      updated pull request #1
    ");
}

#[test]
fn the_same_history_gives_the_same_commits_whether_the_process_is_warm_or_cold() {
    let story = |is_warm: bool| {
        let world = World::unpublished();
        for change in [None, Some(PROMETHEUS), Some(POOL)] {
            if let Some(change) = change {
                edit(&world, change);
            }
            if !is_warm {
                world.restart();
            }
            world.run();
            world.run();
            world.merge_all();
        }
        world.git(&["for-each-ref", "--format=%(objectname) %(refname)"])
    };
    let refs = story(true);
    assert_eq!(story(true), refs);
    assert_eq!(story(false), refs);
}

#[test]
fn a_default_branch_that_is_renamed_is_followed_with_its_pull_requests() {
    let world = World::new();
    world.follow_head();
    let base = || world.pulls_open().into_iter().map(|pull| pull.proposal.base).collect::<Vec<_>>();
    edit(&world, POOL);
    world.run();
    assert_eq!(base(), ["main"]);
    world.git(&["branch", "-m", "main", "trunk"]);
    assert!(world.has_news());
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      updated pull request #1
    ");
    assert_eq!(base(), ["trunk"]);
    assert!(!world.has_news());
    let [file, _, new] = POOL;
    let text = world.read("trunk", file).replace(new, "192.168.64.120-192.168.64.130");
    world.commit("trunk", "Edit the pool", &[(file, Some(&text))]);
    assert!(world.has_news(), "the new name is looked at");
    world.run();
    world.merge_all();
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
}

#[test]
fn a_default_branch_is_another_one_when_head_says_so_unless_one_was_named() {
    let world = World::new();
    edit(&world, POOL);
    world.git(&["branch", "next", "main~1"]);
    world.run();
    world.git(&["symbolic-ref", "HEAD", "refs/heads/next"]);
    assert!(!world.has_news(), "the base was named");
    world.follow_head();
    assert_snapshot!(world.run(), @r"
    control  nothing to do
    app      closed pull request #1: nothing is left to change
    ");
}

#[test]
fn the_branch_that_somebody_works_on_is_not_followed_while_the_base_is_there() {
    let world = World::checked_out();
    world.follow_head();
    world.run();
    world.git(&["switch", "-qc", "feature"]);
    assert!(!world.has_news());
    edit(&world, POOL);
    world.run();
    let base = &world.pulls_open()[0].proposal.base;
    assert_eq!(base, BASE);
}
