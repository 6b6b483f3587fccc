//! A `multipass` without machines: its command line as documented, with the commands that scripts run on machines.
//!
//! What there is, it keeps in a folder that a variable names. Each call is written down there, and any call can fail, fail
//! after it did its work by half, or not come back.

mod call;
mod client;
mod host;
mod kubernetes;
mod machine;

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use call::{Answer, Call};
pub use host::{Cluster, Host, Instance};

/// The variable that names the folder.
const FOLDER: &str = "FAKE_MULTIPASS";
/// How long a call that does not come back lasts at most.
const HANGS: Duration = Duration::from_mins(2);

/// What goes wrong, and at which call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Trouble {
    /// This call finds no daemon.
    Refused(usize),
    /// This call and all later ones find no daemon.
    RefusedFrom(usize),
    /// This call fails after it did its work by half.
    Lost(usize),
    /// This call does its work by half and does not come back.
    Hanging(usize),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(answer) => {
            print!("{}", answer.stdout);
            eprint!("{}", answer.stderr);
            // A reader that is gone wants no more.
            let _ = std::io::stdout().flush();
            answer.code.into()
        }
        Err(error) => {
            eprintln!("the fake multipass failed: {error:#}");
            ExitCode::from(127)
        }
    }
}

fn run() -> Result<Answer> {
    let folder = PathBuf::from(env::var_os(FOLDER).with_context(|| format!("`{FOLDER}` is not set"))?);
    let arguments: Vec<_> = env::args().skip(1).collect();
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let mut host = Host::load(&folder)?;
    host.calls.push(arguments.clone());
    let number = host.calls.len();
    let trouble = read_trouble(&folder)?;
    let is = |wanted: fn(usize) -> Trouble| matches!((trouble, wanted(number)), (Some(Trouble::Lost(at)), Trouble::Lost(now)) | (Some(Trouble::Hanging(at)), Trouble::Hanging(now)) if at == now);
    let (is_lost, is_hanging) = (is(Trouble::Lost), is(Trouble::Hanging));
    let is_refused = match trouble {
        Some(Trouble::Refused(at)) => at == number,
        Some(Trouble::RefusedFrom(at)) => at <= number,
        _ => false,
    };
    if is_refused {
        host.save(&folder)?;
        let command = arguments.first().map_or("", String::as_str);
        return Ok(Answer::failed(3, format!("{command} failed: cannot connect to the multipass socket")));
    }
    let call = Call { arguments, folder, is_cut_short: is_lost || is_hanging };
    let answer = client::answer(&mut host, &call)?;
    host.save(&call.folder)?;
    if is_hanging {
        fs::write(call.folder.join("hangs"), "")?;
        drop(lock);
        sleep(HANGS);
    }
    if is_lost && answer.code == 0 {
        return Ok(Answer::failed(255, "exec failed: connection lost"));
    }
    Ok(answer)
}

fn read_trouble(folder: &Path) -> Result<Option<Trouble>> {
    let Ok(text) = fs::read(folder.join("trouble")) else { return Ok(None) };
    Ok(serde_json::from_slice(&text)?)
}

/// A Multipass for one test.
pub struct Multipass {
    folder: TempDir,
}

impl Multipass {
    /// Makes one without machines, out of the built program `multipass`.
    pub fn new(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("bin"))?;
        symlink(program, folder.path().join("bin/multipass"))?;
        Ok(Self { folder })
    }

    /// Lets a command, and all that it starts, find this Multipass, and the programs in these folders.
    pub fn serve(&self, command: &mut Command, folders: &[PathBuf]) -> Result<()> {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = [self.folder.path().join("bin")].into_iter().chain(folders.iter().cloned());
        let path = env::join_paths(own.chain(env::split_paths(&path)))?;
        command.env("PATH", path).env(FOLDER, self.folder.path());
        Ok(())
    }

    /// Returns what there is now.
    pub fn host(&self) -> Result<Host> {
        Host::load(self.folder.path())
    }

    /// Lets something go wrong from now on, or nothing any more.
    pub fn cause(&self, trouble: Option<Trouble>) -> Result<()> {
        let _ = fs::remove_file(self.folder.path().join("hangs"));
        fs::write(self.folder.path().join("trouble"), serde_json::to_vec(&trouble)?)?;
        Ok(())
    }

    /// Returns whether a call hangs.
    #[must_use]
    pub fn hangs(&self) -> bool {
        self.folder.path().join("hangs").exists()
    }

    /// Runs a command of Multipass, as a person does.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.folder.path().join("bin/multipass"));
        self.serve(&mut command, &[])?;
        let output = command.args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Lets the API server at an endpoint be a real one: what `kubeadm init` hands out is this kubeconfig.
    pub fn serve_cluster(&self, endpoint: &str, kubeconfig: &str) -> Result<()> {
        fs::create_dir_all(self.folder.path().join("servers"))?;
        Ok(fs::write(self.folder.path().join("servers").join(endpoint), kubeconfig)?)
    }
}
