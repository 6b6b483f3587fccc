//! How an exchange fails, with what to check next, and never with a credential in it.

use std::time::Duration;

use thiserror::Error;

use super::guard::Inside;
use super::url::{Url, UrlError};

/// An exchange that brought no good answer. What was requested is named without its query.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The other side answered with a status that is no success.
    #[error("`{url}` {refusal}{}", message.as_ref().map(|message| format!(" (it reports: {message})")).unwrap_or_default())]
    Refused {
        /// What was requested.
        url: String,
        /// What the status means.
        refusal: Refusal,
        /// The message that came with it.
        message: Option<String>,
    },
    /// The repository, or all of the other side, has moved. The new address holds nothing that may be secret.
    #[error("`{from}` answers with a redirect to `{to}`, which is not followed")]
    Redirected {
        /// What was requested.
        from: String,
        /// Where the answer points.
        to: String,
    },
    /// One redirect led to the next, more often than is followed.
    #[error("it redirects more than {0} times")]
    Redirects(usize),
    /// A redirect or a link leads to an address that no request goes to.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A repository led into a network in which it is not itself.
    #[error("`{0}` leads to an address of this machine, its link or a private network")]
    Inside(String),
    /// The answer has more bytes than are read of it.
    #[error("it is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
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
    #[error("the credential for `{0}` holds characters that cannot be sent")]
    Unsendable(String),
    /// A credential for one origin was about to go to another.
    #[error("`{url}` is not at `{origin}`, for which the credential is")]
    OtherOrigin {
        /// What the credential is for.
        origin: String,
        /// Where it would have gone.
        url: String,
    },
}

/// What a status means that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// 401 to a request without a credential.
    #[error("asks for a credential")]
    CredentialMissing,
    /// 401: the credential is wrong, revoked or expired.
    #[error("does not accept the credential")]
    CredentialRejected,
    /// 403: the credential is good, but not for this.
    #[error("does not allow this")]
    Forbidden,
    /// 404: nothing is there, or nothing that may be seen.
    #[error("does not exist, or {}", if *has_credential { "the credential may not see it" } else { "it is not public" })]
    NotFound {
        /// Whether a credential was sent.
        has_credential: bool,
    },
    /// 429, or 403 with a time to wait.
    #[error("asks to wait{}", retry_after.map(|wait| format!(" {} seconds", wait.as_secs())).unwrap_or_default())]
    RateLimited {
        /// How long, if that is known.
        retry_after: Option<Duration>,
    },
    /// 5xx: the fault is on the other side.
    #[error("fails with status {0}")]
    ServerFailed(u16),
    /// Anything else.
    #[error("answers with status {0}")]
    Unexpected(u16),
}

impl HttpError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused { refusal, .. } => refusal.hint()?.into(),
            Self::Redirected { to, .. } => {
                format!("if that is where the repository lives now, name `{to}` instead")
            }
            Self::Untrusted { .. } => {
                "name a file with the certificates to trust in `SSL_CERT_FILE`, or install the system's (`ca-certificates`)".into()
            }
            Self::Unsendable(_) => "a token is one line of printable characters: look for stray bytes".into(),
            Self::Unreachable { .. } => "check the address, the network and `HTTPS_PROXY`".into(),
            _ => return None,
        };
        Some(hint)
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { refusal, .. } => {
                matches!(refusal, Refusal::RateLimited { .. } | Refusal::ServerFailed(_))
            }
            _ => false,
        }
    }

    /// Returns whether the credential itself was rejected.
    #[must_use]
    pub const fn is_rejected_credential(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::CredentialRejected, .. })
    }

    /// Returns whether there is nothing at the address, or nothing that may be seen.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::NotFound { .. }, .. })
    }

    pub(super) fn of_ureq(url: &Url, error: &ureq::Error) -> Self {
        let origin = url.origin().to_owned();
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
            ureq::Error::BodyExceedsLimit(limit) => Self::TooLarge(*limit),
            ureq::Error::Other(inner) if inner.is::<Inside>() => Self::Inside(url.to_string()),
            _ => Self::Unreachable { origin, reason: error.to_string() },
        }
    }
}

impl Refusal {
    const fn hint(self) -> Option<&'static str> {
        match self {
            Self::CredentialMissing => Some(
                "give a token in `FLEETWRIGHT_TOKEN` or in a file with `--token-file`, or use a GitHub App",
            ),
            Self::CredentialRejected => {
                Some("check that the token is whole, not expired and not revoked; it was tried once")
            }
            Self::Forbidden => Some(
                "the credential is good, but lacks a right: give it read and write access to the repository's contents, and authorise it for single sign-on",
            ),
            Self::NotFound { .. } => Some(
                "check the spelling, and that the token may see the repository or that the App is installed on it: forges hide what a credential may not see",
            ),
            _ => None,
        }
    }
}

/// Returns what is wrong with a certificate: rustls reports it as an error of reading.
fn certificate_fault(error: &std::io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(tls, rustls::Error::InvalidCertificate(_)).then(|| tls.to_string())
}
