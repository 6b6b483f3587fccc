//! Chart repositories over HTTP: an `index.yaml` that names each version's package and digest.

use std::collections::BTreeMap;

use renderer::charts::ChartId;
use serde::Deserialize;

use super::address::Address;
use super::archive::MAX_PACKAGE_BYTES;
use super::client::{Client, Request};
use super::error::ChartError;
use super::{check_digest, is_same_version};

/// The largest index that is read: some hold every version of many years.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// How many values such an index holds at most.
const MAX_INDEX_NODES: usize = 8_000_000;

#[derive(Debug, Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Release>>,
}

/// A version of a chart.
#[derive(Debug, Deserialize)]
struct Release {
    version: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
}

/// Fetches a chart's package and holds it against the digest in the index.
pub(super) fn package(client: &Client, repository: &Address, chart: &ChartId) -> Result<Vec<u8>, ChartError> {
    let releases = releases(client, repository, &chart.name)?;
    let not_found = || ChartError::NotFound {
        name: chart.name.clone(),
        version: chart.version.clone(),
        repository: repository.to_string(),
    };
    let release = releases
        .iter()
        .find(|release| is_same_version(&release.version, &chart.version))
        .ok_or_else(not_found)?;
    let address = repository.below(release.urls.first().ok_or_else(not_found)?)?;
    let bytes = download(client, &address)?;
    if let Some(announced) = release.digest.as_deref().filter(|digest| !digest.is_empty()) {
        check_digest(&address, &bytes, announced)?;
    }
    Ok(bytes)
}

/// Returns every version of a chart, in the index's order.
pub(super) fn versions(
    client: &Client,
    repository: &Address,
    chart: &ChartId,
) -> Result<Vec<String>, ChartError> {
    Ok(releases(client, repository, &chart.name)?.into_iter().map(|release| release.version).collect())
}

/// Fetches a package from its address.
pub(super) fn download(client: &Client, address: &Address) -> Result<Vec<u8>, ChartError> {
    let request = Request { address, accept: "*/*", token: None, limit: MAX_PACKAGE_BYTES };
    client.get(request)?.ok(address)
}

fn releases(client: &Client, repository: &Address, name: &str) -> Result<Vec<Release>, ChartError> {
    let address = repository.below("index.yaml")?;
    let request = Request { address: &address, accept: "*/*", token: None, limit: MAX_INDEX_BYTES };
    let bytes = client.get(request)?.ok(&address)?;
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: MAX_INDEX_NODES,
            max_events: 2 * MAX_INDEX_NODES,
        },
    };
    let index: Index = serde_yaml::from_slice_with_options(&bytes, options).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        ChartError::Answer { address: address.to_string(), what: "the index of a chart repository", reason }
    })?;
    let mut entries = index.entries;
    Ok(entries.remove(name).unwrap_or_default())
}
