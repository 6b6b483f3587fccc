//! The time, as the client reads it and waits for it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Where the time comes from, so that an hour's limit can be tested without waiting an hour.
pub struct Clock {
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    wait: Box<dyn Fn(Duration) + Send + Sync>,
}

impl Clock {
    /// Returns the clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemTime::now, std::thread::sleep)
    }

    /// Returns a clock that is read by `now` and waits by `wait`.
    pub fn new(
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        wait: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self { now: Box::new(now), wait: Box::new(wait) }
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.now)()
    }

    pub(super) fn wait(&self, time: Duration) {
        (self.wait)(time);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
