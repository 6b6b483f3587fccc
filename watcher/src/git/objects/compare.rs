//! Comparing rendered files with a revision, at a cost that follows the change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use git2::{ObjectType, Oid};
use rayon::prelude::*;
use renderer::path::RepoPath;
use renderer::root::Root;

use super::differences::Entry;
use super::object::hash;
use super::repository::Repository;
use super::revision::{BlobId, Revision, blob_id, oid};
use super::snapshot::MAX_SOURCE_BYTES;
use super::tree::{self, Leaf, REGULAR_FILE, SUBMODULE};
use crate::git::error::{Fault, GitError};

/// A folder of rendered files, for instance one cluster's.
#[derive(Clone, Copy, Debug)]
pub struct OutputFolder<'a> {
    /// The folder: that of a cluster in its root, or the root of the whole fleet.
    pub path: &'a RepoPath,
    /// What identifies the content: equal digests mean equal files.
    pub digest: [u8; 32],
}

/// Files with their content, sorted by path, with paths from the top of the repository.
pub type OutputFiles = Vec<(RepoPath, Arc<[u8]>)>;

/// A file that differs from the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDelta {
    /// The file.
    pub path: RepoPath,
    /// What the base has, or `None` if the file is created.
    pub old: Option<Entry>,
    /// What it becomes, or `None` if it is deleted.
    pub new: Option<Arc<[u8]>>,
}

/// What is known of folders that were hashed before: the tree of each content.
#[derive(Debug, Default)]
pub struct FolderMemo(HashMap<[u8; 32], Option<Oid>>);

/// How many published files and folders are looked at: a tree may hold another one many times, and that one others.
const MAX_PUBLISHED_ENTRIES: usize = 1_000_000;

/// How many contents are remembered before all are forgotten: several times a large fleet.
const REMEMBERED_FOLDERS: usize = 20_000;

impl Repository {
    /// Returns the files that differ between the `folders` of a root and what `base` has there, sorted by path. Any
    /// other folder of that root is deleted.
    ///
    /// `files_of` lists the files of a folder by its place in the list, and is asked only for those whose
    /// content is not known to stand in `base`.
    pub fn compare(
        &self,
        base: Revision,
        root: Root,
        folders: &[OutputFolder<'_>],
        files_of: impl Fn(usize) -> OutputFiles + Sync,
        memo: &mut FolderMemo,
    ) -> Result<Vec<FileDelta>, GitError> {
        let (above, only) = root.above();
        let mut published = self.published(base, &above)?;
        published.retain(|name, _| only.is_none_or(|only| only == name));
        let mut unknown = Vec::new();
        for (index, folder) in folders.iter().enumerate() {
            let tree = published.remove(folder.path.file_name());
            if memo.0.get(&folder.digest) != Some(&tree) {
                unknown.push((index, folder, tree));
            }
            if tree.is_none() {
                self.check_is_folder(base, folder.path)?;
            }
        }
        let hashed = unknown.par_iter().map(|(index, folder, _)| Hashed::new(folder.path, files_of(*index)));
        let hashed: Vec<_> = hashed.collect();
        memo.learn(unknown.iter().zip(&hashed).map(|((_, folder, _), hashed)| (folder.digest, hashed.tree)));
        let mut deltas = Vec::new();
        let mut unseen = MAX_PUBLISHED_ENTRIES;
        for ((_, folder, tree), hashed) in unknown.into_iter().zip(hashed) {
            if tree != hashed.tree {
                self.compare_folder(folder.path, tree, hashed, &mut deltas, &mut unseen)?;
            }
        }
        // What is left has no owner.
        for (name, tree) in published {
            let path = self.usable(&format!("{above}/{name}"))?;
            deltas.extend(self.files_below(&path, tree, &mut unseen)?.into_iter().map(deletion));
        }
        deltas.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(deltas)
    }

    /// Returns what reads published files, of which each has up to `largest` bytes and all together up to `left`.
    pub(crate) const fn published_files(&self, largest: usize, left: usize) -> PublishedFiles<'_> {
        PublishedFiles { repository: self, largest, left, stand_in: None }
    }

    /// Returns the content of a blob.
    pub fn read_blob(&self, id: BlobId) -> Result<Arc<[u8]>, GitError> {
        let blob = self.inner.find_blob(oid(id)).map_err(self.failed("read a blob"))?;
        Ok(blob.content().into())
    }

    /// Returns how many bytes the content of a blob has.
    pub fn blob_size(&self, id: BlobId) -> Result<usize, GitError> {
        let header = self.inner.odb().and_then(|odb| odb.read_header(oid(id)));
        Ok(header.map_err(self.failed("read a blob"))?.0)
    }

    /// Returns the file at `path` in `revision`, or `None` if there is none.
    pub fn read_file(&self, revision: Revision, path: &RepoPath) -> Result<Option<Arc<[u8]>>, GitError> {
        let entry = self.tree_entry(revision, path.as_str())?;
        let Some(entry) = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob)) else {
            return Ok(None);
        };
        let id = blob_id(entry.id());
        match self.blob_size(id)? {
            bytes if bytes > MAX_SOURCE_BYTES => {
                let message = format!("`{path}` has {bytes} bytes, more than are read");
                let stalled = Fault::stalled(message, "remove or split that file in a commit of your own");
                Err(self.error(format!("read `{path}` at `{}`", revision.short()), stalled))
            }
            _ => self.read_blob(id).map(Some),
        }
    }

    /// The folders that stand below the root, by name. Loose files beside them belong to no cluster and stay.
    pub(super) fn published(
        &self,
        base: Revision,
        root: &RepoPath,
    ) -> Result<BTreeMap<String, Oid>, GitError> {
        self.check_is_folder(base, root)?;
        let Some(entry) = self.tree_entry(base, root.as_str())? else { return Ok(BTreeMap::new()) };
        let tree = self.inner.find_tree(entry.id());
        let tree = tree.map_err(self.failed(format!("read `{root}` at `{}`", base.short())))?;
        let folders = tree.iter().filter(|entry| entry.kind() == Some(ObjectType::Tree));
        Ok(folders.map(|e| (String::from_utf8_lossy(e.name_bytes()).into_owned(), e.id())).collect())
    }

    /// Fails if something else stands where the folder belongs: it would be replaced although no plan shows it.
    fn check_is_folder(&self, base: Revision, path: &RepoPath) -> Result<(), GitError> {
        let Some(entry) = self.entry_at(base, path.as_str())? else { return Ok(()) };
        let attempt = format!("compare the output folder at `{}`", base.short());
        let hint = "move it away in a commit of your own: the rendered files go into a folder there";
        Err(self.error(attempt, Fault::stalled(format!("`{path}` is {entry}, not a folder"), hint)))
    }

    fn compare_folder(
        &self,
        folder: &RepoPath,
        tree: Option<Oid>,
        hashed: Hashed,
        deltas: &mut Vec<FileDelta>,
        room: &mut usize,
    ) -> Result<(), GitError> {
        let published = tree.map(|tree| self.files_below(folder, tree, room)).transpose()?;
        let mut published = published.unwrap_or_default();
        for ((path, bytes), id) in hashed.files.into_iter().zip(hashed.ids) {
            let old = published.remove(&path);
            if old != Some(Entry { id: blob_id(id), mode: REGULAR_FILE }) {
                deltas.push(FileDelta { path, old, new: Some(bytes) });
            }
        }
        deltas.extend(published.into_iter().map(deletion));
        Ok(())
    }

    fn files_below(
        &self,
        folder: &RepoPath,
        tree: Oid,
        room: &mut usize,
    ) -> Result<BTreeMap<RepoPath, Entry>, GitError> {
        let mut files = BTreeMap::new();
        let mut open = vec![(folder.clone(), tree)];
        while let Some((folder, tree)) = open.pop() {
            let tree = self.inner.find_tree(tree).map_err(self.failed(format!("read folder `{folder}`")))?;
            for entry in &tree {
                let path =
                    self.usable(&format!("{folder}/{}", String::from_utf8_lossy(entry.name_bytes())))?;
                *room = room.checked_sub(1).ok_or_else(|| {
                    let reason =
                        format!("there are more than {MAX_PUBLISHED_ENTRIES} files and folders beside it");
                    self.unusable(path.as_str(), &reason)
                })?;
                match Entry::of_tree(&entry) {
                    Some(file) => drop(files.insert(path, file)),
                    None => open.push((path, entry.id())),
                }
            }
        }
        Ok(files)
    }

    fn usable(&self, path: &str) -> Result<RepoPath, GitError> {
        RepoPath::parse(path).map_err(|error| self.unusable(&error.path, error.reason))
    }

    fn unusable(&self, path: &str, reason: &str) -> GitError {
        let message = format!("the file name `{path}` cannot be used: {reason}");
        let stalled = Fault::stalled(message, "rename or remove that file in a commit of your own");
        self.error("compare the output folder", stalled)
    }
}

/// A published file that goes away.
fn deletion((path, file): (RepoPath, Entry)) -> FileDelta {
    FileDelta { path, old: Some(file), new: None }
}

/// Reads published files within bounds: anyone who can merge can publish a file of any size.
#[derive(Debug)]
pub struct PublishedFiles<'r> {
    repository: &'r Repository,
    largest: usize,
    left: usize,
    stand_in: Option<Arc<[u8]>>,
}

impl PublishedFiles<'_> {
    /// Returns the content of a file. For one that is too large, or too much beside those that were read before,
    /// stands one and the same content that is itself too large to show.
    ///
    /// A submodule has no content here; the commit that it is at stands for it, as `git diff` shows it.
    pub fn read(&mut self, Entry { id, mode }: Entry) -> Result<Arc<[u8]>, GitError> {
        if mode == SUBMODULE {
            return Ok(format!("Subproject commit {}\n", oid(id)).into_bytes().into());
        }
        let size = self.repository.blob_size(id)?;
        if size > self.largest.min(self.left) {
            let stand_in = self.stand_in.get_or_insert_with(|| vec![0; self.largest + 1].into());
            return Ok(Arc::clone(stand_in));
        }
        self.left -= size;
        self.repository.read_blob(id)
    }
}

impl FolderMemo {
    fn learn(&mut self, hashed: impl ExactSizeIterator<Item = ([u8; 32], Option<Oid>)>) {
        if self.0.len() + hashed.len() > REMEMBERED_FOLDERS.max(hashed.len() * 4) {
            self.0.clear();
        }
        self.0.extend(hashed);
    }
}

/// The files of a folder with their ids, and the tree that they are once they are committed: none without files.
struct Hashed {
    files: OutputFiles,
    ids: Vec<Oid>,
    tree: Option<Oid>,
}

impl Hashed {
    fn new(folder: &RepoPath, files: OutputFiles) -> Self {
        let ids: Vec<_> = files.iter().map(|(_, bytes)| hash(ObjectType::Blob, bytes)).collect();
        let mut leaves: Vec<Leaf<'_>> = files
            .iter()
            .zip(&ids)
            .filter_map(|((path, _), id)| Some((path.below(folder.as_str())?, Some(*id))))
            .collect();
        leaves.sort_unstable();
        let tree = tree::edit(None, &leaves, &mut Vec::new()).expect("a tree without a base reads nothing");
        Self { files, ids, tree }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::{Scene, path};

    fn files(list: &[(&str, &str)]) -> OutputFiles {
        list.iter().map(|(file, content)| (path(file), content.as_bytes().into())).collect()
    }

    /// Compares what is below `argocd-apps` with folders, given by name, digest and files.
    fn compare(
        scene: &Scene,
        base: Revision,
        folders: &[(&str, u8, &OutputFiles)],
        memo: &mut FolderMemo,
    ) -> Result<Vec<FileDelta>, GitError> {
        let paths: Vec<_> = folders.iter().map(|(name, ..)| path(&format!("argocd-apps/{name}"))).collect();
        let given = paths.iter().zip(folders);
        let given: Vec<_> =
            given.map(|(path, (_, digest, _))| OutputFolder { path, digest: [*digest; 32] }).collect();
        scene.repository().compare(base, Root::Applications, &given, |at| folders[at].2.clone(), memo)
    }

    fn told(deltas: &[FileDelta]) -> Vec<String> {
        let sign = |delta: &FileDelta| match (&delta.old, &delta.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        deltas.iter().map(|delta| format!("{} {}", sign(delta), delta.path)).collect()
    }

    const START: &[(&str, &str)] = &[
        ("argocd-apps/README.md", "kept"),
        ("argocd-apps/app/a.yaml", "a"),
        ("argocd-apps/app/x/b.yaml", "b"),
        ("argocd-apps/old/c.yaml", "c"),
    ];

    #[test]
    fn equal_files_are_no_change() {
        let scene = Scene::bare();
        let base = scene.commit("main", "start", START);
        let app = files(&[("argocd-apps/app/a.yaml", "a"), ("argocd-apps/app/x/b.yaml", "b")]);
        let old = files(&[("argocd-apps/old/c.yaml", "c")]);
        let memo = &mut FolderMemo::default();
        for _ in 0..2 {
            let deltas = compare(&scene, base, &[("app", 1, &app), ("old", 2, &old)], memo).unwrap();
            assert_eq!(deltas, []);
        }
    }

    #[test]
    fn created_updated_and_deleted_files_are_found_and_folders_without_an_owner_go() {
        let scene = Scene::bare();
        let base = scene.commit("main", "start", START);
        let app = files(&[("argocd-apps/app/a.yaml", "A"), ("argocd-apps/app/new.yaml", "n")]);
        let fresh = files(&[("argocd-apps/fresh/f.yaml", "f")]);
        let folders = [("app", 1, &app), ("fresh", 2, &fresh)];
        let deltas = compare(&scene, base, &folders, &mut FolderMemo::default()).unwrap();
        assert_eq!(
            told(&deltas),
            [
                "~ argocd-apps/app/a.yaml",
                "+ argocd-apps/app/new.yaml",
                "- argocd-apps/app/x/b.yaml",
                "+ argocd-apps/fresh/f.yaml",
                "- argocd-apps/old/c.yaml"
            ]
        );
        assert_eq!(scene.repository().read_blob(deltas[0].old.unwrap().id).unwrap().as_ref(), b"a");
    }

    #[test]
    fn what_people_keep_beside_the_files_of_the_fleet_stays() {
        let scene = Scene::bare();
        let base =
            scene.commit("main", "start", &[("infra/fleet/old", "o"), ("infra/terraform/main.tf", "t")]);
        let compare = |root, folders: &[OutputFolder<'_>]| {
            let made = |_| files(&[("infra/fleet/hosts", "h")]);
            let memo = &mut FolderMemo::default();
            told(&scene.repository().compare(base, root, folders, made, memo).unwrap())
        };
        let path = path("infra/fleet");
        let folder = OutputFolder { path: &path, digest: [1; 32] };
        assert_eq!(compare(Root::Fleet, &[folder]), ["+ infra/fleet/hosts", "- infra/fleet/old"]);
        assert_eq!(compare(Root::Fleet, &[]), ["- infra/fleet/old"]);
        assert_eq!(compare(Root::Machines, &[]), [""; 0]);
    }

    #[test]
    fn a_folder_whose_files_are_all_gone_is_deleted() {
        let scene = Scene::bare();
        let base = scene.commit("main", "start", START);
        let (none, old) = (OutputFiles::new(), files(&[("argocd-apps/old/c.yaml", "c")]));
        let folders = [("app", 1, &none), ("old", 2, &old)];
        let deltas = compare(&scene, base, &folders, &mut FolderMemo::default()).unwrap();
        assert_eq!(told(&deltas), ["- argocd-apps/app/a.yaml", "- argocd-apps/app/x/b.yaml"]);
    }

    #[test]
    fn a_base_without_the_output_folder_gets_everything() {
        let scene = Scene::bare();
        let base = scene.commit("main", "start", &[("README.md", "hi")]);
        let app = files(&[("argocd-apps/app/a.yaml", "a")]);
        let deltas = compare(&scene, base, &[("app", 1, &app)], &mut FolderMemo::default()).unwrap();
        assert_eq!(told(&deltas), ["+ argocd-apps/app/a.yaml"]);
    }

    #[test]
    fn a_remembered_folder_is_compared_without_looking_at_its_files() {
        let scene = Scene::bare();
        let base = scene.commit("main", "start", START);
        let app = files(&[("argocd-apps/app/a.yaml", "a"), ("argocd-apps/app/x/b.yaml", "b")]);
        let (other, old) = (OutputFiles::new(), files(&[("argocd-apps/old/c.yaml", "c")]));
        let memo = &mut FolderMemo::default();
        compare(&scene, base, &[("app", 1, &app), ("old", 9, &old)], memo).unwrap();
        // The digest promises the same files, so the files themselves are not looked at.
        let same = compare(&scene, base, &[("app", 1, &other), ("old", 9, &old)], memo).unwrap();
        assert_eq!(same, []);
        let (known, unknown) = (path("argocd-apps/app"), path("argocd-apps/old"));
        let folders = [&known, &unknown].map(|path| OutputFolder { path, digest: [1; 32] });
        let asked = std::sync::Mutex::new(Vec::new());
        let files_of = |at| {
            asked.lock().unwrap().push(at);
            old.clone()
        };
        scene.repository().compare(base, Root::Applications, &folders, files_of, memo).unwrap();
        assert_eq!(asked.into_inner().unwrap(), [1]);
        let emptied = compare(&scene, base, &[("app", 2, &other), ("old", 9, &old)], memo).unwrap();
        assert_eq!(emptied.len(), 2);
    }

    #[test]
    fn a_published_file_with_another_mode_is_written_again() {
        let scene = Scene::with_working_tree();
        scene.write("argocd-apps/app/a.yaml", "a");
        scene.git(&["add", "-A"]);
        scene.git(&["update-index", "--chmod=+x", "argocd-apps/app/a.yaml"]);
        scene.git(&["commit", "-qm", "start"]);
        let app = files(&[("argocd-apps/app/a.yaml", "a")]);
        let base = scene.tip("main");
        let deltas = compare(&scene, base, &[("app", 1, &app)], &mut FolderMemo::default()).unwrap();
        assert_eq!(told(&deltas), ["~ argocd-apps/app/a.yaml"]);
    }

    #[test]
    fn a_submodule_that_nothing_renders_goes_by_its_name() {
        let scene = Scene::with_working_tree();
        scene.commit("main", "start", START);
        let id = "0123456789abcdef0123456789abcdef01234567";
        for path in ["argocd-apps/app/module", "argocd-apps/other/module"] {
            scene.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},{path}")]);
        }
        scene.git(&["commit", "-qm", "add a submodule"]);
        let app = files(&[("argocd-apps/app/a.yaml", "a"), ("argocd-apps/app/x/b.yaml", "b")]);
        let old = files(&[("argocd-apps/old/c.yaml", "c")]);
        let folders = [("app", 1, &app), ("old", 2, &old)];
        let deltas = compare(&scene, scene.tip("main"), &folders, &mut FolderMemo::default()).unwrap();
        assert_eq!(told(&deltas), ["- argocd-apps/app/module", "- argocd-apps/other/module"]);
        let repository = scene.repository();
        let shown = repository.published_files(1_000, 1_000).read(deltas[0].old.unwrap()).unwrap();
        assert_eq!(shown.as_ref(), format!("Subproject commit {id}\n").as_bytes());
    }

    #[test]
    fn what_stands_where_a_folder_belongs_is_named_and_not_replaced() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for (entry, shown) in [
            (format!("160000,{id},argocd-apps"), "`argocd-apps` is a submodule, not a folder"),
            (format!("160000,{id},argocd-apps/app"), "`argocd-apps/app` is a submodule, not a folder"),
            (format!("120000,{id},argocd-apps/app"), "`argocd-apps/app` is a symbolic link, not a folder"),
            (format!("100644,{id},argocd-apps/app"), "`argocd-apps/app` is a file, not a folder"),
        ] {
            let scene = Scene::with_working_tree();
            scene.commit("main", "start", &[("README.md", "hi")]);
            scene.git(&["update-index", "--add", "--cacheinfo", &entry]);
            let tree = scene.git(&["write-tree", "--missing-ok"]);
            let commit = scene.git(&["commit-tree", &tree, "-m", "x"]);
            scene.git(&["update-ref", "refs/heads/main", &commit]);
            let app = files(&[("argocd-apps/app/a.yaml", "a")]);
            let memo = &mut FolderMemo::default();
            let error = compare(&scene, scene.tip("main"), &[("app", 1, &app)], memo).unwrap_err();
            assert_eq!(error.fault.to_string(), shown);
            assert!(!error.is_transient() && !error.is_damage());
        }
    }

    #[test]
    fn a_published_file_of_any_size_costs_no_more_than_is_shown() {
        let scene = Scene::bare();
        let (large, small) = ("x".repeat(2_000), "y".repeat(600));
        let tip = scene.commit(
            "main",
            "start",
            &[("argocd-apps/a", &large), ("argocd-apps/b", &small), ("argocd-apps/c", &small[1..])],
        );
        let repository = scene.repository();
        let id = |path: &str| {
            let id = scene.git(&["rev-parse", &format!("{tip}:{path}")]);
            Entry { id: blob_id(Oid::from_str(&id).unwrap()), mode: REGULAR_FILE }
        };
        let mut files = repository.published_files(1_000, 1_100);
        assert_eq!(files.read(id("argocd-apps/a")).unwrap().len(), 1_001, "one that is too large");
        assert_eq!(files.read(id("argocd-apps/b")).unwrap().as_ref(), small.as_bytes());
        let (beyond, large) =
            (files.read(id("argocd-apps/c")).unwrap(), files.read(id("argocd-apps/a")).unwrap());
        assert!(Arc::ptr_eq(&beyond, &large), "what is too much costs nothing more");
    }

    #[test]
    fn a_record_that_is_too_large_is_not_read() {
        let scene = Scene::bare();
        let tip = scene.commit("main", "start", &[("a", &"x".repeat(MAX_SOURCE_BYTES + 1))]);
        let error = scene.repository().read_file(tip, &path("a")).unwrap_err();
        assert!(
            error.fault.to_string().ends_with("more than are read") && !error.is_transient(),
            "{error:?}"
        );
    }
}
