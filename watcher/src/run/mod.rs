//! A run: from a request to pull requests that show what is rendered.

pub mod changes;
mod describe;
mod drift;
mod files;
mod foreign;
mod gate;
mod group;
mod heads;
mod pipeline;
mod publish;
mod report;
mod review;
mod worker;

pub use crate::forge::REVIEWED_LABEL;
pub use gate::control_first;
pub use group::Group;
pub use heads::Head;
pub use pipeline::{BaseRendering, Pipeline, Settings, Step, Steps};
pub use publish::{BRANCH_PREFIX, CONTROL_FIRST};
pub use report::{GroupReport, Published, RunReport};
pub use review::{ACCEPT_LABEL, RENDER_LABEL, REVIEW};
pub use worker::{Limits, Purpose, WorkerDeath, WorkerSettings, leave_no_core, work};
