//! Programs that tests start, which know nothing of the configuration of this machine.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Writes a script that can be started at once, in the place of the one that may be there; folders are made for it.
///
/// Another program writes it: if this process did, a child that another thread starts at the same time would hold the file open
/// for a moment, and Linux starts no program that is open for writing (`ETXTBSY`).
///
/// # Panics
///
/// If it cannot be written.
pub fn write_script(path: impl AsRef<Path>, text: &str) {
    const WRITE: &str = r#"mkdir -p "${1%/*}" && cat >"$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#;
    let mut command = command("sh");
    command.args(["-c", WRITE, "sh"]).arg(path.as_ref()).stdin(Stdio::piped());
    let mut child = command.spawn().expect("`sh` can be started");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(text.as_bytes()).expect("`sh` reads its input");
    drop(stdin);
    let status = child.wait().expect("`sh` is a child of this process");
    assert!(status.success(), "`{}` cannot be written", path.as_ref().display());
}
