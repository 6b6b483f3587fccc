//! The machines below the clusters: the shipped Terraform and scripts, with a Multipass that has no machines.
//!
//! Without a Terraform, or what `testkit/machines/fetch` brings, these tests show nothing, and say so.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod clusters;
mod databases;
mod failures;
mod profile;
mod provision;
mod readers;
mod upgrades;
mod world;
