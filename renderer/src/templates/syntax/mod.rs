//! The syntax of templates, which is that of Handlebars: from a source to its tree, or to every fault in it.
//!
//! Knows nothing of facts. Whatever could overflow a stack is bounded here.

mod expression;
mod foreign;
mod parse;
mod partials;
mod path;
mod resolve;
mod source;
mod tags;
mod tree;
mod unreadable;

pub(super) use foreign::or_else;
pub(super) use parse::parse;
pub(super) use partials::PartialCalls;
pub(super) use path::Path;
pub(super) use source::SourceKind;
pub use source::{Site, TEXTS, TemplateSource, Texts};
pub use tags::{MAX_BRACKETS, MAX_NESTING, MAX_SOURCE_BYTES, MAX_TAGS};
pub(super) use tree::{Block, BlockKind, Expression, Node, Partial, Tree};
