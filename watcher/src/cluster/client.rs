//! One API server, as one user.

use std::time::Duration;

use kube::Config;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::config::{AuthInfo, KubeConfigOptions};
use serde_json::Value;

use super::error::{ClusterError, ClusterErrorKind};
use super::kind::{ABSENT, Kind};
use super::object::Object;
use crate::secrets;

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What becomes of what a deleted object has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    /// It stays.
    Orphan,
    /// It is deleted, too.
    Background,
}

/// An API server, as one user.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: kube::Client,
    /// The same without retries: what is refused for now is reported as it is.
    pub(super) once: kube::Client,
    /// What messages call it.
    pub(super) place: String,
    context: Option<String>,
    is_anonymous: bool,
}

impl Client {
    /// Returns the cluster of a context of the kubeconfig. Without a name it is the current context, or in a pod without
    /// a kubeconfig the cluster that the pod is in. Nothing is sent yet.
    pub async fn connect(context: Option<&str>) -> Result<Self, ClusterError> {
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let config = match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) => Self::of_pod(context).ok_or_else(|| ClusterError::of_config(context, &error))?,
        };
        let place =
            context.map_or_else(|| config.cluster_url.to_string(), |name| format!("context `{name}`"));
        Ok(Self { context: context.map(str::to_owned), ..Self::new(config, place)? })
    }

    /// Returns the cluster that this pod is in, if it serves a kind; nothing outside of a pod.
    pub async fn of_own_cluster<K: Kind>() -> Result<Option<Self>, ClusterError> {
        let Some(config) = Self::of_pod(None) else { return Ok(None) };
        let place = config.cluster_url.to_string();
        let client = Self::new(config, place)?;
        let served = client.inner.list_api_group_resources(&format!("{}/{}", K::GROUP, K::VERSION)).await;
        Ok(match served {
            Ok(served) => served.resources.iter().any(|it| it.name == K::PLURAL).then_some(client),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            // What is in the way shows when it is asked for something.
            Err(_) => Some(client),
        })
    }

    fn of_pod(context: Option<&str>) -> Option<Config> {
        if context.is_some() { None } else { Config::incluster().ok() }
    }

    pub(super) fn new(mut config: Config, place: String) -> Result<Self, ClusterError> {
        [&config.auth_info.token, &config.auth_info.password]
            .into_iter()
            .flatten()
            .for_each(secrets::remember);
        let (inner, is_anonymous) = (connection(config.clone(), &place)?, is_anonymous(&config.auth_info));
        config.default_retry = false;
        let once = connection(config, &place)?;
        Ok(Self { inner, once, place, context: None, is_anonymous })
    }

    pub(super) fn api<K: Kind>(&self, namespace: &str) -> Api<Object<K>> {
        Api::namespaced(self.inner.clone(), namespace)
    }

    /// Returns whether nothing says who asks: such a context only shows whether the server answers.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// Returns the context of the kubeconfig that it was named by.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Returns what messages call it.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns an object, if it is there.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, ClusterError> {
        let found = self.api::<K>(namespace).get_opt(name).await;
        let found = found.map_err(|error| self.failed_at::<K>("read", name, &error))?;
        Ok(found.map(|object| object.body))
    }

    /// Returns the objects of a kind that have a label, written `name=value`.
    pub async fn labelled<K: Kind>(&self, namespace: &str, label: &str) -> Result<Vec<K>, ClusterError> {
        let found = self.api::<K>(namespace).list(&ListParams::default().labels(label)).await;
        let found = found.map_err(|error| self.failed::<K>("list", namespace, &error))?;
        Ok(found.items.into_iter().map(|object| object.body).collect())
    }

    /// Makes an object under the name of a writer; if another writer was faster, that is a conflict.
    pub async fn make<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        writer: &str,
        object: &Value,
    ) -> Result<K, ClusterError> {
        let made =
            self.api::<K>(namespace).patch(name, &PatchParams::apply(writer), &Patch::Apply(object)).await;
        made.map(|object| object.body).map_err(|error| self.failed_at::<K>("make", name, &error))
    }

    /// Lays changes over an object, as a JSON merge patch, and returns what it became.
    pub async fn patch<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<K, ClusterError> {
        let patched =
            self.api::<K>(namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(|object| object.body).map_err(|error| self.failed_at::<K>("change", name, &error))
    }

    /// Requests the deletion of an object; one that is gone already is no error.
    pub async fn delete<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        cascade: Cascade,
    ) -> Result<(), ClusterError> {
        let policy = match cascade {
            Cascade::Orphan => PropagationPolicy::Orphan,
            Cascade::Background => PropagationPolicy::Background,
        };
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        let deleted = self.api::<K>(namespace).delete(name, &params).await;
        match deleted.map_err(|error| self.failed_at::<K>("delete", name, &error)) {
            Err(error) if error.kind != ClusterErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn failed_at<K: Kind>(&self, verb: &str, name: &str, error: &kube::Error) -> ClusterError {
        ClusterError::of_kube(&format!("{verb} {} `{name}`", K::NAME), &self.place, K::ABSENT, error)
    }

    pub(super) fn failed<K: Kind>(&self, verb: &str, namespace: &str, error: &kube::Error) -> ClusterError {
        ClusterError::of_kube(
            &format!("{verb} {}s in namespace `{namespace}`", K::NAME),
            &self.place,
            K::ABSENT,
            error,
        )
    }
}

/// Sets up a connection, which is not made before something is asked.
pub(super) fn connection(mut config: Config, place: &str) -> Result<kube::Client, ClusterError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let client = kube::Client::try_from(config);
    client.map_err(|error| ClusterError::of_kube("set up the connection", place, ABSENT, &error))
}

fn is_anonymous(user: &AuthInfo) -> bool {
    let texts = [&user.username, &user.token_file, &user.client_certificate];
    let secrets = [&user.token, &user.client_key_data];
    let has_text = texts.into_iter().any(Option::is_some) || user.client_certificate_data.is_some();
    let is_brought = user.exec.is_some() || user.auth_provider.is_some();
    !has_text && !is_brought && secrets.into_iter().all(Option::is_none)
}
