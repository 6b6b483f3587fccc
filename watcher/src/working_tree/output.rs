//! The rendered files on disk: what is there, what differs, and writing only that.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use renderer::render::Rendered;
use renderer::snapshot::OUTPUT;
use tempfile::TempDir;

use super::WorkingTreeError;
use crate::error::CommandError;

/// The beginning of the name of the folder that new content waits in.
const STAGED: &str = ".fleetwright-";

/// Everything in the folders below `argocd-apps/` of a working tree.
///
/// Links are seen as what they are and never followed, so that nothing outside of these folders is read or written.
/// Loose files directly in `argocd-apps/` are nobody's and are left alone.
#[derive(Debug)]
pub struct Output {
    top: PathBuf,
    files: BTreeMap<Name, Found>,
    loose: BTreeSet<Name>,
}

/// A path from the top, with `/` between its parts: far quicker to compare than a `Path`.
type Name = OsString;

/// Something that is not a folder.
#[derive(Debug)]
enum Found {
    File(Vec<u8>),
    /// A link or a special file, which is never what is rendered.
    Other,
}

/// Something on disk that differs from what is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChange {
    /// Its path from the top of the working tree.
    pub path: PathBuf,
    /// Whether something other than a folder is there now.
    pub exists: bool,
    /// What it becomes, or `None` if it goes.
    pub new: Option<Arc<[u8]>>,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputAction {
    /// It comes.
    Create,
    /// It gets another content.
    Update,
    /// It goes.
    Delete,
}

impl OutputAction {
    /// Returns the word for a list.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl OutputChange {
    /// Returns what happens to the file.
    #[must_use]
    pub const fn action(&self) -> OutputAction {
        match (self.exists, &self.new) {
            (_, None) => OutputAction::Delete,
            (true, Some(_)) => OutputAction::Update,
            (false, Some(_)) => OutputAction::Create,
        }
    }
}

impl Output {
    /// Reads the rendered files of the working tree at `top`.
    pub fn read(top: &Path) -> Result<Self, WorkingTreeError> {
        let mut output = Self { top: top.to_owned(), files: BTreeMap::new(), loose: BTreeSet::new() };
        let root = OsStr::new(OUTPUT);
        match top.join(root).symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() => return Err(output.in_the_way(root)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(output),
            Err(error) => return Err(output.unreadable(root)(error)),
        }
        for (path, kind) in output.entries(root)? {
            if is_staged(&path) {
                // Another command is at work.
            } else if kind.is_dir() {
                output.folder(&path)?;
            } else {
                output.loose.insert(path);
            }
        }
        Ok(output)
    }

    fn folder(&mut self, folder: &OsStr) -> Result<(), WorkingTreeError> {
        for (path, kind) in self.entries(folder)? {
            if kind.is_dir() {
                self.folder(&path)?;
            } else if kind.is_file() {
                let bytes = fs::read(self.top.join(&path)).map_err(self.unreadable(&path))?;
                self.files.insert(path, Found::File(bytes));
            } else {
                self.files.insert(path, Found::Other);
            }
        }
        Ok(())
    }

    fn entries(&self, folder: &OsStr) -> Result<Vec<(Name, fs::FileType)>, WorkingTreeError> {
        let named = |entry: fs::DirEntry| {
            let name = [folder, OsStr::new("/"), &entry.file_name()].into_iter().collect();
            Ok((name, entry.file_type()?))
        };
        let entries = fs::read_dir(self.top.join(folder)).map_err(self.unreadable(folder))?;
        entries.map(|entry| entry.and_then(named)).collect::<io::Result<_>>().map_err(self.unreadable(folder))
    }

    fn unreadable(&self, path: &OsStr) -> impl FnOnce(io::Error) -> WorkingTreeError + use<> {
        let path = self.top.join(path);
        move |source| WorkingTreeError::Read { path, source }
    }

    fn in_the_way(&self, path: &OsStr) -> WorkingTreeError {
        WorkingTreeError::InTheWay { path: self.top.join(path) }
    }

    /// Returns what differs from a rendering, in the order of the paths.
    pub fn changes(&self, rendered: &Rendered) -> Result<Vec<OutputChange>, WorkingTreeError> {
        let folders = rendered.clusters.values().map(|cluster| OsStr::new(cluster.folder.as_str()));
        if let Some(taken) = folders.into_iter().find(|folder| self.loose.contains(*folder)) {
            return Err(self.in_the_way(taken));
        }
        let mut wanted = BTreeSet::new();
        let mut changes = Vec::new();
        for file in rendered.clusters.values().flat_map(|cluster| cluster.files()) {
            let path = OsStr::new(file.path.as_str());
            let old = self.files.get(path);
            if !matches!(old, Some(Found::File(bytes)) if bytes[..] == file.bytes[..]) {
                let new = Some(Arc::clone(&file.bytes));
                changes.push(OutputChange { path: path.into(), exists: old.is_some(), new });
            }
            wanted.insert(path);
        }
        let gone = self.files.keys().filter(|path| !wanted.contains(path.as_os_str()));
        changes.extend(gone.map(|path| OutputChange { path: path.into(), exists: true, new: None }));
        changes.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        Ok(changes)
    }

    /// Makes the working tree as rendered.
    ///
    /// All new content is on the disk before the first file changes, so that a full disk changes nothing. What goes
    /// goes first, since it may stand where a folder is needed. Each file is replaced in one step.
    pub fn apply(&self, changes: &[OutputChange]) -> Result<(), CommandError> {
        let (written, gone): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.new.is_some());
        let staged = if written.is_empty() { None } else { Some(self.stage(&written)?) };
        for change in gone {
            let path = self.top.join(&change.path);
            remove(&path, &self.top.join(OUTPUT)).map_err(write_error(&path))?;
        }
        let Some(staged) = staged else { return Ok(()) };
        for (number, change) in written.iter().enumerate() {
            let path = self.top.join(&change.path);
            place(&staged_file(&staged, number), &path).map_err(write_error(&path))?;
        }
        Ok(())
    }

    /// Writes all new content into a folder of its own on the same file system.
    fn stage(&self, changes: &[&OutputChange]) -> Result<TempDir, CommandError> {
        let root = self.top.join(OUTPUT);
        let is_new = !root.exists();
        fs::create_dir_all(&root).map_err(write_error(&root))?;
        let staged = tempfile::Builder::new().prefix(STAGED).tempdir_in(&root);
        // The name of the temporary folder says nothing to anyone.
        let staged = staged.map_err(|error| write_error(&root)(error.kind().into())).and_then(|staged| {
            // Should the process be killed, git at least does not take what is left for anyone's work.
            fs::write(staged.path().join(".gitignore"), "*\n").map_err(write_error(&root))?;
            for (number, change) in changes.iter().enumerate() {
                let bytes = change.new.as_deref().unwrap_or_default();
                let path = self.top.join(&change.path);
                fs::write(staged_file(&staged, number), bytes).map_err(write_error(&path))?;
            }
            Ok(staged)
        });
        if staged.is_err() && is_new {
            // Left as it was found; the failure that led here is the one to tell.
            let _ = fs::remove_dir(&root);
        }
        staged
    }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> CommandError + use<> {
    let path = path.to_owned();
    move |source| CommandError::Write { path, source }
}

fn is_staged(path: &OsStr) -> bool {
    Path::new(path).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(STAGED.as_bytes()))
}

fn staged_file(staged: &TempDir, number: usize) -> PathBuf {
    staged.path().join(number.to_string())
}

fn place(staged: &Path, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        remove_empty_folders(path)?;
    }
    fs::rename(staged, path)
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

/// Removes a folder that holds nothing but folders; fails on anything else.
fn remove_empty_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
