//! Workers: rendering happens in child processes of the same binary, so that nothing in a repository can end
//! the service.
//!
//! A worker opens the repository by itself, reads, renders, and answers over a pipe. It has limits of the
//! operating system, no token, and keeps nothing that is needed later. One renders the base branch, another
//! what people propose: what they propose never costs the memory or the life of the first. Both are kept for
//! what they remember, and replaced when they end.

mod changes;
mod death;
mod frame;
mod limits;
mod message;
mod objects;
mod process;
mod serve;
mod workers;

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

pub use death::WorkerDeath;
pub use limits::{Limits, WorkerSettings, leave_no_core};
pub use workers::Purpose;
pub(super) use workers::{Workers, renderable};

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
