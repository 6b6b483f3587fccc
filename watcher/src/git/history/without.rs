//! Taking a change back in memory: what files become when what it made of them is undone, and everything later kept.

use std::collections::BTreeSet;

use git2::{MergeOptions, Tree};
use renderer::path::RepoPath;
use renderer::plural::listed;
use renderer::visible::{shortened, visible};

use super::log::FilesChanged;
use super::merge::conflicts;
use crate::git::error::{Fault, FaultKind, GitError, quoted};
use crate::git::objects::commit::TreeChange;
use crate::git::objects::differences::Entry;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// How much is shown of the title of a commit, and how many commits are named.
const MAX_TITLE: usize = 60;
const MAX_COMMITS: usize = 8;

/// A change of the base branch: what it was before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit before the change.
    pub before: Revision,
    /// The last commit of the change.
    pub after: Revision,
}

impl Repository {
    /// Returns what changes of the files in `folders` at `tip` when a change is undone there.
    ///
    /// What came after the change stays as it is. Where both touched the same lines nothing is decided: the error
    /// names the files, and the later commits.
    pub fn without(
        &self,
        tip: Revision,
        change: Change,
        folders: &[&str],
    ) -> Result<Vec<TreeChange>, GitError> {
        let attempt = || format!("take back what `{}` changed", change.after.short());
        let [after, ours, before] = [change.after, tip, change.before].map(|at| self.only(at, folders));
        let ours = ours?;
        let mut options = MergeOptions::new();
        options.find_renames(false);
        let merged = self.inner.merge_trees(&after?, &ours, &before?, Some(&options));
        let mut index = merged.map_err(self.failed(attempt()))?;
        if index.has_conflicts() {
            let paths = conflicts(&index).map_err(self.failed(attempt()))?;
            return Err(self.error(attempt(), self.changed_since(tip, change, &paths)?));
        }
        let merged = index.write_tree_to(&self.inner).and_then(|tree| self.inner.find_tree(tree));
        self.changes_to(&ours, &merged.map_err(self.failed(attempt()))?, &attempt())
    }

    /// Returns the tree of a commit with nothing at its top but these folders.
    fn only(&self, revision: Revision, folders: &[&str]) -> Result<Tree<'_>, GitError> {
        let whole = self.tree_at(revision)?;
        let build = || {
            let mut tree = self.inner.treebuilder(None)?;
            for entry in folders.iter().filter_map(|folder| whole.get_name(folder)) {
                tree.insert(entry.name_bytes(), entry.id(), entry.filemode())?;
            }
            self.inner.find_tree(tree.write()?)
        };
        build().map_err(self.failed(format!("read `{}`", revision.short())))
    }

    fn changes_to(&self, old: &Tree<'_>, new: &Tree<'_>, attempt: &str) -> Result<Vec<TreeChange>, GitError> {
        let paths = self.changed_paths(Some(old), new).map_err(self.failed(attempt))?;
        let change = |path: &String| {
            let stalled = |what| {
                let message = format!("`{}` {what}", visible(path));
                self.error(attempt, Fault::stalled(message, "put it back by hand"))
            };
            let content = match new.get_path(path.as_ref()) {
                Err(_) => None,
                Ok(entry) if Entry::of_tree(&entry).and_then(|entry| entry.blob()).is_none() => {
                    return Err(stalled("is no plain file"));
                }
                Ok(entry) => {
                    let blob = self.inner.find_blob(entry.id()).map_err(self.failed(attempt))?;
                    Some(blob.content().into())
                }
            };
            let path = RepoPath::parse(path).map_err(|_| stalled("is no path of an input"))?;
            Ok(TreeChange { path, content })
        };
        paths.iter().map(change).collect()
    }

    /// Returns why a change cannot be taken back: which files it shares with which later commits.
    fn changed_since(&self, tip: Revision, change: Change, paths: &[String]) -> Result<Fault, GitError> {
        let named: BTreeSet<RepoPath> = paths.iter().filter_map(|path| RepoPath::parse(path).ok()).collect();
        let mut later = self.newest_changes(tip, change.after, &named)?;
        later.retain(|changed| changed.commit.revision != change.after);
        let line = |FilesChanged { commit, .. }: &FilesChanged| {
            format!("{} ({})", commit.revision.short(), shortened(&visible(&commit.title), MAX_TITLE))
        };
        let commits = listed(later.iter().map(line), MAX_COMMITS);
        let by = if commits.is_empty() { String::new() } else { format!(" by {commits}") };
        let message = format!("the same lines of {} were changed later{by}", quoted(paths));
        let hint =
            "take the later changes back first, the newest before the others, or change the files by hand";
        Ok(Fault::new(FaultKind::Conflict, message, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;

    const FOLDERS: &[&str] = &["in"];

    fn shown(scene: &Scene, tip: Revision, change: Change) -> Vec<String> {
        let changes = scene.repository().without(tip, change, FOLDERS).unwrap();
        let text = |content: Option<&[u8]>| content.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let line = |change: &TreeChange| format!("{} {:?}", change.path, text(change.content.as_deref()));
        changes.iter().map(line).collect()
    }

    fn lines(first: &str, last: &str) -> String {
        format!("{first}\n2\n3\n4\n5\n6\n7\n{last}\n")
    }

    #[test]
    fn what_came_later_stays_also_in_the_same_file_and_other_folders_are_left_alone() {
        let scene = Scene::bare();
        let before =
            scene.commit("main", "start", &[("in/a", &lines("1", "8")), ("in/b", "1"), ("out", "1")]);
        let after =
            scene.commit("main", "edit", &[("in/a", &lines("one", "8")), ("in/c", "new"), ("out", "2")]);
        let tip = scene.commit("main", "more", &[("in/a", &lines("one", "eight")), ("in/b", "2")]);
        let change = Change { before, after };
        let expected = [format!("in/a Some({:?})", lines("1", "eight")), "in/c None".to_owned()];
        assert_eq!(shown(&scene, tip, change), expected);
        assert_eq!(shown(&scene, before, change), [""; 0], "it is not there any more");
    }

    #[test]
    fn lines_that_were_changed_again_are_a_conflict_that_names_the_file_and_the_later_commits() {
        let scene = Scene::bare();
        let before = scene.commit("main", "start", &[("in/a", "1"), ("in/b", "1")]);
        let after = scene.commit("main", "edit", &[("in/a", "2"), ("in/b", "2")]);
        let later = scene.commit("main", "again \u{202e}", &[("in/a", "3")]);
        let error = scene.repository().without(later, Change { before, after }, FOLDERS).unwrap_err();
        let expected =
            format!("the same lines of `in/a` were changed later by {} (again \\u{{202e}})", later.short());
        assert_eq!(error.fault.to_string(), expected);
        assert!(!error.is_transient() && error.hint().is_some());
    }
}
