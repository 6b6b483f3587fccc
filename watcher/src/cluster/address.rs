//! Where an API server is, and whether it answers there. No credential is sent: any answer of its own will do.

use std::time::Duration;

use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedCluster, NamedContext};
use tokio::time::timeout;

use super::client::connection;
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
        let context = Context { cluster: ONLY.to_owned(), ..Context::default() };
        let kubeconfig = Kubeconfig {
            clusters: vec![NamedCluster {
                name: ONLY.to_owned(),
                cluster: Some(cluster),
                ..NamedCluster::default()
            }],
            contexts: vec![NamedContext {
                name: ONLY.to_owned(),
                context: Some(context),
                ..NamedContext::default()
            }],
            current_context: Some(ONLY.to_owned()),
            ..Kubeconfig::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        ask(config.map_err(|error| ClusterError::of_config(None, &error))?).await
    }
}

/// Asks the server of a context of the kubeconfig for its version. Without that context there is no answer to judge.
pub async fn ask_context(name: &str) -> Option<Result<(), ClusterError>> {
    let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
    Some(ask(Config::from_kubeconfig(&options).await.ok()?).await)
}

async fn ask(mut config: Config) -> Result<(), ClusterError> {
    config.auth_info = AuthInfo::default();
    let place = config.cluster_url.to_string();
    let client = connection(config, &place)?;
    match timeout(LONGEST, client.apiserver_version()).await {
        Err(_) => Err(ClusterError::no_answer(&place, LONGEST)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let error = ClusterError::of_kube("ask for the version", &place, ABSENT, &error);
            let is_answer = !matches!(error.kind, ClusterErrorKind::Transient | ClusterErrorKind::Stalled);
            if is_answer { Ok(()) } else { Err(error) }
        }
    }
}
