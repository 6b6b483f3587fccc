//! Templates with structural interpolation: handlebars in, YAML documents out.
//!
//! `{{ … }}` inserts a value, not text. Knows nothing of clusters or of what a template is for; handlebars is named in
//! this folder and nowhere else.

mod budget;
mod compile;
mod functions;
mod helpers;
mod memory;
mod missing;
mod page;
mod partials;
mod recorder;
mod refusal;
mod rewrite;
mod set;
mod skeleton;
mod source;
mod syntax;
mod trail;
mod written;

#[cfg(test)]
mod tests;

pub use budget::{MAX_CLUSTER_BYTES, MAX_CLUSTER_STEPS, MAX_OUTPUT_BYTES, MAX_SEARCH_STEPS, RenderBudget};
pub use helpers::BLOCK_HELPERS;
pub(crate) use missing::missing_name;
pub(crate) use page::{escaped, write_page};
pub use recorder::MAX_STEPS;
pub use set::{Expand, Scope, Templates, Watched};
pub use source::{TEXTS, TemplateLine, TemplateSource, Texts};
pub use syntax::token::MAX as MAX_VALUES;
pub use syntax::{MAX_BRACKETS, MAX_NESTING, MAX_SOURCE_BYTES, MAX_TAGS};
pub use written::{Form, has_header, write_file};
