//! The contexts of a kubeconfig: whom each of them asks as whom.

use std::collections::HashMap;

use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig};

use super::address::{ask, config};
use super::client::Client;
use super::error::ClusterError;

/// The contexts of the kubeconfig, which is read once however many of them are used.
#[derive(Default)]
pub struct Contexts {
    named: HashMap<String, Context>,
    clusters: HashMap<String, Cluster>,
    users: HashMap<String, AuthInfo>,
}

impl Contexts {
    /// Reads the kubeconfig that `KUBECONFIG` names. Without one there are no contexts.
    #[must_use]
    pub fn read() -> Self {
        Kubeconfig::read().map(Self::of).unwrap_or_default()
    }

    pub(super) fn of(kubeconfig: Kubeconfig) -> Self {
        let Kubeconfig { contexts, clusters, auth_infos, .. } = kubeconfig;
        Self {
            named: first(contexts.into_iter().map(|it| (it.name, it.context))),
            clusters: first(clusters.into_iter().map(|it| (it.name, it.cluster))),
            users: first(auth_infos.into_iter().map(|it| (it.name, it.auth_info))),
        }
    }

    /// Returns the cluster of a context, if there is that context. Nothing is sent yet.
    pub async fn client(&self, name: &str) -> Option<Result<Client, ClusterError>> {
        Some(Client::new(self.config(name).await?, format!("context `{name}`")))
    }

    /// Asks the server of a context for its version. Without that context there is no answer to judge.
    pub async fn ask(&self, name: &str) -> Option<Result<(), ClusterError>> {
        Some(ask(self.config(name).await?).await)
    }

    async fn config(&self, name: &str) -> Option<Config> {
        let context = self.named.get(name)?;
        let user = context.user.as_ref().and_then(|user| self.users.get(user));
        config(self.clusters.get(&context.cluster)?.clone(), user.cloned()).await.ok()
    }
}

/// Of several with one name the first one counts, as for `kubectl`.
fn first<T>(named: impl Iterator<Item = (String, Option<T>)>) -> HashMap<String, T> {
    let mut all = HashMap::new();
    for (name, one) in named {
        if let Some(one) = one {
            all.entry(name).or_insert(one);
        }
    }
    all
}
