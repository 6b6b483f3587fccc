//! Polling: a source that looks at regular intervals and sends an event for each change.
//!
//! Polling alone must be able to do everything; the other sources only make it faster. Knows nothing of what is looked
//! at.

use std::error::Error;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{Event, Events};
use crate::output::with_causes;

/// Sends `event` whenever `look` sees something else than the last time, until the channel is closed.
///
/// The first look counts as a change, since what happened before it is not known; so a start needs no event of its
/// own. A look that fails is not a change: it is reported once, and again only after one that succeeded. The one that
/// succeeds after it counts as a change too: what kept it from succeeding may have kept a run from it as well.
pub async fn poll<T, E>(
    every: Duration,
    event: Event,
    events: Events,
    mut look: impl FnMut() -> Result<T, E> + Send + 'static,
) where
    T: PartialEq + Send + 'static,
    E: Error + Send + 'static,
{
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    let mut is_failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = events.closed() => return,
        }
        // Looking may block, so `look` moves to a thread for blocking work and back.
        let looked = spawn_blocking(move || {
            let result = look();
            (look, result)
        });
        let Ok((returned, result)) = looked.await else { return };
        look = returned;
        let works_again = is_failing && result.is_ok();
        note_health(result.as_ref().err(), &mut is_failing);
        let Ok(state) = result else { continue };
        if works_again || seen.as_ref() != Some(&state) {
            seen = Some(state);
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn note_health(error: Option<&impl Error>, is_failing: &mut bool) {
    match error {
        Some(error) if !*is_failing => {
            warn!("{}; looking for changes goes on", with_causes(error));
        }
        None if *is_failing => info!("looking for changes works again"),
        _ => {}
    }
    *is_failing = error.is_some();
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    /// Polls through `states`, `None` being a look that fails, and returns the ticks at which an event came.
    async fn ticks_with_events(states: &[Option<&'static str>]) -> Vec<u64> {
        let rest = Arc::new(Mutex::new(VecDeque::from(states.to_vec())));
        let look = move || {
            let state = rest.lock().unwrap().pop_front().flatten();
            state.ok_or_else(|| io::Error::other("no answer"))
        };
        let (sender, mut receiver) = mpsc::channel(1);
        let start = Instant::now();
        let source = tokio::spawn(poll(EVERY, Event::Moved, sender, look));

        let end = EVERY * states.len() as u32;
        let mut ticks = Vec::new();
        while let Ok(Some(_)) = timeout(end.saturating_sub(start.elapsed()), receiver.recv()).await {
            ticks.push(start.elapsed().as_secs() / EVERY.as_secs());
        }
        drop(receiver);
        source.await.unwrap();
        ticks
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_changes_gives_one_event() {
        assert_eq!(ticks_with_events(&[Some("x"); 5]).await, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_gives_one_event() {
        let states = ["x", "x", "y", "y", "x"].map(Some);
        assert_eq!(ticks_with_events(&states).await, [0, 2, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_is_no_change_and_one_that_works_again_is() {
        assert_eq!(ticks_with_events(&[Some("x"), None, None, None]).await, [0]);
        assert_eq!(ticks_with_events(&[None, Some("x"), Some("x"), None, Some("x"), None]).await, [1, 4]);
        assert_eq!(ticks_with_events(&[Some("x"), None, Some("y"), Some("y")]).await, [0, 2]);
    }
}
