//! Bringing a lock up to date: what add-ons name is fetched once, and stays as it is from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use renderer::charts::{ChartId, ChartLock, LockedChart, Metadata, Package, PackageError};
use renderer::inventory::ChartSources;
use renderer::plural::quoted;

use super::archive::{Fetched, charts_in, read_file};
use super::client::Client;
use super::error::ChartError;
use super::origin::Origin;
use super::verify::is_same_version;
use super::{fetch, fetch_package};
use crate::output::with_causes;

/// The charts that a lock should hold.
pub type Wanted = BTreeSet<ChartId>;

/// Where charts are taken from instead of their own repository.
#[derive(Debug)]
pub struct Given {
    /// The repository whose charts these are, if `--from` names it.
    of: Option<String>,
    /// What `--from` names.
    place: String,
    /// The charts that are at hand, with their metadata; none if the place is a repository that has them all.
    charts: Option<Vec<(Metadata, Fetched)>>,
}

/// What charts are taken from.
#[derive(Clone, Copy, Debug)]
pub struct Supply<'a> {
    /// What `--from` names.
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
    /// Reads what `--from` names: a folder, a package on disk, a package's address, or a repository's; with one of the
    /// wanted repositories and `=` in front, its charts alone.
    pub fn open(client: &Client, text: &str, wanted: &Wanted) -> Result<Self, ChartError> {
        let after = |id: &ChartId| text.strip_prefix(id.repository.as_str())?.strip_prefix('=');
        let named = wanted.iter().find_map(|id| Some((id.repository.clone(), after(id)?)));
        let (of, text) = named.map_or((None, text), |(repository, rest)| (Some(repository), rest));
        let with_metadata = |chart: Fetched| match chart.package.metadata() {
            Ok(metadata) => Ok((metadata, chart)),
            Err(error) => Err(unreadable("a given chart")(error)),
        };
        let charts = at_hand(client, text)?;
        let charts = charts.map(|charts| charts.into_iter().map(with_metadata).collect()).transpose()?;
        Ok(Self { of, place: text.to_owned(), charts })
    }

    fn chart(&self, id: &ChartId) -> Option<&Fetched> {
        self.charts.iter().flatten().find(|(metadata, _)| is_of(metadata, id)).map(|(_, chart)| chart)
    }

    fn repository(&self) -> Option<&str> {
        self.charts.is_none().then_some(&*self.place)
    }
}

/// Reads the charts at a place, unless that is the address of a repository.
fn at_hand(client: &Client, text: &str) -> Result<Option<Vec<Fetched>>, ChartError> {
    let path = Path::new(text);
    Ok(Some(if text.contains("://") {
        let file = Path::new(text.split('?').next().unwrap_or(text));
        let is_package = file.extension().is_some_and(|extension| extension == "tgz");
        if !is_package || text.starts_with("oci://") {
            return Ok(None);
        }
        vec![fetch_package(client, text)?]
    } else if path.is_dir() {
        let charts = charts_in(path)?.into_iter();
        charts.map(|(_, package)| Fetched { package, digest: None }).collect()
    } else {
        vec![Fetched::read(path.display(), &read_file(path)?)?]
    }))
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
    let absent: Vec<_> =
        wanted.iter().filter(|id| !supply.can_have(id) && !old.charts.contains_key(id)).collect();
    if !absent.is_empty() {
        let charts: Vec<_> = absent.iter().map(|id| format!("`{}` {}", id.name, id.version)).collect();
        let hint = "give them by another `--from`, or leave `--from` out to fetch from repositories";
        return Err(ChartError::new(format!("not given and not locked: {}", charts.join(", ")), hint));
    }
    let mut relocked = Relocked { lock: ChartLock::default(), actions: BTreeMap::new(), notes: Vec::new() };
    for id in wanted {
        let known = old.charts.get(id);
        let (chart, action) = match (supply.chart(id), known) {
            (Some((given, fetched)), known) => {
                let is_known =
                    known.is_some_and(|known| known.digest.is_some() && known.digest == fetched.digest);
                if given.of.is_none() && !is_known {
                    check_alone(id, wanted)?;
                }
                relocked.note(id, &fetched.package);
                (locked(id, fetched, known)?, Action::Given)
            }
            (None, Some(known)) if !supply.is_refreshed || !supply.can_have(id) => {
                (Arc::clone(known), Action::Kept)
            }
            (None, known) => {
                let fetched = fetch(client, id, &supply.origin(id, wanted)?)?;
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
    let (ChartId { name, version, .. }, from) = (id, quoted(&repositories));
    let message =
        format!("`{name}` {version} is wanted from {from}, and `--from` does not name its repository");
    let hint = format!("name the repository before the place: `--from {}=…`", repositories[0]);
    Err(ChartError::new(message, hint))
}

impl<'a> Supply<'a> {
    /// Finds the last place that has something of a chart: one that is given as its repository's own comes first.
    fn given<T>(self, id: &ChartId, pick: impl Fn(&'a Given) -> Option<T>) -> Option<(&'a Given, T)> {
        let of = |whose: Option<&str>| {
            let mut given = self.given.iter().rev().filter(|given| given.of.as_deref() == whose);
            given.find_map(|given| Some((given, pick(given)?)))
        };
        of(Some(&id.repository)).or_else(|| of(None))
    }

    /// Finds a chart that is at hand.
    fn chart(self, id: &ChartId) -> Option<(&'a Given, &'a Fetched)> {
        self.given(id, |given| given.chart(id))
    }

    /// Finds the repository that stands in for that of a chart.
    fn repository(self, id: &ChartId) -> Option<(&'a Given, &'a str)> {
        self.given(id, Given::repository)
    }

    fn can_have(self, id: &ChartId) -> bool {
        self.given.is_empty() || self.repository(id).is_some() || self.chart(id).is_some()
    }

    /// Returns where a chart is fetched from.
    fn origin(self, id: &ChartId, wanted: &Wanted) -> Result<Origin, ChartError> {
        let Some((given, repository)) = self.repository(id) else {
            return Origin::of(self.sources, &id.repository);
        };
        if given.of.is_none() {
            check_alone(id, wanted)?;
        }
        Origin::at(repository)
    }
}

fn unreadable(name: &str) -> impl Fn(PackageError) -> ChartError {
    move |error| {
        ChartError::without_hint(format!("failed to read the values of `{name}`: {}", with_causes(&error)))
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
    let metadata = fetched.package.metadata().map_err(unreadable(&id.name))?;
    if !is_of(&metadata, id) {
        let found = format!("is `{} {}` by its own metadata", metadata.name, metadata.version);
        return Err(ChartError::without_hint(format!("the package of `{}` {} {found}", id.name, id.version)));
    }
    let mut chart = fetched.package.locked(fetched.digest.clone()).map_err(unreadable(&id.name))?;
    if let Some(expected) = known.and_then(|known| known.digest.as_ref()) {
        // A folder has no digest. If it has the same values, the one that is known still holds.
        let has_same_values = known.is_some_and(|known| known.values == chart.values);
        match &chart.digest {
            Some(found) if found != expected => {
                return Err(ChartError::of_digest(format!("{} {}", id.name, id.version), found, expected));
            }
            None if has_same_values => chart.digest = Some(expected.clone()),
            _ => {}
        }
    }
    Ok(Arc::new(chart))
}
