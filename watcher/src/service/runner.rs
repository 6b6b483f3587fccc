//! Runs, one at a time: what is tried again at once, and what the queue is to make of how each ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::{field, info, info_span, warn};

use crate::error::CommandError;
use crate::events::{Cancel, Failure, Outcome, Persistence};
use crate::live::FollowedHubs;
use crate::output::{Exit, Progress};
use crate::run::{Pipeline, RunReport};

/// How often a single run is made again when another writer was faster: each loss means that another one made
/// progress.
const ATTEMPTS: usize = 5;

type RunResult = Result<RunReport, CommandError>;

/// Makes the runs of one repository.
pub struct Runner {
    repository: String,
    pipeline: Mutex<Pipeline>,
    shows_progress: bool,
}

impl Runner {
    /// Creates the runner of a pipeline; `repository` is its name in logs.
    #[must_use]
    pub fn new(repository: String, pipeline: Pipeline, shows_progress: bool) -> Self {
        Self { repository, pipeline: Mutex::new(pipeline), shows_progress }
    }

    /// Lets runs ask an Argo CD what became of groups.
    pub fn ask(&self, hubs: FollowedHubs) {
        self.pipeline().ask(hubs);
    }

    pub(super) fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a run; a mirror that turns out to be damaged is cloned again, once.
    pub(super) fn run(&self, cancel: &Cancel) -> RunResult {
        // The run itself records the revision, since only it knows which one it read.
        let span = info_span!(
            "run",
            run.id = run_id(SystemTime::now()),
            repository = self.repository,
            revision = field::Empty,
            error = field::Empty,
            otel.status_code = field::Empty
        )
        .entered();
        let mut pipeline = self.pipeline();
        let progress = || Progress::new("render", self.shows_progress);
        let result = match pipeline.run(cancel, &progress()) {
            Err(error) if pipeline.recover(&error)? => pipeline.run(cancel, &progress()),
            result => result,
        };
        if let Err(error) = pipeline.tidy() {
            warn!(%error, "failed to repack the mirror; it is only slower");
        }
        // At the end, so that no line of the log repeats it.
        if let Err(error) = &result {
            span.record("error", error.message()).record("otel.status_code", "ERROR");
        }
        result
    }

    /// Makes a run, and makes it again if another writer moved a ref meanwhile.
    pub(super) fn run_to_end(&self, cancel: &Cancel) -> RunResult {
        for _ in 1..ATTEMPTS {
            match self.run(cancel) {
                Err(error) if error.is_conflict() => info!("{error}; starting again"),
                result => return result,
            }
        }
        self.run(cancel)
    }
}

/// Returns what a run is called that begins at this moment: later ones sort behind it, also those of other replicas.
fn run_id(begin: SystemTime) -> String {
    let micros = begin.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("{micros:x}")
}

/// Returns what the queue is to make of how a run ended; a plan that is refused is a failure, too.
pub(super) fn outcome(result: &RunResult) -> Outcome {
    match result {
        Err(CommandError::Stopped(_)) => Outcome::Abandoned,
        Err(error) => Outcome::Failed(failure(error)),
        Ok(report) => match report.refusal() {
            Some(refusal) => Outcome::Failed(failure(&refusal.clone().into())),
            None => Outcome::Done,
        },
    }
}

/// Returns what the queue has to know of an error.
#[must_use]
pub fn failure(error: &CommandError) -> Failure {
    let persistence = match error.retry_after() {
        Some(until) => Persistence::Limited(until.duration_since(SystemTime::now()).unwrap_or_default()),
        None if error.is_transient() => Persistence::Transient,
        None => Persistence::Stalled,
    };
    let is_in_input = error.exit() == Exit::Problems;
    Failure { persistence, is_in_input, message: error.message(), hint: error.hint() }
}
