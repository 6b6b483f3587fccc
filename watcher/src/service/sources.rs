//! What makes the service look at a forge without an event: pages that changed, and deliveries that did not arrive.
//!
//! Connects the looks of `events` with the one client of GitHub, so that all requests share one budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::info;

use crate::error::CommandError;
use crate::events::deliveries::{self, Call, Hook, Reply, SweepError};
use crate::events::forge_look::{self, Mark};
use crate::events::poll::poll;
use crate::events::{Event, Events, Monitor, RepositoryName};
use crate::forge::Home;
use crate::forge::github::{Asker, Client, GitHubError, GitHubFault};
use crate::output::metrics::Metrics;

/// How often to look for failed deliveries. Polling finds the changes behind them earlier.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

/// Looks whether pages changed that show what no ref does, those of the base branch of that moment, if the forge has pages.
pub(super) fn look_at_pages(
    home: &Home,
    base: Arc<Mutex<String>>,
    every: Duration,
    monitor: &Monitor,
    events: &Events,
) -> Result<(), CommandError> {
    let Home::GitHub(client) = home else { return Ok(()) };
    let repository = repository_of(client)?;
    let routes =
        move || forge_look::routes(&repository, &base.lock().unwrap_or_else(PoisonError::into_inner));
    let client = Arc::clone(client);
    let mut look = forge_look::look(routes, move |route| mark(&client, route));
    let monitor = monitor.clone();
    tokio::spawn(poll(every, Event::Changed, events.clone(), move || monitor.observe_look(look())));
    Ok(())
}

/// Looks for deliveries that did not arrive, and asks for them again: those of a repository's webhook, or of our own App's.
pub(super) fn sweep_deliveries(
    home: &Home,
    webhook: Option<u64>,
    monitor: &Monitor,
    events: &Events,
) -> Result<(), CommandError> {
    let Home::GitHub(client) = home else { return Ok(()) };
    let (client, metrics, events) = (Arc::clone(client), monitor.metrics.clone(), events.clone());
    match (webhook, client.acts_as_app()) {
        (Some(id), _) => {
            let hook = Hook::Repository { repository: repository_of(&client)?, id };
            tokio::spawn(poll(SWEEP_INTERVAL, Event::Changed, events, sweep(client, hook, metrics)));
        }
        (None, true) => {
            tokio::spawn(poll(SWEEP_INTERVAL, Event::Changed, events, sweep_of_app(client, metrics)));
        }
        (None, false) => {
            info!("deliveries that do not arrive are left to polling; `--webhook-id` lets them come again");
        }
    }
    Ok(())
}

fn repository_of(client: &Client) -> Result<RepositoryName, CommandError> {
    let name = client.place().to_string();
    name.parse().map_err(|error| CommandError::unexpected("name the repository", error))
}

fn mark(client: &Client, route: &str) -> Result<Mark, GitHubError> {
    let page = client.page("look whether something changed", Asker::Token, route)?;
    Ok(match page {
        Some(page) => page.tag.map_or(Mark::Content(page.body), Mark::Tag),
        None => Mark::Missing,
    })
}

type Swept = Result<u64, SweepError<GitHubError>>;

fn sweep(client: Arc<Client>, hook: Hook, metrics: Metrics) -> impl FnMut() -> Swept {
    let asker = match hook {
        Hook::Repository { .. } => Asker::Token,
        Hook::App { .. } => Asker::App,
    };
    deliveries::sweep(hook, metrics, move |call| answer(&client, asker, call))
}

/// The webhook of an App serves many repositories, and its list knows ours by its number, which has to be asked for.
fn sweep_of_app(client: Arc<Client>, metrics: Metrics) -> impl FnMut() -> Swept {
    let mut begun = None;
    move || {
        if begun.is_none() {
            let hook = Hook::App { repository_id: client.repository_id().map_err(SweepError::Call)? };
            begun = Some(sweep(Arc::clone(&client), hook, metrics.clone()));
        }
        begun.as_mut().map_or(Ok(0), |look| look())
    }
}

fn answer(client: &Client, asker: Asker, call: &Call) -> Result<Reply, GitHubError> {
    const LIST: &str = "list the webhook's deliveries";
    match call {
        Call::Post(route) => {
            client.send_again("request a delivery again", asker, route).map(|()| Reply::default())
        }
        Call::Get(route) => match client.page(LIST, asker, route)? {
            Some(page) => Ok(Reply { next: page.next, body: page.body }),
            None => Err(GitHubError { attempt: LIST.into(), fault: GitHubFault::NotFound }),
        },
    }
}
