//! Names of things in git: full ids, never abbreviations or branch names.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The identity of a file's content in git.
pub use renderer::snapshot::SourceId as BlobId;

/// A full commit id: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision([u8; 20]);

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
        parse_hex(text).map(Self).ok_or_else(|| RevisionError { text: text.escape_debug().to_string() })
    }

    /// Returns the first seven digits, for people to read.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..4])[..7].to_owned()
    }

    pub(in crate::git) const fn from_raw(raw: [u8; 20]) -> Self {
        Self(raw)
    }

    pub(in crate::git) fn from_oid(oid: git2::Oid) -> Self {
        Self(raw_id(oid))
    }

    pub(in crate::git) fn oid(&self) -> git2::Oid {
        oid(&self.0)
    }
}

pub(in crate::git) fn oid(raw: &[u8; 20]) -> git2::Oid {
    git2::Oid::from_bytes(raw).expect("an id of 20 bytes is a SHA-1 id")
}

pub(in crate::git) fn raw_id(oid: git2::Oid) -> [u8; 20] {
    oid.as_bytes().try_into().expect("libgit2 was built for SHA-1 repositories only")
}

fn parse_hex(text: &str) -> Option<[u8; 20]> {
    let digits = text.as_bytes();
    if digits.len() != 40 {
        return None;
    }
    let mut raw = [0; 20];
    for (byte, pair) in raw.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(raw)
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

pub(in crate::git) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
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
