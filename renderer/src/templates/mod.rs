//! Templates with structural interpolation: handlebars in, YAML documents out.
//!
//! `{{ … }}` inserts a value, not text. Knows nothing of clusters or of what a template is for; handlebars is named in
//! this folder and nowhere else.

mod braces;
mod budget;
mod compile;
mod compiled;
mod foreign;
mod functions;
mod helpers;
mod memory;
mod missing;
mod partials;
mod refusal;
mod rewrite;
mod scan;
mod segments;
mod set;
mod skeleton;
mod source;
mod token;
mod trace;

#[cfg(test)]
mod tests;

pub use budget::{Budget, MAX_CLUSTER_BYTES, MAX_CLUSTER_STEPS, MAX_OUTPUT_BYTES, MAX_SEARCH_STEPS};
pub use compiled::Site;
pub use helpers::{BLOCK_HELPERS, MAX_STEPS};
pub(crate) use missing::missing_name;
pub use scan::{MAX_BRACKETS, MAX_NESTING, MAX_SOURCE_BYTES, MAX_TAGS};
pub use set::{Expand, Origin, Scope, Templates, Watched, has_header, write_file};
pub use source::{TEXTS, TemplateSource, Texts};
pub use token::MAX as MAX_VALUES;
