//! Finding the commits that made the inputs what they are, and what they were before.

use git2::{TreeWalkMode, TreeWalkResult};
use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};

use super::error::GitError;
use super::repository::Repository;
use super::revision::Revision;

/// How far back history is looked at. Beyond that the oldest commit seen is as good as any.
const MAX_STEPS: usize = 1_000;

impl Repository {
    /// Returns the newest commit on the mainline of `tip` that changed `environments/` or `templates/`.
    ///
    /// A commit that only publishes rendered files is not a source, so that what is rendered from the same inputs gets
    /// the same commit however often the base branch moves.
    pub fn source_of_inputs(&self, tip: Revision) -> Result<Revision, GitError> {
        let inputs = self.input_ids(tip)?;
        let mut source = tip;
        for _ in 0..MAX_STEPS {
            match self.parents(source)?.first() {
                // The parent may be beyond the boundary of a shallow clone.
                Some(parent) if self.input_ids(*parent).is_ok_and(|ids| ids == inputs) => source = *parent,
                _ => break,
            }
        }
        Ok(source)
    }

    /// Returns the newest commit on the mainline of `tip` that has a file called `name` anywhere below `folder`.
    pub fn newest_with_file(
        &self,
        tip: Revision,
        folder: &str,
        name: &str,
    ) -> Result<Option<Revision>, GitError> {
        let (mut at, mut without) = (tip, None);
        for _ in 0..MAX_STEPS {
            // The parent may be beyond the boundary of a shallow clone.
            let Ok(tree) = self.tree_at(at) else { return Ok(None) };
            let below = tree.get_name(folder).map(|entry| entry.id());
            if below != without {
                without = below;
                if let Some(id) = below
                    && self.has_file(id, name)?
                {
                    return Ok(Some(at));
                }
            }
            match self.parents(at)?.first() {
                Some(parent) => at = *parent,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn has_file(&self, tree: git2::Oid, name: &str) -> Result<bool, GitError> {
        let attempt = || format!("look for `{name}`");
        let tree = self.inner.find_tree(tree).map_err(self.failed(attempt()))?;
        let mut is_found = false;
        tree.walk(TreeWalkMode::PreOrder, |_, entry| {
            is_found |= entry.name_bytes() == name.as_bytes();
            if is_found { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
        })
        .or_else(|error| if is_found { Ok(()) } else { Err(error) })
        .map_err(self.failed(attempt()))?;
        Ok(is_found)
    }

    fn input_ids(&self, revision: Revision) -> Result<[Option<git2::Oid>; 2], GitError> {
        let tree = self.tree_at(revision)?;
        Ok([ENVIRONMENTS, TEMPLATES].map(|folder| tree.get_name(folder).map(|entry| entry.id())))
    }
}
