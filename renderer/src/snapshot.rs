//! What a run reads: the source files, and nothing else.
//!
//! Knows nothing of where they come from; the shell reads them from a commit or from a working tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::path::{ProfileName, RepoPath};

/// The folder with facts about each cluster.
pub const ENVIRONMENTS: &str = "environments";
/// The folder with what runs where.
pub const TEMPLATES: &str = "templates";

/// The identity of a file's content, by which parsed files are remembered: git's blob id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub [u8; 20]);

impl SourceId {
    /// Returns the identity of two contents together.
    pub(crate) fn and(self, other: Self) -> Self {
        let mut together = [0; 20];
        together.copy_from_slice(&blake3::hash(&[self.0, other.0].concat()).as_bytes()[..20]);
        Self(together)
    }
}

/// A source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The identity of the content; equal ids mean equal bytes.
    pub id: SourceId,
    /// The content.
    pub bytes: Arc<[u8]>,
}

/// All files below `environments/` and `templates/` at one revision or in one working tree, and in which profile they are
/// read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<RepoPath, Source>,
    profile: Option<ProfileName>,
}

impl Snapshot {
    /// Returns the file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Source> {
        self.files.get(path)
    }

    /// Returns the file at `path` with the path.
    pub(crate) fn entry(&self, path: &str) -> Option<(&RepoPath, &Source)> {
        self.files.get_key_value(path)
    }

    /// Returns the files below `folder` in the order of their paths.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a RepoPath, &'a Source)> {
        self.files
            .range::<str, _>((std::ops::Bound::Excluded(folder), std::ops::Bound::Unbounded))
            .take_while(move |(path, _)| path.as_str().starts_with(folder))
            .filter(move |(path, _)| path.below(folder).is_some())
    }

    /// Returns all files in the order of their paths.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RepoPath, &Source)> {
        self.files.iter()
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: RepoPath, source: Source) {
        self.files.insert(path, source);
    }

    /// Returns the same files, read in a profile.
    #[must_use]
    pub fn in_profile(self, profile: ProfileName) -> Self {
        Self { profile: Some(profile), ..self }
    }

    /// Returns the profile that was asked for.
    #[must_use]
    pub const fn profile(&self) -> Option<&ProfileName> {
        self.profile.as_ref()
    }
}

impl FromIterator<(RepoPath, Source)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (RepoPath, Source)>>(files: I) -> Self {
        Self { files: files.into_iter().collect(), profile: None }
    }
}
