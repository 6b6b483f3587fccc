//! `fleetwright charts`: the chart lock, by which every rendered key is checked without the charts.

use std::fs;
use std::path::Path;

use clap::Subcommand;
use renderer::catalog::{self, Catalog};
use renderer::charts::{ChartId, ChartLock, LOCK, Shape};
use renderer::checks::{charts_named, not_locked};
use renderer::inventory::{self, ChartSources, Inventory, InventoryCache, read_fleet};
use renderer::path::RepoPath;
use renderer::plural::{agrees, counted};
use renderer::problem::Problem;
use renderer::render::{Progress as _, with_lines};
use renderer::snapshot::Snapshot;
use serde_json::{Value, json};

use super::Global;
use crate::charts::{self, Action, ChartError, Client, Given, Origin, Relocked, Supply, Wanted};
use crate::error::CommandError;
use crate::output::{Exit, with_causes};
use crate::working_tree::read_working_tree;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Charts,
}

#[derive(Debug, Subcommand)]
enum Charts {
    /// Write the values that each chart of an add-on takes into `templates/charts.lock`.
    ///
    /// A chart that is locked is not fetched again. Charts that no add-on names are removed.
    Lock {
        /// Take charts from here and not from their repositories: a chart's folder, a folder of charts, a package, or
        /// the address of a package, a repository or a registry. `REPOSITORY=` in front names the repository of the
        /// charts.
        #[arg(long, value_name = "[REPOSITORY=]DIR|TGZ|URL")]
        from: Vec<String>,
        /// Fetch locked charts again; another package under the same version is an error.
        #[arg(long)]
        refresh: bool,
    },
    /// Check that the chart of every add-on is locked.
    Check,
    /// List the charts of the add-ons and their sources: what a mirror has to contain.
    List,
    /// List newer versions of the charts of the add-ons.
    Outdated {
        /// Exit with code 3 if there is one.
        #[arg(long)]
        exit_code: bool,
    },
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let top = global.working_tree()?;
    match &args.command {
        Charts::Lock { from, refresh } => lock(global, &top, from, *refresh),
        Charts::Check => check(global, &top),
        Charts::List => list(global, &top),
        Charts::Outdated { exit_code } => outdated(global, &top, *exit_code),
    }
}

/// The add-ons of a working tree, and the lock apart from them: it may be missing or broken.
struct Described {
    catalog: Catalog,
    inventory: Inventory,
    sources: ChartSources,
    lock: Result<ChartLock, Vec<Problem>>,
    /// The text of the lock.
    text: Option<Vec<u8>>,
    /// The source files, without the lock.
    others: Snapshot,
}

impl Described {
    fn read(top: &Path) -> Result<Self, CommandError> {
        let (snapshot, problems) = read_working_tree(top)?;
        if !problems.is_empty() {
            return Err(CommandError::Problems { problems });
        }
        let path = RepoPath::parse(LOCK).expect("a constant path");
        let text = snapshot.get(LOCK).map(|source| source.bytes.to_vec());
        let lock = ChartLock::read(text.as_deref().unwrap_or_default()).map_err(|faults| {
            let problems = faults.into_iter().map(|fault| fault.in_file(&path).found_by("lock"));
            with_lines(problems.collect(), &snapshot)
        });
        let others = snapshot.iter().filter(|(path, _)| path.as_str() != LOCK);
        let others: Snapshot = others.map(|(path, source)| (path.clone(), source.clone())).collect();
        let refused = |problems| CommandError::Problems { problems: with_lines(problems, &others) };
        let catalog = catalog::read(&others).map_err(refused)?;
        let sources = read_fleet(&others).map_err(refused)?.charts;
        let (inventory, problems) = inventory::read(&others, &mut InventoryCache::default());
        // A cluster that can't be read may name a version.
        if !inventory.broken.is_empty() {
            return Err(refused(problems));
        }
        Ok(Self { catalog, inventory, sources, lock, text, others })
    }

    fn wanted(&self) -> Wanted {
        charts_named(&self.inventory, &self.catalog).into_keys().collect()
    }
}

fn lock(global: &Global, top: &Path, from: &[String], is_refreshed: bool) -> Result<Exit, CommandError> {
    let described = Described::read(top)?;
    let wanted = described.wanted();
    let old = match described.lock {
        Ok(lock) => lock,
        // A lock that can't be read need not be kept if it is to be written again.
        Err(_) if is_refreshed => ChartLock::default(),
        Err(problems) => return Err(CommandError::Problems { problems }),
    };
    let client = Client::new();
    let given = from.iter().map(|text| Given::open(&client, text, &wanted)).collect::<Result<Vec<_>, _>>()?;
    let supply = Supply { given: &given, sources: &described.sources, is_refreshed };
    let relocked = charts::relock(&client, &old, &wanted, &supply)?;
    let text = relocked.lock.write();
    let is_written = described.text.as_deref() != Some(text.as_bytes());
    if is_written {
        write(&top.join(LOCK), &text)?;
    }
    let dropped = old.charts.keys().filter(|id| !wanted.contains(id));
    show_lock(global, &relocked, dropped, is_written);
    Ok(Exit::Done)
}

/// Writes beside the place and moves, so that no reader sees half a lock.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let staged = path.with_file_name(".charts.lock");
    let written = fs::write(&staged, text).and_then(|()| fs::rename(&staged, path));
    written.map_err(|source| CommandError::Write { path: path.to_owned(), source })
}

fn show_lock<'a>(
    global: &Global,
    relocked: &Relocked,
    dropped: impl Iterator<Item = &'a ChartId>,
    is_written: bool,
) {
    let Relocked { lock, actions, notes } = relocked;
    let word = |action: &Action| match action {
        Action::Kept => "kept",
        Action::Given => "given",
        Action::Fetched => "fetched",
    };
    let mut rows: Vec<_> = actions.iter().map(|(id, action)| (word(action), id)).collect();
    rows.extend(dropped.map(|id| ("dropped", id)));
    let json = || {
        let charts = rows.iter().map(|(action, id)| as_json(id, &[("action", json!(action))]));
        json!({ "charts": charts.collect::<Vec<_>>(), "written": is_written, "notes": notes })
    };
    global.show(json, || {
        let row = |(action, id): &(&str, &ChartId)| {
            let keys =
                lock.charts.get(id).map(|chart| format!(", {}", counted(key_count(&chart.values), "key")));
            format!("{action:<7} {} {}{}\n", id.name, id.version, keys.unwrap_or_default())
        };
        let rows: String = rows.iter().map(row).collect();
        let notes: Vec<_> = notes.iter().map(|note| format!("note: {note}\n")).collect();
        let end = if is_written { format!("wrote `{LOCK}`") } else { format!("`{LOCK}` is current") };
        format!("{rows}{}{end}: {}\n", notes.concat(), counted(lock.charts.len(), "chart"))
    });
}

fn as_json(id: &ChartId, more: &[(&str, Value)]) -> Value {
    let mut json = json!({ "name": id.name, "version": id.version, "repository": id.repository });
    for (key, value) in more {
        json[key] = value.clone();
    }
    json
}

fn key_count(shape: &Shape) -> usize {
    shape.entries.values().map(|entry| 1 + key_count(entry)).sum()
}

fn check(global: &Global, top: &Path) -> Result<Exit, CommandError> {
    let described = Described::read(top)?;
    let named = charts_named(&described.inventory, &described.catalog);
    let lock = described.lock.map_err(|problems| CommandError::Problems { problems })?;
    let problems = not_locked(&named, &lock);
    if !problems.is_empty() {
        return Err(CommandError::Problems { problems: with_lines(problems, &described.others) });
    }
    let idle: Vec<_> = lock.charts.keys().filter(|id| !named.contains_key(id)).collect();
    global.show(
        || {
            let idle: Vec<_> = idle.iter().map(|id| as_json(id, &[])).collect();
            json!({ "problems": [], "charts": named.len(), "idle": idle })
        },
        || {
            let unused = |id: &&ChartId| {
                let ChartId { name, version, .. } = id;
                format!("no add-on names {name} {version}: `fleetwright charts lock` leaves it out\n")
            };
            let verb = agrees(named.len(), "is", "are");
            let unused: String = idle.iter().map(unused).collect();
            format!("{} {verb} locked\n{unused}", counted(named.len(), "chart"))
        },
    );
    Ok(Exit::Done)
}

fn list(global: &Global, top: &Path) -> Result<Exit, CommandError> {
    let described = Described::read(top)?;
    let wanted = described.wanted();
    let source = |id: &ChartId| described.sources.address_of(&id.repository).into_owned();
    global.show(
        || {
            let charts = wanted.iter().map(|id| as_json(id, &[("source", json!(source(id)))]));
            json!({ "charts": charts.collect::<Vec<_>>() })
        },
        || {
            let line = |id: &ChartId| {
                let own = (source(id) != id.repository).then(|| format!(" (a copy of {})", id.repository));
                format!("{} {} from {}{}\n", id.name, id.version, source(id), own.unwrap_or_default())
            };
            wanted.iter().map(line).collect()
        },
    );
    Ok(Exit::Done)
}

fn outdated(global: &Global, top: &Path, has_exit_code: bool) -> Result<Exit, CommandError> {
    let described = Described::read(top)?;
    let wanted = described.wanted();
    let client = Client::new();
    let progress = global.progress("charts");
    let mut asked = Vec::new();
    for id in &wanted {
        let origin = Origin::of(&described.sources, &id.repository);
        asked.push((id, origin.and_then(|origin| charts::newer(&client, id, &origin))));
        progress.advance(wanted.len());
    }
    drop(progress);
    let is_any = asked.iter().any(|(_, newer)| newer.as_ref().is_ok_and(|newer| !newer.is_empty()));
    global.show(
        || {
            let known = |newer: &Newer| match newer {
                Ok(newer) => ("newer", json!(newer)),
                Err(error) => ("error", json!(with_causes(error))),
            };
            let charts = asked.iter().map(|(id, newer)| as_json(id, &[known(newer)]));
            json!({ "charts": charts.collect::<Vec<_>>() })
        },
        || asked.iter().map(|(id, newer)| newer_text(id, newer)).collect(),
    );
    match unasked(asked) {
        // The document has the reasons, and there is only one.
        Some(_) if global.is_json() => Ok(Exit::Unexpected),
        Some(error) => Err(error.into()),
        None => Ok(if has_exit_code && is_any { Exit::Changes } else { Exit::Done }),
    }
}

/// The newer versions of a chart, or why they are not known.
type Newer = Result<Vec<String>, ChartError>;

fn newer_text(id: &ChartId, newer: &Newer) -> String {
    let ChartId { name, version, .. } = id;
    match newer.as_deref() {
        Ok([]) => format!("{name} {version} is the newest\n"),
        Ok([newest]) => format!("{name} {version}: there is {newest}\n"),
        Ok([newest, rest @ ..]) => {
            format!("{name} {version}: there is {newest}, and {} between\n", rest.len())
        }
        Err(error) => format!("{name} {version}: not known, since {}\n", with_causes(error)),
    }
}

fn unasked(asked: Vec<(&ChartId, Newer)>) -> Option<ChartError> {
    let mut failed = asked.into_iter().filter_map(|(id, newer)| Some((id.name.clone(), newer.err()?)));
    let (first, source) = failed.next()?;
    let charts: Vec<_> = std::iter::once(first).chain(failed.map(|(name, _)| name)).collect();
    Some(ChartError::unknown(&charts, source))
}
