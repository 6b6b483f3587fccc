//! The one HTTP server: a router of axum behind limits that hold for every connection.
//!
//! Speaks plain HTTP/1.1: TLS ends at the ingress in front of it. A connection carries one request and has
//! one deadline for everything. The number of connections is limited, and a new one is always accepted: it
//! replaces the oldest. So slow or silent clients, however many, do not keep another client from being
//! answered at once. Knows no route.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::output::metrics::Metrics;

/// How long the server waits after it could not accept a connection, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Failures to accept are logged no more often than this; the metrics count each.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How long open connections may take to end when the server stops.
const STOP_TIME: Duration = Duration::from_secs(2);

/// The most that hyper keeps of a request's head; GitHub's heads have less than 2 KB.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most headers of a request; GitHub sends about 15, and proxies add some.
const MAX_HEADERS: usize = 64;

/// What clients can make a server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The connections that are open at a time; a further one replaces the oldest.
    pub connections: usize,
    /// The time that a connection has from its first byte to its last.
    pub connection_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            // GitHub gives up after 10 seconds (GitHub Docs, "Best practices for using webhooks", "Respond within 10
            // seconds"), so no client that works is still there later.
            connection_time: Duration::from_secs(10),
        }
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
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Takes the address; connections wait until the server serves.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, limits })
    }

    /// Returns the address, with the port that the system chose if none was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers by `app` until `stop` is ready; then it accepts no more connections and waits briefly for open ones.
    ///
    /// A connection that is closed after that was a failed delivery to GitHub, which the sweep finds.
    pub async fn serve(self, app: Router, metrics: &Metrics, stop: impl Future<Output = ()>) {
        let Self { listener, limits, .. } = self;
        let mut open = Connections::default();
        let mut failure_logged = None;
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = open.tasks.join_next() => continue,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    open.make_room(limits.connections, metrics);
                    open.spawn(answer(stream, app.clone(), limits.connection_time, metrics.clone()));
                }
                // The client did not wait, which means nothing for this side.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    metrics.accept_failures.inc();
                    warn_of_failure(&error, &mut failure_logged);
                    // If file descriptors are what is missing, this frees one.
                    open.make_room(0, metrics);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let all_closed = async { while open.tasks.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIME, all_closed).await;
    }
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Connections {
    fn spawn(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.by_age.push_back(self.tasks.spawn(connection));
    }

    /// Closes the oldest connection if there are as many as `limit`.
    fn make_room(&mut self, limit: usize, metrics: &Metrics) {
        self.by_age.retain(|connection| !connection.is_finished());
        if self.by_age.len() >= limit
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
            metrics.count_connection_cut("displaced");
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

/// Answers the one request of a connection, or closes the connection when its time is over.
async fn answer(stream: TcpStream, app: Router, time: Duration, metrics: Metrics) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        // The deadline of the connection covers the head as well.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    match timeout(time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection broke off"),
        Err(_) => metrics.count_connection_cut("slow"),
    }
}
