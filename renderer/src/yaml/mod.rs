//! YAML, exactly: a reader that keeps positions and spelling, and a canonical writer that every reader agrees on.
//!
//! Knows nothing of templates or clusters. The parser crate is named in `read` and nowhere else.

mod node;
mod value;

mod interpret;
mod read;

mod json;
mod write;

pub use interpret::{
    Ambiguity, Reading, interpret, interpret_as_written, interpret_foreign, interpret_plain,
};
pub use node::{Node, NodeKind, Scalar, Style};
pub use read::{decode, parse, parse_foreign, weight};
pub use value::{Map, Number, Value};
pub use write::{write, write_to};
