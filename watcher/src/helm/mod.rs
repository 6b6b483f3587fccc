//! Final objects: each chart rendered by Helm as Argo CD's repository server renders it, beside the documents of the
//! repository.
//!
//! What is rendered, and how, stands in the rendered Applications (`renderer::deployed`).

mod bound;
mod effects;
mod error;
mod fleet;
mod kept;
mod program;
mod published;
mod side;
mod text;

pub use bound::Bound;
pub use effects::{Extent, Found};
pub use error::HelmError;
pub use fleet::{Making, Parts};
pub use program::Helm;
pub use published::unpublished;
pub use side::Side;
