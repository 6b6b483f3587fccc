//! Programs that tests start, which know nothing of the configuration of this machine.

use std::env;
use std::path::Path;
use std::process::Command;

/// Returns a command that starts a program from `PATH` with an environment of its own.
///
/// The program is looked up here: in a command with a `PATH` of its own, the standard library looks it up in the child, for which
/// it copies the whole process.
#[must_use]
pub fn command(name: impl AsRef<Path>) -> Command {
    let name = name.as_ref();
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&folders).map(|folder| folder.join(name));
    let mut command = Command::new(places.find(|place| place.is_file()).unwrap_or_else(|| name.to_owned()));
    command
        .env_clear()
        .env("PATH", folders)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    command
}
