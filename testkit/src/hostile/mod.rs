//! What an attacker can write: a module per kind of attack. The same call always gives the same bytes.

pub mod bombs;
pub mod checks;
pub mod edits;
pub mod floods;
pub mod heads;
pub mod text;
mod yaml;

pub use yaml::{handmade_documents, random_documents, strings};
