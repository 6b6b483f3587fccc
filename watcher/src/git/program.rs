//! Programs that are started beside this one: `git` and `ssh`, with an environment of their own.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::program::on_path;

/// The variables that a child gets, and no others: where programs, keys and their configuration are. What holds a
/// secret of ours, points git at another repository or makes it trace what it does is not among them.
const PASSED_ON: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
];

/// Returns a command that starts `program` with an environment of its own.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let program = program.as_ref();
    // Looked up in the child it would cost a copy of this process: that is how the standard library does it for a child with a
    // `PATH` of its own.
    let place = program.to_str().filter(|name| !name.contains('/')).and_then(on_path);
    let mut command = Command::new(place.as_deref().map_or(program, Path::as_os_str));
    let passed_on = PASSED_ON.iter().filter_map(|name| Some((name, env::var_os(name)?)));
    // What a child prints is read by this program, which knows one language.
    command.env_clear().envs(passed_on).env("LC_ALL", "C");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_named_variables_only() {
        let command = command("git");
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        assert!(names.iter().all(|name| name == "LC_ALL" || PASSED_ON.contains(&&**name)), "{names:?}");
        for secret in
            ["FLEETWRIGHT_TOKEN", "GITHUB_TOKEN", "FLEETWRIGHT_WEBHOOK_SECRET", "GIT_TRACE", "GIT_DIR"]
        {
            assert!(!PASSED_ON.contains(&secret));
        }
    }

    #[test]
    fn what_a_child_sees_is_what_it_was_given() {
        let output = command("env").env("LC_ALL", "C").output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<_> = seen.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // Cargo sets many variables for a test; none of them may arrive.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        assert!(names.contains(&"PATH") && !names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    }
}
