//! How an exchange fails, told so that a person knows what to check, and never with a credential in it.

use std::error::Error as StdError;
use std::io::Read;
use std::time::{Duration, Instant};

use thiserror::Error;
use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode};

use super::{MAX_REFUSAL_BYTES, Request};
use crate::secrets::redacted;

/// How long the text of a refusal is read.
const REFUSAL_TIME: Duration = Duration::from_secs(10);

/// Longer texts of the other side are cut.
const MAX_TOLD_CHARS: usize = 300;

/// An exchange that brought no good answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The other side answered, and said no.
    #[error("{refusal}{}", told_in_parentheses(told.as_deref()))]
    Refused {
        /// What kind of no.
        refusal: Refusal,
        /// What it said.
        told: Option<String>,
    },
    /// The repository, or all of the other side, has moved.
    #[error("`{from}` answers with a redirect to `{to}`, which is not followed")]
    Redirected {
        /// Where the question went.
        from: String,
        /// Where the answer points, without anything that may be secret.
        to: String,
    },
    /// No answer came, or it broke off.
    #[error("`{origin}` cannot be reached: {reason}")]
    Unreachable {
        /// The other side.
        origin: String,
        /// What happened.
        reason: String,
    },
    /// The other side's certificate is not one that is trusted here.
    #[error("the certificate of `{origin}` is not trusted: {reason}")]
    Untrusted {
        /// The other side.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header cannot hold what it was given.
    #[error("the credential for `{origin}` holds characters that cannot be sent")]
    Unsendable {
        /// The other side.
        origin: String,
    },
    /// A credential for one origin was about to go to another.
    #[error("`{url}` is not at `{origin}`, for which the credential is")]
    OtherOrigin {
        /// What the credential is for.
        origin: String,
        /// Where it would have gone.
        url: String,
    },
}

/// How the other side said no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// 401 to a question without a credential.
    #[error("`{origin}` asks for a credential")]
    CredentialMissing {
        /// The other side.
        origin: String,
    },
    /// 401: the credential is wrong, revoked or expired.
    #[error("`{origin}` does not accept the credential")]
    CredentialRejected {
        /// The other side.
        origin: String,
    },
    /// 403: the credential is good, but not for this.
    #[error("`{origin}` does not allow this")]
    Forbidden {
        /// The other side.
        origin: String,
    },
    /// 404: nothing is there, or nothing that the credential may see.
    #[error("there is no `{url}`, or the credential may not see it")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// 429, or 403 with a time to wait.
    #[error("`{origin}` asks to wait")]
    RateLimited {
        /// The other side.
        origin: String,
        /// How long, if it says so.
        retry_after: Option<Duration>,
    },
    /// 5xx: the other side has troubles of its own.
    #[error("`{origin}` fails with status {status}")]
    ServerFailed {
        /// The other side.
        origin: String,
        /// The status.
        status: u16,
    },
    /// Anything else.
    #[error("`{origin}` answers with status {status}")]
    Unexpected {
        /// The other side.
        origin: String,
        /// The status.
        status: u16,
    },
}

impl HttpError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused { refusal, .. } => return refusal.hint(),
            Self::Redirected { to, .. } => {
                format!("if that is where the repository lives now, name `{to}` instead")
            }
            Self::Untrusted { .. } => {
                "name a file with the certificates to trust in `SSL_CERT_FILE`, or install the system's (`ca-certificates`)".into()
            }
            Self::Unsendable { .. } => "a token is one line of printable characters: look for stray bytes".into(),
            Self::Unreachable { .. } => "check the address, the network and `HTTPS_PROXY`".into(),
            Self::OtherOrigin { .. } => return None,
        };
        Some(hint)
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { refusal, .. } => {
                matches!(refusal, Refusal::RateLimited { .. } | Refusal::ServerFailed { .. })
            }
            _ => false,
        }
    }

    /// Returns whether the credential itself was turned down.
    #[must_use]
    pub const fn is_rejected_credential(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::CredentialRejected { .. }, .. })
    }

    pub(super) fn of_ureq(origin: &str, error: &ureq::Error) -> Self {
        let origin = origin.to_owned();
        match error {
            ureq::Error::Rustls(inner) => Self::Untrusted { origin, reason: inner.to_string() },
            ureq::Error::Io(inner) => match certificate_fault(inner) {
                Some(reason) => Self::Untrusted { origin, reason },
                None => Self::Unreachable { origin, reason: inner.to_string() },
            },
            // Its text is the proxy's address, which may hold a password.
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
                Self::Unreachable { origin, reason: "the proxy does not let the connection through".into() }
            }
            _ => Self::Unreachable { origin, reason: error.to_string() },
        }
    }

    pub(super) fn of_response(request: &Request<'_>, response: Response<Body>) -> Self {
        let status = response.status();
        if status.is_redirection() {
            return Self::Redirected {
                from: request.url.to_string(),
                to: redirect_target(request, response.headers()),
            };
        }
        let refusal = Refusal::of(request, status, response.headers());
        Self::Refused { refusal, told: told(response) }
    }
}

impl Refusal {
    fn of(request: &Request<'_>, status: StatusCode, headers: &HeaderMap) -> Self {
        let origin = request.url.origin();
        let retry_after = header(headers, "retry-after").and_then(|seconds| seconds.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let is_spent = header(headers, "x-ratelimit-remaining") == Some("0");
        match status.as_u16() {
            401 if request.authorization.is_none() => Self::CredentialMissing { origin },
            401 => Self::CredentialRejected { origin },
            429 => Self::RateLimited { origin, retry_after },
            403 if retry_after.is_some() || is_spent => Self::RateLimited { origin, retry_after },
            403 => Self::Forbidden { origin },
            404 | 410 => Self::NotFound { url: request.url.to_string() },
            status @ 500..=599 => Self::ServerFailed { origin, status },
            status => Self::Unexpected { origin, status },
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CredentialMissing { .. } => {
                "give a token in `FLEETWRIGHT_TOKEN` or in a file with `--token-file`, or use a GitHub App"
            }
            Self::CredentialRejected { .. } => {
                "check that the token is whole, not expired and not revoked; it was tried once"
            }
            Self::Forbidden { .. } => {
                "the credential is good, but lacks a right: give it read and write access to the repository's contents, and authorise it for single sign-on"
            }
            Self::NotFound { .. } => {
                "check the spelling, and that the token may see the repository or that the App is installed on it: forges hide what a credential may not see"
            }
            Self::RateLimited { .. } | Self::ServerFailed { .. } | Self::Unexpected { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Where the answer points, without user, query and what git puts behind a repository's address.
fn redirect_target(request: &Request<'_>, headers: &HeaderMap) -> String {
    let location = header(headers, "location").unwrap_or_default();
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let path = request.path.split('?').next().unwrap_or_default();
    let location = location.strip_suffix(path).unwrap_or(location);
    let Some((scheme, rest)) = location.split_once("://") else {
        return format!("{}{}", request.url.origin(), printable(location));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    printable(&format!("{scheme}://{host}/{path}"))
}

/// The first line of what the other side says, if it is meant for people. Should it repeat the credential, that is masked.
fn told(response: Response<Body>) -> Option<String> {
    let kind = header(response.headers(), "content-type").unwrap_or_default().to_owned();
    let mut text = Vec::new();
    let mut reader = response.into_body().into_reader().take(MAX_REFUSAL_BYTES);
    let (since, mut piece) = (Instant::now(), [0; 1024]);
    // What comes byte by byte is not worth waiting for.
    while since.elapsed() < REFUSAL_TIME {
        match reader.read(&mut piece).ok()? {
            0 => break,
            count => text.extend_from_slice(&piece[..count]),
        }
    }
    let text = String::from_utf8_lossy(&text);
    let line = if kind.starts_with("application/json") || kind.contains("+json") {
        serde_json::from_str::<serde_json::Value>(&text).ok()?.get("message")?.as_str()?.to_owned()
    } else if kind.starts_with("text/plain") {
        text.lines().find(|line| !line.trim().is_empty())?.trim().to_owned()
    } else {
        return None;
    };
    Some(printable(&redacted(&line)))
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TOLD_CHARS).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn told_in_parentheses(told: Option<&str>) -> String {
    told.map(|told| format!(" (it says: {told})")).unwrap_or_default()
}

/// rustls reports what it finds in a handshake as an error of reading.
fn certificate_fault(error: &std::io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    let tls = inner.downcast_ref::<rustls::Error>()?;
    matches!(tls, rustls::Error::InvalidCertificate(_)).then(|| (tls as &dyn StdError).to_string())
}
