//! Stories on the test kit's GitHub, whose repository is a real bare one.

use std::time::Duration;

use testkit::github::{self, FaultKind, GitHub};

use super::*;
use crate::forge::{CommitStatus, Deployment, DeploymentState, DeploymentStatus, Deployments as _};
use crate::git::scene::{Scene, path};
use crate::git::{CommitRequest, TreeChange, rendered_message};
use crate::http::Url;
use crate::identity::Identity;
use crate::output::with_causes;

impl GitHubForge<'_> {
    /// Returns all open pull requests of this repository's own branches, by number.
    fn list_open(&self) -> Result<Vec<PullRequest>, ForgeError> {
        let route = self.route("/pulls?state=open&per_page=100");
        let mut pulls: Vec<wire::Pull> = self.client.list(Call::get("list the pull requests", route))?;
        pulls.retain(|pull| self.is_own(pull));
        pulls.sort_by_key(|pull| pull.number);
        Ok(pulls.iter().map(pulls::read).collect())
    }
}

fn is_fault(error: &ForgeError, kind: GitHubFaultKind) -> bool {
    matches!(error, ForgeError::GitHub(error) if error.is(kind))
}

const HEAD: &str = "fleetwright/app";
const FIRST: &str = "fleetwright/control";
const SECRET: &str = "github_pat_fleet";

/// A GitHub with a repository, and a clone of it in which commits are made.
struct World {
    origin: Scene,
    github: GitHub,
    client: Client,
    upstream: Upstream,
    start: Revision,
    _here: Scene,
}

impl World {
    fn new() -> Self {
        let origin = Scene::bare();
        let start = origin.commit("main", "start", &[("a", "1\n"), ("out/app/v.yaml", "v: 0\n")]);
        let github = GitHub::start(origin.path()).unwrap();
        let here = Scene::bare();
        let url = format!("file://{}", origin.path().display());
        let upstream = Upstream::at(here.repository(), &url).unwrap();
        upstream.fetch().unwrap();
        let client = client(&github, &github.url());
        Self { origin, github, client, upstream, start, _here: here }
    }

    const fn forge(&self) -> GitHubForge<'_> {
        GitHubForge::new(&self.client, &self.upstream)
    }

    /// Makes a commit of ours on `base` and moves `head` to it, as a run does before it opens a pull request.
    fn push(&self, head: &str, base: Revision, content: &str) -> Revision {
        let file = format!("out/app/{}.yaml", head.replace('/', "-"));
        let changes = [TreeChange { path: path(&file), content: Some(content.as_bytes().into()) }];
        let text = rendered_message("Render app", base);
        let request =
            CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source: base };
        let revision = self.upstream.repository().commit(&request).unwrap();
        let expected = self.upstream.fetch().unwrap().get(&format!("refs/heads/{head}")).copied();
        self.upstream.update(&[RefUpdate::branch(head, expected, Some(revision))]).unwrap();
        revision
    }

    /// Pushes a change and returns the proposal for it.
    fn pushed(&self, head: &str, content: &str) -> Proposal {
        proposal(head, self.push(head, self.start, content), self.start)
    }

    /// Opens a pull request for a new branch.
    fn opened(&self, head: &str) -> (u64, Proposal) {
        let proposal = self.pushed(head, "1");
        match self.forge().open_or_update(&proposal).unwrap() {
            Proposed::Opened(number) => (number, proposal),
            other => panic!("not opened but {other:?}"),
        }
    }

    fn state(&self, number: u64) -> PullState {
        self.forge().show(number).unwrap().state
    }

    fn requests(&self) -> usize {
        self.github.state().exchanges.len()
    }

    fn branches(&self) -> Vec<String> {
        self.upstream.fetch().unwrap().into_keys().collect()
    }
}

/// Every story holds its requests and replies to GitHub's own description, where that is here.
impl Drop for World {
    fn drop(&mut self) {
        self.github.assert_described();
    }
}

fn client(github: &GitHub, url: &str) -> Client {
    let name = format!("{}/{}", github::OWNER, github::NAME).parse().unwrap();
    let place = RepositoryPlace { api: Url::parse(url).unwrap(), name };
    let (now, wait) = github.clock();
    Client::new(place, Identity::of_token(SECRET.into()), Clock { now: Box::new(now), wait: Box::new(wait) })
}

fn heads() -> [String; 2] {
    [FIRST, HEAD].map(str::to_owned)
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
        labels: ["app".into()].into(),
        body: "## What changes\n\n- no: 1_000\n".into(),
    }
}

fn status(state: StatusState) -> CommitStatus {
    let (context, description) = ("fleetwright/order".into(), "waits until #1 is merged".into());
    CommitStatus { context, state, description, target_url: None }
}

fn closed_by_a_person() -> PullState {
    PullState::Closed { reason: pulls::CLOSED_BY_A_PERSON.into() }
}

#[test]
fn requests_and_replies_are_held_to_the_description_that_github_publishes() {
    let Some(description) = github::description::available() else {
        eprintln!("left out: GitHub's description is not here; `testkit/openapi/fetch` brings it in");
        return;
    };
    let world = World::new();
    let (number, proposal) = world.opened(HEAD);
    world.forge().set_status(proposal.head_revision, &status(StatusState::Pending)).unwrap();
    world.forge().close(number, "nothing is left to change", None).unwrap();
    let exchanges = world.github.state().exchanges.clone();
    assert!(exchanges.len() > 8, "too little was said to judge by");
    // A judge who finds fault with nothing is none.
    let mut wrong = exchanges.into_iter().find(|exchange| exchange.method == "POST").unwrap();
    wrong.query.insert("shape".into(), "round".into());
    wrong.request.as_mut().unwrap()["title"] = 1.into();
    wrong.reply.as_mut().unwrap()["number"] = "one".into();
    assert_eq!(description.faults(&wrong).len(), 3, "{:?}", description.faults(&wrong));
}

#[test]
fn a_repository_without_pull_requests_has_an_empty_list_and_nothing_to_settle() {
    let world = World::new();
    assert_eq!(world.forge().list_open().unwrap(), []);
    assert_eq!(world.forge().of_head(HEAD).unwrap(), []);
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [0; 0]);
    assert_eq!(world.forge().show(1).unwrap_err().to_string(), "there is no pull request #1");
    assert_eq!(world.github.writes(), [""; 0]);
}

#[test]
fn a_proposal_is_read_back_word_for_word() {
    let world = World::new();
    let hostile = Proposal {
        title: "no: {{x}} # \"y\" 'z' é 🚀 <!-- x -->".into(),
        group: "0x1F".into(),
        labels: ["1_000".into(), "yes & no/ü".into()].into(),
        body: format!("<!-- fleetwright -->\n---\n{}\n\n", "x ".repeat(5_000)),
        ..world.pushed(HEAD, "1")
    };
    world.forge().open_or_update(&hostile).unwrap();
    let pull = world.forge().show(1).unwrap();
    assert_eq!(pull, PullRequest { number: 1, state: PullState::Open, proposal: hostile });
    assert_eq!(world.forge().list_open().unwrap(), std::slice::from_ref(&pull));
    assert_eq!(world.forge().of_head(HEAD).unwrap(), [pull]);
}

#[test]
fn one_head_has_one_open_pull_request_that_is_updated_in_place() {
    let world = World::new();
    let (number, first) = world.opened(HEAD);
    let before = world.github.writes();
    assert_eq!(before, ["POST /repos/acme/fleet/pulls 201", "POST /repos/acme/fleet/issues/1/labels 200"]);
    assert_eq!(world.forge().open_or_update(&first).unwrap(), Proposed::Unchanged(number));
    assert_eq!(world.github.writes(), before, "what is said already is not said again");
    let second = Proposal { title: "Render app: more".into(), ..world.pushed(HEAD, "2") };
    assert_eq!(world.forge().open_or_update(&second).unwrap(), Proposed::Updated(number));
    assert_eq!(world.forge().show(number).unwrap().proposal, second);
    assert_eq!(world.github.writes()[2..], ["PATCH /repos/acme/fleet/pulls/1 200"]);
    assert_eq!(world.opened(FIRST).0, 2);
}

#[test]
fn a_lost_answer_never_leads_to_a_second_pull_request() {
    let lost = [
        FaultKind::After(502),
        FaultKind::CutAfter,
        FaultKind::Instead(503),
        FaultKind::Cut,
        FaultKind::After(500),
    ];
    for kind in lost {
        let world = World::new();
        let proposal = world.pushed(HEAD, "1");
        world.github.fail("POST", "/pulls", 1, kind);
        assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Opened(1), "{kind:?}");
        assert_eq!(world.github.pulls().unwrap().len(), 1, "{kind:?}");
        assert_eq!(world.forge().show(1).unwrap().proposal, proposal, "{kind:?}");
        assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Unchanged(1), "{kind:?}");
    }
}

#[test]
fn a_storm_of_errors_ends_the_run_and_the_next_one_puts_everything_right() {
    for (method, path) in [("", ""), ("POST", "/pulls"), ("POST", "/labels"), ("GET", "/pulls")] {
        for status in [500, 502, 503] {
            let world = World::new();
            let proposal = world.pushed(HEAD, "1");
            world.github.fail(method, path, 12, FaultKind::Instead(status));
            let error = world.forge().open_or_update(&proposal).unwrap_err();
            assert!(error.is_transient(), "{error:?}");
            world.github.state().faults.clear();
            world.forge().open_or_update(&proposal).unwrap();
            assert_eq!(world.github.pulls().unwrap().len(), 1);
            assert_eq!(world.forge().show(1).unwrap().proposal, proposal);
        }
    }
}

#[test]
fn of_two_replicas_one_opens_the_pull_request_and_the_other_finds_it() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    let clients: Vec<_> = (0..4).map(|_| client(&world.github, &world.github.url())).collect();
    std::thread::scope(|scope| {
        let replicas: Vec<_> = clients
            .iter()
            .map(|client| {
                let (upstream, proposal) = (world.upstream.reopen().unwrap(), proposal.clone());
                scope.spawn(move || GitHubForge::new(client, &upstream).open_or_update(&proposal).unwrap())
            })
            .collect();
        for replica in replicas {
            replica.join().unwrap();
        }
    });
    assert_eq!(world.github.pulls().unwrap().len(), 1);
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Unchanged(1));
}

#[test]
fn a_secondary_limit_that_does_not_say_how_long_is_waited_out_without_another_request() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    world.github.fail("POST", "/pulls", 1, FaultKind::SecondaryLimit(None));
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(world.github.now() + Duration::from_mins(1)));
    let sent = world.requests();
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(error.retry_after().is_some());
    assert_eq!(world.requests(), sent, "something was sent although GitHub asked for a pause");
    world.github.advance(Duration::from_mins(1));
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Opened(1));
}

#[test]
fn a_short_limit_is_waited_for_and_a_long_one_ends_the_run() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    world.github.fail("POST", "/pulls", 1, FaultKind::SecondaryLimit(Some(5)));
    let before = world.github.now();
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Opened(1));
    assert_eq!(world.github.now(), before + Duration::from_secs(5));

    world.github.fail("GET", "/pulls", 1, FaultKind::SecondaryLimit(Some(3_600)));
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert_eq!(error.retry_after(), Some(world.github.now() + Duration::from_hours(1)));
    world.github.advance(Duration::from_hours(1));
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Unchanged(1));
}

#[test]
fn an_hour_without_requests_passes_and_nothing_is_lost() {
    let world = World::new();
    let (number, _) = world.opened(HEAD);
    let used = world.github.state().spending[SECRET].used;
    world.github.state().spending.get_mut(SECRET).unwrap().limit = Some(used + 1);
    let proposal = world.pushed(HEAD, "2");
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    let reset = error.retry_after().unwrap();
    assert_eq!(reset, world.github.now() + Duration::from_hours(1));
    assert_eq!(world.client.left()[0], ("requests", Some(0)));
    world.github.advance(Duration::from_hours(1));
    world.github.state().spending.get_mut(SECRET).unwrap().limit = None;
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Updated(number));
}

#[test]
fn a_question_whose_answer_has_not_changed_costs_nothing() {
    let world = World::new();
    world.opened(HEAD);
    let first = world.forge().of_head(HEAD).unwrap();
    let used = world.github.state().spending[SECRET].used;
    for _ in 0..5 {
        assert_eq!(world.forge().of_head(HEAD).unwrap(), first);
    }
    assert_eq!(world.github.state().spending[SECRET].used, used);
    assert_eq!(world.github.state().exchanges.last().unwrap().status, 304);
    world.github.edit(1, |pull| pull.title = "x".into()).unwrap();
    assert_eq!(world.forge().of_head(HEAD).unwrap()[0].proposal.title, "x");
}

#[test]
fn a_revoked_token_is_a_stalled_failure_that_ends_when_the_token_works_again() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    let token = world.github.state().tokens.remove(SECRET).unwrap();
    let first = world.forge().open_or_update(&proposal).unwrap_err();
    let second = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(!first.is_transient());
    assert_eq!(first.to_string(), second.to_string(), "the same failure is reported once");
    assert!(is_fault(&first, GitHubFaultKind::Unauthorized), "{first:?}");
    assert!(first.hint().unwrap().contains("revoked"));
    world.github.state().tokens.insert(SECRET.into(), token);
    assert_eq!(world.forge().open_or_update(&proposal).unwrap(), Proposed::Opened(1));
}

#[test]
fn a_token_that_may_not_write_or_not_see_the_repository_is_told_apart() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    world.github.state().tokens.get_mut(SECRET).unwrap().writes.remove("pull_requests");
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(!error.is_transient());
    assert!(error.hint().unwrap().contains("pull_requests=write"), "{:?}", error.hint());
    world.github.state().tokens.get_mut(SECRET).unwrap().sees_repository = false;
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(is_fault(&error, GitHubFaultKind::NotFound), "{error:?}");
    assert!(!error.is_transient());
}

#[test]
fn a_token_that_cannot_be_had_is_said_and_no_token_is_ever_shown() {
    let world = World::new();
    let place = world.client.place().clone();
    let nobody = Client::new(place.clone(), Identity::anonymous(), Clock::system());
    let error = GitHubForge::new(&nobody, &world.upstream).list_open().unwrap_err();
    assert!(with_causes(&error).ends_with(": there is no token"), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, SECRET).unwrap();
    let identity = Identity::from_file(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let gone = Client::new(place.clone(), identity, Clock::system());
    let error = GitHubForge::new(&gone, &world.upstream).list_open().unwrap_err();
    assert!(with_causes(&error).contains(&format!("failed to read `{}`", file.display())), "{error:?}");
    assert!(!error.is_transient() && error.hint().unwrap().contains("path"), "{error:?}");
    assert_eq!(world.requests(), 0);

    let broken = Client::new(place, Identity::of_token("a\nb-secret".into()), Clock::system());
    let error = GitHubForge::new(&broken, &world.upstream).list_open().unwrap_err();
    assert!(!format!("{error:?} {error} {:?} {:?}", broken, world.client).contains("secret"));
    world.github.state().tokens.clear();
    let error = world.forge().list_open().unwrap_err();
    assert!(!format!("{error:?} {error} {:?}", world.client).contains(SECRET));
}

#[test]
fn a_title_that_a_person_wrote_stays_and_so_does_a_note_in_the_body() {
    let world = World::new();
    let (number, _) = world.opened(HEAD);
    world
        .github
        .edit(number, |pull| {
            pull.title = "Move Prometheus (after the holidays)".into();
            pull.body = pull.body.take().map(|body| format!("Ask Ann first.\n{body}").replace('\n', "\r\n"));
        })
        .unwrap();
    let next = Proposal { body: "## Other changes\n".into(), ..world.pushed(HEAD, "2") };
    for expected in [Proposed::Updated(number), Proposed::Unchanged(number)] {
        assert_eq!(world.forge().open_or_update(&next).unwrap(), expected);
        let pull = world.github.pull(number).unwrap();
        assert_eq!(pull.title, "Move Prometheus (after the holidays)");
        assert!(pull.body.unwrap().starts_with("Ask Ann first.\n<!-- fleetwright -->\n## Other changes\n"));
    }
}

#[test]
fn labels_of_people_stay_and_ours_follow_the_proposal() {
    let world = World::new();
    let (number, first) = world.opened(HEAD);
    world.github.edit(number, |pull| pull.labels.extend(["urgent".into()])).unwrap();
    let next = Proposal { labels: ["app".into(), "deletes/things".into()].into(), ..first.clone() };
    assert_eq!(world.forge().open_or_update(&next).unwrap(), Proposed::Updated(number));
    let labels = |world: &World| world.github.pull(number).unwrap().labels.into_iter().collect::<Vec<_>>();
    assert_eq!(labels(&world), ["app", "deletes/things", "urgent"]);
    assert_eq!(world.forge().open_or_update(&first).unwrap(), Proposed::Updated(number));
    assert_eq!(labels(&world), ["app", "urgent"]);
}

#[test]
fn a_base_that_was_renamed_is_followed_and_one_that_a_person_chose_is_put_back() {
    let world = World::new();
    let (number, first) = world.opened(HEAD);
    world.github.rename_branch("main", "trunk").unwrap();
    let error = world.forge().open_or_update(&Proposal { head: FIRST.into(), ..first.clone() }).unwrap_err();
    assert!(error.is_conflict() || error.to_string() == "there is no base branch `main`", "{error:?}");
    let renamed = Proposal { base: "trunk".into(), ..first };
    assert_eq!(world.forge().open_or_update(&renamed).unwrap(), Proposed::Unchanged(number));
    world.origin.git(&["branch", "other", "trunk"]);
    world.github.edit(number, |pull| pull.base = "other".into()).unwrap();
    assert_eq!(world.forge().open_or_update(&renamed).unwrap(), Proposed::Updated(number));
    assert_eq!(world.github.pull(number).unwrap().base, "trunk");
    let gone = Proposal { base: "main".into(), ..world.pushed(FIRST, "1") };
    let error = world.forge().open_or_update(&gone).unwrap_err();
    assert_eq!(error.to_string(), "there is no base branch `main`");
}

#[test]
fn a_branch_that_was_deleted_closes_its_pull_request_and_the_next_proposal_opens_another() {
    let world = World::new();
    let (number, proposal) = world.opened(HEAD);
    world.origin.git(&["update-ref", "-d", &format!("refs/heads/{HEAD}")]);
    assert_eq!(world.state(number), closed_by_a_person());
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(error.is_conflict() && error.to_string().starts_with(&format!("branch `{HEAD}` is not at")));
    assert!(error.is_transient());
    assert_eq!(world.forge().open_or_update(&world.pushed(HEAD, "2")).unwrap(), Proposed::Opened(2));
}

#[test]
fn what_was_merged_meanwhile_is_not_proposed_again_and_its_branch_goes() {
    let world = World::new();
    let (number, proposal) = world.opened(HEAD);
    let merge = world.github.merge(number).unwrap();
    let error = world.forge().open_or_update(&proposal).unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    assert_eq!(world.state(number), PullState::Merged { revision: Revision::parse(&merge).unwrap() });
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [number]);
    assert_eq!(world.branches(), ["refs/heads/main"]);
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [0; 0]);
    let error = world.forge().close(number, "x", None).unwrap_err();
    assert_eq!(error.to_string(), format!("pull request #{number} is merged already"));
}

#[test]
fn a_branch_that_someone_pushed_to_while_its_pull_request_was_closed_stays() {
    let world = World::new();
    let (number, proposal) = world.opened(HEAD);
    let theirs = world.origin.commit(HEAD, "a fix on top", &[("out/app/v.yaml", "v: 2\n")]);
    world.forge().close(number, "x", Some(proposal.head_revision)).unwrap();
    assert_eq!(world.origin.tip(HEAD), theirs);
    // Whoever may edit a body can write there that Fleetwright closed it.
    assert_eq!(world.forge().settle(&heads(), &|_| false).unwrap(), [0; 0]);
    assert_eq!(world.origin.tip(HEAD), theirs);
}

#[test]
fn branches_below_our_prefix_that_are_not_our_heads_cost_no_request_and_stay() {
    let world = World::new();
    for number in 0..50 {
        world.origin.git(&[
            "update-ref",
            &format!("refs/heads/fleetwright/feature-{number}"),
            &world.start.to_string(),
        ]);
    }
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [0; 0]);
    assert_eq!((world.requests(), world.branches().len()), (0, 51));
}

#[test]
fn a_branch_on_which_someone_went_on_after_the_merge_stays() {
    let world = World::new();
    let (number, _) = world.opened(HEAD);
    world.github.merge(number).unwrap();
    world.forge().show(number).unwrap();
    world.origin.commit(HEAD, "a fix on top", &[("out/app/v.yaml", "v: 2\n")]);
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [0; 0]);
    assert_eq!(world.branches().len(), 2);
}

#[test]
fn a_pull_request_that_a_person_closed_says_so_and_keeps_its_branch_and_its_plan() {
    let world = World::new();
    let (number, proposal) = world.opened(HEAD);
    world.github.close(number).unwrap();
    assert_eq!(world.state(number), closed_by_a_person());
    assert_eq!(world.forge().settle(&heads(), &|_| true).unwrap(), [0; 0]);
    assert_eq!(world.forge().of_head(HEAD).unwrap()[0].proposal.plan, proposal.plan);
    assert_eq!(world.branches().len(), 2);
}

#[test]
fn a_pull_request_is_closed_with_one_comment_whatever_happens_to_the_answers() {
    for (method, path) in [("POST", "/comments"), ("PATCH", "/pulls/1"), ("GET", "/comments")] {
        for kind in [FaultKind::After(502), FaultKind::CutAfter, FaultKind::Instead(500)] {
            let world = World::new();
            let (number, opened) = world.opened(HEAD);
            let tip = Some(opened.head_revision);
            world.github.fail(method, path, 1, kind);
            world.forge().close(number, "nothing is left to change", tip).unwrap();
            world.forge().close(number, "nothing is left to change", tip).unwrap();
            assert_eq!(world.state(number), PullState::Closed { reason: "nothing is left to change".into() });
            let comments: Vec<_> =
                world.github.state().comments.iter().map(|comment| comment.body.clone()).collect();
            assert_eq!(
                comments,
                ["Closed by Fleetwright: nothing is left to change.\n<!-- fleetwright:closed -->"]
            );
            assert_eq!(world.branches(), ["refs/heads/main"]);
        }
    }
}

#[test]
fn a_comment_is_found_behind_many_others_and_edited_in_place() {
    let world = World::new();
    let (number, _) = world.opened(HEAD);
    {
        let mut state = world.github.state();
        for id in 1_000..1_150 {
            let (author, body) = ("mia".into(), format!("comment {id}"));
            let (created, updated) = (state.now, state.now);
            state.comments.push(github::Comment { id, pull: number, author, body, created, updated });
        }
    }
    world.forge().comment(number, "review", "one", true).unwrap();
    world.forge().comment(number, "review", "two", true).unwrap();
    world.forge().comment(number, "review", "two", true).unwrap();
    world.forge().comment(number, "other", "three", true).unwrap();
    let state = world.github.state();
    let ours: Vec<_> = state.comments[150..].iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(ours, ["two\n<!-- fleetwright:review -->", "three\n<!-- fleetwright:other -->"]);
}

#[test]
fn a_fork_with_a_branch_of_our_name_is_not_ours_and_a_draft_is() {
    let world = World::new();
    let (number, _) = world.opened(HEAD);
    {
        let mut state = world.github.state();
        let fork = github::Pull { number: 2, head_owner: "mallory".into(), ..state.pulls[0].clone() };
        state.pulls.push(fork);
    }
    world.github.edit(number, |pull| pull.draft = true).unwrap();
    assert_eq!(world.forge().list_open().unwrap().len(), 1);
    assert_eq!(world.forge().of_head(HEAD).unwrap().len(), 1);
    assert_eq!(world.forge().open_or_update(&world.pushed(HEAD, "2")).unwrap(), Proposed::Updated(number));
}

#[test]
fn a_merge_takes_what_was_looked_at_and_no_rule_is_worked_around() {
    let world = World::new();
    let (number, first) = world.opened(HEAD);
    let second = world.push(HEAD, world.start, "2");
    let error = world.forge().merge(number, first.head_revision).unwrap_err();
    assert!(error.is(GitHubFaultKind::NotMergeable), "{error:?}");
    world.forge().merge_if_allowed(number, first.head_revision).unwrap();
    assert_eq!(world.state(number), PullState::Open);

    world.github.state().protected.insert("main".into(), 1);
    let error = world.forge().merge(number, second).unwrap_err();
    assert!(!error.fault.is_transient());
    world.forge().merge_if_allowed(number, second).unwrap();
    assert_eq!(
        error.fault.to_string(),
        "At least 1 approving review is required by reviewers with write access"
    );
    assert_eq!(world.state(number), PullState::Open);

    world.github.edit(number, |pull| pull.approvals = 1).unwrap();
    world.github.fail("PUT", "/merge", 1, FaultKind::After(502));
    world.forge().merge_if_allowed(number, second).unwrap();
    let merged = PullState::Merged { revision: world.origin.tip("main") };
    assert_eq!(world.state(number), merged);
    assert!(world.forge().merge_if_allowed(number, second).is_ok(), "merging what is merged is no failure");
    assert_eq!(world.state(number), merged);
}

#[test]
fn a_commit_status_is_set_once_however_often_it_is_said() {
    let world = World::new();
    let (_, app) = world.opened(HEAD);
    for state in [StatusState::Pending, StatusState::Pending, StatusState::Success, StatusState::Success] {
        world.forge().set_status(app.head_revision, &status(state)).unwrap();
    }
    let state = world.github.state();
    let told: Vec<_> =
        state.statuses.iter().map(|status| (status.sha.clone(), status.state.as_str())).collect();
    let head = app.head_revision.to_string();
    assert_eq!(told, [(head.clone(), "pending"), (head, "success")]);
}

#[test]
fn an_enterprise_server_is_reached_below_its_own_path() {
    let world = World::new();
    let proposal = world.pushed(HEAD, "1");
    let client = client(&world.github, &format!("{}/api/v3/", world.github.url()));
    let forge = GitHubForge::new(&client, &world.upstream);
    assert_eq!(forge.open_or_update(&proposal).unwrap(), Proposed::Opened(1));
    assert_eq!(forge.open_or_update(&proposal).unwrap(), Proposed::Unchanged(1));
    forge.comment(1, "review", "one", true).unwrap();
    forge.comment(1, "review", "two", true).unwrap();
    assert_eq!(world.github.state().comments.len(), 1, "GraphQL is beside the path of REST");
}

#[test]
fn a_token_that_is_renewed_in_its_file_is_used_from_the_next_request_on() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "github_pat_old").unwrap();
    let identity = Identity::from_file(&file).unwrap();
    let client = Client::new(world.client.place().clone(), identity, Clock::system());
    let forge = GitHubForge::new(&client, &world.upstream);
    assert!(!forge.list_open().unwrap_err().is_transient());
    std::fs::write(&file, SECRET).unwrap();
    assert_eq!(forge.list_open().unwrap(), []);
}

#[test]
fn a_seventh_push_in_a_minute_has_to_wait() {
    let world = World::new();
    for _ in 0..6 {
        world.forge().admit_push().unwrap();
    }
    let error = world.forge().admit_push().unwrap_err();
    assert_eq!(error.retry_after(), Some(world.github.now() + Duration::from_mins(1)));
    world.github.advance(Duration::from_mins(1));
    world.forge().admit_push().unwrap();
}

#[test]
fn a_look_sees_which_page_changed_and_fails_if_one_cannot_be_asked_for() {
    let world = World::new();
    let look = || world.client.look("main").unwrap();
    let before = look();
    assert_eq!(look(), before);
    world.opened(HEAD);
    let opened = look();
    assert_eq!(opened[0], before[0]);
    assert_ne!(opened[1], before[1]);
    world.origin.commit("main", "more", &[("a", "2\n")]);
    assert_ne!(look()[0], opened[0]);
    assert_eq!(world.client.look("gone").unwrap()[0], None);
    world.github.state().tokens.clear();
    assert!(world.client.look("main").is_err());
}

#[test]
fn a_deployment_is_made_once_for_a_revision_and_an_environment_however_often_it_begins() {
    let world = World::new();
    let clock = world.github.clock();
    let identity = Identity::of_token(github::ACTIONS_TOKEN.into());
    let clock = Clock { now: Box::new(clock.0), wait: Box::new(clock.1) };
    let client = Client::new(world.client.place().clone(), identity, clock);
    let forge = GitHubForge::new(&client, &world.upstream);
    let of = |environment: &str| Deployment {
        environment: environment.into(),
        revision: world.start,
        description: "\u{202e}".repeat(200),
    };
    for kind in [FaultKind::CutAfter, FaultKind::After(502)] {
        world.github.fail("POST", "/deployments", 1, kind);
        let made = forge.deployment(&of("control")).unwrap().unwrap();
        assert_eq!(forge.deployment(&of("control")).unwrap(), Some(made), "{kind:?}");
    }
    let app = forge.deployment(&of("app")).unwrap().unwrap();
    let status = |state| DeploymentStatus {
        state,
        description: "x".repeat(200),
        log_url: Some("https://github.com/acme/fleet/actions/runs/7".into()),
        environment_url: None,
    };
    forge.report_deployment(app, &status(DeploymentState::InProgress)).unwrap();
    forge.report_deployment(app, &status(DeploymentState::Success)).unwrap();
    let made = world.github.state().deployments.clone();
    let made: Vec<_> = made.iter().map(|made| (made.environment.as_str(), made.statuses.len())).collect();
    assert_eq!(made, [("control", 0), ("app", 2)]);
    // The service and a workflow, which act as different accounts, report on one; what is reported is not repeated.
    assert_eq!(world.forge().deployment(&of("app")).unwrap(), Some(app));
    world.forge().report_deployment(app, &status(DeploymentState::Success)).unwrap();
    assert_eq!(world.github.state().deployments[1].statuses.len(), 2);
    world.github.state().tokens.get_mut(github::TOKEN).unwrap().writes.remove("deployments");
    let refused = world.forge().deployment(&of("other")).unwrap_err();
    assert!(is_fault(&refused, GitHubFaultKind::Stalled), "{refused:?}");
    world.github.assert_described();
}
