//! Rendered clusters in this user's cache, for the processes that follow: of this very program alone, and bounded.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use renderer::render::{Digest, Memory};

use crate::cache::{self, note_use, tidy, write_whole};
use crate::hex::hex;

/// How many bytes all of them may have together.
const MAX_BYTES: u64 = 1 << 30;
/// How many clusters are worth it: fewer are rendered about as soon as they are read.
const MIN_CLUSTERS: usize = 50;
/// How many bytes the digest before a record has.
const DIGEST: usize = 32;

/// Rendered clusters in a folder.
#[derive(Debug)]
pub struct Remembered {
    folder: PathBuf,
    /// The digest of the program's own file; none if it can't be read. Worked out when it is needed: a small fleet needs none.
    program: OnceLock<Option<Digest>>,
}

impl Remembered {
    /// Returns those in this user's cache; nothing if it is not known where that is.
    pub fn of_this_user() -> Option<Arc<Self>> {
        Some(Arc::new(Self::in_folder(cache::folder()?.join("rendered"))))
    }

    fn in_folder(folder: PathBuf) -> Self {
        Self { folder, program: OnceLock::new() }
    }

    fn path(&self, key: &Digest) -> Option<PathBuf> {
        let program = self.program.get_or_init(|| own_digest().ok()).as_ref()?;
        let name = blake3::keyed_hash(program, key);
        Some(self.folder.join(hex(name.as_bytes())))
    }
}

/// Returns what tells this program from each other build of it.
fn own_digest() -> io::Result<Digest> {
    // On Linux the file may have been replaced since: this names the one that runs.
    let running = Path::new("/proc/self/exe");
    let program = if running.exists() { running.to_owned() } else { env::current_exe()? };
    Ok(*blake3::hash(&fs::read(program)?).as_bytes())
}

impl Memory for Remembered {
    fn is_for(&self, clusters: usize) -> bool {
        clusters >= MIN_CLUSTERS
    }

    fn get(&self, key: &Digest) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let mut bytes = fs::read(&path).ok()?;
        let record = bytes.get(DIGEST..)?;
        if blake3::hash(record).as_bytes() != &bytes[..DIGEST] {
            return None;
        }
        note_use(&path);
        bytes.drain(..DIGEST);
        Some(bytes)
    }

    fn put(&self, key: &Digest, record: &[u8]) {
        let Some(path) = self.path(key) else { return };
        // It is rendered again where it cannot be kept.
        let _ = write_whole(&path, &[blake3::hash(record).as_bytes().as_slice(), record].concat());
    }

    fn tidy(&self) {
        tidy(&self.folder, MAX_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_until_it_is_broken_and_for_this_program_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (memory, key) = (Remembered::in_folder(folder.path().join("x")), [1; 32]);
        assert_eq!(memory.get(&key), None);
        for record in [b"one".as_slice(), b"", b"another"] {
            memory.put(&key, record);
            assert_eq!(memory.get(&key).as_deref(), Some(record));
        }
        assert_eq!(memory.get(&[2; 32]), None);
        let other = Remembered {
            program: OnceLock::from(Some([0; 32])),
            ..Remembered::in_folder(folder.path().join("x"))
        };
        assert_eq!(other.get(&key), None);
        let path = memory.path(&key).unwrap();
        let whole = fs::read(&path).unwrap();
        for broken in [&whole[..whole.len() - 1], &whole[..DIGEST - 1], &[]] {
            fs::write(&path, broken).unwrap();
            assert_eq!(memory.get(&key), None);
        }
    }
}
