//! `fleetwright run`: the service, or one run of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use renderer::plan::Budget;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::listen::Listen;
use super::{Global, Shown, print_json, print_text};
use crate::error::CommandError;
use crate::events::files::{self, Places};
use crate::events::poll::poll;
use crate::events::server::Monitor;
use crate::events::signals::stop_on_signals;
use crate::events::{self, Cancel, Event, Failure, Outcome, Persistence, Queue, service};
use crate::git::{Repository, Revision, Upstream};
use crate::run::{Pipeline, RunReport, Settings};

use super::Exit;

/// Hints that may wait while a run is under way; sources keep one more each.
const CHANNEL_CAPACITY: usize = 64;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one run and end.
    #[arg(long)]
    once: bool,
    /// The base branch; the one that is checked out if left out.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// The repository in which branches and pull requests live, as a path or a `file://` address; the one that is
    /// worked on if left out.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// How often to look for changes that no event told of, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Allow one plan to delete more than the budget: its digest, or the beginning of it.
    #[arg(long, value_name = "DIGEST")]
    allow_deletions: Option<String>,
    #[command(flatten)]
    listen: Listen,
}

impl Args {
    pub(super) const fn is_once(&self) -> bool {
        self.once
    }
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let pipeline = pipeline(global, args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::unexpected("start the runtime", error))?;
    runtime.block_on(async {
        let cancel = Cancel::default();
        stop_on_signals(cancel.clone())
            .map_err(|error| CommandError::unexpected("listen for signals", error))?;
        if args.once {
            once(global, pipeline, &cancel).await
        } else {
            serve(global, args, pipeline, &cancel).await
        }
    })
}

fn pipeline(global: &Global, args: &Args) -> Result<Pipeline, CommandError> {
    let repository = Repository::open(&global.repo)?;
    let base = match &args.base {
        Some(base) => base.clone(),
        None => repository.head_branch()?,
    };
    let upstream = match &args.upstream {
        Some(url) => Upstream::at(repository, url)?,
        None => Upstream::own(repository),
    };
    let settings =
        Settings { base, budget: Budget::default(), allow_deletions: args.allow_deletions.clone() };
    Ok(Pipeline::new(upstream, settings))
}

/// A pipeline that is lent to one run at a time, with what the last run said.
struct Runner {
    pipeline: Mutex<Pipeline>,
    last: Mutex<Last>,
    shows_progress: bool,
}

#[derive(Default)]
struct Last {
    result: Option<Result<RunReport, CommandError>>,
    /// Where all refs were when the last complete run ended: while they stay there, a run would find nothing.
    refs: Option<BTreeMap<String, Revision>>,
}

impl Runner {
    fn new(global: &Global, pipeline: Pipeline) -> Self {
        Self { pipeline: Mutex::new(pipeline), last: Mutex::default(), shows_progress: !global.is_json() }
    }

    fn run(&self, cancel: &Cancel) -> Outcome {
        let mut pipeline = self.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let refs = pipeline.upstream().refs().ok();
        if refs.is_some() && refs == last.refs {
            return Outcome::Done;
        }
        let progress = Shown::new(self.shows_progress);
        match pipeline.run(cancel, &progress) {
            Ok(Some(report)) => {
                last.refs = pipeline.upstream().refs().ok();
                let outcome = report.refusal().map_or(Outcome::Done, |refusal| {
                    Outcome::Failed(failure(&CommandError::Refused(refusal.clone())))
                });
                last.result = Some(Ok(report));
                outcome
            }
            Ok(None) => Outcome::Abandoned,
            Err(error) => {
                let outcome = Outcome::Failed(failure(&error));
                last.result = Some(Err(error));
                outcome
            }
        }
    }
}

fn failure(error: &CommandError) -> Failure {
    let persistence = if error.is_transient() { Persistence::Transient } else { Persistence::Stalled };
    Failure { persistence, exit: error.exit(), message: error.message(), hint: error.hint() }
}

async fn once(global: &Global, pipeline: Pipeline, cancel: &Cancel) -> Result<Exit, CommandError> {
    let runner = std::sync::Arc::new(Runner::new(global, pipeline));
    let request = events::Request { repository: global.repo.display().to_string(), revision: () };
    let lent = std::sync::Arc::clone(&runner);
    let outcome = service::once(request, move |_, cancel| lent.run(cancel), cancel).await;
    let result = runner.last.lock().unwrap_or_else(PoisonError::into_inner).result.take();
    match (outcome, result) {
        (_, Some(Err(error))) => Err(error),
        (_, Some(Ok(report))) => {
            if global.is_json() {
                print_json(&report.to_json());
            } else {
                print_text(&report.to_string());
            }
            report.refusal().map_or(Ok(Exit::Done), |refusal| Err(refusal.clone().into()))
        }
        (Outcome::Abandoned, None) => {
            warn!("stopped before the run was complete; the next run continues");
            Ok(Exit::Unexpected)
        }
        (outcome, None) => {
            Err(CommandError::unexpected("run", std::io::Error::other(format!("{outcome:?}"))))
        }
    }
}

async fn serve(
    global: &Global,
    args: &Args,
    pipeline: Pipeline,
    cancel: &Cancel,
) -> Result<Exit, CommandError> {
    let event = Event { repository: global.repo.display().to_string(), revision: () };
    let (events, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let monitor = Monitor::default();
    let server = args.listen.start(&monitor, &event, &events, cancel).await?;
    let upstream = pipeline.upstream().reopen()?;
    let git_dir = upstream.repository().git_dir().to_owned();
    info!(repository = %git_dir.display(), poll_seconds = args.poll, "watching for changes");
    let look = move || upstream.refs();
    tokio::spawn(poll(Duration::from_secs(args.poll), event.clone(), events.clone(), look));
    tokio::spawn(files::watch(Places::refs(&git_dir, &git_dir), event, events));
    let runner = Runner::new(global, pipeline);
    // The seed only spreads retries of several services over time.
    let queue = Queue::new(events::Settings::default(), u64::from(std::process::id()));
    let run = move |_: &_, cancel: &Cancel| monitor.observe(|| runner.run(cancel));
    service::serve(queue, receiver, run, cancel).await;
    if let Some(server) = server {
        // It panics on nothing that anyone sends, and a panic would have been shown.
        let _ = server.await;
    }
    info!("stopped");
    Ok(Exit::Done)
}
