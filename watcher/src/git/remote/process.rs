//! A conversation with a child process: another repository's own git on this machine, or `ssh` that runs it
//! elsewhere.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::pipe::PIPE_BUF;

use super::pace::{Pace, Paced, seconds, too_slow};
use super::packet::{self, broken_off};
use super::service::Service;
use crate::git::error::Fault;
use crate::git::program::command;

/// What a child prints for people is kept up to this length.
const MAX_PRINTED_BYTES: u64 = 16 * 1024;

/// How often it is looked whether a child has ended.
const END_PAUSE: Duration = Duration::from_millis(5);

/// A child with its ends of the conversation.
pub(super) struct Process {
    child: Child,
    input: Option<BufWriter<Pipe<ChildStdin>>>,
    silence: Duration,
    errors: File,
    judge: fn(&str) -> Fault,
}

/// A child, and what it sends.
pub(super) type Started = (Process, Box<dyn Read>);

impl Process {
    /// Starts the git of the repository at `path`.
    pub(in crate::git) fn git(path: &Path, service: Service, silence: Duration) -> Result<Started, Fault> {
        let mut command = command("git");
        command.arg(service.name()).arg(path);
        Self::start(command, service, silence, judge_git)
    }

    /// Starts a command; `judge` makes an error of what it prints when the conversation fails.
    pub(in crate::git) fn start(
        mut command: Command,
        service: Service,
        silence: Duration,
        judge: fn(&str) -> Fault,
    ) -> Result<Started, Fault> {
        let errors = tempfile::tempfile()?;
        let stderr = errors.try_clone()?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.envs(service.protocol().map(|version| ("GIT_PROTOCOL", version)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| not_started(&program, error))?;
        let input = child.stdin.take().map(|pipe| BufWriter::new(Pipe { pipe, silence }));
        let output = child.stdout.take().expect("standard output is piped");
        let output = Box::new(BufReader::new(Pipe { pipe: output, silence }));
        Ok((Self { child, input, silence, errors, judge }, output))
    }

    pub(in crate::git) fn ask(
        &mut self,
        pace: &mut Pace,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let input = self.input.as_mut().ok_or_else(|| Fault::transient("the connection is closed"))?;
        write(&mut Paced { stream: input, pace })?;
        input.flush().map_err(|error| broken_off(&error))
    }

    pub(in crate::git) fn leave(mut self) {
        // Whether the goodbye arrives makes no difference: the other side also stops at the end of its input.
        if let Some(input) = &mut self.input {
            let _ = packet::write_flush(input).and_then(|()| Ok(input.flush()?));
        }
    }

    /// Returns what the child printed as the cause, or `error` if it printed nothing.
    pub(super) fn explain(mut self, error: Fault) -> Fault {
        self.end();
        let mut printed = Vec::new();
        let mut errors = &self.errors;
        let read = errors.rewind().and_then(|()| errors.take(MAX_PRINTED_BYTES).read_to_end(&mut printed));
        match String::from_utf8_lossy(&printed).trim() {
            "" => error,
            _ if read.is_err() => error,
            printed => (self.judge)(printed),
        }
    }

    fn end(&mut self) {
        self.input = None;
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if since.elapsed() >= self.silence {
                // It is beyond reach of its pipes, as an `ssh` whose other side keeps the connection.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(END_PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A pipe that is not waited for longer than for some time.
struct Pipe<P> {
    pipe: P,
    silence: Duration,
}

impl<P: AsFd> Pipe<P> {
    fn wait_for(&self, ready: PollFlags) -> io::Result<()> {
        let timeout = Timespec::try_from(self.silence).map_err(io::Error::other)?;
        let is_over = retry_on_intr(|| poll(&mut [PollFd::new(&self.pipe, ready)], Some(&timeout)))? == 0;
        if is_over { Err(too_slow(format!("nothing came for {}", seconds(self.silence)))) } else { Ok(()) }
    }
}

impl Read for Pipe<ChildStdout> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for(PollFlags::IN)?;
        self.pipe.read(buffer)
    }
}

impl Write for Pipe<ChildStdin> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.wait_for(PollFlags::OUT)?;
        // A pipe that takes something takes this much without waiting.
        self.pipe.write(&buffer[..buffer.len().min(PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

fn judge_git(printed: &str) -> Fault {
    match printed {
        _ if printed.contains("dubious ownership") => Fault::foreign_owner(printed),
        _ if printed.contains("not appear to be a git repository") => Fault::not_a_repository(),
        _ => Fault::transient(printed),
    }
}

fn not_started(program: &str, error: io::Error) -> Fault {
    if error.kind() != io::ErrorKind::NotFound {
        return error.into();
    }
    let hint = format!("install `{program}`, or use an `https://` address");
    Fault::stalled(format!("the program `{program}` is not installed"), hint)
}
