//! The client of Slack: as a bot by the Web API, which edits and answers what it posted, or by an incoming webhook.

use std::thread;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{Notice, NotifyError, blocks};
use crate::http::{Answer, Authorization, Client, Request, Timeouts, Upload, Url};

/// Where Slack's Web API is.
pub(super) const API: &str = "https://slack.com/api";
/// How long to wait for Slack: a deployment does not wait longer for a notice.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(10),
    exchange: Duration::from_secs(15),
};
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// The longest time that all waits for a rate limit together take, and how many there are.
const MAX_WAIT: Duration = Duration::from_mins(1);
const MAX_WAITS: usize = 3;
/// How long to wait if Slack names no time.
const USUAL_WAIT: Duration = Duration::from_secs(1);
/// How much of a refusal is shown.
const MAX_WORDS: usize = 200;

/// Waits for a while.
pub type Pause = Box<dyn Fn(Duration) + Send + Sync>;

/// A channel of Slack.
pub struct Slack {
    http: Client,
    way: Way,
    pause: Pause,
}

enum Way {
    /// The address is the secret.
    Webhook(Url),
    Bot {
        api: Url,
        token: Authorization,
        channel: String,
    },
}

/// A message that a bot posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    channel: String,
    ts: String,
}

/// What the Web API answers.
#[derive(Debug, Deserialize)]
struct Posted {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
    #[serde(default)]
    response_metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

/// Returns what waits by the clock of this machine.
pub(super) fn wait() -> Pause {
    Box::new(thread::sleep)
}

impl Slack {
    /// Returns the channel that an incoming webhook posts to.
    pub fn of_webhook(address: &SecretString, pause: Pause) -> Result<Self, NotifyError> {
        let url = Url::parse(address.expose_secret())?;
        Ok(Self { http: Client::new(&url, TIMEOUTS), way: Way::Webhook(url), pause })
    }

    /// Returns a channel to post in as a bot, by the Web API at `api`.
    pub fn of_bot(api: Url, token: SecretString, channel: String, pause: Pause) -> Result<Self, NotifyError> {
        let (http, token) = (Client::new(&api, TIMEOUTS), Authorization::Bearer(token));
        Ok(Self { http, way: Way::Bot { api, token, channel }, pause })
    }

    /// Returns whether a message can be answered and edited.
    pub(super) const fn has_threads(&self) -> bool {
        matches!(self.way, Way::Bot { .. })
    }

    /// Posts a notice, and returns what names it if it can be answered.
    pub(super) fn post(&self, notice: &Notice) -> Result<Option<Sent>, NotifyError> {
        let message = blocks::message(notice);
        match &self.way {
            Way::Webhook(url) => self.hook(url, &message).map(|()| None),
            Way::Bot { channel, .. } => {
                self.call("/chat.postMessage", message, &[("channel", channel)]).map(Some)
            }
        }
    }

    /// Posts a notice below another one.
    pub(super) fn reply(&self, to: &Sent, notice: &Notice) -> Result<(), NotifyError> {
        let fields = [("channel", &*to.channel), ("thread_ts", &*to.ts)];
        self.call("/chat.postMessage", blocks::message(notice), &fields).map(drop)
    }

    /// Replaces a notice.
    pub(super) fn edit(&self, sent: &Sent, notice: &Notice) -> Result<(), NotifyError> {
        let fields = [("channel", &*sent.channel), ("ts", &*sent.ts)];
        self.call("/chat.update", blocks::message(notice), &fields).map(drop)
    }

    fn call(&self, method: &str, mut body: Value, fields: &[(&str, &str)]) -> Result<Sent, NotifyError> {
        let Way::Bot { api, token, .. } = &self.way else {
            return Err(NotifyError::refused("not_authed", &[]));
        };
        for (name, value) in fields {
            body[*name] = (*value).into();
        }
        // Links in a notice lead to pages that Slack would otherwise show below it.
        body["unfurl_links"] = false.into();
        let answer = self.send(api, method, Some(token), &body)?.success()?;
        let Posted { ok, error, channel, ts, response_metadata } = serde_json::from_slice(&answer.bytes()?)
            .map_err(|_| {
            NotifyError::new("Slack answers with something else than JSON", "check the address")
        })?;
        if ok {
            Ok(Sent { channel, ts })
        } else {
            Err(NotifyError::refused(&error, &response_metadata.messages))
        }
    }

    fn hook(&self, url: &Url, body: &Value) -> Result<(), NotifyError> {
        let answer = self.send(url, "", None, body)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let words = answer.bytes()?;
        let words: String = String::from_utf8_lossy(&words).chars().take(MAX_WORDS).collect();
        Err(NotifyError::refused(words.trim(), &[]))
    }

    /// Sends a request, and again as long as Slack asks to wait for no longer than is waited.
    fn send(
        &self,
        url: &Url,
        path: &str,
        authorization: Option<&Authorization>,
        body: &Value,
    ) -> Result<Answer, NotifyError> {
        let (body, mut left, mut waits) = (body.to_string(), MAX_WAIT, 0);
        loop {
            let headers = [(CONTENT_TYPE, "application/json; charset=utf-8")];
            let request = Request {
                method: Method::POST,
                authorization,
                headers: &headers,
                ..Request::get(url, path, MAX_ANSWER_BYTES)
            };
            let answer = self.http.send(&request, Some(Upload::of(&mut body.as_bytes())))?;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer);
            }
            let wait = answer.header(&RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
            let wait = wait.map_or(USUAL_WAIT, Duration::from_secs);
            let Some(rest) = left.checked_sub(wait).filter(|_| waits < MAX_WAITS) else {
                let message = format!("Slack asks to wait {} seconds more", wait.as_secs());
                return Err(NotifyError::new(message, "fewer notices a minute reach the channel"));
            };
            (self.pause)(wait);
            (left, waits) = (rest, waits + 1);
        }
    }
}
