//! The program itself: as a service that is told of changes, and as single runs that are killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::program::write_script;
use testkit::smart_http::{Reply, Server, Trouble};

use crate::github_service::{exchange, metrics};
use crate::platform::{APP, APP_HEAD, BASE, CONTROL, CONTROL_HEAD, World, without_host};

/// Nothing that is waited for takes a tenth of this, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

fn fleetwright(repository: &Path) -> Command {
    let mut command = without_host(env!("CARGO_BIN_EXE_fleetwright"));
    command.arg("--repo").arg(repository);
    command
}

/// Clones the world's repository to a place beside it, for a person whom git knows.
fn clone(world: &World) -> PathBuf {
    let clone = world.beside("clone");
    world.git(&["clone", "-q", "--bare", ".", clone.to_str().unwrap()]);
    for setting in [["user.name", "Mia"], ["user.email", "mia@example.com"]] {
        let set = without_host("git").arg("-C").arg(&clone).arg("config").args(setting).status().unwrap();
        assert!(set.success());
    }
    clone
}

fn run_once(repository: &Path, arguments: &[&str]) -> Output {
    fleetwright(repository).args(["run", "--once"]).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The service as a child, and what it logs.
pub struct Service {
    child: Child,
    lines: Receiver<Value>,
}

impl Service {
    fn start(repository: &Path, arguments: &[&str]) -> Self {
        Self::of(fleetwright(repository), &[&["--poll", "1"], arguments].concat())
    }

    /// Starts the service by a command that has the options of all commands.
    pub fn of(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--log-format", "json", "-v", "run"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines() {
                let line = line.unwrap();
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Returns what is logged up to a line with this message, and that line.
    pub fn wait_for(&self, message: &str) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error} while waiting for {message:?} after {seen:#?}"),
            }
            if seen[seen.len() - 1]["message"] == message {
                return seen;
            }
        }
    }

    /// Waits for a complete run that moves something, then until the service has looked at what the run moved
    /// and found no news in it.
    fn wait_for_run(&self) -> Value {
        let mut seen = self.wait_for("run is complete");
        let run = seen.pop().unwrap();
        self.wait_for("nothing has moved since the last run");
        run
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the service where it stands.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the service to stop and returns its exit code and the rest of what it logs.
    pub fn stop(mut self) -> (Option<i32>, Vec<Value>) {
        let sent = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let code = self.child.wait().unwrap().code();
        (code, self.lines.iter().collect())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After a failed test the child may still be there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn revision(run: &Value) -> &str {
    run["span"]["revision"].as_str().unwrap()
}

#[test]
fn the_service_answers_each_push_with_one_run_and_its_own_moves_with_none() {
    let world = World::new();
    let service = Service::start(&world.path(), &[]);
    let run = service.wait_for("run is complete").pop().unwrap();
    assert_eq!((run["span"]["name"].as_str(), revision(&run)), (Some("run"), &*world.tip(BASE).to_string()));
    let mut pulls = Vec::new();
    for (old, new) in [("192.168.64.102", "192.168.64.109"), ("192.168.64.109", "192.168.64.102")] {
        let edited = world.edit(CONTROL, &format!("prometheus: {old}"), &format!("prometheus: {new}"));
        assert_eq!(revision(&service.wait_for_run()), edited.to_string());
        pulls.push(world.pulls());
    }
    assert_eq!(pulls[0], "#1 fleetwright/control open\n#2 fleetwright/app open");
    assert!(!pulls[1].contains("open"), "{}", pulls[1]);
    let (code, rest) = service.stop();
    assert_eq!(code, Some(0), "{rest:#?}");
    assert!(rest.iter().all(|line| line["message"] != "run is complete"), "{rest:#?}");
    assert_eq!(rest.last().unwrap()["message"], "stopped");
}

#[test]
fn a_log_line_tells_which_run_and_which_cluster_it_is_about() {
    let world = World::unpublished();
    let service = Service::start(&world.path(), &[]);
    let seen = service.wait_for("run is complete");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rendered: Vec<_> = seen
        .iter()
        .filter(|line| text(&line["message"]).starts_with("rendered "))
        .map(|line| (&line["spans"][0], &line["span"]))
        .map(|(run, cluster)| {
            [&run["name"], &run["revision"], &cluster["name"], &cluster["cluster.name"]].map(text)
        })
        .collect();
    rendered.sort();
    let revision = world.tip(BASE).to_string();
    let of = |cluster: &str| ["run", &revision, "cluster", cluster].map(str::to_owned);
    assert_eq!(rendered, [of("app"), of("control")]);
}

#[test]
fn the_service_waits_for_a_person_to_mend_the_inputs_and_then_goes_on() {
    let world = World::new();
    world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.90-192.168.64.101");
    let service = Service::start(&world.path(), &[]);
    let refs = world.refs();
    let failure = || {
        let end = Instant::now() + PATIENCE;
        loop {
            let line = service.lines.recv_timeout(end - Instant::now()).unwrap();
            if line["level"] == "ERROR" {
                return line["message"].as_str().unwrap().to_owned();
            }
        }
    };
    let told = failure();
    assert!(told.contains("environments/app.yaml:") && told.contains("problem"), "{told}");
    assert_eq!(world.refs(), refs);
    world.edit(APP, "192.168.64.90-192.168.64.101", "192.168.64.120-192.168.64.139");
    service.wait_for_run();
    assert_eq!(world.pulls(), "#1 fleetwright/app open");
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_base_that_does_not_render_is_reported_until_it_does() {
    let world = World::new();
    let service = Service::start(&world.path(), &["--listen", "127.0.0.1:0"]);
    let address = service.wait_for("listening").pop().unwrap()["address"].as_str().unwrap().parse().unwrap();
    let shown = || {
        let ready = exchange(address, b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let (head, body) = ready.split_once("\r\n\r\n").unwrap();
        let metrics = metrics(address);
        let gauge = metrics.lines().find(|line| line.starts_with("fleetwright_base_problems "));
        format!("{}\n{body}{}", head.lines().next().unwrap(), gauge.unwrap())
    };
    let becomes = |expected: &str| {
        let end = Instant::now() + PATIENCE;
        while shown() != expected {
            assert!(Instant::now() < end, "{} instead of {expected}", shown());
            thread::yield_now();
        }
    };
    let sound = "HTTP/1.1 200 OK\nready\nfleetwright_base_problems 0";
    becomes(sound);
    let broken = world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.90-192.168.64.101");
    becomes(&format!(
        "HTTP/1.1 200 OK\nready\nthe base branch does not render at {}: 1 problem\nfleetwright_base_problems 1",
        broken.short()
    ));
    world.edit(APP, "192.168.64.90-192.168.64.101", "192.168.64.120-192.168.64.139");
    becomes(sound);
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_base_that_moves_in_the_packed_refs_alone_is_noticed() {
    let world = World::new();
    world.git(&["update-ref", "refs/heads/next", BASE]);
    world.git(&["pack-refs", "--all", "--prune"]);
    let service = Service::start(&world.path(), &[]);
    service.wait_for("run is complete");
    let old = world.tip(BASE).to_string();
    let text = world.read(BASE, APP).replace("192.168.64.140", "192.168.64.139");
    let new = world.commit("next", "Edit it elsewhere", &[(APP, Some(&text))]).to_string();
    let packed = std::fs::read_to_string(world.path().join("packed-refs")).unwrap();
    let packed = packed.replace(&format!("{old} refs/heads/main"), &format!("{new} refs/heads/main"));
    std::fs::write(world.path().join("packed-refs.new"), packed).unwrap();
    std::fs::rename(world.path().join("packed-refs.new"), world.path().join("packed-refs")).unwrap();
    assert_eq!(revision(&service.wait_for_run()), new);
    assert_eq!(world.pulls(), "#1 fleetwright/app open");
}

#[test]
fn pull_requests_live_in_the_upstream_and_the_clone_keeps_no_branches_of_theirs() {
    let world = World::new();
    let clone = clone(&world);
    let url = format!("file://{}", world.path().display());
    let service = Service::start(&clone, &["--upstream", &url]);
    service.wait_for("run is complete");
    let edited = world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
    assert_eq!(revision(&service.wait_for_run()), edited.to_string());
    assert_eq!(world.pulls(), "#1 fleetwright/control open\n#2 fleetwright/app open");
    assert_eq!(service.stop().0, Some(0));
    let merged = fleetwright(&clone).args(["pulls", "--upstream", &url, "merge", "1"]).output().unwrap();
    assert!(merged.status.success(), "{}", said(&merged));
    assert_eq!(world.pulls(), "#1 fleetwright/control merged\n#2 fleetwright/app open");
    assert!(!clone.join("refs/heads/fleetwright").exists());
    world.merge_all();
    let output = run_once(&clone, &["--upstream", world.path().to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        told.lines().skip(1).collect::<Vec<_>>(),
        ["control  nothing to do", "app      nothing to do"]
    );
    world.assert_sound();
}

#[test]
fn an_upstream_that_refuses_is_an_error_with_the_words_of_its_hook_and_stays_as_it_was() {
    let world = World::new();
    let clone = clone(&world);
    world.edit(CONTROL, "prometheus: 192.168.64.102", "prometheus: 192.168.64.109");
    let hook = world.path().join("hooks/pre-receive");
    write_script(hook, "#!/bin/sh\necho 'the fleet is frozen until Monday'\nexit 1\n");
    let before = (world.refs(), world.objects());
    let output = run_once(&clone, &["--upstream", world.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("the fleet is frozen until Monday"), "{}", said(&output));
    assert_eq!((world.refs(), world.objects()), before);
}

#[test]
fn a_base_branch_that_only_the_clone_has_is_not_taken_for_the_upstreams() {
    let world = World::new();
    let clone = clone(&world);
    world.git(&["branch", "-m", "main", "trunk"]);
    let upstream = world.path().to_str().unwrap().to_owned();
    let output = run_once(&clone, &["--upstream", &upstream, "--base", "main"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("trunk"), "{}", said(&output));
    let output = run_once(&clone, &["--upstream", &upstream]);
    assert_eq!(output.status.code(), Some(0), "the upstream's own is followed: {}", said(&output));
}

#[test]
fn a_refused_plan_ends_a_single_run_with_problems_and_the_way_to_allow_it() {
    let world = World::new();
    world.commit(BASE, "Retire app", &[(APP, None)]);
    let output = run_once(&world.path(), &[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let told = said(&output);
    let digest = told.split("--allow-deletions ").nth(1).unwrap().split('`').next().unwrap().trim();
    let allowed = run_once(&world.path(), &["--allow-deletions", digest]);
    assert_eq!(allowed.status.code(), Some(0), "{}", said(&allowed));
}

/// A small generator, so that every kill falls elsewhere and a failure can be told by its seed.
pub fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn runs_that_are_killed_at_any_moment_leave_nothing_that_the_next_one_does_not_put_right() {
    const ROUNDS: u64 = 12;
    let world = World::new();
    let start = Instant::now();
    run_once(&world.path(), &[]);
    let whole_run = start.elapsed();
    let mut seed = 2026;
    let edit = |world: &World, round: u64| {
        let address = |round: u64| {
            format!("prometheus: 192.168.64.{}", 102 + if round == 0 { 0 } else { 2 + round % 5 })
        };
        world.edit(CONTROL, &address(round), &address(round + 1));
    };
    for round in 0..ROUNDS {
        edit(&world, round);
        let mut child =
            fleetwright(&world.path()).args(["run", "--once"]).stdout(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + whole_run.mul_f64(draw(&mut seed) as f64 % 1_000.0 / 800.0);
        while Instant::now() < end && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        world.remove_locks();
    }
    let output = run_once(&world.path(), &[]);
    assert!(output.status.success(), "{}", said(&output));
    world.assert_sound();
    let whole = World::new();
    (0..ROUNDS).for_each(|round| {
        edit(&whole, round);
    });
    whole.run();
    for head in [CONTROL_HEAD, APP_HEAD] {
        assert_eq!(world.tip(head), whole.tip(head));
        let open = world.pulls_open();
        assert_eq!(open.iter().filter(|pull| pull.proposal.head == head).count(), 1, "{}", world.pulls());
    }
}

#[test]
fn a_service_that_starts_before_its_git_server_waits_for_it_and_reports_that_once() {
    let world = World::new();
    let server = Server::plain(&world.beside("")).unwrap();
    for _ in 0..4 {
        server.trouble("info/refs", Trouble::Reply(Reply::status(503)));
    }
    let (url, mirror) = (server.url("fleet"), world.beside("mirror"));
    let arguments =
        ["--upstream", &url, "--mirror", mirror.to_str().unwrap(), "--forge", "local", "--poll", "1"];
    let service = Service::of(without_host(env!("CARGO_BIN_EXE_fleetwright")), &arguments);
    let seen = service.wait_for("run is complete");
    let warnings: Vec<_> = seen.iter().filter(|line| line["level"] == "WARN").collect();
    let by_the_run = |line: &&&Value| line["message"].as_str().unwrap().contains("trying again in");
    assert_eq!(warnings.iter().filter(by_the_run).count(), 1, "{warnings:#?}");
    assert!(warnings.len() <= 2, "the look at the refs reports it once, too: {warnings:#?}");
    assert!(seen.iter().any(|line| line["message"] == "the base branch is `main`, as HEAD is"), "{seen:#?}");
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn an_upstream_that_refuses_or_does_not_exist_ends_a_service_at_its_start() {
    let world = World::new();
    let server = Server::plain(&world.beside("")).unwrap();
    let end = |repository: &str| {
        let output = without_host(env!("CARGO_BIN_EXE_fleetwright"))
            .args(["run", "--upstream", &server.url(repository), "--forge", "local", "--mirror"])
            .arg(world.beside(&format!("mirror-of-{repository}")))
            .output()
            .unwrap();
        (output.status.code(), said(&output))
    };
    let (code, told) = end("elsewhere");
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("does not exist, or it is not public"), "{told}");
    server.require("x-access-token", "a token that nobody has");
    let (code, told) = end("fleet");
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("asks for a credential"), "{told}");
}
