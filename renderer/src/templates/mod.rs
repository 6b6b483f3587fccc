//! Templates with structural interpolation: the syntax of Handlebars in, YAML documents out.
//!
//! `{{ … }}` inserts a value, not text. Knows nothing of clusters or of what a template is for.

mod budget;
mod compiled;
mod expand;
mod file;
mod functions;
mod lines;
mod memory;
mod refusal;
mod set;
mod skeleton;
mod syntax;
mod token;

#[cfg(test)]
mod tests;

pub use budget::{
    MAX_CLUSTER_BYTES, MAX_CLUSTER_STEPS, MAX_OUTPUT_BYTES, MAX_SEARCH_STEPS, MAX_STEPS, RenderBudget,
};
pub(crate) use expand::missing_name;
pub use file::{has_header, write_file};
pub use set::{Expand, Origin, Scope, Templates, Watched};
pub use syntax::{MAX_BRACKETS, MAX_NESTING, MAX_SOURCE_BYTES, MAX_TAGS, Site, TEXTS, TemplateSource, Texts};
pub use token::MAX as MAX_VALUES;
