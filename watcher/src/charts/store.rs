//! Charts on disk, as Helm needs them: whole packages by their digest, fetched once and verified at each use.
//!
//! Several processes may use it at once. A chart that the lock has no digest of is remembered with the one that it
//! came with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use renderer::beside::Folder;
use renderer::charts::{ChartId, Metadata};
use renderer::deployed::ChartText;
use renderer::inventory::ChartSources;
use renderer::path::RepoPath;
use tempfile::TempDir;

use super::archive::{self, read_file};
use super::client::Client;
use super::error::ChartError;
use super::origin::Origin;
use super::verify::{digest, is_same_version};
use crate::cache::write_whole;
use crate::hex::hex;
use crate::parted::Parted;

/// A chart on disk.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The package, or the chart's folder.
    pub path: PathBuf,
    /// What identifies its content: `sha256:…`.
    pub identity: String,
    /// What its text says.
    pub text: ChartText,
}

/// Where charts are kept.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    client: Client,
    /// Charts of one's own, which stand in the place of those of their name and version.
    given: Vec<(Metadata, PathBuf)>,
    /// Charts in folders of the repository, by their digest, for as long as this is open.
    folders: Mutex<BTreeMap<String, TempDir>>,
}

impl Store {
    /// Opens the store in a folder, which is made when something is put into it. The charts in the folder `own`, unpacked
    /// or in packages, are taken in the place of others.
    pub fn open(folder: PathBuf, own: Option<&Path>) -> Result<Self, ChartError> {
        let mut given = Vec::new();
        for (place, package) in own.map(archive::charts_in).transpose()?.unwrap_or_default() {
            let metadata = package.metadata().map_err(|error| {
                ChartError::of_package(place.display(), format_args!("has no metadata: {error}"))
            })?;
            given.push((metadata, place));
        }
        Ok(Self { folder, client: Client::new(), given, folders: Mutex::default() })
    }

    /// Spends at most this time on fetching a chart.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { client: self.client.with_time(time), ..self }
    }

    /// Returns a chart, by the digest that the lock has of it if it has one. It is fetched from where the sources have its
    /// repository; without any only what is there is returned.
    pub fn chart(
        &self,
        id: &ChartId,
        locked: Option<&str>,
        sources: Option<&ChartSources>,
    ) -> Result<Stored, ChartError> {
        let is_it =
            |metadata: &Metadata| metadata.name == id.name && is_same_version(&metadata.version, &id.version);
        if let Some((_, path)) = self.given.iter().find(|(metadata, _)| is_it(metadata)) {
            return self.own(path);
        }
        let note = self.folder.join("versions").join(file_name(id));
        let remembered = || Some(fs::read_to_string(&note).ok()?.trim().to_owned());
        let expected = locked.map(str::to_owned).or_else(remembered).filter(|text| is_digest(text));
        if let Some(stored) = expected.as_ref().and_then(|expected| self.stored(expected)) {
            return Ok(stored);
        }
        let sources = sources.ok_or_else(|| ChartError::of_new_repository(&id.repository))?;
        let bytes = super::package_of(&self.client, id, &Origin::of(sources, &id.repository)?)?;
        let found = digest(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(ChartError::of_digest(format!("{} {}", id.name, id.version), &found, &expected));
        }
        let text = text_of(&id.name, &bytes)?;
        let path = self.package(&found);
        write_whole(&path, &bytes).map_err(ChartError::unwritable(&path))?;
        if locked.is_none() {
            write_whole(&note, found.as_bytes()).map_err(ChartError::unwritable(&note))?;
        }
        Ok(self.with_text(path, found, text))
    }

    /// Puts a chart that is a folder of the repository where Helm can read it.
    pub fn folder(&self, path: &RepoPath, folder: &Folder) -> Result<Stored, ChartError> {
        let files = folder.files.iter().map(|(path, bytes)| (path.as_str(), &**bytes));
        let text = self.known_text(&folder.digest).map_or_else(
            || archive::text_of_files(files.clone()).map_err(|reason| ChartError::of_folder(path, reason)),
            Ok,
        )?;
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains_key(&folder.digest) {
            let written = write_out(files).map_err(|error| {
                ChartError::of_folder(path, format_args!("cannot be put before Helm: {error}"))
            })?;
            folders.insert(folder.digest.clone(), written);
        }
        let place = folders[&folder.digest].path().to_owned();
        drop(folders);
        Ok(self.with_text(place, folder.digest.clone(), text))
    }

    /// Returns the package with a digest, if it is there and still has it.
    fn stored(&self, expected: &str) -> Option<Stored> {
        let path = self.package(expected);
        let bytes = read_file(&path).ok()?;
        if digest(&bytes) != expected {
            return None;
        }
        match self.known_text(expected) {
            Some(text) => Some(Stored { path, identity: expected.to_owned(), text }),
            None => Some(self.with_text(path, expected.to_owned(), text_of(expected, &bytes).ok()?)),
        }
    }

    fn known_text(&self, identity: &str) -> Option<ChartText> {
        serde_json::from_slice(&fs::read(self.text_file(identity)).ok()?).ok()
    }

    /// Remembers what the text of a chart says, since reading it takes longer than most renderings that are known already.
    fn with_text(&self, path: PathBuf, identity: String, text: ChartText) -> Stored {
        let known = serde_json::to_vec(&text).expect("our own types serialise");
        // It is read again where it cannot be kept.
        let _ = write_whole(&self.text_file(&identity), &known);
        Stored { path, identity, text }
    }

    /// Reads a chart of one's own, which may be another one each time.
    fn own(&self, path: &Path) -> Result<Stored, ChartError> {
        if !path.is_dir() {
            let bytes = read_file(path)?;
            let identity = digest(&bytes);
            let stored = self.stored(&identity).map(|stored| stored.text);
            let text = stored.map_or_else(|| text_of(path.display(), &bytes), Ok)?;
            return Ok(Stored { path: path.to_owned(), identity, text });
        }
        let (mut hasher, files) = (Parted::default(), archive::files_in(path)?);
        for (name, bytes) in &files {
            hasher.add(name.as_bytes());
            hasher.add(bytes);
        }
        let texts = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let text =
            archive::text_of_files(texts).map_err(|reason| ChartError::of_package(path.display(), reason))?;
        let identity = format!("sha256:{}", hex(&hasher.digest()));
        Ok(Stored { path: path.to_owned(), identity, text })
    }

    fn package(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{}.tgz", digest.replace(':', "-")))
    }

    /// The form of what is known of a text is a part of its name: another version of Fleetwright may ask for more.
    fn text_file(&self, digest: &str) -> PathBuf {
        self.folder.join("texts-2").join(format!("{}.json", digest.replace(':', "-")))
    }
}

/// Writes files into a folder of their own. Their paths were checked where they were read.
fn write_out<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("fleetwright-chart-").tempdir()?;
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(path, bytes)?;
    }
    Ok(folder)
}

/// Reads what the text of a package says, its subcharts included.
fn text_of(name: impl std::fmt::Display, bytes: &[u8]) -> Result<ChartText, ChartError> {
    let mut text = ChartText::default();
    let read =
        archive::read_texts(bytes, &mut |path, bytes| text.read(path, &String::from_utf8_lossy(bytes)));
    read.map_err(|reason| ChartError::of_package(name, reason))?;
    Ok(text)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn file_name(id: &ChartId) -> String {
    let text = format!("{}\n{}\n{}", id.repository.trim_end_matches('/'), id.name, id.version);
    digest(text.as_bytes()).replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Reply, Server, demo, id};
    use super::*;

    /// A repository with one package, and a store that fetches from it.
    fn scene() -> (Server, TempDir, ChartId) {
        let index = "apiVersion: v1\nentries:\n  demo: [{version: 1.2.3, urls: [demo-1.2.3.tgz]}]\n";
        let server = Server::of(vec![
            ("/index.yaml", Reply::ok(index)),
            ("/demo-1.2.3.tgz", Reply::ok(demo("1.2.3"))),
        ]);
        let chart = id(&server.url(""), "1.2.3");
        (server, tempfile::tempdir().unwrap(), chart)
    }

    fn store(folder: &TempDir) -> Store {
        Store {
            folder: folder.path().join("charts"),
            client: super::super::scene::client(),
            given: Vec::new(),
            folders: Mutex::default(),
        }
    }

    #[test]
    fn a_chart_is_fetched_once_and_verified_at_each_use() {
        let (server, folder, chart) = scene();
        let (sources, expected) = (ChartSources::default(), digest(&demo("1.2.3")));
        for locked in [None, None, Some(expected.as_str())] {
            let stored = store(&folder).chart(&chart, locked, Some(&sources)).unwrap();
            assert_eq!((&stored.identity, server.asked().len()), (&expected, 2));
            assert_eq!(fs::read(&stored.path).unwrap(), demo("1.2.3"));
        }
        // What was changed on disk is fetched again.
        let stored = store(&folder).chart(&chart, None, Some(&sources)).unwrap();
        fs::write(&stored.path, "other").unwrap();
        let stored = store(&folder).chart(&chart, None, Some(&sources)).unwrap();
        assert_eq!((fs::read(&stored.path).unwrap(), server.asked().len()), (demo("1.2.3"), 4));
    }

    #[test]
    fn stores_of_one_folder_that_are_used_at_once_all_have_the_whole_chart() {
        let (server, folder, chart) = scene();
        let fetched = || {
            let stored = store(&folder).chart(&chart, None, Some(&ChartSources::default())).unwrap();
            (stored.identity, stored.text.unsteady.len(), fs::read(stored.path).unwrap())
        };
        let expected = (digest(&demo("1.2.3")), 0, demo("1.2.3"));
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| [(); 8].map(|()| fetched()))).collect();
            for one in all.into_iter().flat_map(|all| all.join().unwrap()) {
                assert!(one == expected);
            }
        });
        assert!(server.asked().len() <= 16, "each one fetches once at most");
    }

    #[test]
    fn a_private_repository_is_shown_what_helm_keeps_for_it_and_then_not_asked_again() {
        let (open, folder, _) = scene();
        let (files, basic) = (open.url(""), "Basic bWlhOmh1bnRlcjI=");
        let private = Server::start(move |path, shown| match (path, shown) {
            (_, None) => Reply { status: 401, headers: Vec::new(), body: Vec::new() },
            ("/private/index.yaml", Some(shown)) if shown == basic => Reply::ok(format!(
                "entries: {{demo: [{{version: 1.2.3, urls: ['{files}/demo-1.2.3.tgz']}}]}}"
            )),
            _ => Reply { status: 403, headers: Vec::new(), body: Vec::new() },
        });
        let chart = id(&private.url("/private"), "1.2.3");
        let brought = |password: &str| {
            let path = folder.path().join("repositories.yaml");
            let known = format!(
                "repositories: [{{name: own, url: '{}', username: mia, password: {password}}}]",
                chart.repository
            );
            fs::write(&path, known).unwrap();
            let client = super::super::scene::client().with_repositories(path);
            Store { client, ..store(&folder) }.chart(&chart, None, Some(&ChartSources::default()))
        };
        let refused = brought("wrong").unwrap_err();
        assert!(refused.to_string().contains("/private/index.yaml`") && open.asked().is_empty(), "{refused}");
        assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
        assert_eq!(brought("hunter2").unwrap().identity, digest(&demo("1.2.3")));
        // Where the index leads to another server, that one is not shown the password.
        assert_eq!(open.asked(), [("/demo-1.2.3.tgz".to_owned(), None)]);
        let asked = private.asked().len();
        brought("wrong").unwrap();
        assert_eq!(private.asked().len(), asked, "what is kept needs no repository");
    }

    #[test]
    fn another_package_than_the_locked_one_is_refused() {
        let (_server, folder, chart) = scene();
        let locked = format!("sha256:{}", "0".repeat(64));
        let error = store(&folder).chart(&chart, Some(&locked), Some(&ChartSources::default())).unwrap_err();
        assert!(error.to_string().starts_with("`demo 1.2.3` has the digest `sha256:"), "{error}");
        // Nor is another one than the first, which no lock names.
        store(&folder).chart(&chart, None, Some(&ChartSources::default())).unwrap();
        let note = folder.path().join("charts/versions").join(file_name(&chart));
        fs::write(note, &locked).unwrap();
        let error = store(&folder).chart(&chart, None, Some(&ChartSources::default())).unwrap_err();
        assert!(error.to_string().contains("has the digest"), "{error}");
    }

    #[test]
    fn a_chart_of_ones_own_takes_the_place_of_another() {
        let (server, folder, chart) = scene();
        let own = folder.path().join("own");
        fs::create_dir_all(own.join("demo/templates")).unwrap();
        fs::write(own.join("demo/Chart.yaml"), "apiVersion: v2\nname: demo\nversion: 1.2.3\n").unwrap();
        fs::write(own.join("demo/templates/a.yaml"), "{{ randAlpha 5 }}").unwrap();
        let open = || Store::open(folder.path().join("charts"), Some(&own)).unwrap();
        let first = open().chart(&chart, None, Some(&ChartSources::default())).unwrap();
        assert_eq!((&first.path, first.text.unsteady.len()), (&own.join("demo"), 1));
        fs::write(own.join("demo/templates/b.yaml"), "a: 1").unwrap();
        let second = open().chart(&chart, None, Some(&ChartSources::default())).unwrap();
        assert_ne!(first.identity, second.identity);
        assert_eq!(server.asked().len(), 0);
        let empty = Store::open(folder.path().join("charts"), Some(folder.path())).unwrap_err();
        assert!(empty.to_string().starts_with("there is no chart in `"), "{empty}");
    }
}
