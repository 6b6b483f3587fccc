//! Signals: the first asks for a graceful stop, the second ends the process.
//!
//! Knows nothing of what is being stopped.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::Cancel;

/// Requests a stop on the first Ctrl-C or SIGTERM and ends the process on the second.
///
/// The process then ends with 128 plus the signal's number. The next run completes what was left undone.
pub fn stop_on_signals(cancel: Cancel) -> io::Result<()> {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let (mut interrupts, mut terminations) = (signal(interrupt)?, signal(terminate)?);
    let mut next = async move || {
        tokio::select! {
            _ = interrupts.recv() => interrupt.as_raw_value(),
            _ = terminations.recv() => terminate.as_raw_value(),
        }
    };
    tokio::spawn(async move {
        next().await;
        info!("stopping at the next step boundary; a second signal stops at once");
        cancel.request();
        std::process::exit(128 + next().await);
    });
    Ok(())
}
