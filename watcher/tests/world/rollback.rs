//! Rollbacks: what a change made of the inputs and of the rendered files goes back by one pull request, and nothing else
//! does; by either forge.

use fleetwright::error::CommandError;
use fleetwright::events::Cancel;
use fleetwright::forge::{Home, PullState};
use fleetwright::run::{RolledBack, Target, rollback};
use insta::assert_snapshot;
use testkit::github::MergeMethod;

use crate::office::{Office, POOL, PROMETHEUS, open};
use crate::platform::{APP, BASE, CONTROL, CONTROL_HEAD, World, settings};

const NOTHING: &str = "control  nothing to do\napp      nothing to do";
/// A fact of the hub beside the one that is taken back.
const ARGO_CD: [&str; 3] = [CONTROL, "argocd: 192.168.64.100", "argocd: 192.168.64.108"];

/// Asks for a rollback on the local forge, and returns what became of it.
fn ask(world: &World, target: &str) -> Result<String, CommandError> {
    let target = target.parse().unwrap();
    let report =
        rollback((&world.upstream(), &Home::Local, &settings()), &target, (&Cancel::default(), &()))?;
    Ok(match report.done {
        RolledBack::Nothing => "nothing".to_owned(),
        RolledBack::Open { number, .. } => format!("#{number} is open already"),
        RolledBack::Proposed { proposed, inputs, plan, .. } => {
            let inputs: Vec<_> = inputs.iter().map(ToString::to_string).collect();
            let files = plan.files().count();
            format!("{proposed:?}: {} and {files} rendered files", inputs.join(", "))
        }
    })
}

fn edit(world: &World, [file, old, new]: [&str; 3]) -> String {
    world.edit(file, old, new).to_string()
}

fn tree(world: &World) -> String {
    world.git(&["rev-parse", &format!("{BASE}^{{tree}}")])
}

/// A world in which a change was merged and published, and the change.
fn published(change: [&str; 3]) -> (World, String) {
    let world = World::new();
    let source = edit(&world, change);
    world.run();
    world.merge_all();
    world.run();
    (world, source)
}

#[test]
fn a_change_is_taken_back_whole_and_the_run_after_that_finds_nothing_to_do() {
    let (world, source) = published(PROMETHEUS);
    let before = world.git(&["rev-parse", &format!("{source}~1^{{tree}}")]);
    let after = tree(&world);
    assert_snapshot!(ask(&world, &source).unwrap(), @"Opened(3): environments/control.yaml and 2 rendered files");
    let pull = world.pull(3).proposal;
    assert_snapshot!(pull.body, @r#"
    Takes back what was changed; what came after it stays.

    - `19e5401`: `Edit environments/control.yaml` by `Ann`

    ### Inputs that are put back

    - `environments/control.yaml`

    ### What that changes of the rendered files

    - `192.168.64.109 → 192.168.64.102 on app, control, 2 settings`

    2 files changed on 2 clusters: app, control

    ### Risks

    - **exposed address**: an address moves that others may depend on
      - `kube-prometheus-stack/values.yaml prometheus.service.loadBalancerIP` on control
      - `prometheus-agent/values.yaml prometheus.prometheusSpec.remoteWrite[0].url` on app

    ### On app

    ```diff
    # prometheus-agent/values.yaml
    - prometheus.prometheusSpec.remoteWrite[0].url: http://192.168.64.109:9090/api/v1/write
    + prometheus.prometheusSpec.remoteWrite[0].url: http://192.168.64.102:9090/api/v1/write
    ```

    ### On control

    ```diff
    # kube-prometheus-stack/values.yaml
    - prometheus.service.loadBalancerIP: "192.168.64.109"
    + prometheus.service.loadBalancerIP: "192.168.64.102"
    ```

    ---

    It is reviewed and merged into `main` like any other edit, and the run after that finds nothing to do for it. `fleetwright rollback` of this pull request brings the change again.
    "#);
    assert_eq!(pull.title, "Roll back: Edit environments/control.yaml");
    assert_eq!(world.run(), NOTHING);
    assert_eq!(world.pull(3).state, PullState::Open, "a run in between leaves it as it is");
    world.merge(3);
    assert_eq!(tree(&world), before);
    assert_eq!(world.run(), NOTHING);

    // The newest change is the rollback itself.
    let newest =
        rollback((&world.upstream(), &Home::Local, &settings()), &Target::Newest, (&Cancel::default(), &()));
    assert_eq!(newest.unwrap().change, world.tip(BASE));
    world.merge(4);
    assert_eq!(tree(&world), after, "rolling back a rollback gives the first bytes");
    assert_eq!(world.run(), NOTHING);
    world.assert_sound();
}

#[test]
fn a_rendered_pull_request_is_taken_back_with_the_inputs_that_it_was_rendered_from() {
    let (world, source) = published(PROMETHEUS);
    let of_source = ask(&world, &source).unwrap();
    let branch = format!("rollback/{}", &source[..7]);
    let head = world.tip(&branch);
    for target in ["1", "#2", &world.git(&["rev-parse", BASE])] {
        let asked = ask(&world, target).unwrap();
        assert_eq!(asked.split(':').nth(1), of_source.split(':').nth(1), "{target}");
        assert_eq!(world.tip(&branch), head, "{target}");
    }
}

#[test]
fn several_changes_that_were_published_together_are_taken_back_together() {
    let world = World::new();
    let before = tree(&world);
    edit(&world, PROMETHEUS);
    world.run();
    edit(&world, POOL);
    edit(&world, ARGO_CD);
    world.run();
    world.merge_all();
    world.run();
    // What lies between is of the apps alone.
    ask(&world, "1").unwrap();
    assert_eq!(world.pulls().lines().last().unwrap().split(' ').nth(2), Some("open"));
    world.merge_all();
    assert_ne!(tree(&world), before);
    assert_eq!(world.run(), NOTHING);
    assert!(
        world.read(BASE, CONTROL).contains(PROMETHEUS[1]) && world.read(BASE, CONTROL).contains(ARGO_CD[1])
    );
    assert!(world.read(BASE, APP).contains(POOL[2]), "control's pull request had nothing of it");
}

#[test]
fn what_came_between_stays_whether_it_is_published_or_not() {
    let (world, source) = published(PROMETHEUS);
    edit(&world, ARGO_CD);
    world.run();
    world.merge_all();
    edit(&world, POOL);
    world.run();
    ask(&world, &source).unwrap();
    let branch = format!("rollback/{}", &source[..7]);
    assert_snapshot!(world.changed_by(&branch), @"
    M	argocd-apps/app/prometheus-agent/values.yaml
    M	argocd-apps/control/kube-prometheus-stack/values.yaml
    M	environments/control.yaml
    ");
    let number = world.pulls_open().last().unwrap().number;
    world.merge(number);
    let control = world.read(BASE, CONTROL);
    assert!(control.contains(PROMETHEUS[1]) && control.contains(ARGO_CD[2]), "{control}");
    assert_snapshot!(world.run(), @"
    control  nothing to do
    app      pull request #4 is current
    ");
    world.merge_all();
    assert_eq!(world.run(), NOTHING);
    assert!(world.read(BASE, "argocd-apps/app/metallb/manifests/address-pool.yaml").contains("64.139"));
}

#[test]
fn a_change_that_is_not_published_yet_is_taken_back_and_its_pull_requests_close() {
    let world = World::new();
    let before = tree(&world);
    let source = edit(&world, PROMETHEUS);
    world.run();
    assert_snapshot!(ask(&world, &source[..9]).unwrap(), @"Opened(3): environments/control.yaml and 0 rendered files");
    world.merge(3);
    assert_eq!(tree(&world), before);
    world.run();
    assert_snapshot!(world.pulls(), @"
    #1 fleetwright/control closed (nothing is left to change)
    #2 fleetwright/app closed (nothing is left to change)
    #3 rollback/19e5401 merged
    ");
}

#[test]
fn lines_that_were_changed_again_are_named_with_the_later_commit_and_nothing_is_written() {
    let (world, source) = published(PROMETHEUS);
    let later = world.edit(CONTROL, PROMETHEUS[2], "prometheus: 192.168.64.110");
    let before = world.refs();
    let error = ask(&world, &source).unwrap_err();
    let expected = format!(
        "the same lines of `environments/control.yaml` were changed later by {} (Edit environments/control.yaml)",
        later.short()
    );
    assert!(error.message().ends_with(&expected), "{}", error.message());
    assert_eq!((error.exit() as u8, world.refs()), (5, before));
}

#[test]
fn inputs_that_build_on_the_change_are_a_problem_and_nothing_is_written() {
    let world = World::new();
    let pool = "pool: 192.168.64.100-192.168.64.110";
    let source = world.edit(CONTROL, pool, "pool: 192.168.64.100-192.168.64.115").to_string();
    world.edit(CONTROL, "grafana: 192.168.64.101", "grafana: 192.168.64.112");
    let before = world.refs();
    let error = ask(&world, &source).unwrap_err();
    assert!(error.message().contains("192.168.64.112"), "{}", error.message());
    assert!(error.report().contains(&format!("in the inputs without what `{}` changed", &source[..7])));
    assert_eq!((error.exit() as u8, world.refs()), (4, before));
}

#[test]
fn a_base_that_does_not_render_is_repaired_by_taking_the_fault_back() {
    let world = World::new();
    let before = tree(&world);
    let source = edit(&world, crate::office::BROKEN);
    assert!(world.report().is_err());
    assert_snapshot!(ask(&world, &source).unwrap(), @"Opened(1): environments/control.yaml and 0 rendered files");
    world.merge(1);
    assert_eq!((tree(&world), world.run()), (before, NOTHING.to_owned()));
}

#[test]
fn the_same_rollback_is_one_pull_request_and_another_base_leaves_it_alone() {
    let (world, source) = published(PROMETHEUS);
    assert!(ask(&world, &source).unwrap().starts_with("Opened(3)"));
    let refs = world.refs();
    assert!(ask(&world, &source).unwrap().starts_with("Unchanged(3)"));
    assert_eq!(world.refs(), refs);
    edit(&world, POOL);
    let refs = world.refs();
    assert_eq!(ask(&world, &source).unwrap(), "#3 is open already");
    assert_eq!(world.refs(), refs);
    world.close(3);
    assert!(ask(&world, &source).unwrap().starts_with("Opened(4)"), "a pull request that was closed is over");
    world.merge(4);
    assert_eq!(ask(&world, &source).unwrap(), "nothing");
}

#[test]
fn what_cannot_be_taken_back_is_an_error_with_the_way_out() {
    let (world, source) = published(PROMETHEUS);
    let docs = world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]).to_string();
    let file = "argocd-apps/app/metallb/manifests/address-pool.yaml";
    let text = world.read(BASE, file).replace("64.140", "64.141");
    let by_hand = world.commit(BASE, "Edit by hand", &[(file, Some(&text))]).to_string();
    world.git(&["branch", "aside", &source]);
    let aside = world.commit("aside", "Elsewhere", &[(APP, None)]).to_string();
    let root = world.git(&["rev-list", "--max-parents=0", BASE]);
    let mut told = String::new();
    for target in ["9", "nope", &docs, &by_hand, &aside, &root] {
        let report = ask(&world, target).unwrap_err().report();
        told.extend([&report.replace(world.path().to_str().unwrap(), "fleet"), "\n"]);
    }
    edit(&world, POOL);
    world.run();
    let number = world.pulls_open()[0].number;
    told.push_str(&ask(&world, &number.to_string()).unwrap_err().report());
    assert_snapshot!(told, @"
    error: there is no pull request #9
      hint: list them with `fleetwright pulls list`
    error: failed to find revision `nope` (repository `fleet/`): `nope` names no commit
      hint: list what there is with `git log --oneline --all`
    error: `7d64879` changes neither inputs nor rendered files
      hint: take it back with `git revert`
    error: `64071d8` changed rendered files by hand: no inputs before it render to them
      hint: the next run proposes what the inputs render to
    error: `f32b6b1` is no part of `main`
      hint: name a commit that is merged, or name the base with `--base`
    error: nothing is known of what was before `3895217`
      hint: it is the first commit, or the clone is shallow: `git fetch --unshallow`
    error: pull request #3 is open, so there is nothing to take back
      hint: name one that is merged
    ");
}

#[test]
fn the_first_publication_has_nothing_before_it_that_could_be_put_back() {
    let world = World::unpublished();
    world.run();
    world.merge_all();
    assert_snapshot!(ask(&world, "1").unwrap_err().report(), @"
    error: `03b65f8` published files that the first inputs render to: there is nothing before them
      hint: to remove what it brought, take the cluster or the add-on out of `environments/`
    ");
}

#[test]
fn nothing_in_a_subject_or_a_name_is_markup_or_hidden() {
    let world = World::new();
    let text = world.read(BASE, CONTROL).replace(PROMETHEUS[1], PROMETHEUS[2]);
    let title = "Move it @all #1 <b>x</b> `y` \u{202e}z";
    let source = world.commit(BASE, title, &[(CONTROL, Some(&text))]).to_string();
    ask(&world, &source).unwrap();
    let pull = world.pull(1).proposal;
    assert_eq!(pull.title, "Roll back: Move it all 1 b x /b y u 202e z");
    let line = pull.body.lines().nth(2).unwrap();
    assert!(line.contains("``Move it @all #1 <b>x</b> `y` \\u{202e}z``"), "{line}");
}

/// Asks for a rollback on GitHub.
fn ask_on_github(office: &Office, target: &str) -> Result<u64, CommandError> {
    let home = office.pipeline.borrow().home().clone();
    let upstream = fleetwright::git::Upstream::own(open(&office.world));
    let target = target.parse().unwrap();
    let report = rollback((&upstream, &home, &office.settings), &target, (&Cancel::default(), &()))?;
    match report.done {
        RolledBack::Proposed { proposed: fleetwright::forge::Proposed::Opened(number), .. } => Ok(number),
        done => panic!("{done:?}"),
    }
}

fn merge_ours(office: &Office) {
    office.settle();
    for pull in office.github.pulls().unwrap().iter().filter(|pull| pull.is_open()) {
        office.github.merge(pull.number).unwrap();
    }
    office.settle();
}

#[test]
fn on_github_a_pull_request_is_taken_back_however_it_was_merged_and_reviewed_like_any_other() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let office = Office::new();
        let before = tree(&office.world);
        let number = office.propose("two-edits", PROMETHEUS);
        office.edit("two-edits", POOL);
        office.settle();
        office.world.commit(BASE, "Explain", &[("README.md", Some("x\n"))]);
        office.github.merge_by(number, method).unwrap();
        merge_ours(&office);
        let after = tree(&office.world);

        let back = ask_on_github(&office, &number.to_string()).unwrap();
        let pull = office.github.pull(back).unwrap();
        assert_eq!(pull.title.split(':').next(), Some("Roll back"), "{method:?}");
        office.settle();
        let verdicts = office.verdicts(back);
        assert!(verdicts.contains("fleetwright/review success"), "{method:?}: {verdicts}");
        assert!(verdicts.contains("fleetwright/order success"), "{method:?}: {verdicts}");
        office.github.merge(back).unwrap();
        office.settle();
        let pulls = office.github.pulls().unwrap();
        assert!(pulls.iter().all(|pull| !pull.is_open()), "{method:?}: the run agrees with the rollback");
        let without_docs =
            |tree: &str| office.world.git(&["ls-tree", "-r", tree, "environments", "argocd-apps"]);
        assert_eq!(without_docs(BASE), without_docs(&before), "{method:?}");

        let again = ask_on_github(&office, &back.to_string()).unwrap();
        office.github.merge(again).unwrap();
        office.settle();
        assert_eq!(tree(&office.world), after, "{method:?}: the first bytes");
    }
}

#[test]
fn on_github_a_squashed_pull_request_of_ours_is_taken_back_with_its_inputs() {
    let office = Office::new();
    let before = tree(&office.world);
    let number = office.propose("hub", PROMETHEUS);
    office.github.merge(number).unwrap();
    office.settle();
    let ours = office.github.pulls().unwrap();
    for pull in ours.iter().filter(|pull| pull.is_open()) {
        office.github.merge_by(pull.number, MergeMethod::Squash).unwrap();
    }
    office.settle();
    let control = ours.iter().find(|pull| pull.head == CONTROL_HEAD).unwrap().number;
    let back = ask_on_github(&office, &format!("#{control}")).unwrap();
    office.github.merge_by(back, MergeMethod::Rebase).unwrap();
    office.settle();
    assert_eq!(tree(&office.world), before);
    assert!(office.github.pulls().unwrap().iter().all(|pull| !pull.is_open()));
}
