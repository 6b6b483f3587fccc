//! Bringing a lock up to date: what add-ons name is fetched once, and stays as it is from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use renderer::charts::{ChartId, ChartLock, LockedChart, Metadata};
use renderer::inventory::ChartSources;

use super::archive::{read_file, read_folder};
use super::client::Client;
use super::error::ChartError;
use super::{Fetched, Origin, digest, fetch, fetch_package, is_same_version};

/// The charts that a lock should hold.
pub type Wanted = BTreeSet<ChartId>;

/// Where charts are taken from instead of their own repository.
#[derive(Debug)]
pub enum Given {
    /// Charts that are at hand.
    Charts(Vec<Fetched>),
    /// The address of a repository or registry that has them all.
    Repository(String),
}

/// What charts are taken from.
#[derive(Clone, Copy, Debug)]
pub struct Supply<'a> {
    /// What a person gives.
    pub given: &'a [Given],
    /// Where the fleet draws its charts from.
    pub sources: &'a ChartSources,
    /// Whether what is locked is fetched again.
    pub is_refreshed: bool,
}

/// What became of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was locked already.
    Kept,
    /// It was read from what was given.
    Given,
    /// It was fetched from a repository.
    Fetched,
}

/// A lock that holds all that is wanted and nothing else.
#[derive(Debug)]
pub struct Relocked {
    /// The lock.
    pub lock: ChartLock,
    /// What became of each chart.
    pub actions: BTreeMap<ChartId, Action>,
}

impl Given {
    /// Reads what a person names: a folder, a package on disk, a package's address, or a repository's.
    pub fn open(client: &Client, text: &str) -> Result<Self, ChartError> {
        if text.contains("://") {
            let path = text.split('?').next().unwrap_or(text);
            let is_package = Path::new(path).extension().is_some_and(|extension| extension == "tgz");
            return if is_package && !text.starts_with("oci://") {
                Ok(Self::Charts(vec![fetch_package(client, text)?]))
            } else {
                Ok(Self::Repository(text.to_owned()))
            };
        }
        let path = Path::new(text);
        if path.is_dir() {
            let packages = read_folder(path)?;
            return Ok(Self::Charts(
                packages.into_iter().map(|package| Fetched { package, digest: None }).collect(),
            ));
        }
        let (package, bytes) = read_file(path)?;
        Ok(Self::Charts(vec![Fetched { package, digest: Some(digest(&bytes)) }]))
    }
}

/// Locks what is wanted: from what is given, from the old lock, or from where the fleet draws it, in this order.
///
/// Another package under a version that is locked is refused.
pub fn relock(
    client: &Client,
    old: &ChartLock,
    wanted: &Wanted,
    supply: &Supply<'_>,
) -> Result<Relocked, ChartError> {
    let shelf = Shelf::new(supply.given)?;
    let absent: Vec<_> =
        wanted.iter().filter(|id| !shelf.can_have(id) && !old.charts.contains_key(id)).collect();
    if !absent.is_empty() {
        let charts = absent.iter().map(|id| format!("`{}` {}", id.name, id.version)).collect();
        return Err(ChartError::NotGiven { charts });
    }
    let mut relocked = Relocked { lock: ChartLock::default(), actions: BTreeMap::new() };
    for id in wanted {
        let known = old.charts.get(id);
        let (chart, action) = match (shelf.find(id), known) {
            (Some(found), known) => (locked(id, found, known)?, Action::Given),
            (None, Some(known)) if !supply.is_refreshed || !shelf.can_have(id) => {
                (Arc::clone(known), Action::Kept)
            }
            (None, known) => {
                let own = || Origin::of(supply.sources, &id.repository);
                let fetched = fetch(client, id, &shelf.repository.map_or_else(own, Origin::Repository))?;
                (locked(id, &fetched, known)?, Action::Fetched)
            }
        };
        relocked.lock.charts.insert(id.clone(), chart);
        relocked.actions.insert(id.clone(), action);
    }
    Ok(relocked)
}

/// What was given, by what it says of itself.
struct Shelf<'a> {
    charts: Vec<(Metadata, &'a Fetched)>,
    repository: Option<&'a str>,
    /// Whether nothing was given, so that each chart comes from its own repository.
    is_empty: bool,
}

impl<'a> Shelf<'a> {
    fn new(given: &'a [Given]) -> Result<Self, ChartError> {
        let mut shelf = Self { charts: Vec::new(), repository: None, is_empty: given.is_empty() };
        for given in given {
            match given {
                Given::Repository(address) => shelf.repository = Some(address),
                Given::Charts(charts) => {
                    for chart in charts {
                        let metadata = chart.package.metadata().map_err(|source| ChartError::Package {
                            name: "a given chart".to_owned(),
                            source,
                        })?;
                        shelf.charts.push((metadata, chart));
                    }
                }
            }
        }
        Ok(shelf)
    }

    fn find(&self, id: &ChartId) -> Option<&'a Fetched> {
        self.charts.iter().find(|(metadata, _)| is_of(metadata, id)).map(|(_, fetched)| *fetched)
    }

    fn can_have(&self, id: &ChartId) -> bool {
        self.is_empty || self.repository.is_some() || self.find(id).is_some()
    }
}

fn is_of(metadata: &Metadata, id: &ChartId) -> bool {
    metadata.name == id.name && is_same_version(&metadata.version, &id.version)
}

fn locked(
    id: &ChartId,
    fetched: &Fetched,
    known: Option<&Arc<LockedChart>>,
) -> Result<Arc<LockedChart>, ChartError> {
    let failed = |source| ChartError::Package { name: id.name.clone(), source };
    let metadata = fetched.package.metadata().map_err(failed)?;
    if !is_of(&metadata, id) {
        return Err(ChartError::OtherChart {
            name: id.name.clone(),
            version: id.version.clone(),
            found: format!("{} {}", metadata.name, metadata.version),
        });
    }
    let mut chart = fetched.package.locked(fetched.digest.clone()).map_err(failed)?;
    if let Some(expected) = known.and_then(|known| known.digest.as_ref()) {
        // A folder has no digest. If it says the same, the one that is known still holds.
        let says_the_same = known.is_some_and(|known| known.values == chart.values);
        match &chart.digest {
            Some(found) if found != expected => {
                return Err(ChartError::Digest {
                    what: format!("{} {}", id.name, id.version),
                    expected: expected.clone(),
                    found: found.clone(),
                });
            }
            None if says_the_same => chart.digest = Some(expected.clone()),
            _ => {}
        }
    }
    Ok(Arc::new(chart))
}
