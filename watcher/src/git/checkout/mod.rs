//! Working trees: what git tracks in one, and how one follows a branch that moves.

mod follow;
pub(in crate::git) mod index;
pub(in crate::git) mod tracked;
mod update;
