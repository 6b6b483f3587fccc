//! Waiting until a revision is Synced and Healthy.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::ask::{Asked, Next, Request, Target};
use super::reach::Known;
use super::spokes::Spokes;
use super::{Hubs, View};
use crate::argocd::{HubFleet, Question, Rollout, Silent, destinations, rollout};
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
    /// Waits for the hubs that run anything of it, and returns how it ended: the first that does not end well ends it. `show`
    /// is given what became of the revision so far whenever that may have changed.
    pub async fn run(
        self,
        hubs: &mut Hubs,
        cancel: &Cancel,
        show: impl FnMut(&Rollout),
    ) -> Result<(Ended, Rollout), CommandError> {
        let unasked = hubs.unasked(self.group);
        let has_any = |fleet: &HubFleet| !fleet.clusters(self.group).is_empty();
        let is_on_any = hubs.asked.iter().any(|(fleet, _)| has_any(fleet));
        let asked = hubs.asked.iter_mut().filter(|(fleet, _)| has_any(fleet) || !is_on_any);
        let asked: Vec<_> = asked.collect();
        let seen = RefCell::new((vec![Rollout::default(); asked.len()], show));
        let waits = asked.into_iter().enumerate().map(async |(at, (fleet, view))| {
            let unasked = if at == 0 { unasked.clone() } else { Vec::new() };
            let show = |rollout| {
                let (rollouts, show) = &mut *seen.borrow_mut();
                rollouts[at] = Rollout { unasked: unasked.clone(), ..rollout };
                show(&together(rollouts, &fleet.groups));
            };
            self.on(fleet, view, cancel, show).await
        });
        let mut waits: FuturesUnordered<_> = waits.collect();
        let mut result = Ended::Done;
        while let Some(ended) = waits.next().await {
            result = ended?;
            if result != Ended::Done {
                break;
            }
        }
        drop(waits);
        let (rollouts, _) = seen.into_inner();
        let groups = hubs.asked.first().map(|(fleet, _)| &fleet.groups[..]).unwrap_or_default();
        Ok((result, together(&rollouts, groups).into_owned()))
    }

    /// Waits for one hub.
    async fn on(
        &self,
        fleet: &HubFleet,
        view: &mut View,
        cancel: &Cancel,
        mut show: impl FnMut(Rollout),
    ) -> Result<Ended, CommandError> {
        let (mut known, mut asked, mut fetched) = (Known::new(self.revision), Asked::default(), None);
        let (mut spokes, mut refused) = (Spokes::default(), BTreeSet::new());
        loop {
            if !spokes.is_recent(Instant::now()) {
                let clusters = destinations(fleet, view.observed(), self.group);
                tokio::select! {
                    () = spokes.ask(view.client(), view.namespace(), clusters) => {}
                    () = sleep_until(self.deadline) => {}
                    () = cancel.requested() => return Err(Stopped.into()),
                }
            }
            let question = (fleet, &*view, spokes.silent());
            let rollout = block_in_place(|| self.look(question, &mut known, &mut fetched))?;
            let next = asked.next(&rollout, Instant::now());
            show(rollout);
            match next {
                Next::Done if spokes.is_recent(Instant::now()) => return Ok(Ended::Done),
                Next::Failed => return Ok(Ended::Failed),
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
                return Ok(Ended::TimedOut);
            }
        }
    }

    /// Decides what became of the revision so far, after fetching commits that are not here if there are any.
    fn look(
        &self,
        (fleet, view, silent): (&HubFleet, &View, &Silent),
        known: &mut Known,
        fetched: &mut Option<Instant>,
    ) -> Result<Rollout, CommandError> {
        let revision = self.revision.short();
        let question = Question { fleet, revision: &revision, silent, now: SystemTime::now() };
        let repository = self.upstream.repository();
        let rollout = rollout(question, view.observed(), |commit| known.reach(repository, commit));
        if known.took_unknown() && fetched.is_none_or(|at| at.elapsed() >= FETCH_EVERY) {
            *fetched = Some(Instant::now());
            self.upstream.fetch()?;
        }
        Ok(rollout.of_group(self.group))
    }
}

/// Returns what became of each hub's part as one.
fn together<'r>(rollouts: &'r [Rollout], groups: &[String]) -> Cow<'r, Rollout> {
    match rollouts {
        [one] => Cow::Borrowed(one),
        several => {
            let all = several.iter().cloned().reduce(|all, next| all.and(next, groups));
            Cow::Owned(all.unwrap_or_default())
        }
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
