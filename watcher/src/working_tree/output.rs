//! The rendered files on disk: what is there, what differs, and writing only that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use renderer::path::RepoPath;
use renderer::render::Rendered;
use renderer::snapshot::OUTPUT;

use super::WorkingTreeError;
use crate::error::CommandError;

/// The files in the folders below `argocd-apps/` of a working tree.
///
/// Loose files directly in `argocd-apps/` are nobody's and are neither read nor written.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    files: BTreeMap<RepoPath, Vec<u8>>,
}

/// A file on disk that differs from what is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChange {
    /// The file.
    pub path: RepoPath,
    /// Whether it is on disk now.
    pub exists: bool,
    /// What it becomes, or `None` if it goes.
    pub new: Option<Arc<[u8]>>,
}

impl OutputChange {
    /// Returns what happens to the file, for a list.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match (self.exists, &self.new) {
            (_, None) => "delete",
            (true, Some(_)) => "update",
            (false, Some(_)) => "create",
        }
    }
}

impl Output {
    /// Reads the rendered files of the working tree at `dir`.
    pub fn read(dir: &Path) -> Result<Self, WorkingTreeError> {
        let mut output = Self { dir: dir.to_owned(), files: BTreeMap::new() };
        let root = dir.join(OUTPUT);
        for entry in entries(&root)? {
            if entry.path().is_dir() {
                output.folder(&entry.path())?;
            }
        }
        Ok(output)
    }

    fn folder(&mut self, folder: &Path) -> Result<(), WorkingTreeError> {
        for entry in entries(folder)? {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.folder(&path)?;
                continue;
            }
            let bytes = fs::read(&path).map_err(|source| WorkingTreeError { path: path.clone(), source })?;
            let below = path.strip_prefix(&self.dir).ok().and_then(Path::to_str);
            if let Some(name) = below.and_then(|below| RepoPath::parse(&below.replace('\\', "/")).ok()) {
                self.files.insert(name, bytes);
            }
        }
        Ok(())
    }

    /// Returns what differs from a rendering, in the order of the paths.
    #[must_use]
    pub fn changes(&self, rendered: &Rendered) -> Vec<OutputChange> {
        let mut changes = Vec::new();
        let mut wanted = BTreeSet::new();
        for file in rendered.clusters.values().flat_map(|cluster| cluster.files()) {
            let old = self.files.get(&file.path);
            if old.map(Vec::as_slice) != Some(&file.bytes[..]) {
                let new = Some(Arc::clone(&file.bytes));
                changes.push(OutputChange { path: file.path.clone(), exists: old.is_some(), new });
            }
            wanted.insert(&file.path);
        }
        let gone = self.files.keys().filter(|path| !wanted.contains(path));
        changes.extend(gone.map(|path| OutputChange { path: path.clone(), exists: true, new: None }));
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }

    /// Makes the working tree as rendered. Each file is replaced in one step.
    pub fn apply(&self, changes: &[OutputChange]) -> Result<(), CommandError> {
        for change in changes {
            let path = self.dir.join(change.path.as_str());
            let result = match &change.new {
                Some(bytes) => replace(&path, bytes),
                None => remove(&path, &self.dir.join(OUTPUT)),
            };
            result.map_err(|source| CommandError::Write { path, source })?;
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, WorkingTreeError> {
    let failed = |source| WorkingTreeError { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions_of_a_plain_file().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Removes a file and the folders that it leaves empty, up to `root`.
fn remove(path: &Path, root: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    let mut folder = path.parent();
    while let Some(empty) = folder.filter(|folder| *folder != root) {
        if fs::remove_dir(empty).is_err() {
            break;
        }
        folder = empty.parent();
    }
    Ok(())
}

/// A temporary file is private by default; a rendered one is like any other source file.
trait PlainFile {
    fn permissions_of_a_plain_file(&mut self) -> &mut Self;
}

impl PlainFile for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_of_a_plain_file(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt as _;
        self.permissions(fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_of_a_plain_file(&mut self) -> &mut Self {
        self
    }
}
