//! A Slack on loopback: its Web API and an incoming webhook, keeping what was posted and refusing what Slack refuses.
//!
//! The limits are those of Slack's documentation ("Reference: Block Kit", "chat.postMessage", "chat.update", "Sending
//! messages using incoming webhooks", "Rate limits").

mod blocks;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};

use crate::web::server::{Outcome, Server};
use crate::web::wire::{Reply, Request};

/// The token of the bot.
pub const TOKEN: &str = "xoxb-2026-fleetwright-bot";
/// The path of the incoming webhook, which is its secret.
pub const WEBHOOK: &str = "/services/T00FLEET/B00HOOK/s3cr3tS3cr3tS3cr3tS3cr3t";
/// The channel that the bot was invited to, and that the webhook posts to.
pub const CHANNEL: &str = "deployments";

/// The fake. It ends when it is dropped.
#[derive(Debug)]
pub struct Slack {
    state: Arc<Mutex<State>>,
    server: Server,
}

/// What the fake remembers.
#[derive(Debug, Default)]
pub struct State {
    /// The names of the channels by their ids, and whether the bot is in them.
    pub channels: BTreeMap<String, (String, bool)>,
    /// What was posted, the oldest first.
    pub messages: Vec<Message>,
    /// The seconds that the next requests are asked to wait.
    pub limited: VecDeque<u64>,
    /// Whether requests get no answer.
    pub is_down: bool,
    /// The bodies of all requests, as they came.
    pub requests: Vec<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id of its channel.
    pub channel: String,
    /// Its moment, by which it is named.
    pub ts: String,
    /// The message that it answers.
    pub thread: Option<String>,
    /// What notifications show.
    pub text: String,
    /// What is shown of its blocks, one a line.
    pub shown: String,
    /// How often it was edited.
    pub edits: usize,
}

/// What Slack answers a request that it does not carry out.
type Refusal = (&'static str, Vec<String>);

impl Slack {
    /// Starts a Slack with one channel that the bot is in, and one that it is not in.
    pub fn start() -> Result<Self> {
        let channels = [("C01", CHANNEL, true), ("C02", "private", false)];
        let channels = channels.map(|(id, name, is_in)| (id.to_owned(), (name.to_owned(), is_in)));
        let state = Arc::new(Mutex::new(State { channels: channels.into(), ..State::default() }));
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| {
            answering.lock().unwrap_or_else(PoisonError::into_inner).answer(request)
        })?;
        Ok(Self { state, server })
    }

    /// Returns the address of the Web API.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://{}/api", self.server.address)
    }

    /// Returns the address of the incoming webhook.
    #[must_use]
    pub fn webhook(&self) -> String {
        format!("http://{}{WEBHOOK}", self.server.address)
    }

    /// Returns everything that the fake remembers, to look at or to change; nothing is answered meanwhile.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a person sees in the channels: each message with its thread below it.
    #[must_use]
    pub fn seen(&self) -> String {
        let state = self.state();
        let mut seen = String::new();
        for message in state.threads() {
            let name = &state.channels[&message.channel].0;
            let mark = if message.thread.is_some() { "↳" } else { "#" };
            let edits = if message.edits > 0 { format!(" ({} edits)", message.edits) } else { String::new() };
            seen.extend([mark, " ", name, &edits, ": ", &message.text, "\n", &message.shown, "\n"]);
        }
        seen
    }
}

impl State {
    /// Returns the messages as a person reads them: each with the answers of its thread below it.
    pub fn threads(&self) -> impl Iterator<Item = &Message> {
        let first = self.messages.iter().filter(|message| message.thread.is_none());
        first.flat_map(|first| {
            let is_answer = |message: &&Message| message.thread.as_deref() == Some(&first.ts);
            std::iter::once(first).chain(self.messages.iter().filter(is_answer))
        })
    }

    fn answer(&mut self, request: &Request) -> Outcome {
        if self.is_down {
            return Outcome::Cut;
        }
        self.requests.push(String::from_utf8_lossy(&request.body).into_owned());
        if let Some(seconds) = self.limited.pop_front() {
            let reply = Reply::ok(429, json!({ "ok": false, "error": "ratelimited" }));
            return Outcome::Reply(reply.with("retry-after", &seconds.to_string()));
        }
        let is_post = request.method == "POST";
        Outcome::Reply(match request.path.strip_prefix("/api/") {
            Some("chat.postMessage") if is_post => self.web(request, Self::post),
            Some("chat.update") if is_post => self.web(request, Self::update),
            Some(_) => Reply::ok(200, json!({ "ok": false, "error": "unknown_method" })),
            None if request.path == WEBHOOK && is_post => self.hook(request),
            None if request.path.starts_with("/services/") => Reply::ok(404, "no_service".into()),
            None => Reply::ok(404, "not found".into()),
        })
    }

    /// Answers a method of the Web API: refusals are answers with status 200, too.
    fn web(&mut self, request: &Request, method: fn(&mut Self, &Value) -> Result<Value, Refusal>) -> Reply {
        let token = request.headers.get("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let is_json =
            request.headers.get("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let done = match (token, request.json()) {
            (None, _) => Err(("not_authed", Vec::new())),
            (Some(token), _) if token != TOKEN => Err(("invalid_auth", Vec::new())),
            (_, Ok(body)) if is_json => method(self, &body),
            _ => Err(("invalid_json", Vec::new())),
        };
        Reply::ok(
            200,
            done.unwrap_or_else(|(error, messages)| {
                let mut answer = json!({ "ok": false, "error": error });
                if !messages.is_empty() {
                    answer["response_metadata"] = json!({ "messages": messages });
                }
                answer
            }),
        )
    }

    fn post(&mut self, body: &Value) -> Result<Value, Refusal> {
        let named = body["channel"].as_str().unwrap_or_default();
        let named = named.strip_prefix('#').unwrap_or(named);
        let found = self.channels.iter().find(|(id, (name, _))| *id == named || name == named);
        let Some((id, (_, is_in))) = found else { return Err(("channel_not_found", Vec::new())) };
        if !is_in {
            return Err(("not_in_channel", Vec::new()));
        }
        let id = id.clone();
        let (text, shown) = content(body)?;
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        if let Some(thread) = &thread
            && self.find(&id, thread).is_none()
        {
            return Err(("thread_not_found", Vec::new()));
        }
        Ok(self.keep(id, thread, text, shown))
    }

    /// Edits a message; unlike a new one, its channel is named by the id alone.
    fn update(&mut self, body: &Value) -> Result<Value, Refusal> {
        let channel = body["channel"].as_str().unwrap_or_default().to_owned();
        if !self.channels.contains_key(&channel) {
            return Err(("channel_not_found", Vec::new()));
        }
        let ts = body["ts"].as_str().unwrap_or_default().to_owned();
        let (text, shown) = content(body)?;
        let index = self.find(&channel, &ts).ok_or(("message_not_found", Vec::new()))?;
        let message = &mut self.messages[index];
        (message.text, message.shown) = (text, shown);
        message.edits += 1;
        Ok(json!({ "ok": true, "channel": channel, "ts": ts, "text": message.text }))
    }

    /// Answers the webhook, which gives no name to what it posts.
    fn hook(&mut self, request: &Request) -> Reply {
        let Ok(body) = request.json() else { return Reply::ok(400, "invalid_payload".into()) };
        match content(&body) {
            Err((error, _)) => Reply::ok(400, error.into()),
            Ok((text, shown)) => {
                self.keep("C01".to_owned(), None, text, shown);
                Reply::ok(200, "ok".into())
            }
        }
    }

    fn keep(&mut self, channel: String, thread: Option<String>, text: String, shown: String) -> Value {
        let ts = format!("1767312000.{:06}", self.messages.len() + 1);
        let answer = json!({ "ok": true, "channel": channel, "ts": ts, "message": { "text": text } });
        self.messages.push(Message { channel, ts, thread, text, shown, edits: 0 });
        answer
    }

    fn find(&self, channel: &str, ts: &str) -> Option<usize> {
        self.messages.iter().position(|message| message.channel == channel && message.ts == ts)
    }
}

/// Returns the text of a message and what is shown of its blocks.
fn content(body: &Value) -> Result<(String, String), Refusal> {
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    let blocks =
        body.get("blocks").map_or(&[][..], |blocks| blocks.as_array().map_or(&[][..], Vec::as_slice));
    if text.is_empty() && blocks.is_empty() {
        return Err(("no_text", Vec::new()));
    }
    if text.chars().count() > blocks::MAX_MESSAGE {
        return Err(("msg_too_long", Vec::new()));
    }
    let shown = blocks::show(blocks).map_err(|faults| ("invalid_blocks", faults))?;
    Ok((text, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(slack: &Slack, token: &str, body: &Value) -> Value {
        let answer = ureq::post(format!("{}/chat.postMessage", slack.api()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json; charset=utf-8")
            .send(body.to_string());
        serde_json::from_str(&answer.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    }

    #[test]
    fn what_slack_refuses_is_refused_with_its_words() {
        let slack = Slack::start().unwrap();
        let long = "x".repeat(3_001);
        let header = |text: &str| json!({ "type": "header", "text": { "type": "plain_text", "text": text } });
        let section = |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
        let table = [
            (json!({ "channel": "nowhere", "text": "x" }), "channel_not_found"),
            (json!({ "channel": "private", "text": "x" }), "not_in_channel"),
            (json!({ "channel": CHANNEL }), "no_text"),
            (json!({ "channel": CHANNEL, "text": "x", "blocks": [section(&long)] }), "invalid_blocks"),
            (json!({ "channel": CHANNEL, "text": "x", "blocks": [section("")] }), "invalid_blocks"),
            (json!({ "channel": CHANNEL, "text": "x", "blocks": [header(&long[..151])] }), "invalid_blocks"),
            (json!({ "channel": CHANNEL, "text": "x", "blocks": vec![section("x"); 51] }), "invalid_blocks"),
            (json!({ "channel": CHANNEL, "text": "x", "blocks": [{ "type": "odd" }] }), "invalid_blocks"),
            (json!({ "channel": CHANNEL, "text": "x", "thread_ts": "1.2" }), "thread_not_found"),
        ];
        for (body, error) in table {
            assert_eq!(post(&slack, TOKEN, &body)["error"], error, "{body}");
        }
        assert_eq!(post(&slack, "xoxb-other", &json!({}))["error"], "invalid_auth");
        let whole =
            json!({ "channel": "#deployments", "text": "x", "blocks": vec![section(&long[..3_000]); 50] });
        assert_eq!(post(&slack, TOKEN, &whole)["ok"], true);
        assert_eq!(slack.state().messages.len(), 1);
    }
}
