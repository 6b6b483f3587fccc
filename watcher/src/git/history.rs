//! Questions about history: who made a commit, from what, and what comes before what.

use super::commit::{RENDERED_BY, Signature};
use super::error::GitError;
use super::repository::Repository;
use super::revision::Revision;

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

impl Repository {
    /// Returns what a person wants to know of a commit at a glance.
    pub fn commit_summary(&self, revision: Revision) -> Result<CommitSummary, GitError> {
        let commit = self.commit_at(revision)?;
        Ok(CommitSummary {
            revision,
            title: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
            author: Signature::from_git2(&commit.author()),
            committer: Signature::from_git2(&commit.committer()),
        })
    }

    /// Returns the value of the trailer `key` of a commit; of several, the last.
    pub fn read_trailer(&self, revision: Revision, key: &str) -> Result<Option<String>, GitError> {
        let commit = self.commit_at(revision)?;
        Ok(trailer(&String::from_utf8_lossy(commit.message_bytes()), key))
    }

    /// Returns whether Fleetwright made this very commit.
    ///
    /// A person who amends, rebases or picks it becomes its committer, so the trailer alone does not count.
    pub fn is_authored_by_us(&self, revision: Revision) -> Result<bool, GitError> {
        let committer = self.commit_summary(revision)?.committer;
        Ok(committer.is_fleetwright() && self.read_trailer(revision, RENDERED_BY)?.is_some())
    }

    /// Returns the parents of a commit, the mainline first.
    pub fn parents(&self, revision: Revision) -> Result<Vec<Revision>, GitError> {
        Ok(self.commit_at(revision)?.parent_ids().map(Revision::from_oid).collect())
    }

    /// Returns whether `ancestor` is `revision` or comes before it.
    pub fn is_ancestor(&self, ancestor: Revision, revision: Revision) -> Result<bool, GitError> {
        if ancestor == revision {
            return Ok(true);
        }
        self.inner.graph_descendant_of(revision.oid(), ancestor.oid()).map_err(self.failed(format!(
            "look for `{}` before `{}`",
            ancestor.short(),
            revision.short()
        )))
    }

    /// Returns the newest commit that both have in their history, or `None` if they share none.
    pub fn merge_base(&self, one: Revision, two: Revision) -> Result<Option<Revision>, GitError> {
        match self.inner.merge_base(one.oid(), two.oid()) {
            Ok(base) => Ok(Some(Revision::from_oid(base))),
            Err(error)
                if error.code() == git2::ErrorCode::NotFound && error.class() == git2::ErrorClass::Merge =>
            {
                Ok(None)
            }
            Err(error) => {
                let attempt = format!("find where `{}` and `{}` part", one.short(), two.short());
                Err(self.failed(attempt)(error))
            }
        }
    }

    /// Returns the commit on the mainline of `tip` that merged `head`, looking no further back than `head` itself.
    pub fn merge_of(&self, head: Revision, tip: Revision) -> Result<Option<Revision>, GitError> {
        let mut at = tip;
        loop {
            let parents = self.parents(at)?;
            if parents.iter().skip(1).any(|parent| *parent == head) {
                return Ok(Some(at));
            }
            match parents.first() {
                Some(parent) if *parent != head => at = *parent,
                _ => return Ok(None),
            }
        }
    }
}

/// Trailers stand in the last paragraph, one a line.
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
    use crate::git::{CommitRequest, CommitText, SOURCE_REVISION};

    #[test]
    fn a_trailer_is_read_from_the_last_paragraph_only() {
        let message = "Title: x\n\nKey: in the body\n\nKey: 1\nOther: 2\nkey: 3\n";
        assert_eq!(trailer(message, "Key").as_deref(), Some("3"));
        assert_eq!(trailer(message, "Title"), None);
        assert_eq!(trailer("Key: only a title", "Key"), None);
    }

    #[test]
    fn a_commit_of_ours_is_known_until_a_person_amends_it() {
        let scene = Scene::with_working_tree();
        let source = scene.commit("main", "start", &[("a", "1")]);
        let repository = scene.repository();
        let text = CommitText::rendered("Render app", source);
        let request = CommitRequest { base: source, changes: &[], roots: &[], text: &text, source };
        let ours = repository.commit(&request).unwrap();
        assert!(repository.is_authored_by_us(ours).unwrap());
        assert!(!repository.is_authored_by_us(source).unwrap());
        assert_eq!(repository.read_trailer(ours, SOURCE_REVISION).unwrap(), Some(source.to_string()));

        scene.git(&["reset", "-q", "--hard", &ours.to_string()]);
        scene.git(&["commit", "-q", "--amend", "--no-edit", "--allow-empty"]);
        let amended = repository.branch("main").unwrap();
        assert!(repository.read_trailer(amended, RENDERED_BY).unwrap().is_some());
        assert!(!repository.is_authored_by_us(amended).unwrap());
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
