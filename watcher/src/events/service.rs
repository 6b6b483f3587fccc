//! The loop of the service: events go into the queue, requests come out, one run at a time.
//!
//! Knows nothing of what a run does. Runs are blocking work on a thread of their own, so that events are taken in
//! while one is under way.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tracing::{debug, error, field, info, info_span, warn};

use super::{Cancel, Event, Failure, Outcome, Persistence, Pushed, Queue, Request, Verdict};
use crate::output::Exit;

/// Serves events until a stop is requested, or until all sources have ended and nothing is left to do.
///
/// On a stop the run that is under way is waited for; it polls `cancel` and ends at its next step boundary.
pub async fn serve<K, R, F>(queue: Queue<K, R>, events: mpsc::Receiver<Event<K, R>>, run: F, cancel: &Cancel)
where
    K: Ord + Clone + Display + Send + 'static,
    R: Clone + Send + 'static,
    F: Fn(&Request<K, R>, &Cancel) -> Outcome + Send + Sync + 'static,
{
    serve_watched(queue, events, run, cancel, |_| {}).await;
}

/// Serves events as [`serve`] does, and shows the queue after everything that happens to it.
pub async fn serve_watched<K, R, F>(
    mut queue: Queue<K, R>,
    mut events: mpsc::Receiver<Event<K, R>>,
    run: F,
    cancel: &Cancel,
    watch: impl Fn(&Queue<K, R>),
) where
    K: Ord + Clone + Display + Send + 'static,
    R: Clone + Send + 'static,
    F: Fn(&Request<K, R>, &Cancel) -> Outcome + Send + Sync + 'static,
{
    let run = Arc::new(run);
    let mut running = JoinSet::new();
    let mut has_sources = true;
    while has_sources || !running.is_empty() || queue.next_due().is_some() {
        let next = queue.next_due();
        tokio::select! {
            () = cancel.requested() => break,
            event = events.recv(), if has_sources => match event {
                Some(event) => take_in(&mut queue, event),
                None => has_sources = false,
            },
            Some(Ok((repository, outcome))) = running.join_next() => settle(&mut queue, &repository, &outcome),
            () = sleep_until(next), if running.is_empty() => {
                if let Some(request) = queue.pop_due(now()) {
                    running.spawn(attempt(request, Arc::clone(&run), cancel.clone()));
                }
            }
        }
        watch(&queue);
    }
    while let Some(Ok((repository, outcome))) = running.join_next().await {
        settle(&mut queue, &repository, &outcome);
    }
}

/// Makes one run and returns how it ended, for scripts that come again by themselves.
pub async fn once<K, R, F>(request: Request<K, R>, run: F, cancel: &Cancel) -> Outcome
where
    K: Clone + Display + Send + 'static,
    R: Send + 'static,
    F: Fn(&Request<K, R>, &Cancel) -> Outcome + Send + Sync + 'static,
{
    attempt(request, Arc::new(run), cancel.clone()).await.1
}

async fn attempt<K, R, F>(request: Request<K, R>, run: Arc<F>, cancel: Cancel) -> (K, Outcome)
where
    K: Clone + Display + Send + 'static,
    R: Send + 'static,
    F: Fn(&Request<K, R>, &Cancel) -> Outcome + Send + Sync + 'static,
{
    let repository = request.repository.clone();
    // The run itself records the revision, since only it knows which one it read.
    let span = info_span!("run", %repository, revision = field::Empty);
    let ended = spawn_blocking(move || span.in_scope(|| run(&request, &cancel))).await;
    (repository, ended.unwrap_or_else(|_panic| Outcome::Failed(panicked())))
}

/// The failure of a run that panicked; it would panic again, so it waits for the next event.
fn panicked() -> Failure {
    Failure {
        persistence: Persistence::Stalled,
        exit: Exit::Unexpected,
        message: "the run ended with a panic, which is a bug in Fleetwright".to_owned(),
        hint: Some("report it with the text of the panic above".to_owned()),
    }
}

fn take_in<K: Ord + Clone + Display, R: Clone>(queue: &mut Queue<K, R>, event: Event<K, R>) {
    let repository = event.repository.clone();
    match queue.push(event, now()) {
        Pushed::Queued => debug!(%repository, "took in an event"),
        Pushed::Refused => warn!(%repository, "refused an event of `{repository}`: the queue is full"),
    }
}

fn settle<K: Ord + Clone + Display, R: Clone>(queue: &mut Queue<K, R>, repository: &K, outcome: &Outcome) {
    let verdict = queue.finished(repository, outcome, now());
    match outcome {
        Outcome::Done => {}
        Outcome::Abandoned => info!(%repository, "left the rest of the run for later"),
        Outcome::Failed(failure) => tell(repository, failure, &verdict),
    }
}

fn tell(repository: &impl Display, failure: &Failure, verdict: &Verdict) {
    let Failure { message, hint, .. } = failure;
    let hint = hint.as_deref();
    match verdict {
        Verdict::Retry { failures, delay } => {
            let seconds = delay.as_secs_f32();
            warn!(%repository, failures, hint, "{message}; trying again in {seconds:.1} s");
        }
        Verdict::Report => error!(%repository, hint, "{message}"),
        Verdict::AlreadyReported => debug!(%repository, "still failing: {message}"),
        Verdict::Settled => {}
    }
}

/// The time as the runtime sees it, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => match pending::<Infallible>().await {},
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::events::{Cause, Settings};

    const SETTINGS: Settings = Settings {
        quiet: Duration::from_secs(2),
        max_wait: Duration::from_secs(10),
        first_retry: Duration::from_secs(4),
        max_retry: Duration::from_mins(1),
        capacity: 8,
    };

    /// A service on a stopped clock whose runs end as told, and note their revision and the second they began.
    struct World {
        start: tokio::time::Instant,
        runs: Arc<Mutex<Vec<(u32, u64)>>>,
        sender: mpsc::Sender<Event<&'static str, u32>>,
        cancel: Cancel,
        service: tokio::task::JoinHandle<()>,
    }

    impl World {
        fn new(run: impl Fn(u32, &Cancel) -> Outcome + Send + Sync + 'static) -> Self {
            let start = tokio::time::Instant::now();
            let runs = Arc::new(Mutex::new(Vec::new()));
            let (sender, receiver) = mpsc::channel(4);
            let cancel = Cancel::default();
            let noted = Arc::clone(&runs);
            let run = move |request: &Request<&str, u32>, cancel: &Cancel| {
                let second = (now() - start.into_std()).as_secs();
                noted.lock().unwrap().push((request.revision, second));
                run(request.revision, cancel)
            };
            let stop = cancel.clone();
            let service =
                tokio::spawn(async move { serve(Queue::new(SETTINGS, 7), receiver, run, &stop).await });
            Self { start, runs, sender, cancel, service }
        }

        async fn event(&self, revision: u32, at: u64) {
            tokio::time::sleep_until(self.start + Duration::from_secs(at)).await;
            self.sender.send(Event { repository: "a", revision, cause: Cause::Moved }).await.unwrap();
        }

        /// Ends the sources, waits until the service has nothing left to do, and returns its runs.
        async fn drain(self) -> Vec<(u32, u64)> {
            drop(self.sender);
            self.service.await.unwrap();
            self.runs.lock().unwrap().clone()
        }
    }

    fn failed(persistence: Persistence) -> Outcome {
        Outcome::Failed(Failure { persistence, exit: Exit::Git, message: "no".to_owned(), hint: None })
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_event_there_is_no_run() {
        let world = World::new(|_, _| Outcome::Done);
        assert_eq!(world.drain().await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_gives_one_run_and_a_later_event_another() {
        let world = World::new(|_, _| Outcome::Done);
        world.event(1, 0).await;
        world.event(2, 1).await;
        world.event(3, 20).await;
        assert_eq!(world.drain().await, [(2, 3), (3, 22)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_during_a_run_gives_one_more_run_after_it() {
        let (begun, mut has_begun) = mpsc::channel(2);
        let (go_on, told_to_go_on) = std::sync::mpsc::sync_channel::<()>(2);
        let told_to_go_on = Mutex::new(told_to_go_on);
        let world = World::new(move |_, _| {
            begun.try_send(()).unwrap();
            told_to_go_on.lock().unwrap().recv().unwrap();
            Outcome::Done
        });
        world.event(1, 0).await;
        has_begun.recv().await.unwrap();
        for revision in 2..10 {
            world.event(revision, 2).await;
        }
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        let revisions: Vec<u32> = world.drain().await.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, [1, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_and_a_stalled_one_is_not() {
        let attempts = Mutex::new(0);
        let world = World::new(move |_, _| {
            let mut attempts = attempts.lock().unwrap();
            *attempts += 1;
            failed(if *attempts < 3 { Persistence::Transient } else { Persistence::Stalled })
        });
        world.event(1, 0).await;
        let runs = world.drain().await;
        assert_eq!(runs.len(), 3, "{runs:?}");
        assert!(runs.is_sorted_by(|a, b| a.1 < b.1), "a retry did not wait: {runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_run_does_not_end_the_service() {
        let world = World::new(|revision, _| {
            assert_ne!(revision, 1, "this panic belongs to the test");
            Outcome::Done
        });
        world.event(1, 0).await;
        world.event(2, 20).await;
        assert_eq!(world.drain().await, [(1, 2), (2, 22)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_run_to_reach_a_step_boundary_and_starts_no_other() {
        let (begun, mut has_begun) = mpsc::channel(1);
        let world = World::new(move |_, cancel| {
            begun.try_send(()).unwrap();
            while !cancel.is_requested() {
                std::thread::yield_now();
            }
            Outcome::Abandoned
        });
        world.event(1, 0).await;
        has_begun.recv().await.unwrap();
        world.event(2, 2).await;
        world.cancel.request();
        world.service.await.unwrap();
        assert_eq!(*world.runs.lock().unwrap(), [(1, 2)]);
    }

    #[tokio::test]
    async fn a_single_run_returns_how_it_ended() {
        let request = || Request { repository: "a", revision: 1, cause: Cause::Moved, since: now() };
        let cancel = Cancel::default();
        assert_eq!(once(request(), |_, _| Outcome::Done, &cancel).await, Outcome::Done);
        let ended = once(request(), |_, _| panic!("this panic belongs to the test"), &cancel).await;
        assert_eq!(ended, Outcome::Failed(panicked()));
    }
}
