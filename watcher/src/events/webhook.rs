//! The webhook: a source that GitHub wakes.
//!
//! Checks one delivery at a time: first its head, which costs nothing, then its signature over the whole
//! body, and only then the content of the body. Each delivery that may matter becomes a hint and is answered
//! at once; only its id is remembered. Knows nothing of connections, and strangers learn nothing from its
//! answers.

mod payload;
mod receiver;
mod secrets;
mod seen;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, info, warn};

pub(crate) use payload::EventKind;
use payload::{Meaning, meaning};
pub(super) use receiver::deliver;
use secrets::Signature;
pub use secrets::{SECRET_VARIABLE, Secrets, SecretsError};
use seen::{CAPACITY, Seen, delivery_id};

use super::{Event, Events};
use crate::output::metrics::Metrics;
use crate::repository_name::RepositoryName;

/// The size beyond which GitHub sends no payload: 25 MB.
///
/// Source: GitHub Docs, "Webhook events and payloads", section "Payload cap".
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Refusals of strangers are logged no more often than this, or anyone could fill it.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Reads bytes as the payload of every kind of event. For fuzzing.
#[doc(hidden)]
pub fn read_untrusted(bytes: &[u8]) {
    let repository = "acme/fleet".parse().expect("a constant name");
    for kind in ["push", "pull_request", "merge_group", "check_run", "check_suite", "installation", "ping"] {
        let _ = meaning(EventKind::find(kind), bytes, &repository);
    }
}

/// What deliveries can make the service hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The largest body of a delivery.
    pub body_bytes: usize,
    /// The bytes of all bodies that are being received; a delivery beyond them is refused.
    pub buffered_bytes: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { body_bytes: MAX_BODY_BYTES, buffered_bytes: 4 * MAX_BODY_BYTES }
    }
}

/// Receives the deliveries for one repository and turns them into hints.
#[derive(Debug)]
pub struct Webhook {
    secrets: Secrets,
    repository: RepositoryName,
    events: Events,
    /// Whether each event waits for room in the channel.
    waiting: [Arc<AtomicBool>; 3],
    seen: Mutex<Seen>,
    metrics: Metrics,
    refusal_logged: Mutex<Option<Instant>>,
    limits: BodyLimits,
    /// One permit for each byte that may still be held.
    buffer: Semaphore,
}

/// What the head of a delivery contains.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Its kind, if a webhook of ours subscribes to it.
    event: Option<&'static EventKind>,
    id: String,
    signature: Signature,
    is_json: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryVerdict {
    /// It became a hint.
    Queued,
    /// It would have become a hint, had there not been enough of them.
    Coalesced,
    /// It was received before.
    Repeated,
    /// It is about nothing that a run looks at.
    Irrelevant,
    /// It is about another repository.
    OtherRepository,
    /// The head lacks what every delivery has.
    Incomplete,
    /// The signature is missing, or not made with one of the secrets.
    Unsigned,
    /// The body is not JSON by its type.
    NotJson,
    /// The body is not a payload.
    Malformed,
    /// The body is larger than any payload.
    TooLarge,
    /// The body broke off.
    BrokenOff,
    /// Too many bytes are being received at once.
    Busy,
    /// The service is stopping.
    Stopping,
}

impl Webhook {
    /// Creates a webhook that sends an event for every delivery that may matter to `repository`.
    #[must_use]
    pub fn new(
        secrets: Secrets,
        repository: RepositoryName,
        events: Events,
        metrics: Metrics,
        limits: BodyLimits,
    ) -> Self {
        Self {
            secrets,
            repository,
            events,
            waiting: Default::default(),
            seen: Mutex::new(Seen::new(CAPACITY)),
            metrics,
            refusal_logged: Mutex::new(None),
            limits,
            buffer: Semaphore::new(limits.buffered_bytes),
        }
    }

    /// Returns how many bytes of deliveries are held.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.limits.buffered_bytes - self.buffer.available_permits()
    }

    /// Checks a whole delivery: the signature first, and the content only if that is right.
    pub(super) fn receive(&self, head: &Head, body: &[u8]) -> DeliveryVerdict {
        if !self.secrets.have_signed(body, &head.signature) {
            return self.refuse(DeliveryVerdict::Unsigned);
        }
        let verdict = self.verdict_on(head, body);
        let (event, delivery) = (head.event.map_or("other", |kind| kind.name), &*head.id);
        self.metrics.count_delivery(event, verdict.as_str());
        if let Some(hint) = verdict.hint() {
            warn!(event, delivery, hint, "refused a delivery: {}", verdict.reason());
        } else {
            debug!(event, delivery, "received a delivery: {}", verdict.reason());
        }
        verdict
    }

    /// Counts a delivery that was refused before anything showed that it comes from GitHub.
    pub(super) fn refuse(&self, verdict: DeliveryVerdict) -> DeliveryVerdict {
        self.metrics.count_delivery("unverified", verdict.as_str());
        let mut logged = self.refusal_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= REFUSAL_LOG_INTERVAL) {
            *logged = Some(Instant::now());
            info!("refused a delivery that may not be from GitHub: {}", verdict.reason());
        }
        verdict
    }

    fn verdict_on(&self, head: &Head, body: &[u8]) -> DeliveryVerdict {
        if !head.is_json {
            return DeliveryVerdict::NotJson;
        }
        match meaning(head.event, body, &self.repository) {
            Err(_) => DeliveryVerdict::Malformed,
            Ok(Meaning::Irrelevant) => DeliveryVerdict::Irrelevant,
            Ok(Meaning::OtherRepository) => DeliveryVerdict::OtherRepository,
            Ok(Meaning::MayHaveChanged(event)) => self.hint(&head.id, event),
        }
    }

    fn hint(&self, id: &str, event: Event) -> DeliveryVerdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(id) {
            return DeliveryVerdict::Repeated;
        }
        let verdict = self.send(event);
        if verdict != DeliveryVerdict::Stopping {
            seen.remember(id);
        }
        verdict
    }

    /// Sends an event, and never waits, since GitHub does not.
    fn send(&self, event: Event) -> DeliveryVerdict {
        match self.events.try_send(event) {
            Ok(()) => DeliveryVerdict::Queued,
            Err(TrySendError::Full(_)) => {
                // A full channel holds hints that are not in the queue yet, and the look that they lead to sees every
                // ref that this one is about. What refs do not show is sent behind them, each event once.
                let is_waiting = &self.waiting[event as usize];
                if event > Event::Moved && !is_waiting.swap(true, Ordering::AcqRel) {
                    tokio::spawn(send_behind(event, self.events.clone(), Arc::clone(is_waiting)));
                }
                DeliveryVerdict::Coalesced
            }
            Err(TrySendError::Closed(_)) => DeliveryVerdict::Stopping,
        }
    }
}

/// Waits for room in the channel and sends a hint that may not be lost among others.
async fn send_behind(event: Event, events: Events, is_waiting: Arc<AtomicBool>) {
    let Ok(room) = events.reserve().await else { return };
    // A delivery that sees this from now on comes after the hint, and needs its own.
    is_waiting.store(false, Ordering::Release);
    room.send(event);
}

impl Head {
    /// Reads the head of a delivery.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, DeliveryVerdict> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature =
            text("x-hub-signature-256").and_then(Signature::parse).ok_or(DeliveryVerdict::Unsigned)?;
        let event = text("x-github-event").map(EventKind::find).ok_or(DeliveryVerdict::Incomplete)?;
        let id = text("x-github-delivery").and_then(delivery_id).ok_or(DeliveryVerdict::Incomplete)?;
        let content_type = text(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Ok(Self { event, id, signature, is_json: media_type.eq_ignore_ascii_case("application/json") })
    }
}

impl DeliveryVerdict {
    /// Returns the status that the delivery is answered with, the name by which metrics count it, and the reason, as
    /// the log and the webhook's page on GitHub show it.
    const fn described(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as Code;
        match self {
            Self::Queued => (Code::ACCEPTED, "queued", "queued a look"),
            Self::Coalesced => (Code::ACCEPTED, "coalesced", "a look is queued already"),
            Self::Repeated => (Code::ACCEPTED, "repeated", "this delivery was received before"),
            Self::Irrelevant => (Code::ACCEPTED, "irrelevant", "nothing that is looked at can have changed"),
            Self::OtherRepository => (Code::ACCEPTED, "other_repository", "this is about another repository"),
            Self::Incomplete => (Code::BAD_REQUEST, "incomplete", "a header of every delivery is missing"),
            Self::Malformed => (Code::BAD_REQUEST, "malformed", "the body is not the payload of an event"),
            Self::BrokenOff => (Code::BAD_REQUEST, "broken_off", "the body broke off"),
            Self::Unsigned => (Code::UNAUTHORIZED, "unsigned", "the signature is missing or wrong"),
            Self::NotJson => {
                let reason = "the webhook's content type must be `application/json`";
                (Code::UNSUPPORTED_MEDIA_TYPE, "not_json", reason)
            }
            Self::TooLarge => (Code::PAYLOAD_TOO_LARGE, "too_large", "the body is too large"),
            Self::Busy => (Code::SERVICE_UNAVAILABLE, "busy", "too many bytes are being received"),
            Self::Stopping => (Code::SERVICE_UNAVAILABLE, "stopping", "the service is stopping"),
        }
    }

    /// Returns the status that the delivery is answered with.
    pub(super) const fn status(self) -> StatusCode {
        self.described().0
    }

    /// Returns the name by which metrics count it.
    const fn as_str(self) -> &'static str {
        self.described().1
    }

    const fn reason(self) -> &'static str {
        self.described().2
    }

    /// Returns whether the sender has shown that it knows a secret, so that it may see the reason.
    const fn is_verified(self) -> bool {
        !matches!(self, Self::Incomplete | Self::Unsigned | Self::TooLarge | Self::BrokenOff | Self::Busy)
    }

    /// Returns the body of the answer: the reason, or no more than the name of the status.
    fn answer(self) -> &'static str {
        if self.is_verified() { self.reason() } else { self.status().canonical_reason().unwrap_or_default() }
    }

    /// Returns what has to be changed on GitHub or before the service, for deliveries to be of use.
    const fn hint(self) -> Option<&'static str> {
        match self {
            Self::NotJson => {
                Some("choose `application/json` as content type in the webhook's settings on GitHub")
            }
            Self::Malformed => Some("something between GitHub and this service may change what is sent"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
