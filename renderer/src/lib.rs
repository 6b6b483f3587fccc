//! The pure core of Fleetwright: facts and templates in, rendered files and a plan out.
//!
//! No async, clock, network, file system, environment or randomness. Modules stand in pipeline order and import only
//! what stands above them.

pub mod key_path;
pub mod network;
pub mod path;
pub mod plural;
pub mod problem;
mod rewritten;
pub mod root;
pub mod schema;
pub mod span;
pub mod tree;
pub mod visible;
pub mod yaml;

pub mod secrets;

pub mod beside;
pub mod snapshot;

pub mod manifests;

pub mod argo;
pub mod charts;

pub mod inventory;
pub mod templates;

pub mod page;

pub mod catalog;

pub mod checks;
pub mod provenance;
pub mod render;

pub mod deployed;

pub mod explain;
pub mod plan;

pub mod effects;
pub mod verify;
