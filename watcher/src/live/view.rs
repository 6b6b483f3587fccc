//! What is in Argo CD's namespace, kept current by two watches.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::ask::Target;
use crate::argocd::{Application, ApplicationSet, DesiredFleet, Observed, REFRESH, SET_REFRESH};
use crate::cluster::{Change, Client, ClusterError, Key, Store};
use crate::error::CommandError;
use crate::events::{Cancel, Stopped};

/// How long further changes are taken together with the first one.
const TOGETHER: Duration = Duration::from_millis(200);

enum Either {
    Application(Change<Application>),
    Set(Change<ApplicationSet>),
}

/// What became of the connection by a change.
enum Taken {
    Change,
    Lost(ClusterError),
}

type Changes = Pin<Box<dyn Stream<Item = Result<Either, ClusterError>> + Send>>;

/// What is in a namespace, as it is now.
pub struct View {
    client: Client,
    namespace: String,
    changes: Changes,
    applications: Store<Application>,
    sets: Store<ApplicationSet>,
}

impl View {
    /// Starts to watch the hub of a client, and leaves of what is desired what is for the hub whose `ApplicationSet`s
    /// are there. A hub that sends nothing for as long as `longest` is an error.
    pub async fn of_hub(
        client: Client,
        fleet: &mut DesiredFleet,
        longest: Duration,
        cancel: &Cancel,
    ) -> Result<Self, CommandError> {
        let view = tokio::select! {
            view = Self::start(client, fleet.namespace(), longest) => view?,
            () = cancel.requested() => return Err(Stopped.into()),
        };
        view.narrow(fleet)?;
        Ok(view)
    }

    /// Leaves of what is desired what is for the hub whose `ApplicationSet`s are there.
    pub(super) fn narrow(&self, fleet: &mut DesiredFleet) -> Result<(), CommandError> {
        leave_one_hub(fleet, |hub| self.observed().sets.keys().any(|set| set.name == hub))
    }

    /// Returns the namespace that is watched.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Starts two watches, and returns once both have listed what there is.
    async fn start(client: Client, namespace: &str, longest: Duration) -> Result<Self, ClusterError> {
        let applications = client.watch(namespace).map(|change| change.map(Either::Application));
        let sets = client.watch(namespace).map(|change| change.map(Either::Set));
        let mut view = Self {
            client,
            namespace: namespace.to_owned(),
            changes: Box::pin(stream::select(applications, sets)),
            applications: Store::default(),
            sets: Store::default(),
        };
        let (mut heard, mut last) = (Instant::now(), None);
        while !(view.applications.is_listed() && view.sets.is_listed()) {
            match timeout_at(heard + longest, view.take_one()).await {
                Ok(Ok(Taken::Change)) => heard = Instant::now(),
                Ok(Ok(Taken::Lost(error))) => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    return Err(last.unwrap_or_else(|| ClusterError::no_answer(view.client.place(), longest)));
                }
            }
        }
        Ok(view)
    }

    /// Waits for a change, and takes those with it that come right after it. May be dropped at any time.
    pub async fn changed(&mut self) -> Result<(), ClusterError> {
        self.take_one().await?;
        let together = sleep(TOGETHER);
        tokio::pin!(together);
        loop {
            tokio::select! {
                () = &mut together => return Ok(()),
                taken = self.take_one() => drop(taken?),
            }
        }
    }

    async fn take_one(&mut self) -> Result<Taken, ClusterError> {
        let Some(change) = self.changes.next().await else { return std::future::pending().await };
        match change? {
            Either::Application(Change::Lost(error)) | Either::Set(Change::Lost(error)) => {
                warn!("{error}");
                return Ok(Taken::Lost(error));
            }
            Either::Application(change) => self.applications.apply(change),
            Either::Set(change) => self.sets.apply(change),
        }
        Ok(Taken::Change)
    }

    /// Returns the API server.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns what there is.
    #[must_use]
    pub fn observed(&self) -> Observed<'_> {
        Observed { applications: self.applications.objects(), sets: self.sets.objects() }
    }

    /// Asks Argo CD to look at something again, by the value of the annotation for that.
    pub(super) async fn refresh(&mut self, target: &Target, how: &str) -> Result<(), ClusterError> {
        let annotation = |name: &str| -> Value { json!({ "metadata": { "annotations": { name: how } } }) };
        match target {
            Target::Application(Key { name, .. }) => {
                let asked = self.client.patch(&self.namespace, name, &annotation(REFRESH)).await?;
                self.applications.set(asked);
            }
            Target::Set(Key { name, .. }) => {
                let asked = self.client.patch(&self.namespace, name, &annotation(SET_REFRESH)).await?;
                self.sets.set(asked);
            }
        }
        Ok(())
    }
}

/// Leaves of what is desired what is for the hub whose `ApplicationSet` is there.
pub(super) fn leave_one_hub(
    fleet: &mut DesiredFleet,
    is_there: impl Fn(&str) -> bool,
) -> Result<(), CommandError> {
    fleet.of_one_hub(is_there).map_err(|hubs| {
        CommandError::usage(
            format!("it is not clear which hub this is: {}", renderer::plural::quoted(hubs)),
            "name the context of one of them with `--context NAME`; a hub is known by its ApplicationSet",
        )
    })
}
