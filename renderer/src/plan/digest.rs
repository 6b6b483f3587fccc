//! The digest by which one plan is named.

use derive_more::Display;
use serde::{Serialize, Serializer};

use super::model::Plan;

/// The fewest hexadecimal digits that name a plan: 32 bits, enough to exclude a mistake.
const SHORTEST_PREFIX: usize = 8;
/// How many hexadecimal digits are shown to people.
const SHOWN_DIGITS: usize = 12;

/// The name of one plan: the BLAKE3 hash of everything in it.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
#[display("{}", _0.to_hex())]
pub struct Digest(blake3::Hash);

impl Digest {
    /// Returns the first digits, which are enough to name the plan.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..SHOWN_DIGITS].to_owned()
    }

    /// Returns whether `prefix` names this plan: at least eight of its first digits.
    pub(crate) fn matches(&self, prefix: &str) -> bool {
        prefix.len() >= SHORTEST_PREFIX && self.to_string().starts_with(&prefix.to_ascii_lowercase())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Plan {
    /// Returns the digest by which this plan, and no other, can be named: of which files change, and from
    /// which bytes to which. Everything else follows from these.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = blake3::Hasher::new();
        for file in self.files() {
            feed(&mut hash, file.path.as_str().as_bytes());
            hash.update(&[file.action as u8]).update(file.content.as_bytes());
        }
        Digest(hash.finalize())
    }
}

/// Hashes the published and the rendered bytes of a file.
pub(super) fn of_content(old: Option<&[u8]>, new: Option<&[u8]>) -> blake3::Hash {
    let mut hash = blake3::Hasher::new();
    for side in [old, new] {
        hash.update(&[u8::from(side.is_some())]);
        feed(&mut hash, side.unwrap_or_default());
    }
    hash.finalize()
}

/// Feeds bytes after their length, so that two different plans never feed the same.
fn feed(hash: &mut blake3::Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}
