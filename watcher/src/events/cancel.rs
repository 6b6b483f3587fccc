//! A request to stop, which work honours at its next step boundary.
//!
//! Knows nothing of signals or of what is being stopped.

use tokio::sync::watch;

/// A flag that can be raised once and is never lowered; clones share it.
///
/// Blocking work asks [`Cancel::is_requested`] between its steps, async code awaits [`Cancel::requested`].
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: watch::Sender<bool>,
}

impl Cancel {
    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.flag.send_replace(true);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cancelled_until_someone_asks() {
        let cancel = Cancel::default();
        let clone = cancel.clone();
        assert!(!clone.is_requested());
        cancel.request();
        assert!(clone.is_requested());
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
