//! Where charts come from: repositories over HTTP, OCI registries, packages and folders on disk.
//!
//! Only the files of a chart that are about its values are read, out of the stream; nothing is unpacked to disk.
//! What they mean is the renderer's business, and so is the lock's form.

mod archive;
mod client;
mod error;
mod lock;
mod oci;
mod repository;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;
mod verify;

use std::borrow::Cow;

use renderer::charts::{ChartId, Package};
use renderer::inventory::ChartSources;
use semver::Version;

use crate::http::{HttpError, Url};

pub use client::Client;
pub use error::ChartError;
pub use lock::{Action, Given, Relocked, Supply, Wanted, relock};
use verify::digest;

/// A chart's files, and the digest of the package that they came in.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The files.
    pub package: Package,
    /// The digest, `sha256:…`; none for a folder.
    pub digest: Option<String>,
}

/// Where a chart is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A repository or registry that an add-on or a person names.
    Repository(&'a str),
    /// What the fleet's facts name in its place.
    Mirror(Cow<'a, str>),
}

impl<'a> Origin<'a> {
    /// Returns where a fleet draws the charts of a repository from.
    #[must_use]
    pub fn of(sources: &'a ChartSources, repository: &'a str) -> Self {
        match sources.fact_about(repository) {
            Some(_) => Self::Mirror(sources.address_of(repository)),
            None => Self::Repository(repository),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Repository(text) => text,
            Self::Mirror(text) => text,
        }
    }

    fn url(&self) -> Result<Url, HttpError> {
        match self {
            Self::Repository(text) => Url::parse_file(text),
            Self::Mirror(text) => Url::parse_mirror(text),
        }
    }
}

/// Fetches the package of a chart.
pub fn fetch(client: &Client, chart: &ChartId, origin: &Origin<'_>) -> Result<Fetched, ChartError> {
    let bytes = match oci::registry(origin.text()) {
        Some(registry) => oci::package(client, &registry?, chart)?,
        None => repository::package(client, &origin.url()?, chart)?,
    };
    let digest = digest(&bytes);
    let package = archive::read(&bytes).map_err(|reason| ChartError::of_package(&chart.name, reason))?;
    Ok(Fetched { package, digest: Some(digest) })
}

/// Fetches the package at an address.
pub fn fetch_package(client: &Client, address: &str) -> Result<Fetched, ChartError> {
    let address = Url::parse_file(address)?;
    let bytes = repository::download(&client.at(&address), &address)?;
    let package = archive::read(&bytes).map_err(|reason| ChartError::of_package(&address, reason))?;
    Ok(Fetched { package, digest: Some(digest(&bytes)) })
}

/// Returns the versions of a chart that are there to be fetched and that are newer than the given one, the newest first.
///
/// A version before its release counts only for one that is itself before its release.
pub fn newer(client: &Client, chart: &ChartId, origin: &Origin<'_>) -> Result<Vec<String>, ChartError> {
    let all = match oci::registry(origin.text()) {
        Some(registry) => oci::versions(client, &registry?, chart)?,
        None => repository::versions(client, &origin.url()?, chart)?,
    };
    let Some(current) = version(&chart.version) else { return Ok(Vec::new()) };
    let mut newer: Vec<_> = all
        .into_iter()
        .filter_map(|text| Some((version(&text)?, text)))
        .filter(|(version, _)| *version > current && (version.pre.is_empty() || !current.pre.is_empty()))
        .collect();
    newer.sort_by(|a, b| b.cmp(a));
    newer.dedup();
    Ok(newer.into_iter().map(|(_, text)| text).collect())
}

/// Reads bytes as everything that a repository can send: a package, what a package unpacks to, and an index. For fuzzing.
#[doc(hidden)]
pub fn read_untrusted(bytes: &[u8]) {
    for package in [archive::read(bytes), archive::read_unpacked(bytes)].into_iter().flatten() {
        let _ = (package.metadata(), package.locked(None));
    }
    let _ = repository::read_index(bytes, "demo");
}

fn version(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}
