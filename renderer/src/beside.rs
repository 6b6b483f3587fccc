//! What stands in the repository beside its source files and what is rendered: charts in folders, their values and plain
//! documents. Only what Applications name is read, and the shell reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::path::RepoPath;

/// What was found at paths that Applications name.
#[derive(Clone, Debug, Default)]
pub struct Beside(BTreeMap<RepoPath, Standing>);

/// What stands at a path.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nothing does.
    Nothing,
    /// A file.
    File(Arc<[u8]>),
    /// A folder.
    Folder(Arc<Folder>),
    /// Something that is not read, and why.
    Refused(String),
}

/// A folder with all files in it.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// What identifies its content: `sha256:…`.
    pub digest: String,
    /// The files by their path in it.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

impl Beside {
    /// Takes in what stands at a path.
    pub fn insert(&mut self, path: RepoPath, standing: Standing) {
        self.0.insert(path, standing);
    }

    /// Returns what stands at a path, if that is known.
    #[must_use]
    pub fn get(&self, path: &RepoPath) -> Option<&Standing> {
        self.0.get(path)
    }

    /// Returns the folder at a path.
    #[must_use]
    pub fn folder(&self, path: &RepoPath) -> Option<&Arc<Folder>> {
        match self.0.get(path)? {
            Standing::Folder(folder) => Some(folder),
            Standing::Nothing | Standing::File(_) | Standing::Refused(_) => None,
        }
    }
}
