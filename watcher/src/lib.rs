//! The shell around the renderer: it turns events into runs, and shows people what a run did.
//!
//! Everything that touches the world lives here; what is decided, is decided in the core.

pub mod events;
pub mod output;
