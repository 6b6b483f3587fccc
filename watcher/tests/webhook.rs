//! Deliveries over real connections: what GitHub sends, what strangers try, and what a flood costs.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

use std::io::{BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::{Duration, Instant};

use fleetwright::events::dispatch::serve;
use fleetwright::events::site::Site;
use fleetwright::events::webhook::{BodyLimits, MAX_BODY_BYTES, Secrets, Webhook};
use fleetwright::events::{Cancel, Event, Events, Monitor, Outcome, Queue, Settings};
use fleetwright::server::{Limits, Server};
use insta::assert_snapshot;
use ring::hmac;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const SECRET: &str = "a secret of the test";
const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"full_name":"acme/fleet"}}"#;

/// Set in a child, which then is a server and not a test.
const CHILD: &str = "FLEETWRIGHT_TEST_CHILD";

/// No test may hang: a client gives up after this.
const PATIENCE: Duration = Duration::from_mins(1);

type Hints = mpsc::Receiver<Event>;

/// The server of a service on loopback, without the service behind it.
struct Front {
    runtime: Runtime,
    address: SocketAddr,
    monitor: Monitor,
    sender: Events,
    hints: Hints,
    cancel: Cancel,
    server: JoinHandle<()>,
}

impl Front {
    fn start() -> Self {
        Self::with("acme/fleet", Limits::default(), BodyLimits::default())
    }

    fn with(repository: &str, limits: Limits, body_limits: BodyLimits) -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, hints) = mpsc::channel(1_024);
        let (monitor, cancel) = (Monitor::default(), Cancel::default());
        let secrets = Secrets::from_text(&SECRET.into()).unwrap();
        let repository = repository.parse().unwrap();
        let webhook = Webhook::new(secrets, repository, sender.clone(), monitor.metrics.clone(), body_limits);
        let site = Site::new(monitor.clone(), &sender, Box::new(|_| {})).with_webhook(webhook);
        let server = runtime.block_on(Server::bind("127.0.0.1:0".parse().unwrap(), limits)).unwrap();
        let address = server.address();
        let (stop, metrics) = (cancel.clone(), monitor.metrics.clone());
        let serve = async move { server.serve(site.into_router(), &metrics, stop.requested()).await };
        let server = runtime.spawn(serve);
        Self { runtime, address, monitor, sender, hints, cancel, server }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes over a connection of their own and returns everything that comes back.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        answer(stream)
    }

    fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
    }

    fn push(&self, id: &str) -> String {
        self.exchange(&delivery("push", id, SECRET, PUSH.as_bytes()))
    }

    fn hinted(&mut self) -> usize {
        std::iter::from_fn(|| self.hints.try_recv().ok()).count()
    }

    /// Returns the lines that count deliveries, in alphabetical order.
    fn counted(&self) -> String {
        let text = self.monitor.metrics.encode().unwrap();
        let prefix = "fleetwright_webhook_deliveries_total";
        let mut lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(prefix)).collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // A server that closes before it has read everything resets the connection.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("no answer: {error}"),
        _ => answer,
    }
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("none")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The head of a delivery, up to and without the line with the length of the body.
fn head(event: &str, id: &str, signature: &str) -> String {
    format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\nuser-agent: GitHub-Hookshot/044aadd\r\naccept: */*\r\n\
         content-type: application/json\r\nx-github-event: {event}\r\nx-github-delivery: {id}\r\n\
         x-github-hook-id: 1\r\nx-hub-signature-256: {signature}\r\n"
    )
}

fn delivery(event: &str, id: &str, secret: &str, body: &[u8]) -> Vec<u8> {
    let head = head(event, id, &sign(secret, body));
    let mut request = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn a_quiet_front_hints_at_nothing() {
    let mut front = Front::start();
    assert_eq!(front.hinted(), 0);
    assert_eq!(front.counted(), "");
}

#[test]
fn a_push_is_answered_and_becomes_a_hint_and_its_repetition_does_not() {
    let mut front = Front::start();
    let (first, second) = (front.push("1"), front.push("1"));
    assert_eq!((status(&first), body(&first)), ("202", "queued a look\n"));
    assert_eq!((status(&second), body(&second)), ("202", "this delivery was received before\n"));
    assert_eq!(front.hinted(), 1);
}

#[test]
fn a_stranger_gets_a_status_and_nothing_else() {
    let mut front = Front::start();
    let unsigned = String::from_utf8(delivery("push", "1", SECRET, PUSH.as_bytes())).unwrap();
    let missing = unsigned.replace("x-hub-signature-256", "x-hub-signature");
    let table = [
        ("missing", missing.into_bytes()),
        ("wrong", delivery("push", "1", "another secret", PUSH.as_bytes())),
        ("of another body", unsigned.replace("heads/main", "heads/evil").into_bytes()),
        ("of no secret", delivery("push", "1", "", PUSH.as_bytes())),
    ];
    for (name, request) in table {
        let answer = front.exchange(&request);
        assert_eq!((status(&answer), body(&answer)), ("401", "Unauthorized\n"), "signature {name}");
        assert!(!answer.to_lowercase().contains("\r\nserver:"), "{answer}");
    }
    assert_eq!(front.hinted(), 0);
    assert_eq!(front.counted(), r#"{event="unverified",verdict="unsigned"} 4"#);
}

#[test]
fn what_github_sends_by_mistake_is_refused_with_the_reason() {
    let front = Front::start();
    let form = String::from_utf8(delivery("push", "1", SECRET, b"payload=%7B%7D")).unwrap();
    let form = form.replace("application/json", "application/x-www-form-urlencoded");
    let table = [
        (form.into_bytes(), "415", "the webhook's content type must be `application/json`\n"),
        (delivery("push", "2", SECRET, b"{"), "400", "the body is not the payload of an event\n"),
        (
            delivery("push", "3", SECRET, br#"{"repository":{"full_name":"acme/site"}}"#),
            "202",
            "this is about another repository\n",
        ),
        (delivery("a_new_event", "4", SECRET, b"{}"), "202", "nothing that is looked at can have changed\n"),
    ];
    for (request, expected, reason) in table {
        let answer = front.exchange(&request);
        assert_eq!((status(&answer), body(&answer)), (expected, reason));
    }
    assert_snapshot!(front.counted(), @r#"
    {event="other",verdict="irrelevant"} 1
    {event="push",verdict="malformed"} 1
    {event="push",verdict="not_json"} 1
    {event="push",verdict="other_repository"} 1
    "#);
}

#[test]
fn the_largest_payload_is_accepted_and_one_byte_more_is_not() {
    let mut front = Front::start();
    let filler = "x".repeat(MAX_BODY_BYTES - PUSH.len() - r#","x":"""#.len());
    let largest = PUSH.replacen('{', &format!(r#"{{"x":"{filler}","#), 1);
    assert_eq!(largest.len(), MAX_BODY_BYTES);
    assert_eq!(status(&front.exchange(&delivery("push", "1", SECRET, largest.as_bytes()))), "202");

    let signature = sign(SECRET, b"");
    let announced =
        format!("{}content-length: {}\r\n\r\n", head("push", "2", &signature), MAX_BODY_BYTES + 1);
    assert_eq!(status(&front.exchange(announced.as_bytes())), "413");
    assert_eq!(front.hinted(), 1);
}

#[test]
fn a_body_that_does_not_say_how_long_it_is_is_cut_off_at_the_limit() {
    let front = Front::with(
        "acme/fleet",
        Limits::default(),
        BodyLimits { body_bytes: 1_000, ..BodyLimits::default() },
    );
    let chunked = |bytes: usize| {
        let head = head("push", "1", &sign(SECRET, b""));
        let chunk = "x".repeat(bytes);
        front.exchange(
            format!("{head}transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{chunk}\r\n0\r\n\r\n").as_bytes(),
        )
    };
    assert_eq!(status(&chunked(1_000)), "401");
    assert_eq!(status(&chunked(1_001)), "413");
}

#[test]
fn bodies_on_their_way_share_a_bounded_memory_and_give_it_back() {
    let front = Front::with(
        "acme/fleet",
        Limits::default(),
        BodyLimits { buffered_bytes: 100, ..BodyLimits::default() },
    );
    let (first, second) = PUSH.split_at(10);
    let mut slow = front.connect();
    let signature = sign(SECRET, PUSH.as_bytes());
    let head = format!("{}transfer-encoding: chunked\r\n\r\n", head("push", "1", &signature));
    let portions = format!("a\r\n{first}\r\n{:x}\r\n{second}\r\n", second.len());
    slow.write_all(format!("{head}{portions}").as_bytes()).unwrap();
    let all_of_it = format!("fleetwright_webhook_buffered_bytes {}\n", PUSH.len());
    let since = Instant::now();
    while !front.get("/metrics").contains(&all_of_it) {
        assert!(since.elapsed() < PATIENCE, "the body did not arrive");
    }
    assert_eq!(status(&front.push("2")), "503");

    slow.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(status(&answer(slow)), "202");
    assert_eq!(status(&front.push("last")), "202");
}

#[test]
fn slow_clients_are_cut_off_when_their_time_is_over() {
    let connection_time = Duration::from_millis(500);
    let front = Front::with("acme/fleet", Limits { connections: 8, connection_time }, BodyLimits::default());
    let whole = delivery("push", "1", SECRET, PUSH.as_bytes());
    let slow: Vec<TcpStream> = (0..8)
        .map(|number| {
            let mut stream = front.connect();
            // Nothing at all, half a line, half a head, half a body.
            let sent = [0, 10, 200, whole.len() - 10][number % 4];
            stream.write_all(&whole[..sent]).unwrap();
            stream
        })
        .collect();
    for stream in slow {
        assert_eq!(answer(stream), "");
    }
    assert_eq!(status(&front.push("honest")), "202");
    // A connection is counted just after its end is seen here.
    let since = Instant::now();
    let all_cut = "fleetwright_http_connections_cut_total{reason=\"slow\"} 8\n";
    while !front.monitor.metrics.encode().unwrap().contains(all_cut) {
        assert!(since.elapsed() < PATIENCE, "{}", front.monitor.metrics.encode().unwrap());
    }
}

#[test]
fn slow_clients_however_many_keep_no_probe_and_no_delivery_waiting() {
    // Their time never ends, so only a newcomer's need can end them.
    let connection_time = Duration::from_hours(1);
    let front =
        Front::with("acme/fleet", Limits { connection_time, ..Limits::default() }, BodyLimits::default());
    let whole = delivery("push", "1", SECRET, PUSH.as_bytes());
    let slow = testkit::hostile::floods::slow_connections(front.address, &whole, 600).unwrap();
    for path in ["/healthz", "/metrics"] {
        assert_eq!(status(&front.get(path)), "200", "{path}");
    }
    assert_eq!(status(&front.get("/readyz")), "503");
    assert_eq!(status(&front.push("honest")), "202");
    let metrics = front.get("/metrics");
    let displaced = "fleetwright_http_connections_cut_total{reason=\"displaced\"} ";
    let displaced: usize =
        metrics.lines().find_map(|line| line.strip_prefix(displaced)).unwrap().parse().unwrap();
    assert!((300..700).contains(&displaced), "{metrics}");
    drop(slow);
}

/// The child of the next test: a server that may open few files.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let front = Front::start();
    println!("\naddress {}", front.address);
    // Until the parent closes it.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_server_without_file_descriptors_closes_its_oldest_connections_and_answers() {
    let mut child = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("address ")?.parse().ok());
    let address: SocketAddr = address.expect("the child prints its address");
    let whole = delivery("push", "1", SECRET, PUSH.as_bytes());
    let slow = testkit::hostile::floods::slow_connections(address, &whole, 80).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let metrics = answer(stream);
    assert_eq!(status(&metrics), "200");
    let failures = "fleetwright_http_accept_failures_total ";
    let failures: usize =
        metrics.lines().find_map(|line| line.strip_prefix(failures)).unwrap().parse().unwrap();
    assert!(failures > 0, "{metrics}");
    drop(slow);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_head_without_end_is_refused() {
    let front = Front::start();
    let long = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(status(&front.exchange(long.as_bytes())), "431");
    assert_eq!(status(&front.exchange(many.as_bytes())), "431");
}

#[test]
fn only_known_routes_and_methods_are_answered() {
    let front = Front::start();
    let webhook = front.get("/webhook");
    assert_eq!(status(&webhook), "405");
    assert!(webhook.to_lowercase().contains("\r\nallow: post\r\n"), "{webhook}");
    assert_eq!(status(&front.get("/webhook/")), "404");
    assert_eq!(status(&front.get("/")), "404");
    let request = "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(status(&front.exchange(request.as_bytes())), "405");
}

#[test]
fn the_service_is_alive_at_once_and_ready_after_its_first_success() {
    let front = Front::start();
    assert_eq!(status(&front.get("/healthz")), "200");
    assert_eq!(status(&front.get("/readyz")), "503");
    front.monitor.observe(|| Outcome::Abandoned);
    assert_eq!(status(&front.get("/readyz")), "503");
    front.monitor.observe(|| Outcome::Done);
    assert_eq!(status(&front.get("/readyz")), "200");
}

#[test]
fn a_base_that_does_not_render_is_reported_and_keeps_no_delivery_away() {
    let front = Front::start();
    front.monitor.set_base("3f7e2c1", 1);
    assert_eq!(status(&front.get("/readyz")), "503", "the service has shown nothing yet");
    front.monitor.observe(|| Outcome::Done);
    let broken = front.get("/readyz");
    assert_eq!(status(&broken), "200");
    assert!(
        broken.ends_with("\r\n\r\nready\nthe base branch does not render at 3f7e2c1: 1 problem\n"),
        "{broken}"
    );
    assert!(front.get("/metrics").contains("\nfleetwright_base_problems 1\n"));
    front.monitor.set_base("9c1f0e2", 0);
    assert!(front.get("/readyz").ends_with("\r\n\r\nready\n"));
    assert!(front.get("/metrics").contains("\nfleetwright_base_problems 0\n"));
}

#[test]
fn metrics_show_what_waits_and_what_was_done() {
    let front = Front::start();
    front.push("1");
    front.monitor.observe(|| Outcome::Done);
    let metrics = front.get("/metrics");
    assert!(metrics.contains("application/openmetrics-text"), "{metrics}");
    for line in [
        "fleetwright_pending_hints 1\n",
        "fleetwright_runs_total{outcome=\"done\"} 1\n",
        "fleetwright_run_duration_seconds_count 1\n",
        "fleetwright_webhook_deliveries_total{event=\"push\",verdict=\"queued\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line:?} is not in\n{metrics}");
    }
}

#[test]
fn only_a_look_that_succeeds_is_noted() {
    let front = Front::start();
    let has_looked = || !front.get("/metrics").contains("fleetwright_last_look_timestamp_seconds 0.0\n");
    assert_eq!(front.monitor.observe_look(Err::<(), _>("no answer")), Err("no answer"));
    assert!(!has_looked());
    assert_eq!(front.monitor.observe_look(Ok::<_, ()>("a tip")), Ok("a tip"));
    assert!(has_looked());
}

#[test]
fn a_stop_answers_what_is_under_way_and_nothing_new() {
    let front = Front::start();
    let whole = delivery("push", "1", SECRET, PUSH.as_bytes());
    let (most, rest) = whole.split_at(whole.len() - 1);
    let mut under_way = front.connect();
    under_way.write_all(most).unwrap();
    // An answered request shows that the connection before it was accepted.
    assert_eq!(status(&front.get("/healthz")), "200");
    front.cancel.request();
    under_way.write_all(rest).unwrap();
    assert_eq!(status(&answer(under_way)), "202");
    front.runtime.block_on(front.server).unwrap();
    assert!(TcpStream::connect(front.address).is_err());
}

#[test]
fn a_client_that_leaves_early_harms_nobody() {
    let front = Front::start();
    let whole = delivery("push", "1", SECRET, PUSH.as_bytes());
    for length in [0, 20, whole.len() - 1, whole.len()] {
        let mut stream = front.connect();
        stream.write_all(&whole[..length]).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    assert_eq!(status(&front.push("2")), "202");
}

/// The first delivery starts a run; all others come while it is under way and lead to one more.
#[test]
fn a_flood_of_deliveries_becomes_one_run() {
    const DELIVERIES: usize = 10_000;
    const SENDERS: usize = 4;
    let mut front = Front::start();
    let (begun, has_begun) = blocking::channel();
    let (go_on, told_to_go_on) = blocking::channel::<()>();
    let told_to_go_on = std::sync::Mutex::new(told_to_go_on);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let run = move |_, _: &Cancel| {
        counted.fetch_add(1, Ordering::SeqCst);
        begun.send(()).unwrap();
        told_to_go_on.lock().unwrap().recv().unwrap();
        Outcome::Done
    };
    let quiet = Duration::from_millis(1);
    let queue = Queue::new(Settings { quiet, ..Settings::default() }, 0);
    let (_, unused) = mpsc::channel(1);
    let hints = std::mem::replace(&mut front.hints, unused);
    let service =
        front.runtime.spawn(async move { serve(queue, hints, run, &Cancel::default(), |_| {}).await });

    assert_eq!(status(&front.push("first")), "202");
    has_begun.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let front = &front;
            scope.spawn(move || {
                for number in 0..DELIVERIES / SENDERS {
                    assert_eq!(status(&front.push(&format!("{sender}-{number}"))), "202");
                }
            });
        }
    });
    println!("{DELIVERIES} deliveries: {:?}", start.elapsed());
    while front.sender.capacity() < front.sender.max_capacity() {
        thread::yield_now();
    }
    go_on.send(()).unwrap();
    has_begun.recv_timeout(PATIENCE).unwrap();
    go_on.send(()).unwrap();

    // Without sources the service ends when nothing is left to do.
    front.cancel.request();
    drop(front.sender);
    front.runtime.block_on(service).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn every_example_of_a_payload_is_understood() {
    let Some(examples) = testkit::webhooks::examples().unwrap() else {
        println!("left out: the example payloads are not here; `testkit/webhooks/fetch` brings them in");
        return;
    };
    let front = Front::with("Codertocat/Hello-World", Limits::default(), BodyLimits::default());
    for example in &examples {
        for (number, payload) in example.payloads.iter().enumerate() {
            let id = format!("{}-{number}", example.event.replace('_', "-"));
            let request = delivery(&example.event, &id, SECRET, payload.to_string().as_bytes());
            let answer = front.exchange(&request);
            assert_eq!(status(&answer), "202", "{} {number}: {answer}", example.event);
        }
    }
    assert_snapshot!(front.counted(), @r#"
    {event="check_run",verdict="irrelevant"} 6
    {event="check_run",verdict="other_repository"} 3
    {event="check_suite",verdict="irrelevant"} 7
    {event="check_suite",verdict="queued"} 2
    {event="installation",verdict="other_repository"} 2
    {event="installation",verdict="queued"} 5
    {event="installation_repositories",verdict="other_repository"} 3
    {event="merge_group",verdict="other_repository"} 2
    {event="other",verdict="irrelevant"} 259
    {event="ping",verdict="other_repository"} 3
    {event="ping",verdict="queued"} 1
    {event="pull_request",verdict="irrelevant"} 10
    {event="pull_request",verdict="queued"} 19
    {event="push",verdict="queued"} 7
    "#);
}
