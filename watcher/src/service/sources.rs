//! What makes the service look at a forge without an event: pages that changed, and deliveries that did not arrive.
//!
//! Connects the looks of `events` with the one client of GitHub, so that all requests share one budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::info;

use crate::events::poll::poll;
use crate::events::{Event, Events, Monitor};
use crate::forge::Home;
use crate::forge::github::{Hook, sweep};

/// How often to look for failed deliveries. Polling finds the changes behind them earlier.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

/// Looks whether pages changed that show what no ref does, those of the base branch of that moment, if the
/// forge has pages.
pub(super) fn look_at_pages(
    home: &Home,
    base: Arc<Mutex<String>>,
    every: Duration,
    monitor: &Monitor,
    events: &Events,
) {
    let Home::GitHub(client) = home else { return };
    let (client, monitor) = (Arc::clone(client), monitor.clone());
    let look = move || {
        let base = base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        monitor.observe_look(client.look(&base))
    };
    tokio::spawn(poll(every, Event::Changed, events.clone(), look));
}

/// Looks for deliveries that did not arrive, and asks for them again: those of a repository's webhook, or of
/// our own App's.
pub(super) fn sweep_deliveries(home: &Home, webhook: Option<u64>, monitor: &Monitor, events: &Events) {
    let Home::GitHub(client) = home else { return };
    let hook = match webhook {
        Some(id) => Hook::Repository(id),
        None if client.acts_as_app() => Hook::App,
        None => {
            info!("deliveries that do not arrive are left to polling; `--webhook-id` lets them come again");
            return;
        }
    };
    let look = sweep(Arc::clone(client), hook, monitor.metrics.clone());
    tokio::spawn(poll(SWEEP_INTERVAL, Event::Changed, events.clone(), look));
}
