//! What an Application and an `ApplicationSet` say: the fields that are read, and no others.
//!
//! Everything here was written by Argo CD, or by anyone who may write to its namespace. Lists keep what is wrong only,
//! and bounded: of thirty thousand Applications most are well.

use std::time::SystemTime;

use renderer::inventory::is_same_repository;
use renderer::visible::shortened;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::cluster::{Kind, Metadata};

/// The annotation that asks Argo CD to compare again; Argo CD removes it once it has.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// The annotation that asks Argo CD to make the Applications of an `ApplicationSet` again; Argo CD removes it once it has.
pub const SET_REFRESH: &str = "argocd.argoproj.io/application-set-refresh";
/// What Argo CD calls the cluster that it runs on, and where that is.
const IN_CLUSTER: &str = "in-cluster";
const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// How many entries of a list are kept.
const MOST_KEPT: usize = 200;
/// How much of a text is kept: messages of Helm are long, and their cause is at the end.
const MOST_TEXT: usize = 4_000;

/// An Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Name, namespace, annotations and what owns it.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: Spec,
    /// What Argo CD found.
    pub status: Status,
    /// A sync that was requested and has not started.
    pub operation: Option<IgnoredAny>,
}

/// An `ApplicationSet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApplicationSet {
    /// Name, namespace and labels.
    pub metadata: Metadata,
    /// What Argo CD found.
    pub status: SetStatus,
}

/// What Argo CD found of an `ApplicationSet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SetStatus {
    /// The errors among them have the status `True`.
    pub conditions: Vec<SetCondition>,
}

/// A condition of an `ApplicationSet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SetCondition {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: String,
    /// What it says.
    #[serde(deserialize_with = "bounded")]
    pub message: String,
}

/// What is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Where objects are applied.
    pub destination: Destination,
    /// The source, if it is one.
    pub source: Option<Source>,
    /// The sources, if there are several.
    pub sources: Vec<Source>,
    /// When it is synced.
    pub sync_policy: SyncPolicy,
}

/// The cluster that objects are applied to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Its name in Argo CD.
    pub name: String,
    /// The address of its API server.
    pub server: String,
}

/// What objects or values come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// The repository.
    #[serde(rename = "repoURL")]
    pub repository: String,
    /// The chart, in a repository of charts.
    pub chart: String,
    /// The version or the branch.
    pub target_revision: String,
    /// The folder in a git repository.
    pub path: String,
    /// How Helm renders it.
    pub helm: Helm,
}

/// How Helm renders a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Helm {
    /// The files of values.
    pub value_files: Vec<String>,
}

/// When an Application is synced.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SyncPolicy {
    /// Whether Argo CD starts it by itself.
    pub automated: Option<Automated>,
}

/// How an Application is synced without anyone asking.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Automated {
    /// Whether what git no longer has is deleted.
    pub prune: bool,
    /// Whether it is switched off.
    pub enabled: Option<bool>,
}

/// What Argo CD found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// The comparison with what is wanted.
    pub sync: Sync,
    /// The health of all its objects together.
    pub health: Health,
    /// The last sync, or the one that runs.
    pub operation_state: Option<OperationState>,
    /// Warnings and errors.
    pub conditions: Vec<Condition>,
    /// The objects that are not as they should be.
    #[serde(deserialize_with = "kept")]
    pub resources: Vec<Resource>,
}

/// A comparison.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sync {
    /// Its result.
    pub status: SyncStatus,
    /// The revision that was compared with, of one source.
    pub revision: String,
    /// The revisions that were compared with, of several sources.
    pub revisions: Vec<String>,
    /// What was compared.
    pub compared_to: Compared,
}

/// What was compared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Compared {
    /// The source, if it is one.
    pub source: Option<Source>,
    /// The sources, if there are several.
    pub sources: Vec<Source>,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SyncStatus {
    /// All objects are as git has them.
    Synced,
    /// Some are not.
    OutOfSync,
    /// It is not known.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A health.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Health {
    /// What it is.
    pub status: HealthStatus,
    /// Why, as far as that is known.
    #[serde(deserialize_with = "bounded")]
    pub message: String,
    /// Since when.
    #[serde(deserialize_with = "moment")]
    pub last_transition_time: Option<SystemTime>,
}

/// How an object or all objects of an Application are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "these are Argo CD's words")]
pub enum HealthStatus {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    #[default]
    #[serde(other)]
    Unknown,
}

/// A sync.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperationState {
    /// How far it is.
    pub phase: Phase,
    /// What Argo CD says of it.
    #[serde(deserialize_with = "bounded")]
    pub message: String,
    /// How many times it was tried again.
    pub retry_count: i64,
    /// When it ended.
    #[serde(deserialize_with = "moment")]
    pub finished_at: Option<SystemTime>,
    /// What it was asked to do.
    pub operation: Operation,
    /// What came of it.
    pub sync_result: SyncResult,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Phase {
    Running,
    Terminating,
    Failed,
    Error,
    Succeeded,
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a sync was asked to do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// The sync.
    pub sync: RequestedSync,
}

/// A sync that was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestedSync {
    /// How many times Argo CD has put the same objects right in a row.
    pub auto_heal_attempts_count: i64,
    /// The sources that it is of, of an Application with several: each try is of these.
    pub sources: Vec<Source>,
}

/// What came of a sync.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SyncResult {
    /// The revision that was synced, of one source.
    pub revision: String,
    /// The revisions that were synced, of several sources.
    pub revisions: Vec<String>,
    /// The objects that failed.
    #[serde(deserialize_with = "kept")]
    pub resources: Vec<ResourceResult>,
}

/// What came of one object in a sync.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceResult {
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it has one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `SyncFailed` if it could not be applied.
    pub status: String,
    /// `Failed` or `Error` of a hook that failed.
    pub hook_phase: String,
    /// Why.
    #[serde(deserialize_with = "bounded")]
    pub message: String,
}

/// An object of an Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Resource {
    /// The group of its kind.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it has one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is as git has it.
    pub status: Option<SyncStatus>,
    /// How it is; Argo CD writes it here only if it is set up to.
    pub health: Option<Health>,
    /// Whether git no longer has it.
    pub requires_pruning: bool,
}

/// A warning or an error of an Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    #[serde(deserialize_with = "bounded")]
    pub message: String,
}

/// The group and the version of both kinds.
const API: (&str, &str) = ("argoproj.io", "v1alpha1");

/// What to do where there are no Applications.
const ABSENT: &str = "check that Argo CD is installed there, and that `--context` names the hub";

impl Kind for Application {
    const GROUP: &str = API.0;
    const VERSION: &str = API.1;
    const NAME: &str = "Application";
    const PLURAL: &str = "applications";
    const ABSENT: &str = ABSENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Kind for ApplicationSet {
    const GROUP: &str = API.0;
    const VERSION: &str = API.1;
    const NAME: &str = "ApplicationSet";
    const PLURAL: &str = "applicationsets";
    const ABSENT: &str = ABSENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Entries of a list of which only some are kept.
trait Kept {
    fn is_kept(&self) -> bool;
}

impl Kept for Resource {
    fn is_kept(&self) -> bool {
        let is_well = |health: &Health| health.status == HealthStatus::Healthy;
        self.requires_pruning
            || self.status == Some(SyncStatus::OutOfSync)
            || !self.health.as_ref().is_none_or(is_well)
    }
}

impl Kept for ResourceResult {
    fn is_kept(&self) -> bool {
        self.status == "SyncFailed" || matches!(self.hook_phase.as_str(), "Failed" | "Error")
    }
}

impl Application {
    /// Returns when it last became what it is: by a sync that ended, or a change of its health.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        let ended = self.status.operation_state.as_ref().and_then(|operation| operation.finished_at);
        self.status.health.last_transition_time.max(ended)
    }

    /// Returns its sources, however many there are.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        several(&self.spec.sources, self.spec.source.as_ref())
    }

    /// Returns the sources that were compared last.
    pub(super) fn compared(&self) -> &[Source] {
        let compared = &self.status.sync.compared_to;
        several(&compared.sources, compared.source.as_ref())
    }

    /// Returns the revision that each source was compared with.
    pub(super) fn revisions(&self) -> &[String] {
        several(&self.status.sync.revisions, Some(&self.status.sync.revision))
    }

    /// Returns the revision of a repository that it was compared with, if it reads that repository.
    pub(super) fn revision_of(&self, repository: &str) -> Option<String> {
        let mut at = of_repository(self.compared(), self.revisions(), repository);
        at.find(|revision| !revision.is_empty()).map(str::to_owned)
    }

    /// Returns whether it is compared again soon, since that was requested.
    pub(super) fn is_refresh_pending(&self) -> bool {
        self.metadata.annotations.contains_key(REFRESH)
    }

    /// Returns whether a sync runs, or is tried again and again.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        let phase = self.status.operation_state.as_ref().map(|operation| operation.phase);
        self.operation.is_some() || phase == Some(Phase::Running)
    }

    /// Returns whether its sync is of other sources than it has now.
    pub(super) fn syncs_other_sources(&self) -> bool {
        let operation = self.status.operation_state.as_ref();
        let syncs = operation.map(|operation| &operation.operation.sync.sources[..]).unwrap_or_default();
        !syncs.is_empty() && syncs != self.sources()
    }

    /// Returns whether Argo CD syncs it by itself.
    pub(super) fn is_automated(&self) -> bool {
        self.spec.sync_policy.automated.as_ref().is_some_and(|automated| automated.enabled != Some(false))
    }

    /// Returns whether a sync deletes what git no longer has.
    pub(super) fn prunes(&self) -> bool {
        self.spec.sync_policy.automated.as_ref().is_some_and(|automated| automated.prune)
    }
}

impl Destination {
    /// Returns whether it is the cluster that Argo CD runs on, or none.
    pub(super) fn is_own_cluster(&self) -> bool {
        let Self { name, server } = self;
        name == IN_CLUSTER || server == IN_CLUSTER_SERVER || (name.is_empty() && server.is_empty())
    }

    /// Returns what messages call it.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.server } else { &self.name }
    }
}

impl OperationState {
    /// Returns the revision that each source was synced at.
    pub(super) fn revisions(&self) -> &[String] {
        several(&self.sync_result.revisions, Some(&self.sync_result.revision))
    }
}

/// Returns the revisions of the sources that are a git repository; of every one if its address is not known.
pub(super) fn of_repository<'a>(
    sources: &'a [Source],
    revisions: &'a [String],
    repository: &'a str,
) -> impl Iterator<Item = &'a str> {
    let is_own = move |source: &Source| {
        source.chart.is_empty()
            && (repository.is_empty() || is_same_repository(&source.repository, repository))
    };
    sources
        .iter()
        .zip(revisions)
        .filter(move |(source, _)| is_own(source))
        .map(|(_, revision)| revision.as_str())
}

/// Returns several values, or the one that stands for them.
fn several<'a, T>(several: &'a [T], one: Option<&'a T>) -> &'a [T] {
    if several.is_empty() { one.map_or(&[], std::slice::from_ref) } else { several }
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(shortened(&String::deserialize(deserializer)?, MOST_TEXT).into_owned())
}

/// Reads a moment; one that is malformed is not known.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(SystemTime::from))
}

fn kept<'de, D: Deserializer<'de>, T: Kept + Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Keep<T>(std::marker::PhantomData<T>);

    impl<'de, T: Kept + Deserialize<'de>> Visitor<'de> for Keep<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut kept = Vec::new();
            while let Some(item) = items.next_element::<T>()? {
                if kept.len() < MOST_KEPT && item.is_kept() {
                    kept.push(item);
                }
            }
            Ok(kept)
        }
    }
    deserializer.deserialize_seq(Keep(std::marker::PhantomData))
}
