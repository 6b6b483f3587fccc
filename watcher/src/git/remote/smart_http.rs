//! A conversation over HTTP: each question a request of its own, since a web server remembers nothing.

use std::io::{BufReader, Read, Seek, Write};
use std::time::SystemTime;

use derive_more::Display;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};

use crate::http::{Answer, Authorization, Client, HttpErrorKind, Request, Upload, Url};
use crate::identity::Identity;

use super::pace::{Pace, PaceLimits, Paced};
use super::packet::MAX_LIST_BYTES;
use super::service::{MAX_PACK_BYTES, Service};
use crate::git::error::Fault;

/// A question is kept in memory up to this size, and in an unnamed file beyond.
const MAX_QUESTION_IN_MEMORY: usize = 1 << 20;

/// The name that forges expect with a token as the password; most take any name.
const USER: &str = "x-access-token";

/// A repository behind a web server.
#[derive(Clone, Debug, Display)]
#[display("{url}")]
pub(in crate::git) struct HttpRemote {
    url: Url,
    client: Client,
    identity: Identity,
    pub(in crate::git) limits: &'static PaceLimits,
}

impl HttpRemote {
    pub(in crate::git) const fn new(url: Url, client: Client, identity: Identity) -> Self {
        Self { url, client, identity, limits: &PaceLimits::DEFAULT }
    }

    /// Begins a conversation, and returns its greeting with it.
    pub(in crate::git) fn converse(
        &self,
        service: Service,
    ) -> Result<(HttpConversation, Box<dyn Read>), Fault> {
        let token = self.identity.token(SystemTime::now())?;
        let authorization = token.map(|token| Authorization::Basic(USER.into(), token));
        let conversation = HttpConversation { remote: self.clone(), service, authorization };
        let greeting = conversation.request(&format!("/info/refs?service=git-{}", service.name()), None)?;
        Ok((conversation, greeting))
    }
}

pub(in crate::git) struct HttpConversation {
    remote: HttpRemote,
    service: Service,
    authorization: Option<Authorization>,
}

impl HttpConversation {
    /// Asks with what `write` writes, and returns the answer.
    pub(in crate::git) fn ask(
        &self,
        pace: &mut Pace,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<Box<dyn Read>, Fault> {
        let mut question = tempfile::SpooledTempFile::new(MAX_QUESTION_IN_MEMORY);
        write(&mut question)?;
        let length = question.stream_position()?;
        question.rewind()?;
        let body = Upload { reader: &mut Paced { stream: &mut question, pace }, length };
        self.request(&format!("/git-{}", self.service.name()), Some(body))
    }

    /// Sends a request below the repository's address: with POST for a result if there is a body, or else for what the
    /// other side has.
    fn request(&self, path: &str, body: Option<Upload<'_>>) -> Result<Box<dyn Read>, Fault> {
        let kind = |kind| format!("application/x-git-{}-{kind}", self.service.name());
        let (question, answer) =
            (kind("request"), kind(if body.is_some() { "result" } else { "advertisement" }));
        let protocol = self.service.protocol();
        let protocol = protocol.map(|version| (HeaderName::from_static("git-protocol"), version));
        let mut headers: Vec<_> = protocol.into_iter().collect();
        let mut request = Request::get(&self.remote.url, path, MAX_LIST_BYTES as u64);
        if body.is_some() {
            headers.extend([(CONTENT_TYPE, &*question), (ACCEPT, &*answer)]);
            (request.method, request.max_bytes) = (Method::POST, MAX_PACK_BYTES);
        }
        let request = Request { authorization: self.authorization.as_ref(), headers: &headers, ..request };
        let found = self.remote.client.send(&request, body).and_then(Answer::success);
        let found = found.inspect_err(|error| {
            if error.kind == HttpErrorKind::CredentialRejected {
                self.remote.identity.forget();
            }
        })?;
        if found.header(&CONTENT_TYPE) != Some(&*answer) {
            return Err(not_git(&self.remote.url));
        }
        Ok(Box::new(BufReader::new(found.into_reader())))
    }
}

fn not_git(url: &Url) -> Fault {
    let hint = "check the address; a page for people, such as a login, is no repository";
    Fault::stalled(format!("`{url}` answers, but not as a git repository"), hint)
}

#[cfg(test)]
mod tests;
