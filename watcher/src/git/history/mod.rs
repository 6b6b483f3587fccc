//! Questions about history: what comes before what, who changed a file, what a merge gives, what a push has to carry.

mod folders;
pub(in crate::git) mod graph;
pub(in crate::git) mod inputs;
pub(in crate::git) mod log;
mod merge;
pub(in crate::git) mod reach;
mod taken_back;
pub(in crate::git) mod without;
