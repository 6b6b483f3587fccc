//! Workers: rendering happens in child processes of the same binary, so that nothing in a repository can end the service.
//!
//! A worker opens the repository by itself, reads, renders, and answers over a pipe. It has limits of the operating
//! system, no token, and keeps nothing that is needed later. One renders the base branch, another what people propose: what they
//! propose never costs the memory or the life of the first. Both are kept for what they remember, and replaced when they
//! end.

mod assembly;
mod death;
mod frame;
mod limits;
mod message;
mod process;
mod serve;
mod workers;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

pub use death::WorkerDeath;
pub use limits::{Limits, leave_no_core};
pub use workers::Purpose;
pub(super) use workers::Workers;

/// How long one rendering may take: a fleet of 1,000 clusters takes a second.
const TIME: Duration = Duration::from_mins(1);
/// The stack of each thread: what threads have everywhere else, too.
const STACK_BYTES: usize = 2 << 20;
/// The memory of the worker that renders what people propose, unless the base branch takes a good part of it.
const REVIEW_MEMORY_BYTES: u64 = 512 << 20;
/// The memory of the worker that renders the base branch: for a fleet of several thousand clusters.
const BASE_MEMORY_BYTES: u64 = 4 << 30;

/// The program that workers are started from, and their limits.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The program: this one.
    pub program: PathBuf,
    /// The limits of the worker that renders the base branch.
    pub base: Limits,
    /// The limits of the worker that renders what people propose. Its memory grows with what the base branch takes.
    pub review: Limits,
}

impl WorkerSettings {
    /// Returns the limits for this machine, with workers that are started from `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        // The rest is for the service itself, and for what else there is.
        let available = limits::available_memory_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3);
        let limits = |memory: u64| Limits {
            memory_bytes: memory.min(available),
            stack_bytes: STACK_BYTES,
            time: TIME,
        };
        Self { program, base: limits(BASE_MEMORY_BYTES), review: limits(REVIEW_MEMORY_BYTES) }
    }

    /// Returns the limits for this machine, with workers that are started from this very program.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // On Linux the file may have been replaced since: this names the one that runs.
        let running = Path::new("/proc/self/exe");
        Ok(Self::new(if running.exists() { running.to_owned() } else { program }))
    }
}

/// Serves as a worker on standard input and output until the service ends, and ends the process with it.
///
/// # Errors
///
/// If an answer cannot be written, or a thread cannot be started.
pub fn work(limits: Limits) -> io::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(limits.stack_bytes);
    pool.build_global().map_err(io::Error::other)?;
    limits::confine(&limits);
    let (sender, requests) = sync_channel(1);
    thread::Builder::new().name("requests".into()).spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some((request, _))) = frame::read(&mut input) {
            if sender.send(request).is_err() {
                break;
            }
        }
        // The service has ended: no answer is needed, however far it has come.
        std::process::exit(0);
    })?;
    let answers = move || {
        let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
        serve::serve(requests.into_iter(), out, limits.time)
    };
    let served =
        thread::Builder::new().name("answers".into()).stack_size(limits.stack_bytes).spawn(answers)?;
    served.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")))
}
