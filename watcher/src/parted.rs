//! The digest of several texts in a row.

use sha2::{Digest as _, Sha256};

/// Takes in texts one after the other, each with its length: what stands in one is never read as a part of the next.
#[derive(Default)]
pub(crate) struct Parted(Sha256);

impl Parted {
    /// Takes in a text.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Takes in how many of something follow.
    pub fn count(&mut self, count: usize) {
        self.add(&(count as u64).to_le_bytes());
    }

    /// Returns the SHA-256 digest of all of them.
    pub fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
