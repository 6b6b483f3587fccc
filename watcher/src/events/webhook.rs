//! The webhook: a source that GitHub wakes.
//!
//! Judges one delivery at a time: first its head, which costs nothing, then its signature over the whole body, and only
//! then what the body says. Each delivery that may matter becomes a hint, is answered at once, and is forgotten but for
//! its id. Knows nothing of connections, and strangers learn nothing from its answers.

mod payload;
mod secrets;
mod seen;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, info, warn};

pub(super) use payload::EventKind;
use payload::{Meaning, meaning};
use secrets::Signature;
pub use secrets::{SECRET_VARIABLE, Secrets, SecretsError};
use seen::{CAPACITY, DeliveryId, Seen};

use super::{Event, Events, RepositoryName};
use crate::output::metrics::Metrics;

/// The size beyond which GitHub sends no payload: 25 MB.
///
/// Source: GitHub Docs, "Webhook events and payloads", section "Payload cap".
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Refusals of strangers are told of in the log no more often than this, or anyone could fill it.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Reads bytes as the payload of every kind of event. For fuzzing.
#[doc(hidden)]
pub fn read_untrusted(bytes: &[u8]) {
    let repository = "acme/fleet".parse().expect("a constant name");
    for kind in ["push", "pull_request", "merge_group", "check_run", "check_suite", "installation", "ping"] {
        let _ = meaning(EventKind::parse(kind), bytes, &repository);
    }
}

/// Receives the deliveries for one repository and turns them into hints.
pub struct Webhook {
    secrets: Secrets,
    repository: RepositoryName,
    wake: Box<dyn Fn(Event) -> Woken + Send + Sync>,
    seen: Mutex<Seen>,
    metrics: Metrics,
    refusal_logged: Mutex<Option<Instant>>,
}

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Queued,
    /// So many hints wait already that a run will start after this one anyway.
    AlreadyAwake,
    /// Nobody listens any more.
    Stopping,
}

/// What a delivery says of itself before its body is read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    event: EventKind,
    id: DeliveryId,
    signature: Signature,
    is_json: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It became a hint.
    Queued,
    /// It would have become a hint, had there not been enough of them.
    Coalesced,
    /// It was taken in before.
    Repeated,
    /// It tells of nothing that a run looks at.
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
    /// Too many bytes are on their way at once.
    Busy,
    /// The service is about to end.
    Stopping,
}

impl Webhook {
    /// Creates a webhook that sends an event for every delivery that may matter to `repository`.
    #[must_use]
    pub fn new(secrets: Secrets, repository: RepositoryName, events: Events, metrics: Metrics) -> Self {
        let behind: [Arc<AtomicBool>; 3] = Default::default();
        // Never waits, since GitHub does not.
        let wake = move |event| match events.try_send(event) {
            Ok(()) => Woken::Queued,
            Err(TrySendError::Full(event)) => {
                // A full channel holds hints that are not taken in yet, and the look that they lead to sees every ref
                // that this one tells of. What refs do not show goes behind them, each event once.
                let is_behind = &behind[event as usize];
                if event > Event::Moved && !is_behind.swap(true, Ordering::AcqRel) {
                    tokio::spawn(send_behind(event, events.clone(), Arc::clone(is_behind)));
                }
                Woken::AlreadyAwake
            }
            Err(TrySendError::Closed(_)) => Woken::Stopping,
        };
        Self {
            secrets,
            repository,
            wake: Box::new(wake),
            seen: Mutex::new(Seen::new(CAPACITY)),
            metrics,
            refusal_logged: Mutex::new(None),
        }
    }

    /// Judges a whole delivery: the signature first, and the content only if that is right.
    pub(super) fn receive(&self, head: &Head, body: &[u8]) -> Verdict {
        if !self.secrets.have_signed(body, &head.signature) {
            return self.refuse(Verdict::Unsigned);
        }
        let verdict = self.take_in(head, body);
        self.metrics.count_delivery(head.event.as_str(), verdict.as_str());
        let (event, delivery) = (head.event.as_str(), head.id.as_str());
        if let Some(hint) = verdict.hint() {
            warn!(event, delivery, hint, "refused a delivery: {}", verdict.reason());
        } else {
            debug!(event, delivery, "received a delivery: {}", verdict.reason());
        }
        verdict
    }

    /// Counts a delivery that was refused before anything showed that it comes from GitHub.
    pub(super) fn refuse(&self, verdict: Verdict) -> Verdict {
        self.metrics.count_delivery("unverified", verdict.as_str());
        let mut logged = self.refusal_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= REFUSAL_LOG_INTERVAL) {
            *logged = Some(Instant::now());
            info!("refused a delivery that may be from a stranger: {}", verdict.reason());
        }
        verdict
    }

    fn take_in(&self, head: &Head, body: &[u8]) -> Verdict {
        if !head.is_json {
            return Verdict::NotJson;
        }
        match meaning(head.event, body, &self.repository) {
            Err(_) => Verdict::Malformed,
            Ok(Meaning::Irrelevant) => Verdict::Irrelevant,
            Ok(Meaning::OtherRepository) => Verdict::OtherRepository,
            Ok(Meaning::MayHaveChanged(event)) => self.hint(&head.id, event),
        }
    }

    fn hint(&self, id: &DeliveryId, event: Event) -> Verdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(id) {
            return Verdict::Repeated;
        }
        let verdict = match (self.wake)(event) {
            Woken::Queued => Verdict::Queued,
            Woken::AlreadyAwake => Verdict::Coalesced,
            Woken::Stopping => return Verdict::Stopping,
        };
        seen.remember(id.clone());
        verdict
    }
}

/// Waits for room in the channel and sends a hint that may not be lost among others.
async fn send_behind(event: Event, events: Events, is_behind: Arc<AtomicBool>) {
    let Ok(room) = events.reserve().await else { return };
    // Whoever sees this from now on comes after the hint, and needs one of their own.
    is_behind.store(false, Ordering::Release);
    room.send(event);
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Head {
    /// Reads the head of a delivery.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Verdict> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = text("x-hub-signature-256").and_then(Signature::parse).ok_or(Verdict::Unsigned)?;
        let event = text("x-github-event").map(EventKind::parse).ok_or(Verdict::Incomplete)?;
        let id = text("x-github-delivery").and_then(DeliveryId::parse).ok_or(Verdict::Incomplete)?;
        let content_type = text(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Ok(Self { event, id, signature, is_json: media_type.eq_ignore_ascii_case("application/json") })
    }
}

impl Verdict {
    /// Returns the status that the delivery is answered with.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Queued | Self::Coalesced | Self::Repeated | Self::Irrelevant | Self::OtherRepository => {
                StatusCode::ACCEPTED
            }
            Self::Incomplete | Self::Malformed | Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the name by which metrics count it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Coalesced => "coalesced",
            Self::Repeated => "repeated",
            Self::Irrelevant => "irrelevant",
            Self::OtherRepository => "other_repository",
            Self::Incomplete => "incomplete",
            Self::Unsigned => "unsigned",
            Self::NotJson => "not_json",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::BrokenOff => "broken_off",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
        }
    }

    /// Returns whether the sender has shown that it knows a secret, so that it may be told the reason.
    pub(super) const fn is_for_friends(self) -> bool {
        match self {
            Self::Queued
            | Self::Coalesced
            | Self::Repeated
            | Self::Irrelevant
            | Self::OtherRepository
            | Self::NotJson
            | Self::Malformed
            | Self::Stopping => true,
            Self::Incomplete | Self::Unsigned | Self::TooLarge | Self::BrokenOff | Self::Busy => false,
        }
    }

    /// Says in words what became of the delivery, as the log and the webhook's page on GitHub show it.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Queued => "queued a look",
            Self::Coalesced => "a look is queued already",
            Self::Repeated => "this delivery was taken in before",
            Self::Irrelevant => "nothing that is looked at can have changed",
            Self::OtherRepository => "this is about another repository",
            Self::Incomplete => "a header that every delivery has is missing",
            Self::Unsigned => "the signature is missing, or not made with the webhook's secret",
            Self::NotJson => "the webhook's content type must be `application/json`",
            Self::Malformed => "the body is not the payload of an event",
            Self::TooLarge => "the body is too large",
            Self::BrokenOff => "the body broke off",
            Self::Busy => "too many bytes are on their way",
            Self::Stopping => "the service is stopping",
        }
    }

    /// Returns what a person has to do for deliveries to be of use.
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
