//! HTTP for git and for tokens: one origin a client, credentials that go nowhere else, bounds on time and size.
//!
//! Blocking, since git's work is. Knows nothing of git or of a forge's interface. Redirects are never followed: an
//! answer of another address would take the credential along, or bring a repository that nobody named.

mod error;
mod url;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use ureq::config::ConfigBuilder;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body, Proxy};

pub use error::{HttpError, Refusal};
pub use url::{Url, UrlError};

/// How long name resolution and the connection with TLS may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the other side may be silent, while it answers or while it does not take what is sent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a whole exchange with an interface for programs may take, which is of some megabytes at most.
const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(2);

/// How much of an answer that refuses is read, to tell people what the other side said.
const MAX_REFUSAL_BYTES: u64 = 8 * 1024;

const AGENT: &str = concat!("fleetwright/", env!("CARGO_PKG_VERSION"));

/// What proves who asks. Never shown, in no form.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// A user name with the token as its password, as git asks for it.
    Basic(&'static str, SecretString),
    /// The token itself, as interfaces for programs ask for it.
    Bearer(SecretString),
}

impl Authorization {
    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic(user, secret) => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose_secret())))
            }
            Self::Bearer(secret) => format!("Bearer {}", secret.expose_secret()),
        };
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// How long to wait for the other side.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the connection.
    pub connect: Duration,
    /// Between two signs of life.
    pub silence: Duration,
    /// For everything together.
    pub exchange: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, silence: SILENCE_TIMEOUT, exchange: EXCHANGE_TIMEOUT }
    }
}

/// Speaks to one origin. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    origin: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.origin).finish()
    }
}

/// What is asked of the other side.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where.
    pub url: &'a Url,
    /// What stands behind the URL: a path, and a query if there is one.
    pub path: &'a str,
    /// Who asks.
    pub authorization: Option<&'a Authorization>,
    /// Further headers.
    pub headers: &'a [(&'static str, &'a str)],
}

/// A body with its length, so that no server has to take it in pieces.
pub struct Upload<'a> {
    /// The bytes.
    pub reader: &'a mut dyn Read,
    /// How many there are.
    pub length: u64,
}

impl Client {
    /// Returns a client for the origin of `url`, through the environment's proxy and with the system's certificates.
    ///
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates, as they do for most programs.
    #[must_use]
    pub fn new(url: &Url) -> Self {
        Self::with(url, RootCerts::PlatformVerifier, Patience::default())
    }

    /// Returns a client that trusts `roots`, in DER, and nothing else.
    #[must_use]
    pub fn trusting(url: &Url, roots: &[Vec<u8>], patience: Patience) -> Self {
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
        Self::with(url, RootCerts::from(roots), patience)
    }

    /// Returns a client as [`Self::new`] does that waits as long as `patience` says.
    #[must_use]
    pub fn patient(url: &Url, patience: Patience) -> Self {
        Self::with(url, RootCerts::PlatformVerifier, patience)
    }

    fn with(url: &Url, roots: RootCerts, patience: Patience) -> Self {
        // A proxy cannot reach what listens on this machine alone.
        let proxy = if url.is_loopback() { None } else { Proxy::try_from_env() };
        let config = config(roots, proxy, patience).https_only(url.is_encrypted()).build();
        Self { agent: config.new_agent(), origin: url.origin() }
    }

    /// Asks with GET and returns the body of a good answer, which ends in an error beyond `limit` bytes.
    pub fn get(&self, request: &Request<'_>, limit: u64) -> Result<Answer, HttpError> {
        let address = self.address(request)?;
        let mut builder = self.agent.get(&address);
        for (name, value) in self.headers(request)? {
            builder = builder.header(name, value);
        }
        self.judge(request, builder.call(), limit)
    }

    /// Asks with POST, with a body of known length.
    pub fn post(
        &self,
        request: &Request<'_>,
        upload: &mut Upload<'_>,
        limit: u64,
    ) -> Result<Answer, HttpError> {
        let address = self.address(request)?;
        let mut builder = self.agent.post(&address).header("content-length", upload.length);
        for (name, value) in self.headers(request)? {
            builder = builder.header(name, value);
        }
        self.judge(request, builder.send(ureq::SendBody::from_reader(upload.reader)), limit)
    }

    /// Sends a request whose address is a path below `url`, and returns whatever the answer is; a body beyond `limit`
    /// bytes is an error.
    pub fn exchange(
        &self,
        url: &Url,
        request: http::Request<Vec<u8>>,
        limit: u64,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let failed = |error: ureq::Error| HttpError::of_ureq(&self.origin, &error);
        let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
        let asked = Request { url, path: &path, authorization: None, headers: &[] };
        let address = self.address(&asked)?;
        let (mut parts, body) = request.into_parts();
        parts.uri = address.parse().map_err(|_| self.unsendable())?;
        let expects_body =
            matches!(parts.method, http::Method::POST | http::Method::PUT | http::Method::PATCH);
        let answer = if expects_body {
            self.agent.run(http::Request::from_parts(parts, body))
        } else {
            self.agent.run(http::Request::from_parts(parts, ()))
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let body = body.into_with_config().limit(limit).read_to_vec().map_err(failed)?;
        Ok(Response::from_parts(parts, body))
    }

    fn address(&self, request: &Request<'_>) -> Result<String, HttpError> {
        // A credential that was made for one origin is never sent to another.
        if request.url.origin() != self.origin {
            return Err(HttpError::OtherOrigin { origin: self.origin.clone(), url: request.url.to_string() });
        }
        Ok(format!("{}{}", request.url, request.path))
    }

    fn headers(&self, request: &Request<'_>) -> Result<Vec<(&'static str, HeaderValue)>, HttpError> {
        let mut headers = Vec::with_capacity(request.headers.len() + 1);
        for (name, value) in request.headers {
            headers.push((*name, HeaderValue::try_from(*value).map_err(|_| self.unsendable())?));
        }
        if let Some(authorization) = request.authorization {
            headers.push(("authorization", authorization.header().ok_or_else(|| self.unsendable())?));
        }
        Ok(headers)
    }

    fn unsendable(&self) -> HttpError {
        HttpError::Unsendable { origin: self.origin.clone() }
    }

    fn judge(
        &self,
        request: &Request<'_>,
        response: Result<Response<Body>, ureq::Error>,
        limit: u64,
    ) -> Result<Answer, HttpError> {
        let response = response.map_err(|error| HttpError::of_ureq(&self.origin, &error))?;
        if response.status().is_success() {
            return Ok(Answer { response, limit });
        }
        Err(HttpError::of_response(request, response))
    }
}

/// Returns the settings of a client that trusts `roots`, waits as long as `patience` says, and leaves redirects and refusals to
/// the caller.
pub(crate) fn config(
    roots: RootCerts,
    proxy: Option<Proxy>,
    patience: Patience,
) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(AGENT)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_per_read(Some(patience.silence))
        .timeout_per_write(Some(patience.silence))
        .timeout_global(Some(patience.exchange))
}

/// A good answer.
pub struct Answer {
    response: Response<Body>,
    limit: u64,
}

impl Answer {
    /// Returns what the body is said to be.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the body.
    #[must_use]
    pub fn into_reader(self) -> impl Read + Send + 'static {
        self.response.into_body().into_with_config().limit(self.limit).reader()
    }
}
