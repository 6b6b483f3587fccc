//! A request to stop, which work honours at its next step boundary.
//!
//! Knows nothing of signals or of what is being stopped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::watch;
use tracing::trace;

/// A flag that can be raised once and is never lowered; clones share it.
///
/// Blocking work calls [`Cancel::check`] between its steps, async code awaits [`Cancel::requested`].
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    requested: watch::Sender<bool>,
    /// When the right to work ends, if it does.
    expiry: Arc<Mutex<Option<Instant>>>,
}

/// Work that ended early, since a stop was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped before it was complete")]
pub struct Stopped;

impl Cancel {
    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Lets work go on until a moment, unless an earlier one has passed: then it stays stopped.
    pub fn expire_at(&self, moment: Instant) {
        let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if !expiry.is_some_and(|earlier| earlier <= Instant::now()) {
            *expiry = Some(moment);
        }
    }

    /// Returns whether the moment has passed until which work may go on.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        let expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        expiry.is_some_and(|moment| moment <= Instant::now())
    }

    /// Ends work at a step boundary if a stop has been requested.
    pub fn check(&self) -> Result<(), Stopped> {
        trace!("at a step boundary");
        if self.is_requested() { Err(Stopped) } else { Ok(()) }
    }

    /// Returns whether work has to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow() || self.is_expired()
    }

    /// Waits until a stop is requested.
    pub async fn requested(&self) {
        // The channel stays open as long as `self` holds its sender.
        let _ = self.requested.subscribe().wait_for(|requested| *requested).await;
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};

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
    fn work_may_go_on_until_a_moment_and_never_after_it() {
        let (now, hour) = (Instant::now(), std::time::Duration::from_hours(1));
        let cancel = Cancel::default();
        cancel.expire_at(now + hour);
        assert_eq!(cancel.check(), Ok(()));
        cancel.expire_at(now);
        assert_eq!(cancel.check(), Err(Stopped));
        cancel.expire_at(now + hour);
        assert_eq!(cancel.check(), Err(Stopped), "a moment that has passed is not taken back");
    }

    #[test]
    fn a_check_ends_work_once_a_stop_is_requested() {
        let cancel = Cancel::default();
        assert_eq!(cancel.check(), Ok(()));
        cancel.request();
        assert_eq!(cancel.check(), Err(Stopped));
    }

    #[test]
    fn a_check_is_logged_before_it_is_made() {
        struct StopAt(Cancel);

        impl<S: Subscriber> Layer<S> for StopAt {
            fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
                self.0.request();
            }
        }

        let cancel = Cancel::default();
        let subscriber = tracing_subscriber::registry().with(StopAt(cancel.clone()));
        assert_eq!(with_default(subscriber, || cancel.check()), Err(Stopped));
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
