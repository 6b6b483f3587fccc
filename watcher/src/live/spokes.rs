//! Whether the API servers of the clusters answer that Applications are deployed to.
//!
//! Argo CD does not say so: it shows what it saw last, Healthy included, until it has given up its own connection.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::debug;

use crate::argocd::{Destination, Registration, Silent};
use crate::cluster::{Client, ClusterError, Contexts};

/// How long an answer counts.
const LASTS: Duration = Duration::from_secs(30);
/// How many clusters are asked at once.
const AT_ONCE: usize = 32;

/// Which clusters do not answer, and when they were asked.
#[derive(Debug, Default)]
pub struct Spokes {
    silent: Silent,
    asked: Option<Instant>,
}

impl Spokes {
    /// Returns the clusters that did not answer.
    #[must_use]
    pub const fn silent(&self) -> &Silent {
        &self.silent
    }

    /// Returns whether the answers still count.
    #[must_use]
    pub fn is_recent(&self, now: Instant) -> bool {
        self.asked.is_some_and(|at| now.duration_since(at) < LASTS)
    }

    /// Asks clusters whether they answer. A cluster is found by the context of the kubeconfig that has its name, or else
    /// by the Secret that registers it with Argo CD, if that may be read; any other is not asked.
    pub async fn ask(&mut self, hub: &Client, namespace: &str, clusters: BTreeSet<Destination>) {
        let registrations = match registrations(hub, namespace, &clusters).await {
            Ok(registrations) => registrations,
            Err(error) => {
                debug!("clusters without a context are not asked whether they answer: {error}");
                Vec::new()
            }
        };
        let contexts = Contexts::read();
        let answers = clusters.into_iter().map(async |cluster| {
            let answer = answer(&cluster, &contexts, &registrations).await?;
            let error = answer.err()?;
            let why = format!("the API server of {} does not answer: {error}", cluster.label());
            Some((cluster, why))
        });
        let answers = stream::iter(answers).buffer_unordered(AT_ONCE);
        self.silent = answers.filter_map(std::future::ready).collect().await;
        self.asked = Some(Instant::now());
    }
}

async fn registrations(
    hub: &Client,
    namespace: &str,
    clusters: &BTreeSet<Destination>,
) -> Result<Vec<Registration>, ClusterError> {
    if clusters.is_empty() {
        return Ok(Vec::new());
    }
    hub.labelled(namespace, Registration::LABEL).await
}

async fn answer(
    cluster: &Destination,
    contexts: &Contexts,
    registrations: &[Registration],
) -> Option<Result<(), ClusterError>> {
    if let Some(answer) = contexts.ask(&cluster.name).await {
        return Some(answer);
    }
    let registration = registrations.iter().find(|registration| registration.is_of(cluster))?;
    Some(registration.address().ask().await)
}
