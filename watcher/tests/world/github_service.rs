//! The program itself as a service on GitHub: the API is the test kit's, git is behind a web server, and both
//! are about the same repository.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use ring::hmac;
use serde_json::Value;
use testkit::github::{self, Delivery, GitHub};
use testkit::proxy::Proxy;
use testkit::smart_http::Server;

use crate::github::{MOVED, pulls, status};
use crate::platform::{APP_HEAD, CONTROL, World, without_host};
use crate::service::{PATIENCE, Service, draw};

pub const SECRET: &str = "a secret of the test";
const WEBHOOK: u64 = 7;
const POLL: &str = "1";
/// As good as not polling.
pub const NEVER: &str = "36000";

/// A repository on GitHub, and a user with a cache and nothing else.
pub struct Hosted {
    pub github: GitHub,
    git: Server,
    pub world: World,
}

impl Hosted {
    pub fn new() -> Self {
        Self::with(World::new())
    }

    pub fn with(world: World) -> Self {
        let github = GitHub::start(&world.path()).unwrap();
        // GitHub has its repositories below their owners.
        let owner = world.beside(github::OWNER);
        std::fs::create_dir(&owner).unwrap();
        std::os::unix::fs::symlink(world.path(), owner.join(github::NAME)).unwrap();
        let git = Server::plain(&world.beside("")).unwrap();
        git.require("x-access-token", github::TOKEN);
        std::fs::write(world.beside("secret"), SECRET).unwrap();
        Self { github, git, world }
    }

    pub fn edit(&self) {
        self.world.edit(MOVED[0], MOVED[1], MOVED[2]);
    }

    pub fn place(&self, name: &str) -> String {
        self.world.beside(name).to_str().unwrap().to_owned()
    }

    pub fn arguments(&self) -> Vec<String> {
        let upstream = self.git.url(&format!("{}/{}", github::OWNER, github::NAME));
        ["--upstream", &upstream, "--forge", "github", "--api", &self.github.url()].map(str::to_owned).into()
    }

    pub fn command() -> Command {
        without_host(env!("CARGO_BIN_EXE_fleetwright"))
    }

    /// Returns the command of a service, with its token.
    pub fn service(&self) -> Command {
        let mut command = Self::command();
        command.current_dir(self.world.beside("")).env("FLEETWRIGHT_TOKEN", github::TOKEN);
        command
    }

    /// Starts a service that keeps its mirror at `mirror`.
    fn start(&self, mirror: &str, poll: &str, more: &[&str]) -> Service {
        self.start_by(self.service(), mirror, poll, more)
    }

    pub fn start_by(&self, command: Command, mirror: &str, poll: &str, more: &[&str]) -> Service {
        let (arguments, mirror) = (self.arguments(), self.place(mirror));
        let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
        all.extend(["--mirror", &mirror, "--poll", poll]);
        all.extend(more);
        Service::of(command, &all)
    }

    /// Starts a service that listens, and returns where.
    fn listening(&self, poll: &str, more: &[&str]) -> (Service, SocketAddr) {
        self.listening_by(self.service(), "mirror", poll, more)
    }

    /// Starts a service by a command, and returns where it listens.
    pub fn listening_by(
        &self,
        command: Command,
        mirror: &str,
        poll: &str,
        more: &[&str],
    ) -> (Service, SocketAddr) {
        let secret = self.place("secret");
        let listen = ["--listen", "127.0.0.1:0", "--webhook-secret-file", &secret];
        let service = self.start_by(command, mirror, poll, &[&listen, more].concat());
        let address = service.wait_for("listening").pop().unwrap();
        assert_eq!(address["receives_webhooks"], Value::Bool(true));
        (service, address["address"].as_str().unwrap().parse().unwrap())
    }

    /// Waits until something holds of what people see.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what} did not come about:\n{}", pulls(&self.github));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Every story holds what was said to GitHub's own description, where that is here.
impl Drop for Hosted {
    fn drop(&mut self) {
        self.github.assert_described();
    }
}

pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub fn metrics(address: SocketAddr) -> String {
    exchange(address, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// Delivers what GitHub would, signed with `secret`, and returns the status of the answer.
pub fn deliver(address: SocketAddr, event: &str, id: &str, secret: &str, body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    let signature = tag.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let request = format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-github-event: {event}\r\n\
         x-github-delivery: {id}\r\nx-hub-signature-256: sha256={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request.as_bytes()).chars().skip("HTTP/1.1 ".len()).take(3).collect()
}

#[test]
fn polling_alone_does_everything() {
    let hosted = Hosted::new();
    let service = hosted.start("mirror", POLL, &[]);
    service.wait_for("run is complete");
    hosted.edit();
    hosted.wait_until("a pull request for each group", |hosted| pulls(&hosted.github).lines().count() == 2);
    hosted.wait_until("the status", |hosted| {
        status(&hosted.github, &hosted.world, APP_HEAD).contains("waits until #1")
    });
    // No ref moves when a person takes a label off or spoils what is written in the text.
    hosted.github.edit(1, |pull| pull.labels.clear()).unwrap();
    hosted.wait_until("the label", |hosted| hosted.github.pull(1).unwrap().labels.contains("control"));
    hosted
        .github
        .edit(1, |pull| pull.body = pull.body.take().map(|body| body.replace("192.168.64.109", "?")))
        .unwrap();
    hosted.wait_until("the text", |hosted| {
        hosted.github.pull(1).unwrap().body.is_some_and(|body| body.contains("192.168.64.109"))
    });
    hosted.github.merge(1).unwrap();
    hosted.wait_until("the apps' turn", |hosted| {
        status(&hosted.github, &hosted.world, APP_HEAD).contains("what comes first is merged")
    });
    hosted.github.merge(2).unwrap();
    hosted.wait_until("the end", |hosted| {
        hosted.world.git(&["for-each-ref", "--format=%(refname)"]) == "refs/heads/main"
    });
    assert_snapshot!(pulls(&hosted.github), @r"
    #1 fleetwright/control → main merged [control]
    #2 fleetwright/app → main merged [app]
    ");
    assert_eq!(service.stop().0, Some(0));
    hosted.world.assert_sound();
}

#[test]
fn a_companys_proxy_and_its_own_authority_are_on_the_way_to_the_api_as_on_that_to_git() {
    let hosted = Hosted::new();
    hosted.edit();
    let hosts = [("git.example.com", hosted.git.address()), ("api.example.com", hosted.github.address())];
    let proxy = Proxy::start(&hosts).unwrap();
    let run = |roots: &str| {
        let mut command = Hosted::command();
        command
            .env("FLEETWRIGHT_TOKEN", github::TOKEN)
            .env("HTTPS_PROXY", proxy.url())
            .args(["run", "--once", "--forge", "github", "--api", "https://api.example.com"])
            .args(["--upstream", "https://git.example.com/acme/fleet", "--mirror", &hosted.place("mirror")]);
        std::fs::write(hosted.place("roots.pem"), roots).unwrap();
        let output = command.env("SSL_CERT_FILE", hosted.place("roots.pem")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&Proxy::start(&[]).unwrap().roots_pem());
    assert_ne!(code, Some(0), "another authority was trusted");
    assert!(said.contains("is not trusted") && said.contains("SSL_CERT_FILE"), "{said}");
    let (code, said) = run(&proxy.roots_pem());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(pulls(&hosted.github).lines().count(), 2);
    let asked = proxy.asked();
    for host in ["git.example.com:443", "api.example.com:443"] {
        assert!(asked.iter().any(|target| target == host), "{asked:?}");
    }
}

#[test]
fn a_delivery_that_did_not_arrive_is_asked_for_once_and_counted() {
    let hosted = Hosted::new();
    let delivery = |id: u64, status_code: u16| Delivery {
        id,
        guid: format!("guid-{id}"),
        at: github::START,
        is_redelivery: false,
        status_code,
        event: "push".into(),
        action: None,
    };
    hosted.github.state().last_id = 10;
    hosted.github.state().deliveries = vec![delivery(1, 202), delivery(2, 502)];
    hosted.github.state().tokens.get_mut(github::TOKEN).unwrap().writes.insert("repository_hooks".into());
    let (service, address) = hosted.listening(POLL, &["--webhook-id", &WEBHOOK.to_string()]);
    hosted.wait_until("the redelivery", |hosted| hosted.github.state().deliveries.len() == 3);
    hosted.wait_until("the count", |_| {
        metrics(address).contains("fleetwright_webhook_deliveries_redelivered_total 1\n")
    });
    service.kill();
    // What was asked for stands in GitHub's own list, so a restart asks for nothing twice.
    let (service, address) = hosted.listening(POLL, &["--webhook-id", &WEBHOOK.to_string()]);
    service.wait_for("run is complete");
    hosted.wait_until("another sweep", |hosted| {
        let state = hosted.github.state();
        state.exchanges.iter().filter(|one| one.path.ends_with("/hooks/7/deliveries")).count() == 2
    });
    assert!(metrics(address).contains("fleetwright_webhook_deliveries_redelivered_total 0\n"));
    assert_eq!(hosted.github.state().deliveries.len(), 3);
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_delivery_makes_a_run_although_no_ref_moved() {
    let hosted = Hosted::new();
    hosted.edit();
    let (service, address) = hosted.listening(NEVER, &[]);
    service.wait_for("run is complete");
    hosted.github.edit(1, |pull| pull.labels.clear()).unwrap();
    let body = r#"{"action":"unlabeled","repository":{"full_name":"acme/fleet"}}"#;
    assert_eq!(deliver(address, "pull_request", "1", "another secret", body), "401");
    assert_eq!(deliver(address, "pull_request", "1", SECRET, body), "202");
    hosted.wait_until("the label", |hosted| hosted.github.pull(1).unwrap().labels.contains("control"));
    let shown = metrics(address);
    for line in [
        r#"fleetwright_github_budget_left{of="pushes"} 4"#,
        r#"fleetwright_github_budget_left{of="writes_in_hour"} 49"#,
        "fleetwright_push_to_pull_request_seconds_count 1",
        "fleetwright_queue_age_seconds",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_token_that_is_revoked_is_reported_once_and_the_service_goes_on_when_it_works_again() {
    let hosted = Hosted::new();
    let service = hosted.start("mirror", POLL, &[]);
    service.wait_for("run is complete");
    let token = hosted.github.state().tokens.remove(github::TOKEN).unwrap();
    hosted.edit();
    let report = "failed to find the pull request of a commit on GitHub: the token is not accepted";
    service.wait_for(report);
    // More events come, and more runs fail in the same way.
    hosted.world.edit(CONTROL, "alertmanager: 192.168.64.103", "alertmanager: 192.168.64.107");
    service.wait_for(&format!("still failing: {report}"));
    assert_eq!(pulls(&hosted.github), "");
    hosted.github.state().tokens.insert(github::TOKEN.into(), token);
    hosted.wait_until("a pull request for each group", |hosted| pulls(&hosted.github).lines().count() == 2);
    let (code, rest) = service.stop();
    assert_eq!(code, Some(0));
    assert!(rest.iter().all(|line| line["level"] != "ERROR"), "{rest:#?}");
}

#[test]
fn a_flood_of_deliveries_true_forged_and_repeated_leads_to_few_runs_and_the_right_end() {
    const DELIVERIES: usize = 10_000;
    const SENDERS: usize = 4;
    let hosted = Hosted::new();
    let (service, address) = hosted.listening(NEVER, &[]);
    service.wait_for("run is complete");
    hosted.edit();
    let push = r#"{"ref":"refs/heads/main","repository":{"full_name":"acme/fleet"}}"#;
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                for number in 0..DELIVERIES / SENDERS {
                    // Every fourth is forged, every fourth repeats the one before.
                    let (secret, id, expected) = match number % 4 {
                        1 => ("another secret", number, "401"),
                        2 => (SECRET, number - 2, "202"),
                        _ => (SECRET, number, "202"),
                    };
                    let id = format!("{sender}-{id}");
                    assert_eq!(deliver(address, "push", &id, secret, push), expected);
                }
            });
        }
    });
    hosted.wait_until("a pull request for each group", |hosted| pulls(&hosted.github).lines().count() == 2);
    let shown = metrics(address);
    let counted = |line: &str| {
        let found =
            shown.lines().find_map(|found| found.strip_prefix(line)).map(|rest| rest.trim().parse::<usize>());
        found.unwrap_or(Ok(0)).unwrap()
    };
    let deliveries = |labels: &str| counted(&format!("fleetwright_webhook_deliveries_total{{{labels}}}"));
    let push = |verdict: &str| deliveries(&format!(r#"event="push",verdict="{verdict}""#));
    assert_eq!(deliveries(r#"event="unverified",verdict="unsigned""#), DELIVERIES / 4, "{shown}");
    assert_eq!(push("repeated"), DELIVERIES / 4, "{shown}");
    assert_eq!(push("queued") + push("coalesced"), DELIVERIES / 2, "{shown}");
    assert!(counted(r#"fleetwright_runs_total{outcome="done"}"#) <= 3, "{shown}");
    assert_eq!(service.stop().0, Some(0));
    assert_eq!(pulls(&hosted.github).lines().count(), 2);
}

#[test]
fn services_that_are_killed_at_any_moment_leave_nothing_that_the_next_one_does_not_put_right() {
    const ROUNDS: u64 = 8;
    let address =
        |round: u64| format!("prometheus: 192.168.64.{}", if round == 0 { 102 } else { 104 + round % 5 });
    let edit = |hosted: &Hosted, round: u64| hosted.world.edit(CONTROL, &address(round), &address(round + 1));
    let hosted = Hosted::new();
    let mut seed = 2026;
    for round in 0..ROUNDS {
        edit(&hosted, round);
        // The clock of the fake stands still, and so would its limits.
        hosted.github.advance(Duration::from_hours(1));
        let before = hosted.github.state().exchanges.len();
        let service = hosted.start("mirror", POLL, &[]);
        let exchanges = before + 1 + (draw(&mut seed) % 18) as usize;
        hosted.wait_until("the moment of the kill", |hosted| {
            hosted.github.state().exchanges.len() >= exchanges
        });
        service.kill();
        hosted.world.remove_locks();
    }
    hosted.github.advance(Duration::from_hours(1));
    let service = hosted.start("mirror", POLL, &[]);
    hosted.wait_until("the end", |hosted| {
        status(&hosted.github, &hosted.world, APP_HEAD).contains("waits until")
            && hosted
                .github
                .pull(1)
                .is_ok_and(|pull| pull.body.is_some_and(|body| body.contains(&address(ROUNDS)[12..])))
    });
    assert_eq!(service.stop().0, Some(0));
    assert_snapshot!(pulls(&hosted.github), @"
    #1 fleetwright/control → main open [control]
    #2 fleetwright/app → main open [app]
    ");
    hosted.world.assert_sound();
}
