//! The rendered files on disk: what is there, what differs, and writing only that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use renderer::path::{RepoPath, is_left_by_editor};
use renderer::plan::Action;
use renderer::render::Rendered;
use renderer::root::{APPLICATIONS, Root};
use renderer::templates::has_header;
use serde::Serialize;
use tempfile::TempDir;

use super::{WorkingTreeError, is_absent};
use crate::error::CommandError;
use crate::git::Tracked;

/// The beginning of the name of the folder that new content waits in.
const STAGED: &str = ".fleetwright-";

/// Everything in the folders of rendered files of a working tree, and what git has of it.
///
/// Links are seen as what they are and never followed, so that nothing outside of these folders is read or written.
/// Loose files directly above the clusters' folders belong to no cluster and are left alone.
#[derive(Debug)]
pub struct Output {
    top: PathBuf,
    files: BTreeMap<Name, Found>,
    loose: BTreeSet<Name>,
    tracked: Tracked,
    written: Written,
}

/// What this process wrote to the working tree: ours, whether git has it or not.
#[derive(Clone, Debug, Default)]
pub struct Written(HashMap<PathBuf, Arc<[u8]>>);

impl Written {
    /// Takes in changes that were applied.
    pub fn remember(&mut self, changes: &[OutputChange]) {
        for change in changes {
            match &change.new {
                Some(content) => drop(self.0.insert(change.path.clone(), Arc::clone(content))),
                None => drop(self.0.remove(&change.path)),
            }
        }
    }
}

/// A path from the top, with `/` between its parts: far quicker to compare than a `Path`.
type Name = OsString;

/// Something that is not a folder of ours.
#[derive(Debug)]
enum Found {
    File(Vec<u8>),
    /// A link, with what it names.
    Link(Vec<u8>),
    /// A special file.
    Special,
    /// Another repository, or the place of one.
    Repository,
    /// A file that git has and leaves out of the working tree.
    LeftOut,
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

/// What differs from what is rendered: what changes for that, and what nothing renders and stays all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputChanges {
    /// What changes, in the order of the paths.
    pub changes: Vec<OutputChange>,
    /// What stays, in the order of the paths.
    pub kept: Vec<Kept>,
}

/// Something that nothing renders and that is left alone, since it is not ours or git could not bring it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its path from the top of the working tree.
    pub path: PathBuf,
    /// Why it is left alone.
    pub reason: KeptReason,
}

/// Why something is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptReason {
    /// Fleetwright did not write it, and git has it as it is.
    NotOurs,
    /// Fleetwright did not write it, and git does not have it.
    Untracked,
    /// Fleetwright wrote it, and git has nothing of that name.
    OursUntracked,
    /// It differs from what git has of that name.
    Edited,
    /// It is another repository.
    Repository,
    /// It is outside the sparse checkout.
    LeftOut,
}

impl KeptReason {
    /// Returns the reason for a list.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotOurs => "Fleetwright did not write it",
            Self::Untracked => "Fleetwright did not write it, and git does not have it",
            Self::OursUntracked => "nothing renders it, and git does not have it",
            Self::Edited => "nothing renders it, and it has changes that git does not have",
            Self::Repository => "it is another repository",
            Self::LeftOut => "nothing renders it, and it is outside the sparse checkout",
        }
    }

    /// Returns whether the rendered files are not current with it: it is or would be committed beside them.
    const fn is_stale(self) -> bool {
        !matches!(self, Self::Untracked)
    }

    /// Returns whether `render --prune` deletes it: Fleetwright wrote it, or git can bring it back.
    const fn is_pruned(self, is_ours: bool) -> bool {
        match self {
            Self::NotOurs | Self::OursUntracked => true,
            Self::Edited => is_ours,
            Self::Untracked | Self::Repository | Self::LeftOut => false,
        }
    }
}

impl OutputChange {
    /// Returns what happens to the file.
    #[must_use]
    pub const fn action(&self) -> Action {
        match (self.exists, &self.new) {
            (_, None) => Action::Delete,
            (true, Some(_)) => Action::Update,
            (false, Some(_)) => Action::Create,
        }
    }
}

impl OutputChanges {
    /// Returns whether the rendered files are as they should be, and nothing else is committed beside them.
    pub(crate) fn is_current(&self) -> bool {
        self.changes.is_empty() && !self.kept.iter().any(|kept| kept.reason.is_stale())
    }
}

impl Found {
    fn content(&self) -> Option<&[u8]> {
        match self {
            Self::File(content) | Self::Link(content) => Some(content),
            Self::Special | Self::Repository | Self::LeftOut => None,
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self, Self::File(content) if has_header(content))
    }
}

impl Output {
    /// Reads the rendered files of the working tree at `top`.
    pub fn read(top: &Path, written: &Written) -> Result<Self, WorkingTreeError> {
        let (tracked, written) = (Tracked::read(top, &Root::ALL.map(Root::path))?, written.clone());
        let (files, loose) = Default::default();
        let mut output = Self { top: top.to_owned(), files, loose, tracked, written };
        for root in Root::ALL {
            output.root(root)?;
        }
        output.add_what_git_has();
        Ok(output)
    }

    fn root(&mut self, root: Root) -> Result<(), WorkingTreeError> {
        let path = OsStr::new(root.path());
        let mut folders: Vec<_> =
            Path::new(path).ancestors().filter(|it| !it.as_os_str().is_empty()).collect();
        folders.reverse();
        for folder in folders {
            match self.top.join(folder).symlink_metadata() {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) if root == Root::Applications => return Err(self.in_the_way(path)),
                Ok(_) => {
                    self.loose.insert(folder.into());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(self.unreadable(path)(error)),
            }
        }
        if root == Root::Fleet {
            return self.folder(path.to_owned());
        }
        for (path, kind) in self.entries(path)? {
            if is_staged(&path) {
                // Another command is at work.
            } else if kind.is_dir() {
                self.folder(path)?;
            } else {
                self.loose.insert(path);
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: Name) -> Result<(), WorkingTreeError> {
        let entries = self.entries(&folder)?;
        if entries.iter().any(|(path, _)| Path::new(path).file_name() == Some(OsStr::new(".git"))) {
            self.files.insert(folder, Found::Repository);
            return Ok(());
        }
        for (path, kind) in entries {
            if is_staged(&path) {
                // Another command is at work.
            } else if kind.is_dir() {
                self.folder(path)?;
            } else if !self.is_left_by_editor(&path) {
                let found = self.found(&path, kind)?;
                self.files.insert(path, found);
            }
        }
        Ok(())
    }

    fn found(&self, path: &OsStr, kind: fs::FileType) -> Result<Found, WorkingTreeError> {
        let on_disk = self.top.join(path);
        if kind.is_file() {
            Ok(Found::File(fs::read(on_disk).map_err(self.unreadable(path))?))
        } else if kind.is_symlink() {
            let target = fs::read_link(on_disk).map_err(self.unreadable(path))?;
            Ok(Found::Link(target.into_os_string().into_vec()))
        } else {
            Ok(Found::Special)
        }
    }

    fn is_left_by_editor(&self, path: &OsStr) -> bool {
        let name = Path::new(path).file_name().unwrap_or_default().as_bytes();
        is_left_by_editor(name) && !self.tracked.is_tracked(path.as_bytes())
    }

    fn add_what_git_has(&mut self) {
        let is_deep = |path: &&[u8]| match Root::of(&String::from_utf8_lossy(path)) {
            Some((Root::Fleet, below)) => !below.is_empty(),
            Some((_, below)) => below.contains('/'),
            None => false,
        };
        let left_out = self.tracked.left_out().map(|file| file.path.as_slice()).filter(is_deep);
        let absent = left_out.filter(|path| is_absent(&self.top, path));
        let named = |path: &[u8]| OsStr::from_bytes(path).to_owned();
        let mut more: Vec<_> = absent.map(|path| (named(path), Found::LeftOut)).collect();
        // One that was not checked out is an empty folder.
        more.extend(self.tracked.submodules().map(|path| (named(path), Found::Repository)));
        self.files.extend(more);
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
        WorkingTreeError::unreadable(self.top.join(path))
    }

    fn in_the_way(&self, path: &OsStr) -> WorkingTreeError {
        let message = format!("`{}` is not a folder of this repository", self.top.join(path).display());
        let hint = "move it away: the rendered files go into a folder there, and no link is followed";
        WorkingTreeError::stalled(message, hint)
    }

    /// Returns what differs from a rendering, if nothing would be lost that Fleetwright did not write and git does not
    /// have.
    ///
    /// Of what nothing renders, only what Fleetwright wrote and git has goes; with `prune` also what is only
    /// one of the two.
    pub fn changes(&self, rendered: &Rendered, prune: bool) -> Result<OutputChanges, WorkingTreeError> {
        if let Some(taken) = self.taken(rendered) {
            return Err(self.in_the_way(OsStr::new(taken.as_str())));
        }
        let mut wanted = BTreeSet::new();
        let (mut found, mut lost) = (OutputChanges::default(), Vec::new());
        for file in rendered.clusters.values().flat_map(|cluster| cluster.files()) {
            let path = OsStr::new(file.path.as_str());
            let old = self.files.get(path);
            if !self.is_current(path, old, &file.bytes) {
                if old.is_some_and(|old| !self.may_replace(path, old)) {
                    lost.push(path.into());
                }
                let new = Some(Arc::clone(&file.bytes));
                found.changes.push(OutputChange { path: path.into(), exists: old.is_some(), new });
            }
            wanted.insert(path);
        }
        for (path, old) in self.files.iter().filter(|(path, _)| !wanted.contains(path.as_os_str())) {
            let reason = self.reason_to_keep(path, old);
            match reason.filter(|reason| !(prune && reason.is_pruned(old.is_ours()))) {
                Some(KeptReason::Repository) if blocks(path, &wanted) => return Err(self.in_the_way(path)),
                Some(_) if blocks(path, &wanted) && !self.may_replace(path, old) => lost.push(path.into()),
                Some(reason) if !blocks(path, &wanted) => found.kept.push(Kept { path: path.into(), reason }),
                _ => found.changes.push(OutputChange { path: path.into(), exists: true, new: None }),
            }
        }
        if !lost.is_empty() {
            lost.sort();
            return Err(would_overwrite(&lost));
        }
        found.changes.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        Ok(found)
    }

    /// Returns whether a file is as it is rendered, with the line endings that git gives it.
    fn is_current(&self, path: &OsStr, found: Option<&Found>, rendered: &[u8]) -> bool {
        match found {
            Some(Found::File(bytes)) => {
                bytes[..] == *rendered || *self.tracked.to_git(path.as_bytes(), bytes) == *rendered
            }
            Some(Found::LeftOut) => self.tracked.has(path.as_bytes(), rendered),
            _ => false,
        }
    }

    /// Returns whether nothing of what is there would be lost: git has it, or this process wrote it.
    fn is_known(&self, path: &OsStr, found: &Found) -> bool {
        let is_written = |content: &[u8]| {
            let written = self.written.0.get(Path::new(path));
            written.is_some_and(|written| **written == *self.tracked.to_git(path.as_bytes(), content))
        };
        found
            .content()
            .is_some_and(|content| self.tracked.has(path.as_bytes(), content) || is_written(content))
    }

    /// Returns whether nothing is lost if a rendered file takes the place of what is there.
    fn may_replace(&self, path: &OsStr, found: &Found) -> bool {
        matches!(found, Found::LeftOut)
            || matches!(found, Found::File(content) if content.is_empty())
            || found.is_ours()
            || self.is_known(path, found)
    }

    /// Returns why something that nothing renders is left alone; nothing if it is ours and git can bring it back.
    fn reason_to_keep(&self, path: &OsStr, found: &Found) -> Option<KeptReason> {
        let reason = match found {
            Found::Repository => KeptReason::Repository,
            Found::LeftOut => KeptReason::LeftOut,
            _ => {
                match (found.is_ours(), self.is_known(path, found), self.tracked.is_tracked(path.as_bytes()))
                {
                    (true, true, _) => return None,
                    (false, true, _) => KeptReason::NotOurs,
                    (_, false, true) => KeptReason::Edited,
                    (true, false, false) => KeptReason::OursUntracked,
                    (false, false, false) => KeptReason::Untracked,
                }
            }
        };
        Some(reason)
    }

    /// Returns the folder of a rendering in whose place something else stands.
    fn taken(&self, rendered: &Rendered) -> Option<RepoPath> {
        let clusters = rendered.clusters.values();
        let mut folders = clusters.flat_map(|cluster| Root::ALL.map(|root| cluster.folder(root))).flatten();
        let is_taken = |folder: &RepoPath| {
            Path::new(folder.as_str()).ancestors().any(|above| self.loose.contains(above.as_os_str()))
        };
        folders.find_map(|(folder, _)| is_taken(&folder).then_some(folder))
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
            remove(&path, &self.top.join(root_of(&change.path))).map_err(write_error(&path))?;
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
        let root = self.top.join(changes.first().map_or(APPLICATIONS, |change| root_of(&change.path)));
        let is_new = !root.exists();
        fs::create_dir_all(&root).map_err(write_error(&root))?;
        let staged = tempfile::Builder::new().prefix(STAGED).tempdir_in(&root);
        // The name of the temporary folder means nothing to a reader.
        let staged = staged.map_err(|error| write_error(&root)(error.kind().into())).and_then(|staged| {
            // If the process is killed, git at least does not list what is left as work to commit.
            fs::write(staged.path().join(".gitignore"), "*\n").map_err(write_error(&root))?;
            for (number, change) in changes.iter().enumerate() {
                let bytes = change.new.as_deref().unwrap_or_default();
                let bytes = self.tracked.to_disk(change.path.as_os_str().as_bytes(), bytes);
                let path = self.top.join(&change.path);
                fs::write(staged_file(&staged, number), bytes).map_err(write_error(&path))?;
            }
            Ok(staged)
        });
        if staged.is_err() && is_new {
            // Left as it was found; the failure that led here is the one to report.
            let _ = fs::remove_dir(&root);
        }
        staged
    }
}

/// Returns the root that a rendered file is in.
fn root_of(path: &Path) -> &'static str {
    path.to_str().and_then(Root::of).map_or(APPLICATIONS, |(root, _)| root.path())
}

/// Returns whether something that stays stands where a wanted file needs a folder, or below where one belongs.
fn blocks(path: &OsStr, wanted: &BTreeSet<&OsStr>) -> bool {
    let mut above = Path::new(path).ancestors().skip(1);
    let below: Name = [path, OsStr::new("/")].into_iter().collect();
    let next = wanted.range::<OsStr, _>((Bound::Included(below.as_os_str()), Bound::Unbounded)).next();
    above.any(|folder| wanted.contains(folder.as_os_str()))
        || next.is_some_and(|next| next.as_bytes().starts_with(below.as_bytes()))
}

fn would_overwrite(paths: &[PathBuf]) -> WorkingTreeError {
    let listed: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let what = "what Fleetwright did not write and git does not have";
    let message = format!("rendering would overwrite {what}: {}", listed.join(", "));
    WorkingTreeError::stalled(message, "move it away; or commit it, so that git can bring it back")
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
