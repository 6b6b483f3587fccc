//! Notices for people outside of the forge: in a channel of Slack, one thread for each deployment.
//!
//! A notice is a courtesy: what keeps it from arriving is a warning, and changes nothing of what it is about. Knows
//! nothing of what is deployed.

mod blocks;
mod error;
mod notice;
mod slack;

use std::env;

use secrecy::SecretString;
use tracing::warn;

use crate::http::Url;
use crate::secrets;

pub use error::NotifyError;
pub use notice::Notice;
pub use slack::{Pause, Slack};

use slack::Sent;

/// The incoming webhook to post by.
const WEBHOOK: &str = "FLEETWRIGHT_SLACK_WEBHOOK";
/// The token of a bot to post as, and the channel to post in.
const TOKEN: &str = "FLEETWRIGHT_SLACK_TOKEN";
const CHANNEL: &str = "FLEETWRIGHT_SLACK_CHANNEL";
/// Where Slack's Web API is, if not at its usual address.
const API: &str = "FLEETWRIGHT_SLACK_API";

/// The notices about one thing: the first stands in the channel, and what follows below it.
pub struct Thread {
    slack: Option<Slack>,
    first: Option<Sent>,
}

impl Thread {
    /// Returns the thread in the channel that the environment names, before anything is posted; without one, nothing
    /// ever is.
    #[must_use]
    pub fn from_environment() -> Self {
        let slack = of_variables(|name| env::var(name).ok()).unwrap_or_else(|error| {
            report(&error);
            None
        });
        Self::of(slack)
    }

    /// Returns the thread in a channel, before anything is posted.
    #[must_use]
    pub const fn of(slack: Option<Slack>) -> Self {
        Self { slack, first: None }
    }

    /// Posts the first notice. An incoming webhook cannot edit what it posted, so there only the last one is posted.
    pub fn begin(&mut self, notice: &Notice) {
        let posted = self.slack.as_ref().filter(|slack| slack.has_threads()).map(|slack| slack.post(notice));
        self.first = posted.and_then(|posted| posted.inspect_err(report).ok().flatten());
    }

    /// Posts the last notice: below the first one, which is edited into `now`.
    pub fn end(&self, now: &Notice, last: &Notice) {
        let Some(slack) = &self.slack else { return };
        let posted = match &self.first {
            Some(first) => slack.reply(first, last).and_then(|()| slack.edit(first, now)),
            None => slack.post(now).map(drop),
        };
        let _ = posted.inspect_err(report);
    }
}

fn report(error: &NotifyError) {
    warn!(hint = error.hint(), "nothing was posted to Slack: {error}");
}

/// Returns where to post, as some variables have it.
fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Slack>, NotifyError> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let secret = |name: &str| {
        let secret = SecretString::from(set(name)?.trim().to_owned());
        secrets::remember(&secret);
        Some(secret)
    };
    match (secret(TOKEN), set(CHANNEL), secret(WEBHOOK)) {
        (Some(token), Some(channel), _) => {
            let api = set(API).unwrap_or_else(|| slack::API.to_owned());
            Slack::of_bot(Url::parse(&api)?, token, channel, slack::wait()).map(Some)
        }
        (Some(_), None, _) => {
            let message = format!("`{TOKEN}` is set and `{CHANNEL}` is not");
            Err(NotifyError::new(message, format!("name the channel in `{CHANNEL}`, such as `#deployments`")))
        }
        (None, _, Some(webhook)) => Slack::of_webhook(&webhook, slack::wait()).map(Some),
        (None, ..) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
