//! Repositories behind `ssh`: the system's own program, with its configuration, keys and known hosts.
//!
//! Nothing of an address can become an option or a second command: the parts are checked, `--` ends the options, and
//! the path is quoted for the shell at the other end.

use std::ffi::OsString;
use std::fmt;

use crate::git::program::command;

use super::pace::PaceLimits;
use super::process::{Process, Started};
use super::service::Service;
use crate::git::error::Fault;

/// What every connection is made with: no question that a service cannot answer, 20 seconds to come about, and two
/// minutes to notice that it is dead.
const OPTIONS: [&str; 5] = [
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=30",
    "ServerAliveCountMax=4",
    "SendEnv=GIT_PROTOCOL",
];

/// A repository behind `ssh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct SshRemote {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
    /// Which `ssh` runs; tests put their own here.
    pub(in crate::git) program: OsString,
    pub(in crate::git) limits: &'static PaceLimits,
}

impl SshRemote {
    /// Parses `ssh://[user@]host[:port]/path` or `[user@]host:path`; `None` if `text` is neither.
    pub(in crate::git) fn parse(text: &str) -> Option<Result<Self, Fault>> {
        let parts = match text.strip_prefix("ssh://") {
            Some(rest) => url_parts(rest),
            None if is_short(text) => short_parts(text),
            None => return None,
        };
        Some(parts.ok_or("it names no host or no path").and_then(Self::checked).map_err(malformed))
    }

    fn checked(self) -> Result<Self, &'static str> {
        if self.user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err("it has a password in it; `ssh` uses keys");
        }
        let is_name = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-:[]%".contains(c))
        };
        if !is_name(&self.host) || !self.user.as_deref().is_none_or(is_name) {
            return Err("its user or host has characters that such a name cannot have");
        }
        if self.path.trim_matches('/').is_empty() || self.path.starts_with('-') {
            return Err("its path is empty or begins with `-`");
        }
        if self.path.contains(|c: char| c.is_control()) {
            return Err("its path has control characters");
        }
        Ok(self)
    }

    /// Runs `service` at the other end.
    pub(super) fn converse(&self, service: Service) -> Result<Started, Fault> {
        let mut command = command(&self.program);
        command.args(self.arguments(service));
        Process::start(command, service, self.limits.silence, judge)
    }

    fn arguments(&self, service: Service) -> Vec<String> {
        let options = OPTIONS.into_iter().flat_map(|option| ["-o", option]);
        let mut arguments: Vec<String> = options.map(str::to_owned).collect();
        arguments.extend(self.port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let target = self.user.as_ref().map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"));
        let command = format!("git-{} {}", service.name(), quoted(&self.path));
        arguments.extend(["--".to_owned(), target, command]);
        arguments
    }
}

impl fmt::Display for SshRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        write!(f, "ssh://{user}{}{port}{slash}{}", self.host, self.path)
    }
}

fn url_parts(rest: &str) -> Option<SshRemote> {
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (user, host) = user_and_host(authority);
    let (host, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port.parse().ok()?)),
        _ => (host, None),
    };
    // `/~ann/fleet.git` is below Ann's home.
    let path = if path.starts_with("/~") { &path[1..] } else { path };
    Some(remote(user, host, port, path))
}

/// Returns whether this is `host:path`. A path on this machine with a colon in it can be written `./a:b`.
fn is_short(text: &str) -> bool {
    !text.contains("://") && text.split_once(':').is_some_and(|(head, _)| !head.contains('/'))
}

fn short_parts(text: &str) -> Option<SshRemote> {
    let (head, path) = text.split_once(':')?;
    let (user, host) = user_and_host(head);
    Some(remote(user, host, None, path))
}

fn user_and_host(authority: &str) -> (Option<&str>, &str) {
    authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host))
}

fn remote(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> SshRemote {
    SshRemote {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
        path: path.to_owned(),
        program: "ssh".into(),
        limits: &PaceLimits::DEFAULT,
    }
}

/// Quotes for a POSIX shell; csh also needs its `!` outside the quotes.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// The address is not repeated: it may hold a password.
fn malformed(reason: &str) -> Fault {
    Fault::stalled(
        format!("the address cannot be used: {reason}"),
        "write it like `https://github.com/acme/fleet.git` or `git@github.com:acme/fleet.git`",
    )
}

/// Finds the few failures that a user can do something about.
fn judge(printed: &str) -> Fault {
    let lines = || printed.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, last) = (lines().next().unwrap_or_default(), lines().next_back().unwrap_or_default());
    let has = |words: &[&str]| words.iter().any(|words| printed.contains(words));
    let (message, hint) = if has(&["Permission denied", "Too many authentication failures"]) {
        let hint =
            "give the user that runs this a key that the other side knows, or name one in `~/.ssh/config`";
        (format!("the other side refused the connection of `ssh`: {last}"), hint)
    } else if has(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        let hint = "verify the host's key and add it to `~/.ssh/known_hosts`";
        ("`ssh` does not trust the host's key".to_owned(), hint)
    } else if has(&[
        "not appear to be a git repository",
        "Repository not found",
        "Could not read from remote",
    ]) {
        let hint = "check the spelling, and that the key may read the repository";
        (format!("there is no such repository, or it may not be seen: {first}"), hint)
    } else {
        return Fault::transient(printed);
    };
    Fault::stalled(message, hint)
}

#[cfg(test)]
mod tests;
