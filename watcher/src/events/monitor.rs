//! What the service shows of itself while it runs: its metrics, whether it is ready, and the state of the base branch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use axum::http::StatusCode;
use renderer::plural::counted;

use super::Outcome;
use crate::output::metrics::Metrics;

/// What the service counts and notes about itself; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    /// What it counts.
    pub metrics: Metrics,
    is_ready: Arc<AtomicBool>,
    /// What is wrong with the base branch, in one line; nothing if it renders or is not known yet.
    base_fault: Arc<Mutex<Option<String>>>,
}

impl Monitor {
    /// Makes a run, and counts it by how it ended.
    pub fn observe(&self, run: impl FnOnce() -> Outcome) -> Outcome {
        let begun = Instant::now();
        let outcome = run();
        self.metrics.count_run(name_of(&outcome), begun.elapsed());
        match &outcome {
            Outcome::Done => {
                self.metrics.set_last_success(SystemTime::now());
                self.set_ready();
            }
            // The service did its part: the fault is in the source files, and it is reported.
            Outcome::Failed(failure) if failure.is_in_input => self.set_ready(),
            Outcome::Failed(_) | Outcome::Abandoned => {}
        }
        outcome
    }

    /// Notes how many problems keep the base branch, at this commit, from being rendered; none if it renders.
    pub fn set_base(&self, commit: &str, problems: usize) {
        self.metrics.base_problems.set(problems as u64);
        let fault =
            || format!("the base branch does not render at {commit}: {}", counted(problems, "problem"));
        *self.base_fault.lock().unwrap_or_else(PoisonError::into_inner) = (problems > 0).then(fault);
    }

    /// Notes whether a look for changes succeeded, and passes it on.
    pub fn observe_look<T, E>(&self, look: Result<T, E>) -> Result<T, E> {
        if look.is_ok() {
            self.metrics.set_last_look(SystemTime::now());
        }
        look
    }

    /// Returns whether the service works, and the report of that.
    ///
    /// It works while the base branch does not render, too: only with deliveries does it notice the fix at once.
    pub(super) fn readiness(&self) -> (StatusCode, String) {
        let (status, word) = if self.is_ready.load(Ordering::Acquire) {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        };
        let fault = self.base_fault.lock().unwrap_or_else(PoisonError::into_inner);
        (status, fault.iter().fold(word.to_owned(), |text, fault| text + fault + "\n"))
    }

    /// Notes that the service works, or could take over.
    pub fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Release);
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
