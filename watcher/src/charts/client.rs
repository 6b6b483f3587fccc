//! The HTTP client for charts: bounded in size, time and redirects, never sent anywhere in the open, and led nowhere inside.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::HeaderMap;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use ureq::tls::RootCerts;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, BodyReader, Proxy};

use super::address::Address;
use super::error::{ChartError, Refused};
use super::guard::{Guard, Inside};
use crate::http::{self, Patience};

/// How long to wait for one answer, its body included.
const TIMEOUTS: Patience = Patience {
    connect: Duration::from_secs(10),
    silence: Duration::from_mins(1),
    exchange: Duration::from_mins(2),
};
/// How long it may take to fetch one chart, or to list its versions, whatever answers and redirects that takes.
const TIME: Duration = Duration::from_mins(5);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Fetches from repositories and registries.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    time: Duration,
    /// One for each repository, since what it may lead to depends on where it is.
    agents: Arc<Mutex<BTreeMap<String, (Agent, Guard)>>>,
}

/// Fetches what belongs to one repository, and ends when the time is over.
#[derive(Debug)]
pub(super) struct Connection {
    agent: Agent,
    guard: Guard,
    end: Instant,
}

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub address: &'a Address,
    /// The media type that is wanted.
    pub accept: &'a str,
    /// The token to show; another server never sees it.
    pub token: Option<&'a str>,
    /// How many bytes are read.
    pub limit: u64,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    body: Body,
    address: Address,
    limit: u64,
}

impl Client {
    /// Creates a client that goes through the proxy of the environment, if there is one, and trusts what this machine trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Proxy::try_from_env(), TIME)
    }

    pub(super) fn with(proxy: Option<Proxy>, time: Duration) -> Self {
        let config = http::config(RootCerts::PlatformVerifier, proxy, TIMEOUTS).build();
        Self { config, time, agents: Arc::default() }
    }

    /// Returns what fetches from the repository at `home`. Its time begins now.
    pub(super) fn at(&self, home: &Address) -> Connection {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let (agent, guard) = agents.entry(home.origin()).or_insert_with(|| {
            let guard = Guard::new(home.uri());
            let agent = Agent::with_parts(self.config.clone(), DefaultConnector::default(), guard.clone());
            (agent, guard)
        });
        Connection { agent: agent.clone(), guard: guard.clone(), end: Instant::now() + self.time }
    }
}

impl Connection {
    /// Fetches, following redirects; only a transport failure is an error, whatever the status.
    pub(super) fn get(&self, request: Request<'_>) -> Result<Answer, ChartError> {
        let mut address = request.address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let token = request.token.filter(|_| address.is_same_origin(request.address));
            let answer = self.get_once(&address, Request { token, ..request })?;
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            match location.filter(|_| (300..400).contains(&answer.status)) {
                Some(location) => address = address.redirect(location)?,
                None => return Ok(answer),
            }
        }
        Err(ChartError::Redirects { address: request.address.to_string(), limit: MAX_REDIRECTS })
    }

    fn get_once(&self, address: &Address, request: Request<'_>) -> Result<Answer, ChartError> {
        self.guard
            .check(address.uri())
            .map_err(|inside| failed(address)(ureq::Error::Other(Box::new(inside))))?;
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(address)(ureq::Error::Timeout(ureq::Timeout::Global)));
        }
        let mut call = self.agent.get(address.uri()).header(ACCEPT, request.accept);
        if let Some(token) = request.token {
            call = call.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let call = call.config().timeout_global(Some(left.min(TIMEOUTS.exchange))).build();
        let (parts, body) = call.call().map_err(failed(address))?.into_parts();
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        Ok(Answer { status, headers, body, address: address.clone(), limit: request.limit })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// Returns the body of an answer that succeeded.
    pub fn ok(self) -> Result<Vec<u8>, ChartError> {
        self.read("a whole answer", |body| {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).map(|_| bytes)
        })
    }

    /// Returns what `read` makes of the body of an answer that succeeded, which should be `what`; the body is read as it
    /// comes.
    pub fn read<T, E: fmt::Display>(
        self,
        what: &'static str,
        read: impl FnOnce(&mut BoundedBody) -> Result<T, E>,
    ) -> Result<T, ChartError> {
        let address = self.address.to_string();
        if self.status != 200 {
            return Err(ChartError::Status { address, status: self.status });
        }
        let mut body = BoundedBody { reader: self.body.into_reader(), left: self.limit, failure: None };
        read(&mut body).map_err(|error| match body.failure {
            Some(BodyFailure::TooLarge) => ChartError::TooLarge { address, limit: self.limit },
            Some(BodyFailure::Transport(source)) => {
                ChartError::Transport { address, source: Box::new(source) }
            }
            None => ChartError::Answer { address, what, reason: error.to_string() },
        })
    }
}

/// A body that is read up to a limit, and notes why it could not be read to its end.
pub(super) struct BoundedBody {
    reader: BodyReader<'static>,
    left: u64,
    failure: Option<BodyFailure>,
}

enum BodyFailure {
    TooLarge,
    Transport(ureq::Error),
}

impl Read for BoundedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Ok(count) if count as u64 > self.left => {
                self.failure = Some(BodyFailure::TooLarge);
                Err(io::ErrorKind::FileTooLarge.into())
            }
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(BodyFailure::Transport(error.into()));
                Err(kind.into())
            }
        }
    }
}

fn failed(address: &Address) -> impl FnOnce(ureq::Error) -> ChartError {
    let address = address.to_string();
    move |error| match error {
        ureq::Error::Other(inner) if inner.is::<Inside>() => {
            ChartError::Address { address, reason: Refused::Inside }
        }
        error => ChartError::Transport { address, source: Box::new(error) },
    }
}
