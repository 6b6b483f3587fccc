//! Where charts come from: repositories over HTTP, OCI registries, packages and folders on disk.
//!
//! Only the files of a chart that are about its values are read, out of the stream; nothing is unpacked to disk. Whole
//! packages are kept for Helm alone (`store`). What the files mean is the renderer's business, and so is the lock's form.

mod archive;
mod client;
mod credentials;
mod error;
mod lock;
mod oci;
mod origin;
mod repository;
#[cfg(test)]
mod scene;
mod store;
#[cfg(test)]
mod tests;
mod verify;

use renderer::charts::ChartId;
use semver::Version;

use crate::http::Url;

pub use archive::Fetched;
pub use client::Client;
pub use error::ChartError;
pub use lock::{Action, Given, Relocked, Supply, Wanted, relock};
pub use origin::Origin;
pub use store::{Store, Stored};

/// Fetches the package of a chart.
pub fn fetch(client: &Client, chart: &ChartId, origin: &Origin) -> Result<Fetched, ChartError> {
    Fetched::read(&chart.name, &package_of(client, chart, origin)?)
}

fn package_of(client: &Client, chart: &ChartId, origin: &Origin) -> Result<Vec<u8>, ChartError> {
    let package = if origin.is_registry { oci::package } else { repository::package };
    package(client, origin, chart)
}

/// Fetches the package at an address.
pub fn fetch_package(client: &Client, address: &str) -> Result<Fetched, ChartError> {
    let address = Url::parse_file(address)?;
    let own = client.credentials.of_repository(&address);
    Fetched::read(&address, &repository::download(&client.at(&address), &address, own.as_ref())?)
}

/// Returns the versions of a chart that are there to be fetched and that are newer than the given one, the
/// newest first.
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

/// Reads bytes as everything that a repository can send: a package, what a package unpacks to, and an index.
/// For fuzzing.
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
