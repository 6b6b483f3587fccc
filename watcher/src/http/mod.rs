//! The one HTTP client, for git, for GitHub, for charts and for tokens: bounds on time and size, the system's
//! certificates, the environment's proxy, and credentials that go to one origin only.
//!
//! It blocks, as all of its callers do, and knows nothing of git or of a forge's interface. It follows no redirect by
//! itself: an answer from another address would take the credential along, or bring a repository that was never named.

mod answer;
mod error;
mod guard;
mod url;

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use ::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tracing::{Span, debug_span, field};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody, Proxy, SendBody};

pub use answer::{Answer, next_page};
pub use error::{HttpError, HttpErrorKind};
use guard::Guard;
pub use url::Url;

const USER_AGENT: &str = concat!("fleetwright/", env!("CARGO_PKG_VERSION"));

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a name to be resolved, and for the connection with TLS.
    pub connect: Duration,
    /// For the other side to send something, or to take something of what is sent.
    pub idle: Duration,
    /// For the whole exchange.
    pub exchange: Duration,
}

/// For exchanges with an interface for programs, which are of some megabytes at most.
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            exchange: Duration::from_mins(2),
        }
    }
}

/// A credential as it is sent. It is never shown.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// A user name with the token as its password, as git servers expect it.
    Basic(Cow<'static, str>, SecretString),
    /// The token itself, as interfaces for programs expect it.
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

/// A client for one origin, or for one repository and what it leads to. Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    scope: Scope,
}

/// Where a client sends requests.
#[derive(Clone, Debug)]
enum Scope {
    Origin(String),
    Guarded(Guard),
}

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The address of the repository or interface, or of a file.
    pub url: &'a Url,
    /// The path below that address, with a query if there is one; empty for the address itself.
    pub path: &'a str,
    /// The credential.
    pub authorization: Option<&'a Authorization>,
    /// Further headers.
    pub headers: &'a [(HeaderName, &'a str)],
    /// How many bytes of the answer are read; more are an error.
    pub max_bytes: u64,
    /// How long the exchange may take, if that is not up to the client.
    pub timeout: Option<Duration>,
}

impl<'a> Request<'a> {
    /// Returns a request for what is at `path` below `url`.
    pub(crate) const fn get(url: &'a Url, path: &'a str, max_bytes: u64) -> Self {
        let method = Method::GET;
        Self { method, url, path, authorization: None, headers: &[], max_bytes, timeout: None }
    }
}

/// A body with its length, so that no server has to accept it in pieces.
pub struct Upload<'a> {
    /// The bytes.
    pub reader: &'a mut dyn Read,
    /// How many there are.
    pub length: u64,
}

impl<'a> Upload<'a> {
    /// Returns a body that is in memory.
    pub(crate) fn of(bytes: &'a mut &[u8]) -> Self {
        Self { length: bytes.len() as u64, reader: bytes }
    }
}

impl Client {
    /// Returns a client for the origin of `url`, through the environment's proxy and with the system's certificates.
    ///
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates, as they do for most programs.
    pub(crate) fn new(url: &Url, timeouts: Timeouts) -> Self {
        Self::of_origin(url, RootCerts::PlatformVerifier, timeouts)
    }

    /// Returns a client that trusts `roots`, in DER, and nothing else.
    #[must_use]
    pub fn trusting(url: &Url, roots: &[Vec<u8>], timeouts: Timeouts) -> Self {
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
        Self::of_origin(url, RootCerts::from(roots), timeouts)
    }

    /// Returns a client for the repository at `home` and what it leads to, except for networks in which it is
    /// not itself.
    pub(crate) fn guarded(home: &Url, timeouts: Timeouts) -> Self {
        let guard = Guard::new(home.host());
        let config = config(RootCerts::PlatformVerifier, timeouts);
        let agent = Agent::with_parts(config, DefaultConnector::default(), guard.clone());
        Self { agent, scope: Scope::Guarded(guard) }
    }

    fn of_origin(url: &Url, roots: RootCerts, timeouts: Timeouts) -> Self {
        let origin = Scope::Origin(url.origin().to_owned());
        Self { agent: config(roots, timeouts).new_agent(), scope: origin }
    }

    /// Sends a request and returns its answer, whatever its status is.
    pub fn send(&self, request: &Request<'_>, body: Option<Upload<'_>>) -> Result<Answer, HttpError> {
        self.scope.check(request.url)?;
        let origin = request.url.origin();
        let span = debug_span!("request", http.request.method = %request.method, origin, http.response.status_code = field::Empty);
        let _span = span.enter();
        let mut head = head(request).ok_or_else(|| unsendable(request.url))?;
        match body {
            None => self.run(request, head),
            Some(Upload { reader, length }) => {
                head.headers_mut().insert(CONTENT_LENGTH, length.into());
                self.run(request, head.map(|()| SendBody::from_reader(reader)))
            }
        }
    }

    fn run<B: AsSendBody>(
        &self,
        request: &Request<'_>,
        message: ::http::Request<B>,
    ) -> Result<Answer, HttpError> {
        let mut config = self.agent.configure_request(message);
        if let Some(timeout) = request.timeout {
            config = config.timeout_global(Some(timeout));
        }
        if request.url.is_loopback() {
            // A proxy cannot reach what listens on this machine alone.
            config = config.proxy(None);
        }
        let response = self.agent.run(config.build());
        let response =
            response.map_err(|error| HttpError::of_ureq(request.url, request.url.origin(), &error))?;
        let (parts, body) = response.into_parts();
        Span::current().record("http.response.status_code", parts.status.as_u16());
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.into_with_config().limit(request.max_bytes).reader(),
            url: request.url.clone(),
            path: request.path.to_owned(),
            has_credential: request.authorization.is_some(),
        })
    }
}

impl Scope {
    fn check(&self, url: &Url) -> Result<(), HttpError> {
        match self {
            // A credential that was made for one origin is never sent to another.
            Self::Origin(origin) if origin != url.origin() => {
                let message = format!("`{url}` is not at `{origin}`, for which the credential is");
                Err(HttpError::without_hint(HttpErrorKind::Stalled, message))
            }
            Self::Guarded(guard) if !guard.permits_literal(url.host()) => Err(HttpError::inside(url)),
            _ => Ok(()),
        }
    }
}

/// Returns a request as it is sent, unless it has something in it that cannot be.
fn head(request: &Request<'_>) -> Option<::http::Request<()>> {
    let mut head = ::http::Request::builder()
        .method(request.method.clone())
        .uri(request.url.target(request.path))
        .body(())
        .ok()?;
    for (name, value) in request.headers {
        head.headers_mut().insert(name, HeaderValue::try_from(*value).ok()?);
    }
    if let Some(authorization) = request.authorization {
        head.headers_mut().insert(AUTHORIZATION, authorization.header()?);
    }
    Some(head)
}

/// A header cannot hold what it was given.
fn unsendable(url: &Url) -> HttpError {
    let message = format!("the credential for `{url}` holds characters that cannot be sent");
    let hint = "a token is one line of printable characters: look for stray bytes";
    HttpError::new(HttpErrorKind::Unsendable, message, hint)
}

/// Returns the settings of a client, which leaves redirects and refusals to its caller.
fn config(roots: RootCerts, timeouts: Timeouts) -> ureq::config::Config {
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .proxy(Proxy::try_from_env())
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_per_read(Some(timeouts.idle))
        .timeout_per_write(Some(timeouts.idle))
        .timeout_global(Some(timeouts.exchange))
        .build()
}
