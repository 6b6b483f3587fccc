//! A run: from a request to pull requests that show what is rendered.

pub mod changes;
mod drift;
mod group;
mod pipeline;
mod publish;
mod report;

pub use group::Group;
pub use pipeline::{Pipeline, Settings, Step, Steps};
pub use publish::BRANCH_PREFIX;
pub use report::{GroupReport, Published, RunReport};
