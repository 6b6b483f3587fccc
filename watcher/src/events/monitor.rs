//! What the service shows of itself while it runs: its metrics, whether it is alive and ready, and the state of the base
//! branch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use renderer::plural::counted;

use super::{Outcome, Persistence, Queue};
use crate::output::metrics::Metrics;

/// How long a run may take, an event may wait and looks may fail until the service counts as stalled.
const STALLED_AFTER: Duration = Duration::from_mins(15);
/// How long a run may take until only a new start helps: every step of one has a limit far below.
const DEAD_AFTER: Duration = Duration::from_hours(2);
/// How long a replica that waits may go without a sight of the Lease.
const UNSEEN_AFTER: Duration = Duration::from_mins(1);

/// What the service counts and notes about itself; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    /// What it counts.
    pub metrics: Metrics,
    state: Arc<Mutex<State>>,
}

/// What is known of the service.
#[derive(Clone, Debug, Default)]
struct State {
    /// When this replica last saw that another one works; nothing if it works itself.
    follows_since: Option<Instant>,
    /// What the last run showed that was not asked to stop.
    last_run: LastRun,
    running_since: Option<Instant>,
    unanswered_since: Option<Instant>,
    /// When looks for changes began to fail.
    blind_since: Option<Instant>,
    /// What is wrong with the base branch, in one line; nothing if it renders or is not known yet.
    base_fault: Option<String>,
}

/// What a run showed of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastRun {
    /// None has ended.
    #[default]
    Unknown,
    /// The service did its part: if there is a fault, it is in the source files, and it is reported.
    Works,
    /// It failed in a way that does not pass by itself.
    Stalled,
}

impl State {
    /// Returns why the service does not do its part, as far as that can be seen.
    fn faults(&self, now: Instant) -> Vec<String> {
        let age = |since: Option<Instant>| since.map(|since| now.saturating_duration_since(since));
        let beyond = |since, limit| age(since).filter(|age| *age > limit).map(|age| age.as_secs());
        if self.follows_since.is_some() {
            let unseen = beyond(self.follows_since, UNSEEN_AFTER);
            return unseen.map(|s| format!("the Lease has not been seen for {s} s")).into_iter().collect();
        }
        let last_run = match self.last_run {
            LastRun::Works => None,
            LastRun::Unknown => Some("no run has ended yet".to_owned()),
            LastRun::Stalled => Some("the last run failed, and its log names the way out".to_owned()),
        };
        let stalled = |since, text: &str| beyond(since, STALLED_AFTER).map(|s| format!("{text} for {s} s"));
        let slow = [
            stalled(self.running_since, "a run has been under way"),
            stalled(self.unanswered_since, "an event has waited"),
            stalled(self.blind_since, "looks for changes have failed"),
        ];
        last_run.into_iter().chain(slow.into_iter().flatten()).collect()
    }

    /// Returns whether only a new start helps.
    fn is_dead(&self, now: Instant) -> bool {
        self.running_since.is_some_and(|since| now.saturating_duration_since(since) > DEAD_AFTER)
    }

    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done => self.last_run = LastRun::Works,
            Outcome::Failed(failure) if failure.is_in_input => self.last_run = LastRun::Works,
            Outcome::Failed(failure) if failure.persistence == Persistence::Stalled => {
                self.last_run = LastRun::Stalled;
            }
            Outcome::Failed(_) | Outcome::Abandoned => {}
        }
    }
}

impl Monitor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a run, and counts it by how it ended.
    pub fn observe(&self, run: impl FnOnce() -> Outcome) -> Outcome {
        let begun = Instant::now();
        self.state().running_since = Some(begun);
        let outcome = run();
        self.metrics.count_run(name_of(&outcome), begun.elapsed());
        if outcome == Outcome::Done {
            self.metrics.set_last_success(SystemTime::now());
        }
        let mut state = self.state();
        state.running_since = None;
        state.note(&outcome);
        outcome
    }

    /// Notes how many problems keep the base branch, at this commit, from being rendered; none if it renders.
    pub fn set_base(&self, commit: &str, problems: usize) {
        self.metrics.base_problems.set(problems as u64);
        let fault =
            || format!("the base branch does not render at {commit}: {}", counted(problems, "problem"));
        self.state().base_fault = (problems > 0).then(fault);
    }

    /// Notes whether a look for changes succeeded, and passes it on.
    pub fn observe_look<T, E>(&self, look: Result<T, E>) -> Result<T, E> {
        if look.is_ok() {
            self.metrics.set_last_look(SystemTime::now());
        }
        let mut state = self.state();
        state.blind_since = if look.is_ok() { None } else { state.blind_since.or(Some(Instant::now())) };
        look
    }

    /// Notes since when the first event waits that no run has answered.
    pub fn observe_queue(&self, queue: &Queue) {
        self.metrics.set_unanswered_since(queue.unanswered_since());
        self.state().unanswered_since = queue.unanswered_since();
    }

    /// Notes that another replica worked at a moment, and that this one could take over.
    pub fn set_follower(&self, seen: Instant) {
        self.metrics.leader.set(0);
        self.state().follows_since = Some(seen);
    }

    /// Notes that this replica works.
    pub fn set_leader(&self) {
        self.metrics.leader.set(1);
        self.state().follows_since = None;
    }

    /// Returns what a person wants to know of the service at this moment, in lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (now, state) = (Instant::now(), self.state());
        let since = |since: Option<Instant>, text: &str| {
            since.map(|since| format!("{text} {} s", now.saturating_duration_since(since).as_secs()))
        };
        let lines = [
            state.follows_since.map(|_| "Another replica works; this one waits to take over.".to_owned()),
            since(state.running_since, "A run is under way since"),
            since(state.unanswered_since, "An event waits since"),
            since(state.blind_since, "Looks for changes fail since"),
            state.base_fault.clone(),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        if lines.is_empty() { vec!["Nothing waits.".to_owned()] } else { lines }
    }

    /// Returns whether the process does anything at all.
    pub(super) fn liveness(&self, now: Instant) -> (StatusCode, &'static str) {
        if self.state().is_dead(now) {
            (StatusCode::SERVICE_UNAVAILABLE, "a run does not end\n")
        } else {
            (StatusCode::OK, "alive\n")
        }
    }

    /// Returns whether the service works, or could take over, and the report of that.
    ///
    /// It works while the base branch does not render, too: only with deliveries does it notice the fix at once.
    pub(super) fn readiness(&self, now: Instant) -> (StatusCode, String) {
        let state = self.state();
        let faults = state.faults(now);
        let (status, word) = if faults.is_empty() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        let lines = [word.to_owned()].into_iter().chain(faults).chain(state.base_fault.clone());
        (status, lines.map(|line| line + "\n").collect())
    }
}

const fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Abandoned => "abandoned",
        Outcome::Failed(failure) if failure.is_in_input => "problems",
        Outcome::Failed(_) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Failure;
    use super::*;

    fn failed(persistence: Persistence, is_in_input: bool) -> Outcome {
        Outcome::Failed(Failure { persistence, is_in_input, message: "no".to_owned(), hint: None })
    }

    #[test]
    fn a_service_works_unless_something_shows_that_it_does_not() {
        let begun = Instant::now();
        let works = State { last_run: LastRun::Works, ..State::default() };
        let since = Some(begun);
        let minute = 60;
        let table = [
            (State::default(), 0, "no run has ended yet"),
            (works.clone(), 100 * minute, ""),
            (
                State { last_run: LastRun::Stalled, ..works.clone() },
                0,
                "the last run failed, and its log names the way out",
            ),
            (State { running_since: since, ..works.clone() }, 15 * minute, ""),
            (
                State { running_since: since, ..works.clone() },
                15 * minute + 1,
                "a run has been under way for 901 s",
            ),
            (
                State { unanswered_since: since, ..works.clone() },
                16 * minute,
                "an event has waited for 960 s",
            ),
            (
                State { blind_since: since, ..works.clone() },
                20 * minute,
                "looks for changes have failed for 1200 s",
            ),
            // One that waits makes no runs, and looks at nothing but the Lease.
            (State { follows_since: since, ..State::default() }, minute, ""),
            (
                State { follows_since: since, ..State::default() },
                minute + 1,
                "the Lease has not been seen for 61 s",
            ),
        ];
        for (state, seconds, expected) in table {
            let faults = state.faults(begun + Duration::from_secs(seconds));
            assert_eq!(faults.join(", "), expected, "{state:?} after {seconds} s");
        }
    }

    #[test]
    fn only_a_run_without_end_asks_for_a_new_start() {
        let (begun, works) = (Instant::now(), State::default());
        assert!(!works.is_dead(begun + 10 * DEAD_AFTER));
        let runs = State { running_since: Some(begun), ..works };
        assert!(!runs.is_dead(begun + 2 * STALLED_AFTER));
        assert!(runs.is_dead(begun + DEAD_AFTER + STALLED_AFTER));
    }

    #[test]
    fn what_passes_by_itself_or_is_in_the_inputs_leaves_a_service_that_works_ready() {
        use Persistence::{Stalled, Transient};
        let mut state = State::default();
        for (outcome, expected) in [
            (Outcome::Abandoned, LastRun::Unknown),
            (failed(Transient, false), LastRun::Unknown),
            (failed(Stalled, true), LastRun::Works),
            (failed(Transient, false), LastRun::Works),
            (failed(Stalled, false), LastRun::Stalled),
            (Outcome::Abandoned, LastRun::Stalled),
            (Outcome::Done, LastRun::Works),
        ] {
            state.note(&outcome);
            assert_eq!(state.last_run, expected, "{outcome:?}");
        }
    }
}
