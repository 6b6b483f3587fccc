//! The loop of the service: events go into the queue, requests come out, one run at a time.
//!
//! Knows nothing of what a run does. Runs are blocking work on a thread of their own, so that events are taken in
//! while one is under way.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tracing::{debug, error, info, warn};

use super::{Cancel, Event, Failure, FollowUp, Outcome, Persistence, Queue, Request};

/// Serves events until a stop is requested, or until all sources have ended and nothing is left to do;
/// `watch` sees the queue after everything that happens to it.
///
/// On a stop the run that is under way is waited for; it checks `cancel` and ends at its next step boundary.
pub async fn serve<F>(
    mut queue: Queue,
    mut events: mpsc::Receiver<Event>,
    run: F,
    cancel: &Cancel,
    watch: impl Fn(&Queue),
) where
    F: Fn(Request, &Cancel) -> Outcome + Send + Sync + 'static,
{
    let run = Arc::new(run);
    let mut running = JoinSet::new();
    let mut has_sources = true;
    while has_sources || !running.is_empty() || queue.next_due().is_some() {
        let next = queue.next_due();
        tokio::select! {
            () = cancel.requested() => break,
            event = events.recv(), if has_sources => match event {
                Some(event) => queue.push(event, now()),
                None => has_sources = false,
            },
            Some(Ok(outcome)) = running.join_next() => finish(&mut queue, &outcome),
            () = tokio::time::sleep_until(next.unwrap_or_else(now).into()), if next.is_some() => {
                if let Some(request) = queue.pop_due(now()) {
                    let (run, cancel) = (Arc::clone(&run), cancel.clone());
                    let attempt = once(move |cancel| run(request, cancel), cancel);
                    running.spawn(async { attempt.await.unwrap_or_else(Outcome::Failed) });
                }
            }
        }
        watch(&queue);
    }
    while let Some(Ok(outcome)) = running.join_next().await {
        finish(&mut queue, &outcome);
    }
}

/// Makes one run on a thread for blocking work; fails if it panics.
pub async fn once<T: Send + 'static>(
    run: impl FnOnce(&Cancel) -> T + Send + 'static,
    cancel: Cancel,
) -> Result<T, Failure> {
    spawn_blocking(move || run(&cancel)).await.map_err(|_panic| panicked())
}

/// The failure of a run that panicked; it would panic again, so it waits for the next event.
fn panicked() -> Failure {
    Failure {
        persistence: Persistence::Stalled,
        is_in_input: false,
        message: "the run ended with a panic, which is a bug in Fleetwright".to_owned(),
        hint: Some("report it with the text of the panic above".to_owned()),
    }
}

fn finish(queue: &mut Queue, outcome: &Outcome) {
    let follow_up = queue.finished(outcome, now());
    match outcome {
        Outcome::Done => {}
        Outcome::Abandoned => info!("left the rest of the run for later"),
        Outcome::Failed(failure) => report(failure, &follow_up),
    }
}

fn report(Failure { message, hint, .. }: &Failure, follow_up: &FollowUp) {
    let hint = hint.as_deref();
    match follow_up {
        FollowUp::Retry { failures, delay } if *failures <= 1 => {
            warn!(
                hint,
                "{message}; trying again in {:.1} s, and then at longer intervals",
                delay.as_secs_f32()
            );
        }
        FollowUp::Retry { failures, delay } => {
            debug!(failures, "still failing: {message}; trying again in {:.1} s", delay.as_secs_f32());
        }
        FollowUp::Report => error!(hint, "{message}"),
        FollowUp::AlreadyReported => debug!("still failing: {message}"),
        FollowUp::Nothing => {}
    }
}

/// The time as the runtime sees it, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::backoff::Backoff;
    use crate::events::Settings;

    const SETTINGS: Settings = Settings {
        quiet: Duration::from_secs(2),
        max_wait: Duration::from_secs(10),
        retry: Backoff { first: Duration::from_secs(4), longest: Duration::from_mins(1) },
    };

    /// A service on a stopped clock whose runs end as a test has it, and note their event and the second they began.
    struct Scene {
        start: tokio::time::Instant,
        runs: Arc<Mutex<Vec<(Event, u64)>>>,
        sender: mpsc::Sender<Event>,
        cancel: Cancel,
        service: tokio::task::JoinHandle<()>,
    }

    impl Scene {
        fn new(run: impl Fn(Event, &Cancel) -> Outcome + Send + Sync + 'static) -> Self {
            let start = tokio::time::Instant::now();
            let runs = Arc::new(Mutex::new(Vec::new()));
            let (sender, receiver) = mpsc::channel(4);
            let cancel = Cancel::default();
            let noted = Arc::clone(&runs);
            let run = move |request: Request, cancel: &Cancel| {
                let second = (now() - start.into_std()).as_secs();
                noted.lock().unwrap().push((request.event, second));
                run(request.event, cancel)
            };
            let stop = cancel.clone();
            let queue = Queue::new(SETTINGS, 7);
            let service = tokio::spawn(async move { serve(queue, receiver, run, &stop, |_| {}).await });
            Self { start, runs, sender, cancel, service }
        }

        async fn event(&self, event: Event, at: u64) {
            tokio::time::sleep_until(self.start + Duration::from_secs(at)).await;
            self.sender.send(event).await.unwrap();
        }

        /// Ends the sources, waits until the service has nothing left to do, and returns its runs.
        async fn drain(self) -> Vec<(Event, u64)> {
            drop(self.sender);
            self.service.await.unwrap();
            self.runs.lock().unwrap().clone()
        }
    }

    fn failed(persistence: Persistence) -> Outcome {
        Outcome::Failed(Failure { persistence, is_in_input: false, message: "no".to_owned(), hint: None })
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_event_there_is_no_run() {
        let scene = Scene::new(|_, _| Outcome::Done);
        assert_eq!(scene.drain().await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_gives_one_run_and_a_later_event_another() {
        let scene = Scene::new(|_, _| Outcome::Done);
        scene.event(Event::Moved, 0).await;
        scene.event(Event::Changed, 1).await;
        scene.event(Event::Moved, 20).await;
        assert_eq!(scene.drain().await, [(Event::Changed, 3), (Event::Moved, 22)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_during_a_run_gives_one_more_run_after_it() {
        let (begun, mut has_begun) = mpsc::channel(2);
        let (go_on, may_go_on) = std::sync::mpsc::sync_channel::<()>(2);
        let may_go_on = Mutex::new(may_go_on);
        let scene = Scene::new(move |_, _| {
            begun.try_send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
            Outcome::Done
        });
        scene.event(Event::Moved, 0).await;
        has_begun.recv().await.unwrap();
        for _ in 2..10 {
            scene.event(Event::Changed, 2).await;
        }
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        let events: Vec<Event> = scene.drain().await.iter().map(|(event, _)| *event).collect();
        assert_eq!(events, [Event::Moved, Event::Changed]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_and_a_stalled_one_is_not() {
        let attempts = Mutex::new(0);
        let scene = Scene::new(move |_, _| {
            let mut attempts = attempts.lock().unwrap();
            *attempts += 1;
            failed(if *attempts < 3 { Persistence::Transient } else { Persistence::Stalled })
        });
        scene.event(Event::Moved, 0).await;
        let runs = scene.drain().await;
        assert_eq!(runs.len(), 3, "{runs:?}");
        assert!(runs.is_sorted_by(|a, b| a.1 < b.1), "a retry did not wait: {runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_run_does_not_end_the_service() {
        let scene = Scene::new(|event, _| {
            assert_ne!(event, Event::Changed, "this panic belongs to the test");
            Outcome::Done
        });
        scene.event(Event::Changed, 0).await;
        scene.event(Event::Moved, 20).await;
        assert_eq!(scene.drain().await, [(Event::Changed, 2), (Event::Moved, 22)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_run_to_reach_a_step_boundary_and_starts_no_other() {
        let (begun, mut has_begun) = mpsc::channel(1);
        let scene = Scene::new(move |_, cancel| {
            begun.try_send(()).unwrap();
            while !cancel.is_requested() {
                std::thread::yield_now();
            }
            Outcome::Abandoned
        });
        scene.event(Event::Moved, 0).await;
        has_begun.recv().await.unwrap();
        scene.event(Event::Moved, 2).await;
        scene.cancel.request();
        scene.service.await.unwrap();
        assert_eq!(*scene.runs.lock().unwrap(), [(Event::Moved, 2)]);
    }

    #[tokio::test]
    async fn a_single_run_returns_how_it_ended() {
        let cancel = Cancel::default();
        assert_eq!(once(|_| Outcome::Done, cancel.clone()).await, Ok(Outcome::Done));
        let ended: Result<(), _> = once(|_| panic!("this panic belongs to the test"), cancel).await;
        assert_eq!(ended, Err(panicked()));
    }
}
