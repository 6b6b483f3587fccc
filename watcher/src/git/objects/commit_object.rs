//! Commits as they stand in their objects, read as far as they can be.
//!
//! libgit2 refuses a commit whose author or date is malformed, and with it every walk through a history that
//! contains one. Here a line that cannot be read leaves only its own part empty: history needs the tree and the
//! parents.

use git2::{ErrorClass, ErrorCode, ObjectType, Oid};

use super::revision::Revision;
use super::signature::Signature;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitObject {
    tree: Option<Revision>,
    /// The parents, the mainline first.
    pub(in crate::git) parents: Vec<Revision>,
    /// Who wrote it, and when.
    pub(in crate::git) author: Signature,
    /// Who committed it, and when.
    pub(in crate::git) committer: Signature,
    /// The message, with what is not UTF-8 replaced.
    pub(in crate::git) message: String,
}

impl CommitObject {
    /// Reads the commit that is called `id`.
    pub(in crate::git) fn read(odb: &git2::Odb<'_>, id: Oid) -> Result<Self, git2::Error> {
        let object = odb.read(id)?;
        if object.kind() != ObjectType::Commit {
            return Err(git2::Error::new(
                ErrorCode::NotFound,
                ErrorClass::Invalid,
                format!("`{id}` is not a commit"),
            ));
        }
        Ok(Self::parse(object.data()))
    }

    /// Reads a commit from the bytes of its object.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.split('\n').peekable();
        let mut id = |key| lines.next_if_map(|line| id_after(line, key).ok_or(line));
        let tree = id("tree ");
        let parents = std::iter::from_fn(|| id("parent ")).collect();
        let signature = |key| head.split('\n').find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        Self {
            tree,
            parents,
            author: Signature::parse(signature("author ")),
            committer: Signature::parse(signature("committer ")),
            message: message.trim_start_matches('\n').to_owned(),
        }
    }

    /// Returns the id of the tree.
    pub(in crate::git) fn tree(&self) -> Result<Oid, git2::Error> {
        let missing =
            || git2::Error::new(ErrorCode::Invalid, ErrorClass::Invalid, "the commit names no tree");
        self.tree.map(|tree| tree.oid()).ok_or_else(missing)
    }

    /// Returns the first paragraph of the message as one line.
    pub(in crate::git) fn title(&self) -> String {
        let first = self.message.trim_start().split("\n\n").next().unwrap_or_default();
        first.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

fn id_after(line: &str, key: &str) -> Option<Revision> {
    Revision::parse(line.strip_prefix(key)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::objects::signature::LAST_SECOND;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn author(line: &str) -> (String, String, i64, i32) {
        let Signature { name, email, seconds, offset_minutes } =
            CommitObject::parse(format!("tree {ID}\nauthor {line}\n\n").as_bytes()).author;
        (name, email, seconds, offset_minutes)
    }

    #[test]
    fn a_commit_is_read_as_libgit2_reads_it() {
        let bytes = format!(
            "tree {ID}\nparent {ID}\nparent {ID}\nauthor A. U. Thor, <a@b.c> 12 -0130\n\
             committer Ann <ann@b.c> 13 +0200\ngpgsig x\n y\n\n\nA title\nin two lines\n\nA body\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init_bare(folder.path()).unwrap();
        let odb = repository.odb().unwrap();
        let id = odb.write(ObjectType::Commit, bytes.as_bytes()).unwrap();
        let theirs = repository.find_commit(id).unwrap();
        let ours = CommitObject::read(&odb, id).unwrap();
        assert_eq!(ours.tree().unwrap(), theirs.tree_id());
        assert_eq!(ours.parents, theirs.parent_ids().map(Revision::from).collect::<Vec<_>>());
        assert_eq!(ours.author, Signature::from_git2(&theirs.author()));
        assert_eq!(ours.committer, Signature::from_git2(&theirs.committer()));
        assert_eq!(Some(ours.message.as_str()), theirs.message().ok());
        assert_eq!(ours.title(), "A title in two lines");
    }

    #[test]
    fn a_malformed_author_is_read_as_far_as_it_can_be() {
        let unknown = "unknown".to_owned();
        for (line, expected) in [
            ("", (unknown.clone(), String::new(), 0, 0)),
            ("Ann 12 +0100", ("Ann".into(), String::new(), 12, 60)),
            ("Ann <a@b.c>", ("Ann".into(), "a@b.c".into(), 0, 0)),
            ("Ann <a@b.c", ("Ann".into(), String::new(), 0, 0)),
            ("<a@b.c> 5 +0000", (unknown, "a@b.c".into(), 5, 0)),
            ("Ann <a@b.c> 99999999999999999999999 +0100", ("Ann".into(), "a@b.c".into(), 0, 60)),
            ("Ann <a@b.c> 9223372036854775807 +9999", ("Ann".into(), "a@b.c".into(), LAST_SECOND, 0)),
            ("Ann <a@b.c> -5 x", ("Ann".into(), "a@b.c".into(), 0, 0)),
        ] {
            assert_eq!(author(line), expected, "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_commit_are_an_empty_one() {
        for bytes in ["", "\n\n", "tree 12\nparent x", "author", "\0\0"] {
            let commit = CommitObject::parse(bytes.as_bytes());
            assert!(commit.tree().is_err() && commit.parents.is_empty(), "{bytes:?}");
        }
        let invalid = CommitObject::parse(b"author \xff\xfe <\xff> 1 +0000\n\n\xff\0title");
        assert_eq!(invalid.author.name, "\u{fffd}\u{fffd}");
        assert_eq!(invalid.title(), "\u{fffd}\0title");
    }
}
