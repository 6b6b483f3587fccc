//! Programs that run for as long as a test needs them, and end with it, however it ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, panicking, sleep};
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
    /// What started it; it is away while it starts it.
    command: Option<Command>,
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
        let mut command = ending_with_us(program);
        command
            .args(arguments)
            .envs(environment)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let (command, child) = spawn(command)?;
        Ok(Self { command: Some(command), child, log })
    }

    /// Kills the program, as a machine does that is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends the program a signal, by its name.
    pub(super) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { bail!("failed to send {name}: {status}") }
    }

    /// Starts the program again as it was started first.
    pub(super) fn start_again(&mut self) -> Result<()> {
        let command = self.command.take().context("it could not be started again before")?;
        let (command, child) = spawn(command)?;
        (self.command, self.child) = (Some(command), child);
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

/// A command to be started, and where what became of it is sent.
type Order = (Command, Sender<(Command, io::Result<Child>)>);

/// The thread that starts programs: the kernel ends what asked for it with the thread that started it, and this one
/// runs as long as the process.
static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = channel::<Order>();
    thread::spawn(move || {
        for (mut command, answer) in orders {
            let child = command.spawn();
            // Whoever asked waits for it.
            let _ = answer.send((command, child));
        }
    });
    sender
});

/// Returns a command for a program that the kernel ends when the process that starts it is killed, where there is
/// `setpriv` to ask for it.
fn ending_with_us(program: &Path) -> Command {
    static HAS_SETPRIV: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("setpriv").args(["--pdeathsig", "KILL", "true"]).status();
        tried.is_ok_and(|status| status.success())
    });
    if !*HAS_SETPRIV {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([OsStr::new("--pdeathsig"), OsStr::new("KILL"), program.as_os_str()]);
    command
}

fn spawn(command: Command) -> Result<(Command, Child)> {
    let (sender, answer) = channel();
    STARTER.send((command, sender))?;
    let (command, child) = answer.recv()?;
    let child = child.with_context(|| format!("failed to start {command:?}"))?;
    Ok((command, child))
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

#[cfg(test)]
mod tests {
    use std::env;
    use std::io::{BufRead as _, BufReader};

    use super::*;

    /// Names the variable that makes the test below start a program and wait to be killed.
    const IS_KILLED: &str = "FLEETWRIGHT_TEST_IS_KILLED";
    const NAME: &str = "real::process::tests::a_program_ends_with_the_test_that_is_killed";

    #[test]
    fn a_program_ends_with_the_test_that_is_killed() {
        if env::var_os(IS_KILLED).is_some() {
            return start_and_wait();
        }
        let mut test = Command::new(env::current_exe().unwrap());
        test.args([NAME, "--exact", "--nocapture", "--test-threads=2"]).env(IS_KILLED, "1");
        let mut test = test.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(test.stdout.take().unwrap()).lines().map(Result::unwrap);
        let started = lines.find_map(|line| Some(line.strip_prefix("started ")?.to_owned())).unwrap();
        let state = || fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
        wait_until(PATIENCE, "the program ran", || Ok(state().contains("(sleep) S"))).unwrap();
        test.kill().unwrap();
        test.wait().unwrap();
        // Its parent may be one that reaps nothing, so an entry without a program may stay.
        wait_until(PATIENCE, "the program ended", || Ok(!state().contains("(sleep) S"))).unwrap();
    }

    fn start_and_wait() {
        let folder = tempfile::tempdir().unwrap();
        // The thread that asks for it has ended long before the program does.
        let start = || Process::start("sleep", Path::new("sleep"), ["600".to_owned()], [], folder.path());
        let program = thread::scope(|scope| scope.spawn(start).join()).unwrap().unwrap();
        println!("\nstarted {}", program.child.id());
        sleep(Duration::from_mins(10));
    }
}
