//! The whole path on real repositories: an edit on the base branch, a run, pull requests, a merge.
//!
//! Each story starts from the small platform in `testkit/platform/`, changes one thing and shows what a
//! person would see.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

#[path = "../cli/applications.rs"]
mod applications;
#[cfg(target_os = "linux")]
mod confined;
mod edits;
mod effects;
mod failovers;
mod forged;
mod github;
mod github_service;
mod groups;
mod heads;
mod hubs;
mod kills;
mod office;
mod pages;
mod platform;
mod published;
mod repeated_tokens;
mod review;
mod rollback;
mod service;
mod stories;
mod together;
#[cfg(feature = "otlp")]
mod traces;
mod transport;
mod verdicts;
mod wall;
mod waves;
