//! cert-manager's controller for one cluster. There is no webhook: the API server holds what it is given against the
//! definitions alone, and nothing has to be converted.

use anyhow::Result;

use super::CERT_MANAGER;
use super::api_server::ApiServer;
use super::process::Process;

/// A running controller, which needs its definitions to be there.
pub struct CertManager {
    _process: Process,
}

impl CertManager {
    /// Starts a controller that may do everything on a cluster.
    pub fn start(server: &ApiServer) -> Result<Self> {
        let program = CERT_MANAGER.binary("cert-manager-controller")?;
        let kubeconfig = format!("--kubeconfig={}", server.kubeconfig().display());
        Ok(Self { _process: Process::start("cert-manager", &program, [kubeconfig], [], server.folder())? })
    }
}
