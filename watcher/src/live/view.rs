//! What is in Argo CD's namespace, kept current by two watches.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};
use tracing::warn;

use crate::argocd::{Application, ApplicationSet, DesiredFleet, Observed, REFRESH};
use crate::cluster::{Change, Client, ClusterError, Key, Store};
use crate::error::CommandError;
use crate::events::{Cancel, Stopped};

/// How long further changes are taken together with the first one.
const TOGETHER: Duration = Duration::from_millis(200);

enum Either {
    Application(Change<Application>),
    Set(Change<ApplicationSet>),
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
    /// are there.
    pub async fn of_hub(
        client: Client,
        fleet: &mut DesiredFleet,
        cancel: &Cancel,
    ) -> Result<Self, CommandError> {
        let view = tokio::select! {
            view = Self::start(client, fleet.namespace()) => view?,
            () = cancel.requested() => return Err(Stopped.into()),
        };
        view.narrow(fleet)?;
        Ok(view)
    }

    /// Leaves of what is desired what is for the hub whose `ApplicationSet`s are there.
    pub(super) fn narrow(&self, fleet: &mut DesiredFleet) -> Result<(), CommandError> {
        let is_there = |hub: &str| self.observed().sets.keys().any(|set| set.name == hub);
        fleet.of_one_hub(is_there).map_err(|hubs| {
            let hubs = renderer::plural::quoted(hubs);
            CommandError::usage(
                format!("it is not clear which hub this is: {hubs}"),
                "name the context of one of them with `--context NAME`; a hub is known by its ApplicationSet",
            )
        })
    }

    /// Returns the namespace that is watched.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Starts two watches, and returns once both have listed what there is.
    async fn start(client: Client, namespace: &str) -> Result<Self, ClusterError> {
        let applications = client.watch(namespace).map(|change| change.map(Either::Application));
        let sets = client.watch(namespace).map(|change| change.map(Either::Set));
        let mut view = Self {
            client,
            namespace: namespace.to_owned(),
            changes: Box::pin(stream::select(applications, sets)),
            applications: Store::default(),
            sets: Store::default(),
        };
        while !(view.applications.is_listed() && view.sets.is_listed()) {
            view.take_one().await?;
        }
        Ok(view)
    }

    /// Waits for a change, and takes those with it that come right after it. May be dropped at any time.
    pub async fn changed(&mut self) -> Result<(), ClusterError> {
        self.take_one().await?;
        let together = tokio::time::sleep(TOGETHER);
        tokio::pin!(together);
        loop {
            tokio::select! {
                () = &mut together => return Ok(()),
                taken = self.take_one() => taken?,
            }
        }
    }

    async fn take_one(&mut self) -> Result<(), ClusterError> {
        let Some(change) = self.changes.next().await else { return std::future::pending().await };
        match change? {
            Either::Application(Change::Lost(error)) | Either::Set(Change::Lost(error)) => {
                warn!("{error}");
            }
            Either::Application(change) => self.applications.apply(change),
            Either::Set(change) => self.sets.apply(change),
        }
        Ok(())
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

    /// Asks Argo CD to compare an Application again; `hard` also forgets what was rendered for it before.
    pub async fn refresh(&mut self, key: &Key, how: &str) -> Result<(), ClusterError> {
        let patch: Value = json!({ "metadata": { "annotations": { REFRESH: how } } });
        let asked = self.client.patch::<Application>(&self.namespace, &key.name, &patch).await?;
        self.applications.set(asked);
        Ok(())
    }
}
