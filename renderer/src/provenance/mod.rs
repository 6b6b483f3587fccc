//! What is rendered for one cluster before it is judged, and which lines of templates and of the inventory
//! made a value.
//!
//! The template line is known exactly: every inserted value carries its site. Which facts a value depends on
//! is found by asking the templates themselves: a fact is changed, that one file is rendered again, and the
//! values are compared. That holds through partials, helpers, loops and conditions alike, and costs a
//! rendering of one file for each question.

mod documents;
mod line;
mod place;
mod probe;
mod scope;
mod unit;

pub(crate) use documents::{ClusterDocuments, FileDocuments};
pub use line::{FactLine, Influence, Provenance};
pub(crate) use line::{masked, written_at};
pub(crate) use place::place_to_edit;
pub(crate) use probe::{add_facts, part_mut, perturb};
pub use scope::{ClusterScope, PlacedAddon};
pub use unit::UnitTemplate;
pub(crate) use unit::{UnitTemplates, templates};
