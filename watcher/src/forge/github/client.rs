//! The client: one request at a time, paid for by the budget, repeated only where that is safe.
//!
//! The only module that names `octocrab`. It blocks, since the pipeline does: it has a small runtime of its own, so that
//! it works on any thread that may block, and its connections live on between two runs. It knows routes and replies, not
//! what a pull request means.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use octocrab::Octocrab;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;
use tracing::{debug, info, warn};

use super::account::{Account, GRAPHQL};
use super::budget::{Budget, Cost, Left};
use super::clock::Clock;
use super::error::{Cause, GitHubError, GitHubFault};
use super::harmless::make_harmless;
use super::pages::Asker;
use super::place::RepositoryPlace;
use super::transport;
use crate::http::{self as http_client, HttpError, Patience, Url};
use crate::identity::Identity;

/// How long to wait for GitHub, which answers within 10 seconds or not at all.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    silence: Duration::from_secs(30),
    exchange: Duration::from_mins(1),
};
/// The largest answer that is read: a page of a hundred pull requests, each with a body of 65,536 characters.
const MAX_ANSWER_BYTES: u64 = 32 << 20;
/// The longest time that a run waits for the budget; beyond it the run ends and comes again.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How often a request is repeated that is safe to repeat.
const REPEATS: u32 = 3;
/// The wait before the first repetition; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How many answers are remembered with their tags.
const REMEMBERED_ANSWERS: usize = 128;
/// The most pages of a list that are read.
const MAX_PAGES: usize = 20;

/// A client of one repository on GitHub.
pub struct Client {
    place: RepositoryPlace,
    crab: Octocrab,
    /// Taken out only when the client is dropped.
    runtime: Option<Runtime>,
    identity: Identity,
    clock: Clock,
    memory: Mutex<Memory>,
}

/// What is remembered from request to request.
#[derive(Debug, Default)]
struct Memory {
    budget: Budget,
    account: Option<Account>,
    answers: BTreeMap<String, Answer>,
    /// The routes of `answers`, the oldest first.
    order: VecDeque<String>,
}

/// An answer that was understood as far as HTTP goes.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// What it is for, such as `open a pull request`.
    pub(super) attempt: &'a str,
    pub(super) method: Method,
    /// The route below the API's address.
    pub(super) route: String,
    pub(super) body: Option<Value>,
    /// Whether carrying it out twice does no more than once.
    pub(super) is_repeatable: bool,
    /// Whether an answer from before may be asked about; not when looking for what a lost answer did.
    pub(super) may_be_cached: bool,
    pub(super) asker: Asker,
}

impl<'a> Call<'a> {
    pub(super) fn get(attempt: &'a str, route: impl Into<String>) -> Self {
        Self {
            attempt,
            method: Method::GET,
            route: route.into(),
            body: None,
            is_repeatable: true,
            may_be_cached: true,
            asker: Asker::Token,
        }
    }

    /// A request that sets something to a value, so that doing it twice changes nothing more.
    pub(super) fn set(
        attempt: &'a str,
        method: Method,
        route: impl Into<String>,
        body: &impl Serialize,
    ) -> Self {
        let mut body = serde_json::to_value(body).expect("what is sent has text as its keys");
        make_harmless(&mut body, "");
        Self { method, body: Some(body), ..Self::get(attempt, route) }
    }

    /// A request that makes something new each time.
    pub(super) fn create(attempt: &'a str, route: impl Into<String>, body: &impl Serialize) -> Self {
        Self { is_repeatable: false, ..Self::set(attempt, Method::POST, route, body) }
    }

    fn cost(&self) -> Cost {
        if self.method == Method::GET || self.route == GRAPHQL { Cost::Read } else { Cost::Write }
    }

    fn failed(&self, fault: GitHubFault) -> GitHubError {
        GitHubError { attempt: self.attempt.to_owned(), fault }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not wait for its threads where the client may be dropped: on a thread that may not block.
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// Creates a client of `place`. Nothing is sent yet.
    pub fn new(place: RepositoryPlace, identity: Identity, clock: Clock) -> Result<Self, GitHubError> {
        let url = Url::parse(&place.api).map_err(|error| unready(error.into()))?;
        Self::over(&http_client::Client::patient(&url, PATIENCE), place, identity, clock)
    }

    /// Creates a client of `place` whose API is at `url` and is reached by `http`.
    pub(super) fn over(
        http: &http_client::Client,
        place: RepositoryPlace,
        identity: Identity,
        clock: Clock,
    ) -> Result<Self, GitHubError> {
        let url = Url::parse(&place.api).map_err(|error| unready(error.into()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("github")
            .enable_all()
            .build()
            .map_err(|error| unready(error.into()))?;
        let guard = runtime.enter();
        let crab = transport::octocrab(&url, http, MAX_ANSWER_BYTES);
        drop(guard);
        Ok(Self { place, crab, runtime: Some(runtime), identity, clock, memory: Mutex::default() })
    }

    /// Returns the repository that the client is for.
    #[must_use]
    pub const fn place(&self) -> &RepositoryPlace {
        &self.place
    }

    /// Returns whether a GitHub App asks.
    #[must_use]
    pub fn acts_as_app(&self) -> bool {
        self.identity.is_app()
    }

    /// Returns what is left of the budget.
    #[must_use]
    pub fn left(&self) -> Left {
        let now = self.clock.now();
        self.memory().budget.left(now)
    }

    /// Waits until a push is within GitHub's limits, or says when it will be.
    pub fn admit_push(&self) -> Result<(), GitHubError> {
        self.admit("push", Cost::Push)
    }

    /// Sends a request and reads its answer.
    pub(super) fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, GitHubError> {
        self.send(call)?.json().map_err(|fault| call.failed(fault))
    }

    /// Sends a request whose answer says no more than that it was carried out.
    pub(super) fn run(&self, call: &Call<'_>) -> Result<(), GitHubError> {
        self.send(call).map(drop)
    }

    /// Reads all pages of a list.
    pub(super) fn list<T: DeserializeOwned>(&self, first: Call<'_>) -> Result<Vec<T>, GitHubError> {
        let mut items = Vec::new();
        let mut call = first;
        for _ in 0..MAX_PAGES {
            let answer = self.send(&call)?;
            items.extend(answer.json::<Vec<T>>().map_err(|fault| call.failed(fault))?);
            match answer.next_page(&self.place.api) {
                Some(route) => call.route = route,
                None => break,
            }
        }
        Ok(items)
    }

    pub(super) fn send(&self, call: &Call<'_>) -> Result<Answer, GitHubError> {
        let mut repeats = 0;
        loop {
            self.admit(call.attempt, call.cost())?;
            match self.send_once(call) {
                Err(fault) if fault.is_ambiguous() && call.is_repeatable && repeats < REPEATS => {
                    warn!(github.route = call.route, "could not {} ({fault}): once more", call.attempt);
                    self.clock.wait(pause(repeats));
                    repeats += 1;
                }
                // What a limit refused was not carried out; the budget says whether waiting for it is worth while.
                Err(GitHubFault::Limited { .. }) if repeats < REPEATS => repeats += 1,
                result => return result.map_err(|fault| call.failed(fault)),
            }
        }
    }

    /// Waits until the budget has what a request costs, unless that takes too long.
    fn admit(&self, attempt: &str, cost: Cost) -> Result<(), GitHubError> {
        loop {
            let now = self.clock.now();
            let spent = self.memory().budget.spend(cost, now);
            let Err(until) = spent else { return Ok(()) };
            let wait = until.duration_since(now).unwrap_or_default();
            if wait > MAX_WAIT {
                let fault = GitHubFault::Limited { until };
                return Err(GitHubError { attempt: attempt.to_owned(), fault });
            }
            info!(github.wait_ms = wait.as_millis(), "waiting for the budget to {attempt}");
            self.clock.wait(wait);
        }
    }

    fn send_once(&self, call: &Call<'_>) -> Result<Answer, GitHubFault> {
        let known =
            if call.may_be_cached && call.method == Method::GET { self.known(&call.route) } else { None };
        let now = self.clock.now();
        let token = match call.asker {
            Asker::Token => self.identity.token(now)?,
            Asker::App => self.identity.app_claim(now)?,
        };
        let token = token.ok_or(GitHubFault::Anonymous)?;
        let answer = self.exchange(call, &token, known.as_ref())?;
        let answer = self.judge(call, answer).inspect_err(|fault| {
            if matches!(fault, GitHubFault::Unauthorized) {
                self.identity.forget();
                self.memory().account = None;
            }
        })?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return known.ok_or_else(|| GitHubFault::Unreadable { reason: "304 to a first question".into() });
        }
        if call.method == Method::GET {
            self.remember(&call.route, &answer);
        }
        Ok(answer)
    }

    fn exchange(
        &self,
        call: &Call<'_>,
        token: &SecretString,
        known: Option<&Answer>,
    ) -> Result<Answer, GitHubFault> {
        let request = self.request(call, token, known)?;
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the client");
        runtime.block_on(async {
            let response = self.crab.execute(request).await.map_err(|error| unanswered(error.into()))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| unanswered(error.into()))?.to_bytes().to_vec();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        })
    }

    fn request(
        &self,
        call: &Call<'_>,
        token: &SecretString,
        known: Option<&Answer>,
    ) -> Result<http::Request<octocrab::OctoBody>, GitHubFault> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| GitHubFault::Unauthorized)?;
        authorization.set_sensitive(true);
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(&call.route)
            .header(ACCEPT, "application/vnd.github+json")
            .header(AUTHORIZATION, authorization);
        if let Some(tag) = known.and_then(|known| known.headers.get(ETAG)) {
            request = request.header(IF_NONE_MATCH, tag);
        }
        self.crab
            .build_request(request, call.body.as_ref())
            .map_err(|error| GitHubFault::Unreadable { reason: error.to_string() })
    }

    /// Takes in what an answer says about the limits, and turns a refusal into a fault.
    fn judge(&self, call: &Call<'_>, answer: Answer) -> Result<Answer, GitHubFault> {
        let now = self.clock.now();
        let mut memory = self.memory();
        // GraphQL has a limit of its own.
        let is_core = answer.text("x-ratelimit-resource").is_none_or(|resource| resource == "core");
        if let (Some(left), Some(reset), true) =
            (answer.number("x-ratelimit-remaining"), answer.reset(), is_core)
        {
            memory.budget.learn(left, reset);
        }
        let left = memory.budget.left(now);
        debug!(
            github.method = %call.method, github.route = call.route, github.status = answer.status.as_u16(),
            github.requests_left = left.requests, github.points_left = left.points,
            github.writes_left = left.writes_in_hour, "GitHub answered"
        );
        if let Some(told) = answer.limit() {
            let until = memory.budget.refused(told.moment(now), now);
            let wait_s = until.duration_since(now).unwrap_or_default().as_secs();
            warn!(github.wait_s = wait_s, github.requests_left = left.requests, "a rate limit is reached");
            return Err(GitHubFault::Limited { until });
        }
        memory.budget.accepted();
        drop(memory);
        answer.judged()
    }

    pub(super) fn known_account(&self) -> Option<Account> {
        self.memory().account.clone()
    }

    pub(super) fn remember_account(&self, account: Account) {
        self.memory().account = Some(account);
    }

    fn known(&self, route: &str) -> Option<Answer> {
        self.memory().answers.get(route).cloned()
    }

    fn remember(&self, route: &str, answer: &Answer) {
        if !answer.headers.contains_key(ETAG) {
            return;
        }
        let mut memory = self.memory();
        if memory.answers.insert(route.to_owned(), answer.clone()).is_none() {
            memory.order.push_back(route.to_owned());
        }
        while memory.order.len() > REMEMBERED_ANSWERS {
            if let Some(oldest) = memory.order.pop_front() {
                memory.answers.remove(&oldest);
            }
        }
    }

    pub(super) fn pause(&self, repeats: u32) {
        self.clock.wait(pause(repeats));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unready(source: Cause) -> GitHubError {
    GitHubError { attempt: "get ready to work".into(), fault: GitHubFault::Unreachable { source } }
}

/// Tells why there was no answer. What our HTTP says of it stands somewhere below what `octocrab` says.
fn unanswered(source: Cause) -> GitHubFault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*source);
    while let Some(error) = cause {
        if let Some(error @ HttpError::Untrusted { .. }) = error.downcast_ref() {
            return GitHubFault::Untrusted { reason: error.to_string(), hint: error.hint() };
        }
        cause = error.source();
    }
    GitHubFault::Unreachable { source }
}

/// What a refusal says about when to come again.
#[derive(Clone, Copy, Debug)]
enum Told {
    After(Duration),
    At(SystemTime),
    Nothing,
}

impl Told {
    fn moment(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::After(wait) => Some(now + wait),
            Self::At(moment) => Some(moment),
            Self::Nothing => None,
        }
    }
}

impl Answer {
    fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubFault> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GitHubFault::Unreadable { reason: error.to_string() })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn reset(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.number("x-ratelimit-reset")?))
    }

    /// Returns what the answer says about when to come again, if it refuses for the sake of a limit.
    ///
    /// GitHub does so with 403 or 429, and not always with headers.
    fn limit(&self) -> Option<Told> {
        if !matches!(self.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return None;
        }
        if let Some(seconds) = self.text(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()) {
            return Some(Told::After(Duration::from_secs(seconds)));
        }
        if self.number("x-ratelimit-remaining") == Some(0) {
            return Some(self.reset().map_or(Told::Nothing, Told::At));
        }
        let message = self.message().to_lowercase();
        let is_limit = self.status == StatusCode::TOO_MANY_REQUESTS
            || message.contains("rate limit")
            || message.contains("abuse detection");
        is_limit.then_some(Told::Nothing)
    }

    fn judged(self) -> Result<Self, GitHubFault> {
        let status = self.status.as_u16();
        Err(match status {
            200..=299 | 304 => return Ok(self),
            301 | 302 | 307 | 308 => {
                let to = self.text(LOCATION.as_str()).unwrap_or("an address that it does not name");
                GitHubFault::Moved { to: to.split('?').next().unwrap_or(to).to_owned() }
            }
            401 => GitHubFault::Unauthorized,
            403 => GitHubFault::Forbidden {
                message: self.message(),
                needed: self.text("x-accepted-github-permissions").map(str::to_owned),
            },
            404 | 410 => GitHubFault::NotFound,
            405 | 409 => GitHubFault::NotMergeable { message: self.message() },
            400 | 422 => GitHubFault::Invalid { messages: self.messages() },
            500..=599 => GitHubFault::Unavailable { status },
            _ => GitHubFault::Unreadable { reason: format!("status {status}: {}", self.message()) },
        })
    }

    fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).unwrap_or("it gives no reason");
        message.trim_end_matches('.').to_owned()
    }

    /// Returns what GitHub finds fault with, one text an error.
    fn messages(&self) -> Vec<String> {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |error: &Value| {
            let field = |key: &str| error.get(key).and_then(Value::as_str);
            let told = field("message").or_else(|| error.as_str()).map(str::to_owned);
            told.unwrap_or_else(|| {
                format!("{} `{}`", field("code").unwrap_or("invalid"), field("field").unwrap_or("?"))
            })
        };
        let messages: Vec<String> = errors.iter().map(text).collect();
        if messages.is_empty() { vec![self.message()] } else { messages }
    }

    /// Returns the route of the next page, if it is below the same address.
    fn next_page(&self, api: &str) -> Option<String> {
        let links = self.text(LINK.as_str())?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url = next.split_once('<')?.1.split_once('>')?.0;
        url.strip_prefix(api).map(str::to_owned)
    }
}

/// Returns the wait before a repetition: between one half of the step and all of it, differently in each process.
fn pause(repeats: u32) -> Duration {
    let step = FIRST_PAUSE * 2_u32.saturating_pow(repeats.min(6));
    let draw = (RandomState::new().hash_one(repeats) & 0xFFFF) as u32;
    step / 2 + step / 2 * draw / 0xFFFF
}
