//! Conversations with the git of another repository: over HTTP, through `ssh`, or with a process on this machine.
//!
//! The other side greets with what it has and what it can do; then questions and answers take turns. What is in them
//! is up to `upload_pack` and `receive_pack`; here they are only carried.

use std::io::{Read, Write};
use std::time::Instant;

use super::address::Remote;
use super::pace::{Pace, PaceLimits, Paced};
use super::process::Process;
use super::service::Service;
use super::smart_http::HttpConversation;
use crate::git::error::Fault;

/// A conversation under way.
pub(super) struct Conversation {
    /// What the other side sends. It is closed before the channel, or a child with much to print would not end.
    reader: Box<dyn Read>,
    channel: Channel,
    pace: Pace,
}

enum Channel {
    Process(Process),
    Http(HttpConversation),
}

impl Conversation {
    /// Holds a conversation with a service of `remote`; the greeting is the first thing to read in it.
    ///
    /// When it fails, what the other side printed explains more than what was seen of it here.
    pub(super) fn hold<T>(
        remote: &Remote,
        service: Service,
        talk: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut conversation = Self::start(remote, service)?;
        let result = talk(&mut conversation);
        drop(conversation.reader);
        match (conversation.channel, result) {
            (Channel::Process(process), Ok(value)) => {
                process.leave();
                Ok(value)
            }
            (Channel::Process(process), Err(error)) => Err(process.explain(error)),
            (Channel::Http(_), result) => result,
        }
    }

    fn start(remote: &Remote, service: Service) -> Result<Self, Fault> {
        let of_process = |(process, reader)| (Channel::Process(process), reader);
        let ((channel, reader), limits) = match remote {
            Remote::Path(path) => {
                let limits = &PaceLimits::DEFAULT;
                (of_process(Process::git(path, service, limits.silence)?), limits)
            }
            Remote::Ssh(ssh) => (of_process(ssh.converse(service)?), ssh.limits),
            Remote::Http(http) => {
                let (conversation, greeting) = http.converse(service)?;
                ((Channel::Http(conversation), greeting), http.limits)
            }
        };
        Ok(Self { reader, channel, pace: Pace::new(*limits, Instant::now()) })
    }

    /// Returns what the other side sends: the greeting first, after a question the answer.
    pub(super) fn reader(&mut self) -> Paced<'_, dyn Read> {
        Paced { stream: &mut *self.reader, pace: &mut self.pace }
    }

    /// Returns how the content of an answer is measured, of which what only keeps the connection alive is no part.
    pub(super) fn content_pace(&self) -> Pace {
        self.pace.clone()
    }

    /// Asks with what `write` writes; the answer can be read when this returns.
    pub(super) fn ask(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.pace.restart(Instant::now());
        match &mut self.channel {
            Channel::Process(process) => process.ask(&mut self.pace, write)?,
            Channel::Http(http) => self.reader = http.ask(&mut self.pace, write)?,
        }
        self.pace.restart(Instant::now());
        Ok(())
    }
}
