//! Fetch and push against git's own HTTP server, with what the world does to connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use secrecy::SecretString;
use testkit::smart_http::{Reply, Server, Trouble};

use super::*;
use crate::git::remote::address::Remote;
use crate::git::scene::{self, Scene};
use crate::git::{
    CommitRequest, Fault, GitError, RefUpdate, Revision, TreeChange, Upstream, rendered_message,
};
use crate::http::Timeouts;

const TOKEN: &str = "ghp_S3cretS3cretS3cret";

/// Short enough for a test that waits for it, long enough for a machine that is busy with everything else.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    exchange: Duration::from_mins(1),
};

/// A repository behind a web server that asks for a token, and a repository that fetches from it.
struct World {
    there: Scene,
    here: Scene,
    server: Server,
    tip: Revision,
}

impl World {
    fn new() -> Self {
        Self::of(Scene::bare(), Server::with_tls)
    }

    fn of(there: Scene, start: impl Fn(&std::path::Path) -> anyhow::Result<Server>) -> Self {
        let tip = there.commit("main", "start", &[("a", "1"), ("templates/x", "1")]);
        let server = start(there.path().parent().unwrap()).unwrap();
        server.require("x-access-token", TOKEN);
        Self { there, here: Scene::bare(), server, tip }
    }

    fn upstream(&self) -> Upstream {
        self.upstream_with(&Identity::of_token(TOKEN.into()), TIMEOUTS)
    }

    fn upstream_with(&self, identity: &Identity, timeouts: Timeouts) -> Upstream {
        let url = Url::parse(&self.server.url("repository")).unwrap();
        let client = Client::trusting(&url, &self.server.roots(), timeouts);
        Upstream::over(self.here.repository(), Remote::Http(HttpRemote::new(url, client, identity.clone())))
    }

    fn targets(&self) -> Vec<String> {
        self.server
            .take_requests()
            .into_iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }
}

fn commit(upstream: &Upstream, base: Revision, files: &[(String, String)]) -> Revision {
    let changes: Vec<_> = files
        .iter()
        .map(|(path, content)| TreeChange {
            path: scene::path(&format!("out/{path}")),
            content: Some(content.as_bytes().into()),
        })
        .collect();
    let text = rendered_message("Render app", base);
    let request = CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source: base };
    upstream.repository().commit(&request).unwrap()
}

fn one(content: &str) -> Vec<(String, String)> {
    vec![("app/a.yaml".into(), content.into())]
}

/// Everything that a person could see of an error.
fn told(error: &(dyn std::error::Error + 'static), hint: Option<String>) -> String {
    let mut told = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(told, ": {error}").unwrap();
        cause = error.source();
    }
    format!("{told} hint: {}", hint.unwrap_or_default())
}

fn fault_of(error: GitError) -> (Fault, String) {
    let told = told(&error, error.hint());
    assert!(!told.contains(TOKEN), "{told}");
    (error.fault, told)
}

#[test]
fn when_nothing_is_new_nothing_is_asked_for() {
    let world = World::new();
    let upstream = world.upstream();
    let refs = BTreeMap::from([("refs/heads/main".to_owned(), world.tip)]);
    assert_eq!(upstream.fetch().unwrap(), refs);
    let objects = world.here.objects();
    drop(world.targets());
    assert_eq!(upstream.fetch().unwrap(), refs);
    let asked = ["GET /repository/info/refs?service=git-upload-pack", "POST /repository/git-upload-pack"];
    assert_eq!(world.targets(), asked, "the greeting and the list of refs");
    assert_eq!(world.here.objects(), objects);
    assert_eq!(upstream.refs().unwrap(), refs);
}

#[test]
fn an_empty_repository_has_no_refs_and_takes_a_first_push() {
    for version_2 in [true, false] {
        let there = Scene::bare();
        let server = Server::with_tls(there.path().parent().unwrap()).unwrap();
        if !version_2 {
            server.forget_version_2();
        }
        let here = Scene::bare();
        let tip = here.commit("main", "start", &[("a", "1")]);
        let url = Url::parse(&server.url("repository")).unwrap();
        let client = Client::trusting(&url, &server.roots(), TIMEOUTS);
        let remote = Remote::Http(HttpRemote::new(url, client, Identity::anonymous()));
        let upstream = Upstream::over(here.repository(), remote);
        assert_eq!(upstream.fetch().unwrap(), BTreeMap::new());
        upstream.update(&[RefUpdate::branch("main", None, Some(tip))]).unwrap();
        assert_eq!(there.tip("main"), tip);
        there.assert_sound();
    }
}

#[test]
fn a_branch_is_created_moved_and_deleted_in_both_versions_of_the_protocol() {
    for version_2 in [true, false] {
        let world = World::new();
        if !version_2 {
            world.server.forget_version_2();
        }
        let upstream = world.upstream();
        upstream.fetch().unwrap();
        let revisions = ["1", "2"].map(|content| commit(&upstream, world.tip, &one(content)));
        let steps = [
            (None, Some(revisions[0])),
            (Some(revisions[0]), Some(revisions[1])),
            (Some(revisions[1]), None),
        ];
        for (expected, new) in steps {
            upstream.update(&[RefUpdate::branch("render/app", expected, new)]).unwrap();
            upstream.fetch().unwrap();
            assert_eq!(upstream.branch("render/app").unwrap(), new);
        }
        let newer = world.there.commit("main", "more", &[("a", "2")]);
        assert_eq!(upstream.fetch().unwrap(), BTreeMap::from([("refs/heads/main".into(), newer)]));
        world.there.assert_sound();
        world.here.assert_sound();
    }
}

#[test]
fn a_thousand_new_files_go_out_with_their_length_and_come_in_whole() {
    let world = World::new();
    let upstream = world.upstream();
    upstream.fetch().unwrap();
    // Random enough that the pack outgrows what is kept in memory.
    let noise = |n: u64| {
        let words = (0..150).map(|k| (n * 1_000 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        words.fold(String::new(), |text, word| text + &word.to_string())
    };
    let files: Vec<_> = (0..1_000).map(|n| (format!("app/{n}.yaml"), noise(n))).collect();
    let new = commit(&upstream, world.tip, &files);
    upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap();
    let requests = world.server.take_requests();
    let push = requests.iter().find(|request| request.target.ends_with("/git-receive-pack")).unwrap();
    let length: usize = push.header("content-length").unwrap().parse().unwrap();
    assert!(length > MAX_QUESTION_IN_MEMORY, "{length}");
    world.there.assert_sound();

    let other = World { here: Scene::bare(), ..world };
    assert_eq!(other.upstream().fetch().unwrap()["refs/heads/render/app"], new);
    assert_eq!(
        other.here.git(&["ls-tree", "-r", "--name-only", &new.to_string(), "out"]).lines().count(),
        1_000
    );
    other.here.assert_sound();
}

#[test]
fn a_shallow_clone_fetches_what_is_new_and_pushes() {
    for version_2 in [true, false] {
        let there = Scene::bare();
        for n in 0..5 {
            there.commit("main", "more", &[("a", &n.to_string())]);
        }
        let here = there.shallow_clone();
        let world = World { here, ..World::of(there, Server::with_tls) };
        if !version_2 {
            world.server.forget_version_2();
        }
        let upstream = world.upstream();
        assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.tip);
        assert!(upstream.repository().is_shallow());
        let new = commit(&upstream, world.tip, &one("1"));
        upstream.update(&[RefUpdate::branch("main", Some(world.tip), Some(new))]).unwrap();
        assert_eq!(world.there.tip("main"), new);
        world.there.assert_sound();
        world.here.assert_sound();
    }
}

#[test]
fn a_history_that_was_rewritten_far_back_is_fetched_as_it_is_now() {
    let world = World::new();
    let upstream = world.upstream();
    for n in 0..300 {
        world.there.commit("main", "old", &[("a", &n.to_string())]);
    }
    upstream.fetch().unwrap();
    world.there.orphan("fresh");
    let fresh = world.there.git(&["rev-parse", "fresh"]);
    world.there.git(&["update-ref", "refs/heads/main", &fresh]);
    assert_eq!(upstream.fetch().unwrap()["refs/heads/main"].to_string(), fresh);
    world.here.assert_sound();
}

#[test]
fn a_hook_that_refuses_is_an_error_with_its_words() {
    for hook in ["pre-receive", "update"] {
        let world = World::new();
        world.there.hook(hook, "echo 'ask the platform team first' >&2; exit 1");
        let upstream = world.upstream();
        upstream.fetch().unwrap();
        let new = commit(&upstream, world.tip, &one("1"));
        let error = upstream.update(&[RefUpdate::branch("main", Some(world.tip), Some(new))]).unwrap_err();
        let told = error.fault.to_string();
        assert!(told.contains("was rejected: "), "{told}");
        assert!(told.contains("hook declined: ask the platform team first"), "{told}");
        assert!(!error.is_transient());
        assert_eq!(world.there.tip("main"), world.tip);
    }
}

#[test]
fn whoever_pushes_between_the_greeting_and_our_push_wins() {
    let world = World::new();
    let upstream = world.upstream();
    upstream.fetch().unwrap();
    let new = commit(&upstream, world.tip, &one("1"));
    let theirs = world.there.commit("other", "theirs", &[("b", "1")]);
    let path = world.there.path().to_owned();
    let race = move || {
        let moved = std::process::Command::new("git")
            .arg("-C")
            .arg(path)
            .args(["update-ref", "refs/heads/main", &theirs.to_string()])
            .status();
        assert!(moved.unwrap().success());
    };
    world.server.trouble("/git-receive-pack", Trouble::First(Box::new(race)));
    let updates =
        [RefUpdate::branch("aside", None, Some(new)), RefUpdate::branch("main", Some(world.tip), Some(new))];
    let error = upstream.update(&updates).unwrap_err();
    assert!(error.is_lease_lost() && error.is_transient(), "{error:?}");
    let (seen, found) = (world.tip.short(), theirs.short());
    let told = format!("`refs/heads/main` moved: expected `{seen}`, found `{found}`");
    assert_eq!(error.fault.to_string(), told);
    assert!(!world.there.refs().contains("aside"), "a branch moved although the other did not");
}

#[test]
fn wrong_credentials_are_tried_once_and_say_what_to_check() {
    let world = World::new();
    let wrong = Identity::of_token("ghp_wr0ngwr0ng".into());
    let error = world.upstream_with(&wrong, TIMEOUTS).fetch().unwrap_err();
    assert!(!error.is_transient());
    let (fault, told) = fault_of(error);
    assert!(fault.message.ends_with("` does not accept the credential"), "{fault:?}");
    assert!(told.contains("not expired and not revoked"), "{told}");
    assert!(!told.contains("ghp_wr0ng"), "{told}");
    assert_eq!(world.targets().len(), 1);

    let error = world.upstream_with(&Identity::anonymous(), TIMEOUTS).fetch().unwrap_err();
    let (fault, told) = fault_of(error);
    assert!(fault.message.ends_with("` asks for a credential"), "{fault:?}");
    assert!(told.contains("FLEETWRIGHT_TOKEN"), "{told}");
}

#[test]
fn each_refusal_is_told_apart() {
    let text = |status| Reply::status(status).body("text/plain", "Write access not granted.\n");
    let world = World::new();
    let upstream = world.upstream();
    let refuse = |reply: Reply| {
        world.server.trouble("info/refs", Trouble::Reply(reply));
        let error = upstream.fetch().unwrap_err();
        let is_transient = error.is_transient();
        (is_transient, fault_of(error).1)
    };
    let (is_transient, told) = refuse(text(403));
    assert!(told.contains("` does not allow this") && !is_transient, "{told}");
    assert!(told.contains("Write access not granted"), "{told}");
    let (is_transient, told) = refuse(text(404));
    assert!(told.contains("` does not exist, or ") && !is_transient, "{told}");
    assert!(told.contains("App is installed"), "{told}");
    for status in [500, 502, 503] {
        let (is_transient, told) = refuse(text(status));
        assert!(told.contains(&format!("` fails with status {status}")) && is_transient, "{told}");
    }
    let (is_transient, told) = refuse(text(403).header("retry-after", "60"));
    assert!(told.contains("` asks to wait 60 seconds") && is_transient, "{told}");
    assert!(upstream.fetch().is_ok(), "the server is well again");
}

#[test]
fn a_server_that_fails_after_it_took_the_push_leaves_a_push_that_is_found_to_be_done() {
    let world = World::new();
    let upstream = world.upstream();
    upstream.fetch().unwrap();
    let new = commit(&upstream, world.tip, &one("1"));
    world.server.trouble("/git-receive-pack", Trouble::ReplyAfterwards(Reply::status(502)));
    let error = upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(upstream.fetch().unwrap()["refs/heads/render/app"], new);
}

#[test]
fn a_redirect_is_not_followed_and_its_target_is_named() {
    let world = World::new();
    let elsewhere = Server::plain(world.there.path().parent().unwrap()).unwrap();
    for status in [301, 302, 307, 308] {
        let target = elsewhere.url("moved.git").replace("http://", "http://user:pw@");
        let location = format!("{target}/info/refs?service=git-upload-pack&token=x");
        let reply = Reply::status(status).header("location", &location);
        world.server.trouble("info/refs", Trouble::Reply(reply));
        let error = world.upstream().fetch().unwrap_err();
        assert!(!error.is_transient());
        let (fault, told) = fault_of(error);
        let to =
            format!("` answers with a redirect to `{}`, which is not followed", elsewhere.url("moved.git"));
        assert!(fault.message.ends_with(&to), "{fault:?}");
        assert!(told.contains("name `http://localhost"), "{told}");
        assert!(!told.contains("pw@") && !told.contains("token=x"), "{told}");
    }
    assert!(elsewhere.take_requests().is_empty(), "the redirect was followed");
}

#[test]
fn a_push_is_not_redirected_either() {
    let world = World::new();
    let upstream = world.upstream();
    upstream.fetch().unwrap();
    let new = commit(&upstream, world.tip, &one("1"));
    let elsewhere = Server::plain(world.there.path().parent().unwrap()).unwrap();
    let reply = Reply::status(307).header("location", &elsewhere.url("repository/git-receive-pack"));
    world.server.trouble("/git-receive-pack", Trouble::Reply(reply));
    let error = upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap_err();
    assert!(error.hint().unwrap().contains(&elsewhere.url("repository")), "{error:?}");
    assert!(elsewhere.take_requests().is_empty(), "the redirect was followed");
}

/// By how much the replies to equal requests may differ in length: `git` packs with several threads.
const SLACK_BYTES: usize = 64;

/// Places to cut a reply of this length, close together.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length.saturating_sub(SLACK_BYTES).max(1)).step_by(13)
}

/// Does something once to learn how long the reply at `path` is, and then again and again with the reply cut.
fn with_cut_replies(path: &str, first: Option<&str>, story: impl Fn(&World, Option<usize>)) {
    let world = World::of(Scene::bare(), Server::plain);
    story(&world, None);
    let length = world.server.reply_bytes(path).unwrap();
    for cut in cuts(length) {
        let world = World { here: Scene::bare(), ..World::of(Scene::bare(), Server::plain) };
        // What comes before at the same path goes well.
        if let Some(part) = first {
            world.server.trouble(part, Trouble::Pieces(usize::MAX));
        }
        world.server.trouble(path, Trouble::CutAfter(cut));
        story(&world, Some(cut));
    }
}

fn fetch_with_a_cut(world: &World, cut: Option<usize>) {
    let upstream = world.upstream();
    if cut.is_some() {
        let error = upstream.fetch().unwrap_err();
        assert!(error.is_transient(), "after {cut:?}: {error:?}");
        assert_eq!((world.here.objects(), world.here.refs()), Default::default(), "after {cut:?}");
    }
    assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.tip, "after {cut:?}");
}

#[test]
fn a_greeting_that_is_cut_anywhere_is_worth_another_try() {
    with_cut_replies("/repository/info/refs", None, fetch_with_a_cut);
}

#[test]
fn a_pack_that_is_cut_anywhere_is_thrown_away() {
    with_cut_replies("/repository/git-upload-pack", Some("/git-upload-pack"), fetch_with_a_cut);
}

#[test]
fn a_report_that_is_cut_anywhere_leaves_a_push_that_is_found_to_be_done() {
    with_cut_replies("/repository/git-receive-pack", None, |world, cut| {
        let upstream = world.upstream();
        upstream.fetch().unwrap();
        let new = commit(&upstream, world.tip, &one("1"));
        let pushed = upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]);
        match (cut, pushed) {
            (None, pushed) => pushed.unwrap(),
            (Some(cut), pushed) => assert!(pushed.unwrap_err().is_transient(), "after {cut}"),
        }
        assert_eq!(upstream.fetch().unwrap()["refs/heads/render/app"], new);
    });
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_read_as_a_whole() {
    let world = World::new();
    for part in ["info/refs", "/git-upload-pack", "/git-upload-pack"] {
        world.server.trouble(part, Trouble::Pieces(1));
    }
    assert_eq!(world.upstream().fetch().unwrap()["refs/heads/main"], world.tip);
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let world = World::new();
    world.server.trouble("info/refs", Trouble::Silence);
    let timeouts = Timeouts { idle: Duration::from_millis(300), ..TIMEOUTS };
    let error = world.upstream_with(&Identity::of_token(TOKEN.into()), timeouts).fetch().unwrap_err();
    assert!(error.is_transient());
    let (fault, _) = fault_of(error);
    assert!(fault.message.contains("` cannot be reached: "), "{fault:?}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_ends_the_conversation_before_the_credential_is_sent() {
    let world = World::new();
    let url = Url::parse(&world.server.url("repository")).unwrap();
    let stranger = Server::with_tls(world.there.path()).unwrap();
    let client = Client::trusting(&url, &stranger.roots(), TIMEOUTS);
    let remote = Remote::Http(HttpRemote::new(url, client, Identity::of_token(TOKEN.into())));
    let error = Upstream::over(world.here.repository(), remote).fetch().unwrap_err();
    assert!(!error.is_transient());
    let (fault, told) = fault_of(error);
    assert!(fault.message.starts_with("the certificate of `"), "{fault:?}");
    assert!(told.contains("SSL_CERT_FILE"), "{told}");
    assert!(world.server.take_requests().is_empty());
}

#[test]
fn a_page_for_people_is_not_taken_for_a_repository() {
    let world = World::new();
    let page = Reply::status(200).body("text/html", "<html>Please log in</html>");
    world.server.trouble("info/refs", Trouble::Reply(page));
    let (fault, told) = fault_of(world.upstream().fetch().unwrap_err());
    assert!(fault.to_string().ends_with("answers, but not as a git repository"), "{fault:?}");
    assert!(told.contains("login"), "{told}");
}

#[test]
fn a_server_that_repeats_the_credential_is_quoted_without_it() {
    let world = World::new();
    let sent =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("x-access-token:{TOKEN}"));
    for echo in [TOKEN.to_owned(), sent] {
        let reply = Reply::status(403).body("text/plain", format!("no access with {echo}"));
        world.server.trouble("info/refs", Trouble::Reply(reply));
        let (_, told) = fault_of(world.upstream().fetch().unwrap_err());
        assert!(!told.contains(&echo) && told.contains("no access with ") && told.contains("***"), "{told}");
    }
}

#[test]
fn the_credential_stands_in_its_header_and_nowhere_else() {
    let world = World::new();
    let upstream = world.upstream();
    upstream.fetch().unwrap();
    let new = commit(&upstream, world.tip, &one("1"));
    upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap();
    for request in world.server.take_requests() {
        assert!(request.header("authorization").unwrap().starts_with("Basic "));
        assert!(!request.target.contains(TOKEN));
    }
    let secret: SecretString = TOKEN.into();
    let shown = format!("{upstream:?}{:?}", Authorization::Basic(USER.into(), secret));
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[test]
fn a_server_that_only_shows_that_it_is_alive_is_not_waited_for() {
    let greeting = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n\
                    001e# service=git-upload-pack\n0000000eversion 2\n";
    let here = Scene::bare();
    let fetched = |limits: PaceLimits| {
        let server = testkit::hostile::floods::Drip::start(greeting, "0005x").unwrap();
        let url = Url::parse(&format!("http://{}/repository", server.address())).unwrap();
        let remote = HttpRemote::new(url.clone(), Client::new(&url, TIMEOUTS), Identity::anonymous());
        Upstream::over(here.repository(), Remote::Http(HttpRemote { limits: limits.leaked(), ..remote }))
            .fetch()
            .unwrap_err()
    };
    // However fast it is, it is never enough here.
    let slow = PaceLimits { begin: Duration::ZERO, window_bytes: usize::MAX, ..PaceLimits::DEFAULT };
    let (slow, endless) =
        (fetched(slow), fetched(PaceLimits { whole: Duration::ZERO, ..PaceLimits::DEFAULT }));
    for (error, words) in [(slow, "KiB came in 0 seconds"), (endless, "not complete after 0 seconds")] {
        assert!(error.is_transient());
        let (_, shown) = fault_of(error);
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn a_large_answer_that_flows_is_read_to_its_end() {
    let world = World::new();
    let url = Url::parse(&world.server.url("repository")).unwrap();
    let client = Client::trusting(&url, &world.server.roots(), TIMEOUTS);
    let remote = HttpRemote::new(url, client, Identity::of_token(TOKEN.into()));
    // A window that is over at once and asks for a byte: what flows passes each of them.
    let limits =
        PaceLimits { begin: Duration::ZERO, window: Duration::ZERO, window_bytes: 1, ..PaceLimits::DEFAULT };
    let files: Vec<_> = (0..50).map(|n| (format!("f{n}"), "x".repeat(n * 1000))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tip = world.there.commit("main", "much", &files);
    let upstream = Upstream::over(
        world.here.repository(),
        Remote::Http(HttpRemote { limits: limits.leaked(), ..remote }),
    );
    assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], tip);
}

#[test]
fn what_others_pile_up_is_neither_asked_for_nor_kept() {
    let world = World::new();
    let refs = testkit::hostile::floods::packed_refs(&world.tip.to_string(), "fleetwright/x", 5_000);
    world.there.write("packed-refs", &refs);
    let branches = ["main", "fleetwright/app", "queue/"].map(str::to_owned);
    let upstream = world.upstream();
    upstream.read_branches(branches);
    let expected = BTreeMap::from([("refs/heads/main".to_owned(), world.tip)]);
    assert_eq!(upstream.refs().unwrap(), expected);
    let listed = world.server.reply_bytes("/repository/git-upload-pack").unwrap();
    assert!(listed < 1_000, "{listed} bytes were listed");
    // A server that knows only the first version of the protocol lists all of them.
    world.server.forget_version_2();
    assert_eq!(upstream.refs().unwrap(), expected);
    assert_eq!(upstream.fetch().unwrap(), expected);
    assert_eq!(world.here.refs(), format!("refs/fleetwright/upstream/heads/main {}", world.tip));
    let new = commit(&upstream, world.tip, &one("1"));
    upstream.update(&[RefUpdate::branch("fleetwright/app", None, Some(new))]).unwrap();
    assert_eq!(upstream.reopen().unwrap().fetch().unwrap()["refs/heads/fleetwright/app"], new);
}

#[test]
fn a_branch_whose_name_is_too_long_for_a_file_is_left_out() {
    let world = World::new();
    world.there.write("packed-refs", &testkit::hostile::floods::packed_refs(&world.tip.to_string(), "x", 1));
    let upstream = world.upstream();
    for _ in 0..2 {
        let names: Vec<_> = upstream.fetch().unwrap().into_keys().collect();
        assert_eq!(names, ["refs/heads/main", "refs/heads/x000000"]);
    }
}
