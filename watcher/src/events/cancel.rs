//! A request to stop, which work honours at its next step boundary.
//!
//! Knows nothing of signals or of what is being stopped.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;

/// A flag that can be raised once and is never lowered; clones share it.
///
/// Blocking work calls [`Cancel::check`] between its steps, async code awaits [`Cancel::requested`].
#[derive(Clone, Default)]
pub struct Cancel {
    flag: watch::Sender<bool>,
    hook: Option<Arc<Hook>>,
}

type Hook = dyn Fn(&Cancel) + Send + Sync;

/// Work that ended early, since a stop was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped before it was complete")]
pub struct Stopped;

impl Cancel {
    /// Returns a flag that calls `hook` at each check before it is read: by which a test stops work between two steps, or
    /// lets something happen there.
    #[must_use]
    pub fn checked_by(hook: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        Self { hook: Some(Arc::new(hook)), ..Self::default() }
    }

    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.flag.send_replace(true);
    }

    /// Ends work at a step boundary if a stop has been requested.
    pub fn check(&self) -> Result<(), Stopped> {
        if let Some(hook) = &self.hook {
            hook(self);
        }
        if self.is_requested() { Err(Stopped) } else { Ok(()) }
    }

    /// Returns whether a stop has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.flag.borrow()
    }

    /// Waits until a stop is requested.
    pub async fn requested(&self) {
        // The channel stays open as long as `self` holds its sender.
        let _ = self.flag.subscribe().wait_for(|requested| *requested).await;
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("is_requested", &self.is_requested()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cancelled_without_a_request() {
        let cancel = Cancel::default();
        let clone = cancel.clone();
        assert!(!clone.is_requested());
        cancel.request();
        assert!(clone.is_requested());
    }

    #[test]
    fn a_check_ends_work_once_a_stop_is_requested() {
        let cancel = Cancel::default();
        assert_eq!(cancel.check(), Ok(()));
        cancel.request();
        assert_eq!(cancel.check(), Err(Stopped));
        assert_eq!(Cancel::checked_by(Cancel::request).check(), Err(Stopped));
    }

    #[tokio::test]
    async fn a_request_wakes_those_who_wait_and_those_who_come_later() {
        let cancel = Cancel::default();
        let waiting = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.requested().await }
        });
        tokio::task::yield_now().await;
        cancel.request();
        waiting.await.unwrap();
        cancel.requested().await;
    }
}
