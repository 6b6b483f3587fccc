//! `fleetwright kubeconfig`: one file with a context for each cluster of the inventory, under the cluster's name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use renderer::inventory::Cluster;
use serde_json::json;

use super::options::known_cluster;
use super::{Exit, Global};
use crate::cluster::{Kubeconfig, Merged};
use crate::error::CommandError;

/// A kubeconfig of thousands of clusters is below this.
const MAX_BYTES: u64 = 16 << 20;
const STDIN: &str = "-";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Bring the kubeconfig of a cluster into your own, with the cluster's name for its context, cluster and user.
    Merge {
        #[command(flatten)]
        target: Target,
        /// The kubeconfig of the cluster; `-` reads it from standard input.
        #[arg(value_name = "FILE", default_value = STDIN)]
        file: PathBuf,
    },
    /// Make the context of a cluster the current one.
    Use {
        #[command(flatten)]
        target: Target,
    },
}

/// Which cluster it is about.
#[derive(Debug, clap::Args)]
struct Target {
    /// The cluster, as the inventory calls it.
    cluster: String,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// What was done, or would be.
struct Outcome<'a> {
    target: &'a Target,
    file: &'a Path,
    server: &'a str,
    change: &'static str,
    text: String,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    match &args.action {
        Action::Merge { target, file } => merge(global, target, file),
        Action::Use { target } => choose(global, target),
    }
}

fn merge(global: &Global, target: &Target, input: &Path) -> Result<Exit, CommandError> {
    let name = &target.cluster;
    let expected = api_server(&*known_cluster(global, name)?);
    let place = if input == Path::new(STDIN) { "standard input".to_owned() } else { quoted(input) };
    let access = Kubeconfig::parse(&place, &read_input(input)?)?.access(&place)?;
    access.check(name, &place, expected)?;
    access.check_embedded(&place)?;
    let server = access.server().to_owned();
    let (file, _locked) = own_file(target)?;
    let before = read_own(&file)?;
    let mut kubeconfig = Kubeconfig::parse(&quoted(&file), &before)?;
    let merged = kubeconfig.merge(name, access)?;
    target.write(&file, &before, &kubeconfig)?;
    let to = format!("`{server}` {} {}", if merged == Merged::Added { "to" } else { "in" }, quoted(&file));
    let (change, text) = match merged {
        Merged::Added => ("added", target.would("add", "added", &format!("context `{name}` of {to}"))),
        Merged::Replaced => {
            ("replaced", target.would("replace", "replaced", &format!("context `{name}` of {to}")))
        }
        Merged::Current => ("none", format!("context `{name}` of {to} is current")),
    };
    Ok(Outcome { target, file: &file, server: &server, change, text }.show(global))
}

fn choose(global: &Global, target: &Target) -> Result<Exit, CommandError> {
    let name = &target.cluster;
    let expected = api_server(&*known_cluster(global, name)?);
    let (file, _locked) = own_file(target)?;
    let place = format!("context `{name}`");
    let access = own_files()?.iter().find_map(|file| {
        let read = read_own(file).and_then(|text| Ok(Kubeconfig::parse(&quoted(file), &text)?));
        read.map(|kubeconfig| kubeconfig.access_of(name)).transpose()
    });
    let access = access.transpose()?.ok_or_else(|| {
        CommandError::usage(
            format!("the kubeconfig has no whole {place}"),
            format!("bring it in with `fleetwright kubeconfig merge {name} FILE`"),
        )
    })?;
    access.check(name, &place, expected)?;
    let before = read_own(&file)?;
    let mut kubeconfig = Kubeconfig::parse(&quoted(&file), &before)?;
    let (change, text) = if kubeconfig.choose(name) {
        ("chosen", target.would("make", "made", &format!("{place} the current one")))
    } else {
        ("none", format!("{place} is the current one"))
    };
    target.write(&file, &before, &kubeconfig)?;
    Ok(Outcome { target, file: &file, server: access.server(), change, text }.show(global))
}

impl Target {
    fn would(&self, verb: &str, done: &str, what: &str) -> String {
        if self.dry_run { format!("would {verb} {what}") } else { format!("{done} {what}") }
    }

    /// Replaces the file as a whole, with one that its owner alone may read.
    fn write(&self, file: &Path, before: &str, kubeconfig: &Kubeconfig) -> Result<(), CommandError> {
        let text = kubeconfig.text();
        if self.dry_run || text == before {
            return Ok(());
        }
        let write = || {
            // Temporary files have mode 0600.
            let mut new = tempfile::NamedTempFile::new_in(folder_of(file))?;
            new.write_all(text.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(file).map_err(|error| error.error).map(drop)
        };
        write().map_err(|source| CommandError::Write { path: file.to_owned(), source })
    }
}

impl Outcome<'_> {
    fn show(self, global: &Global) -> Exit {
        let Self { target: Target { cluster, dry_run }, file, server, change, text } = self;
        let document = || json!({ "cluster": cluster, "file": file, "server": server, "change": change, "dryRun": dry_run });
        global.show(document, || format!("{text}\n"));
        Exit::Done
    }
}

fn api_server(cluster: &Cluster) -> Option<SocketAddr> {
    let described = cluster.facts.api_server.as_ref()?;
    Some(SocketAddr::new(described.address.ip(), described.port.get()))
}

fn quoted(file: &Path) -> String {
    format!("`{}`", file.display())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the files of the kubeconfig as `kubectl` finds them. What the first one says counts.
fn own_files() -> Result<Vec<PathBuf>, CommandError> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<_> = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    let home = || std::env::home_dir().map(|home| vec![home.join(".kube/config")]);
    let files = if named.is_empty() { home() } else { Some(named) };
    files.ok_or_else(|| CommandError::usage("there is no home folder", "name the kubeconfig in `KUBECONFIG`"))
}

/// Returns the file that is written, what a link leads to, and a lock that lets one of us write at a time: the system releases
/// it when the process ends.
fn own_file(target: &Target) -> Result<(PathBuf, Option<File>), CommandError> {
    let mut files = own_files()?;
    let file = files.swap_remove(0);
    let file = file.canonicalize().unwrap_or(file);
    if target.dry_run {
        return Ok((file, None));
    }
    let folder = folder_of(&file);
    let locked = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
        let folder = File::open(folder)?;
        folder.lock().map(|()| folder)
    });
    match locked {
        Ok(locked) => Ok((file, Some(locked))),
        Err(source) => Err(CommandError::Write { path: file, source }),
    }
}

/// Reads one of the own files; one that is not there is empty.
fn read_own(file: &Path) -> Result<String, CommandError> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreadable(file, error)),
        text => Ok(text.unwrap_or_default()),
    }
}

fn read_input(file: &Path) -> Result<String, CommandError> {
    let read = || {
        let source: &mut dyn io::Read =
            if file == Path::new(STDIN) { &mut io::stdin() } else { &mut File::open(file)? };
        let mut text = String::new();
        match source.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 {
            ..=MAX_BYTES => Ok(text),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than a kubeconfig can be")),
        }
    };
    read().map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: io::Error) -> CommandError {
    CommandError::unexpected(&format!("read {}", quoted(file)), error)
}
