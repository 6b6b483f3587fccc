//! The limits of the operating system, as a process sets them for itself.
//!
//! A process can only lower them for good. On Linux all of them hold; on macOS memory is not bounded, since anonymous
//! mappings do not count there. A deadline holds everywhere.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What one worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The memory that it may write to, beside the stacks of its threads.
    pub memory_bytes: u64,
    /// The stack of each of its threads.
    pub stack_bytes: usize,
    /// How long one rendering may take.
    pub time: Duration,
    /// The largest file that it may write; 0 for none at all.
    pub file_bytes: u64,
}

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
        let available = available_memory_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3);
        let limits = |memory: u64| Limits {
            memory_bytes: memory.min(available),
            stack_bytes: STACK_BYTES,
            time: TIME,
            file_bytes: 0,
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

/// Files, sockets and pipes that a worker may have open at once: it reads one repository, and packs are files.
const MAX_FILES: u64 = 1024;

/// How much processor time passes unexplained before it counts: the limit is a backstop behind the deadline.
const SPARE_SECONDS: u64 = 10;

/// Confines a worker before it reads anything: its memory, its files, what a crash leaves behind.
pub(super) fn confine(limits: &Limits) {
    let stacks = (limits.stack_bytes as u64).saturating_mul(rayon::current_num_threads() as u64 + 1);
    // What has to be killed for want of memory is the worker, and not the service. Only Linux has the file, and only a
    // process that can be dumped may write it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    lower(Resource::Data, limits.memory_bytes.saturating_add(stacks));
    lower(Resource::Nofile, MAX_FILES);
    lower(Resource::Fsize, limits.file_bytes);
    leave_no_core();
}

/// Keeps the memory of this process, which holds tokens, out of core files and away from other processes of the user.
pub fn leave_no_core() {
    lower(Resource::Core, 0);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Lets the process use processor time for one more rendering, on each of its threads.
pub(super) fn allow_rendering(time: Duration) {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let threads = rayon::current_num_threads() as u64 + 1;
    let allowed = used + time.as_secs().saturating_mul(threads) + SPARE_SECONDS;
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(allowed, |maximum| maximum.min(allowed)));
    // It fails only above the maximum.
    let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
}

/// Lowers a limit for good; one that is lower already stays.
fn lower(resource: Resource, to: u64) {
    let maximum = getrlimit(resource).maximum.map_or(to, |maximum| maximum.min(to));
    // Lowering never fails on a resource that the system knows; one that it does not know bounds nothing.
    let _ = setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) });
}

/// Returns how much memory counts for this process, if the system reports it. The allocator hands none back,
/// so that this is what it took at most.
pub(super) fn memory_bytes() -> Option<u64> {
    status_bytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmData:")
}

fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Returns how much memory this process and its children can have: what the container or the machine has.
fn available_memory_bytes() -> Option<u64> {
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| status_bytes(&text, "MemTotal:"));
    [container, machine].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_holds_tokens_is_kept_out_of_core_files() {
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        leave_no_core();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let status = "Name:\tfleetwright\nVmData:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(status_bytes(status, "VmData:"), Some(12345 << 10));
        assert_eq!(status_bytes(status, "VmHWM:"), None);
        assert_eq!(status_bytes("VmData:\tmuch\n", "VmData:"), None);
    }
}
