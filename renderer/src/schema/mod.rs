//! The one judge of JSON Schema: which places of a value break its schema, in words for people.
//!
//! Names the `jsonschema` crate; no other module does. Knows nothing of files: a violation has a path inside
//! the value, and the caller knows which line of which file that path came from.

mod alternatives;
mod cost;
mod judge;
mod keywords;
mod violation;
mod wording;

pub use cost::MAX_STEPS;
pub use judge::Schema;
pub use violation::{SchemaError, Violation};

#[cfg(test)]
mod tests;
