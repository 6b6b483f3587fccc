//! What the fake refuses and how it looks, asked without a network; held to GitHub's description where that is here.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api;
use super::*;
use crate::web::server::Outcome;
use crate::web::wire::{Reply, Request, parse_query};

/// A GitHub on a repository with `main` and `next`, which is one commit ahead.
struct World {
    github: GitHub,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let commit = |branch: &str, from: &str| {
            let from = if from.is_empty() { String::new() } else { format!("from refs/heads/{from}\n") };
            format!(
                "commit refs/heads/{branch}\ncommitter Ann <ann@example.com> 1767225600 +0000\ndata 1\nx\n{from}M 644 inline {branch}\ndata 1\nx\n"
            )
        };
        git(&folder, &["init", "-q", "--bare", "-b", "main", "--template="], "");
        git(&folder, &["fast-import", "--quiet"], &(commit("main", "") + &commit("next", "main")));
        Self { github: GitHub::start(folder.path()).unwrap(), _folder: folder }
    }

    fn ask(&self, method: &str, route: &str, body: &Value) -> Reply {
        self.ask_as(TOKEN, method, route, body)
    }

    fn ask_as(&self, token: &str, method: &str, route: &str, body: &Value) -> Reply {
        let (path, query) = route.split_once('?').unwrap_or((route, ""));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("authorization".to_owned(), format!("Bearer {token}"))].into();
        let path = path.replace("REPO", "/repos/acme/fleet");
        let request = Request { method: method.into(), path, query: parse_query(query), headers, body };
        match api::exchange(&mut self.github.state(), &request) {
            Outcome::Reply(reply) => reply,
            Outcome::Cut | Outcome::Stream(_) => panic!("no reply"),
        }
    }

    fn read<T: DeserializeOwned>(&self, route: &str) -> T {
        serde_json::from_value(self.ask("GET", route, &Value::Null).body.unwrap()).unwrap()
    }

    fn refusal(&self, method: &str, route: &str, body: &Value) -> String {
        let reply = self.ask(method, route, body);
        let body = reply.body.unwrap();
        let error = &body["errors"][0];
        let told = error["message"].as_str().or(error["field"].as_str()).or(body["message"].as_str());
        format!("{} {}", reply.status, told.unwrap())
    }

    fn tip(&self, branch: &str) -> String {
        self.github.state().branches[branch].clone()
    }
}

/// Every reply is held to GitHub's own description, where that is here.
impl Drop for World {
    fn drop(&mut self) {
        let Some(description) = description::available().filter(|_| !std::thread::panicking()) else {
            return;
        };
        // A request that is wrong on purpose is not held to it.
        let mut exchanges = self.github.state().exchanges.clone();
        exchanges.iter_mut().filter(|one| one.status >= 400).for_each(|one| one.request = None);
        let mut faults: Vec<String> = exchanges.iter().flat_map(|one| description.faults(one)).collect();
        // In this list the description asks an account to be a person and an enterprise at once.
        faults.retain(|fault| !fault.starts_with("GET /app/installations 200: /0/account"));
        assert_eq!(faults, [""; 0], "GitHub describes it differently");
    }
}

fn git(folder: &tempfile::TempDir, arguments: &[&str], input: &str) {
    use std::io::Write as _;
    let mut child = crate::program::command("git")
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_github_refuses_is_refused() {
    let world = World::new();
    let new = json!({ "title": "t", "head": "acme:next", "base": "main", "body": "b" });
    let with = |key: &str, value: &str| {
        let mut changed = new.clone();
        changed[key] = value.into();
        changed
    };
    assert_eq!(world.refusal("POST", "REPO/pulls", &with("head", "acme:nowhere")), "422 head");
    assert_eq!(world.refusal("POST", "REPO/pulls", &with("base", "nowhere")), "422 base");
    assert_eq!(
        world.refusal("POST", "REPO/pulls", &with("head", "main")),
        "422 No commits between main and main"
    );
    assert_eq!(
        world.refusal("POST", "REPO/pulls", &with("body", &"x".repeat(65_537))),
        "422 body is too long (maximum is 65536 characters)"
    );
    assert_eq!(world.ask("POST", "REPO/pulls", &with("body", &"é".repeat(65_536))).status, 201);
    assert_eq!(world.refusal("POST", "REPO/pulls", &new), "422 A pull request already exists for acme:next.");
    assert_eq!(
        world.refusal("PUT", "REPO/pulls/1/merge", &json!({ "sha": world.tip("main") })),
        "409 Head branch was modified. Review and try the merge again."
    );
    world.github.edit(1, |pull| pull.draft = true).unwrap();
    assert_eq!(world.refusal("PUT", "REPO/pulls/1/merge", &json!({})), "405 Pull Request is not mergeable");
    assert_eq!(world.refusal("GET", "REPO/pulls/2", &Value::Null), "404 Not Found");
    assert_eq!(world.refusal("POST", "REPO/issues/1/comments", &json!({ "body": "" })), "422 body");
    assert_eq!(
        world.refusal("POST", "REPO/check-runs", &json!({ "name": "n", "head_sha": world.tip("next") })),
        "403 You must authenticate via a GitHub App."
    );
    assert_eq!(world.ask_as("wrong", "GET", "REPO", &Value::Null).status, 401);
}

#[test]
fn what_is_made_is_found_again() {
    let world = World::new();
    let new = json!({ "title": "t", "head": "next", "base": "main" });
    assert_eq!(world.ask("POST", "REPO/pulls", &new).status, 201);
    let count = |route: &str| world.ask("GET", route, &Value::Null).body.unwrap().as_array().unwrap().len();
    assert_eq!(count("REPO/pulls?head=acme%3Anext&state=all"), 1);
    assert_eq!(count("REPO/pulls?head=acme%3Amain"), 0);
    assert_eq!(count("REPO/pulls?head=main"), 1, "a filter without an owner is ignored");
    assert_eq!(world.ask("POST", "REPO/issues/1/comments", &json!({ "body": "c" })).status, 201);
    assert_eq!(world.ask("PATCH", "REPO/issues/comments/1", &json!({ "body": "d" })).status, 200);
    assert_eq!(count("REPO/issues/1/comments"), 1);
    assert_eq!(world.ask("POST", "REPO/issues/1/labels", &json!({ "labels": ["app"] })).status, 200);
    assert_eq!(count("REPO/issues/1/labels"), 1);
    let reviewers = json!({ "reviewers": ["mia"] });
    assert_eq!(world.ask("POST", "REPO/pulls/1/requested_reviewers", &reviewers).status, 201);
    let status = json!({ "state": "pending", "context": "a" });
    assert_eq!(world.ask("POST", &format!("REPO/statuses/{}", world.tip("next")), &status).status, 201);
    assert_eq!(world.ask("GET", "REPO/commits/next/status", &Value::Null).body.unwrap()["state"], "pending");
    assert_eq!(world.ask("GET", "REPO/git/ref/heads/next", &Value::Null).status, 200);
    assert_eq!(count("REPO/branches"), 2);
    assert_eq!(world.ask("GET", "REPO", &Value::Null).body.unwrap()["default_branch"], "main");
    let rate = world.ask("GET", "/rate_limit", &Value::Null).body.unwrap();
    assert_eq!(rate["rate"]["limit"], 5_000);
    assert_eq!(world.ask("PUT", "REPO/pulls/1/merge", &json!({})).body.unwrap()["merged"], true);
    assert_eq!(world.ask("GET", "REPO/pulls/1", &Value::Null).body.unwrap()["merged"], true);
}

/// `octocrab` is the client that most programs in Rust use; its models refuse what lacks a field.
#[test]
fn a_client_of_others_reads_what_the_fake_answers() {
    use octocrab::models::{Label, StatusState, hooks, issues, pulls, repos};

    let world = World::new();
    let new = json!({ "title": "t", "head": "next", "base": "main" });
    assert_eq!(world.ask("POST", "REPO/pulls", &new).status, 201);
    world.ask("POST", "REPO/issues/1/comments", &json!({ "body": "c" }));
    world.ask("POST", "REPO/issues/1/labels", &json!({ "labels": ["app"] }));
    let status = json!({ "state": "pending", "context": "a" });
    world.ask("POST", &format!("REPO/statuses/{}", world.tip("next")), &status);

    let pull = &world.read::<Vec<pulls::PullRequest>>("REPO/pulls")[0];
    assert_eq!((pull.number, pull.head.ref_field.as_str()), (1, "next"));
    assert_eq!(world.read::<pulls::PullRequest>("REPO/pulls/1").base.ref_field, "main");
    assert_eq!(world.read::<Vec<issues::Comment>>("REPO/issues/1/comments")[0].body.as_deref(), Some("c"));
    assert_eq!(world.read::<Vec<Label>>("REPO/issues/1/labels")[0].name, "app");
    let statuses = world.read::<Vec<octocrab::models::Status>>("REPO/commits/next/statuses");
    assert_eq!(statuses[0].state, StatusState::Pending);
    assert_eq!(world.read::<Vec<repos::Branch>>("REPO/branches").len(), 2);
    assert_eq!(world.read::<Vec<hooks::Delivery>>("REPO/hooks/7/deliveries").len(), 0);
}

#[test]
fn deliveries_are_listed_page_by_page_and_sent_again() {
    let world = World::new();
    world.github.state().tokens.get_mut(TOKEN).unwrap().writes.insert("repository_hooks".into());
    for id in 1..=3 {
        let delivery = Delivery {
            id,
            guid: format!("guid-{id}"),
            at: START,
            is_redelivery: false,
            status_code: if id == 2 { 502 } else { 202 },
            event: "push".into(),
            action: None,
        };
        let mut state = world.github.state();
        state.deliveries.push(delivery);
        state.last_id = id;
    }
    let page = world.ask("GET", "REPO/hooks/1/deliveries?per_page=2", &Value::Null);
    assert_eq!(page.body.unwrap()[1]["id"], 2);
    assert!(page.headers["link"].contains("cursor=2&per_page=2>; rel=\"next\""), "{:?}", page.headers);
    let failed = world.ask("GET", "REPO/hooks/1/deliveries?status=failure", &Value::Null).body.unwrap();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!(world.ask("POST", "REPO/hooks/1/deliveries/2/attempts", &Value::Null).status, 202);
    let all = world.ask("GET", "REPO/hooks/1/deliveries", &Value::Null).body.unwrap();
    assert_eq!((&all[0]["guid"], &all[0]["redelivery"]), (&json!("guid-2"), &json!(true)));
}

#[test]
fn an_app_comes_in_by_a_signed_claim_and_works_with_a_token_that_ends() {
    let Some(key) = rsa_key() else {
        eprintln!("left out: there is no `openssl` here to make a key with");
        return;
    };
    let world = World::new();
    let public_key = key.public_key().as_ref().to_vec();
    let app = App { id: 7, installation: 70, public_key, writes: WRITES.map(str::to_owned).into() };
    world.github.state().app = Some(app);
    let good =
        |issuer: &str, from: u64, to: u64| jwt(&key, &json!({ "iss": issuer, "iat": from, "exp": to }));
    for wrong in [
        good("8", START, START + 300),
        good("7", START + 120, START + 300),
        good("7", START - 400, START),
        good("7", START, START + 900),
        good("7", START, START + 300) + "A",
        TOKEN.to_owned(),
    ] {
        assert_eq!(world.ask_as(&wrong, "GET", "/app", &Value::Null).status, 401, "{wrong}");
    }
    let claim = good("7", START - 30, START + 300);
    assert_eq!(world.ask_as(&claim, "GET", "/app", &Value::Null).body.unwrap()["id"], 7);
    assert_eq!(world.ask_as(&claim, "GET", "/app/installations", &Value::Null).body.unwrap()[0]["id"], 70);
    assert_eq!(world.ask_as(&claim, "GET", "/app/hook/deliveries", &Value::Null).status, 200);
    let granted =
        world.ask_as(&claim, "POST", "/app/installations/70/access_tokens", &Value::Null).body.unwrap();
    let token = granted["token"].as_str().unwrap();

    let annotation = json!({
        "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m",
    });
    let run = |count: usize, summary: usize| {
        json!({
            "name": "fleetwright", "head_sha": world.tip("next"), "conclusion": "failure",
            "output": { "title": "t", "summary": "s".repeat(summary), "annotations": vec![annotation.clone(); count] },
        })
    };
    assert_eq!(world.ask_as(token, "POST", "REPO/check-runs", &run(51, 1)).status, 422);
    assert_eq!(world.ask_as(token, "POST", "REPO/check-runs", &run(50, 65_536)).status, 422);
    let made = world.ask_as(token, "POST", "REPO/check-runs", &run(50, 65_535)).body.unwrap();
    let route = format!("REPO/check-runs/{}", made["id"]);
    let more = world.ask_as(token, "PATCH", &route, &run(2, 1)).body.unwrap();
    assert_eq!((&more["output"]["annotations_count"], &more["status"]), (&json!(52), &json!("completed")));

    world.github.advance(Duration::from_hours(1));
    assert_eq!(world.ask_as(token, "GET", "REPO", &Value::Null).status, 401);
}

fn rsa_key() -> Option<KeyPair> {
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"];
    let output = Command::new("openssl").args(arguments).stderr(Stdio::null()).output().ok()?;
    // Which of the two forms it is depends on the version.
    KeyPair::from_pkcs8(&output.stdout).or_else(|_| KeyPair::from_der(&output.stdout)).ok()
}

fn jwt(key: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
