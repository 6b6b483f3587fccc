//! A program that runs for as long as a test needs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a program may take to be ready: a cold disk and a busy machine take their time.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of its log is shown when it fails.
const SHOWN_LINES: usize = 20;

/// A running program; ended when it is dropped.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with its log in `folder`.
    pub(super) fn start(program: &Path, arguments: &[String], folder: &Path) -> Result<Self> {
        let name = program.file_name().context("a program has a name")?.to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("failed to start `{}`", program.display()))?;
        Ok(Self { child, log })
    }

    /// Waits until the program is what it should be, and fails with its last words if it ends before.
    pub(super) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_so() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status} before {what}:\n{}", self.last_words());
            }
            if start.elapsed() > PATIENCE {
                bail!("it took longer than {PATIENCE:?} until {what}:\n{}", self.last_words());
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It keeps nothing that anybody needs afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
