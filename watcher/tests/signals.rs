//! Signals reach a whole process, so each story runs in a child: this program again, as the service.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use fleetwright::events::dispatch::once;
use fleetwright::events::{Cancel, Outcome, signals};

/// Set in the child, which then is the service and not a test.
const CHILD: &str = "FLEETWRIGHT_TEST_CHILD";

/// The child's part: a run that ends at its step boundary, or that has none.
#[test]
fn child() {
    let Ok(run) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cancel = Cancel::default();
        signals::stop_on_signals(cancel.clone()).unwrap();
        let outcome = once(move |cancel| work(&run, cancel), cancel).await;
        assert_eq!(outcome, Ok(Outcome::Abandoned));
    });
}

fn work(run: &str, cancel: &Cancel) -> Outcome {
    say("begun");
    while !cancel.is_requested() {
        std::thread::yield_now();
    }
    say("asked to stop");
    match run {
        "patient" => Outcome::Abandoned,
        _ => loop {
            std::thread::park();
        },
    }
}

/// Prints a line of its own; the test harness has begun one already.
fn say(line: &str) {
    println!("\n{line}");
}

struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Service {
    fn start(run: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, run)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn wait_for(&mut self, line: &str) {
        let found = self.output.by_ref().lines().any(|read| read.unwrap() == line);
        assert!(found, "the service ended without saying {line:?}");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After a failed test the child may still be there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_signal_lets_the_run_end_at_a_step_boundary() {
    for signal in ["INT", "TERM"] {
        let mut service = Service::start("patient");
        service.wait_for("begun");
        service.signal(signal);
        service.wait_for("asked to stop");
        assert_eq!(service.exit_code(), Some(0), "after {signal}");
    }
}

#[test]
fn the_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut service = Service::start("endless");
        service.wait_for("begun");
        service.signal("TERM");
        service.wait_for("asked to stop");
        service.signal(signal);
        assert_eq!(service.exit_code(), Some(code), "after {signal}");
    }
}
