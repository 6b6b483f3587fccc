//! The Argo CD of one hub, followed between runs: what became of each group now, and a hint when that is something else.
//!
//! A run asks and gets an answer, or why there is none. Everything follows from what is in the cluster at that moment;
//! what is kept here only decides whether a hint is worth a run.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::ask::{Asked, Next};
use super::reach::Known;
use super::wait::ask;
use super::{Spokes, View};
use crate::argocd::{
    Application, HubFleet, Question, Rollout, Silent, Soaked, Stop, Wave, destinations, states, wave,
};
use crate::cluster::{Client, ClusterError};
use crate::error::CommandError;
use crate::events::{Event, Events};
use crate::git::{Repository, Revision};

/// How long a run waits for the first lists.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long changes are gathered before it is decided what they come to.
const GATHERED: Duration = Duration::from_secs(1);
/// How often it is decided again without a change: time itself changes what a state means.
const TICK: Duration = Duration::from_secs(15);
/// How long after its merge Argo CD is asked to compare what is not at it: it would notice the merge minutes later.
const ASKS_FOR: Duration = Duration::from_mins(15);
/// Why there is no answer any more.
pub(super) const STOPS: &str = "the service stops";
/// How often a run is worth its cost that only counts further.
const COUNTS_EVERY: Duration = Duration::from_mins(1);

/// What is looked at on a hub.
pub(super) struct HubLook {
    /// What the tip of the base branch asks for of the hub.
    pub fleet: HubFleet,
    /// The groups, in the order of their release.
    pub watched: Vec<Watched>,
    /// Where commits are.
    pub repository: Repository,
}

/// A group that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The group.
    pub group: String,
    /// What its clusters have to be at.
    pub revision: Revision,
    /// How long it has to stay healthy.
    pub soaked: Soaked,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For the groups after it.
    pub wave: Wave,
    /// Each of its Applications.
    pub rollout: Rollout,
}

impl Standing {
    /// Returns what became of a group together with what became of it on another hub.
    pub(super) fn and(self, other: Self, groups: &[String]) -> Self {
        Self { wave: self.wave.max(other.wave), rollout: self.rollout.and(other.rollout, groups) }
    }
}

pub(super) type Answer = Result<Vec<Standing>, String>;

/// The Argo CD of a hub.
pub(super) struct Hub(mpsc::Sender<(HubLook, oneshot::Sender<Answer>)>);

impl Hub {
    /// Starts to follow an Argo CD. `events` are told when something else is to be known than what a run was told.
    pub(super) fn follow(client: Client, events: Option<Events>) -> Self {
        let (asks, asked) = mpsc::channel(1);
        let follower = Follower {
            client,
            events,
            view: None,
            spokes: Spokes::default(),
            groups: Vec::new(),
            look: None,
            told: None,
            told_at: Instant::now(),
            refused: BTreeSet::new(),
            due: Instant::now(),
        };
        tokio::spawn(follower.serve(asked));
        Self(asks)
    }

    /// Returns what became of each group, or why that is not known.
    pub(super) async fn look(&self, look: HubLook) -> Answer {
        let (reply, answer) = oneshot::channel();
        let asked = self.0.send((look, reply)).await;
        let answer = if asked.is_ok() { answer.await.ok() } else { None };
        answer.unwrap_or_else(|| Err(STOPS.to_owned()))
    }
}

/// A group as it is followed.
struct Followed {
    watched: Watched,
    /// What is asked for of it; nothing if nothing is.
    fleet: Option<HubFleet>,
    known: Known,
    stop: Option<Stop>,
    /// What was asked to be compared, and since when it may be.
    asked: (Asked, Instant),
}

struct Follower {
    client: Client,
    events: Option<Events>,
    view: Option<View>,
    spokes: Spokes,
    groups: Vec<Followed>,
    look: Option<HubLook>,
    /// What a run was told, or will find as an event was sent for it.
    told: Option<Answer>,
    told_at: Instant,
    /// The kinds that it is not permitted to ask for.
    refused: BTreeSet<&'static str>,
    /// When it is decided again.
    due: Instant,
}

impl Follower {
    async fn serve(mut self, mut asked: mpsc::Receiver<(HubLook, oneshot::Sender<Answer>)>) {
        loop {
            tokio::select! {
                ask = asked.recv() => {
                    let Some((look, reply)) = ask else { return };
                    let answer = self.answer(look).await;
                    // A run that was stopped needs none.
                    let _ = reply.send(answer);
                }
                changed = changed(&mut self.view) => {
                    self.due = match changed {
                        Ok(()) => self.due.min(Instant::now() + GATHERED),
                        Err(error) => {
                            warn!(hint = error.hint(), "{error}");
                            self.view = None;
                            Instant::now() + TICK
                        }
                    };
                }
                () = sleep_until(self.due), if self.look.is_some() => self.look_again().await,
            }
        }
    }

    /// Answers a run.
    async fn answer(&mut self, look: HubLook) -> Answer {
        if self.view.as_ref().is_some_and(|view| view.namespace() != look.fleet.namespace()) {
            self.view = None;
        }
        let reached = self.reach(&look.fleet).await;
        self.follow(&look);
        if reached.is_ok() {
            self.ask_spokes(&look.fleet).await;
        }
        self.look = Some(look);
        let answer = reached.and_then(|()| self.decide());
        self.tell(answer.clone());
        // What is not at its revision is asked to be compared after the run has its answer.
        self.due = Instant::now() + GATHERED;
        answer
    }

    /// Finds out whether something else is to be known than what a run was told.
    async fn look_again(&mut self) {
        let mut reached = Ok(());
        if let Some(look) = self.look.take() {
            if self.view.is_none() || matches!(self.told, Some(Err(_))) {
                reached = self.reach(&look.fleet).await;
                self.follow(&look);
            }
            self.ask_spokes(&look.fleet).await;
            self.look = Some(look);
        }
        let now = reached.and_then(|()| self.decide());
        // A single run ends before it could see what comes of it.
        if let (Ok(standings), Some(_)) = (&now, &self.events) {
            self.ask(standings).await;
        }
        self.due = self.next();
        if self.is_worth_a_run(&now) {
            self.tell(now);
            if let Some(events) = &self.events {
                let _ = events.send(Event::Changed).await;
            }
        }
    }

    /// Asks Argo CD to compare what is not at its revision.
    async fn ask(&mut self, standings: &[Standing]) {
        let Some(view) = &mut self.view else { return };
        for (group, standing) in self.groups.iter_mut().zip(standings) {
            let (asked, since) = &mut group.asked;
            if standing.wave == Wave::Released || since.elapsed() > ASKS_FOR {
                continue;
            }
            let Next::Ask(due) = asked.next(&standing.rollout, Instant::now()) else { continue };
            for request in due {
                if let Err(error) = ask(view, &request, &mut self.refused).await {
                    warn!(hint = error.hint(), "{}", error.message());
                }
                asked.note(request.0, Instant::now());
            }
        }
    }

    fn is_worth_a_run(&self, now: &Answer) -> bool {
        let waves = |answer: &Answer| -> Option<Vec<Wave>> {
            Some(answer.as_ref().ok()?.iter().map(|it| it.wave.clone()).collect())
        };
        let Some(told) = &self.told else { return true };
        waves(told) != waves(now) || (told != now && self.told_at.elapsed() >= COUNTS_EVERY)
    }

    fn tell(&mut self, answer: Answer) {
        if let Err(reason) = &answer
            && !matches!(&self.told, Some(Err(told)) if told == reason)
        {
            warn!("what became of the groups is not known: {reason}");
        } else if answer.is_ok() && matches!(self.told, Some(Err(_))) {
            info!("Argo CD answers again");
        }
        (self.told, self.told_at) = (Some(answer), Instant::now());
        self.due = self.next();
    }

    /// Returns when it is decided again unless something changes before.
    fn next(&self) -> Instant {
        let waves = self.told.iter().flatten().flatten().map(|it| &it.wave);
        let untils = waves.filter_map(|wave| match wave {
            Wave::Soaking(until) => until.duration_since(SystemTime::now()).ok(),
            _ => None,
        });
        Instant::now() + untils.chain([TICK]).min().unwrap_or(TICK)
    }

    /// Makes sure that the API server answers, and that what there is is listed.
    async fn reach(&mut self, fleet: &HubFleet) -> Result<(), String> {
        let reached = timeout(PATIENCE, async {
            let root = fleet.applications.iter().find(|(_, wanted)| wanted.is_root());
            if let Some((root, _)) = root {
                self.client.get::<Application>(&root.namespace, &root.name).await?;
            }
            if self.view.is_none() {
                let view = View::start(self.client.clone(), fleet.namespace(), PATIENCE);
                self.view = Some(view.await?);
            }
            Ok::<_, ClusterError>(())
        });
        match reached.await {
            Ok(reached) => reached.map_err(|error| why(&error.into())),
            Err(_) => Err(no_answer()),
        }
    }

    /// Asks the API servers of the spokes whether they answer, unless that was asked a moment ago.
    async fn ask_spokes(&mut self, fleet: &HubFleet) {
        let Some(view) = self.view.as_ref().filter(|_| !self.spokes.is_recent(Instant::now())) else {
            return;
        };
        let clusters = destinations(fleet, view.observed(), None);
        self.spokes.ask(&self.client, fleet.namespace(), clusters).await;
    }

    /// Follows these groups. What is known of commits stays with a group that stays where it is.
    fn follow(&mut self, look: &HubLook) {
        let mut before = std::mem::take(&mut self.groups);
        let followed = look.watched.iter().map(|watched| {
            let fleet = look.fleet.of_group(&watched.group);
            let is_as_before = |old: &Followed| {
                (&old.watched.group, old.watched.revision) == (&watched.group, watched.revision)
            };
            let old = before.iter().position(is_as_before).map(|at| before.swap_remove(at));
            Followed {
                fleet,
                watched: watched.clone(),
                ..old.unwrap_or_else(|| Followed::new(watched.clone()))
            }
        });
        self.groups = followed.collect();
    }

    /// Decides what became of each group.
    fn decide(&mut self) -> Answer {
        let Self { view: Some(view), look: Some(look), groups, spokes, .. } = self else {
            return Err("nothing is watched".to_owned());
        };
        let (view, repository, now) = ((&*view, spokes.silent()), &look.repository, SystemTime::now());
        let standings = || groups.iter_mut().map(|group| group.standing(view, repository, now)).collect();
        Ok(block_in_place(standings))
    }
}

impl Followed {
    fn new(watched: Watched) -> Self {
        let known = Known::new(watched.revision);
        Self { watched, fleet: None, known, stop: None, asked: (Asked::default(), Instant::now()) }
    }

    fn standing(
        &mut self,
        (view, silent): (&View, &Silent),
        repository: &Repository,
        now: SystemTime,
    ) -> Standing {
        let Self { watched, fleet, known, stop, .. } = self;
        let revision = watched.revision.short();
        let applications = fleet.as_ref().map(|fleet| {
            let question = Question { fleet, revision: &revision, silent, now };
            states(question, view.observed(), |commit| known.reach(repository, commit))
        });
        let rollout = Rollout { applications: applications.unwrap_or_default(), ..Rollout::default() };
        let mut wave = wave(&rollout, watched.soaked, now);
        if let Some(stop) = stop.take() {
            wave = stop.lasts(&rollout, wave);
        }
        if let Wave::Stopped(now) = &wave {
            *stop = Some(now.clone());
        }
        Standing { wave, rollout }
    }
}

/// Returns why nothing is known, in one line.
pub(super) fn why(error: &CommandError) -> String {
    match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message(),
    }
}

pub(super) fn no_answer() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// Waits for a change; for ever if nothing is watched.
async fn changed(view: &mut Option<View>) -> Result<(), ClusterError> {
    match view {
        Some(view) => view.changed().await,
        None => pending().await,
    }
}
