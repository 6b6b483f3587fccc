//! The service's HTTP side: the webhook, health, readiness and metrics.
//!
//! Speaks plain HTTP/1.1: TLS ends at the ingress in front of it. A connection carries one request and has one deadline
//! for everything. Places are bounded, and a newcomer always gets one: the connection that has been open longest makes
//! room. So slow or silent clients, however many, keep no probe and no delivery from being answered at once.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use renderer::plural::counted;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::webhook::{Head, MAX_BODY_BYTES, Verdict, Webhook};
use super::{Cancel, Events, Outcome};
use crate::output::metrics::{self, Cut, Metrics};

/// How long the server waits after it could not accept a connection, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Failures to accept are logged no more often than this; the metrics count each.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How long open connections may take to end when the service stops.
const STOP_TIME: Duration = Duration::from_secs(2);

/// The most that hyper keeps of a request's head; GitHub's heads have less than 2 KB.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most headers of a request; GitHub sends about 15, and proxies add some.
const MAX_HEADERS: usize = 64;

/// What one client, and all of them together, can make the server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a delivery.
    pub body_bytes: usize,
    /// The bytes of all bodies that are on their way; what comes on top is refused.
    pub buffered_bytes: usize,
    /// The connections that are open at a time; for a further one, the one that has been open longest is closed.
    pub connections: usize,
    /// The time that a connection has from its first byte to its last.
    pub connection_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: MAX_BODY_BYTES,
            buffered_bytes: 4 * MAX_BODY_BYTES,
            connections: 256,
            // GitHub gives up after 10 seconds (GitHub Docs, "Best practices for using webhooks", "Respond within 10
            // seconds"), so nobody honest is still there later.
            connection_time: Duration::from_secs(10),
        }
    }
}

/// Whether the service has shown that it works; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Notes that the service works, as after a look that succeeded.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the service works.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the service shows of itself while it runs.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    /// What it counts.
    pub metrics: Metrics,
    /// Whether it works.
    pub readiness: Readiness,
    /// What is wrong with the base branch, in one line; nothing if it renders or is not known yet.
    base_fault: Arc<Mutex<Option<String>>>,
}

impl Monitor {
    /// Makes a run, and counts it by how it ended.
    pub fn observe(&self, run: impl FnOnce() -> Outcome) -> Outcome {
        let begun = Instant::now();
        let outcome = run();
        self.metrics.count_run(name_of(&outcome), begun.elapsed());
        match &outcome {
            Outcome::Done => {
                self.metrics.set_last_success(SystemTime::now());
                self.readiness.set();
            }
            // The service did its part: the fault is in what people wrote, and they are told.
            Outcome::Failed(failure) if failure.is_in_input => self.readiness.set(),
            Outcome::Failed(_) | Outcome::Abandoned => {}
        }
        outcome
    }

    /// Notes how many problems keep the base branch, at this commit, from being rendered; none if it renders.
    pub fn set_base(&self, commit: &str, problems: usize) {
        self.metrics.set_base_problems(problems);
        let fault =
            || format!("the base branch does not render at {commit}: {}", counted(problems, "problem"));
        *self.base_fault.lock().unwrap_or_else(PoisonError::into_inner) = (problems > 0).then(fault);
    }

    /// Returns whether the service works, and what it says of that.
    ///
    /// It works while the base branch does not render, too: only with deliveries does it notice at once that this was mended.
    fn readiness(&self) -> (StatusCode, String) {
        let (status, word) = if self.readiness.is_set() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        let fault = self.base_fault.lock().unwrap_or_else(PoisonError::into_inner);
        (status, fault.iter().fold(word.to_owned(), |text, fault| format!("{text}\n{fault}")))
    }

    /// Notes whether a look for changes succeeded, and passes it on.
    pub fn observe_look<T, E>(&self, look: Result<T, E>) -> Result<T, E> {
        if look.is_ok() {
            self.metrics.set_last_look(SystemTime::now());
        }
        look
    }
}

const fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Abandoned => "abandoned",
        Outcome::Failed(failure) if failure.is_in_input => "problems",
        Outcome::Failed(_) => "failed",
    }
}

/// The address cannot be listened on.
#[derive(Debug, Error)]
#[error("failed to listen on `{address}`")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// The cause.
    pub source: io::Error,
}

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
}

/// Brings metrics up to date that nobody tells of as they change.
pub type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// What the server shows.
pub struct Site {
    monitor: Monitor,
    pending_hints: Box<dyn Fn() -> usize + Send + Sync>,
    refresh: Option<Refresh>,
    webhook: Option<Webhook>,
}

impl Site {
    /// Shows how the service is: whether it lives and works, and what it counted.
    #[must_use]
    pub fn new(monitor: Monitor, events: &Events) -> Self {
        // A weak end, since whoever shows the channel does not keep it open.
        let events = events.downgrade();
        let pending_hints =
            move || events.upgrade().map_or(0, |events| events.max_capacity() - events.capacity());
        Self { monitor, pending_hints: Box::new(pending_hints), refresh: None, webhook: None }
    }

    /// Lets `refresh` bring metrics up to date before they are shown.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = Some(refresh);
        self
    }

    /// Receives deliveries too.
    #[must_use]
    pub fn with_webhook(mut self, webhook: Webhook) -> Self {
        self.webhook = Some(webhook);
        self
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the address; connections wait until the server serves.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, ListenError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
        Ok(Self { listener, limits })
    }

    /// Returns the address, with the port that the system chose if none was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until a stop is requested; then it takes no more connections and gives those that are open a moment.
    pub async fn serve(self, site: Site, cancel: &Cancel) {
        let Self { listener, limits } = self;
        let desk = Arc::new(Desk { site, limits, buffer: Semaphore::new(limits.buffered_bytes) });
        let mut open = Places::default();
        let mut failure_logged = None;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = open.tasks.join_next() => continue,
                () = cancel.requested() => break,
            };
            let metrics = &desk.site.monitor.metrics;
            match accepted {
                Ok((stream, _)) => {
                    open.make_room(limits.connections, metrics);
                    open.take(converse(stream, Arc::clone(&desk)));
                }
                // The client did not wait, which says nothing about this side.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    metrics.count_accept_failure();
                    warn_of_failure(&error, &mut failure_logged);
                    // If file descriptors are what is missing, this frees one.
                    open.make_room(0, metrics);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let all_closed = async { while open.tasks.join_next().await.is_some() {} };
        // What is cut here was a failed delivery to GitHub, and is found by the sweep.
        let _ = timeout(STOP_TIME, all_closed).await;
    }
}

/// The connections that are open, the one that has been open longest first.
#[derive(Default)]
struct Places {
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Places {
    fn take(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.by_age.push_back(self.tasks.spawn(connection));
    }

    /// Closes the oldest connection if there are as many as `limit`.
    fn make_room(&mut self, limit: usize, metrics: &Metrics) {
        self.by_age.retain(|connection| !connection.is_finished());
        if self.by_age.len() >= limit
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
            metrics.count_connection_cut(Cut::Displaced);
        }
    }
}

/// Logs a failure to accept, but not each of many in a row.
fn warn_of_failure(error: &io::Error, logged: &mut Option<Instant>) {
    if logged.is_none_or(|at| at.elapsed() >= FAILURE_LOG_INTERVAL) {
        *logged = Some(Instant::now());
        warn!(%error, "failed to accept a connection: closing the oldest one and retrying");
    }
}

/// Answers the one request of a connection, or cuts the connection when its time is over.
async fn converse(stream: TcpStream, desk: Arc<Desk>) {
    let answer = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        // The deadline of the connection covers the head as well.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(desk.limits.connection_time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection broke off"),
        Err(_) => desk.site.monitor.metrics.count_connection_cut(Cut::Slow),
    }
}

/// Where requests are answered.
struct Desk {
    site: Site,
    limits: Limits,
    /// One permit for each byte that may still be held.
    buffer: Semaphore,
}

type Answer = Response<Full<Bytes>>;

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match (request.uri().path(), &self.site.webhook) {
            ("/webhook", Some(webhook)) if request.method() == Method::POST => {
                let verdict = self.receive(webhook, request).await;
                let reason =
                    if verdict.is_for_friends() { verdict.reason() } else { plain(verdict.status()) };
                text(verdict.status(), reason)
            }
            ("/webhook", Some(_)) => not_allowed("POST"),
            ("/healthz" | "/readyz" | "/metrics", _) if !is_read => not_allowed("GET, HEAD"),
            ("/healthz", _) => text(StatusCode::OK, "alive"),
            ("/readyz", _) => {
                let (status, line) = self.site.monitor.readiness();
                text(status, &line)
            }
            ("/metrics", _) => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, plain(StatusCode::NOT_FOUND)),
        }
    }

    fn metrics(&self) -> Answer {
        let metrics = &self.site.monitor.metrics;
        metrics.set_buffered_bytes(self.limits.buffered_bytes - self.buffer.available_permits());
        metrics.set_pending_hints((self.site.pending_hints)());
        if let Some(refresh) = &self.site.refresh {
            refresh(metrics);
        }
        match metrics.encode() {
            Ok(encoded) => with_type(Response::new(Full::from(encoded)), metrics::CONTENT_TYPE),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, plain(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    async fn receive(&self, webhook: &Webhook, request: Request<Incoming>) -> Verdict {
        // Whoever shows no signature gets no memory either.
        let head = match Head::read(request.headers()) {
            Ok(head) => head,
            Err(verdict) => return webhook.refuse(verdict),
        };
        match self.read(request.into_body()).await {
            Ok((body, _held)) => webhook.receive(&head, &body),
            Err(verdict) => webhook.refuse(verdict),
        }
    }

    /// Reads a body within the limits, and returns it with the permits for what it holds.
    async fn read(&self, mut body: Incoming) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Verdict> {
        let limit = self.limits.body_bytes;
        if body.size_hint().lower() > limit as u64 {
            return Err(Verdict::TooLarge);
        }
        let (mut bytes, mut held) = (Vec::new(), None::<SemaphorePermit<'_>>);
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(|_| Verdict::BrokenOff)?.into_data() else { continue };
            if bytes.len() + chunk.len() > limit {
                return Err(Verdict::TooLarge);
            }
            let count = u32::try_from(chunk.len()).map_err(|_| Verdict::TooLarge)?;
            // Waiting here could have two half-read bodies wait for each other.
            let permit = self.buffer.try_acquire_many(count).map_err(|_| Verdict::Busy)?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes, held))
    }
}

/// The name of a status, which says nothing else.
fn plain(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

fn text(status: StatusCode, line: &str) -> Answer {
    let mut response = Response::new(Full::from(format!("{line}\n")));
    *response.status_mut() = status;
    with_type(response, "text/plain; charset=utf-8")
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, plain(StatusCode::METHOD_NOT_ALLOWED));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn with_type(mut response: Answer, media_type: &'static str) -> Answer {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
