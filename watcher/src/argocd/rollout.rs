//! What became of a revision: each Application that it asks for, the groups, and what is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use renderer::inventory::is_same_repository;
use renderer::path::ClusterName;
use renderer::plural::listed;
use renderer::root::APPLICATIONS;
use serde::Serialize;

use super::application::{Application, ApplicationSet, Destination, HealthStatus, Source, SyncStatus};
use super::desired::{HubFleet, Wanted};
use super::faults;
use super::judge::{Against, Reach, State, Verdict, is_made_of, judge, of_silent};
use crate::cluster::{Key, Metadata};

/// The label of every object that Fleetwright writes for Argo CD.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "fleetwright");
/// How many clusters of a hub that is not asked are named.
const MOST_CLUSTERS: usize = 5;

/// What is in Argo CD's namespace.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The Applications.
    pub applications: &'a BTreeMap<Key, Application>,
    /// The `ApplicationSet`s.
    pub sets: &'a BTreeMap<Key, ApplicationSet>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the revision asks for.
    pub fleet: &'a HubFleet,
    /// The revision, as messages name it.
    pub revision: &'a str,
    /// The clusters whose API servers do not answer, each with a sentence about that.
    pub silent: &'a Silent,
    /// The time.
    pub now: SystemTime,
}

/// Clusters whose API servers do not answer, each with a sentence about that.
pub type Silent = BTreeMap<Destination, String>;

/// What became of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The Applications, those first that bring in the others, then by group, cluster and name.
    pub applications: Vec<ApplicationState>,
    /// What Argo CD still has and git no longer wants.
    pub leftovers: Vec<Leftover>,
    /// The hubs that are not in it.
    pub unasked: Vec<Unasked>,
}

/// A hub whose Argo CD is not asked: what became of its clusters is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unasked {
    /// The hub.
    pub hub: ClusterName,
    /// The clusters that it runs something on.
    pub clusters: Vec<String>,
    /// Why, and what counts instead.
    pub reason: String,
}

/// What became of an Application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationState {
    /// Its name in its namespace.
    #[serde(flatten)]
    pub key: Key,
    /// Whether it brings in all others.
    pub is_root: bool,
    /// The group of its cluster, if that is still described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The cluster in whose folder it is described.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The add-on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addon: Option<String>,
    /// What became of it.
    pub state: State,
    /// Why, if it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Argo CD's word, if the Application is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStatus>,
    /// Argo CD's word, if the Application is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// The revision of the fleet's repository that Argo CD has compared it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Since when it has its health.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "moment")]
    pub since: Option<SystemTime>,
    /// When a sync or a change of its health last made it what it is.
    #[serde(skip)]
    pub changed: Option<SystemTime>,
    /// Whether Argo CD was asked to compare it again and has not.
    #[serde(skip)]
    pub is_refreshing: bool,
    /// The `ApplicationSet` that has to make it, or to make it again of what git names.
    #[serde(skip)]
    pub lagging_set: Option<Key>,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupState {
    /// The group; of clusters that are no longer described, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What became of it: what needs attention first of any of its Applications.
    pub state: State,
    /// How many clusters it has.
    pub clusters: usize,
    /// How many Applications there are, and how many of them are done.
    pub applications: usize,
    /// How many Applications are done.
    pub done: usize,
}

/// An object that Argo CD still has and git no longer wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// Its kind.
    pub kind: String,
    /// The group of its kind.
    #[serde(skip)]
    pub api_group: String,
    /// Its name in its namespace.
    #[serde(flatten)]
    pub key: Key,
    /// The cluster that it is applied to, of an Application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The Application that brought it in, if that is how it is removed.
    #[serde(skip)]
    pub application: Option<Key>,
    /// When it is removed.
    #[serde(skip)]
    pub stage: Stage,
}

/// What is removed together; a stage is over before the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What would make Applications again.
    Set,
    /// Applications of add-ons: while their project and the registration of their cluster are there.
    Application,
    /// The Application that holds what the hub has for a cluster.
    Root,
    /// The rest.
    Object,
}

/// Returns the clusters besides Argo CD's own that Applications of a fleet are deployed to, of one group or of all.
#[must_use]
pub fn destinations(fleet: &HubFleet, observed: Observed<'_>, group: Option<&str>) -> BTreeSet<Destination> {
    let is_meant = |wanted: &Wanted| group.is_none() || wanted.group.as_deref() == group;
    let live = fleet.applications.iter().filter(|(_, wanted)| is_meant(wanted));
    let live = live.filter_map(|(key, _)| observed.applications.get(key));
    live.map(|live| &live.spec.destination).filter(|it| !it.is_own_cluster()).cloned().collect()
}

/// Decides what became of a revision. `reach` returns whether a commit that Argo CD names is that one or a later one.
pub fn rollout(question: Question<'_>, observed: Observed<'_>, reach: impl FnMut(&str) -> Reach) -> Rollout {
    let applications = states(question, observed, reach);
    Rollout { applications, leftovers: leftovers(question.fleet, observed), unasked: Vec::new() }
}

/// Decides what became of each Application that a revision asks for.
pub fn states(
    question: Question<'_>,
    observed: Observed<'_>,
    mut reach: impl FnMut(&str) -> Reach,
) -> Vec<ApplicationState> {
    let Question { fleet, revision, silent, now } = question;
    let mut applications = Vec::with_capacity(fleet.applications.len());
    for (key, wanted) in &fleet.applications {
        let against = Against { repository: &fleet.repository, revision, wanted: Some(wanted), now };
        let live = observed.applications.get(key);
        let verdict = match live {
            Some(live) => of_silent(judge(live, &against, &mut reach), silent.get(&live.spec.destination)),
            None => (State::Waiting, Some(missing(wanted, observed))),
        };
        applications.push(state(key, Some(wanted), live, verdict, &fleet.repository));
    }
    for (key, live) in further(fleet, observed) {
        let against = Against { repository: &fleet.repository, revision, wanted: None, now };
        let verdict = of_silent(judge(live, &against, &mut reach), silent.get(&live.spec.destination));
        applications.push(state(key, None, Some(live), verdict, &fleet.repository));
    }
    sort(&mut applications, &fleet.groups);
    applications
}

fn sort(applications: &mut [ApplicationState], groups: &[String]) {
    let place = |group: &Option<String>| groups.iter().position(|it| Some(it) == group.as_ref());
    applications.sort_by_cached_key(|it| {
        let group = place(&it.group).unwrap_or(usize::MAX);
        (!it.is_root, group, it.cluster.clone(), it.key.clone())
    });
}

impl Leftover {
    /// Returns whether both are the same object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.api_group, &self.key) == (&other.kind, &other.api_group, &other.key)
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let on = self.destination.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
        write!(f, "{} {}{on}", self.kind, self.key.name)
    }
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", listed(&self.clusters, MOST_CLUSTERS), self.reason)
    }
}

impl std::fmt::Display for ApplicationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key.name, self.state.word())?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl Rollout {
    /// Returns the Applications that are not done, what needs attention first at the top.
    pub fn open(&self) -> impl Iterator<Item = &ApplicationState> {
        let states = [State::Failed, State::Waiting, State::Progressing];
        states.into_iter().flat_map(|state| self.applications.iter().filter(move |it| it.state == state))
    }

    /// Returns how many Applications are in a state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.applications.iter().filter(|it| it.state == state).count()
    }

    /// Adds what became of a revision on another hub.
    #[must_use]
    pub fn and(mut self, other: Self, groups: &[String]) -> Self {
        self.applications.extend(other.applications);
        sort(&mut self.applications, groups);
        self.leftovers.extend(other.leftovers);
        self.unasked.extend(other.unasked);
        self
    }

    /// Leaves only the Applications of a group, and those that bring in all others.
    #[must_use]
    pub fn of_group(mut self, group: Option<&str>) -> Self {
        if group.is_some() {
            self.applications.retain(|it| it.is_root || it.group.as_deref() == group);
        }
        self
    }

    /// Returns what became of all Applications together: what of any of them needs attention first.
    #[must_use]
    pub fn state(&self) -> State {
        self.applications.iter().map(|it| it.state).max().unwrap_or(State::Done)
    }

    /// Returns what became of each group, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupState> {
        let mut groups: Vec<(GroupState, BTreeSet<&str>)> = Vec::new();
        for it in &self.applications {
            let at = groups.iter().position(|(group, _)| group.group == it.group).unwrap_or_else(|| {
                let group = GroupState {
                    group: it.group.clone(),
                    state: State::Done,
                    clusters: 0,
                    applications: 0,
                    done: 0,
                };
                groups.push((group, BTreeSet::new()));
                groups.len() - 1
            });
            let (group, clusters) = &mut groups[at];
            clusters.insert(&it.cluster);
            group.state = group.state.max(it.state);
            group.applications += 1;
            group.done += usize::from(it.state == State::Done);
            group.clusters = clusters.len();
        }
        groups.into_iter().map(|(group, _)| group).collect()
    }
}

fn missing(wanted: &Wanted, observed: Observed<'_>) -> String {
    let Some(key) = set_key(wanted) else {
        return "it is not there: apply it as docs/platform/installation.md describes".to_owned();
    };
    let name = &key.name;
    match observed.sets.get(&key).map(faults::of_set) {
        None => format!("it is not there, and neither is ApplicationSet {name}"),
        Some(None) => format!("ApplicationSet {name} has not made it yet"),
        Some(Some(error)) => format!("ApplicationSet {name} does not make it: {error}"),
    }
}

/// Returns the `ApplicationSet` that makes an Application.
fn set_key(wanted: &Wanted) -> Option<Key> {
    let name = wanted.desired.set.clone()?;
    Some(Key { namespace: wanted.desired.namespace.clone(), name })
}

fn state(
    key: &Key,
    wanted: Option<&Wanted>,
    live: Option<&Application>,
    (state, reason): Verdict,
    repository: &str,
) -> ApplicationState {
    let of_set = wanted.filter(|wanted| wanted.desired.set.is_some());
    ApplicationState {
        key: key.clone(),
        is_root: wanted.is_some_and(Wanted::is_root),
        group: wanted.and_then(|wanted| wanted.group.clone()),
        cluster: wanted.map(|wanted| wanted.cluster.clone()).unwrap_or_default(),
        addon: of_set.map(|wanted| wanted.desired.element.clone()),
        state,
        reason,
        sync: live.map(|live| live.status.sync.status),
        health: live.map(|live| live.status.health.status),
        revision: live.and_then(|live| live.revision_of(repository)),
        since: live.and_then(|live| live.status.health.last_transition_time),
        changed: live.and_then(Application::changed),
        is_refreshing: live.is_some_and(Application::is_refresh_pending),
        lagging_set: wanted
            .filter(|wanted| !live.is_some_and(|live| is_made_of(live, wanted)))
            .and_then(set_key),
    }
}

/// Returns the Applications that our sets make of what no file names.
fn further<'a>(
    fleet: &'a HubFleet,
    observed: Observed<'a>,
) -> impl Iterator<Item = (&'a Key, &'a Application)> {
    let is_open = |set: &str| fleet.sets.get(set) == Some(&true);
    observed.applications.iter().filter(move |(key, live)| {
        !fleet.applications.contains_key(key) && set_of(&live.metadata).is_some_and(is_open)
    })
}

/// Returns the `ApplicationSet` that an Application was made by.
fn set_of(metadata: &Metadata) -> Option<&str> {
    let mut owners = metadata.owner_references.iter();
    owners.find(|owner| owner.kind == "ApplicationSet").map(|owner| owner.name.as_str())
}

fn is_ours(metadata: &Metadata) -> bool {
    let (label, value) = MANAGED_BY;
    metadata.labels.get(label).is_some_and(|it| it == value)
}

fn leftovers(fleet: &HubFleet, observed: Observed<'_>) -> Vec<Leftover> {
    let is_set_of_ours =
        |key: &Key, set: &ApplicationSet| is_ours(&set.metadata) || fleet.sets.contains_key(&key.name);
    let ours: BTreeSet<&str> = observed
        .sets
        .iter()
        .filter(|(key, set)| is_set_of_ours(key, set))
        .map(|(key, _)| key.name.as_str())
        .collect();
    let is_left = |key: &Key, live: &Application| {
        let set = set_of(&live.metadata);
        let is_ours = set.is_some_and(|set| ours.contains(set)) || reads_rendered(live, &fleet.repository);
        is_ours
            && !fleet.applications.contains_key(key)
            && set.is_none_or(|set| fleet.sets.get(set) != Some(&true))
    };
    let applications = observed.applications.iter().filter(|(key, live)| is_left(key, live));
    let mut left: BTreeSet<Leftover> = applications.map(|(key, live)| of_application(key, live)).collect();
    let sets = observed
        .sets
        .iter()
        .filter(|(key, set)| is_ours(&set.metadata) && !fleet.sets.contains_key(&key.name));
    left.extend(sets.map(|(key, _)| argo_object("ApplicationSet", key, None)));
    // What an ApplicationSet makes is for a cluster; what is written out brings in objects of Argo CD's.
    let written = fleet.applications.iter().filter(|(_, wanted)| wanted.desired.set.is_none());
    for (root, live) in written.filter_map(|(key, _)| observed.applications.get_key_value(key)) {
        for resource in live.status.resources.iter().filter(|resource| resource.requires_pruning) {
            let key = Key { namespace: resource.namespace.clone(), name: resource.name.clone() };
            let mut object = argo_object(&resource.kind, &key, Some(root.clone()));
            object.api_group.clone_from(&resource.group);
            if !left.iter().any(|it| it.is_same(&object)) {
                left.insert(object);
            }
        }
    }
    left.into_iter().collect()
}

/// Returns whether an Application takes anything from the rendered files of the fleet's repository.
fn reads_rendered(live: &Application, repository: &str) -> bool {
    let is_below = |path: &str| path.strip_prefix(APPLICATIONS).is_some_and(|rest| rest.starts_with('/'));
    let reads = |source: &Source| {
        let mut values = source.helm.value_files.iter();
        is_below(&source.path)
            || values.any(|file| {
                file.split_once('/').is_some_and(|(of, path)| of.starts_with('$') && is_below(path))
            })
    };
    let sources = live.sources();
    let is_of_fleet = |source: &Source| is_same_repository(&source.repository, repository);
    !repository.is_empty() && sources.iter().any(is_of_fleet) && sources.iter().any(reads)
}

fn of_application(key: &Key, live: &Application) -> Leftover {
    let name = live.spec.destination.label().to_owned();
    let holds_a_folder = |source: &Source| {
        let folder = source.path.strip_prefix(APPLICATIONS).and_then(|path| path.strip_prefix('/'));
        folder.is_some_and(|folder| !folder.is_empty() && !folder.contains('/'))
    };
    let is_root = set_of(&live.metadata).is_none() && live.sources().iter().any(holds_a_folder);
    let stage = if is_root { Stage::Root } else { Stage::Application };
    Leftover {
        destination: Some(name).filter(|name| !name.is_empty()),
        stage,
        ..argo_object("Application", key, None)
    }
}

fn argo_object(kind: &str, key: &Key, application: Option<Key>) -> Leftover {
    let (kind, api_group) = (kind.to_owned(), "argoproj.io".to_owned());
    let stage = if kind == "ApplicationSet" { Stage::Set } else { Stage::Object };
    Leftover { kind, api_group, key: key.clone(), destination: None, application, stage }
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn moment<S: serde::Serializer>(moment: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let moment = moment.and_then(|moment| jiff::Timestamp::try_from(moment).ok());
    moment.map(|moment| moment.to_string()).serialize(serializer)
}
