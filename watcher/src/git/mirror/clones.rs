//! A mirror: a bare repository that only this service writes, in which nothing is kept that cannot be fetched again.
//!
//! That makes its care simple. It is created when it is missing, repacked when it has become slow, and thrown away
//! and cloned again when something in it is damaged. A folder that is not marked as a mirror is never touched: it
//! may be a user's work. One process has a mirror at a time; what an earlier one left behind when it was killed is
//! cleared.
//!
//! Each clone has a folder of its own in that of the mirror, with the next number for its name. libgit2 keeps packs
//! that it has read by their path, so a fresh clone in the place of a damaged one could still be read as the damaged
//! one.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use renderer::secrets::masked_words;
use sha1::{Digest, Sha1};
use tracing::warn;

use crate::git::error::{Fault, FaultKind, GitError};
use crate::git::objects::repository::Repository;
use crate::git::program::command;
use crate::hex::hex;

/// Marks a folder as a mirror, and names of what.
const MARKER: &str = "fleetwright-mirror";

/// What the folder of a clone ends in, after its number.
const CLONE_SUFFIX: &str = ".git";

/// The hint for a folder that is not the mirror that is wanted.
const OTHER_FOLDER: &str = "name another folder with `--mirror DIR`, or an empty one";

/// The branch of a mirror's own HEAD, which means nothing: it has no branches of its own.
const HEAD: &str = "main";

/// Git repacks by itself when there are more packs or loose objects than these; so do we.
const MAX_PACKS: usize = 50;
const MAX_LOOSE: usize = 6_700;

/// A second is enough for a process that was asked to end.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Loose objects spread evenly over this many folders; one of them is counted.
const LOOSE_FOLDERS: usize = 256;

/// A mirror on the disk, held by this process until the last clone is dropped.
#[derive(Clone, Debug)]
pub(in crate::git) struct Mirror {
    folder: PathBuf,
    _held: Arc<File>,
}

/// Returns the folder of the mirror of `address` below a cache folder: one an address, with a name that people know.
#[must_use]
pub fn mirror_folder(cache: &Path, address: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    // A query and a password are refused later on; until then, neither leaves a trace in a name.
    let address = masked_words(address.split(['?', '#']).next().unwrap_or_default());
    let end = address.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name: String = end.trim_end_matches(".git").chars().filter(|c| is_plain(*c)).collect();
    let digest = hex(&Sha1::digest(address.as_bytes())[..6]);
    cache.join("mirrors").join(format!("{}-{digest}", name.trim_start_matches('.')))
}

impl Mirror {
    /// Locks a folder that is a mirror of `remote`, or that may become one.
    pub(super) fn hold(folder: &Path, remote: &str) -> Result<Self, Fault> {
        fs::create_dir_all(folder)?;
        let marker = folder.join(MARKER);
        if !marker.exists() && fs::read_dir(folder)?.next().is_some() {
            return Err(Fault::stalled("the folder is not empty and not a mirror", OTHER_FOLDER));
        }
        let mut held = File::options().read(true).append(true).create(true).open(&marker)?;
        lock(&held)?;
        let of = fs::read_to_string(&marker)?;
        match of.trim_end() {
            // The marker comes first, so that a mirror that was never finished is known for what it is.
            "" => writeln!(held, "{remote}")?,
            of if of == remote => {}
            of => return Err(Fault::stalled(format!("it is the mirror of `{of}`"), OTHER_FOLDER)),
        }
        // A folder that another user has made, such as a volume, stays as it is; each clone in it is closed as well.
        let _ = close(folder);
        Ok(Self { folder: folder.to_owned(), _held: Arc::new(held) })
    }

    /// Opens the newest clone if it is sound, and begins a new one otherwise.
    pub(super) fn open(&self) -> Result<Repository, GitError> {
        let Some(number) = self.newest() else { return self.begin() };
        clear_leftovers(&self.clone_folder(number));
        match self.sound(number) {
            Err(error) if !error.is_of_system() => {
                warn!(mirror = %self.folder.display(), %error, "the mirror is damaged: it is deleted and cloned again");
                self.begin()
            }
            result => result,
        }
    }

    /// Opens a clone, and reads what its refs name.
    fn sound(&self, number: u64) -> Result<Repository, GitError> {
        let folder = self.clone_folder(number);
        close(&folder)?;
        let repository = Repository::open(&folder)?;
        for revision in repository.refs_below("refs/")?.into_values() {
            match repository.tree_at(revision) {
                // A commit or a tree that its author has malformed is no damage.
                Err(error) if error.is_damage() || error.is_of_system() => return Err(error),
                _ => {}
            }
        }
        Ok(repository)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a clone in place of all that there are.
    pub(super) fn begin(&self) -> Result<Repository, GitError> {
        let number = self.newest().unwrap_or_default() + 1;
        let folder = self.clone_folder(number);
        let repository = Repository::init_bare(&folder, HEAD)?;
        close(&folder)?;
        for older in self.numbers().filter(|older| *older < number) {
            // What cannot be removed now is tried again next time; nothing reads it any more.
            let _ = fs::remove_dir_all(self.clone_folder(older));
        }
        Ok(repository)
    }

    fn newest(&self) -> Option<u64> {
        self.numbers().max()
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(CLONE_SUFFIX)?.parse().ok())
    }

    fn clone_folder(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}{CLONE_SUFFIX}"))
    }

    fn current(&self) -> PathBuf {
        self.clone_folder(self.newest().unwrap_or_default())
    }

    pub(super) fn is_untidy(&self) -> bool {
        let objects = self.current().join("objects");
        let packs =
            count(&objects.join("pack"), |name| Path::new(name).extension() == Some(OsStr::new("pack")));
        packs > MAX_PACKS || count(&objects.join("17"), |_| true) > MAX_LOOSE / LOOSE_FOLDERS
    }

    /// Has git repack, and returns whether it did.
    pub(super) fn repack(&self) -> bool {
        let status = command("git")
            .arg("-C")
            .arg(self.current())
            // What a run has written is not named by a ref until it is pushed, so nothing recent may go.
            .args(["-c", "gc.pruneExpire=2.weeks.ago", "gc", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()) && !self.is_untidy()
    }
}

/// Makes sure that no other user can read or change what is in a folder.
fn close(folder: &Path) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let closed = fs::metadata(folder).and_then(|metadata| {
        let is_open = metadata.permissions().mode() & 0o077 != 0;
        if is_open { fs::set_permissions(folder, fs::Permissions::from_mode(0o700)) } else { Ok(()) }
    });
    closed.map_err(|error| GitError::at(folder, "close the mirror to others", error))
}

/// Takes the lock that ends with the process; one that is just ending releases it in a moment.
fn lock(file: &File) -> Result<(), Fault> {
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    let hint = "each service needs a mirror of its own: name one with `--mirror DIR`";
    Err(Fault::new(FaultKind::Transient, "another process works in it", hint))
}

/// Removes locks and unfinished packs that a killed process has left; no other process is here.
fn clear_leftovers(folder: &Path) {
    let is_objects = folder.components().any(|part| part.as_os_str() == "objects");
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clear_leftovers(&path);
        } else if path.extension() == Some(OsStr::new("lock")) || (is_objects && is_unfinished(&path)) {
            // What stays is found again at the next start, and named when it is in the way.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns whether libgit2 or git gives such names to objects that they are still writing.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("_git2_") || name.starts_with("tmp_")
}

fn count(folder: &Path, is_counted: impl Fn(&OsStr) -> bool) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter(|entry| is_counted(&entry.file_name())).count()
}

#[cfg(test)]
mod tests;
