//! Checks of what was written and rendered, before anything is committed.
//!
//! Each check returns all the faults it finds, and knows nothing of the others.

pub mod objects;
