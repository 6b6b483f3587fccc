//! Events, and how they become runs.
//!
//! An event is only a hint that something may have changed: a run reads everything it needs from the commit it works
//! on, so an event too many is harmless and a lost one costs only delay. Nothing here knows what a run does.

mod cancel;
pub mod deliveries;
pub mod files;
pub mod forge_look;
pub mod poll;
mod queue;
mod repository_name;
pub mod server;
pub mod service;
pub mod signals;
pub mod webhook;

pub use cancel::Cancel;
pub use queue::{Failure, Outcome, Persistence, Pushed, Queue, Request, Settings, Verdict};
pub use repository_name::{RepositoryName, RepositoryNameError};

/// The sources' end of the bounded channel into the service.
///
/// A source waits while the channel is full. Nothing is lost by that, since each source remembers one pending hint.
pub type Events<K, R> = tokio::sync::mpsc::Sender<Event<K, R>>;

/// A hint that a repository may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<K, R> {
    /// The repository.
    pub repository: K,
    /// What the source knows of the new revision; a run looks for itself all the same.
    pub revision: R,
    /// What the source saw.
    pub cause: Cause,
}

/// What a source saw, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Something may have moved. Whether a ref did can be told without a run.
    Moved,
    /// Something may have changed that no ref shows, such as a pull request's text: only a run can tell.
    Changed,
    /// A person asked for something to be done once more: what was done before does not count.
    Asked,
}
