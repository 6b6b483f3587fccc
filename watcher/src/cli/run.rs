//! `fleetwright run`: the service, or one run of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use renderer::plan::Budget;
use tokio::sync::mpsc;
use tracing::{debug, field, info, info_span, warn};

use super::listen::Listen;
use super::remote::{ForgeName, RemoteArgs};
use super::runtime::{until_stopped, worker_settings};
use super::sources::GitHubSources;
use super::{Global, print_json, print_text};
use crate::error::CommandError;
use crate::events::files::{self, Places};
use crate::events::poll::poll;
use crate::events::site::Refresh;
use crate::events::{
    self, Cancel, Event, Events, Failure, Monitor, Outcome, Persistence, Queue, Request, dispatch,
};
use crate::forge::github::Client;
use crate::output::Progress;
use crate::run::{Pipeline, RunReport, Settings};

use super::Exit;

/// Hints that may wait while a run is under way; sources keep one more each.
const CHANNEL_CAPACITY: usize = 64;

/// How often a failure that needs a person is tried again, since not everything that a person does can be seen from
/// here, such as a rule that is lifted. While runs succeed it costs a look at the refs.
const RECHECK_INTERVAL: Duration = Duration::from_mins(10);

/// How often a single run starts over when someone else was faster: each loss means that someone else made progress.
const ATTEMPTS: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one run and end.
    #[arg(long)]
    once: bool,
    /// The base branch; the one that is checked out if left out, and the one that HEAD is on later.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    #[command(flatten)]
    upstream: RemoteArgs,
    /// Where pull requests live; on GitHub if the upstream is there or `--api` or `--app-id` is given, else in the repository's own refs.
    #[arg(long, value_enum, value_name = "FORGE")]
    forge: Option<ForgeName>,
    /// How often to look for changes that no event told of, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Allow one plan to delete more than the budget: its digest, or the beginning of it.
    #[arg(long, value_name = "DIGEST")]
    allow_deletions: Option<String>,
    /// Merge a pull request of ours by itself if its very change was read in the review of another one, as soon as no
    /// rule, status or check is in the way.
    #[arg(long)]
    merge_reviewed: bool,
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
    until_stopped(async |cancel: &Cancel| {
        if args.once {
            once(global, pipeline, cancel).await
        } else {
            serve(global, args, pipeline, cancel).await
        }
    })
}

fn pipeline(global: &Global, args: &Args) -> Result<Pipeline, CommandError> {
    let (upstream, github) = args.upstream.open_with_forge(global, args.forge)?;
    let base = match &args.base {
        Some(base) => base.clone(),
        None => upstream.head_branch()?,
    };
    let settings = Settings {
        base,
        follows_head: args.base.is_none(),
        budget: Budget::default(),
        allow_deletions: args.allow_deletions.clone(),
        merge_reviewed: args.merge_reviewed,
        worker: worker_settings()?,
    };
    let pipeline = Pipeline::new(upstream, settings);
    Ok(match github {
        Some(client) => pipeline.on_github(client),
        None => pipeline,
    })
}

async fn once(global: &Global, pipeline: Pipeline, cancel: &Cancel) -> Result<Exit, CommandError> {
    let runner = Runner::new(global, pipeline);
    let ended = dispatch::once(move |cancel| runner.run_to_end(cancel), cancel.clone()).await;
    let result = ended
        .map_err(|panic| CommandError::unexpected("make the run", std::io::Error::other(panic.message)))?;
    let Some(report) = result? else {
        warn!("stopped before the run was complete; the next run continues");
        return Ok(Exit::Unexpected);
    };
    if global.is_json() {
        print_json(&report.to_json());
    } else {
        print_text(&report.to_string());
    }
    report.refusal().map_or(Ok(Exit::Done), |refusal| Err(refusal.clone().into()))
}

type RunResult = Result<Option<RunReport>, CommandError>;

/// A pipeline that is lent to one run at a time.
struct Runner {
    repository: String,
    pipeline: Mutex<Pipeline>,
    shows_progress: bool,
}

impl Runner {
    fn new(global: &Global, pipeline: Pipeline) -> Self {
        let repository = global.repo.display().to_string();
        Self { repository, pipeline: Mutex::new(pipeline), shows_progress: !global.is_json() }
    }

    /// Makes a run; a mirror that turns out to be damaged is cloned again, once.
    fn run(&self, cancel: &Cancel) -> RunResult {
        // The run itself records the revision, since only it knows which one it read.
        let _span = info_span!("run", repository = self.repository, revision = field::Empty).entered();
        let mut pipeline = self.lend();
        let result = match pipeline.run(cancel, &Progress::new("render", self.shows_progress)) {
            Err(error) if pipeline.recover(&error)? => {
                pipeline.run(cancel, &Progress::new("render", self.shows_progress))
            }
            result => result,
        };
        if let Err(error) = pipeline.tidy() {
            warn!(%error, "failed to repack the mirror; it is only slower");
        }
        result
    }

    /// Makes a run, and starts over if someone else moved a ref meanwhile.
    fn run_to_end(&self, cancel: &Cancel) -> RunResult {
        for _ in 1..ATTEMPTS {
            match self.run(cancel) {
                Err(error) if error.is_overtaken() => info!("{error}; starting over"),
                result => return result,
            }
        }
        self.run(cancel)
    }

    fn lend(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(result: &RunResult) -> Outcome {
    match result {
        Ok(Some(report)) => {
            let refusal = report.refusal().map(|refusal| CommandError::Refused(refusal.clone()));
            refusal.map_or(Outcome::Done, |refusal| Outcome::Failed(failure(&refusal)))
        }
        Ok(None) => Outcome::Abandoned,
        Err(error) => Outcome::Failed(failure(error)),
    }
}

fn failure(error: &CommandError) -> Failure {
    let wait = |until: SystemTime| until.duration_since(SystemTime::now()).unwrap_or_default();
    let persistence = match error.come_again() {
        Some(until) => Persistence::Limited(wait(until)),
        None if error.is_transient() => Persistence::Transient,
        None => Persistence::Stalled,
    };
    Failure {
        persistence,
        is_in_input: error.exit() == Exit::Problems,
        message: error.message(),
        hint: error.hint(),
    }
}

async fn serve(
    global: &Global,
    args: &Args,
    pipeline: Pipeline,
    cancel: &Cancel,
) -> Result<Exit, CommandError> {
    let (events, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let monitor = Monitor::default();
    let repository = args.upstream.repository_name();
    let refresh = refresh_budget(pipeline.github().cloned());
    let listening = args.listen.start(&monitor, repository, &events, refresh, cancel).await?;
    let base = Arc::new(Mutex::new(pipeline.settings().base.clone()));
    let upstream = pipeline.upstream().reopen()?;
    let git_dir = upstream.git_dir().to_owned();
    info!(repository = %git_dir.display(), poll_seconds = args.poll, "watching for changes");
    let looks = monitor.clone();
    let look = move || looks.observe_look(upstream.refs());
    let every = Duration::from_secs(args.poll);
    tokio::spawn(poll(every, Event::Moved, events.clone(), look));
    tokio::spawn(recheck(events.clone()));
    if let Some(client) = pipeline.github() {
        let (client, monitor) = (Arc::clone(client), monitor.clone());
        let sources = GitHubSources { client, monitor, events: events.clone() };
        sources.look_at_pages(Arc::clone(&base), every)?;
        if listening.as_ref().is_some_and(|listening| listening.receives_webhooks) {
            sources.sweep_deliveries(args.listen.webhook_id())?;
        }
    }
    tokio::spawn(files::watch(Places::refs(&git_dir, &git_dir), Event::Moved, events));
    // The seed only spreads retries of several services over time.
    let queue = Queue::new(events::Settings::default(), u64::from(std::process::id()));
    let (runner, last) = (Runner::new(global, pipeline), Mutex::new(None));
    let observed = monitor.clone();
    let run = move |request: Request, cancel: &Cancel| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        // What a run moved comes back as an event; there is nothing more to say than it said.
        if request.event == Event::Moved
            && *last == Some(Outcome::Done)
            && matches!(runner.lend().has_news(), Ok(false))
        {
            debug!("nothing has moved since the last run");
            return Outcome::Done;
        }
        if request.event == Event::Asked {
            runner.lend().review_again();
        }
        let outcome = observed.observe(|| {
            let result = runner.run(cancel);
            if let Some(base) = runner.lend().base_rendering() {
                observed.set_base(&base.revision.short(), base.problems);
            }
            for (purpose, death) in runner.lend().take_worker_deaths() {
                observed.metrics.count_worker_death(purpose.label(), death.label());
            }
            if matches!(&result, Ok(Some(report)) if report.has_moved_pull_requests()) {
                observed.metrics.observe_push_to_pull_request(request.since.elapsed());
            }
            outcome(&result)
        });
        last.insert(outcome).clone()
    };
    let watch = |queue: &Queue| monitor.metrics.set_unanswered_since(queue.unanswered_since());
    dispatch::serve(queue, receiver, run, cancel, watch).await;
    if let Some(listening) = listening {
        // It panics on nothing that anyone sends, and a panic would have been shown.
        let _ = listening.server.await;
    }
    info!("stopped");
    Ok(Exit::Done)
}

/// Lets a failure that needs a person be tried again at intervals, until the service ends.
async fn recheck(events: Events) {
    let mut ticks = tokio::time::interval(RECHECK_INTERVAL);
    loop {
        ticks.tick().await;
        if events.send(Event::Moved).await.is_err() {
            return;
        }
    }
}

/// Shows what is left of GitHub's limits.
fn refresh_budget(client: Option<Arc<Client>>) -> Refresh {
    let Some(client) = client else { return Box::new(|_| {}) };
    Box::new(move |metrics| {
        let left = client.left();
        let count = |count: usize| Some(count as u64);
        metrics.set_github_budget("requests", left.requests);
        metrics.set_github_budget("points", Some(u64::from(left.points)));
        metrics.set_github_budget("writes_in_minute", count(left.writes_in_minute));
        metrics.set_github_budget("writes_in_hour", count(left.writes_in_hour));
        metrics.set_github_budget("pushes", count(left.pushes));
    })
}
