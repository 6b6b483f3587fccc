//! Of two replicas one works: the holder of a Lease, until it stops, ends or is stopped from outside.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::cluster::Server;

const LEASE: (&str, &str, &str) = ("apis/coordination.k8s.io/v1/leases", "fleetwright", "main");

/// A replica of the service on a repository of its own, which only has to answer.
struct Replica {
    child: Child,
    log: std::path::PathBuf,
}

impl Replica {
    fn start(folder: &Path, name: &str, kubeconfig: &Path) -> Self {
        let (repository, log) = (folder.join("fleet.git"), folder.join(format!("{name}.log")));
        let child = Command::new(env!("CARGO_BIN_EXE_fleetwright"))
            .args(["run", "--base", "main", "--poll", "1", "--lease", "fleetwright/main", "--repo"])
            .arg(&repository)
            .env_clear()
            .env("HOSTNAME", name)
            .env("HOME", folder)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn holder(server: &Server) -> String {
    let lease = server.get(LEASE.0, LEASE.1, LEASE.2);
    lease.and_then(|lease| Some(lease["spec"]["holderIdentity"].as_str()?.to_owned())).unwrap_or_default()
}

fn wait_for(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < most, "{what} has not happened after {most:?}");
        thread::sleep(Duration::from_millis(50));
    }
    begun.elapsed()
}

#[test]
#[ignore = "takes a minute: it waits for the end of a Lease"]
fn the_next_replica_works_when_the_holder_is_stopped_and_the_holder_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut git = Command::new("git");
    git.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(folder.path().join("fleet.git"));
    assert!(git.status().unwrap().success());
    let server = Server::start().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let mut first = Replica::start(folder.path(), "first", &kubeconfig);
    let minute = Duration::from_mins(1);
    wait_for("the first replica holds the Lease", minute, || holder(&server).starts_with("first"));
    let second = Replica::start(folder.path(), "second", &kubeconfig);
    wait_for("the second replica waits", minute, || second.log().contains("waiting for the Lease"));

    // Stopped in the middle, as by a machine that is suspended.
    first.signal("-STOP");
    let took = wait_for("the second replica takes over", minute, || holder(&server).starts_with("second"));
    assert!(took >= Duration::from_secs(10), "before the first one's time was over: {took:?}");
    first.signal("-CONT");
    let mut code = None;
    wait_for("the first replica ends", minute, || {
        code = first.child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(7), "{}", first.log());
    assert!(holder(&server).starts_with("second"));

    // One that is asked to stop gives the Lease back: the next one need not wait for its end.
    let third = Replica::start(folder.path(), "third", &kubeconfig);
    wait_for("the third replica waits", minute, || third.log().contains("waiting for the Lease"));
    second.signal("-TERM");
    let took = wait_for("the third replica takes over", minute, || holder(&server).starts_with("third"));
    assert!(took < Duration::from_secs(10), "the Lease was not given back: {took:?}\n{}", second.log());
    assert_ne!(server.get(LEASE.0, LEASE.1, LEASE.2).unwrap()["spec"]["renewTime"], Value::Null);
}
