//! Rendering: a snapshot in, the files of every cluster out, or every problem in the source files.
//!
//! A [`Renderer`] remembers between runs what has not changed, so that the cost of a run follows the size of
//! the change, and a [`Memory`] between processes. What they remember never changes a result: equal snapshots give
//! equal bytes with and without it.

mod accepted;
mod clusters;
mod consequences;
mod digest;
mod excerpts;
mod flows;
mod forms;
mod memory;
mod once;
mod record;
mod rendered;
mod renderer;
mod sources;
mod unit;

pub use crate::provenance::{ClusterScope, PlacedAddon};
pub use digest::Digest;
pub use excerpts::with_lines;
pub use memory::Memory;
pub use rendered::{Accepted, Rendered, RenderedCluster, RenderedFile, Unit};
pub use renderer::{Progress, Renderer, check_names};
