//! Removing what git no longer wants, one stage after the other.
//!
//! What is left is read again before each step, so a removal that was stopped anywhere goes on where it was.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::View;
use crate::argocd::{
    Application, ApplicationSet, HubFleet, Leftover, Question, Reach, Removal, Silent, Stage, rollout,
};
use crate::cluster::{Cascade, ClusterError, ClusterErrorKind, Key};
use crate::error::CommandError;
use crate::events::{Cancel, Stopped};

/// The finalizer by which Argo CD deletes what an Application has deployed.
const WITH_RESOURCES: &str = "resources-finalizer.argocd.argoproj.io";
/// How long a step may take before it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Removes objects, and returns those that are left when the time is over. `show` is given each one that is gone.
pub async fn prune(
    view: &mut View,
    fleet: &HubFleet,
    mut left: Vec<Removal>,
    timeout: Duration,
    cancel: &Cancel,
    show: impl Fn(&Removal),
) -> Result<Vec<Removal>, CommandError> {
    let deadline = Instant::now() + timeout;
    let mut tried = BTreeMap::new();
    loop {
        let now = leftovers(view, fleet);
        let (gone, still): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|removal| !now.iter().any(|it| it.is_same(&removal.leftover)));
        gone.iter().for_each(&show);
        left = still;
        let Some(stage) = left.iter().map(|removal| removal.leftover.stage).min() else { return Ok(left) };
        for removal in left.iter().filter(|removal| removal.leftover.stage == stage) {
            let name = (removal.leftover.kind.clone(), removal.leftover.key.clone());
            if tried.get(&name).is_none_or(|at: &Instant| at.elapsed() >= AGAIN_AFTER) {
                tried.insert(name, Instant::now());
                step(view, removal).await?;
            }
        }
        tokio::select! {
            changed = view.changed() => changed?,
            () = sleep_until(deadline.min(Instant::now() + AGAIN_AFTER)) => {}
            () = cancel.requested() => return Err(Stopped.into()),
        }
        if Instant::now() >= deadline {
            return Ok(left);
        }
    }
}

/// Returns what is left over now.
#[must_use]
pub fn leftovers(view: &View, fleet: &HubFleet) -> Vec<Leftover> {
    let question = Question { fleet, revision: "", silent: &Silent::default(), now: SystemTime::now() };
    rollout(question, view.observed(), |_| Reach::Unknown).leftovers
}

async fn step(view: &View, removal: &Removal) -> Result<(), CommandError> {
    let done = match removal.leftover.stage {
        Stage::Set => {
            let Key { namespace, name } = &removal.leftover.key;
            view.client().delete::<ApplicationSet>(namespace, name, Cascade::Orphan).await
        }
        Stage::Application | Stage::Root => application(view, removal).await,
        Stage::Object => object(view, &removal.leftover).await,
    };
    match done {
        // It went by itself, or is tried again.
        Err(error) if error.kind == ClusterErrorKind::NotFound || error.is_transient() => Ok(()),
        done => Ok(done?),
    }
}

/// Deletes an Application. A sync that runs is ended: Argo CD deletes nothing while one does.
async fn application(view: &View, removal: &Removal) -> Result<(), ClusterError> {
    let Key { namespace, name } = &removal.leftover.key;
    let live = view.observed().applications.get(&removal.leftover.key);
    let change =
        async |patch: Value| view.client().patch::<Application>(namespace, name, &patch).await.map(drop);
    if live.is_some_and(|live| live.metadata.deletion_timestamp.is_none()) {
        let finalizers: &[&str] = if removal.with_resources { &[WITH_RESOURCES] } else { &[] };
        change(json!({ "metadata": { "finalizers": finalizers } })).await?;
        view.client().delete::<Application>(namespace, name, Cascade::Background).await?;
    }
    if removal.with_resources && live.is_some_and(Application::is_syncing) {
        change(json!({ "operation": null, "status": { "operationState": { "phase": "Terminating" } } }))
            .await?;
    }
    Ok(())
}

/// Lets Argo CD delete an object that an Application brought in: by a sync of this object alone, with pruning.
async fn object(view: &View, leftover: &Leftover) -> Result<(), ClusterError> {
    let Some(Key { namespace, name }) = &leftover.application else { return Ok(()) };
    let Key { namespace: of, name: object } = &leftover.key;
    let resource =
        json!({ "group": leftover.api_group, "kind": leftover.kind, "namespace": of, "name": object });
    let sync = json!({ "prune": true, "resources": [resource] });
    let operation = json!({ "operation": { "initiatedBy": { "username": "fleetwright" }, "sync": sync } });
    view.client().patch::<Application>(namespace, name, &operation).await.map(drop)
}
