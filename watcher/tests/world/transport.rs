//! The program itself, with its upstream behind a web server over TLS: what it moves, what it says, what it
//! keeps to itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use testkit::smart_http::{Reply, Server, Trouble};

use crate::platform::{APP, APP_HEAD, BASE, World, without_host};

const TOKEN: &str = "ghp_S3cretS3cretS3cret";

/// A world behind a web server that asks for a token, and a user with a cache and nothing else.
struct Hosted {
    world: World,
    server: Server,
    user: tempfile::TempDir,
}

impl Hosted {
    fn new() -> Self {
        let world = World::new();
        let server = Server::with_tls(world.path().parent().unwrap()).unwrap();
        server.require("x-access-token", TOKEN);
        let user = tempfile::tempdir().unwrap();
        std::fs::write(user.path().join("roots.pem"), server.roots_pem()).unwrap();
        Self { world, server, user }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.user.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = without_host(env!("CARGO_BIN_EXE_fleetwright"));
        command
            .current_dir(self.user.path())
            .env("SSL_CERT_FILE", self.place("roots.pem"))
            .env("XDG_CACHE_HOME", self.place("cache"))
            // As much as can be asked for, in the hope of seeing what nobody may see.
            .env("RUST_LOG", "trace,ureq_proto=trace,ureq_proto::util=trace")
            .args(arguments)
            .args(["--upstream", &self.server.url("fleet")]);
        command
    }

    fn run_once(&self, token: &str) -> Output {
        let output = self.command(&["run", "--once"]).env("FLEETWRIGHT_TOKEN", token).output().unwrap();
        assert_keeps_to_itself(&output, token);
        output
    }
}

/// Looks for pieces of a token, as it is and as it is sent: a log may have it in rows.
fn assert_keeps_to_itself(output: &Output, token: &str) {
    const PIECE: usize = 8;
    let said = everything(output);
    let sent = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
    // The name of the user is no secret, and neither is the beginning that all tokens share.
    let (sent, token) = (&sent[sent.len() / 2..], &token["ghp_".len()..]);
    for secret in [sent, token] {
        for start in 0..=secret.len() - PIECE {
            let piece = &secret[start..start + PIECE];
            assert!(!said.contains(piece), "`{piece}` of the token is in the output");
        }
    }
}

fn everything(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_fleet_with_nothing_to_do_is_read_and_not_written() {
    let hosted = Hosted::new();
    let before = hosted.world.git(&["for-each-ref"]);
    let output = hosted.run_once(TOKEN);
    assert!(output.status.success(), "{}", everything(&output));
    assert_eq!(hosted.world.git(&["for-each-ref"]), before);
    assert!(hosted.server.take_requests().iter().all(|request| !request.target.contains("receive-pack")));
}

#[test]
fn an_edit_becomes_a_pull_request_over_https_and_the_next_run_has_nothing_to_do() {
    let hosted = Hosted::new();
    hosted.world.edit(APP, "192.168.64.140", "192.168.64.139");
    let output = hosted.run_once(TOKEN);
    assert!(output.status.success(), "{}", everything(&output));
    let proposed = hosted.world.tip(APP_HEAD);
    assert_ne!(proposed, hosted.world.tip(BASE));
    let output = hosted.run_once(TOKEN);
    assert!(output.status.success(), "{}", everything(&output));
    assert_eq!(hosted.world.tip(APP_HEAD), proposed);
    let output = hosted.command(&["pulls", "list"]).env("FLEETWRIGHT_TOKEN", TOKEN).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(APP_HEAD), "{}", everything(&output));
}

#[test]
fn the_mirror_is_in_the_users_cache_and_a_damaged_one_is_cloned_again() {
    let hosted = Hosted::new();
    hosted.run_once(TOKEN);
    let mirrors: Vec<_> = std::fs::read_dir(hosted.place("cache/fleetwright/mirrors")).unwrap().collect();
    let [Ok(mirror)] = mirrors.as_slice() else { panic!("{mirrors:?}") };
    let packs = mirror.path().join("1.git/objects/pack");
    for pack in std::fs::read_dir(&packs).unwrap() {
        std::fs::remove_file(pack.unwrap().path()).unwrap();
    }
    let output = hosted.run_once(TOKEN);
    assert!(output.status.success(), "{}", everything(&output));
    assert!(mirror.path().join("2.git").exists());
    assert!(!contains(&mirror.path(), TOKEN), "the token is on the disk");
}

fn contains(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, text);
        }
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn a_wrong_token_is_tried_once_and_ends_with_the_code_for_git() {
    let hosted = Hosted::new();
    let output = hosted.run_once("ghp_wr0ngwr0ngwr0ng");
    let said = everything(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("does not accept the credential"), "{said}");
    assert!(said.contains("hint: check that the token is whole"), "{said}");
    assert_eq!(hosted.server.take_requests().len(), 1);
}

#[test]
fn a_token_for_github_is_not_sent_to_another_host() {
    let hosted = Hosted::new();
    let output = hosted.command(&["run", "--once"]).env("GITHUB_TOKEN", TOKEN).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", everything(&output));
    let requests = hosted.server.take_requests();
    assert!(requests.iter().all(|request| request.header("authorization").is_none()), "{requests:?}");
}

#[test]
fn a_token_file_serves_as_well_and_a_token_in_the_address_is_refused() {
    let hosted = Hosted::new();
    std::fs::write(hosted.place("token"), format!("{TOKEN}\n")).unwrap();
    let output = hosted.command(&["run", "--once", "--token-file", "token"]).output().unwrap();
    assert!(output.status.success(), "{}", everything(&output));
    let url = hosted.server.url("fleet").replace("https://", &format!("https://x:{TOKEN}@"));
    let mut command = without_host(env!("CARGO_BIN_EXE_fleetwright"));
    command.env("XDG_CACHE_HOME", hosted.place("cache")).args(["run", "--once", "--upstream", &url]);
    let output = command.output().unwrap();
    let said = everything(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("--token-file") && !said.contains(TOKEN), "{said}");
}

#[test]
fn a_server_that_moved_is_named_and_not_followed() {
    let hosted = Hosted::new();
    let elsewhere = Server::plain(hosted.world.path().parent().unwrap()).unwrap();
    let reply =
        Reply::status(301).header("location", &elsewhere.url("moved/info/refs?service=git-upload-pack"));
    hosted.server.trouble("info/refs", Trouble::Reply(reply));
    let output = hosted.run_once(TOKEN);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        everything(&output).contains(&format!("name `{}` instead", elsewhere.url("moved"))),
        "{}",
        everything(&output)
    );
    assert!(elsewhere.take_requests().is_empty());
}
