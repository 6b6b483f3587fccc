//! The Argo CD of each hub of a fleet, followed between runs: what became of each group on all of them.

use std::collections::BTreeMap;

use futures::future::join_all;
use renderer::path::ClusterName;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::hub::{Answer, Hub, HubLook, PATIENCE, STOPS, no_answer, why};
use super::hubs::{hub_of, other, unasked};
use super::{Standing, Watched};
use crate::argocd::{DesiredFleet, HubFleet, Rollout, Wave};
use crate::cluster::{Client, ClusterError};
use crate::events::{Cancel, Events};
use crate::git::{GitError, Repository};

/// What is looked at.
pub struct Look {
    /// What the tip of the base branch asks for.
    pub fleet: DesiredFleet,
    /// The groups, in the order of their release.
    pub watched: Vec<Watched>,
    /// Where commits are.
    pub repository: Repository,
}

/// What became of each group, in order; of one whose hub does not answer, why that is not known.
pub type Standings = Vec<Result<Standing, String>>;

/// The Argo CD of each hub that can be asked.
#[derive(Clone, Debug)]
pub struct FollowedHubs(mpsc::Sender<(Look, oneshot::Sender<Standings>)>);

impl FollowedHubs {
    /// Starts to follow the Argo CD of a client, and those of hubs that have a context of their name. `events` are sent when
    /// something else is to be known than what a run was answered.
    #[must_use]
    pub fn follow(named: Client, events: Option<Events>, cancel: Cancel) -> Self {
        let (asks, mut asked) = mpsc::channel::<(Look, oneshot::Sender<Standings>)>(1);
        let mut followed = Followed { named, events, hubs: BTreeMap::new() };
        tokio::spawn(async move {
            while let Some((look, reply)) = asked.recv().await {
                let standings = tokio::select! {
                    standings = followed.answer(look) => standings,
                    () = cancel.requested() => return,
                };
                // A run that was stopped needs no answer.
                let _ = reply.send(standings);
            }
        });
        Self(asks)
    }

    /// Returns what became of each group. Waits for it, so it is for threads that may.
    #[must_use]
    pub fn look(&self, look: Look) -> Standings {
        let (number, (reply, answer)) = (look.watched.len(), oneshot::channel());
        let asked = self.0.blocking_send((look, reply));
        let answer = asked.ok().and_then(|()| answer.blocking_recv().ok());
        answer.unwrap_or_else(|| vec![Err(STOPS.to_owned()); number])
    }
}

struct Followed {
    /// Leads to the hub that was named.
    named: Client,
    events: Option<Events>,
    hubs: BTreeMap<Option<ClusterName>, Hub>,
}

/// What is for a hub, and what it answered; or why it is not asked.
type HubAnswer = (HubFleet, Result<Answer, ClusterError>);

impl Followed {
    async fn answer(&mut self, Look { fleet, watched, repository }: Look) -> Standings {
        let named = match timeout(PATIENCE, hub_of(&self.named, &fleet)).await {
            Ok(Ok(named)) => named,
            Ok(Err(error)) => return vec![Err(why(&error)); watched.len()],
            Err(_) => return vec![Err(no_answer()); watched.len()],
        };
        self.hubs.retain(|hub, _| fleet.hubs.iter().any(|fleet| fleet.hub == *hub));
        let mut asks = Vec::new();
        for (at, fleet) in fleet.hubs.into_iter().enumerate() {
            let started = self.start(&fleet, at == named).await;
            asks.push((fleet, started, repository.reopen()));
        }
        drop(repository);
        let answers = asks.into_iter().map(async |(fleet, started, repository)| {
            if let Err(error) = started {
                return (fleet, Err(error));
            }
            let answer = self.ask(&fleet, &watched, repository).await;
            (fleet, Ok(answer))
        });
        let answers = join_all(answers).await;
        let standing = |(at, watched): (usize, &Watched)| standing(at, &watched.group, &answers);
        watched.iter().enumerate().map(standing).collect()
    }

    /// Starts to follow a hub unless it is followed.
    async fn start(&mut self, fleet: &HubFleet, is_named: bool) -> Result<(), ClusterError> {
        if !self.hubs.contains_key(&fleet.hub) {
            let client = if is_named { self.named.clone() } else { other(fleet).await? };
            let hub = Hub::follow(client, self.events.clone());
            self.hubs.insert(fleet.hub.clone(), hub);
        }
        Ok(())
    }

    async fn ask(
        &self,
        fleet: &HubFleet,
        watched: &[Watched],
        repository: Result<Repository, GitError>,
    ) -> Answer {
        let hub = self.hubs.get(&fleet.hub).ok_or_else(|| STOPS.to_owned())?;
        let repository = repository.map_err(|error| why(&error.into()))?;
        hub.look(HubLook { fleet: fleet.clone(), watched: watched.to_vec(), repository }).await
    }
}

/// Returns what became of a group on all hubs together.
fn standing(at: usize, group: &str, answers: &[HubAnswer]) -> Result<Standing, String> {
    let mut all = Standing { wave: Wave::Released, rollout: Rollout::default() };
    for (fleet, answer) in answers {
        let runs_any = || !fleet.clusters(Some(group)).is_empty();
        match answer {
            Ok(Ok(standings)) => {
                let own = standings.get(at).cloned().ok_or_else(|| STOPS.to_owned())?;
                all = all.and(own, &fleet.groups);
            }
            Ok(Err(reason)) if runs_any() => return Err(reason.clone()),
            Ok(Err(_)) => {}
            Err(error) => all.rollout.unasked.extend(unasked(fleet, Some(group), error)),
        }
    }
    Ok(all)
}
