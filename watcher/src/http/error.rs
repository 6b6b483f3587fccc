//! How an exchange fails, with what to check next, and never with a credential in it.

use std::fmt::Display;

use thiserror::Error;

use super::guard::Inside;

/// An exchange that brought no good answer, or an address that no request goes to. What was requested is named without
/// its query.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct HttpError {
    /// What is decided by it.
    pub kind: HttpErrorKind,
    message: String,
    hint: Option<String>,
}

/// What is decided by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// No answer came, it broke off, or the other side fails or asks to wait: trying again later may help.
    Transient,
    /// 401 to a request without a credential.
    CredentialMissing,
    /// 401: the credential is wrong, revoked or expired.
    CredentialRejected,
    /// 403: the credential is good, but not for this.
    Forbidden,
    /// 404: nothing is there, or nothing that may be seen.
    NotFound,
    /// A header cannot hold the credential.
    Unsendable,
    /// There is a user name, a password or a token in an address.
    CredentialInAddress,
    /// A repository led into a network in which it is not itself.
    Inside,
    /// Anything else that a user has to change.
    Stalled,
}

impl HttpError {
    pub(super) fn new(kind: HttpErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::without_hint(kind, message) }
    }

    pub(super) fn without_hint(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Returns the error of redirects that led from one to the next, more often than is followed.
    pub(crate) fn redirects(most: usize) -> Self {
        Self::without_hint(HttpErrorKind::Stalled, format!("it redirects more than {most} times"))
    }

    pub(super) fn inside(url: &impl Display) -> Self {
        let message = format!("`{url}` leads to an address of this machine, its link or a private network");
        Self::without_hint(HttpErrorKind::Inside, message)
    }

    fn unreachable(origin: &str, reason: &str) -> Self {
        let message = format!("`{origin}` cannot be reached: {reason}");
        Self::new(HttpErrorKind::Transient, message, "check the address, the network and `HTTPS_PROXY`")
    }

    fn untrusted(origin: &str, error: &rustls::Error) -> Self {
        let message = format!("the certificate of `{origin}` is not trusted: {error}");
        let hint = "name a file with the certificates to trust in `SSL_CERT_FILE`, or install the system's (`ca-certificates`)";
        Self::new(HttpErrorKind::Stalled, message, hint)
    }

    pub(super) fn of_ureq(url: &impl Display, origin: &str, error: &ureq::Error) -> Self {
        match error {
            ureq::Error::Rustls(error) => Self::untrusted(origin, error),
            ureq::Error::Io(inner) => match certificate_fault(inner) {
                Some(fault) => Self::untrusted(origin, fault),
                None => Self::unreachable(origin, &inner.to_string()),
            },
            // Its text is the proxy's address, which may hold a password.
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
                Self::unreachable(origin, "the proxy does not let the connection through")
            }
            ureq::Error::BodyExceedsLimit(limit) => {
                let message = format!("it is larger than {} MiB", limit >> 20);
                Self::without_hint(HttpErrorKind::Stalled, message)
            }
            ureq::Error::Other(inner) if inner.is::<Inside>() => Self::inside(url),
            _ => Self::unreachable(origin, &error.to_string()),
        }
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self.kind, HttpErrorKind::Transient)
    }
}

/// Returns what is wrong with a certificate: rustls reports it as an error of reading.
fn certificate_fault(error: &std::io::Error) -> Option<&rustls::Error> {
    let fault = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(fault, rustls::Error::InvalidCertificate(_)).then_some(fault)
}
