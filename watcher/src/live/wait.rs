//! Waiting until a revision is Synced and Healthy.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::View;
use super::ask::{Asked, Next, Request, Target};
use super::reach::Known;
use super::spokes::Spokes;
use crate::argocd::{DesiredFleet, Question, Rollout, Silent, destinations, rollout};
use crate::cluster::ClusterErrorKind;
use crate::error::CommandError;
use crate::events::{Cancel, Stopped};
use crate::git::{Revision, Upstream};

/// How often it is looked again without a change: time itself changes what a state means.
const TICK: Duration = Duration::from_secs(5);
/// How often commits are fetched that Argo CD names and that are not here.
const FETCH_EVERY: Duration = Duration::from_secs(15);

/// What is waited for.
pub struct Wait<'a> {
    /// Where commits are.
    pub upstream: &'a Upstream,
    /// The revision.
    pub revision: Revision,
    /// What it asks for.
    pub fleet: &'a DesiredFleet,
    /// The group, if it is not the whole fleet.
    pub group: Option<&'a str>,
    /// Until when at most.
    pub deadline: Instant,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is Synced and Healthy.
    Done,
    /// Something will not become so by itself.
    Failed,
    /// The time is over.
    TimedOut,
}

impl Wait<'_> {
    /// Waits, and returns how it ended. `show` is given what became of the revision so far whenever that may have changed.
    pub async fn run(
        self,
        view: &mut View,
        cancel: &Cancel,
        mut show: impl FnMut(&Rollout),
    ) -> Result<(Ended, Rollout), CommandError> {
        let (mut known, mut asked, mut fetched) = (Known::new(self.revision), Asked::default(), None);
        let (mut spokes, mut refused) = (Spokes::default(), BTreeSet::new());
        loop {
            if !spokes.is_recent(Instant::now()) {
                let clusters = destinations(self.fleet, view.observed(), self.group);
                tokio::select! {
                    () = spokes.ask(view.client(), view.namespace(), clusters) => {}
                    () = sleep_until(self.deadline) => {}
                    () = cancel.requested() => return Err(Stopped.into()),
                }
            }
            let rollout = block_in_place(|| self.look(view, spokes.silent(), &mut known, &mut fetched))?;
            show(&rollout);
            match asked.next(&rollout, Instant::now()) {
                Next::Done if spokes.is_recent(Instant::now()) => return Ok((Ended::Done, rollout)),
                Next::Failed => return Ok((Ended::Failed, rollout)),
                Next::Ask(due) => {
                    for request in due {
                        ask(view, &request, &mut refused).await?;
                        asked.note(request.0, Instant::now());
                    }
                }
                Next::Done | Next::Wait => {}
            }
            tokio::select! {
                changed = view.changed() => changed?,
                () = sleep_until(self.deadline.min(Instant::now() + TICK)) => {}
                () = cancel.requested() => return Err(Stopped.into()),
            }
            if Instant::now() >= self.deadline {
                return Ok((Ended::TimedOut, rollout));
            }
        }
    }

    /// Decides what became of the revision so far, after fetching commits that are not here if there are any.
    fn look(
        &self,
        view: &View,
        silent: &Silent,
        known: &mut Known,
        fetched: &mut Option<Instant>,
    ) -> Result<Rollout, CommandError> {
        let revision = self.revision.short();
        let question = Question { fleet: self.fleet, revision: &revision, silent, now: SystemTime::now() };
        let repository = self.upstream.repository();
        let rollout = rollout(question, view.observed(), |commit| known.reach(repository, commit));
        if known.took_unknown() && fetched.is_none_or(|at| at.elapsed() >= FETCH_EVERY) {
            *fetched = Some(Instant::now());
            self.upstream.fetch()?;
        }
        Ok(rollout.of_group(self.group))
    }
}

/// Asks Argo CD to look at something again, unless asking for its kind was refused. What is gone meanwhile shows by
/// itself.
pub(super) async fn ask(
    view: &mut View,
    (target, how): &Request,
    refused: &mut BTreeSet<&'static str>,
) -> Result<(), CommandError> {
    let kind = match target {
        Target::Application(_) => "Application",
        Target::Set(_) => "ApplicationSet",
    };
    if refused.contains(kind) {
        return Ok(());
    }
    match view.refresh(target, how).await {
        Err(error) if error.kind == ClusterErrorKind::Forbidden => {
            warn!("{error}; Argo CD notices the revision in its own time");
            refused.insert(kind);
        }
        Err(error) if error.kind != ClusterErrorKind::NotFound && !error.is_transient() => {
            return Err(error.into());
        }
        _ => {}
    }
    Ok(())
}
