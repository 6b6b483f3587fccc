//! The shell of Fleetwright: the only part that touches the world.
//!
//! It turns events into requests, reads a snapshot from git, calls the renderer, publishes the plan and reports the
//! outcome. Modules stand in pipeline order and import towards the core; `git` and `forge` know nothing of what is
//! rendered.

pub mod backoff;
mod beside;
mod cache;
mod hex;
mod parted;
pub mod percent;
mod program;
mod remembered;
pub mod repository_name;
pub mod secrets;

pub mod output;
pub mod server;

pub mod http;
pub mod identity;
pub mod notify;

pub mod cluster;

pub mod argocd;
pub mod charts;
pub mod events;
pub mod git;
pub mod vault;
pub mod verify;
pub mod working_tree;

pub mod forge;

pub mod error;
pub mod helm;
pub mod live;

pub mod deploy;

pub mod run;

pub mod service;

pub mod cli;
