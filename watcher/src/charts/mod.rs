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

use std::fmt;

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

/// Where a chart is fetched from: a repository over HTTP, or a folder of a registry.
#[derive(Clone, Debug)]
pub struct Origin {
    url: Url,
    is_registry: bool,
}

impl Origin {
    /// Returns where a fleet draws the charts of a repository from. A mirror may be unencrypted: an operator chose it.
    pub fn of(sources: &ChartSources, repository: &str) -> Result<Self, ChartError> {
        match sources.fact_about(repository) {
            Some(_) => Self::parse(&sources.address_of(repository), Url::parse_mirror),
            None => Self::at(repository),
        }
    }

    /// Returns the repository or registry that an add-on or a person names.
    pub fn at(address: &str) -> Result<Self, ChartError> {
        Self::parse(address, Url::parse_file)
    }

    fn parse(address: &str, parse: fn(&str) -> Result<Url, HttpError>) -> Result<Self, ChartError> {
        let Some(rest) = address.strip_prefix("oci://") else {
            return Ok(Self { url: parse(address)?, is_registry: false });
        };
        // Registries on this machine have no certificate.
        let url =
            Url::parse(&format!("http://{rest}")).or_else(|_| Url::parse(&format!("https://{rest}")))?;
        Ok(Self { url, is_registry: true })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.to_string();
        match url.split_once("://") {
            Some((_, rest)) if self.is_registry => write!(f, "oci://{rest}"),
            _ => f.write_str(&url),
        }
    }
}

/// Fetches the package of a chart.
pub fn fetch(client: &Client, chart: &ChartId, origin: &Origin) -> Result<Fetched, ChartError> {
    let package = if origin.is_registry { oci::package } else { repository::package };
    Fetched::read(&chart.name, &package(client, origin, chart)?)
}

/// Fetches the package at an address.
pub fn fetch_package(client: &Client, address: &str) -> Result<Fetched, ChartError> {
    let address = Url::parse_file(address)?;
    Fetched::read(&address, &repository::download(&client.at(&address), &address)?)
}

impl Fetched {
    fn read(name: impl fmt::Display, bytes: &[u8]) -> Result<Self, ChartError> {
        let package = archive::read(bytes).map_err(|reason| ChartError::of_package(name, reason))?;
        Ok(Self { package, digest: Some(digest(bytes)) })
    }
}

/// Returns the versions of a chart that are there to be fetched and that are newer than the given one, the newest first.
///
/// A version before its release counts only for one that is itself before its release.
pub fn newer(client: &Client, chart: &ChartId, origin: &Origin) -> Result<Vec<String>, ChartError> {
    let versions = if origin.is_registry { oci::versions } else { repository::versions };
    let all = versions(client, origin, chart)?;
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
