//! What git has of a working tree: which files, with which content, and how it writes them to the disk.
//!
//! Rendering a working tree asks git nothing else, so it also works where libgit2 cannot open the repository: in one
//! that another user owns, or whose refs or ids it does not know.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{AttrCheckFlags, AttrValue, ObjectType, Oid};
use sha2::{Digest, Sha256};

use super::index::{self, IndexEntry};
use crate::git::error::{Fault, GitError};
use crate::git::objects::object;
use crate::git::objects::repository::Repository;
use crate::git::objects::snapshot::{MAX_SOURCE_BYTES, Unreadable};
use crate::hex::hex;

const SYMLINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

const READ: &str = "read what git has of the working tree";

/// What git has of the files below some folders of a working tree; nothing, if there is no repository.
#[derive(Debug)]
pub struct Tracked {
    top: PathBuf,
    /// The entries of each name: several in a merge with conflicts.
    files: BTreeMap<Vec<u8>, Vec<IndexEntry>>,
    /// The repository, if libgit2 can open it.
    repository: OnceCell<Option<Repository>>,
}

impl Tracked {
    /// Reads what git has below `folders`, names at the top of the working tree.
    pub fn read(top: &Path, folders: &[&str]) -> Result<Self, GitError> {
        let mut tracked = Self { top: top.to_owned(), files: BTreeMap::new(), repository: OnceCell::new() };
        let Some(git_dir) = tracked.git_dir()? else { return Ok(tracked) };
        let entries = index::read(top, &git_dir, folders);
        for entry in entries.map_err(|reason| tracked.error(unreadable(&reason)))? {
            tracked.files.entry(entry.path.clone()).or_default().push(entry);
        }
        Ok(tracked)
    }

    /// Returns whether git has a file of this name, with whatever content.
    pub(crate) fn is_tracked(&self, path: &[u8]) -> bool {
        self.ids(path).next().is_some()
    }

    /// Returns whether git has this very content, as it stands on the disk, under this name.
    pub(crate) fn has(&self, path: &[u8], on_disk: &[u8]) -> bool {
        self.has_content(path, on_disk)
            || matches!(self.to_git(path, on_disk), Cow::Owned(content) if self.has_content(path, &content))
    }

    fn has_content(&self, path: &[u8], content: &[u8]) -> bool {
        self.ids(path).any(|id| *id == id_like(id, content))
    }

    fn ids(&self, path: &[u8]) -> impl Iterator<Item = &String> {
        self.files.get(path).into_iter().flatten().filter_map(|entry| entry.id.as_ref())
    }

    /// Returns the files that git has and that need not be on the disk: they are outside a sparse checkout, or marked
    /// as unchanged.
    pub fn left_out(&self) -> impl Iterator<Item = &IndexEntry> {
        self.entries().filter(|entry| entry.may_be_absent && entry.id.is_some())
    }

    /// Returns the paths of the submodules.
    pub fn submodules(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().filter(|entry| entry.mode == SUBMODULE).map(|entry| entry.path.as_slice())
    }

    fn entries(&self) -> impl Iterator<Item = &IndexEntry> {
        self.files.values().filter_map(|entries| entries.first())
    }

    /// Returns the content of a file that is left out, or why it is not read.
    pub fn content(&self, file: &IndexEntry) -> Result<Result<Arc<[u8]>, Unreadable>, GitError> {
        match file.mode {
            SYMLINK => return Ok(Err(Unreadable::Symlink)),
            SUBMODULE => return Ok(Err(Unreadable::Submodule)),
            _ => {}
        }
        let repository = match self.repository() {
            Some(repository) => repository,
            // Says why it cannot be opened.
            None => &Repository::open(&self.top)?,
        };
        let failed = || repository.failed(format!("read `{}`", String::from_utf8_lossy(&file.path)));
        let odb = repository.inner.odb().map_err(failed())?;
        let id = Oid::from_str(file.id.as_deref().unwrap_or_default()).map_err(failed())?;
        let (size, _) = odb.read_header(id).map_err(failed())?;
        if size > MAX_SOURCE_BYTES {
            return Ok(Err(Unreadable::TooLarge { bytes: size as u64 }));
        }
        Ok(Ok(odb.read(id).map_err(failed())?.data().into()))
    }

    /// Returns what git makes of a file on the disk when it takes it in: line endings as they are in a commit.
    pub(crate) fn to_git<'a>(&self, path: &[u8], on_disk: &'a [u8]) -> Cow<'a, [u8]> {
        if !has_crlf(on_disk) {
            return Cow::Borrowed(on_disk);
        }
        match self.endings(path) {
            Endings::Kept => Cow::Borrowed(on_disk),
            // Guessing, git leaves alone what does not look like text, and what it has with such endings already.
            Endings::Converted { is_guess: true, .. }
                if !is_plain_text(on_disk) || self.has_content(path, on_disk) =>
            {
                Cow::Borrowed(on_disk)
            }
            Endings::Converted { .. } => Cow::Owned(without_crlf(on_disk)),
        }
    }

    /// Returns what git writes to the disk for a content without carriage returns.
    pub(crate) fn to_disk<'a>(&self, path: &[u8], content: &'a [u8]) -> Cow<'a, [u8]> {
        match self.endings(path) {
            Endings::Converted { is_crlf: true, .. }
                if !content.contains(&b'\r') && !content.contains(&0) =>
            {
                Cow::Owned(with_crlf(content))
            }
            _ => Cow::Borrowed(content),
        }
    }

    fn repository(&self) -> Option<&Repository> {
        self.repository
            .get_or_init(
                || if self.top.join(".git").exists() { Repository::open(&self.top).ok() } else { None },
            )
            .as_ref()
    }

    /// Returns how git converts the line endings of a file, by its attributes and the configuration.
    fn endings(&self, path: &[u8]) -> Endings {
        let Some(repository) = self.repository() else { return Endings::Kept };
        let Ok(path) = std::str::from_utf8(path) else { return Endings::Kept };
        let attribute = |name| {
            let value = repository.inner.get_attr_bytes(path.as_ref(), name, AttrCheckFlags::FILE_THEN_INDEX);
            AttrValue::from_bytes(value.ok().flatten())
        };
        let config = repository.inner.config().ok();
        let setting = |name| config.as_ref().and_then(|config| config.get_string(name).ok());
        let autocrlf = setting("core.autocrlf").unwrap_or_default();
        let (is_on, is_input) = (matches!(&*autocrlf, "true" | "yes" | "on" | "1"), autocrlf == "input");
        let text = match attribute("text") {
            AttrValue::Unspecified => attribute("crlf"),
            given => given,
        };
        let eol = attribute("eol");
        let is_crlf = match eol {
            AttrValue::String("crlf") => true,
            AttrValue::String("lf") => false,
            _ => is_on || (!is_input && setting("core.eol").as_deref() == Some("crlf")),
        };
        match text {
            AttrValue::False => Endings::Kept,
            AttrValue::String("auto") => Endings::Converted { is_guess: true, is_crlf },
            AttrValue::String("input") => Endings::Converted { is_guess: false, is_crlf: false },
            AttrValue::True => Endings::Converted { is_guess: false, is_crlf },
            _ if matches!(eol, AttrValue::String("crlf" | "lf")) => {
                Endings::Converted { is_guess: false, is_crlf }
            }
            _ if is_on || is_input => Endings::Converted { is_guess: true, is_crlf: is_on },
            _ => Endings::Kept,
        }
    }

    /// Returns the folder with the index: that of a linked working tree or of a submodule is elsewhere.
    fn git_dir(&self) -> Result<Option<PathBuf>, GitError> {
        let here = self.top.join(".git");
        if here.is_dir() || here.symlink_metadata().is_err() {
            return Ok(here.is_dir().then_some(here));
        }
        let text = fs::read(&here).map_err(|error| self.error(error))?;
        let text = String::from_utf8_lossy(&text);
        let named = text.trim_end().strip_prefix("gitdir: ").map(|path| self.top.join(path));
        match named {
            Some(folder) if folder.is_dir() => Ok(Some(folder)),
            named => Err(self.error(lost(&named.unwrap_or(here)))),
        }
    }

    fn error(&self, fault: impl Into<Fault>) -> GitError {
        GitError::at(&self.top, READ, fault)
    }
}

fn unreadable(reason: &str) -> Fault {
    let hint = "see what `git status` reports; `git reset` writes the index again if its file is removed";
    Fault::stalled(format!("its index cannot be read: {reason}"), hint)
}

/// A `.git` file names a folder that is not there.
fn lost(at: &Path) -> Fault {
    let hint = "where a working tree was moved, run `git worktree repair`; for a submodule, \
                `git submodule update --init` in the repository around it";
    Fault::stalled(format!("`.git` leads to `{}`, where no repository is", at.display()), hint)
}

/// How the line endings of a file change between a commit and the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endings {
    Kept,
    Converted {
        /// Whether git looks at the content to see that it is text.
        is_guess: bool,
        /// Whether lines end in CRLF on the disk.
        is_crlf: bool,
    },
}

/// Returns the id of a file's content in a repository whose ids are like another one: of SHA-1 or of SHA-256.
fn id_like(other: &str, content: &[u8]) -> String {
    if other.len() == 40 {
        return object::hash(ObjectType::Blob, content).to_string();
    }
    let head = format!("blob {}\0", content.len());
    hex(&Sha256::new().chain_update(head).chain_update(content).finalize())
}

fn has_crlf(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"\r\n")
}

/// Returns whether a text with CRLF has no other carriage return and no zero byte.
fn is_plain_text(bytes: &[u8]) -> bool {
    !without_crlf(bytes).iter().any(|byte| matches!(byte, b'\r' | 0))
}

fn without_crlf(text: &[u8]) -> Vec<u8> {
    let is_kept = |at: usize| text[at] != b'\r' || text.get(at + 1) != Some(&b'\n');
    (0..text.len()).filter(|at| is_kept(*at)).map(|at| text[at]).collect()
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}
