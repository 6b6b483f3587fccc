//! The pure core of Fleetwright: facts and templates in, rendered files and a plan out.
//!
//! No async, clock, network, file system, environment or randomness. Modules stand in pipeline order and import only
//! what stands above them.

pub mod path;
pub mod problem;
pub mod schema;
pub mod yaml;

pub mod snapshot;

pub mod plan;
