//! What commands that go on for a while need of the process: a runtime that signals stop, and its own program.

use crate::error::CommandError;
use crate::events::Cancel;
use crate::events::signals::stop_on_signals;
use crate::output::Exit;
use crate::run::WorkerSettings;

/// Runs work that goes on until it is done or a signal asks it to stop.
pub(super) fn until_stopped(
    work: impl AsyncFnOnce(&Cancel) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::unexpected("start the runtime", error))?;
    runtime.block_on(async {
        let cancel = Cancel::default();
        stop_on_signals(cancel.clone())
            .map_err(|error| CommandError::unexpected("listen for signals", error))?;
        work(&cancel).await
    })
}

/// Returns how this very program renders in child processes.
pub(super) fn worker_settings() -> Result<WorkerSettings, CommandError> {
    let settings = WorkerSettings::of_this_program();
    settings.map_err(|error| CommandError::unexpected("find the program that runs", error))
}
