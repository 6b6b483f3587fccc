//! What stands at a path of a revision that an Application names.

use git2::{ObjectType, Oid};
use renderer::beside::Standing;
use renderer::path::RepoPath;

use super::repository::Repository;
use super::revision::Revision;
use super::tree::SYMLINK;
use crate::beside::{Gathering, Room, Stop};
use crate::git::error::GitError;

type Outcome<T> = Result<T, Stop<GitError>>;

impl Repository {
    /// Returns what stands at a path of a revision, as far as there is room.
    pub fn standing(
        &self,
        revision: Revision,
        path: &RepoPath,
        room: &mut Room,
    ) -> Result<Standing, GitError> {
        let Some(entry) = self.tree_entry(revision, path.as_str())? else { return Ok(Standing::Nothing) };
        let mut gathering = Gathering::at(path, room);
        let found = match self.gather(&mut gathering, path, &entry) {
            Err(stop) => Err(stop),
            Ok(()) if entry.kind() == Some(ObjectType::Tree) => gathering.into_folder(),
            Ok(()) => Ok(gathering.into_file()),
        };
        found.or_else(Stop::into_standing)
    }

    fn gather(
        &self,
        gathering: &mut Gathering<'_>,
        path: &RepoPath,
        entry: &git2::TreeEntry<'_>,
    ) -> Outcome<()> {
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let tree =
                    self.inner.find_tree(entry.id()).map_err(self.failed(format!("read folder `{path}`")));
                for entry in &tree.map_err(Stop::Failed)? {
                    let path = gathering.path(path, entry.name_bytes())?;
                    self.gather(gathering, &path, &entry)?;
                }
            }
            Some(ObjectType::Blob) => {
                let bytes = self.bytes(gathering, path, entry.id())?;
                if entry.filemode_raw() == SYMLINK {
                    gathering.link(path, &bytes)?;
                } else {
                    gathering.file(path, bytes.into());
                }
            }
            _ => return Err(Stop::no_file(path, "a submodule")),
        }
        Ok(())
    }

    fn bytes(&self, gathering: &mut Gathering<'_>, path: &RepoPath, id: Oid) -> Outcome<Vec<u8>> {
        let failed = |error| Stop::Failed(self.failed(format!("read `{path}`"))(error));
        let odb = self.inner.odb().map_err(failed)?;
        gathering.take(odb.read_header(id).map_err(failed)?.0)?;
        Ok(odb.read(id).map_err(failed)?.data().to_vec())
    }
}
