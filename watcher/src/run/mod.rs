//! A run: from a request to pull requests that show what is rendered.

pub mod changes;
mod drift;
mod group;
mod pipeline;
mod publish;
mod report;
mod review;

pub use group::Group;
pub use pipeline::{Pipeline, Settings, Step, Steps};
pub use publish::{BRANCH_PREFIX, REVIEWED_LABEL};
pub use report::{GroupReport, Published, RunReport};
pub use review::{RENDER_LABEL, REVIEW};
