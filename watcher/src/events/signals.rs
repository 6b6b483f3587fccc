//! Signals: the first asks for a graceful stop, the second ends the process.
//!
//! Knows nothing of what is being stopped.

use std::io;

use tracing::info;

use super::Cancel;

/// Requests a stop on the first Ctrl-C or SIGTERM and ends the process on the second.
///
/// The process then ends with 128 plus the signal's number. Whatever it left behind, the next run puts right.
pub fn stop_on_signals(cancel: Cancel) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        info!("stopping at the next step boundary; a second signal stops at once");
        cancel.request();
        let number = signals.next().await;
        std::process::exit(128 + number);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for a signal and returns its number.
    async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for a signal and returns the number that Ctrl-C has elsewhere.
    async fn next(&mut self) -> i32 {
        self.interrupt.recv().await;
        2
    }
}
