//! Reading packages: gzipped tar archives, read as a stream, of which a few small files are kept.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::GzDecoder;
use renderer::charts::Package;
use renderer::deployed::ChartText;
use tar::{Archive, Entry, EntryType};

use super::error::ChartError;
use super::verify::digest;

/// The largest package that is read, in bytes.
pub(super) const MAX_PACKAGE_BYTES: u64 = 32 << 20;
/// How many bytes of a package are unpacked, subcharts in packages of their own included.
const MAX_UNPACKED_BYTES: u64 = 128 << 20;
/// The largest file that is kept.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// How many files a package may have.
const MAX_ENTRIES: usize = 20_000;
/// How deep packages may lie in each other.
const MAX_DEPTH: usize = 4;

/// A chart's files, and the digest of the package that they came in.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The files.
    pub package: Package,
    /// The digest, `sha256:…`; none for a folder.
    pub digest: Option<String>,
}

impl Fetched {
    pub(super) fn read(name: impl Display, bytes: &[u8]) -> Result<Self, ChartError> {
        let package = read(bytes).map_err(|reason| ChartError::of_package(name, reason))?;
        Ok(Self { package, digest: Some(digest(bytes)) })
    }
}

/// Reads a package, or returns why it is none.
pub(super) fn read(bytes: &[u8]) -> Result<Package, String> {
    let mut reading = Reading::default();
    reading.archive(bytes, "", 0)?;
    Ok(reading.package)
}

/// Reads what a package unpacks to.
pub(super) fn read_unpacked(bytes: &[u8]) -> Result<Package, String> {
    let mut reading = Reading::default();
    reading.tar(bytes, "", 0)?;
    Ok(reading.package)
}

/// Reads the charts at a path, each with where it is: that of the path itself, or else each folder and package in it.
pub(super) fn charts_in(path: &Path) -> Result<Vec<(PathBuf, Package)>, ChartError> {
    let is_chart = |path: &Path| path.join("Chart.yaml").is_file();
    let is_package = |path: &Path| path.extension().is_some_and(|end| end == "tgz") && path.is_file();
    let places = if is_chart(path) || is_package(path) {
        vec![path.to_owned()]
    } else {
        sorted(path).map_err(ChartError::unreadable(path))?
    };
    let mut found = Vec::new();
    for place in places {
        let package = if is_chart(&place) {
            read_chart(&place)?
        } else if is_package(&place) {
            Fetched::read(place.display(), &read_file(&place)?)?.package
        } else {
            continue;
        };
        found.push((place, package));
    }
    if found.is_empty() {
        let message = format!("there is no chart in `{}`", path.display());
        return Err(ChartError::new(message, "give a chart's folder, a folder of charts, or a `.tgz`"));
    }
    Ok(found)
}

/// Reads all files of a chart's folder, as Helm finds them, in the order of their paths.
pub(super) fn files_in(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, ChartError> {
    let (mut found, mut left) = (Vec::new(), MAX_UNPACKED_BYTES);
    for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| ChartError::unreadable(folder)(error.into()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        let read = fs::File::open(entry.path()).and_then(|file| file.take(left + 1).read_to_end(&mut bytes));
        read.map_err(ChartError::unreadable(entry.path()))?;
        let size = bytes.len() as u64;
        left = left.checked_sub(size).filter(|_| found.len() < MAX_ENTRIES).ok_or_else(|| {
            let reason = format!("has more than {} MiB or {MAX_ENTRIES} files", MAX_UNPACKED_BYTES >> 20);
            ChartError::of_package(folder.display(), reason)
        })?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        found.push((path.to_string_lossy().into_owned(), bytes));
    }
    Ok(found)
}

/// Reads every file of a package, subcharts in packages of their own included.
pub(super) fn read_texts(bytes: &[u8], each: &mut dyn FnMut(&str, &[u8])) -> Result<(), String> {
    let mut reading = Reading { each: Some(each), ..Reading::default() };
    reading.archive(bytes, "", 0)
}

/// Reads what the text of a chart says whose files these are, its subcharts included, or returns why it can't be read.
pub(super) fn text_of_files<'f>(
    files: impl Iterator<Item = (&'f str, &'f [u8])>,
) -> Result<ChartText, String> {
    let mut text = ChartText::default();
    let mut each = |path: &str, bytes: &[u8]| text.read(path, &String::from_utf8_lossy(bytes));
    let mut reading = Reading { each: Some(&mut each), ..Reading::default() };
    for (path, mut bytes) in files {
        reading.file(path, &mut bytes, 0)?;
    }
    Ok(text)
}

/// Reads the bytes of a package on disk.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ChartError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path);
    let outcome = file.and_then(|file| file.take(MAX_PACKAGE_BYTES + 1).read_to_end(&mut bytes));
    outcome.map_err(ChartError::unreadable(path))?;
    if bytes.len() as u64 > MAX_PACKAGE_BYTES {
        let reason = format!("is larger than {} MiB", MAX_PACKAGE_BYTES >> 20);
        return Err(ChartError::of_package(path.display(), reason));
    }
    Ok(bytes)
}

fn sorted(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<_> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    Ok(entries)
}

fn read_chart(path: &Path) -> Result<Package, ChartError> {
    let mut reading = Reading::default();
    let read = reading.folder(path, "", 0);
    read.map_err(|reason| ChartError::of_package(path.display(), reason))?;
    Ok(reading.package)
}

/// Takes a file by its path.
type Each<'s> = dyn FnMut(&str, &[u8]) + 's;

#[derive(Default)]
struct Reading<'s> {
    package: Package,
    /// What takes every file, if not only those are wanted that are about values.
    each: Option<&'s mut Each<'s>>,
    seen: BTreeSet<String>,
    /// How many bytes were unpacked.
    unpacked: Rc<Cell<u64>>,
    entries: usize,
}

/// A stream that ends with an error where no more may be unpacked.
struct Bounded<R> {
    inner: R,
    unpacked: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.unpacked.update(|bytes| bytes + count as u64);
        if self.unpacked.get() > MAX_UNPACKED_BYTES {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(count)
        }
    }
}

impl Reading<'_> {
    /// Reads an archive whose chart lies at `below` in the whole.
    fn archive(&mut self, bytes: &[u8], below: &str, depth: usize) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("has packages in packages, more than {MAX_DEPTH} deep"));
        }
        self.tar(GzDecoder::new(bytes), below, depth)
    }

    fn tar(&mut self, unpacked: impl Read, below: &str, depth: usize) -> Result<(), String> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::FileTooLarge => format!("unpacks to more than {} MiB", MAX_UNPACKED_BYTES >> 20),
            _ => format!("is not a gzipped tar archive: {error}"),
        };
        let mut archive = Archive::new(Bounded { inner: unpacked, unpacked: Rc::clone(&self.unpacked) });
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(format!("has more than {MAX_ENTRIES} files"));
            }
            let Some(path) = inner_path(&entry)?.map(|path| format!("{below}{path}")) else { continue };
            let is_file = entry.header().entry_type() == EntryType::Regular;
            if !(is_wanted(&path) || self.each.is_some() && is_file) {
                continue;
            }
            if !is_file {
                return Err(format!("has `{path}` as something else than a file"));
            }
            self.file(&path, &mut entry, depth)?;
        }
        Ok(())
    }

    /// Reads a chart's folder whose chart lies at `below` in the whole. No link is followed: it may lead out of it.
    fn folder(&mut self, folder: &Path, below: &str, depth: usize) -> Result<(), String> {
        let unreadable = |error: io::Error| format!("cannot be read at `{below}`: {error}");
        let is_of_charts = below.ends_with("charts/");
        for entry in sorted(folder).map_err(unreadable)? {
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
            let path = format!("{below}{name}");
            let kind = entry.symlink_metadata().map_err(unreadable)?;
            if kind.is_dir() && depth < MAX_DEPTH && (is_of_charts || name == "charts") {
                self.folder(&entry, &format!("{path}/"), depth + usize::from(is_of_charts))?;
            } else if kind.is_file() && is_wanted(&path) {
                self.file(&path, &mut fs::File::open(&entry).map_err(unreadable)?, depth)?;
            }
        }
        Ok(())
    }

    /// Reads a file of a chart, or a package that is a chart in it.
    fn file(&mut self, path: &str, content: &mut dyn Read, depth: usize) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = content.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("breaks off in `{path}`: {error}"))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("has `{path}` with more than {} MiB", MAX_FILE_BYTES >> 20));
        }
        match nested_package(path) {
            _ if !self.seen.insert(path.to_owned()) => return Err(format!("has `{path}` twice")),
            Some(folder) => self.archive(&bytes, &folder, depth + 1)?,
            None => match &mut self.each {
                Some(each) => each(path, &bytes),
                None => self.package.add(path, bytes),
            },
        }
        Ok(())
    }
}

fn is_wanted(path: &str) -> bool {
    Package::wants(path) || nested_package(path).is_some()
}

/// Returns an entry's path below the chart's own folder, which every package has at its top.
fn inner_path<R: Read>(entry: &Entry<'_, R>) -> Result<Option<String>, String> {
    let bytes = entry.path_bytes();
    let path = String::from_utf8_lossy(&bytes);
    let leaves = path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..");
    if leaves {
        return Err(format!("has a path that leads out of it: `{}`", path.escape_debug()));
    }
    let path = path.trim_start_matches("./");
    Ok(path.split_once('/').map(|(_, inner)| inner.to_owned()))
}

/// `charts/redis-1.2.3.tgz` is the chart in `charts/redis/`.
fn nested_package(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let stem = name.strip_suffix(".tgz")?;
    let is_at_charts = folder == "charts" || folder.ends_with("/charts");
    // The version starts at the first hyphen with a digit (or a `v` and a digit) behind it.
    let starts_version = |rest: &str| rest.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let end = stem.match_indices('-').find(|(at, _)| starts_version(&stem[at + 1..])).map(|(at, _)| at);
    is_at_charts.then(|| format!("{folder}/{}/", &stem[..end.unwrap_or(stem.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_in_a_package_is_the_chart_of_its_name() {
        assert_eq!(
            nested_package("charts/kube-state-metrics-8.4.0.tgz").unwrap(),
            "charts/kube-state-metrics/"
        );
        assert_eq!(
            nested_package("charts/a/charts/frr-k8s-v0.0.25.tgz").unwrap(),
            "charts/a/charts/frr-k8s/"
        );
        assert_eq!(nested_package("charts/plain.tgz").unwrap(), "charts/plain/");
        assert_eq!(nested_package("files/a-1.0.0.tgz"), None);
    }
}
