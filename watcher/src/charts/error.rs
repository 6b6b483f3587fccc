//! How a chart can fail to come, and what to do about it.

use std::io;
use std::path::PathBuf;

use renderer::charts::PackageError;
use thiserror::Error;

use crate::http::{HttpError, Refusal, Unusable, Url, UrlError};

const OWN_TOOLS: &str = "fetch the package with your own tools, and give it by `--from FILE.tgz`";

/// A chart that could not be fetched or read.
#[derive(Debug, Error)]
pub enum ChartError {
    /// An address that is not fetched from.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A file that did not come.
    #[error("failed to fetch `{address}`")]
    Fetch {
        /// What was fetched.
        address: String,
        /// The cause.
        source: Box<HttpError>,
    },
    /// What came is not what was announced.
    #[error("`{what}` has the digest `{found}`, not `{expected}`")]
    Digest {
        /// What was fetched.
        what: String,
        /// The digest that was announced or locked.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The answer is not what a repository or registry answers.
    #[error("`{address}` is not {what}: {reason}")]
    Answer {
        /// What was fetched.
        address: String,
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository does not have the chart at this version.
    #[error("there is no chart `{name}` {version} in `{repository}`")]
    NotFound {
        /// The chart.
        name: String,
        /// The version.
        version: String,
        /// Where it was looked for.
        repository: String,
    },
    /// Charts were given, but not these.
    #[error("not given and not locked: {}", charts.join(", "))]
    NotGiven {
        /// The charts with their versions.
        charts: Vec<String>,
    },
    /// Several repositories have a chart under the same name and version, and it is not known from which the given one is.
    #[error(
        "`{name}` {version} is wanted from {}, and `--from` does not name its repository",
        quoted(repositories)
    )]
    Ambiguous {
        /// The chart.
        name: String,
        /// Its version.
        version: String,
        /// The repositories.
        repositories: Vec<String>,
    },
    /// Repositories that could not be asked.
    #[error("newer versions of {} are not known", quoted(charts))]
    NotAsked {
        /// The charts.
        charts: Vec<String>,
        /// Why the first of them is not known.
        source: Box<ChartError>,
    },
    /// A package that is not one.
    #[error("the package of `{name}` {reason}")]
    Archive {
        /// The chart or address.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A package of something else.
    #[error("the package of `{name}` {version} is `{found}` by its own metadata")]
    OtherChart {
        /// The chart that was asked for.
        name: String,
        /// Its version.
        version: String,
        /// What came.
        found: String,
    },
    /// A file of the chart that could not be read.
    #[error("failed to read the values of `{name}`")]
    Package {
        /// The chart.
        name: String,
        /// The cause.
        source: PackageError,
    },
    /// A folder or package on disk that could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder without a chart in it.
    #[error("there is no chart in `{}`", path.display())]
    NoChart {
        /// The folder.
        path: PathBuf,
    },
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn hint_to_fetch(error: &HttpError) -> &'static str {
    match error {
        HttpError::Inside(_) => {
            "a repository may lead to public addresses, and to the network that it is in itself; use one inside, or give the chart by `--from`"
        }
        HttpError::Refused {
            refusal: Refusal::CredentialMissing | Refusal::CredentialRejected | Refusal::Forbidden,
            ..
        } => OWN_TOOLS,
        _ => "check the address and the network, or give the chart by `--from`",
    }
}

impl ChartError {
    /// Returns the failure to fetch what is at an address.
    pub(super) fn of(url: &Url, source: HttpError) -> Self {
        Self::Fetch { address: url.to_string(), source: Box::new(source) }
    }

    /// Returns what to do about it, if something is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url(UrlError { reason: Unusable::Credentials, .. }) => OWN_TOOLS,
            Self::Url(_) => "write an `https://` or `oci://` address",
            Self::Fetch { source, .. } => return Some(hint_to_fetch(source).to_owned()),
            Self::Digest { .. } => {
                "find out why the package changed before you trust it; `--refresh` does not accept another one either"
            }
            Self::NotFound { .. } => {
                "check `chart` in `addon.yaml`; `fleetwright charts outdated` lists newer versions"
            }
            Self::NotGiven { .. } => {
                "give them by another `--from`, or leave `--from` out to fetch from repositories"
            }
            Self::Ambiguous { repositories, .. } => {
                let first = repositories.first().map_or("", String::as_str);
                return Some(format!("name the repository before the place: `--from {first}=…`"));
            }
            Self::NotAsked { source, .. } => return source.hint(),
            Self::NoChart { .. } => "give a chart's folder, a folder of charts, or a `.tgz`",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fetch { source, .. } => source.is_transient(),
            Self::NotAsked { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}
