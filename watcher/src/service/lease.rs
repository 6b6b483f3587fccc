//! Which of several replicas works: the one that holds a Lease.
//!
//! No clock has to agree with another one. A holder counts from the moment before it asked for a renewal, and works for
//! [`HELD`]; the others count from the moment at which they saw the Lease change last, and wait for [`TERM`].

use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::cluster::{Client, ClusterError, ClusterErrorKind, Kind, Metadata};
use crate::events::Cancel;

/// How long a Lease is held after it was last renewed.
pub const TERM: Duration = Duration::from_secs(15);
/// How long its holder works after it asked for the last renewal: less, so that it has stopped before.
const HELD: Duration = Duration::from_secs(10);
/// How often a Lease is renewed, and looked at by those who wait for it.
const INTERVAL: Duration = Duration::from_secs(2);

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

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    holder_identity: Option<String>,
    lease_transitions: Option<u32>,
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

/// Decides what to do about a Lease that has not changed for so long.
fn step(lease: Option<&Lease>, me: &str, unchanged: Duration) -> Step {
    let Some(lease) = lease else { return Step::Make };
    match lease.spec.holder_identity.as_deref() {
        None | Some("") => Step::Take,
        Some(holder) if holder == me || unchanged >= TERM => Step::Take,
        Some(_) => Step::Wait,
    }
}

/// One replica, and the Lease that it asks for.
#[derive(Clone)]
pub struct Candidate {
    client: Client,
    lease: LeaseName,
    me: String,
}

/// A Lease that is held, and renewed until it is released.
pub struct Tenure {
    candidate: Candidate,
    renewing: JoinHandle<bool>,
}

impl Candidate {
    /// Creates a replica that is known by this name.
    #[must_use]
    pub fn new(client: Client, lease: LeaseName, me: String) -> Self {
        Self { client, lease, me }
    }

    /// Waits until the Lease is held, and renews it from then on. `cancel` is raised as soon as it is lost.
    pub async fn win(self, cancel: &Cancel) -> Result<Tenure, ClusterError> {
        info!(lease = %self.lease.name, replica = self.me, "waiting for the Lease");
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let asked = Instant::now();
            match self.attempt(&mut seen).await {
                Ok(Some(version)) => {
                    cancel.expire_at(asked + HELD);
                    info!(lease = %self.lease.name, replica = self.me, "holds the Lease");
                    let renewing = tokio::spawn(self.clone().renew(version, cancel.clone()));
                    return Ok(Tenure { candidate: self, renewing });
                }
                Ok(None) => {}
                Err(error) if error.is_transient() => {
                    warn!(%error, "failed to look at the Lease; trying again");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Looks at the Lease once, and takes it if it may; returns its version then.
    async fn attempt(&self, seen: &mut Option<(String, Instant)>) -> Result<Option<String>, ClusterError> {
        let LeaseName { namespace, name } = &self.lease;
        let lease: Option<Lease> = self.client.get(namespace, name).await?;
        let now = Instant::now();
        let version = lease.as_ref().map_or("", |lease| lease.metadata.resource_version.as_str());
        if seen.as_ref().is_none_or(|(known, _)| known != version) {
            *seen = Some((version.to_owned(), now));
        }
        let unchanged = seen.as_ref().map_or(Duration::ZERO, |(_, since)| now.duration_since(*since));
        let changes = |lease: &Lease| lease.spec.lease_transitions.unwrap_or_default() + 1;
        let taken: Result<Lease, ClusterError> = match (step(lease.as_ref(), &self.me, unchanged), &lease) {
            (Step::Wait, _) => return Ok(None),
            (Step::Take, Some(lease)) => self.patch(version, Some(changes(lease))).await,
            _ => self.client.make(namespace, name, &self.me, &self.new_lease()).await,
        };
        Ok(Some(taken?.metadata.resource_version))
    }

    fn new_lease(&self) -> Value {
        let LeaseName { namespace, name } = &self.lease;
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "namespace": namespace, "name": name },
            "spec": spec(&self.me, Some(0)),
        })
    }

    /// Writes that the Lease is held from now on, if nothing has changed since a version.
    async fn patch(&self, version: &str, transitions: Option<u32>) -> Result<Lease, ClusterError> {
        let LeaseName { namespace, name } = &self.lease;
        let patch =
            json!({ "metadata": { "resourceVersion": version }, "spec": spec(&self.me, transitions) });
        self.client.patch(namespace, name, &patch).await
    }

    /// Renews the Lease until a stop is requested or it is lost; returns whether it is still held.
    async fn renew(self, mut version: String, cancel: Cancel) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = cancel.requested() => return !cancel.is_expired(),
            }
            let asked = Instant::now();
            match tokio::time::timeout(INTERVAL, self.patch(&version, None)).await {
                Ok(Ok(lease)) => {
                    version = lease.metadata.resource_version;
                    cancel.expire_at(asked + HELD);
                }
                Ok(Err(error)) if error.kind == ClusterErrorKind::Conflict => {
                    warn!("another replica has taken the Lease");
                    cancel.request();
                    return false;
                }
                Ok(Err(error)) => warn!(%error, "failed to renew the Lease"),
                Err(_) => warn!("failed to renew the Lease: no answer"),
            }
            if cancel.is_expired() {
                warn!("the Lease was not renewed in time");
                cancel.request();
                return false;
            }
        }
    }
}

impl Tenure {
    /// Gives the Lease back after all work has ended, so that the next one need not wait; returns whether it was
    /// still held.
    pub async fn release(self) -> bool {
        let is_held = self.renewing.await.unwrap_or(false);
        if is_held {
            let LeaseName { namespace, name } = &self.candidate.lease;
            let free = json!({ "spec": { "holderIdentity": null } });
            let given = self.candidate.client.patch::<Lease>(namespace, name, &free);
            if !matches!(tokio::time::timeout(INTERVAL, given).await, Ok(Ok(_))) {
                warn!("failed to give the Lease back; the next replica waits for its end");
            }
        }
        is_held
    }
}

fn spec(holder: &str, transitions: Option<u32>) -> Value {
    let now = format!("{:.6}", jiff::Timestamp::now());
    let mut spec =
        json!({ "holderIdentity": holder, "leaseDurationSeconds": TERM.as_secs(), "renewTime": now });
    if let Some(transitions) = transitions {
        spec["acquireTime"] = spec["renewTime"].clone();
        spec["leaseTransitions"] = transitions.into();
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: Option<&str>) -> Lease {
        Lease {
            spec: Spec { holder_identity: holder.map(str::to_owned), ..Spec::default() },
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_is_taken_when_no_one_holds_it_or_renews_it() {
        let just_before = Duration::from_millis(14_999);
        for (lease, unchanged, wanted) in [
            (None, Duration::ZERO, Step::Make),
            (Some(held_by(None)), Duration::ZERO, Step::Take),
            (Some(held_by(Some(""))), Duration::ZERO, Step::Take),
            (Some(held_by(Some("me"))), Duration::ZERO, Step::Take),
            (Some(held_by(Some("other"))), just_before, Step::Wait),
            (Some(held_by(Some("other"))), TERM, Step::Take),
        ] {
            assert_eq!(step(lease.as_ref(), "me", unchanged), wanted, "{lease:?} after {unchanged:?}");
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
