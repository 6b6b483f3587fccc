//! Waiting until a revision is Synced and Healthy.

use std::time::{Duration, SystemTime};

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::View;
use super::ask::{Asked, Next};
use super::reach::Known;
use crate::argocd::{DesiredFleet, Question, Rollout, rollout};
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
        let (mut known, mut asked) = (Known::new(self.revision), Asked::default());
        let (mut fetched, mut may_ask) = (None, true);
        loop {
            let rollout = block_in_place(|| self.look(view, &mut known, &mut fetched))?;
            show(&rollout);
            match asked.next(&rollout, Instant::now()) {
                Next::Done => return Ok((Ended::Done, rollout)),
                Next::Failed => return Ok((Ended::Failed, rollout)),
                Next::Ask(due) => {
                    for (key, how) in due {
                        asked.note(&key, Instant::now());
                        may_ask = may_ask && ask(view, &key, how).await?;
                    }
                }
                Next::Wait => {}
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
        known: &mut Known,
        fetched: &mut Option<Instant>,
    ) -> Result<Rollout, CommandError> {
        let revision = self.revision.short();
        let question = Question { fleet: self.fleet, revision: &revision, now: SystemTime::now() };
        let repository = self.upstream.repository();
        let rollout = rollout(question, view.observed(), |commit| known.reach(repository, commit));
        if known.took_unknown() && fetched.is_none_or(|at| at.elapsed() >= FETCH_EVERY) {
            *fetched = Some(Instant::now());
            self.upstream.fetch()?;
        }
        Ok(rollout.of_group(self.group))
    }
}

/// Asks for a comparison; returns whether that is permitted. What is gone meanwhile shows by itself.
pub(super) async fn ask(view: &mut View, key: &crate::cluster::Key, how: &str) -> Result<bool, CommandError> {
    match view.refresh(key, how).await {
        Err(error) if error.kind == ClusterErrorKind::Forbidden => {
            warn!("{error}; Argo CD notices the revision in its own time");
            Ok(false)
        }
        Err(error) if error.kind == ClusterErrorKind::NotFound || error.is_transient() => Ok(true),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}
