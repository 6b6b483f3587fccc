//! A run: from a request to pull requests that show what is rendered.

pub mod changes;
mod pipeline;
mod report;

pub use pipeline::{BRANCH_PREFIX, Pipeline, Settings, Step, Steps};
pub use report::{Group, GroupReport, Published, RunReport};
