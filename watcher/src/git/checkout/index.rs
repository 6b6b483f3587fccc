//! Git's index: which files a working tree has, and which of them are left out of it.
//!
//! Read without libgit2, which knows neither split nor sparse indexes and reads nothing of a repository that another user
//! owns. Knows bytes alone; what stands on the disk, and where the index is, is up to the caller.

use std::collections::HashSet;

/// A file in the index, or a folder of a sparse one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct IndexEntry {
    /// The path from the top of the working tree; that of a folder ends in `/`.
    pub(in crate::git) path: Vec<u8>,
    /// The mode, as in a tree.
    pub(in crate::git) mode: u32,
    /// The id of the content.
    pub(in crate::git) id: Box<[u8]>,
    /// Whether it may be missing on the disk: it is outside a sparse checkout, or nobody is to look at it.
    pub(in crate::git) may_be_absent: bool,
    /// Whether only its name is there so far, by `git add --intent-to-add`.
    pub(in crate::git) is_intended: bool,
}

/// Which entries are wanted, by their paths.
type Wanted<'a> = &'a dyn Fn(&[u8]) -> bool;

/// An index whose bytes do not add up.
type Unreadable = &'static str;

const TRUNCATED: Unreadable = "it ends early";

/// The fields of an entry before its id: times, device, inode, mode, owner and size.
const STAT_BYTES: usize = 40;
/// Where the mode is among them.
const MODE_AT: usize = 24;

const ASSUME_VALID: u16 = 0x8000;
const EXTENDED: u16 = 0x4000;
const NAME_LENGTH: u16 = 0x0fff;
const SKIP_WORKTREE: u16 = 0x4000;
const INTENT_TO_ADD: u16 = 0x2000;

/// Reads an index whose ids have `id_bytes` bytes, and returns the entries that are `wanted` by their paths. `shared` gives
/// the bytes of the file that a split index leans on, by the id in its name.
pub(in crate::git) fn read(
    bytes: &[u8],
    id_bytes: usize,
    wanted: Wanted<'_>,
    shared: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<IndexEntry>, Unreadable> {
    let mut entries = Vec::new();
    let is_kept = |path: &[u8]| path.is_empty() || wanted(path);
    let rest =
        walk(bytes, id_bytes, &mut |entry| entries.extend(is_kept(entry.path).then(|| entry.owned())))?;
    let Some(link) = extensions(rest, id_bytes)? else { return Ok(entries) };
    let mut link = Bytes(link);
    let base = link.take(id_bytes)?;
    if base.iter().all(|byte| *byte == 0) {
        return Ok(entries);
    }
    let base = shared(base).ok_or("it is split, and the file that it leans on is missing")?;
    let count = count(&base)?;
    let (deleted, replaced) = match link.0 {
        [] => Default::default(),
        _ => (bitmap(&mut link, count)?, bitmap(&mut link, count)?),
    };
    join(entries, &base, (&deleted, &replaced), (id_bytes, wanted))
}

/// Joins the entries of a split index with those of the file that it leans on. An entry without a name replaces one there.
fn join(
    entries: Vec<IndexEntry>,
    base: &[u8],
    (deleted, replaced): (&HashSet<usize>, &HashSet<usize>),
    (id_bytes, wanted): (usize, Wanted<'_>),
) -> Result<Vec<IndexEntry>, Unreadable> {
    let (replacements, mut all): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.path.is_empty());
    let (mut replacements, mut position) = (replacements.into_iter(), 0);
    walk(base, id_bytes, &mut |entry| {
        let here = position;
        position += 1;
        let replacement = if replaced.contains(&here) { replacements.next() } else { None };
        if !deleted.contains(&here) && wanted(entry.path) {
            let path = entry.path.to_vec();
            all.push(replacement.map_or_else(|| entry.owned(), |new| IndexEntry { path, ..new }));
        }
    })?;
    Ok(all)
}

/// An entry while the index is walked.
struct Seen<'a> {
    path: &'a [u8],
    mode: u32,
    id: &'a [u8],
    flags: u16,
    more_flags: u16,
}

impl Seen<'_> {
    fn owned(&self) -> IndexEntry {
        IndexEntry {
            path: self.path.to_vec(),
            mode: self.mode,
            id: self.id.into(),
            may_be_absent: self.flags & ASSUME_VALID != 0 || self.more_flags & SKIP_WORKTREE != 0,
            is_intended: self.more_flags & INTENT_TO_ADD != 0,
        }
    }
}

fn count(index: &[u8]) -> Result<usize, Unreadable> {
    let mut bytes = Bytes(index);
    bytes.take(8)?;
    Ok(bytes.number()? as usize)
}

/// Visits every entry and returns what follows them.
fn walk<'a>(
    index: &'a [u8],
    id_bytes: usize,
    visit: &mut dyn FnMut(Seen<'_>),
) -> Result<&'a [u8], Unreadable> {
    let mut bytes = Bytes(index);
    if bytes.take(4)? != b"DIRC" {
        return Err("it does not begin as an index does");
    }
    let version = bytes.number()?;
    if !(2..=4).contains(&version) {
        return Err("its version is not known");
    }
    let mut path = Vec::new();
    for _ in 0..bytes.number()? {
        let before = bytes.0.len();
        let stat = bytes.take(STAT_BYTES)?;
        let mode = Bytes(&stat[MODE_AT..]).number()?;
        let id = bytes.take(id_bytes)?;
        let flags = bytes.short()?;
        let more_flags = if flags & EXTENDED == 0 { 0 } else { bytes.short()? };
        if version == 4 {
            let kept = path.len().checked_sub(bytes.varint()?).ok_or("a path does not add up")?;
            path.truncate(kept);
            path.extend_from_slice(bytes.until_nul()?);
        } else {
            path.clear();
            path.extend_from_slice(bytes.name(usize::from(flags & NAME_LENGTH))?);
            // Each entry is padded with one to eight zeros to a multiple of eight bytes.
            let length = before - bytes.0.len();
            bytes.take(8 - length % 8)?;
        }
        visit(Seen { path: &path, mode, id, flags, more_flags });
    }
    Ok(bytes.0)
}

/// Returns the content of the extension of a split index, if there is one; an extension that must be known and is not fails.
fn extensions(rest: &[u8], id_bytes: usize) -> Result<Option<&[u8]>, Unreadable> {
    let (mut bytes, mut link) = (Bytes(rest), None);
    while bytes.0.len() > id_bytes {
        let name = bytes.take(4)?;
        let size = bytes.number()? as usize;
        let content = bytes.take(size)?;
        match name {
            b"link" => link = Some(content),
            b"sdir" => {}
            _ if name[0].is_ascii_uppercase() => {}
            _ => return Err("it has an extension that is not known"),
        }
    }
    Ok(link)
}

/// Reads a bitmap as git compresses it (EWAH), and returns the positions below `count` that are set.
fn bitmap(bytes: &mut Bytes<'_>, count: usize) -> Result<HashSet<usize>, Unreadable> {
    bytes.number()?;
    let words = bytes.number()? as usize;
    let mut words = bytes.take(words.checked_mul(8).ok_or(TRUNCATED)?)?.chunks_exact(8);
    let mut next = || words.next().map(|word| u64::from_be_bytes(word.try_into().expect("eight bytes")));
    let (mut set, mut at) = (HashSet::new(), 0_usize);
    while let Some(marker) = next() {
        let run = (marker >> 1 & u64::from(u32::MAX)) as usize * 64;
        let end = at.saturating_add(run);
        if marker & 1 == 1 {
            set.extend(at..end.min(count));
        }
        at = end;
        for _ in 0..marker >> 33 {
            let word = next().ok_or(TRUNCATED)?;
            set.extend(
                (0..64).filter(|bit| word >> bit & 1 == 1).map(|bit| at + bit).filter(|at| *at < count),
            );
            at = at.saturating_add(64);
        }
    }
    bytes.number()?;
    Ok(set)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Unreadable> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn short(&mut self) -> Result<u16, Unreadable> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().expect("two bytes")))
    }

    /// Reads a number of seven bits a byte, as in the offsets of a pack.
    fn varint(&mut self) -> Result<usize, Unreadable> {
        let mut number = 0_usize;
        loop {
            let byte = self.take(1)?[0];
            number = number.checked_shl(7).ok_or(TRUNCATED)? | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            number = number.checked_add(1).ok_or(TRUNCATED)?;
        }
    }

    /// Reads a name of `length` bytes; the length of a very long one does not fit and stands in its end.
    fn name(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        if length < usize::from(NAME_LENGTH) {
            return self.take(length);
        }
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(TRUNCATED)?;
        self.take(end)
    }

    fn until_nul(&mut self) -> Result<&'a [u8], Unreadable> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(TRUNCATED)?;
        let name = self.take(end)?;
        self.take(1)?;
        Ok(name)
    }
}
