//! The upstream, in which branches and pull requests live, and the mirror in which another machine's is worked on.

pub(in crate::git) mod clones;
pub(in crate::git) mod upstream;
