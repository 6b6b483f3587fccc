//! Which of several replicas works: the one that holds a Lease.
//!
//! No clock has to agree with another one. A holder counts from the moment before it asked for a renewal, and works for
//! two thirds of the [`Term`]; the others count from the moment at which they last saw the Lease renewed, and wait for the
//! whole term that its holder wrote into it.
//!
//! Events that reach a replica that waits are written into the annotations of the Lease, where the holder finds them as
//! it renews it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::cluster::{Client, ClusterError, ClusterErrorKind, Kind, Metadata};
use crate::events::{Cancel, Event, Events, Monitor};

/// What the annotations that pass events on begin with.
const ANNOTATION_PREFIX: &str = "fleetwright/";

/// How long a Lease is held after it was last renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(Duration);

impl Term {
    /// Creates a term of so many seconds.
    #[must_use]
    pub const fn of_seconds(seconds: u32) -> Self {
        Self(Duration::from_secs(seconds as u64))
    }

    /// How long its holder works after it asked for the last renewal: less, so that it has stopped before.
    fn held(self) -> Duration {
        self.0 * 2 / 3
    }

    /// How often a Lease is renewed, and looked at by those who wait for it.
    fn interval(self) -> Duration {
        self.0 * 2 / 15
    }
}

/// A Lease, by its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    namespace: String,
    name: String,
}

/// What is no name of a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not NAMESPACE/NAME, such as `fleetwright/fleetwright`")]
pub struct NotALease(String);

impl FromStr for LeaseName {
    type Err = NotALease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = |part: &str| (1..=63).contains(&part.len()) && part.chars().all(is_allowed);
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(NotALease(text.to_owned())),
        }
    }
}

/// A Lease, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Lease {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u32>,
    lease_transitions: Option<u32>,
    renew_time: Option<String>,
}

impl Spec {
    fn holder(&self) -> &str {
        self.holder_identity.as_deref().unwrap_or_default()
    }

    /// Returns whether it is held as it was: by the same replica without a break.
    fn continues(&self, earlier: &Self) -> bool {
        self.holder() == earlier.holder() && self.lease_transitions == earlier.lease_transitions
    }
}

impl Kind for Lease {
    const GROUP: &str = "coordination.k8s.io";
    const VERSION: &str = "v1";
    const NAME: &str = "Lease";
    const PLURAL: &str = "leases";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// What is done about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is not there.
    Make,
    /// No one holds it, or the one who did has not renewed it.
    Take,
    /// Another one holds it.
    Wait,
}

/// Decides what to do about a Lease that was not renewed for so long; `term` is how long it is held if it does not say so.
fn step(lease: Option<&Lease>, me: &str, unchanged: Duration, term: Term) -> Step {
    let Some(Lease { spec, .. }) = lease else { return Step::Make };
    let term = spec.lease_duration_seconds.map_or(term, Term::of_seconds);
    match spec.holder() {
        "" => Step::Take,
        holder if holder == me || unchanged >= term.0 => Step::Take,
        _ => Step::Wait,
    }
}

/// Returns the strongest event that a replica that waits has passed on since the annotations were last read.
fn passed_on(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Option<Event> {
    let key = |event: &Event| format!("{ANNOTATION_PREFIX}{}", event.word());
    let is_new = |event: &Event| now.get(&key(event)).is_some_and(|at| before.get(&key(event)) != Some(at));
    Event::ALL.into_iter().filter(is_new).max()
}

/// One replica, and the Lease that it asks for.
#[derive(Clone)]
pub struct Candidate {
    client: Client,
    lease: LeaseName,
    term: Term,
    me: String,
}

/// A Lease that is held, and renewed until it is released.
pub struct Tenure {
    candidate: Candidate,
    renewing: JoinHandle<bool>,
    /// Ends the renewals when it is dropped.
    until: oneshot::Sender<()>,
}

/// What a replica that waits has seen and received.
#[derive(Default)]
struct Waiting {
    /// The Lease as it was last renewed, and when that was first seen.
    seen: Option<(Spec, Instant)>,
    /// What was reported, and is not passed on yet.
    event: Option<Event>,
}

impl Candidate {
    /// Creates a replica that is known by this name.
    #[must_use]
    pub fn new(client: Client, lease: LeaseName, term: Term, me: String) -> Self {
        Self { client, lease, term, me }
    }

    /// Waits until the Lease is held, and renews it from then on. `cancel` stops work as soon as it is lost.
    ///
    /// Until then events are received and passed on to the holder; what others pass on later is sent to `events`.
    pub(super) async fn win(
        self,
        received: &mut Receiver<Event>,
        events: &Events,
        monitor: &Monitor,
        cancel: &Cancel,
    ) -> Result<Tenure, ClusterError> {
        info!(lease = %self.lease.name, replica = self.me, "waiting for the Lease");
        let mut waiting = Waiting::default();
        loop {
            let asked = Instant::now();
            match self.attempt(&mut waiting).await {
                Ok(Some(lease)) => {
                    cancel.expire_at(asked + self.term.held());
                    monitor.set_leader();
                    info!(lease = %self.lease.name, replica = self.me, "holds the Lease");
                    let (until, is_over) = oneshot::channel();
                    let renewing = self.clone().renew(lease, events.clone(), cancel.clone(), is_over);
                    return Ok(Tenure { candidate: self, renewing: tokio::spawn(renewing), until });
                }
                Ok(None) => monitor.set_follower(asked),
                Err(error) if error.is_transient() => {
                    warn!(%error, "failed to look at the Lease; trying again");
                }
                Err(error) => return Err(error),
            }
            self.receive(received, &mut waiting.event).await;
        }
    }

    /// Receives events until it is time to look at the Lease again.
    async fn receive(&self, received: &mut Receiver<Event>, strongest: &mut Option<Event>) {
        let pause = sleep(self.term.interval());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                Some(event) = received.recv() => *strongest = (*strongest).max(Some(event)),
            }
        }
    }

    /// Looks at the Lease once: takes it if it may and returns it then, or passes on what was received.
    async fn attempt(&self, waiting: &mut Waiting) -> Result<Option<Lease>, ClusterError> {
        let LeaseName { namespace, name } = &self.lease;
        let lease: Option<Lease> = self.client.get(namespace, name).await?;
        let (now, spec) =
            (Instant::now(), lease.as_ref().map(|lease| lease.spec.clone()).unwrap_or_default());
        let since = match &waiting.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => now,
        };
        waiting.seen = Some((spec, since));
        let taken = match (step(lease.as_ref(), &self.me, now.duration_since(since), self.term), &lease) {
            (Step::Wait, _) => return self.pass_on(&mut waiting.event).await.map(|()| None),
            (Step::Take, Some(lease)) => {
                let transitions = lease.spec.lease_transitions.unwrap_or_default() + 1;
                self.patch(lease, Some(transitions)).await
            }
            _ => self.client.make(namespace, name, &self.me, &self.new_lease()).await,
        };
        taken.map(Some)
    }

    /// Writes into the Lease what was received, for its holder.
    async fn pass_on(&self, event: &mut Option<Event>) -> Result<(), ClusterError> {
        let Some(strongest) = *event else { return Ok(()) };
        let LeaseName { namespace, name } = &self.lease;
        let key = format!("{ANNOTATION_PREFIX}{}", strongest.word());
        let note = json!({ "metadata": { "annotations": { key: format!("{} {}", now(), self.me) } } });
        let _: Lease = self.client.patch(namespace, name, &note).await?;
        debug!(event = strongest.word(), "passed an event on to the holder of the Lease");
        *event = None;
        Ok(())
    }

    fn new_lease(&self) -> Value {
        let LeaseName { namespace, name } = &self.lease;
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "namespace": namespace, "name": name },
            "spec": self.spec(Some(0)),
        })
    }

    fn spec(&self, transitions: Option<u32>) -> Value {
        let (holder, now) = (&self.me, now());
        let mut spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": self.term.0.as_secs(), "renewTime": now });
        if let Some(transitions) = transitions {
            spec["acquireTime"] = now.into();
            spec["leaseTransitions"] = transitions.into();
        }
        spec
    }

    /// Writes that the Lease is held from now on, if nothing has changed since it was read.
    async fn patch(&self, lease: &Lease, transitions: Option<u32>) -> Result<Lease, ClusterError> {
        let LeaseName { namespace, name } = &self.lease;
        let version = &lease.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version }, "spec": self.spec(transitions) });
        self.client.patch(namespace, name, &patch).await
    }

    /// Renews the Lease until it is lost or no work is under way any more; returns whether it is still held. What others
    /// have passed on is sent to `events`.
    async fn renew(
        self,
        mut lease: Lease,
        events: Events,
        cancel: Cancel,
        mut is_over: oneshot::Receiver<()>,
    ) -> bool {
        let mut event = None;
        while !cancel.is_expired() {
            tokio::select! {
                () = sleep(self.term.interval()) => {}
                _ = &mut is_over => return !cancel.is_expired(),
            }
            let asked = Instant::now();
            match timeout(self.term.interval(), self.renewed(&lease)).await {
                Ok(Ok(Some(renewed))) => {
                    event = event.max(passed_on(&lease.metadata.annotations, &renewed.metadata.annotations));
                    lease = renewed;
                    cancel.expire_at(asked + self.term.held());
                }
                Ok(Ok(None)) => {
                    warn!("another replica has taken the Lease");
                    cancel.request();
                    return false;
                }
                Ok(Err(error)) => warn!(%error, "failed to renew the Lease"),
                Err(_) => warn!("failed to renew the Lease: no answer"),
            }
            // A full channel is full of hints, and leads to a look all the same.
            event = event.filter(|event| events.try_send(*event).is_err());
        }
        warn!("the Lease was not renewed in time");
        false
    }

    /// Renews the Lease once; nothing if another replica has it. What is written beside that, such as an event that was
    /// passed on, takes nothing away.
    async fn renewed(&self, lease: &Lease) -> Result<Option<Lease>, ClusterError> {
        let LeaseName { namespace, name } = &self.lease;
        match self.patch(lease, None).await {
            Err(error) if error.kind == ClusterErrorKind::Conflict => {}
            renewed => return renewed.map(Some),
        }
        match self.client.get::<Lease>(namespace, name).await? {
            Some(now) if now.spec.continues(&lease.spec) => self.patch(&now, None).await.map(Some),
            _ => Ok(None),
        }
    }
}

impl Tenure {
    /// Gives the Lease back after all work has ended, so that the next one need not wait; returns whether it was
    /// still held.
    pub async fn release(self) -> bool {
        drop(self.until);
        let is_held = self.renewing.await.unwrap_or(false);
        if is_held {
            let LeaseName { namespace, name } = &self.candidate.lease;
            let free = json!({ "spec": { "holderIdentity": null } });
            let given = self.candidate.client.patch::<Lease>(namespace, name, &free);
            if !matches!(timeout(self.candidate.term.interval(), given).await, Ok(Ok(_))) {
                warn!("failed to give the Lease back; the next replica waits for its end");
            }
        }
        is_held
    }
}

/// Returns this moment as a Lease has it.
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Term = Term::of_seconds(15);

    fn held_by(holder: Option<&str>, seconds: Option<u32>) -> Lease {
        let holder_identity = holder.map(str::to_owned);
        let spec = Spec { holder_identity, lease_duration_seconds: seconds, ..Spec::default() };
        Lease { spec, ..Lease::default() }
    }

    #[test]
    fn a_lease_is_taken_when_no_one_holds_it_or_renews_it() {
        let just_before = Duration::from_millis(14_999);
        for (lease, unchanged, wanted) in [
            (None, Duration::ZERO, Step::Make),
            (Some(held_by(None, None)), Duration::ZERO, Step::Take),
            (Some(held_by(Some(""), Some(15))), Duration::ZERO, Step::Take),
            (Some(held_by(Some("me"), None)), Duration::ZERO, Step::Take),
            (Some(held_by(Some("other"), None)), just_before, Step::Wait),
            (Some(held_by(Some("other"), None)), TERM.0, Step::Take),
            // What its holder counts by is in it.
            (Some(held_by(Some("other"), Some(30))), TERM.0, Step::Wait),
            (Some(held_by(Some("other"), Some(3))), 3 * TERM.interval(), Step::Take),
        ] {
            assert_eq!(step(lease.as_ref(), "me", unchanged, TERM), wanted, "{lease:?} after {unchanged:?}");
        }
    }

    #[test]
    fn a_holder_stops_before_another_one_starts_and_renews_often_enough() {
        for seconds in [3, 15, 600] {
            let term = Term::of_seconds(seconds);
            assert!(term.held() < term.0 && term.interval() * 4 < term.held(), "{seconds}");
        }
    }

    #[test]
    fn what_is_written_beside_a_lease_takes_nothing_away_and_a_new_holder_does() {
        let mine = Spec { lease_transitions: Some(4), ..held_by(Some("me"), Some(15)).spec };
        let renewed = Spec { renew_time: Some(now()), ..mine.clone() };
        assert!(mine.continues(&mine) && renewed.continues(&mine));
        for lost in [
            held_by(Some("other"), Some(15)).spec,
            Spec { holder_identity: None, ..mine.clone() },
            Spec { lease_transitions: Some(6), ..mine.clone() },
        ] {
            assert!(!lost.continues(&mine), "{lost:?}");
        }
    }

    #[test]
    fn the_strongest_event_that_is_new_is_passed_on_once() {
        let notes = |notes: &[(&str, &str)]| {
            let note = |(word, at): &(&str, &str)| (format!("fleetwright/{word}"), (*at).to_owned());
            notes.iter().map(note).collect::<BTreeMap<_, _>>()
        };
        let before = notes(&[("moved", "1"), ("asked", "1")]);
        for (now, expected) in [
            (notes(&[("moved", "1"), ("asked", "1")]), None),
            (notes(&[]), None),
            (notes(&[("moved", "2"), ("asked", "1")]), Some(Event::Moved)),
            (notes(&[("moved", "2"), ("changed", "2"), ("asked", "1")]), Some(Event::Changed)),
            (notes(&[("moved", "1"), ("asked", "2"), ("unknown", "2")]), Some(Event::Asked)),
        ] {
            assert_eq!(passed_on(&before, &now), expected, "{now:?}");
        }
    }

    #[test]
    fn a_lease_is_named_with_its_namespace() {
        let lease: LeaseName = "fleetwright/main".parse().unwrap();
        assert_eq!((lease.namespace.as_str(), lease.name.as_str()), ("fleetwright", "main"));
        for text in ["", "main", "/main", "a/", "a/B", "a/b/c"] {
            assert_eq!(text.parse::<LeaseName>(), Err(NotALease(text.to_owned())));
        }
    }
}
