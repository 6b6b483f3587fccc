//! A conversation with a child process: another repository's own git on this machine, or `ssh` that runs it elsewhere.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::conversation::Service;
use super::error::{Fault, classify_io};
use super::packet::{self, protocol};

/// What a child prints for people is kept up to this length.
const MAX_TOLD_BYTES: u64 = 16 * 1024;

/// A child with its ends of the conversation.
pub(super) struct Process {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: Box<dyn Read>,
    errors: File,
    judge: fn(&str) -> Fault,
}

impl Process {
    /// Starts the git of the repository at `path`.
    pub(super) fn git(path: &Path, service: Service) -> Result<Self, Fault> {
        let mut command = Command::new("git");
        command.arg(service.name()).arg(path);
        Self::start(command, service, judge_git)
    }

    /// Starts `command`; `judge` makes a fault of what it prints when the conversation fails.
    pub(super) fn start(
        mut command: Command,
        service: Service,
        judge: fn(&str) -> Fault,
    ) -> Result<Self, Fault> {
        let errors = tempfile::tempfile().map_err(classify_io)?;
        let stderr = errors.try_clone().map_err(classify_io)?;
        let program = command.get_program().to_string_lossy().into_owned();
        // These would point the other side at this repository, or change the protocol.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PROTOCOL"] {
            command.env_remove(name);
        }
        command.envs(service.protocol().map(|version| ("GIT_PROTOCOL", version)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| not_started(&program, error))?;
        let input = child.stdin.take().map(BufWriter::new);
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Ok(Self { child, input, output: Box::new(output), errors, judge })
    }

    pub(super) fn reader(&mut self) -> &mut dyn Read {
        &mut *self.output
    }

    pub(super) fn ask(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let input = self.input.as_mut().ok_or_else(|| protocol("the connection is closed"))?;
        write(input)?;
        input.flush().map_err(|error| packet::broken_off(&error))
    }

    pub(super) fn leave(mut self) {
        // Whether the goodbye arrives makes no difference: the other side also stops at the end of its input.
        let _ = self.ask(|out| packet::write_flush(out).map_err(|error| packet::broken_off(&error)));
    }

    pub(super) fn explain(mut self, fault: Fault) -> Fault {
        self.end();
        let mut told = Vec::new();
        let mut errors = &self.errors;
        let read = errors.rewind().and_then(|()| errors.take(MAX_TOLD_BYTES).read_to_end(&mut told));
        match String::from_utf8_lossy(&told).trim() {
            "" => fault,
            _ if read.is_err() => fault,
            told => (self.judge)(told),
        }
    }

    fn end(&mut self) {
        self.input = None;
        // A child that still has much to say stops when nobody listens.
        self.output = Box::new(std::io::empty());
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn judge_git(told: &str) -> Fault {
    match told {
        _ if told.contains("dubious ownership") => Fault::ForeignOwner,
        _ if told.contains("not appear to be a git repository") => Fault::NotARepository,
        _ => protocol(told),
    }
}

fn not_started(program: &str, error: std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Fault::NoProgram { program: program.to_owned() };
    }
    classify_io(error)
}
