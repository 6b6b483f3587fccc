//! A request to stop, which work honours at its next step boundary.
//!
//! Knows nothing of signals or of what is being stopped.

use std::time::Instant;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tracing::trace;

/// A flag that can be raised once and is never lowered; clones share it.
///
/// Blocking work calls [`Cancel::check`] between its steps, async code awaits [`Cancel::requested`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_requested: bool,
    /// When the right to work ends, if it does.
    expiry: Option<Instant>,
}

impl State {
    fn is_expired(self) -> bool {
        self.expiry.is_some_and(|moment| moment <= Instant::now())
    }
}

/// Work that ended early, since a stop was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped before it was complete")]
pub struct Stopped;

impl Cancel {
    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.0.send_modify(|state| state.is_requested = true);
    }

    /// Lets work go on until a moment, unless an earlier one has passed: then it stays stopped.
    pub fn expire_at(&self, moment: Instant) {
        self.0.send_modify(|state| {
            if !state.is_expired() {
                state.expiry = Some(moment);
            }
        });
    }

    /// Returns whether the moment has passed until which work may go on.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.0.borrow().is_expired()
    }

    /// Ends work at a step boundary if a stop has been requested.
    pub fn check(&self) -> Result<(), Stopped> {
        trace!("at a step boundary");
        if self.is_requested() { Err(Stopped) } else { Ok(()) }
    }

    /// Returns whether work has to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        let state = *self.0.borrow();
        state.is_requested || state.is_expired()
    }

    /// Waits until work has to stop.
    pub async fn requested(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let State { is_requested, expiry } = *changes.borrow_and_update();
            if is_requested {
                return;
            }
            tokio::select! {
                // The channel stays open as long as `self` holds its sender.
                _ = changes.changed() => {}
                () = sleep_until(expiry.unwrap_or_else(Instant::now).into()), if expiry.is_some() => return,
            }
        }
    }

    /// Does work that is dropped as soon as it has to stop.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            done = work => Ok(done),
            () = self.requested() => Err(Stopped),
        }
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
    #[tokio::test(start_paused = true)]
    async fn work_that_no_one_prolongs_has_to_stop_by_itself() {
        let cancel = Cancel::default();
        let (now, minute) = (tokio::time::Instant::now(), std::time::Duration::from_mins(1));
        cancel.expire_at((now + minute).into_std());
        let prolonged = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(minute / 2).await;
            prolonged.expire_at((now + 2 * minute).into_std());
        });
        cancel.requested().await;
        assert_eq!(now.elapsed(), 2 * minute);
    }
}
