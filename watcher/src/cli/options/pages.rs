//! The options of the service's pages, and their start.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tracing::info;

use crate::error::CommandError;
use crate::events::Cancel;
use crate::http::Url;
use crate::secrets;
use crate::server::{Limits, Server};
use crate::service::{Guard, SHORTEST_TOKEN, Service, TokenDigest};

/// The environment variable that can hold the token.
const TOKEN_VARIABLE: &str = "FLEETWRIGHT_UI_TOKEN";

/// A page is larger than an answer to GitHub, and a person's line may be slow.
const CONNECTION_TIME: Duration = Duration::from_mins(1);

#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct PagesArgs {
    /// Show the fleet and the reviews of open pull requests to browsers on this address, such as `127.0.0.1:8081`. One that
    /// other machines reach needs a token.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    listen_ui: Option<SocketAddr>,
    /// Show the pages only to who has the token in this file: as the password that a browser asks for, or in the header
    /// `Authorization: Bearer` that a proxy adds. The default is the environment variable `FLEETWRIGHT_UI_TOKEN`.
    #[arg(long, value_name = "FILE", requires = "listen_ui")]
    ui_token_file: Option<PathBuf>,
    /// Let pull requests lead to their pages, which browsers find below this address, such as `https://fleet.example.com`.
    #[arg(long, value_name = "URL", requires = "listen_ui")]
    ui_url: Option<Url>,
}

impl PagesArgs {
    /// Returns whether there are pages.
    pub(in crate::cli) const fn is_wanted(&self) -> bool {
        self.listen_ui.is_some()
    }

    /// Returns where browsers find the pages, if that was given.
    pub(in crate::cli) fn url(&self) -> Option<Url> {
        self.ui_url.clone()
    }

    /// Starts the server of the pages if an address was given. It ends by itself after a stop was requested.
    pub(in crate::cli) async fn start(
        &self,
        service: &Service,
        cancel: &Cancel,
    ) -> Result<Option<JoinHandle<()>>, CommandError> {
        let Some(address) = self.listen_ui else { return Ok(None) };
        let router = service.pages(self.guard(address)?);
        let limits = Limits { connection_time: CONNECTION_TIME, ..Limits::default() };
        let server = Server::bind(address, limits).await?;
        info!(address = %server.address(), "showing pages");
        let (cancel, metrics) = (cancel.clone(), service.monitor().metrics.clone());
        Ok(Some(tokio::spawn(async move { server.serve(router, &metrics, cancel.requested()).await })))
    }

    fn guard(&self, address: SocketAddr) -> Result<Guard, CommandError> {
        let token = match &self.ui_token_file {
            Some(path) => Some(secrets::read_file(path).map_err(|error| {
                CommandError::usage(
                    format!("failed to read the token from `{}`: {error}", path.display()),
                    "the user that runs the service must be able to read the file, and no other user to write it",
                )
            })?),
            None => env::var(TOKEN_VARIABLE).ok().map(SecretString::from),
        };
        if let Some(token) = &token {
            secrets::remember(token);
            return TokenDigest::of(token).map(Box::new).map(Guard::Token).ok_or_else(|| {
                let message = format!("the token of the pages has fewer than {SHORTEST_TOKEN} characters");
                CommandError::usage(message, "make one by `openssl rand -hex 32`")
            });
        }
        if address.ip().is_loopback() {
            return Ok(Guard::Loopback);
        }
        Err(CommandError::usage(
            format!("`{address}` is reached from other machines, and the pages have no token"),
            format!(
                "give one with `--ui-token-file FILE` or in `{TOKEN_VARIABLE}`, or listen on `127.0.0.1`"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(address: &str, token: Option<&str>) -> Result<Guard, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token_file = token.map(|token| {
            std::fs::write(&path, token).unwrap();
            path.clone()
        });
        let address: SocketAddr = address.parse().unwrap();
        let args = PagesArgs { listen_ui: Some(address), ui_token_file: token_file, ui_url: None };
        args.guard(address).map_err(|error| error.to_string())
    }

    #[test]
    fn what_other_machines_reach_needs_a_token() {
        assert!(matches!(guard("127.0.0.1:0", None), Ok(Guard::Loopback)));
        assert!(matches!(guard("[::1]:0", None), Ok(Guard::Loopback)));
        let long = Some("0123456789abcdef0123456789abcdef\n");
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", "192.168.64.2:80"] {
            assert!(matches!(guard(address, long), Ok(Guard::Token(_))), "{address}");
        }
        let refused = guard("0.0.0.0:80", None).unwrap_err();
        assert_eq!(refused, "`0.0.0.0:80` is reached from other machines, and the pages have no token");
        let short = guard("127.0.0.1:0", Some("short\n")).unwrap_err();
        assert_eq!(short, "the token of the pages has fewer than 16 characters");
    }
}
