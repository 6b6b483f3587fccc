//! The client: one request at a time, paid for by the budget, repeated only where that is safe.
//!
//! It blocks, since the pipeline does. It knows routes and replies, not what a pull request means.

mod answer;
mod budget;
mod call;
mod clock;
mod error;
mod harmless;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::account::{Account, Viewer};
use super::place::RepositoryPlace;
use crate::backoff::{Backoff, spread};
use crate::http::{self as http_client, Authorization, HttpError, Request, Timeouts, Upload};
use crate::identity::{GITHUB_HEADERS, Identity};

pub(in crate::forge::github) use answer::Answer;
pub use budget::{Budget, Cost, Left};
pub use call::Asker;
pub(in crate::forge::github) use call::Call;
use call::GRAPHQL;
pub use clock::Clock;
pub use error::{GitHubError, GitHubFault, GitHubFaultKind};

/// How long to wait for GitHub, which answers within 10 seconds or not at all.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(30),
    exchange: Duration::from_mins(1),
};
/// The largest answer that is read: a page of a hundred pull requests, each with a body of 65,536 characters.
const MAX_ANSWER_BYTES: u64 = 32 << 20;
/// The longest time that a run waits for the budget; beyond it the run ends and is retried.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How often a request is repeated that is safe to repeat.
const REPEATS: u32 = 3;
/// The waits before a request is repeated.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(32) };
/// How many answers are remembered with their tags.
const REMEMBERED_ANSWERS: usize = 128;
/// The most pages of a list that are read.
const MAX_PAGES: usize = 20;

/// A client of one repository on GitHub.
pub struct Client {
    place: RepositoryPlace,
    http: http_client::Client,
    identity: Identity,
    clock: Clock,
    memory: Mutex<Memory>,
}

/// What is remembered from request to request.
#[derive(Debug, Default)]
struct Memory {
    budget: Budget,
    account: Option<Account>,
    /// Answers by their routes, the newest last.
    answers: VecDeque<(String, Answer)>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client of `place`. Nothing is sent yet.
    #[must_use]
    pub fn new(place: RepositoryPlace, identity: Identity, clock: Clock) -> Self {
        let http = http_client::Client::new(&place.api, TIMEOUTS);
        Self { place, http, identity, clock, memory: Mutex::default() }
    }

    /// Returns the repository that the client is for.
    pub(crate) const fn place(&self) -> &RepositoryPlace {
        &self.place
    }

    /// Returns whether requests come from a GitHub App.
    pub(crate) fn acts_as_app(&self) -> bool {
        self.identity.is_app()
    }

    /// Returns what is left of the budget.
    #[must_use]
    pub fn left(&self) -> Left {
        let now = (self.clock.now)();
        self.memory().budget.left(now)
    }

    /// Waits until a push is within GitHub's limits, or returns when it will be.
    pub fn admit_push(&self) -> Result<(), GitHubError> {
        self.admit("push", Cost::Push)
    }

    /// Sends a request and reads its answer.
    pub(in crate::forge::github) fn call<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<T, GitHubError> {
        self.send(call)?.json().map_err(|fault| call.failed(fault))
    }

    /// Sends a request whose answer is only a confirmation.
    pub(in crate::forge::github) fn run(&self, call: &Call<'_>) -> Result<(), GitHubError> {
        self.send(call).map(drop)
    }

    /// Returns the account that the token acts as. It is asked for once.
    pub(in crate::forge::github) fn account(&self) -> Result<Account, GitHubError> {
        let known = self.memory().account.clone();
        if let Some(account) = known {
            return Ok(account);
        }
        let query = json!({ "query": "{viewer{login databaseId}}" });
        let call = Call::set("find out which account the token is of", Method::POST, GRAPHQL, &query);
        let account = self.call::<Viewer>(&call)?.data.viewer;
        self.memory().account = Some(account.clone());
        Ok(account)
    }

    /// Reads all pages of a list.
    pub(in crate::forge::github) fn list<T: DeserializeOwned>(
        &self,
        first: Call<'_>,
    ) -> Result<Vec<T>, GitHubError> {
        let mut items = Vec::new();
        let mut call = first;
        for _ in 0..MAX_PAGES {
            let answer = self.send(&call)?;
            items.extend(answer.json::<Vec<T>>().map_err(|fault| call.failed(fault))?);
            match answer.next_page(&self.place) {
                Some(route) => call.route = route,
                None => break,
            }
        }
        Ok(items)
    }

    pub(in crate::forge::github) fn send(&self, call: &Call<'_>) -> Result<Answer, GitHubError> {
        use GitHubFaultKind::{Ambiguous, Limited};
        let mut repeats = 0;
        loop {
            self.admit(call.attempt, call.cost())?;
            match self.send_once(call) {
                Err(fault) if fault.kind == Ambiguous && call.is_repeatable && repeats < REPEATS => {
                    warn!(github.route = call.route, "could not {} ({fault}): retrying", call.attempt);
                    self.pause(repeats);
                    repeats += 1;
                }
                // What a limit refused was not carried out; the budget decides whether to wait for it.
                Err(fault) if matches!(fault.kind, Limited(_)) && repeats < REPEATS => repeats += 1,
                result => return result.map_err(|fault| call.failed(fault)),
            }
        }
    }

    /// Waits until the budget has what a request costs, unless that takes too long.
    fn admit(&self, attempt: &str, cost: Cost) -> Result<(), GitHubError> {
        loop {
            let now = (self.clock.now)();
            let spent = self.memory().budget.spend(cost, now);
            let Err(until) = spent else { return Ok(()) };
            let wait = until.duration_since(now).unwrap_or_default();
            if wait > MAX_WAIT {
                return Err(GitHubError { attempt: attempt.to_owned(), fault: GitHubFault::limited(until) });
            }
            info!(github.wait_ms = wait.as_millis(), "waiting for the budget to {attempt}");
            (self.clock.wait)(wait);
        }
    }

    fn send_once(&self, call: &Call<'_>) -> Result<Answer, GitHubFault> {
        let known = if call.method == Method::GET { self.known(&call.route) } else { None };
        let now = (self.clock.now)();
        let token = match call.asker {
            Asker::Token => self.identity.token(now)?,
            Asker::App => self.identity.app_claim(now)?,
        };
        let token = token.ok_or_else(|| {
            let hint = "set `FLEETWRIGHT_TOKEN` or `GITHUB_TOKEN`, or name a token file or an App";
            GitHubFault::new(GitHubFaultKind::Stalled, "there is no token", hint)
        })?;
        let answer = self.exchange(call, token, known.as_ref())?;
        let answer = self.judge(call, answer).inspect_err(|fault| {
            if fault.kind == GitHubFaultKind::Unauthorized {
                self.identity.forget();
                self.memory().account = None;
            }
        })?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return known.ok_or_else(|| GitHubFault::unreadable("304 to a first question"));
        }
        if call.method == Method::GET {
            self.remember(&call.route, &answer);
        }
        Ok(answer)
    }

    fn exchange(
        &self,
        call: &Call<'_>,
        token: SecretString,
        known: Option<&Answer>,
    ) -> Result<Answer, HttpError> {
        let mut headers = GITHUB_HEADERS.to_vec();
        headers.extend(call.body.as_ref().map(|_| (CONTENT_TYPE, "application/json")));
        headers.extend(known.and_then(|known| Some((IF_NONE_MATCH, known.text(ETAG.as_str())?))));
        // A GitHub Enterprise Server has REST below `/api/v3`, and GraphQL beside it.
        let url = if call.route == GRAPHQL { &self.place.api.without_end("/v3") } else { &self.place.api };
        let request = Request {
            method: call.method.clone(),
            authorization: Some(&Authorization::Bearer(token)),
            headers: &headers,
            ..Request::get(url, &call.route, MAX_ANSWER_BYTES)
        };
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let has_body = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
        let mut body = body.as_bytes();
        let answer = self.http.send(&request, has_body.then_some(Upload::of(&mut body)))?;
        Ok(Answer { status: answer.status, headers: answer.headers.clone(), body: answer.bytes()? })
    }

    /// Records what an answer reports about the limits, and turns a refusal into a fault.
    fn judge(&self, call: &Call<'_>, answer: Answer) -> Result<Answer, GitHubFault> {
        let now = (self.clock.now)();
        let mut memory = self.memory();
        if let Some((left, reset)) = answer.primary() {
            memory.budget.learn(left, reset);
        }
        let left = memory.budget.left(now);
        debug!(
            github.method = %call.method, github.route = call.route, github.status = answer.status.as_u16(),
            github.left = ?left, "GitHub answered"
        );
        if let Some(limit) = answer.limit(now) {
            let until = memory.budget.refused(limit.until, now);
            let wait_s = until.duration_since(now).unwrap_or_default().as_secs();
            warn!(github.wait_s = wait_s, github.left = ?left, "a rate limit is reached");
            return Err(GitHubFault::limited(until));
        }
        memory.budget.accepted();
        drop(memory);
        answer.success()
    }

    fn known(&self, route: &str) -> Option<Answer> {
        self.memory().answers.iter().find(|(known, _)| known == route).map(|(_, answer)| answer.clone())
    }

    fn remember(&self, route: &str, answer: &Answer) {
        if answer.headers.contains_key(ETAG) {
            let answers = &mut self.memory().answers;
            answers.retain(|(known, _)| known != route);
            answers.push_back((route.to_owned(), answer.clone()));
            if answers.len() > REMEMBERED_ANSWERS {
                answers.pop_front();
            }
        }
    }

    pub(in crate::forge::github) fn pause(&self, repeats: u32) {
        (self.clock.wait)(spread(PAUSES.delay(repeats), &mut Rng::new()));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
