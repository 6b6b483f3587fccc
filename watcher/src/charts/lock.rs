//! Bringing a lock up to date: what add-ons name is fetched once, and stays as it is from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use renderer::charts::{ChartId, ChartLock, LockedChart, Metadata, Package};
use renderer::inventory::ChartSources;

use super::archive::{read_file, read_folder};
use super::client::Client;
use super::error::ChartError;
use super::{Fetched, Origin, digest, fetch, fetch_package, is_same_version};

/// The charts that a lock should hold.
pub type Wanted = BTreeSet<ChartId>;

/// Where charts are taken from instead of their own repository.
#[derive(Debug)]
pub struct Given {
    /// The repository whose charts these are, if a person says so.
    of: Option<String>,
    what: Supplied,
}

#[derive(Debug)]
enum Supplied {
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
    /// What is odd about charts that were read, and does no harm.
    pub notes: Vec<String>,
}

impl Given {
    /// Reads what a person names: a folder, a package on disk, a package's address, or a repository's; with one of the
    /// wanted repositories and `=` in front, its charts alone.
    pub fn open(client: &Client, text: &str, wanted: &Wanted) -> Result<Self, ChartError> {
        let after = |id: &ChartId| text.strip_prefix(id.repository.as_str())?.strip_prefix('=');
        let named = wanted.iter().find_map(|id| Some((id.repository.clone(), after(id)?)));
        let (of, text) = named.map_or((None, text), |(repository, rest)| (Some(repository), rest));
        Ok(Self { of, what: Supplied::open(client, text)? })
    }
}

impl Supplied {
    fn open(client: &Client, text: &str) -> Result<Self, ChartError> {
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
    let mut relocked = Relocked { lock: ChartLock::default(), actions: BTreeMap::new(), notes: Vec::new() };
    for id in wanted {
        let known = old.charts.get(id);
        let (chart, action) = match (shelf.find(id), known) {
            (Some(found), known) => {
                Shelf::check_whose(id, wanted, known, found)?;
                relocked.note(id, &found.fetched.package);
                (locked(id, found.fetched, known)?, Action::Given)
            }
            (None, Some(known)) if !supply.is_refreshed || !shelf.can_have(id) => {
                (Arc::clone(known), Action::Kept)
            }
            (None, known) => {
                let given = shelf.repository(id);
                if let Some((None, _)) = given {
                    check_alone(id, wanted)?;
                }
                let own = || Origin::of(supply.sources, &id.repository);
                let fetched = fetch(client, id, &given.map_or_else(own, |(_, it)| Origin::Repository(it)))?;
                relocked.note(id, &fetched.package);
                (locked(id, &fetched, known)?, Action::Fetched)
            }
        };
        relocked.lock.charts.insert(id.clone(), chart);
        relocked.actions.insert(id.clone(), action);
    }
    Ok(relocked)
}

impl Relocked {
    fn note(&mut self, id: &ChartId, package: &Package) {
        let notes = package.notes().into_iter().map(|note| format!("`{}` {}: {note}", id.name, id.version));
        self.notes.extend(notes);
    }
}

/// Refuses to guess which of several repositories a chart is from that they all have under this name and version.
fn check_alone(id: &ChartId, wanted: &Wanted) -> Result<(), ChartError> {
    let is_same = |other: &&ChartId| other.name == id.name && is_same_version(&other.version, &id.version);
    let repositories: Vec<_> = wanted.iter().filter(is_same).map(|other| other.repository.clone()).collect();
    if repositories.len() < 2 {
        return Ok(());
    }
    Err(ChartError::Ambiguous { name: id.name.clone(), version: id.version.clone(), repositories })
}

/// What was given, by what it says of itself.
struct Shelf<'a> {
    charts: Vec<OnShelf<'a>>,
    /// Repositories, and whose charts they have.
    repositories: Vec<(Option<&'a str>, &'a str)>,
    /// Whether nothing was given, so that each chart comes from its own repository.
    is_empty: bool,
}

/// A chart that is at hand, and the repository that it is from, if that is known.
struct OnShelf<'a> {
    of: Option<&'a str>,
    metadata: Metadata,
    fetched: &'a Fetched,
}

impl<'a> Shelf<'a> {
    fn new(given: &'a [Given]) -> Result<Self, ChartError> {
        let mut shelf = Self { charts: Vec::new(), repositories: Vec::new(), is_empty: given.is_empty() };
        for given in given {
            let of = given.of.as_deref();
            match &given.what {
                Supplied::Repository(address) => shelf.repositories.push((of, address)),
                Supplied::Charts(charts) => {
                    for chart in charts {
                        let metadata = chart.package.metadata().map_err(|source| ChartError::Package {
                            name: "a given chart".to_owned(),
                            source,
                        })?;
                        shelf.charts.push(OnShelf { of, metadata, fetched: chart });
                    }
                }
            }
        }
        Ok(shelf)
    }

    /// Finds a chart: one that is given as the repository's own comes first.
    fn find(&self, id: &ChartId) -> Option<&OnShelf<'a>> {
        let of = |whose: Option<&str>| {
            self.charts.iter().find(|chart| chart.of == whose && is_of(&chart.metadata, id))
        };
        of(Some(id.repository.as_str())).or_else(|| of(None))
    }

    /// Finds the repository that stands in for that of a chart.
    fn repository(&self, id: &ChartId) -> Option<(Option<&'a str>, &'a str)> {
        let of = |whose: Option<&str>| self.repositories.iter().rev().find(|(of, _)| *of == whose).copied();
        of(Some(id.repository.as_str())).or_else(|| of(None))
    }

    fn can_have(&self, id: &ChartId) -> bool {
        self.is_empty || self.repository(id).is_some() || self.find(id).is_some()
    }

    /// Refuses a chart of which nothing says that it is from this repository and not from another one with the same chart.
    fn check_whose(
        id: &ChartId,
        wanted: &Wanted,
        known: Option<&Arc<LockedChart>>,
        found: &OnShelf<'_>,
    ) -> Result<(), ChartError> {
        let is_known =
            known.is_some_and(|known| known.digest.is_some() && known.digest == found.fetched.digest);
        if found.of.is_some() || is_known { Ok(()) } else { check_alone(id, wanted) }
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
