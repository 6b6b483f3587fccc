//! Reading what people wrote at a revision.
//!
//! The trees are walked for ids; only content that was not read before is read.

use std::collections::HashMap;
use std::sync::Arc;

use git2::{ObjectType, TreeEntry};
use renderer::path::{RepoPath, TOO_DEEP, is_left_by_editor};
use renderer::problem::Problem;
use renderer::snapshot::{ENVIRONMENTS, Snapshot, Source, SourceId, TEMPLATES};

use super::repository::Repository;
use super::revision::{Revision, blob_id, oid};
use super::tree::SYMLINK;
use crate::git::error::GitError;

/// The largest file that is read: far above anything people write, far below what hurts.
pub const MAX_SOURCE_BYTES: usize = 10 * 1024 * 1024;

/// The most that is read of one revision, all files together: a fleet of thousands of clusters takes some megabytes.
pub const MAX_SNAPSHOT_BYTES: usize = 256 * 1024 * 1024;

/// How many files and folders are looked at in one revision: a tree may hold another one many times, and that one
/// others.
pub const MAX_ENTRIES: usize = 200_000;

/// The content of files that were read before.
///
/// Keeps what the last two snapshots used, so that it never outgrows them.
#[derive(Debug, Default)]
pub struct BlobCache {
    current: HashMap<SourceId, Arc<[u8]>>,
    previous: HashMap<SourceId, Arc<[u8]>>,
}

impl BlobCache {
    fn begin(&mut self) {
        self.previous = std::mem::take(&mut self.current);
    }

    fn get(&mut self, id: SourceId) -> Option<Arc<[u8]>> {
        if let Some(bytes) = self.current.get(&id) {
            return Some(Arc::clone(bytes));
        }
        let bytes = self.previous.remove(&id)?;
        self.current.insert(id, Arc::clone(&bytes));
        Some(bytes)
    }

    fn keep(&mut self, id: SourceId, bytes: &[u8]) -> Arc<[u8]> {
        let bytes: Arc<[u8]> = bytes.into();
        self.current.insert(id, Arc::clone(&bytes));
        bytes
    }
}

/// Why a file below `environments/` or `templates/` is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is a symbolic link.
    Symlink,
    /// It is another repository.
    Submodule,
    /// It is neither a file nor a folder.
    NotAFile,
    /// It is larger than what is read of one file.
    TooLarge {
        /// How large it is.
        bytes: u64,
    },
    /// All files together are larger than what is read.
    TooMuch,
    /// There are more files and folders than are looked at.
    TooMany,
}

/// Returns the problem of a file that is not read.
pub(crate) fn problem(path: &RepoPath, reason: Unreadable) -> Problem {
    const NOT_AN_INPUT: &str = "move out of this folder what is not an input";
    let name = path.file_name();
    let (check, message, hint) = match reason {
        Unreadable::Symlink => (
            "files",
            format!("`{name}` is a symbolic link"),
            "replace it with a copy of the file: what a link names may lie outside the repository",
        ),
        Unreadable::Submodule => (
            "files",
            format!("`{name}` is a submodule"),
            "commit its files instead: a submodule's content is not part of this revision",
        ),
        Unreadable::NotAFile => ("files", format!("`{name}` is neither a file nor a folder"), "remove it"),
        Unreadable::TooLarge { bytes } => {
            let most = MAX_SOURCE_BYTES >> 20;
            let message = format!("`{name}` has {bytes} bytes, more than the {most} MiB that are read");
            ("limits", message, "split it, or move it out of this folder if it is not an input")
        }
        Unreadable::TooMuch => {
            let most = MAX_SNAPSHOT_BYTES >> 20;
            ("limits", format!("from `{name}` on nothing is read: more than {most} MiB"), NOT_AN_INPUT)
        }
        Unreadable::TooMany => {
            let message =
                format!("from `{name}` on nothing is read: more than {MAX_ENTRIES} files and folders");
            ("limits", message, NOT_AN_INPUT)
        }
    };
    Problem::in_whole_file(path, message).found_by(check).hint(hint)
}

/// Returns the path of what a folder holds under a name, or the problem of a name that cannot be part of a path on
/// every platform.
pub(crate) fn path_in(folder: &RepoPath, name: &[u8]) -> Result<RepoPath, Box<Problem>> {
    let reason = match std::str::from_utf8(name).map(|text| folder.join(text)) {
        Ok(Ok(path)) => return Ok(path),
        Ok(Err(error)) => error.reason,
        Err(_) => "it is not UTF-8",
    };
    let name = String::from_utf8_lossy(name).escape_debug().to_string();
    let problem = Problem::in_whole_file(folder, format!("the file name `{name}` cannot be used: {reason}"));
    let hint = if reason == TOO_DEEP { "move it up" } else { "rename the file" };
    Err(Box::new(problem.found_by("files").hint(hint)))
}

impl Repository {
    /// Reads all files below `environments/` and `templates/` at `revision`.
    ///
    /// What cannot be read as a file is left out and returned as a problem.
    pub fn snapshot(
        &self,
        revision: Revision,
        cache: &mut BlobCache,
    ) -> Result<(Snapshot, Vec<Problem>), GitError> {
        let tree = self.tree_at(revision)?;
        cache.begin();
        let mut walk = Walk {
            repository: self,
            cache,
            snapshot: Snapshot::default(),
            problems: Vec::new(),
            room: MAX_SNAPSHOT_BYTES,
            entries: MAX_ENTRIES,
        };
        for folder in [ENVIRONMENTS, TEMPLATES] {
            if let Some(entry) = tree.get_name(folder) {
                walk.entry(RepoPath::parse(folder).expect("the folder's name is a path"), &entry)?;
            }
        }
        Ok((walk.snapshot, walk.problems))
    }
}

struct Walk<'a> {
    repository: &'a Repository,
    cache: &'a mut BlobCache,
    snapshot: Snapshot,
    problems: Vec<Problem>,
    /// How many bytes may still be read.
    room: usize,
    /// How many files and folders may still be looked at.
    entries: usize,
}

impl Walk<'_> {
    fn entry(&mut self, path: RepoPath, entry: &TreeEntry<'_>) -> Result<(), GitError> {
        match self.entries {
            0 => return Ok(()),
            1 => self.refuse(&path, Unreadable::TooMany),
            _ => {}
        }
        self.entries -= 1;
        match entry.kind() {
            Some(ObjectType::Tree) => self.folder(&path, entry.id())?,
            Some(ObjectType::Blob) if entry.filemode_raw() == SYMLINK => {
                self.refuse(&path, Unreadable::Symlink);
            }
            Some(ObjectType::Blob) => self.file(path, blob_id(entry.id()))?,
            _ => self.refuse(&path, Unreadable::Submodule),
        }
        Ok(())
    }

    fn folder(&mut self, folder: &RepoPath, tree: git2::Oid) -> Result<(), GitError> {
        let repository = self.repository;
        let tree =
            repository.inner.find_tree(tree).map_err(repository.failed(format!("read folder `{folder}`")))?;
        for entry in tree.iter().take(self.entries) {
            if entry.kind() == Some(ObjectType::Blob) && is_left_by_editor(entry.name_bytes()) {
                continue;
            }
            match path_in(folder, entry.name_bytes()) {
                Ok(path) => self.entry(path, &entry)?,
                Err(problem) => self.problems.push(*problem),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: RepoPath, id: SourceId) -> Result<(), GitError> {
        let failed = || self.repository.failed(format!("read `{path}`"));
        let odb = self.repository.inner.odb().map_err(failed())?;
        let cached = self.cache.get(id);
        let size = match &cached {
            Some(bytes) => bytes.len(),
            None => odb.read_header(oid(id)).map_err(failed())?.0,
        };
        if size > MAX_SOURCE_BYTES {
            self.refuse(&path, Unreadable::TooLarge { bytes: size as u64 });
        } else if size <= self.room {
            self.room -= size;
            let bytes = match cached {
                Some(bytes) => bytes,
                None => self.cache.keep(id, odb.read(oid(id)).map_err(failed())?.data()),
            };
            self.snapshot.insert(path, Source { id, bytes });
        } else if self.room > 0 {
            // Nothing more is read, and that is reported once.
            self.room = 0;
            self.refuse(&path, Unreadable::TooMuch);
        }
        Ok(())
    }

    fn refuse(&mut self, path: &RepoPath, reason: Unreadable) {
        self.problems.push(problem(path, reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::blob_id;
    use crate::git::scene::Scene;

    #[test]
    fn a_snapshot_holds_only_what_people_wrote_for_the_fleet() {
        let scene = Scene::bare();
        let tip = scene.commit(
            "main",
            "start",
            &[
                ("README.md", "hi"),
                ("argocd-apps/app/a.yaml", "a"),
                ("environments/prod/app.yaml", "role: app\n"),
                ("templates/t.hbs", "x"),
            ],
        );
        let (snapshot, problems) = scene.repository().snapshot(tip, &mut BlobCache::default()).unwrap();
        assert_eq!(problems, []);
        let paths: Vec<_> = snapshot.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["environments/prod/app.yaml", "templates/t.hbs"]);
        assert_eq!(snapshot.get("templates/t.hbs").unwrap().id, blob_id(b"x"));
    }

    #[test]
    fn a_revision_without_either_folder_is_an_empty_snapshot() {
        let scene = Scene::bare();
        let tip = scene.commit("main", "start", &[("README.md", "hi")]);
        let (snapshot, problems) = scene.repository().snapshot(tip, &mut BlobCache::default()).unwrap();
        assert_eq!((snapshot, problems), (Snapshot::default(), vec![]));
    }

    #[test]
    fn content_that_was_read_before_is_shared_and_content_that_is_gone_is_forgotten() {
        let scene = Scene::bare();
        let one = scene.commit("main", "one", &[("environments/a.yaml", "a"), ("environments/b.yaml", "b")]);
        let two = scene.commit("main", "two", &[("environments/b.yaml", "B")]);
        let (repository, mut cache) = (scene.repository(), BlobCache::default());
        let (first, _) = repository.snapshot(one, &mut cache).unwrap();
        let (second, _) = repository.snapshot(two, &mut cache).unwrap();
        let bytes = |snapshot: &Snapshot| Arc::clone(&snapshot.get("environments/a.yaml").unwrap().bytes);
        assert!(Arc::ptr_eq(&bytes(&first), &bytes(&second)));
        assert_eq!(cache.current.len() + cache.previous.len(), 3);
        repository.snapshot(two, &mut cache).unwrap();
        assert_eq!(cache.current.len() + cache.previous.len(), 2);
    }

    #[test]
    fn what_is_not_a_file_of_this_revision_is_a_problem_and_not_read() {
        let scene = Scene::with_working_tree();
        scene.write("environments/ok.yaml", "role: app\n");
        std::os::unix::fs::symlink("/etc/passwd", scene.path().join("environments/passwd.yaml")).unwrap();
        scene.write("environments/back\\slash.yaml", "x");
        scene.write("environments/huge.yaml", &"x".repeat(MAX_SOURCE_BYTES + 1));
        scene.git(&["add", "-A"]);
        let id = "0123456789abcdef0123456789abcdef01234567";
        scene.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},environments/module")]);
        scene.git(&["commit", "-qm", "start"]);
        let repository = scene.repository();
        let tip = repository.branch("main").unwrap();
        let (snapshot, problems) = repository.snapshot(tip, &mut BlobCache::default()).unwrap();
        assert_eq!(snapshot.iter().len(), 1);
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        environments:1:1: the file name `back\\slash.yaml` cannot be used: it contains a backslash
          hint: rename the file
        environments/huge.yaml:1:1: `huge.yaml` has 10485761 bytes, more than the 10 MiB that are read
          hint: split it, or move it out of this folder if it is not an input
        environments/module:1:1: `module` is a submodule
          hint: commit its files instead: a submodule's content is not part of this revision
        environments/passwd.yaml:1:1: `passwd.yaml` is a symbolic link
          hint: replace it with a copy of the file: what a link names may lie outside the repository
        ");
    }

    /// Commits a folder `environments` that stands in itself `levels` times, under each of `names`.
    fn nested(scene: &Scene, levels: usize, names: &[&str]) -> Revision {
        let repository = scene.repository();
        let tree_of = |names: &[&str], id: git2::Oid, mode: i32| {
            let mut tree = repository.inner.treebuilder(None).unwrap();
            for name in names {
                tree.insert(name, id, mode).unwrap();
            }
            tree.write().unwrap()
        };
        let blob = repository.inner.blob(b"role: app\n").unwrap();
        let file = tree_of(&["app.yaml"], blob, 0o100_644);
        let folder = (0..levels).fold(file, |inner, _| tree_of(names, inner, 0o040_000));
        let tree = repository.inner.find_tree(tree_of(&["environments"], folder, 0o040_000)).unwrap();
        let by = git2::Signature::new("A", "a@example.com", &git2::Time::new(0, 0)).unwrap();
        repository.inner.commit(Some("refs/heads/main"), &by, &by, "bomb", &tree, &[]).unwrap();
        repository.branch("main").unwrap()
    }

    #[test]
    fn folders_that_are_too_deep_are_refused_before_they_are_walked() {
        let scene = Scene::bare();
        let tip = nested(&scene, 20_000, &["d"]);
        let repository = scene.repository();
        let (snapshot, problems) = repository.snapshot(tip, &mut BlobCache::default()).unwrap();
        assert_eq!((snapshot.iter().len(), problems.len()), (0, 1));
        assert_eq!(problems[0].message, "the file name `d` cannot be used: it is more than 200 folders deep");
        assert_eq!(repository.newest_with_file(tip, ENVIRONMENTS, "app.yaml").unwrap(), Some(tip));
    }

    #[test]
    fn a_folder_that_holds_another_one_many_times_is_walked_to_a_bound() {
        let scene = Scene::bare();
        let tip = nested(&scene, 60, &["a", "b"]);
        let repository = scene.repository();
        let (_, problems) = repository.snapshot(tip, &mut BlobCache::default()).unwrap();
        let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].ends_with("on nothing is read: more than 200000 files and folders"), "{told:?}");
        assert_eq!(repository.newest_with_file(tip, ENVIRONMENTS, "nowhere.yaml").unwrap(), None);
    }

    #[test]
    fn a_missing_object_in_a_shallow_clone_says_how_to_get_it() {
        let scene = Scene::bare();
        let first = scene.commit("main", "one", &[("environments/a.yaml", "a")]);
        let tip = scene.commit("main", "two", &[("environments/a.yaml", "b")]);
        let clone = scene.shallow_clone();
        let repository = clone.repository();
        assert!(repository.is_shallow());
        assert!(repository.snapshot(tip, &mut BlobCache::default()).is_ok());
        let error = repository.snapshot(first, &mut BlobCache::default()).unwrap_err();
        assert_eq!(error.fault.to_string(), "an object that this needs is missing from the repository");
        assert!(error.is_damage(), "{error:?}");
        assert!(error.hint().unwrap().contains("git fetch --unshallow"));
    }
}
