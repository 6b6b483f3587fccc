//! `register`: a person presses a button, and the App's key lies in a file that nobody else may read.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use testkit::github::{GitHub, apps};

use crate::repo::Repo;

/// A command that waits for a person, the person's browser, and GitHub.
struct Scene {
    repo: Repo,
    github: GitHub,
    command: Option<Child>,
    page: String,
}

impl Scene {
    fn start(arguments: &[&str]) -> Self {
        let repo = Repo::empty();
        repo.write("README.md", "A fleet\n");
        repo.commit("Begin");
        let github = GitHub::start(&repo.top).unwrap();
        let (root, out) = (github.url(), repo.path("secrets"));
        let mut all = vec!["register", "--github", &root, "--api", &root, "--out", out.to_str().unwrap()];
        all.extend(arguments);
        let mut command = repo.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(command.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let page =
            line.strip_prefix("open ").and_then(|line| line.split(' ').next()).expect(&line).to_owned();
        Self { repo, github, command: Some(command), page }
    }

    /// Opens an address of the page, and returns the status and the page.
    fn get(&self, path: &str) -> (u16, String) {
        self.get_as(path, self.page.trim_start_matches("http://").trim_end_matches('/'))
    }

    fn get_as(&self, path: &str, host: &str) -> (u16, String) {
        let address = self.page.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), page.to_owned())
    }

    /// Presses the button: returns where GitHub's page for the manifest is, and the manifest.
    fn button(&self) -> (String, String) {
        let (_, page) = self.get("/");
        let attribute = |name: &str| {
            let value = page.split_once(&format!("{name}=\"")).unwrap().1.split_once('"').unwrap().0;
            value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        };
        (attribute("action"), attribute("value"))
    }

    fn end(&mut self) -> (i32, String, String) {
        let output = self.command.take().unwrap().wait_with_output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&self.github.url(), "https://github").replace(self.repo.top.to_str().unwrap(), "~")
        };
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut command) = self.command.take() {
            command.kill().unwrap();
            command.wait().unwrap();
        }
    }
}

fn state_of(target: &str) -> &str {
    target.split_once("state=").unwrap().1
}

#[test]
fn an_app_is_registered_by_one_button_and_its_key_is_for_its_owner_alone() {
    let mut scene =
        Scene::start(&["--organization", "acme", "--webhook", "https://hooks.example.com/webhook"]);
    let (target, manifest) = scene.button();
    let path = target.replace(&scene.github.url(), "").replace(state_of(&target), "STATE");
    assert_snapshot!(path, @"/organizations/acme/settings/apps/new?state=STATE");
    let asked: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(asked["hook_attributes"]["url"], "https://hooks.example.com/webhook");
    assert_eq!(asked["redirect_url"], format!("{}registered", scene.page));

    let code = apps::agree(&mut scene.github.state(), &manifest).unwrap();
    let back = format!("/registered?code={code}&state={}", state_of(&target));
    assert_eq!(scene.get(&back).0, 200);
    let (exit, out, _) = scene.end();
    assert_eq!(exit, 0);
    assert_snapshot!(out, @r"
    registered the App `fleetwright` (2)
    wrote ~/secrets/fleetwright-2.private-key.pem
    wrote ~/secrets/fleetwright-2.webhook-secret

    Install it on the repository: https://github/apps/fleetwright/installations/new
    Then start the service:
    fleetwright run --upstream https://HOST/OWNER/NAME.git \
      --app-id 2 --app-key-file ~/secrets/fleetwright-2.private-key.pem \
      --listen 0.0.0.0:8080 --webhook-secret-file ~/secrets/fleetwright-2.webhook-secret
    ");
    for (file, content) in [("private-key.pem", "a private key\n"), ("webhook-secret", "a webhook secret")] {
        let path = scene.repo.path(&format!("secrets/fleetwright-2.{file}"));
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    scene.github.assert_described();
}

#[test]
fn an_app_without_a_webhook_gets_a_key_alone() {
    let mut scene = Scene::start(&["--format", "json"]);
    let (target, manifest) = scene.button();
    assert!(target.contains("/settings/apps/new?state=") && !target.contains("/organizations/"), "{target}");
    let code = apps::agree(&mut scene.github.state(), &manifest).unwrap();
    scene.get(&format!("/registered?code={code}&state={}", state_of(&target)));
    assert_snapshot!(scene.end().1, @r#"
    {
      "appId": 2,
      "slug": "fleetwright",
      "keyFile": "~/secrets/fleetwright-2.private-key.pem",
      "install": "https://github/apps/fleetwright/installations/new"
    }
    "#);
    assert_eq!(fs::read_dir(scene.repo.path("secrets")).unwrap().count(), 1);
}

#[test]
fn a_code_that_this_page_did_not_ask_for_is_not_taken() {
    let scene = Scene::start(&[]);
    let (target, _) = scene.button();
    assert_eq!(scene.get("/registered?code=abc&state=guessed").0, 400);
    assert_eq!(scene.get(&format!("/registered?state={}", state_of(&target))).0, 400);
    assert_eq!(scene.get_as("/", "rebound.example.com").0, 404, "another name leads to the page");
    assert_eq!(scene.get("/favicon.ico").0, 404);
    assert!(scene.github.state().exchanges.is_empty(), "a code was exchanged");
}

#[test]
fn a_code_that_github_does_not_know_is_reported_with_the_way_out() {
    let mut scene = Scene::start(&[]);
    let (target, _) = scene.button();
    scene.get(&format!("/registered?code=old&state={}", state_of(&target)));
    let (exit, out, err) = scene.end();
    assert_eq!((exit, out.as_str()), (6, ""));
    assert_snapshot!(err, @"
    error: failed to exchange the code for the App's key: `https://github` does not exist, or it is not public (it reports: Not Found)
      hint: a code is good for one hour and once: delete the App on GitHub if it is there, and register it again
    ");
    assert_eq!(fs::read_dir(scene.repo.path("secrets")).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_is_asked() {
    let repo = Repo::empty();
    repo.write("taken", "");
    let told = repo.run(&["register", "--out", repo.path("taken").to_str().unwrap()]);
    assert_eq!(told.code, 1, "{told}");
    assert!(told.err.starts_with("error: failed to write"), "{told}");
}
