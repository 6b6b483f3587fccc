//! Objects that are not written yet: their ids are computed here, without a repository.

use renderer::snapshot::SourceId;
use sha1::{Digest, Sha1};

/// The kind of an object that is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Kind {
    Commit,
    Tree,
    Blob,
}

impl Kind {
    pub(in crate::git) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// Returns the number that stands for the kind in a pack.
    pub(in crate::git) const fn in_pack(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
        }
    }

    pub(in crate::git) const fn of_git2(self) -> git2::ObjectType {
        match self {
            Self::Commit => git2::ObjectType::Commit,
            Self::Tree => git2::ObjectType::Tree,
            Self::Blob => git2::ObjectType::Blob,
        }
    }
}

/// An object that is about to be written.
#[derive(Debug)]
pub(in crate::git) struct NewObject {
    pub(in crate::git) id: [u8; 20],
    pub(in crate::git) kind: Kind,
    pub(in crate::git) bytes: std::sync::Arc<[u8]>,
}

impl NewObject {
    pub(in crate::git) fn new(kind: Kind, bytes: impl Into<std::sync::Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { id: hash(kind, &bytes), kind, bytes }
    }
}

/// Returns the id that git gives a file with this content.
#[must_use]
pub fn blob_id(bytes: &[u8]) -> SourceId {
    SourceId(hash(Kind::Blob, bytes))
}

/// Returns the id of an object: the SHA-1 of its kind, its length and its content.
pub(in crate::git) fn hash(kind: Kind, bytes: &[u8]) -> [u8; 20] {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {}\0", kind.name(), bytes.len()));
    hasher.update(bytes);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::objects::revision::hex;

    #[test]
    fn ids_are_those_that_git_gives() {
        assert_eq!(hex(&blob_id(b"").0), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(hex(&blob_id(b"hello\n").0), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(hex(&hash(Kind::Tree, b"")), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
