//! Notices for people outside of the forge: in a channel of Slack, one thread for each deployment.
//!
//! A notice is a courtesy: what keeps it from arriving is a warning, and changes nothing of what it is about. Knows
//! nothing of what is deployed.

mod blocks;
mod error;
mod notice;
mod slack;

use std::collections::BTreeSet;
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

/// Stands for a cluster in the name of a channel.
const CLUSTER: &str = "{cluster}";
/// How many channels a notice goes to at most: each costs Slack three messages.
const MOST_CHANNELS: usize = 50;

/// The notices about one thing, in each channel that they are for.
pub struct Threads(Vec<Thread>);

/// The notices in one channel: the first stands in the channel, and what follows below it.
struct Thread {
    slack: Slack,
    first: Option<Sent>,
}

impl Threads {
    /// Returns the threads in the channels that the environment names for some clusters, before anything is posted;
    /// without any, nothing ever is.
    #[must_use]
    pub fn from_environment(clusters: &[String]) -> Self {
        let channels = of_variables(clusters, |name| env::var(name).ok()).unwrap_or_else(|error| {
            report(&error);
            Vec::new()
        });
        Self(channels.into_iter().map(Thread::of).collect())
    }

    /// Returns whether there is no channel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Posts the first notice. An incoming webhook cannot edit what it posted, so there only the last one is posted.
    pub fn begin(&mut self, notice: &Notice) {
        self.0.iter_mut().for_each(|thread| thread.begin(notice));
    }

    /// Posts the last notice: below the first one, which is edited into `now`.
    pub fn end(&self, now: &Notice, last: &Notice) {
        self.0.iter().for_each(|thread| thread.end(now, last));
    }
}

impl Thread {
    const fn of(slack: Slack) -> Self {
        Self { slack, first: None }
    }

    fn begin(&mut self, notice: &Notice) {
        if self.slack.has_threads() {
            self.first = self.slack.post(notice).inspect_err(report).ok().flatten();
        }
    }

    fn end(&self, now: &Notice, last: &Notice) {
        let slack = &self.slack;
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

/// Returns the channels that a name stands for: one for each cluster if it has a place for that.
fn channels(name: &str, clusters: &[String]) -> BTreeSet<String> {
    let mut channels: BTreeSet<_> = if name.contains(CLUSTER) {
        clusters.iter().map(|cluster| name.replace(CLUSTER, cluster)).collect()
    } else {
        [name.to_owned()].into()
    };
    if channels.len() > MOST_CHANNELS {
        warn!("of {} channels of Slack only the first {MOST_CHANNELS} are posted in", channels.len());
        channels = channels.into_iter().take(MOST_CHANNELS).collect();
    }
    channels
}

/// Returns where to post, as some variables have it.
fn of_variables(
    clusters: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Slack>, NotifyError> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let secret = |name: &str| {
        let secret = SecretString::from(set(name)?.trim().to_owned());
        secrets::remember(&secret);
        Some(secret)
    };
    match (secret(TOKEN), set(CHANNEL), secret(WEBHOOK)) {
        (Some(token), Some(channel), _) => {
            let api = Url::parse(&set(API).unwrap_or_else(|| slack::API.to_owned()))?;
            let bot = |channel| Slack::of_bot(api.clone(), token.clone(), channel, slack::wait());
            channels(channel.trim(), clusters).into_iter().map(bot).collect()
        }
        (Some(_), None, _) => {
            let message = format!("`{TOKEN}` is set and `{CHANNEL}` is not");
            Err(NotifyError::new(message, format!("name the channel in `{CHANNEL}`, such as `#deployments`")))
        }
        (None, _, Some(webhook)) => Slack::of_webhook(&webhook, slack::wait()).map(|slack| vec![slack]),
        (None, ..) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
