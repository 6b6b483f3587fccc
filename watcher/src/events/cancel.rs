//! A request to stop, which work honours at its next step boundary.
//!
//! Knows nothing of signals or of what is being stopped.

use thiserror::Error;
use tokio::sync::watch;
use tracing::trace;

/// A flag that can be raised once and is never lowered; clones share it.
///
/// Blocking work calls [`Cancel::check`] between its steps, async code awaits [`Cancel::requested`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(watch::Sender<bool>);

/// Work that ended early, since a stop was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped before it was complete")]
pub struct Stopped;

impl Cancel {
    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Ends work at a step boundary if a stop has been requested.
    pub fn check(&self) -> Result<(), Stopped> {
        trace!("at a step boundary");
        if self.is_requested() { Err(Stopped) } else { Ok(()) }
    }

    /// Returns whether a stop has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until a stop is requested.
    pub async fn requested(&self) {
        // The channel stays open as long as `self` holds its sender.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
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
