//! Names of things in git: full ids, never abbreviations or branch names.

use std::fmt;

use derive_more::{Debug, From};
use git2::Oid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The identity of a file's content in git.
pub use renderer::snapshot::SourceId as BlobId;

/// A full commit id: 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, From, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[debug("{self}")]
#[serde(try_from = "String", into = "String")]
pub struct Revision(Oid);

/// A text that is not a full commit id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a full commit id")]
pub struct RevisionError {
    /// The text as it was given, with control characters escaped.
    pub text: String,
}

impl Revision {
    /// Parses a full commit id.
    pub fn parse(text: &str) -> Result<Self, RevisionError> {
        // libgit2 also takes the beginning of an id.
        let is_full = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = is_full.then(|| Oid::from_str(text).ok()).flatten();
        id.map(Self).ok_or_else(|| RevisionError { text: text.escape_debug().to_string() })
    }

    /// Returns the first seven digits, for people to read.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.to_string()[..7].to_owned()
    }

    pub(in crate::git) const fn oid(&self) -> Oid {
        self.0
    }
}

/// Returns libgit2's id of a file's content.
pub(in crate::git) fn oid(id: BlobId) -> Oid {
    Oid::from_bytes(&id.0).expect("an id of 20 bytes is a SHA-1 id")
}

/// Returns the id of a file's content that libgit2 has.
pub(in crate::git) fn blob_id(oid: Oid) -> BlobId {
    BlobId(oid.as_bytes().try_into().expect("libgit2 was built for SHA-1 repositories only"))
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl std::str::FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, RevisionError> {
        Self::parse(&text)
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_full_commit_id_reads_back_as_it_was_written() {
        let revision = Revision::parse(ID).unwrap();
        assert_eq!(revision.to_string(), ID);
        assert_eq!(revision.short(), "0123456");
        assert_eq!(Revision::parse(&ID.to_uppercase()).unwrap(), revision);
    }

    #[test]
    fn a_branch_name_or_an_abbreviated_id_is_not_a_revision() {
        for text in ["main", "0123456", "", &"g".repeat(40), &"é".repeat(20)] {
            assert!(Revision::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
