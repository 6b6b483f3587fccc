//! Template sources as text: their tags and where these stand, which braces are meant for another program, and the
//! characters that are put in for values and lines.
//!
//! Knows nothing of handlebars' syntax tree or of what an expression means.

mod blocks;
pub(super) mod foreign;
mod lines;
mod path;
mod scan;
pub(super) mod token;

pub(super) use blocks::check_blocks;
pub use blocks::{MAX_BRACKETS, MAX_NESTING};
pub(super) use lines::LineIndex;
pub(super) use path::PathText;
pub use scan::{MAX_SOURCE_BYTES, MAX_TAGS};
pub(super) use scan::{Scan, Tag, TagKind, scan};
