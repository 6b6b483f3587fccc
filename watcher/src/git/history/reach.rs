//! What a push must carry: the objects that revisions reach and that another repository does not have yet.
//!
//! Trees are compared with those of the parents, path by path, so the cost follows the change. libgit2's own search
//! marks every object of the other side first and then looks for deltas, which takes seconds for a large fleet.

use std::collections::HashSet;

use git2::{ObjectType, Oid, Tree};

use super::graph::Graph;
use crate::git::objects::commit_object::CommitObject;
use crate::git::objects::object::NewObject;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// Returns what is reached from `new` and not from `there`; revisions of `there` that are not here hide nothing.
pub(in crate::git) fn new_objects(
    repository: &Repository,
    new: &[Revision],
    there: impl Iterator<Item = Revision>,
) -> Result<Vec<NewObject>, git2::Error> {
    let odb = repository.inner.odb()?;
    // A ref whose object is not here does not make libgit2 look for new packs: there may be a hundred thousand.
    let is_here = |id: &Revision| odb.exists_ext(id.oid(), git2::OdbLookupFlags::NO_REFRESH);
    let there: Vec<Revision> = there.filter(is_here).filter(|id| repository.has(*id)).collect();
    let commits = Graph::new(repository)?.reached(new, &there)?;
    let mut reach = Reach { repository, odb, seen: HashSet::new(), objects: Vec::new() };
    for id in commits {
        reach.commit(id)?;
    }
    Ok(reach.objects)
}

struct Reach<'r> {
    repository: &'r Repository,
    odb: git2::Odb<'r>,
    seen: HashSet<Oid>,
    objects: Vec<NewObject>,
}

impl Reach<'_> {
    fn commit(&mut self, id: Revision) -> Result<(), git2::Error> {
        let commit = CommitObject::read(&self.odb, id.oid())?;
        let tree_of = |parent: &Revision| {
            let parent = CommitObject::read(&self.odb, parent.oid())?;
            self.repository.inner.find_tree(parent.tree()?)
        };
        let parents = commit.parents.iter().filter(|_| !self.repository.is_boundary(id));
        let parents = parents.map(tree_of).collect::<Result<Vec<_>, _>>()?;
        let tree = commit.tree()?;
        self.take(ObjectType::Commit, id.oid())?;
        if parents.iter().all(|parent| parent.id() != tree) {
            self.tree(&self.repository.inner.find_tree(tree)?, &parents)?;
        }
        Ok(())
    }

    /// Takes a tree and what is in it, but for what a parent has at the same path: that is there or taken anyway.
    fn tree(&mut self, tree: &Tree<'_>, parents: &[Tree<'_>]) -> Result<(), git2::Error> {
        if !self.take(ObjectType::Tree, tree.id())? {
            return Ok(());
        }
        for entry in tree {
            let before: Vec<_> =
                parents.iter().map(|parent| parent.get_name_bytes(entry.name_bytes())).collect();
            if before.iter().flatten().any(|before| before.id() == entry.id()) {
                continue;
            }
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let folders =
                        before.iter().flatten().filter(|before| before.kind() == Some(ObjectType::Tree));
                    let parents = folders.map(|folder| self.repository.inner.find_tree(folder.id()));
                    let parents = parents.collect::<Result<Vec<_>, _>>()?;
                    self.tree(&self.repository.inner.find_tree(entry.id())?, &parents)?;
                }
                Some(ObjectType::Blob) => {
                    self.take(ObjectType::Blob, entry.id())?;
                }
                // A submodule's commit lives in another repository.
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes an object, and returns whether it was new.
    fn take(&mut self, kind: ObjectType, id: Oid) -> Result<bool, git2::Error> {
        if !self.seen.insert(id) {
            return Ok(false);
        }
        let bytes = self.odb.read(id)?.data().into();
        self.objects.push(NewObject { id, kind, bytes });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;

    fn kinds(scene: &Scene, new: &[Revision], there: &[Revision]) -> Vec<&'static str> {
        let repository = scene.repository();
        let objects = new_objects(&repository, new, there.iter().copied()).unwrap();
        objects.iter().map(|object| object.kind.str()).collect()
    }

    #[test]
    fn what_is_there_already_is_not_carried() {
        let scene = Scene::bare();
        let tip = scene.commit("main", "start", &[("a", "1"), ("b/c", "1")]);
        assert_eq!(kinds(&scene, &[tip], &[tip]), [""; 0]);
    }

    #[test]
    fn a_change_carries_its_own_path_and_equal_content_once() {
        let scene = Scene::bare();
        let one = scene.commit("main", "one", &[("a/x", "1"), ("b/x", "1"), ("c", "1")]);
        assert_eq!(kinds(&scene, &[one], &[]), ["commit", "tree", "tree", "blob"]);
        let two = scene.commit("main", "two", &[("a/x", "2")]);
        assert_eq!(kinds(&scene, &[two], &[one]), ["commit", "tree", "tree", "blob"]);
        let elsewhere = Revision::parse(&"1".repeat(40)).unwrap();
        assert_eq!(kinds(&scene, &[two], &[elsewhere]).iter().filter(|kind| **kind == "commit").count(), 2);
    }

    #[test]
    fn a_merge_carries_only_what_no_parent_has() {
        let scene = Scene::bare();
        let root = scene.commit("main", "root", &[("a/x", "1"), ("b/x", "2")]);
        scene.git(&["update-ref", "refs/heads/side", &root.to_string()]);
        let base = scene.commit("main", "base", &[("a/x", "3")]);
        let head = scene.commit("side", "side", &[("b/x", "4")]);
        let by = crate::git::scene::signature();
        let merge = scene.repository().merge(base, head, &by, "Merge").unwrap();
        assert_eq!(kinds(&scene, &[merge], &[base, head]), ["commit", "tree"]);
    }
}
