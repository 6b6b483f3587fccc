//! Replicas of the service that are killed, suspended and stopped in the middle of runs, one hundred times: the Lease is on
//! a real API server, git behind a web server, and GitHub the test kit's.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::cluster;
use testkit::real::ApiServer;

use crate::github::pulls;
use crate::github_service::{Hosted, NEVER, SECRET, deliver, exchange};
use crate::platform::{APP_HEAD, BASE, CONTROL_HEAD};
use crate::service::draw;

const FAILOVERS: u64 = 100;
const REPLICAS: usize = 3;
/// Where the account of the add-on keeps its Lease.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/fleetwright/leases/fleetwright";
const LEASE_SECONDS: u64 = 3;
/// Nothing that is waited for takes a tenth of this, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(20);
const FLEET: &str = "environments/_fleet.yaml";

/// What becomes of a replica that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Its machine is gone.
    Killed,
    /// Its machine stands still, until after another one has taken over.
    Suspended,
    /// It is asked to stop, as before an update.
    Stopped,
}

struct Replicas<'h> {
    hosted: &'h Hosted,
    api: ApiServer,
    running: Vec<Child>,
    /// The mirrors that no replica works in.
    mirrors: VecDeque<String>,
    /// Those of the replicas that run, by their processes.
    taken: BTreeMap<u32, String>,
    /// How many gave up their Lease because it was not renewed in time on this machine.
    starved: usize,
}

impl<'h> Replicas<'h> {
    fn start(hosted: &'h Hosted) -> Self {
        let api = ApiServer::start("control").unwrap();
        grant(&api, &hosted.place("kubeconfig"));
        let mirrors = (0..=REPLICAS).map(|number| hosted.place(&format!("mirror-{number}"))).collect();
        let (running, taken) = (Vec::new(), BTreeMap::new());
        let mut replicas = Self { hosted, api, running, mirrors, taken, starved: 0 };
        (0..REPLICAS).for_each(|_| replicas.add());
        replicas
    }

    /// Starts one more, with the mirror of one that is gone.
    fn add(&mut self) {
        let log = self.hosted.place("replicas.log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let (mirror, seconds) = (self.mirrors.pop_front().unwrap(), LEASE_SECONDS.to_string());
        let mut command = self.hosted.service();
        command
            .env("KUBECONFIG", self.hosted.place("kubeconfig"))
            .args(["run", "--poll", "1", "--mirror", &mirror])
            .args(["--lease", "fleetwright/fleetwright", "--lease-seconds", &seconds])
            .args(self.hosted.arguments())
            .stdout(Stdio::null())
            .stderr(log);
        self.running.push(command.spawn().unwrap());
        self.taken.extend(self.running.last().map(|child| (child.id(), mirror)));
    }

    /// Starts another one in place of one that has ended.
    fn replace(&mut self, process: u32) {
        self.mirrors.extend(self.taken.remove(&process));
        self.add();
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.hosted.place("replicas.log")).unwrap();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Returns which one holds the Lease.
    fn holder(&self) -> Option<usize> {
        let lease = self.api.client().get(LEASE).ok()?;
        let (_, process) = lease["spec"]["holderIdentity"].as_str()?.rsplit_once('-')?;
        self.running.iter().position(|child| child.id().to_string() == process)
    }

    /// Waits until one works that is not this process, and returns which.
    fn leader(&mut self, other_than: Option<u32>) -> usize {
        let begun = Instant::now();
        loop {
            self.replace_starved(other_than);
            match self.holder().filter(|number| Some(self.running[*number].id()) != other_than) {
                Some(number) => return number,
                None => assert!(begun.elapsed() < PATIENCE, "no replica took over\n{}", self.log()),
            }
            sleep(PAUSE);
        }
    }

    /// A replica that could not renew its Lease in time ends with the code that says so, and Kubernetes starts it again.
    fn replace_starved(&mut self, suspended: Option<u32>) {
        for number in 0..self.running.len() {
            let child = &mut self.running[number];
            let process = child.id();
            if Some(process) == suspended {
                continue;
            }
            let Some(status) = child.try_wait().unwrap() else { continue };
            assert_eq!(status.code(), Some(7), "a replica ended by itself\n{}", self.log());
            self.starved += 1;
            drop(self.running.swap_remove(number));
            return self.replace(process);
        }
    }

    /// Lets something happen to a replica, and returns how long no other one worked.
    fn fail(&mut self, number: usize, fault: Fault) -> Duration {
        let (process, begun) = (self.running[number].id(), Instant::now());
        if fault == Fault::Suspended {
            signal(process, "-STOP");
            self.leader(Some(process));
        }
        let mut child = self.running.remove(self.running.iter().position(|it| it.id() == process).unwrap());
        signal(process, if fault == Fault::Killed { "-KILL" } else { "-TERM" });
        if fault == Fault::Suspended {
            signal(process, "-CONT");
        }
        let took = begun.elapsed();
        self.expect_end(&mut child, fault);
        self.replace(process);
        if fault == Fault::Suspended {
            return took;
        }
        self.leader(None);
        begun.elapsed()
    }

    fn expect_end(&self, child: &mut Child, fault: Fault) {
        let (begun, mut ended) = (Instant::now(), None);
        while ended.is_none() {
            assert!(begun.elapsed() < PATIENCE, "a replica did not end\n{}", self.log());
            ended = child.try_wait().unwrap();
            sleep(PAUSE);
        }
        let expected: &[_] = match fault {
            Fault::Killed => &[None],
            Fault::Suspended => &[Some(7)],
            // It may have lost its Lease at the same moment.
            Fault::Stopped => &[Some(0), Some(7)],
        };
        let code = ended.unwrap().code();
        assert!(expected.contains(&code), "{fault:?}: {code:?}\n{}", self.log());
    }
}

impl Drop for Replicas<'_> {
    fn drop(&mut self) {
        for child in &mut self.running {
            // After a failed test they may still be there.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// Makes the account of the add-on, with the rights that it is rendered with and no others, and a kubeconfig for it.
fn grant(api: &ApiServer, kubeconfig: &str) {
    // Its own, and that of what it reads of Argo CD.
    for name in ["fleetwright", "argocd"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.client().apply(&namespace, "").unwrap();
    }
    let template = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../templates/addons/fleetwright/manifests/service.yaml.hbs");
    let template = fs::read_to_string(template).unwrap();
    let documents = template.split("\n---\n").filter(|document| document.contains("\nkind: Role"));
    for document in documents {
        let document = document.replace("{{addon.name}}", "fleetwright");
        let document = document.replace("{{addon.namespace}}", "fleetwright");
        api.client().apply(&serde_yaml::from_str::<Value>(&document).unwrap(), "").unwrap();
    }
    let mut config: Value = serde_json::from_reader(File::open(api.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"]["as"] = "system:serviceaccount:fleetwright:fleetwright".into();
    fs::write(PathBuf::from(kubeconfig), config.to_string()).unwrap();
}

/// Pushes an edit that concerns both groups, and one that no other edit takes back.
fn push(hosted: &Hosted, round: u64) {
    let class = |round: u64| if round == 0 { "local-path".to_owned() } else { format!("class-{round}") };
    let line = |round: u64| format!("storageClass: {}\n", class(round));
    hosted.world.edit(FLEET, &line(round - 1), &line(round));
    // The clock of the test kit stands still, and so would GitHub's limits.
    hosted.github.advance(Duration::from_hours(1));
}

/// Waits for a moment in the middle of the run that answers a push, if there is one.
fn wait_for_moment(hosted: &Hosted, seed: &mut u64) {
    let so_far = || hosted.github.state().exchanges.len();
    let (exchanges, end) = (so_far() + (draw(seed) % 18) as usize, Instant::now() + Duration::from_secs(3));
    while so_far() < exchanges && Instant::now() < end {
        sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "takes minutes: a hundred fail-overs, most of which wait for the end of a Lease"]
fn a_hundred_failovers_lose_no_push_and_make_nothing_twice() {
    let hosted = Hosted::new();
    let mut replicas = Replicas::start(&hosted);
    let (mut seed, mut took) = (2026, BTreeMap::<Fault, Vec<Duration>>::new());
    for round in 1..=FAILOVERS {
        let leader = replicas.leader(None);
        push(&hosted, round);
        if draw(&mut seed).is_multiple_of(4)
            && let Some(open) = hosted.github.pulls().unwrap().iter().find(|pull| pull.is_open())
        {
            // One that was rendered from an older base may be in conflict.
            let _ = hosted.github.merge(open.number);
        }
        wait_for_moment(&hosted, &mut seed);
        let fault = [Fault::Killed, Fault::Suspended, Fault::Stopped][(draw(&mut seed) % 3) as usize];
        let leader = replicas.holder().unwrap_or(leader);
        took.entry(fault).or_default().push(replicas.fail(leader, fault));
    }
    for (fault, took) in &took {
        let longest = took.iter().max().unwrap();
        println!("{fault:?}: {} times, the longest time without a leader {longest:.1?}", took.len());
    }
    let log = fs::read_to_string(hosted.place("replicas.log")).unwrap();
    let completed = log.lines().filter(|line| line.contains("completed an interrupted step")).count();
    println!("starved: {}, interrupted steps that were completed: {completed}", replicas.starved);
    let shortest = took[&Fault::Stopped].iter().min().unwrap();
    assert!(*shortest < Duration::from_secs(LEASE_SECONDS), "the Lease is not given back: {shortest:?}");

    // Each push is there, and the last one is proposed.
    let rendered = [
        (CONTROL_HEAD, "argocd-apps/control/kube-prometheus-stack/values.yaml"),
        (APP_HEAD, "argocd-apps/app/prometheus-agent/values.yaml"),
    ];
    let is_proposed = |hosted: &Hosted| {
        let (branches, last) = (hosted.world.branches(), format!("class-{FAILOVERS}\n"));
        rendered
            .iter()
            .all(|(head, file)| branches.contains(head) && hosted.world.read(head, file).contains(&last))
    };
    hosted.wait_until("the last push", is_proposed);
    for child in &mut replicas.running {
        signal(child.id(), "-TERM");
    }
    for mut child in std::mem::take(&mut replicas.running) {
        replicas.expect_end(&mut child, Fault::Stopped);
    }
    let pushed = hosted.world.git(&["log", "--format=%s", "--author=Ann", BASE]);
    assert_eq!(pushed.lines().filter(|title| title.starts_with("Edit ")).count() as u64, FAILOVERS);

    // Nothing was made twice, and another run finds nothing to do but what no one told it.
    let (shown, branches) = (pulls(&hosted.github), hosted.world.branches());
    for head in [CONTROL_HEAD, APP_HEAD] {
        let of_head: Vec<_> = shown.lines().filter(|line| line.contains(&format!(" {head} "))).collect();
        assert_eq!(of_head.iter().filter(|line| line.contains(" open ")).count(), 1, "{shown}");
        assert!(of_head.iter().all(|line| !line.contains(" closed ")), "{shown}");
    }
    let comments = &hosted.github.state().comments.clone();
    for comment in comments {
        let same = comments.iter().filter(|other| (other.pull, &other.body) == (comment.pull, &comment.body));
        assert_eq!(same.count(), 1, "{comment:?}");
    }
    let once = |expected: &str| {
        let output = hosted
            .service()
            .args(["run", "--once", "--mirror", &hosted.place("mirror-of-the-last")])
            .args(hosted.arguments())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told.lines().filter(|line| line.contains(expected)).count(), 2, "{told}");
    };
    once("is current");
    assert_eq!((pulls(&hosted.github), hosted.world.branches()), (shown, branches));
    for pull in hosted.github.pulls().unwrap().iter().filter(|pull| pull.is_open()) {
        hosted.github.merge(pull.number).unwrap();
    }
    once("nothing to do");
    hosted.world.assert_sound();
}

#[test]
fn a_delivery_that_reaches_a_replica_that_waits_leads_to_a_run_of_the_one_that_works() {
    let hosted = Hosted::new();
    push(&hosted, 1);
    let server = cluster::Server::start().unwrap();
    fs::write(hosted.place("kubeconfig"), server.kubeconfig()).unwrap();
    let start = |name: &str| {
        let mut command = hosted.service();
        command.env("HOSTNAME", name).env("KUBECONFIG", hosted.place("kubeconfig"));
        hosted.listening_by(command, name, NEVER, &["--lease", "fleetwright/main", "--lease-seconds", "3"])
    };
    let shown = |address, path: &str| {
        exchange(address, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
    };
    let (works, working) = start("works");
    works.wait_for("run is complete");
    let (waits, waiting) = start("waits");
    waits.wait_for("waiting for the Lease");
    hosted.wait_until("both are ready", |_| {
        [working, waiting].iter().all(|address| shown(*address, "/readyz").ends_with("\r\n\r\nready\n"))
    });
    for (address, expected) in [(working, "\nfleetwright_leader 1\n"), (waiting, "\nfleetwright_leader 0\n")]
    {
        assert!(shown(address, "/metrics").contains(expected), "{expected}");
    }
    // What no ref shows, and no look finds before the next poll.
    hosted.github.edit(1, |pull| pull.labels.clear()).unwrap();
    let body = r#"{"action":"unlabeled","repository":{"full_name":"acme/fleet"}}"#;
    assert_eq!(deliver(waiting, "pull_request", "1", SECRET, body), "202");
    hosted.wait_until("the label", |hosted| hosted.github.pull(1).unwrap().labels.contains("control"));
    assert_eq!(works.stop().0, Some(0));
    waits.wait_for("run is complete");
    assert!(shown(waiting, "/metrics").contains("\nfleetwright_leader 1\n"));
    assert_eq!(waits.stop().0, Some(0));
}
