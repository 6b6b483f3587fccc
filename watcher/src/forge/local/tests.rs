//! Pull requests on real repositories, each kind of upstream where it matters.

use super::*;
use crate::git::scene::{Scene, path, signature};
use crate::git::{CommitRequest, TreeChange, rendered_message};

const HEAD: &str = "render/app";

/// A repository with `main` at a first commit.
struct World {
    scene: Scene,
    start: Revision,
}

impl World {
    fn new() -> Self {
        Self::on(Scene::bare())
    }

    fn on(scene: Scene) -> Self {
        let start = scene.commit("main", "start", &[("a", "1\n"), ("out/app/v.yaml", "v: 0\n")]);
        Self { scene, start }
    }

    fn upstream(&self) -> Upstream {
        Upstream::own(self.scene.repository())
    }
}

/// Makes a commit of ours on `base` and moves `head` to it, as a run does before it opens a pull request.
fn push(upstream: &Upstream, head: &str, base: Revision, content: &str) -> Revision {
    let file = format!("out/app/{}.yaml", head.replace('/', "-"));
    let changes = [TreeChange { path: path(&file), content: Some(content.as_bytes().into()) }];
    let text = rendered_message("Render app", base);
    let request = CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source: base };
    let revision = upstream.repository().commit(&request).unwrap();
    let expected = upstream.fetch().unwrap().get(&format!("refs/heads/{head}")).copied();
    upstream.update(&[RefUpdate::branch(head, expected, Some(revision))]).unwrap();
    revision
}

fn proposal(head: &str, head_revision: Revision, base_revision: Revision) -> Proposal {
    Proposal {
        title: "Render app: `url` on 2 clusters".into(),
        group: "app".into(),
        plan: "0a1b2c3d".into(),
        base: "main".into(),
        base_revision,
        head: head.into(),
        head_revision,
        labels: ["fleetwright".into()].into(),
        body: "# What changes\n\n- no: 1_000\n".into(),
    }
}

/// Opens a pull request for a fresh branch and returns its number.
fn open(upstream: &Upstream, head: &str, base: Revision, content: &str) -> u64 {
    let revision = push(upstream, head, base, content);
    match LocalForge::new(upstream).open_or_update(&proposal(head, revision, base)).unwrap() {
        Proposed::Opened(number) => number,
        other => panic!("not opened but {other:?}"),
    }
}

fn states(forge: &LocalForge<'_>) -> Vec<(u64, &'static str)> {
    forge.list().unwrap().iter().map(|pull| (pull.number, pull.state.word())).collect()
}

fn tip(upstream: &Upstream) -> Option<Revision> {
    upstream.fetch().unwrap();
    upstream.branch(HEAD).unwrap()
}

#[test]
fn a_repository_without_pull_requests_has_an_empty_list_and_nothing_to_settle() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let before = world.scene.refs();
    assert_eq!(forge.list().unwrap(), []);
    assert_eq!(forge.settle(&[], &|_| false).unwrap(), [0; 0]);
    assert_eq!(forge.show(1).unwrap_err().to_string(), "there is no pull request #1");
    assert_eq!(world.scene.refs(), before);
}

#[test]
fn a_proposal_is_read_back_word_for_word() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let head_revision = push(&upstream, HEAD, world.start, "1");
    let hostile = Proposal {
        title: "no: {{x}} # \"y\" 'z' \t é 🚀".into(),
        group: "0x1F".into(),
        labels: ["1_000".into(), "yes".into()].into(),
        body: format!("\ttab\n---\n{}\n\n", "x ".repeat(5_000)),
        ..proposal(HEAD, head_revision, world.start)
    };
    forge.open_or_update(&hostile).unwrap();
    let pull = forge.show(1).unwrap();
    assert_eq!(pull, PullRequest { number: 1, state: PullState::Open, proposal: hostile });
    world.scene.assert_sound();
}

#[test]
fn one_head_has_one_open_pull_request_that_is_updated_in_place() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let first = push(&upstream, HEAD, world.start, "1");
    assert_eq!(forge.open_or_update(&proposal(HEAD, first, world.start)).unwrap(), Proposed::Opened(1));
    let before = world.scene.refs();
    assert_eq!(forge.open_or_update(&proposal(HEAD, first, world.start)).unwrap(), Proposed::Unchanged(1));
    assert_eq!(world.scene.refs(), before);
    let second = push(&upstream, HEAD, world.start, "2");
    assert_eq!(forge.open_or_update(&proposal(HEAD, second, world.start)).unwrap(), Proposed::Updated(1));
    assert_eq!(forge.show(1).unwrap().proposal.head_revision, second);
    assert_eq!(open(&upstream, "render/control", world.start, "1"), 2);
    assert_eq!(states(&forge), [(1, "open"), (2, "open")]);
}

#[test]
fn the_same_history_is_recorded_by_the_same_commits() {
    let refs = || {
        let world = World::new();
        open(&world.upstream(), HEAD, world.start, "1");
        LocalForge::new(&world.upstream()).merge(1, &signature()).unwrap();
        world.scene.refs()
    };
    assert_eq!(refs(), refs());
}

#[test]
fn a_branch_that_is_not_pushed_gets_no_pull_request() {
    let world = World::new();
    let upstream = world.upstream();
    let error =
        LocalForge::new(&upstream).open_or_update(&proposal(HEAD, world.start, world.start)).unwrap_err();
    assert!(error.is_conflict() && error.to_string().starts_with("branch `"), "{error:?}");
}

#[test]
fn a_merge_is_a_merge_commit_on_the_base_and_the_branch_goes() {
    for scene in [Scene::bare(), Scene::with_working_tree()] {
        let world = World::on(scene);
        let upstream = world.upstream();
        let forge = LocalForge::new(&upstream);
        let number = open(&upstream, HEAD, world.start, "1\n");
        let head = forge.show(number).unwrap().proposal.head_revision;
        let base = world.scene.commit("main", "meanwhile", &[("a", "2\n")]);
        let merge = forge.merge(number, &signature()).unwrap();
        assert_eq!(world.scene.tip("main"), merge);
        assert_eq!(upstream.repository().parents(merge).unwrap(), [base, head]);
        assert_eq!(forge.show(number).unwrap().state, PullState::Merged { revision: merge });
        assert_eq!(tip(&upstream), None);
        assert_eq!(forge.merge(number, &signature()).unwrap(), merge, "merging again changes nothing");
        assert_eq!(
            world.scene.git(&["log", "-1", "--format=%an %s|%b", "main"]),
            "Mia Merge pull request #1 from render/app|Render app: `url` on 2 clusters"
        );
        world.scene.assert_sound();
        if world.scene.path().join(".git").exists() {
            assert_eq!(world.scene.git(&["status", "--porcelain"]), "");
            assert_eq!(world.scene.read("out/app/render-app.yaml"), "1\n");
        }
    }
}

#[test]
fn a_merge_through_another_repository_is_pushed_there() {
    let there = World::new();
    let here = Scene::bare();
    let upstream = Upstream::at(here.repository(), there.scene.path().to_str().unwrap()).unwrap();
    upstream.fetch().unwrap();
    let forge = LocalForge::new(&upstream);
    let number = open(&upstream, HEAD, there.start, "1");
    let merge = forge.merge(number, &signature()).unwrap();
    assert_eq!(there.scene.tip("main"), merge);
    assert_eq!(states(&LocalForge::new(&there.upstream())), [(1, "merged")]);
    there.scene.assert_sound();
}

#[test]
fn uncommitted_changes_in_the_way_of_a_merge_stop_it_and_nothing_changes() {
    let world = World::on(Scene::with_working_tree());
    let upstream = world.upstream();
    let number = open(&upstream, HEAD, world.start, "1\n");
    world.scene.write("out/app/render-app.yaml", "mine\n");
    let before = world.scene.refs();
    let error = LocalForge::new(&upstream).merge(number, &signature()).unwrap_err();
    assert!(error.hint().unwrap().contains("git stash"), "{error:?}");
    assert_eq!(world.scene.refs(), before);
    assert_eq!(world.scene.read("out/app/render-app.yaml"), "mine\n");
}

#[test]
fn a_conflict_is_said_so_and_nothing_changes() {
    let world = World::new();
    let upstream = world.upstream();
    let number = open(&upstream, HEAD, world.start, "1\n");
    world.scene.commit("main", "by hand", &[("out/app/render-app.yaml", "2\n")]);
    let before = world.scene.refs();
    let error = LocalForge::new(&upstream).merge(number, &signature()).unwrap_err();
    let ForgeError::Git(error) = error else { panic!("{error:?}") };
    assert_eq!(error.fault.to_string(), "both sides changed `out/app/render-app.yaml`");
    assert_eq!(world.scene.refs(), before);
}

#[test]
fn merges_at_the_same_time_all_arrive() {
    let world = World::new();
    let upstream = world.upstream();
    let numbers: Vec<_> =
        (0..5).map(|n| open(&upstream, &format!("render/{n}"), world.start, &n.to_string())).collect();
    let merge = |number: u64| {
        let upstream = upstream.reopen().unwrap();
        move || LocalForge::new(&upstream).merge(number, &signature())
    };
    std::thread::scope(|scope| {
        let merges: Vec<_> = numbers.iter().map(|number| scope.spawn(merge(*number))).collect();
        for merge in merges {
            merge.join().unwrap().unwrap();
        }
    });
    let files = world.scene.git(&["ls-tree", "--name-only", "main:out/app"]);
    assert_eq!(files, "render-0.yaml\nrender-1.yaml\nrender-2.yaml\nrender-3.yaml\nrender-4.yaml\nv.yaml");
    assert_eq!(world.scene.git(&["log", "--merges", "--oneline", "main"]).lines().count(), 5);
    world.scene.assert_sound();
}

#[test]
fn the_same_pull_request_merged_twice_at_the_same_time_is_merged_once() {
    let world = World::new();
    let upstream = world.upstream();
    let number = open(&upstream, HEAD, world.start, "1");
    let merge = || {
        let upstream = upstream.reopen().unwrap();
        move || LocalForge::new(&upstream).merge(number, &signature()).unwrap()
    };
    let merged: Vec<_> = std::thread::scope(|scope| {
        let merges: Vec<_> = (0..4).map(|_| scope.spawn(merge())).collect();
        merges.into_iter().map(|merge| merge.join().unwrap()).collect()
    });
    assert!(merged.iter().all(|merge| *merge == merged[0]), "{merged:?}");
    assert_eq!(world.scene.git(&["log", "--merges", "--oneline", "main"]).lines().count(), 1);
}

#[test]
fn pull_requests_opened_at_the_same_time_get_numbers_of_their_own() {
    let world = World::new();
    let upstream = world.upstream();
    let heads: Vec<_> = (0..4).map(|n| format!("render/{}", n / 2)).collect();
    let revisions: Vec<_> = heads.iter().map(|head| push(&upstream, head, world.start, "1")).collect();
    let open = |head: &str, revision: Revision| {
        let (upstream, proposal) = (upstream.reopen().unwrap(), proposal(head, revision, world.start));
        move || LocalForge::new(&upstream).open_or_update(&proposal).unwrap()
    };
    let mut outcomes: Vec<_> = std::thread::scope(|scope| {
        let opened: Vec<_> =
            heads.iter().zip(&revisions).map(|(head, revision)| scope.spawn(open(head, *revision))).collect();
        opened.into_iter().map(|outcome| outcome.join().unwrap()).collect()
    });
    outcomes.retain(|outcome| matches!(outcome, Proposed::Opened(_)));
    outcomes.sort_by_key(|outcome| if let Proposed::Opened(number) = outcome { *number } else { 0 });
    assert_eq!(outcomes, [Proposed::Opened(1), Proposed::Opened(2)]);
}

#[test]
fn a_pull_request_that_is_closed_keeps_its_reason_and_is_not_merged() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let number = open(&upstream, HEAD, world.start, "1");
    forge.close(number, "nothing is left to do").unwrap();
    forge.close(number, "once more").unwrap();
    let reason = "nothing is left to do".into();
    assert_eq!(forge.show(number).unwrap().state, PullState::Closed { reason });
    assert_eq!(tip(&upstream), None);
    let error = forge.merge(number, &signature()).unwrap_err();
    assert_eq!(error.to_string(), format!("pull request #{number} is closed already"));
    assert_eq!(open(&upstream, HEAD, world.start, "2"), 2, "the branch may be proposed anew");
    world.scene.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.scene.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(states(&forge), [(1, "closed"), (2, "open")]);
}

#[test]
fn a_commit_is_recorded_as_the_head_that_was_proposed_and_what_a_person_adds_is_not() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let number = open(&upstream, HEAD, world.start, "1");
    let ours = forge.show(number).unwrap().proposal.head_revision;
    assert!(forge.has_attested(HEAD, ours).unwrap());
    assert!(!forge.has_attested("render/other", ours).unwrap(), "it was proposed for another branch");
    let theirs = world.scene.commit(HEAD, "fix by hand", &[("out/app/v.yaml", "v: 1\n")]);
    assert!(!forge.has_attested(HEAD, theirs).unwrap());
    forge.close(number, "superseded").unwrap();
    assert_eq!(world.scene.tip(HEAD), theirs);
    assert!(forge.has_attested(HEAD, ours).unwrap());
}

#[test]
fn a_run_killed_after_the_push_is_put_right_by_the_next() {
    let world = World::new();
    let upstream = world.upstream();
    let revision = push(&upstream, HEAD, world.start, "1");
    let outcome = LocalForge::new(&upstream).open_or_update(&proposal(HEAD, revision, world.start)).unwrap();
    assert_eq!(outcome, Proposed::Opened(1));
}

/// The ways to go on after a merge that was killed.
const RECOVERIES: [fn(&LocalForge<'_>, u64); 2] = [
    |forge, number| assert!(forge.merge(number, &signature()).is_ok()),
    |forge, number| assert_eq!(forge.settle(&[], &|_| false).unwrap(), [number]),
];

#[test]
fn a_merge_killed_after_the_base_moved_is_finished_by_the_next_call() {
    for recover in RECOVERIES {
        let world = World::new();
        let upstream = world.upstream();
        let forge = LocalForge::new(&upstream);
        let number = open(&upstream, HEAD, world.start, "1");
        let pull = forge.show(number).unwrap();
        let refs = upstream.fetch().unwrap();
        let Landed { merge, .. } = forge.move_base(&refs, &pull, &signature()).unwrap().unwrap();
        let later = world.scene.commit("main", "later", &[("a", "3\n")]);

        recover(&forge, number);
        assert_eq!(world.scene.tip("main"), later);
        assert_eq!(forge.show(number).unwrap().state, PullState::Merged { revision: merge });
        assert_eq!(tip(&upstream), None);
        assert_eq!(forge.settle(&[], &|_| false).unwrap(), [0; 0]);
    }
}

#[test]
fn a_merge_killed_after_the_record_is_finished_by_the_next_call() {
    for recover in RECOVERIES {
        let world = World::new();
        let upstream = world.upstream();
        let forge = LocalForge::new(&upstream);
        let number = open(&upstream, HEAD, world.start, "1");
        let refs = upstream.fetch().unwrap();
        let Stored { mut pull, at } = forge.read(&refs, number).unwrap();
        let Landed { merge, .. } = forge.move_base(&refs, &pull, &signature()).unwrap().unwrap();
        pull.state = PullState::Merged { revision: merge };
        forge.record(Some(at), &pull, &signature()).unwrap();

        recover(&forge, number);
        assert_eq!(world.scene.tip("main"), merge);
        assert_eq!(tip(&upstream), None);
        assert_eq!(forge.settle(&[], &|_| false).unwrap(), [0; 0]);
    }
}

#[test]
fn a_close_killed_after_the_record_is_settled() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let number = open(&upstream, HEAD, world.start, "1");
    let Stored { mut pull, at } = forge.read(&upstream.fetch().unwrap(), number).unwrap();
    pull.state = PullState::Closed { reason: "empty".into() };
    forge.record(Some(at), &pull, &signature()).unwrap();
    assert_eq!(forge.settle(&[], &|_| false).unwrap(), [number]);
    assert_eq!(tip(&upstream), None);
}

#[test]
fn a_branch_that_a_person_deleted_or_merged_by_hand_settles_its_pull_request() {
    let world = World::new();
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let deleted = open(&upstream, "render/deleted", world.start, "1");
    let forwarded = open(&upstream, "render/forwarded", world.start, "2");
    world.scene.git(&["update-ref", "-d", "refs/heads/render/deleted"]);
    world.scene.git(&["update-ref", "refs/heads/main", "refs/heads/render/forwarded"]);
    assert_eq!(forge.settle(&[], &|_| false).unwrap(), [deleted, forwarded]);
    assert_eq!(states(&forge), [(1, "closed"), (2, "merged")]);
}

#[test]
fn a_head_that_a_person_has_checked_out_is_merged_and_left_in_place() {
    let world = World::on(Scene::with_working_tree());
    let upstream = world.upstream();
    let forge = LocalForge::new(&upstream);
    let number = open(&upstream, HEAD, world.start, "1\n");
    world.scene.git(&["switch", "-q", HEAD]);
    let merge = forge.merge(number, &signature()).unwrap();
    assert_eq!(world.scene.tip("main"), merge);
    assert!(tip(&upstream).is_some());
    assert_eq!(forge.settle(&[], &|_| false).unwrap(), [0; 0]);
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let world = World::new();
    let upstream = world.upstream();
    world.scene.git(&["update-ref", "refs/fleetwright/pulls/7", &world.start.to_string()]);
    let error = LocalForge::new(&upstream).list().unwrap_err();
    assert!(error.to_string().starts_with("the record of pull request #7 cannot be read"), "{error:?}");
    assert!(error.hint().unwrap().contains("refs/fleetwright/pulls/7"));
}
