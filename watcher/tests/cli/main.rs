//! The command line as a person or a script meets it: the real binary in real repositories.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod applications;
mod fleet;
mod repo;

mod act;
mod bad_input;
mod commands;
mod deploy;
mod diff;
mod disks;
mod documents;
mod explain;
mod hostile;
mod kubeconfig;
mod large;
mod manifests;
mod output;
mod problems;
mod profiles;
mod published;
mod pulls;
mod register;
mod repositories;
mod rollout;
mod terminal;
mod trees;
mod vault;
mod verify;
mod watch;
