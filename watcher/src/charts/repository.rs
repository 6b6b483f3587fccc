//! Chart repositories over HTTP: an `index.yaml` that names each version's package and digest.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use renderer::charts::ChartId;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::archive::MAX_PACKAGE_BYTES;
use super::client::{Client, Connection, File};
use super::error::ChartError;
use super::origin::Origin;
use super::verify::{check_digest, is_same_version};
use crate::http::{Authorization, Url};

/// The largest index that is read: some hold every version of many years.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// How many values such an index holds at most.
const MAX_INDEX_NODES: usize = 8_000_000;

/// How many versions of one chart are read.
pub(super) const MAX_VERSIONS: usize = 20_000;

/// A version of a chart.
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    version: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
}

/// Fetches a chart's package and compares it with the digest in the index.
pub(super) fn package(client: &Client, repository: &Origin, chart: &ChartId) -> Result<Vec<u8>, ChartError> {
    let connection = client.at(&repository.url);
    let own = client.credentials.of_repository(&repository.url);
    let releases = releases(&connection, &repository.url, &chart.name, own.as_ref())?;
    let not_found = || ChartError::not_found(chart, repository);
    let release = releases
        .iter()
        .find(|release| is_same_version(&release.version, &chart.version))
        .ok_or_else(not_found)?;
    let url = repository.url.below(release.urls.first().ok_or_else(not_found)?)?;
    // A package may lie on another server, which is not the one that the credential is for.
    let own = own.as_ref().filter(|_| url.origin() == repository.url.origin());
    let bytes = download(&connection, &url, own)?;
    if let Some(announced) = release.digest.as_deref().filter(|digest| !digest.is_empty()) {
        check_digest(&url, &bytes, announced)?;
    }
    Ok(bytes)
}

/// Returns every version of a chart, in the index's order.
pub(super) fn versions(
    client: &Client,
    repository: &Origin,
    chart: &ChartId,
) -> Result<Vec<String>, ChartError> {
    let own = client.credentials.of_repository(&repository.url);
    let releases = releases(&client.at(&repository.url), &repository.url, &chart.name, own.as_ref())?;
    Ok(releases.into_iter().map(|release| release.version).collect())
}

/// Fetches a package from its address.
pub(super) fn download(
    connection: &Connection,
    url: &Url,
    authorization: Option<&Authorization>,
) -> Result<Vec<u8>, ChartError> {
    connection.get(File { url, accept: "*/*", authorization, max_bytes: MAX_PACKAGE_BYTES })
}

fn releases(
    connection: &Connection,
    repository: &Url,
    name: &str,
    authorization: Option<&Authorization>,
) -> Result<Vec<Release>, ChartError> {
    let url = &repository.below("index.yaml")?;
    let index = connection.get(File { url, accept: "*/*", authorization, max_bytes: MAX_INDEX_BYTES })?;
    read_index(&*index, name)
        .map_err(|reason| ChartError::of_answer(url, "the index of a chart repository", reason))
}

/// Reads the releases of one chart out of an index as it comes; of the others, nothing is kept.
pub(super) fn read_index(index: impl Read, name: &str) -> Result<Vec<Release>, String> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: MAX_INDEX_NODES,
            max_events: 2 * MAX_INDEX_NODES,
        },
        // Noticing a repeated key takes a memory of all keys.
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    serde_yaml::with_deserializer_from_reader_with_options(index, options, |index| {
        OnlyKey("entries", OnlyKey(name, PhantomData)).deserialize(index)
    })
    .map(|releases: Option<Option<Releases>>| releases.flatten().unwrap_or_default().0)
    .map_err(|error| {
        let reason = error.to_string();
        reason.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Reads the value of one key of a map, and skips the others.
struct OnlyKey<'a, S>(&'a str, S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for OnlyKey<'_, S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for OnlyKey<'_, S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seed, mut value) = (Some(self.1), None);
        while let Some(key) = map.next_key::<String>()? {
            match seed.take_if(|_| key == self.0) {
                Some(seed) => value = Some(map.next_value_seed(seed)?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(value)
    }
}

/// The releases of one chart, up to a number that no chart has.
#[derive(Debug, Default)]
struct Releases(Vec<Release>);

impl<'de> Deserialize<'de> for Releases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Releases {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of releases")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut releases: A) -> Result<Self, A::Error> {
        while let Some(release) = releases.next_element()? {
            self.0.push(release);
            if self.0.len() > MAX_VERSIONS {
                return Err(A::Error::custom(format_args!(
                    "it has more than {MAX_VERSIONS} versions of a chart"
                )));
            }
        }
        Ok(self)
    }
}
