//! Trees: a base tree with some files changed, computed before anything is written.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::object::NewObject;

/// The mode of every file that Fleetwright writes.
pub(super) const REGULAR_FILE: i32 = 0o100_644;
/// The mode of a symbolic link.
pub(super) const SYMLINK: i32 = 0o120_000;
/// The mode of a submodule.
pub(super) const SUBMODULE: i32 = 0o160_000;
pub(super) const FOLDER: i32 = 0o040_000;

/// A file of the new tree: its path, and its blob or `None` if it goes away.
pub(super) type Leaf<'a> = (&'a str, Option<Oid>);

type Entries = BTreeMap<Vec<u8>, (i32, Oid)>;

/// A tree that stands in a repository.
#[derive(Clone, Copy)]
pub(super) struct Base<'r> {
    pub(in crate::git) repository: &'r git2::Repository,
    pub(in crate::git) tree: Oid,
}

/// Returns the tree that `base` becomes with `leaves` changed, or `None` if nothing is left in it.
///
/// `leaves` are sorted by path. Trees that come into being are added to `objects`; what `leaves` do not touch keeps
/// its id and is never read.
pub(in crate::git) fn edit(
    base: Option<Base<'_>>,
    leaves: &[Leaf<'_>],
    objects: &mut Vec<NewObject>,
) -> Result<Option<Oid>, git2::Error> {
    let mut entries = base.map_or(Ok(Entries::new()), entries)?;
    for group in leaves.chunk_by(|a, b| head(a.0) == head(b.0)) {
        let name = head(group[0].0);
        let below: Vec<Leaf<'_>> = group
            .iter()
            .filter_map(|(path, blob)| Some((path.strip_prefix(name)?.strip_prefix('/')?, *blob)))
            .collect();
        if !below.is_empty() {
            edit_folder(base, &mut entries, name, &below, objects)?;
        }
        if let Some((_, blob)) = group.iter().find(|(path, _)| *path == name) {
            edit_file(&mut entries, name, *blob);
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let tree = NewObject::new(ObjectType::Tree, serialize(&entries));
    let id = tree.id;
    objects.push(tree);
    Ok(Some(id))
}

fn head(path: &str) -> &str {
    path.split_once('/').map_or(path, |(head, _)| head)
}

fn entries(base: Base<'_>) -> Result<Entries, git2::Error> {
    let tree = base.repository.find_tree(base.tree)?;
    let entries = tree.iter();
    Ok(entries.map(|e| (e.name_bytes().to_vec(), (e.filemode_raw(), e.id()))).collect())
}

fn edit_folder(
    base: Option<Base<'_>>,
    entries: &mut Entries,
    name: &str,
    below: &[Leaf<'_>],
    objects: &mut Vec<NewObject>,
) -> Result<(), git2::Error> {
    let existing = entries.get(name.as_bytes()).filter(|(mode, _)| *mode == FOLDER).map(|(_, id)| *id);
    let base = base.zip(existing).map(|(base, tree)| Base { tree, ..base });
    match edit(base, below, objects)? {
        Some(id) => drop(entries.insert(name.into(), (FOLDER, id))),
        None if existing.is_some() => drop(entries.remove(name.as_bytes())),
        None => {}
    }
    Ok(())
}

/// A file that goes away may have made room for a folder of the same name, which then stays.
fn edit_file(entries: &mut Entries, name: &str, blob: Option<Oid>) {
    match blob {
        Some(id) => drop(entries.insert(name.into(), (REGULAR_FILE, id))),
        None if entries.get(name.as_bytes()).is_some_and(|(mode, _)| *mode != FOLDER) => {
            entries.remove(name.as_bytes());
        }
        None => {}
    }
}

/// Git orders a tree as if the name of a folder ended in a slash.
fn serialize(entries: &Entries) -> Vec<u8> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_by_cached_key(|(name, (mode, _))| {
        let mut key = (*name).clone();
        key.extend((*mode == FOLDER).then_some(b'/'));
        key
    });
    let mut bytes = Vec::new();
    for (name, (mode, id)) in ordered {
        bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::objects::object::hash;

    fn build(paths: &[&str]) -> Option<Oid> {
        let blob = Some(hash(ObjectType::Blob, b"x"));
        let leaves: Vec<_> = paths.iter().map(|path| (*path, blob)).collect();
        edit(None, &leaves, &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_tree_with_nothing_in_it_is_left_out() {
        assert_eq!(build(&[]), None);
        assert_eq!(edit(None, &[("a/b", None)], &mut Vec::new()).unwrap(), None);
    }

    #[test]
    fn equal_files_give_an_equal_tree_wherever_they_stand() {
        let mut objects = Vec::new();
        let blob = Some(hash(ObjectType::Blob, b"x"));
        edit(None, &[("a/f", blob), ("b/f", blob)], &mut objects).unwrap();
        assert_eq!(objects[0].id, objects[1].id);
        assert_eq!(build(&["f"]), Some(objects[0].id));
    }
}
