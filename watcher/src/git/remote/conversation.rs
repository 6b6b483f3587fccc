//! Conversations with the git of another repository: through HTTP, through `ssh`, or with a process on this machine.
//!
//! The other side greets with what it has and what it can; then one asks and it answers, in turn. What is said is up to
//! the two sides of it, `upload_pack` and `receive_pack`; here it is only carried.

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use super::pace::{Pace, PaceLimits, Paced};
use super::process::Process;
use super::smart_http::{HttpConversation, HttpRemote};
use super::ssh::SshRemote;
use crate::git::error::Fault;

/// The two programs that a git server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Service {
    /// Sends objects.
    UploadPack,
    /// Receives objects and moves refs.
    ReceivePack,
}

impl Service {
    /// Returns the name without `git` before it.
    pub(in crate::git) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }

    /// Returns the version of the protocol to ask for, if it is not the first.
    ///
    /// The second lets a reader name the refs that it cares for, of which a busy repository has few among thousands.
    /// There is none for pushing.
    pub(in crate::git) const fn protocol(self) -> Option<&'static str> {
        match self {
            Self::UploadPack => Some("version=2"),
            Self::ReceivePack => None,
        }
    }
}

/// Another repository.
#[derive(Clone, Debug)]
pub(in crate::git) enum Remote {
    /// On this machine.
    Path(PathBuf),
    /// Behind `ssh`.
    Ssh(SshRemote),
    /// Behind a web server.
    Http(HttpRemote),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Ssh(ssh) => ssh.fmt(f),
            Self::Http(http) => http.fmt(f),
        }
    }
}

impl Remote {
    /// Starts a conversation; the greeting is the first thing to read.
    pub(in crate::git) fn converse(&self, service: Service) -> Result<Conversation, Fault> {
        let (channel, limits) = match self {
            Self::Path(path) => {
                let limits = &PaceLimits::DEFAULT;
                (Channel::Process(Process::git(path, service, limits.silence)?), limits)
            }
            Self::Ssh(ssh) => (Channel::Process(ssh.converse(service)?), ssh.limits),
            Self::Http(http) => (Channel::Http(http.converse(service)?), http.limits),
        };
        Ok(Conversation { channel, pace: Pace::new(*limits, Instant::now()) })
    }
}

/// A conversation under way.
pub(in crate::git) struct Conversation {
    channel: Channel,
    pace: Pace,
}

enum Channel {
    Process(Process),
    Http(HttpConversation),
}

impl Conversation {
    /// Returns what the other side says: the greeting first, after a question the answer.
    pub(in crate::git) fn reader(&mut self) -> Paced<'_, dyn Read + '_> {
        let stream = match &mut self.channel {
            Channel::Process(process) => process.reader(),
            Channel::Http(http) => http.reader(),
        };
        Paced { stream, pace: &mut self.pace }
    }

    /// Returns how the content of an answer is measured, of which what only keeps the connection alive is no part.
    pub(in crate::git) fn content_pace(&self) -> Pace {
        self.pace.clone()
    }

    /// Asks with what `write` writes; the answer can be read when this returns.
    pub(in crate::git) fn ask(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.pace.restart(Instant::now());
        match &mut self.channel {
            Channel::Process(process) => process.ask(&mut self.pace, write),
            Channel::Http(http) => http.ask(&mut self.pace, write),
        }?;
        self.pace.restart(Instant::now());
        Ok(())
    }

    /// Ends a conversation in which nothing more is asked.
    pub(in crate::git) fn leave(self) {
        if let Channel::Process(process) = self.channel {
            process.leave();
        }
    }

    /// Prefers what the other side printed over what was seen of it here.
    pub(in crate::git) fn explain(self, fault: Fault) -> Fault {
        match self.channel {
            Channel::Process(process) => process.explain(fault),
            Channel::Http(_) => fault,
        }
    }
}
