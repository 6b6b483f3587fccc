//! Reads the source files on disk: the same snapshot as from a revision.
//!
//! `.gitignore` does not count: a file that exists is an input, committed or not. A file that git has and
//! leaves out of the working tree, as in a sparse checkout, is read from git.

mod find;
mod named;
mod output;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use renderer::path::{RepoPath, is_left_by_editor};
use renderer::problem::Problem;
use renderer::snapshot::{ENVIRONMENTS, Snapshot, Source, TEMPLATES};
use thiserror::Error;

pub use find::find_working_tree;
pub use named::standing;
pub use output::{Kept, KeptReason, Output, OutputChange, OutputChanges, Written};

use crate::git::{GitError, IndexEntry, MAX_SOURCE_BYTES, Tracked, Unreadable, blob_id, path_in, problem};

/// What stands in the way of reading the working tree.
#[derive(Debug, Error)]
pub enum WorkingTreeError {
    /// A file or folder could not be read, or stands where a rendered one belongs.
    #[error("{message}")]
    Files {
        /// What is wrong with which of them.
        message: String,
        /// What to do about it, if something is known.
        hint: Option<&'static str>,
        /// Whether trying again later may help: a file may be in the middle of being replaced.
        is_transient: bool,
    },
    /// What git has of the working tree could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl WorkingTreeError {
    fn unreadable(path: PathBuf) -> impl Fn(io::Error) -> Self {
        move |error| {
            let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
            let hint = is_denied.then_some("give this user the right to read it");
            let message = format!("failed to read `{}`: {error}", path.display());
            Self::Files { message, hint, is_transient: true }
        }
    }

    fn stalled(message: String, hint: &'static str) -> Self {
        Self::Files { message, hint: Some(hint), is_transient: false }
    }

    /// Returns what to do about it, if something is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Files { hint, .. } => hint.map(str::to_owned),
            Self::Git(error) => error.hint(),
        }
    }

    /// Returns whether trying again later may help.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Files { is_transient, .. } => *is_transient,
            Self::Git(error) => error.is_transient(),
        }
    }
}

/// Reads all files below `environments/` and `templates/` of the working tree at `dir`.
///
/// Symbolic links, wherever they lead, and files that are too large are problems, as they are in a commit.
pub fn read_working_tree(dir: &Path) -> Result<(Snapshot, Vec<Problem>), WorkingTreeError> {
    let folders = [ENVIRONMENTS, TEMPLATES];
    let tracked = Tracked::read(dir, &folders)?;
    let mut walk = Walk { tracked: &tracked, snapshot: Snapshot::default(), problems: Vec::new() };
    for folder in folders {
        let on_disk = dir.join(folder);
        if on_disk.symlink_metadata().is_ok() {
            walk.entry(RepoPath::parse(folder).expect("the folder's name is a path"), &on_disk)?;
        }
    }
    for file in tracked.left_out().filter(|file| is_absent(dir, &file.path)) {
        walk.left_out(file)?;
    }
    walk.problems.sort();
    Ok((walk.snapshot, walk.problems))
}

/// Returns whether nothing has that name on the disk.
fn is_absent(top: &Path, path: &[u8]) -> bool {
    top.join(OsStr::from_bytes(path)).symlink_metadata().is_err()
}

struct Walk<'a> {
    tracked: &'a Tracked,
    snapshot: Snapshot,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn entry(&mut self, path: RepoPath, on_disk: &Path) -> Result<(), WorkingTreeError> {
        let metadata = match on_disk.symlink_metadata() {
            Ok(metadata) => metadata,
            // Editors replace files while they save; the next event brings the new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(WorkingTreeError::unreadable(on_disk.to_owned())(error)),
        };
        if metadata.is_symlink() {
            self.problems.push(problem(&path, Unreadable::Symlink));
        } else if metadata.is_dir() && on_disk.join(".git").symlink_metadata().is_ok() {
            self.problems.push(problem(&path, Unreadable::Submodule));
        } else if metadata.is_dir() {
            self.folder(&path, on_disk)?;
        } else if !metadata.is_file() {
            self.problems.push(problem(&path, Unreadable::NotAFile));
        } else if metadata.len() > MAX_SOURCE_BYTES as u64 {
            self.problems.push(problem(&path, Unreadable::TooLarge { bytes: metadata.len() }));
        } else {
            self.file(path, on_disk)?;
        }
        Ok(())
    }

    fn folder(&mut self, folder: &RepoPath, on_disk: &Path) -> Result<(), WorkingTreeError> {
        let failed = WorkingTreeError::unreadable(on_disk.to_owned());
        for entry in fs::read_dir(on_disk).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name();
            if is_left_by_editor(name.as_encoded_bytes())
                && !entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                continue;
            }
            match path_in(folder, name.as_encoded_bytes()) {
                Ok(path) => self.entry(path, &on_disk.join(&name))?,
                Err(problem) => self.problems.push(*problem),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: RepoPath, on_disk: &Path) -> Result<(), WorkingTreeError> {
        match fs::read(on_disk) {
            Ok(bytes) => {
                let bytes = self.tracked.to_git(path.as_str().as_bytes(), &bytes);
                let source = Source { id: blob_id(&bytes), bytes: bytes.as_ref().into() };
                self.snapshot.insert(path, source);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(WorkingTreeError::unreadable(on_disk.to_owned())(error)),
        }
    }
}

impl Walk<'_> {
    /// Takes in a file that git has and that is not on the disk.
    fn left_out(&mut self, file: &IndexEntry) -> Result<(), WorkingTreeError> {
        let mut parts = file.path.split(|byte| *byte == b'/');
        if parts.clone().next_back().is_some_and(is_left_by_editor) {
            return Ok(());
        }
        let top = parts.next().map(String::from_utf8_lossy).unwrap_or_default();
        let top = RepoPath::parse(&top).expect("a folder of inputs");
        let path = match parts.try_fold(top, |folder, name| path_in(&folder, name)) {
            Ok(path) => path,
            Err(problem) => {
                self.problems.push(*problem);
                return Ok(());
            }
        };
        match self.tracked.content(file)? {
            Ok(bytes) => self.snapshot.insert(path, Source { id: blob_id(&bytes), bytes }),
            Err(reason) => self.problems.push(problem(&path, reason)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{BlobCache, Repository};

    fn write(dir: &Path, path: &str, content: &[u8]) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn a_working_tree_reads_as_the_commit_that_it_would_become() {
        let scene = crate::git::scene::Scene::with_working_tree();
        scene.write("environments/prod/app.yaml", "role: app\n");
        scene.write("templates/t.hbs", "a\r\nb\r\n");
        scene.write("elsewhere.yaml", "x");
        scene.git(&["add", "-A"]);
        scene.git(&["commit", "-qm", "start"]);
        let repository = Repository::open(scene.path()).unwrap();
        let tip = repository.branch("main").unwrap();
        assert_eq!(
            read_working_tree(scene.path()).unwrap(),
            repository.snapshot(tip, &mut BlobCache::default()).unwrap()
        );
    }

    #[test]
    fn a_working_tree_without_inputs_is_an_empty_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_working_tree(dir.path()).unwrap(), (Snapshot::default(), vec![]));
    }

    #[test]
    fn links_and_large_files_are_problems_and_ignored_files_are_inputs() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".gitignore", b"environments/\n");
        write(dir.path(), "environments/app.yaml", b"role: app\n");
        write(dir.path(), "templates/huge", &vec![b'x'; MAX_SOURCE_BYTES + 1]);
        std::os::unix::fs::symlink("/etc", dir.path().join("environments/etc")).unwrap();
        std::os::unix::fs::symlink("app.yaml", dir.path().join("environments/near.yaml")).unwrap();
        let (snapshot, problems) = read_working_tree(dir.path()).unwrap();
        assert_eq!(snapshot.iter().len(), 1);
        let places: Vec<_> = problems.iter().map(|problem| problem.place.file.as_str()).collect();
        assert_eq!(places, ["environments/etc", "environments/near.yaml", "templates/huge"]);
    }
}
