//! What became of files between two commits of the mainline: whether they are the same, and which commit took a content back.

use std::collections::{BTreeMap, HashSet};

use renderer::path::RepoPath;
use renderer::snapshot::{OUTPUT, SourceId};

use super::log::FilesChanged;
use crate::git::error::GitError;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// A file that differs between two trees: what it was and what it is.
struct Difference {
    path: String,
    old: Option<SourceId>,
    new: Option<SourceId>,
}

impl Repository {
    /// Returns whether `paths`, all below the output folder, are the same in two commits.
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

    /// Returns which commits on the mainline of `tip` took files away from the content that `published` names, the newest
    /// first, as far back as the inputs are what they are at `tip`. `published` has nothing for a file that was not there.
    pub fn taken_back(
        &self,
        tip: Revision,
        published: &BTreeMap<RepoPath, Option<SourceId>>,
    ) -> Result<Vec<FilesChanged>, GitError> {
        let inputs = self.input_ids(tip)?;
        let mut left: BTreeMap<&str, _> =
            published.iter().map(|(path, id)| (path.as_str(), (path, *id))).collect();
        let (mut at, mut found) = (tip, Vec::new());
        while !left.is_empty() {
            // The parent may be beyond the boundary of a shallow clone.
            let Some(parent) = self.parents(at)?.first().copied() else { break };
            if !self.input_ids(parent).is_ok_and(|ids| ids == inputs) {
                break;
            }
            let mut paths = Vec::new();
            for difference in self.output_differences(parent, at)? {
                let is_taken_back = |(_, id): &(&RepoPath, Option<SourceId>)| difference.old == *id;
                if left.get(difference.path.as_str()).is_some_and(is_taken_back)
                    && let Some((path, _)) = left.remove(difference.path.as_str())
                {
                    paths.push(path.clone());
                }
            }
            if !paths.is_empty() {
                found.push(FilesChanged { commit: self.commit_summary(at)?, paths });
            }
            at = parent;
        }
        Ok(found)
    }

    fn output_differences(&self, old: Revision, new: Revision) -> Result<Vec<Difference>, GitError> {
        let (old_tree, new_tree) = (self.tree_at(old)?, self.tree_at(new)?);
        let output = |tree: &git2::Tree<'_>| tree.get_name(OUTPUT).map(|entry| entry.id());
        if output(&old_tree) == output(&new_tree) {
            return Ok(Vec::new());
        }
        let mut options = git2::DiffOptions::new();
        options.pathspec(OUTPUT).disable_pathspec_match(true);
        let diff = self.inner.diff_tree_to_tree(Some(&old_tree), Some(&new_tree), Some(&mut options));
        let diff = diff.map_err(self.failed(format!("compare `{}` with `{}`", old.short(), new.short())))?;
        let id = |file: &git2::DiffFile<'_>| {
            file.exists().then(|| SourceId(crate::git::objects::revision::raw_id(file.id())))
        };
        let difference = |delta: git2::DiffDelta<'_>| {
            let (old, new) = (delta.old_file(), delta.new_file());
            let path = new.path().or(old.path())?.to_str()?.to_owned();
            Some(Difference { path, old: id(&old), new: id(&new) })
        };
        Ok(diff.deltas().filter_map(difference).filter(|file| file.old != file.new).collect())
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
