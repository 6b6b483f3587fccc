//! Merging in memory: a real merge commit, or the names of the files that are in each other's way.

use git2::MergeOptions;

use crate::git::error::{Fault, FaultKind, GitError, quoted};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;
use crate::git::objects::signature::Signature;

impl Repository {
    /// Makes the commit that merges `head` into `base`, without moving any ref.
    ///
    /// Renames are not guessed: rendered files of two clusters look alike, and a guess could merge one into the
    /// other.
    pub fn merge(
        &self,
        base: Revision,
        head: Revision,
        by: &Signature,
        message: &str,
    ) -> Result<Revision, GitError> {
        let tree = self.merged_tree(base, head)?;
        self.write_merge(tree, &[base, head], by, message)
    }

    /// Returns whether a commit with two parents holds exactly what merging them gives, and nothing that was added
    /// to it.
    pub fn is_clean_merge(&self, merge: Revision) -> Result<bool, GitError> {
        let [base, head] = self.parents(merge)?[..] else { return Ok(false) };
        if self.merge_base(base, head)?.is_none() {
            return Ok(false);
        }
        match self.merged_tree(base, head) {
            Ok(tree) => Ok(self.tree_at(merge)?.id() == tree),
            Err(error) if error.fault.kind == FaultKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn merged_tree(&self, base: Revision, head: Revision) -> Result<git2::Oid, GitError> {
        let attempt = || format!("merge `{}` into `{}`", head.short(), base.short());
        let Some(ancestor) = self.merge_base(base, head)? else {
            let message = "the two have no history in common: one of them was replaced by another history";
            return Err(self.error(attempt(), Fault::without_hint(FaultKind::Stalled, message)));
        };
        let ancestor = self.tree_at(ancestor)?;
        let (ours, theirs) = (self.tree_at(base)?, self.tree_at(head)?);
        let mut options = MergeOptions::new();
        options.find_renames(false);
        let mut index = self
            .inner
            .merge_trees(&ancestor, &ours, &theirs, Some(&options))
            .map_err(self.failed(attempt()))?;
        if index.has_conflicts() {
            let paths = conflicts(&index).map_err(self.failed(attempt()))?;
            let hint = "the next run rebuilds the branch on the newest base; merge after that, or merge by hand with `git merge`";
            let message = format!("both sides changed {}", quoted(&paths));
            return Err(self.error(attempt(), Fault::new(FaultKind::Conflict, message, hint)));
        }
        index.write_tree_to(&self.inner).map_err(self.failed(attempt()))
    }
}

pub(super) fn conflicts(index: &git2::Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).escape_debug().to_string()));
    }
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use crate::git::Revision;
    use crate::git::scene::{Scene, signature};

    /// Two branches that part: the base changes `a`, and the side one file.
    fn sides(side: (&str, &str)) -> (Scene, Revision, Revision) {
        let scene = Scene::bare();
        let root = scene.commit("main", "root", &[("a", "1"), ("b", "1")]);
        scene.git(&["update-ref", "refs/heads/side", &root.to_string()]);
        let base = scene.commit("main", "base", &[("a", "2")]);
        let head = scene.commit("side", "side", &[side]);
        (scene, base, head)
    }

    #[test]
    fn changes_of_both_sides_meet_in_a_merge_commit_with_two_parents() {
        let (scene, base, head) = sides(("b", "2"));
        let repository = scene.repository();
        let merged = repository.merge(base, head, &signature(), "Merge #1").unwrap();
        assert_eq!(repository.parents(merged).unwrap(), [base, head]);
        assert_eq!(scene.git(&["show", &format!("{merged}:a"), &format!("{merged}:b")]), "22");
        assert_eq!(repository.merge(base, head, &signature(), "Merge #1").unwrap(), merged);
        assert_eq!(repository.merge_of(head, merged).unwrap(), Some(merged));
        assert_eq!(repository.merge_of(head, base).unwrap(), None);
    }

    #[test]
    fn a_merge_is_clean_if_nothing_was_added_to_it() {
        let (scene, base, head) = sides(("b", "2"));
        let repository = scene.repository();
        let clean = repository.merge(head, base, &signature(), "Update").unwrap();
        assert!(repository.is_clean_merge(clean).unwrap());
        assert!(!repository.is_clean_merge(head).unwrap(), "it is no merge");
        let forged = scene.merge_as(head, [head, base], "Update");
        assert!(!repository.is_clean_merge(forged).unwrap(), "it drops what the base has");
    }

    #[test]
    fn a_conflict_names_the_files() {
        let (scene, base, head) = sides(("a", "3"));
        let error = scene.repository().merge(base, head, &signature(), "Merge").unwrap_err();
        assert_eq!(error.fault.to_string(), "both sides changed `a`");
        assert!(error.hint().is_some());
    }
}
