//! The options of the service's HTTP side, and its start.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::task::JoinHandle;
use tracing::info;

use crate::error::CommandError;
use crate::events::site::{Refresh, Site};
use crate::events::webhook::{BodyLimits, SECRET_VARIABLE, Secrets, SecretsError, Webhook};
use crate::events::{Cancel, Events, Monitor};
use crate::output::with_causes;
use crate::repository_name::RepositoryName;
use crate::server::{Limits, ListenError, Server};

#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Listen {
    /// Serve HTTP on this address: `/healthz`, `/readyz`, `/metrics` and, with a secret, GitHub's `/webhook`. TLS ends
    /// at the ingress in front of it.
    #[arg(long = "listen", value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// Read the secrets of the webhook from this file, one per line: several while one replaces another. The
    /// default is the environment variable `FLEETWRIGHT_WEBHOOK_SECRET`.
    #[arg(long, value_name = "FILE", requires = "address")]
    webhook_secret_file: Option<PathBuf>,
    /// Accept deliveries for this repository on GitHub; the default is the upstream.
    #[arg(long, value_name = "OWNER/NAME", requires = "address")]
    webhook_repository: Option<RepositoryName>,
    /// Ask GitHub to repeat failed deliveries of the webhook with this number in the repository's settings. A GitHub
    /// App has its own webhook and needs no number.
    #[arg(long, value_name = "ID", requires = "address")]
    webhook_id: Option<u64>,
}

impl Listen {
    /// Returns the number of the repository's webhook.
    pub(in crate::cli) const fn webhook_id(&self) -> Option<u64> {
        self.webhook_id
    }

    /// Starts the server if an address was given, and returns it with whether it accepts deliveries from
    /// GitHub. It ends by itself after a stop was requested.
    ///
    /// `upstream` is the repository whose deliveries count if none is named, and `refresh` updates metrics.
    pub(in crate::cli) async fn start(
        &self,
        monitor: &Monitor,
        upstream: Option<RepositoryName>,
        events: &Events,
        refresh: Refresh,
        cancel: &Cancel,
    ) -> Result<Option<(JoinHandle<()>, bool)>, CommandError> {
        let Some(address) = self.address else { return Ok(None) };
        let mut site = Site::new(monitor.clone(), events, refresh);
        let webhook = self.webhook(upstream)?;
        let receives_webhooks = webhook.is_some();
        if let Some((secrets, repository)) = webhook {
            let (events, metrics, limits) = (events.clone(), monitor.metrics.clone(), BodyLimits::default());
            site = site.with_webhook(Webhook::new(secrets, repository, events, metrics, limits));
        }
        let server = Server::bind(address, Limits::default()).await?;
        info!(address = %server.address(), receives_webhooks, "listening");
        let (cancel, metrics) = (cancel.clone(), monitor.metrics.clone());
        let serve = async move { server.serve(site.into_router(), &metrics, cancel.requested()).await };
        let server = tokio::spawn(serve);
        Ok(Some((server, receives_webhooks)))
    }

    fn webhook(
        &self,
        upstream: Option<RepositoryName>,
    ) -> Result<Option<(Secrets, RepositoryName)>, CommandError> {
        let secrets = match &self.webhook_secret_file {
            Some(path) => Some(Secrets::from_file(path)?),
            None => Secrets::from_environment()?,
        };
        let is_wanted = self.webhook_repository.is_some() || self.webhook_id.is_some();
        match (secrets, self.webhook_repository.clone().or(upstream)) {
            (Some(secrets), Some(repository)) => Ok(Some((secrets, repository))),
            (None, _) if !is_wanted => Ok(None),
            (Some(_), None) => Err(CommandError::usage(
                "the webhook has a secret and no repository",
                "name the repository with `--webhook-repository OWNER/NAME`",
            )),
            (None, _) => Err(CommandError::usage(
                "the webhook has no secret, so anyone could pretend to be GitHub",
                format!("give it with `--webhook-secret-file FILE` or in `{SECRET_VARIABLE}`"),
            )),
        }
    }
}

impl From<SecretsError> for CommandError {
    fn from(error: SecretsError) -> Self {
        Self::usage(with_causes(&error), SecretsError::HINT)
    }
}

impl From<ListenError> for CommandError {
    fn from(error: ListenError) -> Self {
        Self::Unexpected { attempt: error.to_string(), source: error.source.into() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::cli::Cli;

    async fn start(args: Listen) -> Result<Option<JoinHandle<()>>, CommandError> {
        start_for(args, None).await
    }

    async fn start_for(
        args: Listen,
        upstream: Option<RepositoryName>,
    ) -> Result<Option<JoinHandle<()>>, CommandError> {
        let (events, _hints) = mpsc::channel(1);
        let cancel = Cancel::default();
        cancel.request();
        let listening = args.start(&Monitor::default(), upstream, &events, Box::new(|_| {}), &cancel).await?;
        Ok(listening.map(|(server, _)| server))
    }

    fn loopback() -> Listen {
        Listen { address: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Listen::default() }
    }

    #[test]
    fn the_options_fit_into_the_command_line() {
        Cli::command().debug_assert();
        let alone = ["fleetwright", "run", "--webhook-secret-file", "secret"];
        let error = Cli::command().try_get_matches_from(alone).unwrap_err().to_string();
        assert!(error.contains("--listen <ADDRESS>"), "{error}");
    }

    #[tokio::test]
    async fn without_an_address_nothing_listens() {
        assert!(start(Listen::default()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn with_an_address_alone_only_the_service_is_shown() {
        start(loopback()).await.unwrap().unwrap().await.unwrap();
    }

    #[tokio::test]
    async fn a_webhook_without_a_secret_is_refused() {
        let repository = Some("acme/fleet".parse().unwrap());
        let error = start(Listen { webhook_repository: repository, ..loopback() }).await.unwrap_err();
        assert_eq!(error.to_string(), "the webhook has no secret, so anyone could pretend to be GitHub");
    }

    #[tokio::test]
    async fn the_upstream_is_the_webhooks_repository_unless_another_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a secret of the test\n").unwrap();
        let listen = |named: Option<&str>| Listen {
            webhook_secret_file: Some(secret.clone()),
            webhook_repository: named.map(|name| name.parse().unwrap()),
            ..loopback()
        };
        let repository = |named, upstream: Option<&str>| {
            let upstream = upstream.map(|name| name.parse().unwrap());
            listen(named).webhook(upstream).map(|webhook| webhook.map(|(_, name)| name.to_string()))
        };
        assert_eq!(repository(None, Some("acme/fleet")).unwrap().as_deref(), Some("acme/fleet"));
        assert_eq!(repository(Some("acme/site"), Some("acme/fleet")).unwrap().as_deref(), Some("acme/site"));
        let error = repository(None, None).unwrap_err();
        assert_eq!(error.to_string(), "the webhook has a secret and no repository");
        let upstream = Some("acme/fleet".parse().unwrap());
        assert!(
            start_for(loopback(), upstream).await.unwrap().is_some(),
            "without a secret nothing is taken"
        );
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Listen { webhook_secret_file: Some(folder.path().join("secret")), ..loopback() };
        let error = start(missing).await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("able to read")), "{error}");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = start(Listen { address: Some(address), ..Listen::default() }).await.unwrap_err();
        assert_eq!(error.to_string(), format!("failed to listen on `{address}`"));
    }
}
