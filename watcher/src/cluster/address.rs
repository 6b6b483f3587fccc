//! Where an API server is, and whether it answers there: any answer of its own will do.

use std::time::Duration;

use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedAuthInfo, NamedCluster,
    NamedContext,
};
use tokio::time::timeout;

use super::client::{Client, connection};
use super::error::{ClusterError, ClusterErrorKind};
use super::kind::ABSENT;

/// How long an answer may take.
const LONGEST: Duration = Duration::from_secs(5);
/// What the parts of the kubeconfig are called that is made of an address.
const ONLY: &str = "cluster";

/// Where an API server is, and what vouches for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub server: String,
    /// The certificate of its CA, in PEM and Base64 around that; without one, those that the system trusts.
    pub authority: Option<String>,
    /// The name in its certificate, if that is not the host of the address.
    pub server_name: Option<String>,
    /// Whether its certificate is not looked at.
    pub is_insecure: bool,
}

impl Address {
    /// Asks the server for its version; fails if it does not answer.
    pub async fn ask(&self) -> Result<(), ClusterError> {
        let cluster = Cluster {
            server: Some(self.server.clone()),
            certificate_authority_data: self.authority.clone(),
            tls_server_name: self.server_name.clone(),
            insecure_skip_tls_verify: Some(self.is_insecure),
            ..Cluster::default()
        };
        let config = config(cluster, None).await;
        ask(config.map_err(|error| ClusterError::of_config(None, &error))?).await
    }
}

impl Client {
    /// Asks the server for its version; fails if it does not answer.
    pub async fn answers(&self) -> Result<(), ClusterError> {
        answer(&self.once, &self.place).await
    }
}

/// Returns what a kubeconfig makes of a cluster and of who asks it.
pub(super) async fn config(cluster: Cluster, user: Option<AuthInfo>) -> Result<Config, KubeconfigError> {
    let (name, cluster) = (ONLY.to_owned(), Some(cluster));
    let context =
        Context { cluster: name.clone(), user: user.is_some().then(|| name.clone()), ..Context::default() };
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster { name: name.clone(), cluster, ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo { name: name.clone(), auth_info: user, ..NamedAuthInfo::default() }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(context),
            ..NamedContext::default()
        }],
        current_context: Some(name),
        ..Kubeconfig::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// Asks a server for its version, in nobody's name.
pub(super) async fn ask(mut config: Config) -> Result<(), ClusterError> {
    config.auth_info = AuthInfo::default();
    let place = config.cluster_url.to_string();
    answer(&connection(config, &place)?, &place).await
}

async fn answer(client: &kube::Client, place: &str) -> Result<(), ClusterError> {
    match timeout(LONGEST, client.apiserver_version()).await {
        Err(_) => Err(ClusterError::no_answer(place, LONGEST)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let error = ClusterError::of_kube("ask for the version", place, ABSENT, &error);
            let is_answer = !matches!(error.kind, ClusterErrorKind::Transient | ClusterErrorKind::Stalled);
            if is_answer { Ok(()) } else { Err(error) }
        }
    }
}
