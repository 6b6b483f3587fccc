//! One worker as the service sees it: a child process that is asked, watched and ended.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use renderer::render::Progress;
use rustix::process::{Pid, Signal, kill_process_group};
use tracing::debug;

use super::changes::Arrived;
use super::death::WorkerDeath;
use super::frame::{self, FrameError};
use super::limits::Limits;
use super::message::{Answer, Reply, Request};
use crate::events::Cancel;
use crate::git::Revision;

/// How often it is looked whether a stop was requested while nothing arrives.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How many frames may wait to be taken.
const WAITING_FRAMES: usize = 4;
/// How much of a line on standard error is kept, and how many lines: a crash is reported last.
const MAX_LINE_BYTES: u64 = 2_000;
const KEPT_LINES: usize = 20;
/// What a worker needs of our environment: where git is configured, and nothing that could be a token.
const ENVIRONMENT: [&str; 3] = ["HOME", "XDG_CONFIG_HOME", "RAYON_NUM_THREADS"];
/// What one needs that fetches charts, beside that: the way to them, and where Docker and Helm keep credentials for them.
/// Helm itself gets none of it.
const TO_FETCH: [&str; 17] = [
    "ALL_PROXY",
    "DOCKER_CONFIG",
    "HELM_CONFIG_HOME",
    "HELM_REGISTRY_CONFIG",
    "HELM_REPOSITORY_CONFIG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

type Frame = Result<(Reply, Vec<u8>), FrameError>;

/// A worker that waits for a request.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: ChildStdin,
    replies: Receiver<Frame>,
    last_lines: Option<JoinHandle<Vec<String>>>,
    limits: Limits,
    /// Whether it has answered anything that may have left something behind in its memory.
    pub is_used: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Ended {
    /// A stop was requested.
    Stopped,
    /// The worker ended, while it rendered this revision if it rendered any.
    Died { death: WorkerDeath, rendering: Option<Revision>, last_lines: Vec<String> },
}

impl Process {
    /// Starts a worker of `program`.
    pub(super) fn start(program: &Path, limits: Limits) -> io::Result<Self> {
        let more: &[&str] = if limits.file_bytes > 0 { &TO_FETCH } else { &[] };
        let names = ENVIRONMENT.iter().chain(more);
        let mut command = Command::new(program);
        command
            .arg("worker")
            .args(["--memory-bytes", &limits.memory_bytes.to_string()])
            .args(["--stack-bytes", &limits.stack_bytes.to_string()])
            .args(["--time-ms", &limits.time.as_millis().to_string()])
            .args(["--file-bytes", &limits.file_bytes.to_string()])
            .env_clear()
            .envs(names.filter_map(|name| Some((name, std::env::var_os(name)?))))
            // The allocator takes address space by the gigabyte. What it does not use must not count.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C is for the service, which ends the worker.
        command.process_group(0);
        let mut child = command.spawn()?;
        let (Some(requests), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three are piped");
        };
        let (sender, replies) = sync_channel(WAITING_FRAMES);
        thread::Builder::new().name("worker replies".into()).spawn(move || pass_on(stdout, &sender))?;
        let last_lines = thread::Builder::new().name("worker log".into()).spawn(move || log_lines(stderr))?;
        Ok(Self { child, requests, replies, last_lines: Some(last_lines), limits, is_used: false })
    }

    /// Returns whether it can make objects of charts: it may write files.
    pub(super) const fn makes_objects(&self) -> bool {
        self.limits.file_bytes > 0
    }

    /// Asks for something and waits for the end of the answer, for as long as each rendering may take.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Answer, Ended> {
        let (mut rendering, mut arrived) = (None, Arrived::new(self.limits.memory_bytes));
        // If it cannot be written, the worker has ended: the missing answer shows how.
        let _ = frame::write(&mut self.requests, request, std::iter::empty());
        let _ = self.requests.flush();
        let mut deadline = Instant::now() + self.limits.time;
        loop {
            if cancel.is_requested() {
                return Err(Ended::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let death = WorkerDeath::Time { limit: self.limits.time };
                return Err(Ended::Died { death, rendering, last_lines: Vec::new() });
            }
            match self.replies.recv_timeout(left.min(LOOK_INTERVAL)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Ok((Reply::Begin(revision), _))) => {
                    rendering = Some(revision);
                    deadline = Instant::now() + self.limits.time;
                }
                Ok(Ok((Reply::Advance { by, total }, _))) => {
                    (0..by.min(total)).for_each(|_| progress.advance(total));
                }
                Ok(Ok((Reply::Changes(changes), bytes))) => {
                    if arrived.take(changes, &bytes).is_err() {
                        return Err(self.unintelligible(rendering));
                    }
                }
                Ok(Ok((Reply::Done(mut answer), _))) => {
                    if let Answer::Compared { fleet, .. } = &mut answer {
                        fleet.changes = arrived.changes;
                    }
                    return Ok(answer);
                }
                Ok(Err(FrameError::Pipe(_))) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.died(rendering));
                }
                Ok(Err(_)) => return Err(self.unintelligible(rendering)),
            }
        }
    }

    /// Ends a worker that still runs, but sends what is no answer.
    fn unintelligible(&mut self, rendering: Option<Revision>) -> Ended {
        let _ = self.child.kill();
        let death = WorkerDeath::Fault { how: "an answer that cannot be read".to_owned() };
        Ended::Died { death, rendering, last_lines: self.last_lines() }
    }

    fn died(&mut self, rendering: Option<Revision>) -> Ended {
        self.end_group();
        let (status, last_lines) = (self.child.wait(), self.last_lines());
        let death = match status {
            Ok(status) => cause(status, &last_lines, &self.limits),
            Err(error) => WorkerDeath::Fault { how: error.to_string() },
        };
        Ended::Died { death, rendering, last_lines }
    }

    /// Ends what it has started, too: its group is named by its number, which is another process's only once it was waited for.
    fn end_group(&self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn last_lines(&mut self) -> Vec<String> {
        self.last_lines.take().and_then(|lines| lines.join().ok()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before; there is nothing that it could lose.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end_group();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads frames as they arrive, until there are no more or the receiver is gone.
fn pass_on(stdout: impl io::Read, frames: &SyncSender<Frame>) {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    while let Some(frame) = frame::read(&mut stdout).transpose() {
        let is_last = frame.is_err();
        if frames.send(frame).is_err() || is_last {
            return;
        }
    }
}

/// Logs the lines of standard error, and returns the last ones when it is closed.
fn log_lines(stderr: impl io::Read) -> Vec<String> {
    let mut lines = std::collections::VecDeque::new();
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match io::Read::take(&mut stderr, MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return lines.into(),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        debug!(?line, "a worker wrote to standard error");
        lines.push_back(line);
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
    }
}

/// Returns what ended a worker, by its status and by what the runtime wrote before it aborted.
fn cause(status: ExitStatus, last_lines: &[String], limits: &Limits) -> WorkerDeath {
    let wrote = |words: &str| last_lines.iter().any(|line| line.contains(words));
    match signalled(status, limits) {
        Some(death) => death,
        None if wrote("memory allocation of ") => WorkerDeath::Memory { bytes: limits.memory_bytes },
        None if wrote("has overflowed its stack") => WorkerDeath::Depth,
        None => WorkerDeath::Fault { how: status.to_string() },
    }
}

/// Returns what a signal that ended a worker means by itself.
fn signalled(status: ExitStatus, limits: &Limits) -> Option<WorkerDeath> {
    let number = status.signal()?;
    let is_any = |signals: &[Signal]| signals.iter().any(|signal| signal.as_raw() == number);
    match number {
        _ if is_any(&[Signal::XCPU]) => Some(WorkerDeath::Time { limit: limits.time }),
        _ if is_any(&[Signal::KILL]) => Some(WorkerDeath::Killed),
        _ if is_any(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT]) => Some(WorkerDeath::Stopped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {

    use tempfile::TempDir;
    use testkit::program::write_script;

    use super::super::message::Task;
    use super::*;

    const LIMITS: Limits =
        Limits { memory_bytes: 512 << 20, stack_bytes: 2 << 20, time: Duration::from_mins(1), file_bytes: 0 };

    /// A program that reads the beginning of a request and then does what a script says.
    struct Program(TempDir);

    impl Program {
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let program = Self(folder);
            write_script(program.path(), &format!("#!/bin/sh\nhead -c 8 >/dev/null\n{script}\n"));
            program
        }

        fn path(&self) -> std::path::PathBuf {
            self.0.path().join("program")
        }

        fn ask(&self, limits: Limits, cancel: &Cancel) -> Ended {
            let mut process = Process::start(&self.path(), limits).unwrap();
            let request =
                Request { git_dir: "/fleet.git".into(), objects: None, task: Task::Members(revision()) };
            process.ask(&request, cancel, &()).unwrap_err()
        }

        fn death(&self) -> WorkerDeath {
            match self.ask(LIMITS, &Cancel::default()) {
                Ended::Died { death, .. } => death,
                Ended::Stopped => panic!("no stop was requested"),
            }
        }
    }

    fn revision() -> Revision {
        Revision::parse(&"a".repeat(40)).unwrap()
    }

    fn fault(how: &str) -> WorkerDeath {
        WorkerDeath::Fault { how: how.to_owned() }
    }

    #[test]
    fn a_process_that_ends_is_reported_by_its_cause() {
        let memory = WorkerDeath::Memory { bytes: LIMITS.memory_bytes };
        let time = WorkerDeath::Time { limit: LIMITS.time };
        for (script, death) in [
            ("echo 'memory allocation of 320000 bytes failed' >&2; kill -s ABRT $$", memory),
            ("echo \"thread 'answers' has overflowed its stack\" >&2; kill -s ABRT $$", WorkerDeath::Depth),
            ("kill -s XCPU $$", time),
            ("kill -s KILL $$", WorkerDeath::Killed),
            ("kill -s TERM $$", WorkerDeath::Stopped),
            ("kill -s SEGV $$", fault("signal: 11 (SIGSEGV)")),
            ("exit 3", fault("exit status: 3")),
            ("exit 0", fault("exit status: 0")),
        ] {
            assert_eq!(Program::new(script).death(), death, "{script}");
        }
    }

    #[test]
    fn what_is_no_answer_ends_the_worker() {
        for script in [
            "printf 'rendered files'; exec sleep 1000",
            "printf '\\002\\0\\0\\0\\0\\0\\0\\0{}'; exec sleep 1000",
        ] {
            let death = Program::new(script).death();
            assert_eq!(death, fault("an answer that cannot be read"), "{script}");
        }
    }

    #[test]
    fn a_worker_that_does_not_answer_in_time_is_ended() {
        let limits = Limits { time: Duration::ZERO, ..LIMITS };
        let ended = Program::new("exec sleep 1000").ask(limits, &Cancel::default());
        assert!(matches!(ended, Ended::Died { death: WorkerDeath::Time { .. }, rendering: None, .. }));
    }

    #[test]
    fn a_stop_does_not_wait_for_an_answer() {
        let cancel = Cancel::default();
        cancel.request();
        assert!(matches!(Program::new("exec sleep 1000").ask(LIMITS, &cancel), Ended::Stopped));
    }

    #[test]
    fn a_worker_gets_nothing_of_the_environment_but_what_it_needs() {
        let program = Program::new("env | cut -d = -f 1 > \"$(dirname \"$0\")/names\"");
        program.death();
        let names = std::fs::read_to_string(program.0.path().join("names")).unwrap();
        let own = ["MIMALLOC_ARENA_EAGER_COMMIT", "PWD", "SHLVL", "OLDPWD", "_"];
        let others = names.lines().filter(|name| !ENVIRONMENT.contains(name) && !own.contains(name));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
