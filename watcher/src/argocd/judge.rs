//! What became of one Application: decided from what Argo CD says of it, in the order of what makes the rest stale.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::application::{
    Application, HealthStatus, OperationState, Phase, Resource, Source, SyncStatus, of_repository,
};
use super::desired::Wanted;
use super::faults;

/// How long an Application is Degraded before that counts as a failure: a certificate, a Secret or a pod that is
/// waited for passes through it.
pub const DEGRADED_FOR: Duration = Duration::from_mins(5);
/// How many tries of a sync fail in the same way before that counts as a failure.
const TRIES: i64 = 3;
/// How many syncs in a row succeed and leave a difference before that counts as a failure.
const HEALS: i64 = 5;

/// What became of an Application, or of several; the one that needs attention first comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It is Synced at the revision or a later one, and Healthy.
    Done,
    /// It is synced, or becomes healthy.
    Progressing,
    /// Argo CD has not got to it yet, or something else has to come first.
    Waiting,
    /// It will not become Synced and Healthy by itself.
    Failed,
}

impl State {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Progressing => "progressing",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// Whether a revision is the wanted one or comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is, or does.
    Reached,
    /// It does not.
    Before,
    /// It is not known here.
    Unknown,
}

/// What an Application is held against.
pub(super) struct Against<'a> {
    /// The repository that the revision is of.
    pub repository: &'a str,
    /// The revision, for messages.
    pub revision: &'a str,
    /// What is asked for; nothing if no file names the Application.
    pub wanted: Option<&'a Wanted>,
    pub now: SystemTime,
}

/// A state, and why it is that.
pub(super) type Verdict = (State, Option<String>);

/// Decides what became of an Application.
pub(super) fn judge(
    application: &Application,
    against: &Against<'_>,
    reach: &mut dyn FnMut(&str) -> Reach,
) -> Verdict {
    let is_root = against.wanted.is_some_and(Wanted::is_root);
    stale(application, against)
        .or_else(|| compared(application))
        .or_else(|| elsewhere(application, against, reach))
        .or_else(|| if is_root { None } else { running(application, against, reach) })
        .or_else(|| synced(application, against, reach))
        .unwrap_or_else(|| if is_root { (State::Done, None) } else { health(application, against.now) })
}

/// Lowers what Argo CD says of objects on a cluster whose API server does not answer, which is what it saw last. What only
/// git can change is as true without that server.
pub(super) fn of_silent(verdict: Verdict, silent: Option<&String>) -> Verdict {
    match silent {
        Some(why) if verdict.0 != State::Failed => waiting(why),
        _ => verdict,
    }
}

fn waiting(reason: impl Into<String>) -> Verdict {
    (State::Waiting, Some(reason.into()))
}

/// What makes all that Argo CD says of it out of date.
fn stale(application: &Application, against: &Against<'_>) -> Option<Verdict> {
    if application.metadata.deletion_timestamp.is_some() {
        return Some(waiting("it is being deleted"));
    }
    if against.wanted.is_some_and(|wanted| !is_made_of(application, wanted)) {
        return Some(waiting("it is not yet made of the charts and the repository that git names"));
    }
    if application.is_refresh_pending() {
        return Some(waiting("Argo CD has not compared it since that was requested"));
    }
    None
}

/// Returns whether it is made of what git names.
pub(super) fn is_made_of(application: &Application, wanted: &Wanted) -> bool {
    let (wanted, sources) = (&wanted.desired.sources, application.sources());
    wanted.len() == sources.len() && wanted.iter().zip(sources).all(|(wanted, is)| is_same(wanted, is))
}

fn is_same(wanted: &renderer::argo::DesiredSource, is: &Source) -> bool {
    wanted.repository == is.repository
        && wanted.chart.as_deref().unwrap_or_default() == is.chart
        && wanted.revision == is.target_revision
}

/// What keeps Argo CD from comparing it.
fn compared(application: &Application) -> Option<Verdict> {
    let error = faults::condition(application);
    if application.status.sync.status == SyncStatus::Unknown {
        let state =
            if error.as_deref().is_some_and(faults::is_lasting) { State::Failed } else { State::Waiting };
        return Some((state, error.or_else(|| Some("Argo CD has not compared it yet".to_owned()))));
    }
    let is_stale = application.compared() != application.sources();
    is_stale.then(|| (State::Waiting, Some("Argo CD has not compared it since it changed".to_owned())))
}

/// A comparison with another revision.
fn elsewhere(
    application: &Application,
    against: &Against<'_>,
    reach: &mut dyn FnMut(&str) -> Reach,
) -> Option<Verdict> {
    let (sources, revisions) = (application.compared(), application.revisions());
    if revisions.len() < sources.len() {
        return Some(waiting("Argo CD does not say which revision it is at"));
    }
    for revision in of_repository(sources, revisions, against.repository) {
        let short = revision.get(..7).unwrap_or(revision);
        match reach(revision) {
            Reach::Reached => {}
            Reach::Before => {
                return Some(waiting(format!("it is at {short} and not yet at {}", against.revision)));
            }
            Reach::Unknown => {
                return Some(waiting(format!("it is at {short}, a commit that is not known here")));
            }
        }
    }
    None
}

/// A sync that runs or is about to. One of an older revision is not final: its next try may be of a newer one.
fn running(
    application: &Application,
    against: &Against<'_>,
    reach: &mut dyn FnMut(&str) -> Reach,
) -> Option<Verdict> {
    let operation = application.status.operation_state.as_ref();
    let running =
        operation.filter(|operation| matches!(operation.phase, Phase::Running | Phase::Terminating));
    let Some(running) = running else {
        let is_due = application.operation.is_some();
        return is_due.then(|| (State::Progressing, Some("a sync starts".to_owned())));
    };
    let failed = running.sync_result.resources.iter().any(|failed| faults::is_lasting(&failed.message));
    let is_lasting = running.retry_count >= TRIES && (failed || faults::is_lasting(&running.message));
    if is_lasting && application.syncs_other_sources() {
        let error = faults::shown(&running.message);
        let way_out =
            "its sync is of sources that it no longer has, and has to be ended (`argocd app terminate-op`)";
        return Some((State::Failed, Some(format!("{way_out}: {error}"))));
    }
    let mut at = of_repository(application.sources(), running.revisions(), against.repository);
    let is_older = at.any(|revision| !revision.is_empty() && reach(revision) != Reach::Reached);
    if is_lasting && !is_older {
        let error = faults::first(application).unwrap_or_default();
        // Without the number of tries, which would make another reason of the same one.
        return Some((State::Failed, Some(format!("sync fails again and again: {error}"))));
    }
    let message = if running.sync_result.resources.is_empty() {
        Some(faults::shown(&running.message)).filter(|message| !message.is_empty())
    } else {
        faults::first(application)
    };
    Some((
        State::Progressing,
        Some(message.map_or_else(|| "it is synced".to_owned(), |why| format!("syncing: {why}"))),
    ))
}

/// What differs from git, and whether a sync puts it right.
fn synced(
    application: &Application,
    against: &Against<'_>,
    reach: &mut dyn FnMut(&str) -> Reach,
) -> Option<Verdict> {
    let failed = |reason: String| Some((State::Failed, Some(reason)));
    let operation = application.status.operation_state.as_ref();
    let ended_badly = operation.filter(|operation| matches!(operation.phase, Phase::Failed | Phase::Error));
    if let Some(operation) = ended_badly
        && is_at(operation, application, against, reach)
    {
        let error = faults::first(application).unwrap_or_else(|| faults::shown(&operation.message));
        return failed(format!("sync failed and is not tried again: {error}"));
    }
    if application.status.sync.status == SyncStatus::Synced || leaves_only(application) {
        return None;
    }
    let different = faults::different(application).unwrap_or_else(|| "it differs from git".to_owned());
    if !application.is_automated() {
        return failed(format!("it is not synced automatically: {different}"));
    }
    let heals = operation.map_or(0, |operation| operation.operation.sync.auto_heal_attempts_count);
    if heals >= HEALS {
        return failed(format!("{HEALS} syncs in a row succeeded and changed nothing: {different}"));
    }
    Some(waiting(format!("a sync is due: {different}")))
}

/// Returns whether a sync was of the wanted revision.
fn is_at(
    operation: &OperationState,
    application: &Application,
    against: &Against<'_>,
    reach: &mut dyn FnMut(&str) -> Reach,
) -> bool {
    let mut at = of_repository(application.sources(), operation.revisions(), against.repository).peekable();
    at.peek().is_some() && at.all(|revision| reach(revision) == Reach::Reached)
}

/// Returns whether all that differs is what git no longer has, and is kept on purpose.
fn leaves_only(application: &Application) -> bool {
    let mut different =
        application.status.resources.iter().filter(|it| it.status == Some(SyncStatus::OutOfSync)).peekable();
    let is_left = |resource: &Resource| resource.requires_pruning;
    !application.prunes() && different.peek().is_some() && different.all(is_left)
}

fn health(application: &Application, now: SystemTime) -> Verdict {
    let health = &application.status.health;
    let error = faults::first(application);
    let lasts = application.changed().and_then(|since| now.duration_since(since).ok()).unwrap_or_default();
    let with =
        |text: &str| Some(error.clone().map_or_else(|| text.to_owned(), |error| format!("{text}: {error}")));
    match health.status {
        HealthStatus::Healthy => (State::Done, None),
        HealthStatus::Degraded if lasts >= DEGRADED_FOR => (State::Failed, with("it is Degraded")),
        HealthStatus::Degraded => (State::Progressing, with("it is Degraded")),
        HealthStatus::Suspended => (State::Progressing, with("it is Suspended")),
        HealthStatus::Progressing => (State::Progressing, with("it becomes healthy")),
        HealthStatus::Missing => (State::Waiting, with("objects are missing")),
        HealthStatus::Unknown => (State::Waiting, with("its health is not known")),
    }
}
