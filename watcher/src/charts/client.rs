//! The HTTP client for charts: bounded in size, time and redirects, and never sent anywhere in the open.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use ureq::http::HeaderMap;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Proxy};

use super::address::Address;
use super::error::ChartError;

/// How long one answer may take, its body included.
const TIMEOUT: Duration = Duration::from_mins(2);
/// How long it may take to be connected.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Fetches from repositories and registries.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
}

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub address: &'a Address,
    /// The media type that is wanted.
    pub accept: &'a str,
    /// The token to show; another server never sees it.
    pub token: Option<&'a str>,
    /// How many bytes are read.
    pub limit: u64,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// Creates a client that goes through the proxy of the environment, if there is one, and trusts what this machine trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::with_proxy(Proxy::try_from_env())
    }

    pub(super) fn with_proxy(proxy: Option<Proxy>) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .user_agent(concat!("fleetwright/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // Each step is judged here.
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build();
        Self { agent: config.into() }
    }

    /// Fetches, following redirects; only a transport failure is an error, whatever the status.
    pub(super) fn get(&self, request: Request<'_>) -> Result<Answer, ChartError> {
        let mut address = request.address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let token = request.token.filter(|_| address.is_same_origin(request.address));
            let answer = self.get_once(&address, Request { token, ..request })?;
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            match location.filter(|_| (300..400).contains(&answer.status)) {
                Some(location) => address = address.redirect(location)?,
                None => return Ok(answer),
            }
        }
        Err(ChartError::Redirects { address: request.address.to_string(), limit: MAX_REDIRECTS })
    }

    fn get_once(&self, address: &Address, request: Request<'_>) -> Result<Answer, ChartError> {
        let mut call = self.agent.get(address.uri()).header(ACCEPT, request.accept);
        if let Some(token) = request.token {
            call = call.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let failed = |error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                ChartError::TooLarge { address: address.to_string(), limit: request.limit }
            }
            error => ChartError::Transport { address: address.to_string(), source: Box::new(error) },
        };
        let response = call.call().map_err(failed)?;
        let (parts, mut body) = response.into_parts();
        // A body of exactly the limit is still fine.
        let body = body.with_config().limit(request.limit + 1).read_to_vec().map_err(failed)?;
        if body.len() as u64 > request.limit {
            return Err(ChartError::TooLarge { address: address.to_string(), limit: request.limit });
        }
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// Returns the body of an answer that succeeded.
    pub fn ok(self, address: &Address) -> Result<Vec<u8>, ChartError> {
        match self.status {
            200 => Ok(self.body),
            status => Err(ChartError::Status { address: address.to_string(), status }),
        }
    }
}
