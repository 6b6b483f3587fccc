//! `fleetwright worker`: what the service starts to render in. Not for people.

use std::time::Duration;

use super::Exit;
use crate::error::CommandError;
use crate::run::{Limits, work};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The memory that it may write to.
    #[arg(long)]
    memory_bytes: u64,
    /// The stack of each of its threads.
    #[arg(long)]
    stack_bytes: usize,
    /// How long one rendering may take.
    #[arg(long)]
    time_ms: u64,
    /// The largest file that it may write.
    #[arg(long, default_value_t = 0)]
    file_bytes: u64,
}

pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let Args { memory_bytes, stack_bytes, time_ms, file_bytes } = *args;
    let limits = Limits { memory_bytes, stack_bytes, time: Duration::from_millis(time_ms), file_bytes };
    work(limits).map_err(|error| CommandError::unexpected("serve as a worker", error))?;
    Ok(Exit::Done)
}
