//! What became of files between two commits of the mainline: whether they are the same, and which commit took a
//! content back.

use std::collections::{BTreeMap, HashSet};

use renderer::path::RepoPath;
use renderer::snapshot::SourceId;

use super::log::FilesChanged;
use crate::git::error::GitError;
use crate::git::objects::differences::Difference;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

impl Repository {
    /// Returns whether `paths`, all rendered, are the same in two commits.
    pub fn has_same_files<'p>(
        &self,
        one: Revision,
        two: Revision,
        mut paths: impl Iterator<Item = &'p RepoPath>,
    ) -> Result<bool, GitError> {
        let differences: HashSet<String> =
            self.output_differences(one, two)?.into_iter().map(|difference| difference.path).collect();
        Ok(differences.is_empty() || !paths.any(|path| differences.contains(path.as_str())))
    }

    /// Returns which commits on the mainline of `tip` took files away from the content that `published` names, the
    /// newest first, as far back as the inputs are what they are at `tip`. `published` has nothing for a file that
    /// was not there.
    pub fn taken_back(
        &self,
        tip: Revision,
        published: &BTreeMap<RepoPath, Option<SourceId>>,
    ) -> Result<Vec<FilesChanged>, GitError> {
        let inputs = self.input_ids(tip)?;
        let mut left: BTreeMap<&str, _> =
            published.iter().map(|(path, id)| (path.as_str(), (path, *id))).collect();
        let mut found = Vec::new();
        for step in self.mainline(tip) {
            let (at, commit) = step?;
            // A parent may be beyond the boundary of a shallow clone.
            let parent = commit.parents.first().copied();
            let parent = parent.filter(|parent| self.input_ids(*parent).is_ok_and(|ids| ids == inputs));
            let Some(parent) = parent.filter(|_| !left.is_empty()) else { break };
            let mut paths = Vec::new();
            for Difference { path, old, .. } in self.output_differences(parent, at)? {
                if left.get(path.as_str()).is_some_and(|(_, id)| *id == old.map(|entry| entry.id))
                    && let Some((path, _)) = left.remove(path.as_str())
                {
                    paths.push(path.clone());
                }
            }
            if !paths.is_empty() {
                found.push(FilesChanged { commit: self.commit_summary(at)?, paths });
            }
        }
        Ok(found)
    }

    fn output_differences(&self, old: Revision, new: Revision) -> Result<Vec<Difference>, GitError> {
        let mut found = self.rendered_differences(old, new)?;
        found.retain(Difference::is_of_content);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::blob_id;
    use crate::git::scene::{Scene, path};

    const FILE: &str = "argocd-apps/app/a.yaml";
    const OTHER: &str = "argocd-apps/app/b.yaml";

    fn published(files: &[(&str, Option<&str>)]) -> BTreeMap<RepoPath, Option<SourceId>> {
        files.iter().map(|(file, text)| (path(file), text.map(|text| blob_id(text.as_bytes())))).collect()
    }

    fn told(scene: &Scene, tip: Revision, files: &[(&str, Option<&str>)]) -> Vec<String> {
        let found = scene.repository().taken_back(tip, &published(files)).unwrap();
        let line =
            |changed: &FilesChanged| format!("{}: {} files", changed.commit.title, changed.paths.len());
        found.iter().map(line).collect()
    }

    #[test]
    fn what_was_never_otherwise_was_not_taken_back() {
        let scene = Scene::bare();
        let tip = scene.commit("main", "inputs", &[("environments/app.yaml", "1"), (FILE, "old")]);
        assert_eq!(told(&scene, tip, &[(FILE, Some("new"))]), [""; 0]);
    }

    #[test]
    fn the_newest_commit_that_took_a_file_back_is_found_whatever_came_later() {
        let scene = Scene::bare();
        scene.commit("main", "inputs", &[("environments/app.yaml", "1"), (FILE, "old"), (OTHER, "old")]);
        scene.commit("main", "publish", &[(FILE, "new"), (OTHER, "new")]);
        scene.commit("main", "revert", &[(FILE, "old")]);
        scene.commit("main", "revert the rest", &[(OTHER, "old")]);
        let tip = scene.commit("main", "explain", &[("README.md", "x")]);
        let both = [(FILE, Some("new")), (OTHER, Some("new"))];
        assert_eq!(told(&scene, tip, &both), ["revert the rest: 1 files", "revert: 1 files"]);
        assert_eq!(told(&scene, tip, &[(FILE, None)]), [""; 0], "it was always there");
    }

    #[test]
    fn other_inputs_are_a_new_decision() {
        let scene = Scene::bare();
        scene.commit("main", "inputs", &[("environments/app.yaml", "1"), (FILE, "new")]);
        scene.commit("main", "revert", &[(FILE, "old")]);
        let tip = scene.commit("main", "other inputs", &[("environments/app.yaml", "2")]);
        assert_eq!(told(&scene, tip, &[(FILE, Some("new"))]), [""; 0]);
    }

    #[test]
    fn a_merge_that_takes_a_file_back_by_itself_is_found() {
        let scene = Scene::bare();
        let start = scene.commit("main", "inputs", &[("environments/app.yaml", "1"), (FILE, "old")]);
        let published = scene.commit("main", "publish", &[(FILE, "new")]);
        let merge = scene.merge_as(start, [published, start], "ours");
        assert_eq!(told(&scene, merge, &[(FILE, Some("new"))]), ["ours: 1 files"]);
    }

    #[test]
    fn files_are_the_same_if_none_of_them_differs() {
        let scene = Scene::bare();
        let one = scene.commit("main", "one", &[(FILE, "1"), (OTHER, "1")]);
        let two = scene.commit("main", "two", &[(OTHER, "2"), ("README.md", "x")]);
        let (file, other) = (path(FILE), path(OTHER));
        let repository = scene.repository();
        assert!(repository.has_same_files(one, two, [&file].into_iter()).unwrap());
        assert!(!repository.has_same_files(one, two, [&file, &other].into_iter()).unwrap());
    }
}
