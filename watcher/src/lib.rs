//! The shell of Fleetwright: git, pull requests, events and commands around the pure core.
//!
//! Modules stand in pipeline order; `git` knows nothing of what is rendered.

pub mod git;
pub mod working_tree;
