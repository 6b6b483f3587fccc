//! The HTTP client as charts need it: it follows redirects, each repository's own way, and ends in time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::credentials::Credentials;
use super::error::ChartError;
use crate::http::{self, Answer, Authorization, HttpError, Timeouts, Url};
use ::http::header::{ACCEPT, LOCATION};

/// How long to wait for one answer, its body included.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    idle: Duration::from_mins(1),
    exchange: Duration::from_mins(2),
};
/// How long it may take to fetch one chart, or to list its versions, whatever answers and redirects that takes.
const MAX_TIME: Duration = Duration::from_mins(5);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Fetches from repositories and registries.
#[derive(Clone, Debug)]
pub struct Client {
    max_time: Duration,
    /// What it may show to a repository that is private.
    pub(super) credentials: Credentials,
    /// One for each repository, since what it may lead to depends on where it is.
    clients: Arc<Mutex<BTreeMap<String, http::Client>>>,
}

/// Fetches what belongs to one repository, until the time is over.
#[derive(Debug)]
pub(super) struct Connection {
    client: http::Client,
    end: Instant,
}

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub url: &'a Url,
    /// The media type that is wanted.
    pub accept: &'a str,
    /// The credential; another server never sees it.
    pub authorization: Option<&'a Authorization>,
    /// How many bytes are read.
    pub max_bytes: u64,
}

impl Client {
    /// Creates a client that goes through the proxy of the environment, if there is one, trusts what this machine
    /// trusts, and has the credentials that Docker and Helm keep for this user.
    pub(crate) fn new() -> Self {
        Self { credentials: Credentials::of_this_user(), ..Self::within(MAX_TIME) }
    }

    /// Spends at most this time on each chart.
    pub(super) fn with_time(self, max_time: Duration) -> Self {
        Self { max_time, ..self }
    }

    /// Creates a client without credentials that spends at most `max_time` on each chart.
    pub(super) fn within(max_time: Duration) -> Self {
        Self { max_time, credentials: Credentials::default(), clients: Arc::default() }
    }

    /// Shows private repositories what this file of Helm's has for them.
    #[cfg(test)]
    pub(super) fn with_repositories(self, file: std::path::PathBuf) -> Self {
        Self { credentials: Credentials::of_helm(file), ..self }
    }

    /// Returns what fetches from the repository at `home`. Its time begins now.
    pub(super) fn at(&self, home: &Url) -> Connection {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(home.origin().to_owned());
        let client = client.or_insert_with(|| http::Client::guarded(home, TIMEOUTS)).clone();
        Connection { client, end: Instant::now() + self.max_time }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// Fetches a file whose answer has to be a success.
    pub fn get(&self, file: File<'_>) -> Result<Vec<u8>, ChartError> {
        let bytes = self.follow(file).and_then(Answer::success).and_then(Answer::bytes);
        bytes.map_err(|source| ChartError::of_fetch(file.url, &source))
    }

    /// Returns the answer to a request for a file, whatever its status, after following redirects.
    pub fn follow(&self, file: File<'_>) -> Result<Answer, HttpError> {
        let mut url = file.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.get_once(&url, file)?;
            match answer.header(&LOCATION).filter(|_| answer.status.is_redirection()) {
                Some(location) => url = url.join(location)?,
                None => return Ok(answer),
            }
        }
        Err(HttpError::redirects(MAX_REDIRECTS))
    }

    fn get_once(&self, url: &Url, file: File<'_>) -> Result<Answer, HttpError> {
        let authorization = file.authorization.filter(|_| url.origin() == file.url.origin());
        let left = self.end.saturating_duration_since(Instant::now());
        let request = http::Request {
            authorization,
            headers: &[(ACCEPT, file.accept)],
            timeout: Some(left.clamp(Duration::from_millis(1), TIMEOUTS.exchange)),
            ..http::Request::get(url, "", file.max_bytes)
        };
        self.client.send(&request, None)
    }
}
