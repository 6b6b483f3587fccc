//! The worker as a process: what the kernel says of its limits, and how long it lives.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use crate::github_service::{exchange, metrics};
use crate::platform::{APP, World, without_host};
use crate::service::{PATIENCE, Service};

#[test]
fn a_worker_is_confined_replaced_when_it_is_killed_and_ends_with_the_service() {
    let world = World::new();
    let mut command = without_host(env!("CARGO_BIN_EXE_fleetwright"));
    command.arg("--repo").arg(world.path()).env("FLEETWRIGHT_TOKEN", "a token of the test");
    let service = Service::of(command, &["--poll", "1", "--listen", "127.0.0.1:0"]);
    let address = service.wait_for("listening").pop().unwrap()["address"].as_str().unwrap().parse().unwrap();
    service.wait_for("run is complete");
    let [worker] = children(service.id())[..] else { panic!("{:?}", children(service.id())) };
    for process in [service.id(), worker] {
        assert_eq!(limit(process, "Max core file size"), "0");
    }
    for bounded in ["Max data size", "Max cpu time", "Max file size", "Max open files"] {
        assert_ne!(limit(worker, bounded), "unlimited", "{bounded}");
    }
    // Only root may read it of a process that leaves no core.
    let environment = fs::read(format!("/proc/{worker}/environ")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&environment).contains("FLEETWRIGHT"));

    // Whatever becomes of a rendering, here one that never comes to an end, the service answers.
    signal("STOP", worker);
    world.edit(APP, "192.168.64.120-192.168.64.140", "192.168.64.120-192.168.64.138");
    wait_until("a run", || !metrics(address).contains("fleetwright_queue_age_seconds 0.0\n"));
    assert_healthy(address);
    signal("KILL", worker);
    service.wait_for("opened pull request #1 for `app`");
    let counted = "fleetwright_worker_deaths_total{worker=\"base\",cause=\"killed\"} 1";
    wait_until("the count", || metrics(address).contains(counted));
    assert_healthy(address);

    let [worker] = children(service.id())[..] else { panic!("{:?}", children(service.id())) };
    service.kill();
    // One that has ended and is not yet waited for has no command line any more.
    let has_ended = || fs::read(format!("/proc/{worker}/cmdline")).unwrap_or_default().is_empty();
    wait_until("the end of the worker", has_ended);
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}

fn assert_healthy(address: SocketAddr) {
    let health = exchange(address, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

/// Returns the numbers of the child processes.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.lines().any(|line| line.split_whitespace().eq(["PPid:", &parent.to_string()]))
    };
    numbers.filter(is_child).collect()
}

fn limit(process: u32, name: &str) -> String {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::yield_now();
    }
}
