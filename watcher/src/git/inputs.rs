//! Finding the commit that made the inputs what they are.

use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};

use super::error::GitError;
use super::repository::Repository;
use super::revision::Revision;

/// How far back the source of the inputs is looked for. Beyond that the oldest commit seen is as good as any.
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

    fn input_ids(&self, revision: Revision) -> Result<[Option<git2::Oid>; 2], GitError> {
        let tree = self.tree_at(revision)?;
        Ok([ENVIRONMENTS, TEMPLATES].map(|folder| tree.get_name(folder).map(|entry| entry.id())))
    }
}
