//! What Argo CD says, and what follows from it: which Applications a revision asks for, what became of each of them,
//! and what still runs that git no longer wants.
//!
//! Pure: it is given what was read from git and from a cluster, and the time. Knows nothing of how it is read.
//! ([0026](../../../docs/design/0026-what-argo-cd-says.md))

mod application;
mod desired;
mod faults;
mod judge;
mod registration;
mod removal;
mod rollout;
mod show;
#[cfg(test)]
mod tests;
mod wave;

pub use application::{
    Application, ApplicationSet, Destination, HealthStatus, OperationState, REFRESH, SET_REFRESH, SyncStatus,
};
pub use desired::{DesiredFleet, HubFleet, Wanted};
pub use judge::{DEGRADED_FOR, Reach, State};
pub use registration::Registration;
pub use removal::{Removal, digest, removals};
pub use rollout::{
    ApplicationState, GroupState, Leftover, Observed, Question, Rollout, Silent, Stage, Unasked,
    destinations, rollout, states,
};
pub(crate) use show::cell;
pub use show::{document, markdown, progress, text, unasked};
pub use wave::{Soaked, Stop, Wave, wave};
