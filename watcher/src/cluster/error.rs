//! How a cluster is not reached or refuses, with what to do next, and never with a credential in it.

use std::error::Error;
use std::time::Duration;

use kube::config::KubeconfigError;
use thiserror::Error;

use super::kind::ABSENT;

/// What to do about a server that is not reached.
const REACH: &str = "check that the API server runs and can be reached from here";

const LIST_CONTEXTS: &str = "list the contexts with `kubectl config get-contexts`";

/// What was not done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ClusterError {
    /// What is decided by it.
    pub kind: ClusterErrorKind,
    message: String,
    hint: Option<String>,
}

/// What is decided by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterErrorKind {
    /// There is no configuration, or it does not say which cluster.
    Unconfigured,
    /// No answer came, it broke off, or the server is busy: trying again later may help.
    Transient,
    /// 401: the credential is missing, wrong or expired.
    Unauthorized,
    /// 403: the credential is good, but not for this.
    Forbidden,
    /// 404: no such object, or no such kind.
    NotFound,
    /// 409: another change came first.
    Conflict,
    /// Anything else that a user has to change.
    Stalled,
}

impl ClusterError {
    fn new(kind: ClusterErrorKind, message: String, hint: &str) -> Self {
        Self { kind, message, hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()) }
    }

    /// Returns the error of a replica that no longer holds its Lease.
    pub(crate) fn lost_lease() -> Self {
        let hint = "it waits for the Lease when it is started again, as Kubernetes does";
        Self::new(
            ClusterErrorKind::Transient,
            "the Lease was lost: another replica may work now".to_owned(),
            hint,
        )
    }

    /// Returns the error of a context that does not say who asks.
    pub(crate) fn anonymous(place: &str) -> Self {
        Self::unconfigured(format!("the {place} has no user"), "give the context a user in the kubeconfig")
    }

    /// Returns the error of something that is not on a cluster as it should be.
    pub(crate) fn missing(message: &str, place: &str, hint: &str) -> Self {
        Self::new(ClusterErrorKind::Stalled, format!("{message} ({place})"), hint)
    }

    /// Returns the error of something that is not on a cluster yet, and may come by itself.
    pub(crate) fn not_yet(message: &str, place: &str, hint: &str) -> Self {
        Self { kind: ClusterErrorKind::Transient, ..Self::missing(message, place, hint) }
    }

    /// Returns the error of a kubeconfig that does not lead where it should.
    pub(super) fn unconfigured(message: String, hint: &str) -> Self {
        Self::new(ClusterErrorKind::Unconfigured, message, hint)
    }

    pub(super) fn of_config(context: Option<&str>, error: &KubeconfigError) -> Self {
        let which =
            context.map_or_else(|| "a cluster".to_owned(), |name| format!("the cluster of context `{name}`"));
        if let (Some(name), KubeconfigError::LoadContext(_)) = (context, error) {
            let message = format!("no context of the kubeconfig is called `{name}`");
            return Self::new(ClusterErrorKind::Unconfigured, message, LIST_CONTEXTS);
        }
        let hint = match error {
            KubeconfigError::LoadContext(_) => LIST_CONTEXTS,
            KubeconfigError::CurrentContextNotSet => {
                "name a context with `--context NAME`, and check that `KUBECONFIG` names a kubeconfig that has one"
            }
            _ => "name the kubeconfig in `KUBECONFIG`, and a context in it with `--context NAME`",
        };
        Self::new(ClusterErrorKind::Unconfigured, format!("failed to find {which}: {}", reason(error)), hint)
    }

    /// Returns the error of a server that sends nothing.
    pub(crate) fn no_answer(place: &str, after: Duration) -> Self {
        let message = format!("no answer from {place} within {} s", after.as_secs());
        Self::new(ClusterErrorKind::Transient, message, REACH)
    }

    /// Returns the error of an attempt, such as `list Applications`, at a cluster; `absent` is what to do on a 404.
    pub(super) fn of_kube(attempt: &str, place: &str, absent: &str, error: &kube::Error) -> Self {
        let failed = |reason: &str| format!("failed to {attempt} ({place}): {reason}");
        if let kube::Error::Api(status) = error {
            return Self::of_status(status.code, absent, failed(&status.message));
        }
        let (kind, hint) = match error {
            kube::Error::Auth(_) => (
                ClusterErrorKind::Unauthorized,
                "check the user of the context; a plugin that it names has to be installed",
            ),
            kube::Error::SerdeError(_) => (
                ClusterErrorKind::Stalled,
                "the server's objects are of another version: compare it with those that are supported",
            ),
            _ if has_untrusted_certificate(error) => (
                ClusterErrorKind::Stalled,
                "put the certificate of its CA into the kubeconfig (`certificate-authority-data`)",
            ),
            _ => (ClusterErrorKind::Transient, REACH),
        };
        Self::new(kind, failed(&innermost(error)), hint)
    }

    /// Returns the error of an attempt that was answered with a status of HTTP.
    pub(super) fn of_answer(code: u16, attempt: &str, place: &str, reason: &str) -> Self {
        Self::of_status(code, ABSENT, format!("failed to {attempt} ({place}): {reason}"))
    }

    fn of_status(code: u16, absent: &str, message: String) -> Self {
        let (kind, hint) = match code {
            401 => (ClusterErrorKind::Unauthorized, "log in again, or check the user of the context"),
            403 => (
                ClusterErrorKind::Forbidden,
                "give the user of the context, or the account of the pod, that right by a Role in this namespace",
            ),
            404 => (ClusterErrorKind::NotFound, absent),
            409 => (ClusterErrorKind::Conflict, "try again"),
            410 | 429 | 500..=599 => (ClusterErrorKind::Transient, "try again later"),
            _ => (ClusterErrorKind::Stalled, ""),
        };
        Self::new(kind, message, hint)
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.kind, ClusterErrorKind::Transient | ClusterErrorKind::Conflict)
    }
}

/// Returns why a kubeconfig leads nowhere, without its text: it holds credentials, and a parser quotes lines around a fault.
fn reason(error: &KubeconfigError) -> String {
    let KubeconfigError::Parse(fault) = error else { return error.to_string() };
    let place = fault.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    format!("the kubeconfig is not valid{}", place.unwrap_or_default())
}

/// Returns the cause that all others are about: what is around it names no more than that a request failed.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn has_untrusted_certificate(error: &kube::Error) -> bool {
    innermost(error).contains("invalid peer certificate")
}
