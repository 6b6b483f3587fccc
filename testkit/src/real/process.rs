//! Programs that run for as long as a test needs them.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// How long a program may take to be ready: a cold disk and a busy machine take their time.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often something is asked that takes a while.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of its log is shown when it fails.
const SHOWN_LINES: usize = 20;

/// A folder for programs and their logs. It is deleted at the end, unless the test fails.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if panicking() {
            self.0.disable_cleanup(true);
            eprintln!("the logs of what ran are in `{}`", self.path().display());
        }
    }
}

/// A running program; ended when it is dropped.
pub(super) struct Process {
    command: Command,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in `folder`, where its log is called by `name`.
    pub(super) fn start<'a>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = String>,
        environment: impl IntoIterator<Item = (&'a str, OsString)>,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = spawn(&mut command)?;
        Ok(Self { command, child, log })
    }

    /// Kills the program, as a machine does that is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the program again as it was started first.
    pub(super) fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&mut self.command)?;
        Ok(())
    }

    /// Waits until the program is what it should be, and fails with its last words if it ends before.
    pub(super) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let mut ended = None;
        let is_over = || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some() || is_so())
        };
        let outcome = wait_until(PATIENCE, what, is_over);
        match ended {
            Some(status) => bail!("it ended with {status} before {what}:\n{}", self.last_words()),
            None => outcome.with_context(|| self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing that it keeps is needed afterwards.
        let _ = self.kill();
    }
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("failed to start `{}`", command.get_program().display()))
}

/// Asks until something is so, and fails when it takes too long.
pub fn wait_until(patience: Duration, what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        if start.elapsed() > patience {
            bail!("it took longer than {patience:?} until {what}");
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Returns ports that were free a moment ago: few programs can be asked which one they took.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// Returns arguments as a program takes them.
pub(super) fn arguments<const N: usize>(given: [&str; N]) -> Vec<String> {
    given.map(str::to_owned).to_vec()
}
