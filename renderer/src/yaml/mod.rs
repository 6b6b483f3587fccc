//! YAML, exactly: a reader that keeps positions and spelling, and a canonical writer that every reader agrees on.
//!
//! Knows nothing of templates or clusters. The parser crate is named in `read` and nowhere else.

mod node;
mod value;

pub use node::{Node, NodeKind, Scalar, Style};
pub use value::{Map, Number, Value};
