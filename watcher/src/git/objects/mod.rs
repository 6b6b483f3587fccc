//! The object database: ids, refs, trees, commits and packs, read and written without an index or a working tree.

pub(in crate::git) mod commit;
pub(in crate::git) mod commit_object;
pub(in crate::git) mod compare;
pub(in crate::git) mod differences;
mod folders;
pub(in crate::git) mod object;
pub(in crate::git) mod pack;
pub(in crate::git) mod refs;
pub(in crate::git) mod repository;
pub(in crate::git) mod revision;
pub(in crate::git) mod signature;
pub(in crate::git) mod snapshot;
mod standing;
mod tree;
