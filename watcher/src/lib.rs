//! The shell of Fleetwright: git, pull requests, events and commands around the pure core.
//!
//! Modules stand in pipeline order; `git` and `forge` know nothing of what is rendered.

pub mod git;
pub mod working_tree;

pub mod forge;
