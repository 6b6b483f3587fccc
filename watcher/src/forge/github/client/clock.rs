//! The time, as the client reads it and waits for it.

use std::thread;
use std::time::{Duration, SystemTime};

/// Where the time comes from, so that an hour's limit can be tested without waiting an hour.
pub struct Clock {
    /// Returns the time.
    pub now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Waits.
    pub wait: Box<dyn Fn(Duration) + Send + Sync>,
}

impl Clock {
    /// Returns the clock of this machine.
    pub(crate) fn system() -> Self {
        Self { now: Box::new(SystemTime::now), wait: Box::new(thread::sleep) }
    }
}
