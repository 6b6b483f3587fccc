//! A run: from a request to pull requests that show what is rendered.
//!
//! It reads everything from the base branch, so running twice is harmless. Each step may be the last one; the next run
//! starts from what it finds.

pub mod changes;
mod context;
mod describe;
mod drift;
mod effects;
mod former;
mod gate;
mod head;
mod heads;
mod looks;
mod pipeline;
mod planner;
mod publish;
mod report;
mod review;
mod reviewed;
mod rollback;
mod rollouts;
mod waves;
mod worker;

pub use crate::forge::{REVIEW, REVIEWED_LABEL};
pub use context::{BRANCH_PREFIX, Settings, UNKNOWN_BASE};
pub use effects::{Objects, TIME, Tools};
pub use gate::{ORDER, PAUSE_LABEL, fleet_at, is_paused, merged_first};
pub use head::Head;
pub use pipeline::{BaseRendering, Pipeline};
pub use report::{GroupReport, Published, RunReport, Why};
pub use review::{ACCEPT_LABEL, ProposedPage, RENDER_LABEL};
pub use rollback::{RollbackReport, RolledBack, Target, rollback};
pub use worker::{Limits, Purpose, WorkerDeath, WorkerSettings, leave_no_core, work};
