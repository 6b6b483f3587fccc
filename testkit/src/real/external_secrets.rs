//! The controller of External Secrets for one cluster, without its webhook, as cert-manager's.

use std::fs;

use anyhow::Result;

use super::EXTERNAL_SECRETS;
use super::api_server::ApiServer;
use super::process::{Process, arguments};
use super::route::Route;

/// A running controller, which needs the definitions of what it reads to be there.
pub struct ExternalSecrets {
    _process: Process,
}

impl ExternalSecrets {
    /// Starts a controller that may do everything on a cluster, and reaches addresses of the platform by a route.
    pub fn start(server: &ApiServer, route: &Route) -> Result<Self> {
        let own = fs::read_to_string(EXTERNAL_SECRETS.binary("generatorstates.yaml")?)?;
        server.client().define(&[serde_yaml::from_str(&own)?])?;
        let program = EXTERNAL_SECRETS.binary("external-secrets")?;
        let arguments = arguments([
            "--metrics-addr=0",
            "--concurrent=4",
            // By itself it asks a store that answered once in five minutes.
            "--store-requeue-interval=2s",
        ]);
        let environment =
            [("KUBECONFIG", server.kubeconfig().into_os_string()), ("HTTPS_PROXY", route.url().into())];
        let process = Process::start("external-secrets", &program, arguments, environment, server.folder())?;
        Ok(Self { _process: process })
    }
}
