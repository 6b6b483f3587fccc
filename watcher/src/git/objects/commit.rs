//! Commits: a base revision with some files changed, written straight into the object database.
//!
//! The same request gives the same commit id: nothing comes from the host's configuration, the clock or the index.

use std::collections::HashSet;
use std::sync::Arc;

use git2::{ObjectType, Oid};
use rayon::prelude::*;
use renderer::path::RepoPath;

use super::object::NewObject;
use super::pack;
use super::repository::Repository;
use super::revision::Revision;
use super::signature::Signature;
use super::tree::{self, Base, Leaf};
use crate::git::error::{Fault, FaultKind, GitError, quoted};

/// The trailer that names the revision a commit was rendered from.
pub const SOURCE_REVISION: &str = "Source-Revision";
/// The trailer that names the version that rendered a commit.
const RENDERED_BY: &str = "Rendered-By";

/// Up to this many new files a commit is written as loose objects; a pack pays off above it.
const LOOSE_FILES: usize = 100;

/// Returns the message of a commit that was rendered from `source`, with the trailers that record it.
#[must_use]
pub fn rendered_message(message: &str, source: Revision) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let trailers = format!("{SOURCE_REVISION}: {source}\n{RENDERED_BY}: fleetwright {version}\n");
    format!("{}\n\n{trailers}", message.trim())
}

/// A file that a commit changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeChange {
    /// The file.
    pub path: RepoPath,
    /// Its new content, or `None` if it goes away.
    pub content: Option<Arc<[u8]>>,
}

/// A commit to make.
#[derive(Clone, Debug)]
pub struct CommitRequest<'a> {
    /// The parent, whose other files stay as they are.
    pub base: Revision,
    /// The files that change, in any order.
    pub changes: &'a [TreeChange],
    /// The folders that may be written; a change outside them is refused.
    pub roots: &'a [&'a str],
    /// The message.
    pub message: &'a str,
    /// The revision whose author and date the commit takes.
    pub source: Revision,
}

impl Repository {
    /// Makes a commit without moving any ref.
    pub fn commit(&self, request: &CommitRequest<'_>) -> Result<Revision, GitError> {
        self.write_objects(self.objects_of(request)?)
    }

    /// Returns the id of the commit that a request makes, and makes nothing.
    pub fn commit_id(&self, request: &CommitRequest<'_>) -> Result<Revision, GitError> {
        self.objects_of(request).map(|objects| commit_of(&objects))
    }

    fn objects_of(&self, request: &CommitRequest<'_>) -> Result<Vec<NewObject>, GitError> {
        if let Some(outside) = request.changes.iter().find(|change| !is_inside(&change.path, request.roots)) {
            let roots: Vec<_> = request.roots.iter().map(ToString::to_string).collect();
            let message = format!("`{}` is outside the output folders {}", outside.path, quoted(&roots));
            let fault = Fault::without_hint(FaultKind::Stalled, message);
            return Err(self.error(format!("commit on `{}`", request.base.short()), fault));
        }
        let (tree, mut objects) = self.changed_tree(Some(request.base), request.changes)?;
        let source = self.commit_at(request.source)?;
        let commit = NewCommit {
            parents: &[request.base],
            author: &source.author,
            committer: &Signature::fleetwright(&source.committer),
            message: request.message,
        };
        objects.push(commit.over(tree));
        Ok(objects)
    }

    /// Makes a commit of files on top of `base`, or of these files alone; its parents keep their objects alive.
    pub fn commit_record(
        &self,
        base: Option<Revision>,
        files: &[TreeChange],
        parents: &[Revision],
        at: &Signature,
        message: &str,
    ) -> Result<Revision, GitError> {
        let (tree, mut objects) = self.changed_tree(base, files)?;
        objects.push(NewCommit { parents, author: at, committer: at, message }.over(tree));
        self.write_objects(objects)
    }

    /// Returns the id of a base's tree with some files changed, and everything that this adds to the base.
    fn changed_tree(
        &self,
        base: Option<Revision>,
        changes: &[TreeChange],
    ) -> Result<(Oid, Vec<NewObject>), GitError> {
        let base = base.map(|base| self.tree_at(base)).transpose()?;
        let base = base.map(|tree| Base { repository: &self.inner, tree: tree.id() });
        let mut objects: Vec<NewObject> = changes
            .par_iter()
            .filter_map(|change| Some(NewObject::new(ObjectType::Blob, Arc::clone(change.content.as_ref()?))))
            .collect();
        let mut blobs = objects.iter().map(|blob| blob.id);
        let mut leaves: Vec<Leaf<'_>> = changes
            .iter()
            .map(|change| (change.path.as_str(), change.content.as_ref().and_then(|_| blobs.next())))
            .collect();
        leaves.sort_unstable();
        let tree = tree::edit(base, &leaves, &mut objects)
            .map_err(self.failed("read the trees that the commit changes"))?;
        let tree = tree.unwrap_or_else(|| {
            let empty = NewObject::new(ObjectType::Tree, Vec::new());
            let id = empty.id;
            objects.push(empty);
            id
        });
        Ok((tree, objects))
    }

    /// Writes a merge commit over a tree that is there already.
    pub(in crate::git) fn write_merge(
        &self,
        tree: Oid,
        parents: &[Revision],
        by: &Signature,
        message: &str,
    ) -> Result<Revision, GitError> {
        self.write_objects(vec![NewCommit { parents, author: by, committer: by, message }.over(tree)])
    }

    /// Writes objects of which the last one is the commit.
    fn write_objects(&self, mut objects: Vec<NewObject>) -> Result<Revision, GitError> {
        let mut seen = HashSet::with_capacity(objects.len());
        objects.retain(|object| seen.insert(object.id));
        let files = objects.iter().filter(|object| object.kind == ObjectType::Blob).count();
        if files <= LOOSE_FILES { self.write_loose(&objects) } else { self.write_pack(&objects) }?;
        Ok(commit_of(&objects))
    }

    /// Writes blobs before trees before commits, so that what is written never lacks what it names.
    fn write_loose(&self, objects: &[NewObject]) -> Result<(), GitError> {
        let attempt = "write objects";
        let odb = self.inner.odb().map_err(self.failed(attempt))?;
        for object in objects {
            let id = odb.write(object.kind, &object.bytes).map_err(self.failed(attempt))?;
            debug_assert_eq!(id, object.id, "a computed id differs from the one that was written");
        }
        Ok(())
    }

    fn write_pack(&self, objects: &[NewObject]) -> Result<(), GitError> {
        let attempt = "write a pack of objects";
        let odb = self.inner.odb().map_err(self.failed(attempt))?;
        let mut packwriter = odb.packwriter().map_err(self.failed(attempt))?;
        pack::write(objects, &mut packwriter).map_err(|error| {
            // The writer's own error is empty; libgit2 keeps the cause until it is asked for it.
            let cause = git2::Error::last_error(-1);
            let silent = cause.class() == git2::ErrorClass::None;
            if silent { self.error(attempt, error) } else { self.failed(attempt)(cause) }
        })?;
        packwriter.commit().map_err(self.failed(attempt))?;
        Ok(())
    }
}

/// Returns the commit for which objects were made.
fn commit_of(objects: &[NewObject]) -> Revision {
    Revision::from(objects.last().expect("the commit comes last").id)
}

fn is_inside(path: &RepoPath, roots: &[&str]) -> bool {
    roots.iter().any(|root| path.below(root).is_some())
}

struct NewCommit<'a> {
    parents: &'a [Revision],
    author: &'a Signature,
    committer: &'a Signature,
    message: &'a str,
}

impl NewCommit<'_> {
    fn over(&self, tree: Oid) -> NewObject {
        let mut parents = String::new();
        parents.extend(self.parents.iter().map(|parent| format!("parent {parent}\n")));
        let (author, committer) = (self.author.line(), self.committer.line());
        let message = self.message.replace('\0', "");
        let head = format!("tree {tree}\n{parents}author {author}\ncommitter {committer}\n");
        NewObject::new(ObjectType::Commit, format!("{head}\n{}\n", message.trim_end()).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::FaultKind;
    use crate::git::scene::{Scene, on_a_small_disk, path};
    use crate::git::{BlobCache, RefUpdate, Upstream};

    const ROOTS: &[&str] = &["argocd-apps"];

    fn change(file: &str, content: Option<&str>) -> TreeChange {
        TreeChange { path: path(file), content: content.map(|text| text.as_bytes().into()) }
    }

    fn commit(scene: &Scene, base: Revision, changes: &[TreeChange]) -> Result<Revision, GitError> {
        let text = rendered_message("Render app", base);
        scene.repository().commit(&CommitRequest {
            base,
            changes,
            roots: ROOTS,
            message: &text,
            source: base,
        })
    }

    fn start(scene: &Scene) -> Revision {
        scene.commit(
            "main",
            "start",
            &[
                ("argocd-apps/app/a.yaml", "a: 1\n"),
                ("argocd-apps/app/x/b.yaml", "b: 1\n"),
                ("README.md", "hi\n"),
            ],
        )
    }

    #[test]
    fn a_commit_changes_only_its_files_and_prunes_folders_that_empty() {
        let scene = Scene::bare();
        let base = start(&scene);
        let changes = [
            change("argocd-apps/new/c.yaml", Some("c: 1\n")),
            change("argocd-apps/app/x/b.yaml", None),
            change("argocd-apps/app/a.yaml", Some("a: 2\n")),
        ];
        let tip = commit(&scene, base, &changes).unwrap();
        assert_eq!(
            scene.git(&["ls-tree", "-r", "--name-only", &tip.to_string()]),
            "README.md\nargocd-apps/app/a.yaml\nargocd-apps/new/c.yaml"
        );
        assert_eq!(scene.git(&["show", &format!("{tip}:argocd-apps/app/a.yaml")]), "a: 2");
        scene.assert_sound();
    }

    #[test]
    fn the_same_request_gives_the_same_commit_with_author_and_date_of_the_source() {
        let commit = |scene: &Scene| {
            let base = start(scene);
            let changes = [change("argocd-apps/app/a.yaml", Some("a: 2\n"))];
            let message = "Render app\n\nRendered-By: fleetwright 1.2.3";
            let request = CommitRequest { base, changes: &changes, roots: ROOTS, message, source: base };
            scene.repository().commit(&request).unwrap().to_string()
        };
        let (one, two) = (Scene::bare(), Scene::bare());
        let tip = commit(&one);
        assert_eq!(commit(&two), tip);
        insta::assert_snapshot!(tip, @"400ccac790bba6338d53eaebd04431769b7330c1");
        insta::assert_snapshot!(one.git(&["log", "-1", "--format=%an <%ae> %aI%n%cn <%ce> %cI%n%B", &tip]), @r"
        Ann <ann@example.com> 2026-01-01T01:00:00+01:00
        Fleetwright <fleetwright@fleetwright.invalid> 2026-01-01T01:00:00+01:00
        Render app

        Rendered-By: fleetwright 1.2.3
        ");
    }

    #[test]
    fn many_files_go_into_one_pack_that_git_finds_sound() {
        let scene = Scene::bare();
        let base = start(&scene);
        let changes: Vec<_> = (0..300)
            .map(|n| {
                change(&format!("argocd-apps/c{}/f{n}.yaml", n % 7), Some(&format!("value: {}\n", n % 290)))
            })
            .collect();
        let tip = commit(&scene, base, &changes).unwrap();
        assert_eq!(scene.git(&["ls-tree", "-r", "--name-only", &tip.to_string()]).lines().count(), 303);
        let packs = scene.path().join("objects/pack").read_dir().unwrap().count();
        assert_eq!(packs, 2, "one pack and its index");
        scene.git(&["update-ref", "refs/heads/main", &tip.to_string()]);
        scene.assert_sound();
    }

    #[test]
    fn a_file_may_become_a_folder_and_a_folder_a_file() {
        let scene = Scene::bare();
        let base = start(&scene);
        let changes = [
            change("argocd-apps/app/a.yaml", None),
            change("argocd-apps/app/a.yaml/deep.yaml", Some("1\n")),
            change("argocd-apps/app/x/b.yaml", None),
            change("argocd-apps/app/x", Some("2\n")),
        ];
        let tip = commit(&scene, base, &changes).unwrap();
        assert_eq!(
            scene.git(&["ls-tree", "-r", "--name-only", &tip.to_string(), "argocd-apps/"]),
            "argocd-apps/app/a.yaml/deep.yaml\nargocd-apps/app/x"
        );
        scene.assert_sound();
    }

    #[test]
    fn a_change_outside_the_output_folder_is_refused() {
        let scene = Scene::bare();
        let base = start(&scene);
        let before = scene.objects();
        for file in ["README.md", "argocd-apps", "argocd-apps2/x"] {
            let error = commit(&scene, base, &[change(file, Some("x"))]).unwrap_err();
            assert!(
                error.fault.to_string().contains("outside the output folders `argocd-apps`"),
                "{error:?}"
            );
        }
        assert_eq!(scene.objects(), before);
    }

    #[test]
    fn a_name_cannot_smuggle_lines_into_a_commit() {
        let odd =
            Signature { name: "a\nparent <x>".into(), email: "e>\n".into(), seconds: 0, offset_minutes: -90 };
        assert_eq!(odd.line(), "aparent x <e> 0 -0130");
    }

    #[test]
    fn a_full_disk_is_said_so_and_the_repository_stays_sound() {
        on_a_small_disk(
            "git::objects::commit::tests::a_full_disk_is_said_so_and_the_repository_stays_sound",
            |scene| {
                let base = start(&scene);
                let before = scene.refs();
                for count in [1, 300] {
                    let changes: Vec<_> = (0..count)
                        .map(|n| {
                            change(&format!("argocd-apps/c/{n}"), Some(&noise(n, 2 * 1024 * 1024 / count)))
                        })
                        .collect();
                    let error = commit(&scene, base, &changes).unwrap_err();
                    assert_eq!(error.fault.kind, FaultKind::System, "{error:?}");
                    assert_eq!(error.fault.to_string(), "there is no space left on the disk");
                    assert!(error.is_transient() && error.hint().is_some());
                }
                assert_eq!(scene.refs(), before);
                scene.assert_sound();
                commit(&scene, base, &[change("argocd-apps/c/small", Some("x"))]).unwrap();
            },
        );
    }

    #[test]
    fn a_read_only_repository_is_said_so() {
        on_a_small_disk("git::objects::commit::tests::a_read_only_repository_is_said_so", |scene| {
            let base = start(&scene);
            let disk = scene.path().parent().unwrap();
            let remount = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk).status();
            assert!(remount.unwrap().success());
            for count in [1, 300] {
                let changes: Vec<_> =
                    (0..count).map(|n| change(&format!("argocd-apps/c/{n}"), Some(&noise(n, 9)))).collect();
                let error = commit(&scene, base, &changes).unwrap_err();
                assert_eq!(error.fault.kind, FaultKind::ReadOnly, "{error:?}");
            }
            let update = [RefUpdate::branch("render/app", None, Some(base))];
            let error = Upstream::own(scene.repository()).update(&update).unwrap_err();
            assert!(error.hint().unwrap().contains("write access"), "{error:?}");
            assert!(scene.repository().snapshot(base, &mut BlobCache::default()).is_ok());
        });
    }

    /// Text that does not compress, different for each seed.
    fn noise(seed: usize, length: usize) -> String {
        let mut state = seed as u64 + 1;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + ((state >> 33) % 94) as u8)
        };
        std::iter::repeat_with(next).take(length).collect()
    }
}
