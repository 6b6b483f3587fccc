//! Runs whose pull requests live on GitHub: the test kit's, on the very repository that the runs push to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use fleetwright::error::CommandError;
use fleetwright::events::Cancel;
use fleetwright::forge::Home;
use fleetwright::forge::github::{Client, Clock, RepositoryPlace};
use fleetwright::git::{Repository, Upstream};
use fleetwright::http::Url;
use fleetwright::identity::Identity;
use fleetwright::run::Pipeline;
use insta::assert_snapshot;
use testkit::github::{self, FaultKind, GitHub, MergeMethod};
use testkit::program::write_script;

use crate::platform::{APP, APP_HEAD, BASE, CONTROL, World, is_stopped_at, run_beside, settings, told};

pub const MOVED: [&str; 3] = [CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109"];

/// A world whose pull requests live on GitHub, and the runs of one process.
struct OnGitHub {
    github: GitHub,
    pipeline: RefCell<Pipeline>,
    world: World,
}

impl OnGitHub {
    fn new(world: World) -> Self {
        let github = GitHub::start(&world.path()).unwrap();
        let pipeline = RefCell::new(process(&world.path(), &github));
        Self { github, pipeline, world }
    }

    /// The platform with a change that concerns both groups.
    fn edited() -> Self {
        let on = Self::new(World::new());
        on.world.edit(MOVED[0], MOVED[1], MOVED[2]);
        on
    }

    fn run(&self) -> String {
        told(&self.try_run().unwrap())
    }

    fn try_run(&self) -> Result<fleetwright::run::RunReport, CommandError> {
        self.pipeline.borrow_mut().run(&Cancel::default(), &())
    }

    fn restart(&self) {
        self.pipeline.replace(process(&self.world.path(), &self.github));
    }

    fn has_news(&self) -> bool {
        self.pipeline.borrow().has_news().unwrap()
    }

    fn pulls(&self) -> String {
        pulls(&self.github)
    }

    /// Returns what the newest status on the tip of a branch says; nothing while there is no such branch.
    fn status(&self, branch: &str) -> String {
        status(&self.github, &self.world, branch)
    }
}

/// Returns all pull requests, one a line.
pub fn pulls(github: &GitHub) -> String {
    let pulls = github.pulls().unwrap();
    let line = |pull: &github::Pull| {
        let state = match (pull.is_open(), &pull.merged) {
            (true, _) => "open",
            (false, Some(_)) => "merged",
            (false, None) => "closed",
        };
        let labels: Vec<_> = pull.labels.iter().map(String::as_str).collect();
        format!("#{} {} → {} {state} [{}]", pull.number, pull.head, pull.base, labels.join(", "))
    };
    pulls.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns what the newest status on the tip of a branch says; nothing while there is no such branch.
pub fn status(github: &GitHub, world: &World, branch: &str) -> String {
    if !world.branches().contains(branch) {
        return String::new();
    }
    let tip = world.tip(branch).to_string();
    let state = github.state();
    let newest = state.statuses.iter().rfind(|status| status.sha == tip);
    newest.map_or_else(String::new, |status| {
        format!("{} {}: {}", status.context, status.state, status.description.clone().unwrap_or_default())
    })
}

fn process(repository: &Path, github: &GitHub) -> Pipeline {
    let upstream = Upstream::own(Repository::open(repository).unwrap());
    Pipeline::new(upstream, Home::GitHub(client(github).into()), settings())
}

fn client(github: &GitHub) -> Client {
    let name = format!("{}/{}", github::OWNER, github::NAME).parse().unwrap();
    let place = RepositoryPlace { api: Url::parse(&github.url()).unwrap(), name };
    let (now, wait) = github.clock();
    Client::new(
        place,
        Identity::of_token(github::TOKEN.into()),
        Clock { now: Box::new(now), wait: Box::new(wait) },
    )
}

#[test]
fn a_run_on_what_is_published_says_nothing_to_github() {
    let on = OnGitHub::new(World::new());
    let before = on.world.refs();
    assert_snapshot!(on.run(), @r"
    control  nothing to do
    app      nothing to do
    ");
    assert_eq!((on.world.refs(), on.github.writes()), (before, Vec::new()));
}

#[test]
fn each_group_gets_one_pull_request_and_the_apps_wait_for_control() {
    let on = OnGitHub::edited();
    assert_snapshot!(on.run(), @r"
    control  opened pull request #1
    app      opened pull request #2
    ");
    assert_snapshot!(on.pulls(), @r"
    #1 fleetwright/control → main open [control]
    #2 fleetwright/app → main open [app]
    ");
    assert_snapshot!(on.status(APP_HEAD), @"fleetwright/order pending: waits until #1 is merged");
    assert!(!on.has_news());
    on.github.merge(1).unwrap();
    assert!(on.has_news());
    assert_snapshot!(on.run(), @r"
    control  nothing to do
    app      pull request #2 is current
    ");
    assert_snapshot!(on.status(APP_HEAD), @"fleetwright/order success: what comes first is merged (Argo CD is not asked)");
    on.github.merge(2).unwrap();
    on.run();
    assert_snapshot!(on.world.git(&["for-each-ref", "--format=%(refname)"]), @"refs/heads/main");
    on.world.assert_sound();
}

#[test]
fn a_run_makes_few_requests_and_one_that_finds_nothing_new_spends_none() {
    let on = OnGitHub::edited();
    on.run();
    let requests = on.github.state().exchanges.len();
    assert_eq!((requests, on.github.writes().len()), (21, 8), "{:?}", on.github.writes());
    on.run();
    let used = || on.github.state().spending[github::TOKEN].used;
    let used_before = used();
    on.run();
    assert!(!on.has_news());
    assert_eq!((used(), on.github.writes().len()), (used_before, 8), "what is known already was paid for");
}

#[test]
fn a_change_to_a_thousand_clusters_is_one_push_a_group_and_a_handful_of_requests() {
    let on = OnGitHub::new(World::of(&testkit::fleet::files(1_000, 3)));
    let Home::GitHub(client) = on.pipeline.borrow().home().clone() else { panic!("not on GitHub") };
    let pushes = || BTreeMap::from(client.left())["pushes"].unwrap();
    let before = pushes();
    let report = on.try_run().unwrap();
    let clusters: usize = report.groups.iter().map(|group| group.plan.clusters.len()).sum();
    assert_eq!(clusters, 1_000);
    let requests = on.github.state().exchanges.len();
    let writes = on.github.writes();
    assert_eq!((before - pushes(), requests, writes.len()), (2, 21, 8), "{writes:?}");
}

#[test]
fn a_run_that_is_cut_short_between_any_two_steps_is_finished_by_the_next_process() {
    let whole = OnGitHub::edited();
    whole.run();
    for step in 0.. {
        let on = OnGitHub::edited();
        if !is_stopped_at(&mut on.pipeline.borrow_mut(), step) {
            // Two checks before anything is planned, four for each group, and three for the review of its
            // pull request.
            assert_eq!(step, 16);
            break;
        }
        on.restart();
        on.run();
        assert_eq!(on.pulls(), whole.pulls(), "cut short at check {step}");
        assert_eq!(on.world.refs(), whole.world.refs(), "cut short at check {step}");
        assert_eq!(on.status(APP_HEAD), whole.status(APP_HEAD), "cut short at check {step}");
    }
}

#[test]
fn every_answer_may_be_lost_once_and_nothing_is_done_twice() {
    let whole = OnGitHub::edited();
    whole.run();
    for path in ["/pulls", "/labels", "/statuses", "/commits"] {
        for kind in [FaultKind::After(502), FaultKind::CutAfter, FaultKind::Instead(500)] {
            let on = OnGitHub::edited();
            on.github.fail("", path, 1, kind);
            on.github.fail("POST", path, 1, kind);
            on.run();
            assert_eq!(on.pulls(), whole.pulls(), "{path} {kind:?}");
            assert_eq!(on.status(APP_HEAD), whole.status(APP_HEAD), "{path} {kind:?}");
            assert!(!on.has_news());
        }
    }
}

#[test]
fn an_hour_of_refusals_passes_and_the_run_after_it_finishes_the_work() {
    let on = OnGitHub::edited();
    on.github.fail("POST", "/pulls", 1, FaultKind::SecondaryLimit(Some(3_600)));
    let error = on.try_run().unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(on.github.now() + Duration::from_hours(1)));
    assert!(on.try_run().unwrap_err().is_transient());
    assert_eq!(on.pulls(), "");
    on.github.advance(Duration::from_hours(1));
    assert_snapshot!(on.run(), @r"
    control  opened pull request #1
    app      opened pull request #2
    ");
}

#[test]
fn a_pull_request_that_a_person_closed_stays_closed_until_its_plan_changes() {
    let on = OnGitHub::edited();
    on.run();
    on.github.close(1).unwrap();
    assert!(on.has_news(), "the apps would wait for ever");
    assert_snapshot!(on.run(), @r"
    control  pull request #1 was closed with this very change; it stays closed until the change differs
    app      pull request #2 is current
    ");
    assert_snapshot!(on.status(APP_HEAD), @"fleetwright/order pending: waits for control: #1 was closed, and what it changes is still not on the base");
    assert!(!on.has_news());
    on.world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    assert_snapshot!(on.run(), @r"
    control  opened pull request #3
    app      updated pull request #2
    ");
}

#[test]
fn a_change_that_is_taken_back_closes_its_pull_requests_with_a_comment() {
    let on = OnGitHub::edited();
    on.run();
    on.world.edit(MOVED[0], MOVED[2], MOVED[1]);
    assert_snapshot!(on.run(), @r"
    control  closed pull request #1: nothing is left to change
    app      closed pull request #2: nothing is left to change
    ");
    assert_snapshot!(on.pulls(), @r"
    #1 fleetwright/control → main closed [control]
    #2 fleetwright/app → main closed [app]
    ");
    assert_eq!(on.github.state().comments.len(), 2);
    assert_snapshot!(on.world.git(&["for-each-ref", "--format=%(refname)"]), @"refs/heads/main");
}

#[test]
fn a_title_that_a_person_wrote_survives_the_next_run() {
    let on = OnGitHub::edited();
    on.run();
    on.github.edit(1, |pull| pull.title = "Move Prometheus".into()).unwrap();
    on.world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    on.run();
    on.run();
    assert_eq!(on.github.pull(1).unwrap().title, "Move Prometheus");
    assert_eq!(on.pulls().lines().count(), 2);
}

#[test]
fn a_token_that_was_revoked_stalls_the_run_and_leaves_everything_as_it_is() {
    let on = OnGitHub::edited();
    let token = on.github.state().tokens.remove(github::TOKEN).unwrap();
    let before = on.world.refs();
    let error = on.try_run().unwrap_err();
    assert!(!error.is_transient());
    assert_snapshot!(error.report(), @"
    error: failed to find the pull request of a commit on GitHub: the token is not accepted
      hint: check that the token is complete, has not expired and was not revoked
    ");
    assert_eq!(on.world.refs(), before);
    on.github.state().tokens.insert(github::TOKEN.into(), token);
    on.run();
    assert_eq!(on.pulls().lines().count(), 2);
}

#[test]
fn what_a_person_changed_by_hand_is_put_back_by_a_pull_request_that_names_the_commit() {
    const POOL: &str = "argocd-apps/app/metallb/manifests/address-pool.yaml";
    let on = OnGitHub::new(World::new());
    on.run();
    let published = on.world.read(BASE, POOL);
    let by_hand = published.replace("192.168.64.140", "192.168.64.150");
    let commit = on.world.commit(BASE, "Widen the pool, quickly", &[(POOL, Some(&by_hand))]);
    assert!(on.has_news());
    assert_snapshot!(on.run(), @r"
    control  nothing to do
    app      opened pull request #1
    ");
    let (body, writes) = (on.github.pull(1).unwrap().body.unwrap(), on.github.writes());
    let told = format!("- {commit} `Widen the pool, quickly` by `Ann` on 2026-01-01: `{POOL}`\n");
    assert!(body.contains("### Changed by hand\n") && body.contains(&told), "{body}");
    on.run();
    assert_eq!(on.github.writes(), writes, "a second run says nothing else");
    on.github.merge(1).unwrap();
    on.run();
    assert_eq!(on.world.read(BASE, POOL), published);
    // A file that our own pull request changed is nobody's drift when the inputs change again.
    on.world.edit(MOVED[0], MOVED[1], MOVED[2]);
    on.run();
    assert!(
        on.github
            .pulls()
            .unwrap()
            .iter()
            .all(|pull| { !pull.is_open() || !pull.body.as_ref().unwrap().contains("Changed by hand") })
    );
}

#[test]
fn a_pull_request_of_ours_that_is_squashed_or_rebased_late_is_not_called_changed_by_hand() {
    let (pool, old, new, newer) = (APP, "192.168.64.140", "192.168.64.139", "192.168.64.138");
    for method in [MergeMethod::Squash, MergeMethod::Rebase, MergeMethod::Merge] {
        let on = OnGitHub::edited();
        on.world.edit(pool, old, new);
        on.run();
        // The inputs move on before what follows from them is merged.
        on.world.edit(pool, new, newer);
        on.world.edit(MOVED[0], MOVED[2], "prometheus: 192.168.64.108");
        on.github.merge_by(1, method).unwrap();
        on.github.merge_by(2, method).unwrap();
        on.run();
        let bodies: Vec<_> =
            on.github.pulls().unwrap()[2..].iter().map(|pull| pull.body.clone().unwrap()).collect();
        assert_eq!(bodies.len(), 2, "{method:?}");
        assert!(bodies.iter().all(|body| !body.contains("Changed by hand")), "{method:?}: {bodies:?}");
        on.world.assert_sound();
    }
}

#[test]
fn what_a_person_takes_back_is_changed_by_hand_although_it_was_rendered_once() {
    let on = OnGitHub::edited();
    on.run();
    on.github.merge_by(1, MergeMethod::Squash).unwrap();
    let merge = on.github.merge_by(2, MergeMethod::Squash).unwrap();
    on.run();
    let file = "argocd-apps/app/prometheus-agent/values.yaml";
    let before = on.world.read(&format!("{merge}^"), file);
    assert_ne!(before, on.world.read(BASE, file));
    let revert = on.world.commit(BASE, "Take it back", &[(file, Some(&before))]);
    on.run();
    let body = on.github.pull(3).unwrap().body.unwrap();
    assert!(
        body.contains(&format!("- {revert} `Take it back` by `Ann` on 2026-01-01: `{file}`\n")),
        "{body}"
    );
}

#[test]
fn of_two_replicas_on_one_repository_neither_makes_a_pull_request_twice() {
    let whole = OnGitHub::edited();
    whole.run();
    for _ in 0..3 {
        let on = OnGitHub::edited();
        let (start, path, github) = (Barrier::new(2), on.world.path(), &on.github);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut replica = process(&path, github);
                    start.wait();
                    if let Err(error) = replica.run(&Cancel::default(), &()) {
                        assert!(error.is_transient(), "{error:?}");
                    }
                });
            }
        });
        on.run();
        assert_eq!((on.pulls(), on.world.refs()), (whole.pulls(), whole.world.refs()));
        assert_eq!(on.status(APP_HEAD), whole.status(APP_HEAD));
    }
}

#[test]
fn a_persons_commit_on_our_branch_is_left_alone_and_told_of() {
    let on = OnGitHub::edited();
    on.run();
    let theirs =
        on.world.commit(APP_HEAD, "Fix it by hand", &[("argocd-apps/app/extra.yaml", Some("a: 1\n"))]);
    on.world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    let told = on.run();
    assert!(
        told.starts_with(
            "control  updated pull request #1\napp      left `fleetwright/app` alone: it is at "
        ),
        "{told}"
    );
    assert_eq!(on.world.tip(APP_HEAD), theirs);
    assert_eq!(on.pulls().lines().count(), 2);
}

#[test]
fn a_base_that_is_force_pushed_gets_its_pull_requests_rebuilt_and_no_further_ones() {
    let on = OnGitHub::edited();
    on.run();
    on.world.begin_again();
    assert_snapshot!(on.run(), @r"
    control  closed pull request #1: nothing is left to change
    app      closed pull request #2: nothing is left to change
    ");
    on.world.edit(MOVED[0], MOVED[1], MOVED[2]);
    on.run();
    on.run();
    assert_snapshot!(on.pulls(), @"
    #1 fleetwright/control → main closed [control]
    #2 fleetwright/app → main closed [app]
    #3 fleetwright/control → main open [control]
    #4 fleetwright/app → main open [app]
    ");
    on.world.git(&["update-ref", "-d", "refs/heads/anew"]);
    on.world.assert_sound();
}

#[test]
fn a_head_branch_that_a_person_deleted_stays_away_until_the_plan_changes() {
    let on = OnGitHub::edited();
    on.run();
    on.world.git(&["update-ref", "-d", "refs/heads/fleetwright/control"]);
    assert!(on.has_news());
    assert_snapshot!(on.run(), @r"
    control  pull request #1 was closed with this very change; it stays closed until the change differs
    app      pull request #2 is current
    ");
    on.world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    on.run();
    assert_snapshot!(on.pulls(), @"
    #1 fleetwright/control → main closed [control]
    #2 fleetwright/app → main open [app]
    #3 fleetwright/control → main open [control]
    ");
}

#[test]
fn what_is_merged_during_a_run_is_not_proposed_again() {
    let on = OnGitHub::edited();
    on.run();
    on.world.edit(CONTROL, "192.168.64.109", "192.168.64.108");
    // Two checks come before anything is planned, and two more before the push of control's head.
    let merge = |check| {
        if check == 4 {
            on.github.merge(1).unwrap();
        }
    };
    let conflict = run_beside(&mut on.pipeline.borrow_mut(), merge).unwrap_err();
    assert!(conflict.is_transient(), "{conflict:?}");
    on.run();
    on.run();
    assert_snapshot!(on.pulls(), @"
    #1 fleetwright/control → main merged [control]
    #2 fleetwright/app → main open [app]
    ");
    assert_eq!(
        on.github.pulls().unwrap().iter().filter(|pull| pull.is_open() && pull.head == APP_HEAD).count(),
        1
    );
}

#[test]
fn a_base_that_was_renamed_stalls_the_run_and_the_message_names_the_branches() {
    let on = OnGitHub::edited();
    on.run();
    on.github.rename_branch(BASE, "trunk").unwrap();
    let error = on.try_run().unwrap_err();
    assert!(!error.is_transient());
    assert!(error.report().contains("trunk"), "{}", error.report());
    on.github.rename_branch("trunk", BASE).unwrap();
    on.run();
    assert_eq!(on.pulls().lines().count(), 2);
}

#[test]
fn a_storm_or_a_cut_network_ends_the_run_and_the_next_one_finishes_the_work() {
    let whole = OnGitHub::edited();
    whole.run();
    for kind in [500, 502, 503].map(FaultKind::Instead).into_iter().chain([FaultKind::Cut]) {
        let on = OnGitHub::edited();
        on.github.fail("", "", 40, kind);
        let error = on.try_run().unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error:?}");
        on.github.state().faults.clear();
        on.run();
        assert_eq!((on.pulls(), on.world.refs()), (whole.pulls(), whole.world.refs()), "{kind:?}");
    }
}

#[test]
fn a_push_that_a_rule_refuses_stalls_the_run_in_the_rules_own_words_until_it_is_lifted() {
    let on = OnGitHub::new(World::new());
    let clone = on.world.beside("clone");
    on.world.git(&["clone", "-q", "--bare", ".", clone.to_str().unwrap()]);
    let upstream =
        Upstream::at(Repository::open(&clone).unwrap(), on.world.path().to_str().unwrap()).unwrap();
    on.pipeline.replace(Pipeline::new(upstream, Home::GitHub(client(&on.github).into()), settings()));
    on.world.edit(MOVED[0], MOVED[1], MOVED[2]);
    let hook = on.world.path().join("hooks/pre-receive");
    write_script(&hook, "#!/bin/sh\necho 'GH013: Commits must have verified signatures.'\nexit 1\n");
    let errors = [on.try_run().unwrap_err(), on.try_run().unwrap_err()];
    assert!(!errors[0].is_transient());
    assert!(
        errors[0].message().contains("GH013: Commits must have verified signatures"),
        "{}",
        errors[0].message()
    );
    assert_eq!(errors[0].message(), errors[1].message(), "the same failure is reported once");
    assert_eq!(on.pulls(), "");
    std::fs::remove_file(&hook).unwrap();
    on.run();
    assert_eq!(on.pulls().lines().count(), 2);
}
