//! What is in Argo CD's namespace, kept current by two watches.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::ask::Target;
use crate::argocd::{Application, ApplicationSet, Observed, REFRESH, SET_REFRESH};
use crate::cluster::{Change, Client, ClusterError, Key, Store};

/// How long further changes are taken together with the first one.
const TOGETHER: Duration = Duration::from_millis(200);

enum Either {
    Application(Change<Application>),
    Set(Change<ApplicationSet>),
}

/// What became of the connection by a change.
enum Taken {
    Change,
    /// A list was begun, which is no answer yet.
    Attempt,
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
    /// Returns the namespace that is watched.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Starts two watches, and returns once both have listed what there is. A hub that sends nothing for as long as `longest` is
    /// an error.
    pub async fn start(client: Client, namespace: &str, longest: Duration) -> Result<Self, ClusterError> {
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
                Ok(Ok(Taken::Attempt)) => {}
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
        let change = change?;
        let is_attempt =
            matches!(change, Either::Application(Change::Listing) | Either::Set(Change::Listing));
        match change {
            Either::Application(Change::Lost(error)) | Either::Set(Change::Lost(error)) => {
                warn!("{error}");
                return Ok(Taken::Lost(error));
            }
            Either::Application(change) => self.applications.apply(change),
            Either::Set(change) => self.sets.apply(change),
        }
        Ok(if is_attempt { Taken::Attempt } else { Taken::Change })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_is_away_is_an_error_in_time_however_often_it_was_tried() {
        let (longest, start) = (Duration::from_secs(30), Instant::now());
        let lost = View::start(Client::nowhere(), "argocd", longest).await;
        assert_eq!(start.elapsed(), longest);
        assert!(lost.is_err());
    }
}
