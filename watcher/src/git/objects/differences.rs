//! What differs below one folder between two revisions, entry by entry: content, modes, links, submodules and names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use git2::{ErrorCode, ObjectType, Oid, Tree, TreeEntry};
use renderer::root::Root;
use serde::{Deserialize, Serialize};

use super::object;
use super::repository::Repository;
use super::revision::{BlobId, Revision, blob_id};
use super::tree::{FOLDER, REGULAR_FILE, SUBMODULE, SYMLINK};
use crate::git::error::GitError;

/// What a tree holds at a path that is no folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// The mode, as git writes it.
    pub mode: i32,
    /// The id of the content; of a submodule, that of its commit.
    pub id: BlobId,
}

/// What each of two folders has under a name: the mode and the id.
pub(in crate::git) type Sides = [Option<(i32, Oid)>; 2];

/// An entry that differs between two revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path from the top of the repository. A name that is not UTF-8 is shown as far as it can be.
    pub path: String,
    /// What the old revision has there.
    pub old: Option<Entry>,
    /// What the new revision has there.
    pub new: Option<Entry>,
}

impl Entry {
    /// Returns the entry of a file with that content, as Fleetwright commits it.
    pub(crate) fn of_file(content: &[u8]) -> Self {
        Self { mode: REGULAR_FILE, id: object::blob_id(content) }
    }

    /// Returns the content's id, if it is a plain file.
    pub(crate) fn blob(&self) -> Option<BlobId> {
        (self.mode == REGULAR_FILE).then_some(self.id)
    }

    /// Returns what a tree holds, if it is no folder.
    pub(in crate::git) fn of_tree(entry: &TreeEntry<'_>) -> Option<Self> {
        let is_folder = entry.kind() == Some(ObjectType::Tree);
        (!is_folder).then(|| Self { mode: entry.filemode_raw(), id: blob_id(entry.id()) })
    }
}

impl Difference {
    /// Returns whether the content differs, and not its mode alone.
    pub(in crate::git) fn is_of_content(&self) -> bool {
        self.old.map(|entry| entry.id) != self.new.map(|entry| entry.id)
    }
}

/// Names what kind of entry it is, for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            REGULAR_FILE => "a file",
            0o100_755 => "an executable file",
            SYMLINK => "a symbolic link",
            SUBMODULE => "a submodule",
            _ => "a file of another mode",
        })
    }
}

impl Repository {
    /// Returns which rendered files differ, sorted by path. Where something else stands in the place of a folder of
    /// theirs, that itself differs.
    pub fn rendered_differences(&self, old: Revision, new: Revision) -> Result<Vec<Difference>, GitError> {
        let mut found = Vec::new();
        for root in Root::ALL {
            found.extend(self.differences_below(root.path(), old, new)?);
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Returns what differs below `folder`, sorted by path. Where it is no folder, that itself differs.
    pub fn differences_below(
        &self,
        folder: &str,
        old: Revision,
        new: Revision,
    ) -> Result<Vec<Difference>, GitError> {
        let failed =
            || self.failed(format!("compare `{folder}` at `{}` with `{}`", old.short(), new.short()));
        let (old, new) = (self.tree_at(old)?, self.tree_at(new)?);
        let entries = [entry_in(&old, folder).map_err(failed())?, entry_in(&new, folder).map_err(failed())?];
        let tree = |entry: &Option<TreeEntry<'_>>| {
            entry.as_ref().filter(|entry| entry.kind() == Some(ObjectType::Tree)).map(TreeEntry::id)
        };
        let trees = self.trees(format!("{folder}/"), entries.each_ref().map(tree));
        let mut found = trees.map_err(failed())?;
        let [old, new] = entries.map(|entry| entry.as_ref().and_then(Entry::of_tree));
        if old != new {
            found.push(Difference { path: folder.to_owned(), old, new });
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Returns the paths that differ between two trees.
    pub(in crate::git) fn changed_paths(
        &self,
        old: Option<&Tree<'_>>,
        new: &Tree<'_>,
    ) -> Result<BTreeSet<String>, git2::Error> {
        let found = self.trees(String::new(), [old.map(Tree::id), Some(new.id())])?;
        Ok(found.into_iter().map(|difference| difference.path).collect())
    }

    /// Returns what differs between two trees, whose entries are called with `prefix`. Folders that are the same are
    /// not read, which libgit2's own comparison does with every one.
    fn trees(&self, prefix: String, trees: [Option<Oid>; 2]) -> Result<Vec<Difference>, git2::Error> {
        let (mut found, mut open) = (Vec::new(), vec![(prefix, trees)]);
        while let Some((prefix, trees)) = open.pop() {
            if trees[0] == trees[1] {
                continue;
            }
            for (name, sides) in self.changed_entries(trees)? {
                let path = format!("{prefix}{}", String::from_utf8_lossy(&name));
                let folders = sides.map(|side| side.filter(|(mode, _)| is_folder(*mode)).map(|(_, id)| id));
                let leaf =
                    |(mode, id): (i32, Oid)| (!is_folder(mode)).then(|| Entry { mode, id: blob_id(id) });
                let [old, new] = sides.map(|side| side.and_then(leaf));
                open.push((format!("{path}/"), folders));
                if old != new {
                    found.push(Difference { path, old, new });
                }
            }
        }
        Ok(found)
    }

    /// Returns the entries that differ between two folders, by name, with their modes and ids. What is in a folder below
    /// is not read.
    pub(in crate::git) fn changed_entries(
        &self,
        folders: [Option<Oid>; 2],
    ) -> Result<BTreeMap<Vec<u8>, Sides>, git2::Error> {
        let mut entries: BTreeMap<Vec<u8>, Sides> = BTreeMap::new();
        for (side, folder) in folders.into_iter().enumerate() {
            let tree = folder.map(|id| self.inner.find_tree(id)).transpose()?;
            for entry in tree.iter().flat_map(|tree| tree.iter()) {
                let what = Some((entry.filemode_raw(), entry.id()));
                entries.entry(entry.name_bytes().to_vec()).or_default()[side] = what;
            }
        }
        entries.retain(|_, [old, new]| old != new);
        Ok(entries)
    }

    /// Returns what stands at a path in a revision, if it is no folder.
    pub fn entry_at(&self, revision: Revision, path: &str) -> Result<Option<Entry>, GitError> {
        Ok(self.tree_entry(revision, path)?.as_ref().and_then(Entry::of_tree))
    }

    pub(super) fn tree_entry(
        &self,
        revision: Revision,
        path: &str,
    ) -> Result<Option<TreeEntry<'static>>, GitError> {
        let failed = self.failed(format!("read `{path}` at `{}`", revision.short()));
        entry_in(&self.tree_at(revision)?, path).map_err(failed)
    }
}

fn entry_in(tree: &Tree<'_>, path: &str) -> Result<Option<TreeEntry<'static>>, git2::Error> {
    match tree.get_path(path.as_ref()) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether a mode is that of a folder, whatever permissions a writer of trees put into it.
const fn is_folder(mode: i32) -> bool {
    mode & 0o170_000 == FOLDER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;

    fn told(scene: &Scene, old: Revision, new: Revision) -> Vec<String> {
        let found = scene.repository().differences_below("out", old, new).unwrap();
        let name =
            |entry: &Option<Entry>| entry.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        found
            .iter()
            .map(|found| format!("{}: {} → {}", found.path, name(&found.old), name(&found.new)))
            .collect()
    }

    /// Returns the revision in which `change` was made to a working tree with two files.
    fn after(scene: &Scene, change: &[&[&str]]) -> Revision {
        for arguments in change {
            scene.git(arguments);
        }
        scene.git(&["commit", "-qm", "change"]);
        scene.tip("main")
    }

    fn start() -> (Scene, Revision) {
        let scene = Scene::with_working_tree();
        let start = scene.commit("main", "start", &[("out/a", "1"), ("out/b/c", "2"), ("outside", "3")]);
        (scene, start)
    }

    #[test]
    fn equal_folders_do_not_differ_whatever_is_beside_them() {
        let (scene, old) = start();
        let new = scene.commit("main", "edit", &[("outside", "4"), ("outer/x", "5")]);
        assert_eq!(told(&scene, old, new), [""; 0]);
    }

    #[test]
    fn a_folder_that_is_the_same_is_not_read() {
        let (scene, old) = start();
        let same = scene.git(&["rev-parse", "main:out/b"]);
        let new = scene.commit("main", "edit", &[("out/a", "4")]);
        let (folder, file) = same.trim().split_at(2);
        std::fs::remove_file(scene.path().join(".git/objects").join(folder).join(file)).unwrap();
        assert_eq!(told(&scene, old, new), ["out/a: a file → a file"]);
    }

    #[test]
    fn a_mode_a_link_a_submodule_and_a_name_differ_although_no_content_does() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let submodule = format!("160000,{id},out/module");
        let table: [(&[&[&str]], &[&str]); 4] = [
            (&[&["update-index", "--chmod=+x", "out/a"]], &["out/a: a file → an executable file"]),
            (
                &[&["update-index", "--add", "--cacheinfo", &submodule]],
                &["out/module: nothing → a submodule"],
            ),
            (&[&["mv", "out/a", "out/z"]], &["out/a: a file → nothing", "out/z: nothing → a file"]),
            (&[&["rm", "-q", "-r", "out/b"]], &["out/b/c: a file → nothing"]),
        ];
        for (change, expected) in table {
            let (scene, old) = start();
            let new = after(&scene, change);
            assert_eq!(told(&scene, old, new), expected);
        }
        let (scene, old) = start();
        std::fs::remove_file(scene.path().join("out/a")).unwrap();
        std::os::unix::fs::symlink("../outside", scene.path().join("out/a")).unwrap();
        let new = after(&scene, &[&["add", "-A"]]);
        assert_eq!(told(&scene, old, new), ["out/a: a file → a symbolic link"]);
    }

    #[test]
    fn a_folder_that_becomes_a_link_differs_itself_and_with_all_that_was_in_it() {
        let (scene, old) = start();
        std::fs::remove_dir_all(scene.path().join("out")).unwrap();
        std::os::unix::fs::symlink("outer", scene.path().join("out")).unwrap();
        let new = after(&scene, &[&["add", "-A"]]);
        let expected =
            ["out: nothing → a symbolic link", "out/a: a file → nothing", "out/b/c: a file → nothing"];
        assert_eq!(told(&scene, old, new), expected);
        let repository = scene.repository();
        assert_eq!(repository.entry_at(new, "out").unwrap().unwrap().to_string(), "a symbolic link");
        assert_eq!(repository.entry_at(old, "out").unwrap(), None);
        assert_eq!(repository.entry_at(old, "out/a").unwrap(), Some(Entry::of_file(b"1")));
    }
}
