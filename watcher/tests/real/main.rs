//! The shipped platform, held against real components.
//!
//! They are not part of this repository, and take minutes to build the first time: `testkit/real/fetch`
//! brings them in, and `.ci/run real` runs these suites. Without them the suites are left out, which `cargo
//! test` says of each.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod api_server;
mod helm;
mod platform;
