//! Questions about history: who made a commit, from what, and what comes before what.

use std::collections::BTreeSet;

use renderer::path::RepoPath;

use super::graph::Graph;
use crate::git::error::GitError;
use crate::git::objects::commit_object::CommitObject;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;
use crate::git::objects::signature::Signature;

/// What a person wants to know of a commit at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// The commit.
    pub revision: Revision,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it, and when.
    pub author: Signature,
    /// Who committed it, and when.
    pub committer: Signature,
}

/// Files that a commit was the last one to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesChanged {
    /// The commit.
    pub commit: CommitSummary,
    /// The files, in order.
    pub paths: Vec<RepoPath>,
}

/// How many commits are looked through for who changed a file.
const MAX_COMMITS: usize = 500;

impl Repository {
    /// Returns which commits, of `since` and those after it up to `tip`, were the last ones to change `paths`, the
    /// newest first. Merges count as little as in `git log`, and so does what is further back than is looked.
    pub fn newest_changes(
        &self,
        tip: Revision,
        since: Revision,
        paths: &BTreeSet<RepoPath>,
    ) -> Result<Vec<FilesChanged>, GitError> {
        let failed = self.failed(format!("find who changed files up to `{}`", tip.short()));
        let mut left: BTreeSet<&RepoPath> = paths.iter().collect();
        let mut found = Vec::new();
        for commit in self.after(tip, since).map_err(failed)? {
            if left.is_empty() {
                break;
            }
            let touched = self.touched_by(commit)?;
            let changed = left.iter().filter(|path| touched.contains(path.as_str()));
            let changed: Vec<RepoPath> = changed.copied().cloned().collect();
            left.retain(|path| changed.binary_search(path).is_err());
            if !changed.is_empty() {
                found.push(FilesChanged { commit: self.commit_summary(commit)?, paths: changed });
            }
        }
        Ok(found)
    }

    /// Returns `since` and what came after it up to `tip`, the newest first, without merges.
    fn after(&self, tip: Revision, since: Revision) -> Result<Vec<Revision>, git2::Error> {
        let mut graph = Graph::new(self)?;
        let before = graph.parents(since)?;
        let mut commits = graph.reached(&[tip], &before)?;
        commits.truncate(MAX_COMMITS);
        commits.retain(|commit| !graph.is_merge(*commit));
        Ok(commits)
    }

    /// Returns the files that a commit changed against its parent.
    fn touched_by(&self, revision: Revision) -> Result<BTreeSet<String>, GitError> {
        let new = self.tree_at(revision)?;
        let old = self.parents(revision)?.first().map(|parent| self.tree_at(*parent)).transpose()?;
        let failed = self.failed(format!("find what `{}` changed", revision.short()));
        self.changed_paths(old.as_ref(), &new).map_err(failed)
    }

    /// Returns what a person wants to know of a commit at a glance.
    pub fn commit_summary(&self, revision: Revision) -> Result<CommitSummary, GitError> {
        let commit = self.commit_at(revision)?;
        Ok(CommitSummary {
            revision,
            title: commit.title(),
            author: commit.author,
            committer: commit.committer,
        })
    }

    /// Returns the value of the trailer `key` of a commit; of several, the last.
    pub fn read_trailer(&self, revision: Revision, key: &str) -> Result<Option<String>, GitError> {
        Ok(trailer(&self.commit_at(revision)?.message, key))
    }

    /// Returns the parents of a commit, the mainline first.
    pub fn parents(&self, revision: Revision) -> Result<Vec<Revision>, GitError> {
        Ok(self.commit_at(revision)?.parents)
    }

    /// Returns whether `ancestor` is `revision` or comes before it.
    pub fn is_ancestor(&self, ancestor: Revision, revision: Revision) -> Result<bool, GitError> {
        let attempt = format!("look for `{}` before `{}`", ancestor.short(), revision.short());
        Graph::new(self)
            .and_then(|mut graph| graph.is_ancestor(ancestor, revision))
            .map_err(self.failed(attempt))
    }

    /// Returns the newest commit that both have in their history, or `None` if they share none.
    pub fn merge_base(&self, one: Revision, two: Revision) -> Result<Option<Revision>, GitError> {
        let attempt = format!("find where `{}` and `{}` part", one.short(), two.short());
        Graph::new(self).and_then(|mut graph| graph.merge_base(one, two)).map_err(self.failed(attempt))
    }

    /// Returns the commit on the mainline of `tip` that merged `head`, looking no further back than `head` itself.
    pub fn merge_of(&self, head: Revision, tip: Revision) -> Result<Option<Revision>, GitError> {
        for step in self.mainline(tip) {
            let (at, commit) = step?;
            if commit.parents.iter().skip(1).any(|parent| *parent == head) {
                return Ok(Some(at));
            }
            if commit.parents.first() == Some(&head) {
                break;
            }
        }
        Ok(None)
    }

    /// Returns the commits on the mainline of `tip`, itself first.
    pub(in crate::git) fn mainline(
        &self,
        tip: Revision,
    ) -> impl Iterator<Item = Result<(Revision, CommitObject), GitError>> {
        let read = |at| self.commit_at(at).map(|commit| (at, commit));
        std::iter::successors(Some(read(tip)), move |step| {
            let (_, commit) = step.as_ref().ok()?;
            commit.parents.first().map(|parent| read(*parent))
        })
    }
}

/// Trailers stand in the last paragraph, one per line.
fn trailer(message: &str, key: &str) -> Option<String> {
    let (_, last) = message.trim_end().rsplit_once("\n\n")?;
    last.lines().rev().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(key).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;

    #[test]
    fn a_trailer_is_read_from_the_last_paragraph_only() {
        let message = "Title: x\n\nKey: in the body\n\nKey: 1\nOther: 2\nkey: 3\n";
        assert_eq!(trailer(message, "Key").as_deref(), Some("3"));
        assert_eq!(trailer(message, "Title"), None);
        assert_eq!(trailer("Key: only a title", "Key"), None);
    }

    #[test]
    fn each_file_is_put_down_to_the_last_commit_that_changed_it() {
        let scene = Scene::bare();
        scene.commit("main", "before", &[("out/a", "0"), ("out/b", "0"), ("out/c", "0")]);
        let since = scene.commit("main", "the inputs", &[("in", "1"), ("out/c", "1")]);
        scene.commit("main", "first", &[("out/a", "1"), ("out/b", "1")]);
        let tip = scene.commit("main", "second", &[("out/b", "2"), ("out/x", "2")]);
        let paths = ["out/a", "out/b", "out/c", "out/d"].map(crate::git::scene::path).into();
        let found = scene.repository().newest_changes(tip, since, &paths).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|changed| {
                (changed.commit.title.as_str(), changed.paths.iter().map(RepoPath::as_str).collect())
            })
            .collect();
        let expected: [(&str, Vec<&str>); 3] =
            [("second", vec!["out/b"]), ("first", vec!["out/a"]), ("the inputs", vec!["out/c"])];
        assert_eq!(told, expected);
    }

    #[test]
    fn ancestors_and_merge_bases_survive_a_force_push_of_the_base() {
        let scene = Scene::bare();
        let root = scene.commit("main", "root", &[("a", "1")]);
        let old = scene.commit("main", "old", &[("a", "2")]);
        scene.git(&["update-ref", "refs/heads/main", &root.to_string()]);
        let new = scene.commit("main", "new", &[("a", "3")]);
        let repository = scene.repository();
        assert!(repository.is_ancestor(root, new).unwrap());
        assert!(!repository.is_ancestor(old, new).unwrap());
        assert_eq!(repository.merge_base(old, new).unwrap(), Some(root));
        let orphan = scene.orphan("other");
        assert_eq!(repository.merge_base(orphan, new).unwrap(), None);
    }
}
