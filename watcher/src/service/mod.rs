//! The service: the runs of one repository, what starts them, and what becomes of each.
//!
//! It joins the sources of events to the pipeline. What a run does is known to `run`, when it is due to the
//! queue, and how it is asked for and shown to `cli`.

mod board;
mod lease;
mod pages;
mod runner;
mod sources;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::sync::mpsc;
use tracing::{debug, info};

use crate::cluster::Client;
use crate::error::CommandError;
use crate::events::files::{self, Places};
use crate::events::poll::poll;
use crate::events::site::Refresh;
use crate::events::{Cancel, Event, Events, Monitor, Outcome, Queue, Request, Settings, dispatch};
use crate::live::FollowedHubs;
use crate::run::{Pipeline, RunReport};

use board::Board;
pub use lease::{Candidate, LeaseName, Tenure, Term};
pub use pages::{Guard, SHORTEST_TOKEN, TokenDigest};
pub use runner::{Runner, failure};

/// Hints that may wait while a run is under way; sources keep one more each.
const CHANNEL_CAPACITY: usize = 64;

/// How often a failure that needs a person is tried again, since not everything that a person does can be seen from
/// here, such as a rule that is lifted. While runs succeed it costs a look at the refs.
const RECHECK_INTERVAL: Duration = Duration::from_mins(10);

/// Makes one run, and makes it again if another writer moved a ref meanwhile.
pub async fn once(runner: Runner, cancel: &Cancel) -> Result<RunReport, CommandError> {
    let ended = dispatch::once(move |cancel| runner.run_to_end(cancel), cancel.clone()).await;
    ended.map_err(|panic| CommandError::unexpected("make the run", std::io::Error::other(panic.message)))?
}

/// The service of one repository, before it serves.
pub struct Service {
    runner: Runner,
    /// The branch that runs are based on, for what looks at it between them.
    base: Arc<Mutex<String>>,
    monitor: Monitor,
    board: Board,
    events: Events,
    receiver: mpsc::Receiver<Event>,
}

impl Service {
    /// Creates the service whose runs `runner` makes.
    #[must_use]
    pub fn new(runner: Runner) -> Self {
        let (events, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let base = Arc::new(Mutex::new(runner.pipeline().settings().base.clone()));
        let (monitor, board) = (Monitor::default(), Board::default());
        Self { runner, base, monitor, board, events, receiver }
    }

    /// Returns what shows how the service is.
    #[must_use]
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Returns where events are sent to.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Lets runs ask the Argo CD of a cluster what became of groups, and follows it between them.
    pub fn ask(&self, hub: Client, cancel: &Cancel) {
        self.runner.ask(FollowedHubs::follow(hub, Some(self.events.clone()), cancel.clone()));
    }

    /// Returns what brings metrics up to date before they are shown: what is left of the forge's limits.
    pub(crate) fn refresh(&self) -> Refresh {
        let home = self.runner.pipeline().home().clone();
        Box::new(move |metrics| {
            for (of, left) in home.budget() {
                metrics.set_github_budget(of, left);
            }
        })
    }

    /// Returns the routes of the pages that show the fleet and the reviews.
    pub(crate) fn pages(&self, guard: Guard) -> Router {
        let home = self.runner.pipeline().home().clone();
        pages::router(self.board.clone(), self.monitor.clone(), Box::new(move || home.budget()), guard)
    }

    /// Asks for deliveries again that did not arrive, those of the webhook with this number if there is one.
    pub fn sweep_deliveries(&self, webhook: Option<u64>) {
        let home = self.runner.pipeline().home().clone();
        sources::sweep_deliveries(&home, webhook, &self.monitor, &self.events);
    }

    /// Waits for a Lease, ready to take over; nothing if a stop is requested before. What is reported meanwhile is
    /// passed on to the holder.
    pub async fn follow(
        &mut self,
        candidate: Candidate,
        cancel: &Cancel,
    ) -> Result<Option<Tenure>, CommandError> {
        tokio::select! {
            tenure = candidate.win(&mut self.receiver, &self.events, &self.monitor, cancel) => Ok(Some(tenure?)),
            () = cancel.requested() => Ok(None),
        }
    }

    /// Serves until a stop is requested, and looks for changes at these intervals that no event reported.
    pub async fn serve(self, poll_interval: Duration, cancel: &Cancel) -> Result<(), CommandError> {
        self.watch(poll_interval)?;
        let Self { runner, base, monitor, board, events, receiver } = self;
        let (last, observed) = (Mutex::new(None), monitor.clone());
        let run = move |request: Request, cancel: &Cancel| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = answer(&runner, request, last.as_ref(), (&observed, &board), cancel);
            base.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone_from(&runner.pipeline().settings().base);
            if runner.pipeline().take_more_to_show() {
                // If there is no room for it, there are others that lead to a run.
                let _ = events.try_send(Event::Changed);
            }
            last.insert(outcome).clone()
        };
        // The seed only spreads retries of several services over time.
        let queue = Queue::new(Settings::default(), u64::from(std::process::id()));
        let watch = |queue: &Queue| monitor.observe_queue(queue);
        dispatch::serve(queue, receiver, run, cancel, watch).await;
        Ok(())
    }

    /// Starts the sources of events: refs at intervals and by their files, what the forge shows, and a timer.
    fn watch(&self, every: Duration) -> Result<(), CommandError> {
        let (home, upstream) = {
            let pipeline = self.runner.pipeline();
            (pipeline.home().clone(), pipeline.upstream().reopen()?)
        };
        let git_dir = upstream.git_dir().to_owned();
        info!(repository = %git_dir.display(), poll_seconds = every.as_secs(), "watching for changes");
        let looks = self.monitor.clone();
        let look = move || looks.observe_look(upstream.refs());
        tokio::spawn(poll(every, Event::Moved, self.events.clone(), look));
        tokio::spawn(recheck(self.events.clone()));
        sources::look_at_pages(&home, Arc::clone(&self.base), every, &self.monitor, &self.events);
        tokio::spawn(files::watch(Places::refs(&git_dir, &git_dir), Event::Moved, self.events.clone()));
        Ok(())
    }
}

/// Answers a request by a run, unless nothing has moved since the last one.
fn answer(
    runner: &Runner,
    request: Request,
    last: Option<&Outcome>,
    (monitor, board): (&Monitor, &Board),
    cancel: &Cancel,
) -> Outcome {
    // What a run moved comes back as an event; there is nothing to report that it did not.
    let is_done = request.event == Event::Moved && last == Some(&Outcome::Done);
    if is_done && matches!(runner.pipeline().has_news(), Ok(false)) {
        debug!("nothing has moved since the last run");
        return Outcome::Done;
    }
    if request.event == Event::Asked {
        runner.pipeline().review_again();
    }
    let begun = Instant::now();
    let outcome = monitor.observe(|| {
        let result = runner.run(cancel);
        report_on(&mut runner.pipeline(), monitor);
        board.show(&runner.pipeline(), result.as_ref().ok());
        if let Ok(report) = &result {
            if report.has_moved_pull_requests() {
                monitor.metrics.observe_push_to_pull_request(request.since.elapsed());
            }
            let held = report.held.iter().map(|(group, why)| (group.to_string(), why.label()));
            monitor.metrics.set_held(held.collect(), Instant::now());
        }
        runner::outcome(&result)
    });
    board.note_run(&outcome, begun.elapsed());
    outcome
}

/// Shows whether the base branch renders, and counts the workers that ended.
fn report_on(pipeline: &mut Pipeline, monitor: &Monitor) {
    if let Some(base) = pipeline.base_rendering() {
        monitor.set_base(&base.revision.short(), base.problems);
    }
    for (purpose, death) in pipeline.take_worker_deaths() {
        monitor.metrics.count_worker_death(purpose.label(), death.label());
    }
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
