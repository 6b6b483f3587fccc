//! Pages for a browser: one file each, with its style and script in it, and nothing from elsewhere.
//!
//! A Content-Security-Policy in the page itself allows this style and this script by their hashes and nothing else, so
//! that a value that became markup would still load and run nothing. Knows nothing of what a page is about.

mod file;
mod fleet;

pub(crate) use crate::templates::escaped;
pub use file::policy;
pub(crate) use file::write;
pub use fleet::{Fleet, Pull, Run, Shape, fleet};
