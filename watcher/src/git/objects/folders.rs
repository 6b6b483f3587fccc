//! The files right below the folders of a folder, such as the objects of each cluster.

use renderer::path::RepoPath;

use super::compare::OutputFiles;
use super::differences::Entry;
use super::repository::Repository;
use super::revision::Revision;
use super::snapshot::{MAX_SNAPSHOT_BYTES, MAX_SOURCE_BYTES};
use crate::git::error::{Fault, GitError};

impl Repository {
    /// Returns the plain files right below each folder of `root` that end in `.yaml`, sorted by path.
    pub fn files_of_folders(&self, revision: Revision, root: &RepoPath) -> Result<OutputFiles, GitError> {
        let attempt = || format!("read `{root}` at `{}`", revision.short());
        let (mut read, mut left) = (OutputFiles::new(), MAX_SNAPSHOT_BYTES);
        for (folder, tree) in self.published(revision, root)? {
            let tree = self.inner.find_tree(tree).map_err(self.failed(attempt()))?;
            for entry in &tree {
                let name = entry.name().ok().filter(|name| name.as_bytes().ends_with(b".yaml"));
                let path = name.and_then(|name| RepoPath::parse(&format!("{root}/{folder}/{name}")).ok());
                let blob = Entry::of_tree(&entry).and_then(|entry| entry.blob());
                let Some((path, id)) = path.zip(blob) else { continue };
                let size = self.blob_size(id)?;
                left = left.checked_sub(size).filter(|_| size <= MAX_SOURCE_BYTES).ok_or_else(|| {
                    let message = format!("`{path}` has {size} bytes, more than are read");
                    let hint = "remove or split that file in a commit of your own";
                    self.error(attempt(), Fault::stalled(message, hint))
                })?;
                read.push((path, self.read_blob(id)?));
            }
        }
        read.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::{Scene, path};

    #[test]
    fn only_files_right_below_a_folder_are_read() {
        let scene = Scene::bare();
        let files = [
            ("out/b/x.yaml", "1"),
            ("out/a/y.yaml", "2"),
            ("out/a/deep/z.yaml", "3"),
            ("out/a/README.md", "4"),
            ("out/loose.yaml", "5"),
        ];
        let tip = scene.commit("main", "start", &files);
        let read = scene.repository().files_of_folders(tip, &path("out")).unwrap();
        let read: Vec<_> = read.iter().map(|(path, bytes)| (path.as_str(), &**bytes)).collect();
        assert_eq!(read, [("out/a/y.yaml", &b"2"[..]), ("out/b/x.yaml", b"1")]);
        let none = scene.repository().files_of_folders(tip, &path("other")).unwrap();
        assert_eq!(none, []);
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let scene = Scene::bare();
        let large = "x".repeat(MAX_SOURCE_BYTES + 1);
        let tip = scene.commit("main", "start", &[("out/a/x.yaml", &large)]);
        let error = scene.repository().files_of_folders(tip, &path("out")).unwrap_err();
        assert!(error.fault.to_string().ends_with("more than are read"), "{error:?}");
    }
}
