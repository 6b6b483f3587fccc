//! The shipped platform, held against real components.
//!
//! They are not part of this repository, and take minutes to build the first time: `testkit/real/fetch`
//! brings them in, and `.ci/run real` runs these suites. Without them the suites are left out, which `cargo
//! test` says of each.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod api_server;
mod backups;
mod case;
mod chaos;
mod control_plane;
mod effect;
mod exposed;
#[expect(dead_code, reason = "the suite of commands asks more of a fleet")]
#[path = "../cli/fleet.rs"]
mod fleet;
mod flows;
mod helm;
mod installation;
mod kubeconfig;
mod machines;
mod manifests;
mod meshed;
mod operators;
mod planted;
mod platform;
mod provision;
mod published;
#[expect(dead_code, reason = "the suite of commands asks more of a repository")]
#[path = "../cli/repo.rs"]
mod repo;
mod rollout;
mod rules;
mod story;
mod vault;
mod verify;
mod waves;
mod workflows;
mod world;
