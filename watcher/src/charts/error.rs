//! How a chart can fail to come, and what to do about it.

use std::fmt::Display;
use std::path::Path;

use renderer::charts::ChartId;
use renderer::plural::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::http::{HttpError, HttpErrorKind, Url};

const OWN_TOOLS: &str = "fetch the package with your own tools, and give it by `--from FILE.tgz`";

/// A chart that could not be fetched or read.
#[derive(Debug, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct ChartError {
    message: String,
    hint: Option<String>,
    is_transient: bool,
}

/// An address that is not fetched from.
impl From<HttpError> for ChartError {
    fn from(error: HttpError) -> Self {
        let hint = match error.kind {
            HttpErrorKind::CredentialInAddress => OWN_TOOLS,
            _ => "write an `https://` or `oci://` address",
        };
        Self::new(error.to_string(), hint)
    }
}

impl ChartError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::without_hint(message) }
    }

    pub(super) fn without_hint(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_transient: false }
    }

    /// A file that did not come.
    pub(super) fn of_fetch(url: &Url, error: &HttpError) -> Self {
        use HttpErrorKind::{CredentialMissing, CredentialRejected, Forbidden, Inside};
        let hint = match error.kind {
            Inside => {
                "a repository may lead to public addresses, and to the network that it is in itself; use one inside, or give the chart by `--from`"
            }
            CredentialMissing | CredentialRejected | Forbidden => OWN_TOOLS,
            _ => "check the address and the network, or give the chart by `--from`",
        };
        let is_transient = error.is_transient();
        Self { is_transient, ..Self::new(format!("failed to fetch `{url}`: {error}"), hint) }
    }

    /// What came is not what was announced or locked.
    pub(super) fn of_digest(what: impl Display, found: &str, expected: &str) -> Self {
        let message = format!("`{what}` has the digest `{found}`, not `{expected}`");
        let hint = "find out why the package changed before you trust it; `--refresh` does not accept another one either";
        Self::new(message, hint)
    }

    /// The answer is not what a repository or registry answers.
    pub(super) fn of_answer(url: &Url, what: &str, reason: impl Display) -> Self {
        Self::without_hint(format!("`{url}` is not {what}: {reason}"))
    }

    /// The repository does not have the chart at this version.
    pub(super) fn not_found(chart: &ChartId, repository: impl Display) -> Self {
        let ChartId { name, version, .. } = chart;
        let message = format!("there is no chart `{name}` {version} in `{repository}`");
        let hint = "check `chart` in `addon.yaml`; `fleetwright charts outdated` lists newer versions";
        Self::new(message, hint)
    }

    /// A package that is not one.
    pub(super) fn of_package(name: impl Display, reason: impl Display) -> Self {
        Self::without_hint(format!("the package of `{name}` {reason}"))
    }

    /// A folder of the repository that is no chart.
    pub(super) fn of_folder(path: impl Display, reason: impl Display) -> Self {
        Self::without_hint(format!("the chart in `{path}` {reason}"))
    }

    /// A folder or package on disk that could not be read.
    pub(super) fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::without_hint(format!("failed to read `{}`: {error}", path.display()))
    }

    /// A file of the store that could not be written.
    pub(super) fn unwritable(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let hint = "charts are kept below `$XDG_CACHE_HOME/fleetwright` or `~/.cache/fleetwright`: name a folder that can be written";
        move |error| Self::new(format!("failed to write `{}`: {error}", path.display()), hint)
    }

    /// Returns the error of charts whose newer versions are not known, for a reason that the first of them has.
    pub(crate) fn unknown(charts: &[String], reason: Self) -> Self {
        Self { message: format!("newer versions of {} are not known: {reason}", quoted(charts)), ..reason }
    }

    /// A repository that only a change names which is not merged.
    pub(crate) fn of_new_repository(repository: &str) -> Self {
        let message = format!("`{}` is asked for charts once this is merged", repository.escape_debug());
        Self::without_hint(message)
    }

    /// Returns the error of charts that did not come, with the reason of the first.
    pub(crate) fn absent(failed: Vec<(String, Self)>) -> Self {
        let charts: Vec<_> = failed.iter().map(|(name, _)| name.clone()).collect();
        let hint = "give charts of your own by `--charts DIR`, or name a mirror of their repositories in `environments/_fleet.yaml`";
        let Some((_, reason)) = failed.into_iter().next() else { return Self::new("no chart came", hint) };
        Self {
            message: format!("there is no package of {}: {reason}", quoted(&charts)),
            hint: Some(hint.to_owned()),
            ..reason
        }
    }

    /// Names what is not done without the chart, and another way out.
    pub(crate) fn keeping(self, what: &str, way_out: &str) -> Self {
        let hint = self.hint.map_or_else(|| way_out.to_owned(), |hint| format!("{hint}; or {way_out}"));
        Self { message: format!("{what}: {}", self.message), hint: Some(hint), ..self }
    }

    /// Returns what to do about it, if something is known.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        self.is_transient
    }
}
