//! A conversation over HTTP: each question a request of its own, since a web server remembers nothing.

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

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
#[derive(Clone, Debug)]
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

    pub(in crate::git) fn converse(&self, service: Service) -> Result<HttpConversation, Fault> {
        let token = self.identity.token(SystemTime::now())?;
        let authorization = token.map(|token| Authorization::Basic(USER, token));
        let mut conversation = HttpConversation {
            remote: self.clone(),
            service,
            authorization,
            reader: Box::new(std::io::empty()),
        };
        conversation.greet()?;
        Ok(conversation)
    }
}

impl fmt::Display for HttpRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

pub(in crate::git) struct HttpConversation {
    remote: HttpRemote,
    service: Service,
    authorization: Option<Authorization>,
    reader: Box<dyn Read>,
}

impl HttpConversation {
    pub(in crate::git) fn reader(&mut self) -> &mut dyn Read {
        &mut *self.reader
    }

    pub(in crate::git) fn ask(
        &mut self,
        pace: &mut Pace,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut question = tempfile::SpooledTempFile::new(MAX_QUESTION_IN_MEMORY);
        write(&mut question)?;
        let length = question.stream_position()?;
        question.seek(SeekFrom::Start(0))?;
        let name = self.service.name();
        let request = format!("application/x-git-{name}-request");
        let result = format!("application/x-git-{name}-result");
        let headers = [(CONTENT_TYPE, request.as_str()), (ACCEPT, result.as_str())];
        let body = Upload { reader: &mut Paced { stream: &mut question, pace }, length };
        let answer = self.request(&format!("/git-{name}"), &headers, MAX_PACK_BYTES, Some(body))?;
        self.read(answer, &result)
    }

    fn greet(&mut self) -> Result<(), Fault> {
        let name = self.service.name();
        let path = format!("/info/refs?service=git-{name}");
        let answer = self.request(&path, &[], MAX_LIST_BYTES as u64, None)?;
        self.read(answer, &format!("application/x-git-{name}-advertisement"))
    }

    /// Sends a request below the repository's address, with POST if there is a body.
    fn request(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        max_bytes: u64,
        body: Option<Upload<'_>>,
    ) -> Result<Answer, Fault> {
        let protocol = self.service.protocol();
        let protocol = protocol.map(|version| (HeaderName::from_static("git-protocol"), version));
        let request = Request {
            method: if body.is_some() { Method::POST } else { Method::GET },
            authorization: self.authorization.as_ref(),
            headers: &headers.iter().cloned().chain(protocol).collect::<Vec<_>>(),
            ..Request::get(&self.remote.url, path, max_bytes)
        };
        let answer = self.remote.client.send(&request, body).and_then(Answer::success);
        Ok(answer.inspect_err(|error| {
            if error.kind == HttpErrorKind::CredentialRejected {
                self.remote.identity.forget();
            }
        })?)
    }

    fn read(&mut self, answer: Answer, content_type: &str) -> Result<(), Fault> {
        if answer.header(&CONTENT_TYPE) != Some(content_type) {
            return Err(not_git(&self.remote.url));
        }
        self.reader = Box::new(std::io::BufReader::new(answer.into_reader()));
        Ok(())
    }
}

fn not_git(url: &Url) -> Fault {
    let hint = "check the address; a page for people, such as a login, is no repository";
    Fault::stalled(format!("`{url}` answers, but not as a git repository"), hint)
}

#[cfg(test)]
mod tests;
