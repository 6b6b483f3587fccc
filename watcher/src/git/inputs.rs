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

    /// Returns whether two revisions have the same `environments/` and `templates/`.
    pub fn has_same_inputs(&self, one: Revision, two: Revision) -> Result<bool, GitError> {
        Ok(self.input_ids(one)? == self.input_ids(two)?)
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

#[cfg(test)]
mod tests {
    use crate::git::scene::Scene;

    #[test]
    fn the_source_is_the_newest_commit_that_changed_the_inputs() {
        let scene = Scene::bare();
        let first = scene.commit("main", "describe", &[("environments/app.yaml", "a"), ("README.md", "1")]);
        let repository = scene.repository();
        assert_eq!(repository.source_of_inputs(first).unwrap(), first);
        let later = scene.commit("main", "publish", &[("argocd-apps/app/values.yaml", "a")]);
        assert_eq!(repository.source_of_inputs(later).unwrap(), first);
        let edited = scene.commit("main", "edit", &[("templates/cluster/x.yaml.hbs", "x")]);
        let tip = scene.commit("main", "explain", &[("README.md", "2")]);
        assert_eq!(repository.source_of_inputs(tip).unwrap(), edited);
    }

    #[test]
    fn a_file_that_is_gone_is_found_where_it_stood_last() {
        let scene = Scene::with_working_tree();
        scene.commit("main", "describe", &[("environments/eu/app.yaml", "1"), ("environments/us.yaml", "1")]);
        let last = scene.commit("main", "edit", &[("environments/eu/app.yaml", "2")]);
        scene.git(&["rm", "-q", "environments/eu/app.yaml"]);
        scene.git(&["commit", "-qm", "retire"]);
        let tip = scene.commit("main", "explain", &[("README.md", "1")]);
        let repository = scene.repository();
        let find = |name: &str| repository.newest_with_file(tip, "environments", name).unwrap();
        assert_eq!(find("app.yaml"), Some(last));
        assert_eq!(find("us.yaml"), Some(tip));
        assert_eq!(find("never.yaml"), None);
        assert_eq!(repository.newest_with_file(tip, "nowhere", "app.yaml").unwrap(), None);
    }
}
