//! Git's index: which files a working tree has, and which of them may be missing on the disk.
//!
//! libgit2 1.9.7 reads the file in its versions 2 to 4, and needs no repository for it: that may belong to another
//! user, or be of a format that libgit2 does not know. It reads neither a split nor a sparse index, nor ids of
//! SHA-256. Such an index comes from the `git` program alone, which lists it.

use std::path::Path;
use std::process::Stdio;

use git2::{IndexEntryExtendedFlag as Extended, IndexEntryFlag};

use crate::git::program::command;

/// A file in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The path from the top of the working tree.
    pub path: Vec<u8>,
    /// The mode, as in a tree.
    pub(super) mode: u32,
    /// The id of the content, as hexadecimal digits; none if only the name is there so far, by `git add
    /// --intent-to-add`.
    pub(super) id: Option<String>,
    /// Whether it may be missing on the disk: it is outside a sparse checkout, or marked as unchanged.
    pub(super) may_be_absent: bool,
}

/// Reads what the index in `git_dir` has below `folders`, names at the top of the working tree `top`; fails with the
/// reason.
pub(super) fn read(top: &Path, git_dir: &Path, folders: &[&str]) -> Result<Vec<IndexEntry>, String> {
    let is_below = |path: &[u8], folder: &str| {
        path.strip_prefix(folder.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    };
    match git2::Index::open(&git_dir.join("index")) {
        Ok(index) => {
            let is_wanted = |path: &[u8]| folders.iter().any(|folder| is_below(path, folder));
            Ok(index.iter().filter(|entry| is_wanted(&entry.path)).map(of_libgit2).collect())
        }
        Err(error) => listed_by_git(top, folders).map_err(|reason| match reason.trim() {
            "" => error.message().to_owned(),
            reason => reason.trim_start_matches("fatal: ").to_owned(),
        }),
    }
}

fn of_libgit2(entry: git2::IndexEntry) -> IndexEntry {
    let flags = IndexEntryFlag::from_bits_truncate(entry.flags);
    let more = Extended::from_bits_truncate(entry.flags_extended);
    IndexEntry {
        path: entry.path,
        mode: entry.mode,
        id: (!more.contains(Extended::INTENT_TO_ADD)).then(|| entry.id.to_string()),
        may_be_absent: flags.contains(IndexEntryFlag::VALID) || more.contains(Extended::SKIP_WORKTREE),
    }
}

/// Asks git, which expands a sparse index and joins a split one; fails with what it printed. Of the repository's
/// configuration, nothing is run.
fn listed_by_git(top: &Path, folders: &[&str]) -> Result<Vec<IndexEntry>, String> {
    let output = command("git")
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "--literal-pathspecs", "-C"])
        .arg(top)
        .args(["ls-files", "--stage", "-v", "-z", "--"])
        .args(folders)
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| String::new())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let lines = output.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines.map(of_git).collect::<Option<_>>().ok_or_else(String::new)
}

/// Reads `H 100644 ID 0` and, behind a tab, the path. The tag is `S` outside a sparse checkout, and in lower case
/// for what is marked as unchanged. A name that is only intended has the id of the empty content.
fn of_git(line: &[u8]) -> Option<IndexEntry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
    let (tag, mode, id) = (words.next()?, words.next()?, words.next()?);
    Some(IndexEntry {
        path: line[tab + 1..].to_vec(),
        mode: u32::from_str_radix(mode, 8).ok()?,
        id: Some(id.to_owned()),
        may_be_absent: tag.starts_with(|tag: char| tag == 'S' || tag.is_ascii_lowercase()),
    })
}
