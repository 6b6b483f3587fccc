//! Events, and how they become runs.
//!
//! An event is only a hint that something may have changed: a run reads everything it needs from the commit it works
//! on, so an event too many is harmless and a lost one costs only delay. Nothing here knows what a run does.

mod cancel;
pub mod dispatch;
pub mod files;
mod monitor;
pub mod poll;
mod queue;
pub mod signals;
pub mod site;
pub mod webhook;

pub use cancel::{Cancel, Stopped};
pub use monitor::Monitor;
pub use queue::{Failure, FollowUp, Outcome, Persistence, Queue, Request, Settings};

/// The sources' end of the bounded channel into the service.
///
/// A source waits while the channel is full. Nothing is lost by that, since each source remembers one pending hint.
pub type Events = tokio::sync::mpsc::Sender<Event>;

/// A hint that the repository may have changed: what a source saw, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Something may have moved. Whether a ref did can be found out without a run.
    Moved,
    /// Something may have changed that no ref shows, such as a pull request's text: only a run finds out.
    Changed,
    /// A user asked for something to be done again: what was done before does not count.
    Asked,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Moved, Self::Changed, Self::Asked];

    /// Returns what it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::Asked => "asked",
        }
    }
}
