//! Folds what is the same on many clusters, so that a fleet's plan reads like a cluster's.
//!
//! Equal entries are found by hash and never compared pairwise: the cost follows the size of the plan.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use super::model::{Action, Change, ClusterPlan, FilePlan, Plan};
use super::risk::kind::Risk;
use crate::inventory::OwnFacts;
use crate::key_path::Step;
use crate::manifests::ObjectName;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::root::APPLICATIONS;
use crate::yaml::Value;

/// How many different values of one setting are listed before the rare ones are folded.
const MAX_LISTED_VARIANTS: usize = 4;
/// A value is rare on less than one in this many of the clusters where the setting changes.
const RARE_SHARE: usize = 10;

/// What is the same on all of some clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group<T = Event> {
    /// The clusters, by name; never empty.
    pub clusters: Vec<ClusterName>,
    /// What happens on each of them; never empty.
    pub entries: Vec<Entry<T>>,
}

/// Something that happens on all clusters of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry<T = Event> {
    /// What happens; an example if there are several variants.
    #[serde(flatten)]
    pub event: T,
    /// How many different values were folded into this entry; one if it is the same everywhere.
    pub variants: usize,
    /// A cluster on which it happens as it is shown.
    #[serde(skip)]
    pub(super) example: ClusterName,
}

/// What happens: a cluster, an add-on or a file comes or goes, or a setting changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Event {
    /// A cluster comes or goes.
    Cluster {
        /// Whether it comes or goes.
        action: Action,
        /// How many add-ons come or go with it.
        addons: usize,
        /// How many files come or go with it.
        files: usize,
        /// The risk of its going.
        risk: Option<Risk>,
    },
    /// An add-on comes or goes.
    Addon {
        /// The add-on.
        addon: AddonName,
        /// Whether it comes or goes.
        action: Action,
        /// How many files come or go with it.
        files: usize,
        /// The most severe risk.
        risk: Option<Risk>,
    },
    /// A file comes or goes.
    File {
        /// The file below the cluster's folder.
        file: String,
        /// Whether it comes or goes.
        action: Action,
        /// How many settings come or go with it.
        leaves: usize,
        /// The most severe risk.
        risk: Option<Risk>,
    },
    /// A setting appears, changes or goes.
    Setting {
        /// The file below the cluster's folder.
        file: String,
        /// The change.
        change: Change,
    },
}

/// A risk, where it is and the clusters that run it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RiskGroup {
    /// The risk.
    #[serde(flatten)]
    pub risk: Risk,
    /// What it is about: a cluster, an add-on, a file or a setting of a file.
    pub place: String,
    /// The clusters, by name.
    pub clusters: Vec<ClusterName>,
}

/// Returns the path of a file below its cluster's folder, so that it is the same for every cluster.
pub(super) fn file_label(path: &RepoPath, cluster: &ClusterName) -> String {
    let mut parts: Vec<&str> = path.components().collect();
    match parts.iter().position(|part| *part == cluster.as_str()) {
        Some(1) if parts.len() > 2 && parts[0] == APPLICATIONS => parts[2..].join("/"),
        Some(at) => {
            parts[at] = "<cluster>";
            parts.join("/")
        }
        None => path.to_string(),
    }
}

/// Returns where a change of a file is: the file, the object if it holds any, and the setting.
pub(crate) fn place(file: &str, change: &Change) -> String {
    let mut place = file.to_owned();
    if let Some(object) = &change.object {
        let _ = write!(place, " {object}");
    }
    if !change.path.is_empty() {
        let _ = write!(place, " {}", change.path);
    }
    place
}

/// What is folded over clusters.
pub(crate) trait Foldable: Clone + PartialEq + Hash {
    /// Returns it with what is a cluster's own replaced by what that stands for; in keys only if
    /// `has_own_keys`, since a cluster's name may be a word that is a key everywhere, such as `app`.
    fn general(&self, own: &OwnFacts, has_own_keys: bool) -> Self;
}

/// What stands in groups of clusters.
pub(crate) trait Grouped: Foldable {
    /// Returns where it happens, whatever it is there.
    fn place(&self) -> impl Hash;

    /// Returns what it is sorted by in its group.
    fn order(&self) -> (u8, String, String);

    /// Returns how severe its risk is, if it has one; what is more severe is less.
    fn severity(&self) -> Option<u8>;
}

impl Foldable for Event {
    fn general(&self, own: &OwnFacts, has_own_keys: bool) -> Self {
        let mut event = self.clone();
        match &mut event {
            Self::Cluster { .. } | Self::Addon { .. } => {}
            Self::File { file, .. } => generalize(file, own),
            Self::Setting { file, change } => {
                generalize(file, own);
                generalize_change(change, own, has_own_keys);
            }
        }
        event
    }
}

impl Event {
    /// Returns the most severe risk.
    pub(super) fn risk(&self) -> Option<Risk> {
        match self {
            Self::Cluster { risk, .. } | Self::Addon { risk, .. } | Self::File { risk, .. } => *risk,
            Self::Setting { change, .. } => change.risk,
        }
    }

    /// Returns the file of a setting.
    pub(super) fn file(&self) -> Option<&str> {
        if let Self::Setting { file, .. } = self { Some(file) } else { None }
    }
}

impl Grouped for Event {
    fn place(&self) -> impl Hash {
        match self {
            Self::Cluster { action, .. } => (Some(*action), "", None),
            Self::Addon { addon, action, .. } => (Some(*action), addon.as_str(), None),
            Self::File { file, action, .. } => (Some(*action), file.as_str(), Some(None)),
            Self::Setting { file, change } => {
                (None, file.as_str(), Some(Some((&change.object, &change.path))))
            }
        }
    }

    fn order(&self) -> (u8, String, String) {
        match self {
            Self::Cluster { .. } => (0, String::new(), String::new()),
            Self::Addon { addon, .. } => (1, addon.to_string(), String::new()),
            Self::File { file, .. } => (2, file.clone(), String::new()),
            Self::Setting { file, change } => (2, file.clone(), place("", change)),
        }
    }

    fn severity(&self) -> Option<u8> {
        self.risk().map(|risk| risk.kind as u8)
    }
}

/// Replaces what is a cluster's own in a text; most texts have none of it.
pub(crate) fn generalize(text: &mut String, own: &OwnFacts) {
    if let Cow::Owned(general) = own.general(text) {
        *text = general;
    }
}

/// Replaces what is a cluster's own in a change.
pub(crate) fn generalize_change(change: &mut Change, own: &OwnFacts, has_own_keys: bool) {
    let general = |mut text: String| {
        generalize(&mut text, own);
        text
    };
    change.object = change.object.take().map(|object| general_name(&object, own));
    let steps = std::mem::take(&mut change.path).into_iter();
    let is_meant = |step: &Step| has_own_keys || step.key().is_none();
    change.path = steps.map(|step| if is_meant(&step) { step.map(general) } else { step }).collect();
    for value in [&mut change.old, &mut change.new].into_iter().flatten() {
        *value = general_value(std::mem::replace(value, Value::Null), &general, has_own_keys);
    }
}

/// Returns the name of an object with what is a cluster's own replaced.
pub(crate) fn general_name(name: &ObjectName, own: &OwnFacts) -> Arc<ObjectName> {
    let mut name = name.clone();
    name.namespace.iter_mut().for_each(|namespace| generalize(namespace, own));
    generalize(&mut name.name, own);
    Arc::new(name)
}

fn general_value(value: Value, general: &impl Fn(String) -> String, has_own_keys: bool) -> Value {
    let below = |value| general_value(value, general, has_own_keys);
    match value {
        Value::String(text) => Value::String(general(text)),
        Value::List(items) => Value::List(items.into_iter().map(below).collect()),
        Value::Map(map) => {
            let key = |key| if has_own_keys { general(key) } else { key };
            Value::Map(map.into_iter().map(|(name, value)| (key(name), below(value))).collect())
        }
        other => other,
    }
}

/// A risk and what it is about.
#[derive(Clone, PartialEq, Hash)]
struct RiskAt(Risk, String);

impl Foldable for RiskAt {
    fn general(&self, own: &OwnFacts, _has_own_keys: bool) -> Self {
        Self(self.0, own.general(&self.1).into_owned())
    }
}

/// What stands for every bit of something.
type Fingerprint = [u8; blake3::OUT_LEN];

fn fingerprint(part: impl Hash) -> Fingerprint {
    let mut hasher = Blake3::default();
    part.hash(&mut hasher);
    hasher.0.finalize().into()
}

#[derive(Default)]
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finalize().as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

/// Something and the clusters where it was seen, as indices in the order of their names.
pub(crate) struct Slot<T = Event> {
    pub(crate) item: T,
    pub(crate) clusters: Vec<u32>,
    /// The cluster where it was seen first.
    first: u32,
    /// How many different values were folded into this one.
    variants: usize,
    /// What stands for it with the first cluster's own name and facts in it, and with them in its keys alone.
    raw: Fingerprint,
    of_values: Fingerprint,
    /// Whether it is the same only up to what is each cluster's own, and whether that is so of its keys, too.
    is_general: bool,
    has_own_keys: bool,
}

/// What is seen on clusters, one after the other, each once for all where it is the same up to what is their own.
pub(crate) struct Fold<T> {
    by_fingerprint: HashMap<Fingerprint, usize>,
    slots: Vec<Slot<T>>,
    own: Vec<Arc<OwnFacts>>,
}

impl<T> Default for Fold<T> {
    fn default() -> Self {
        Self { by_fingerprint: HashMap::new(), slots: Vec::new(), own: Vec::new() }
    }
}

impl<T: Foldable> Fold<T> {
    /// Adds what is seen on the next cluster.
    pub(crate) fn add(&mut self, own: Arc<OwnFacts>, items: impl IntoIterator<Item = T>) {
        let cluster = u32::try_from(self.own.len()).unwrap_or(u32::MAX);
        for item in items {
            self.see(cluster, &own, item);
        }
        self.own.push(own);
    }

    /// Returns everything that was seen.
    pub(crate) fn slots(&mut self) -> Vec<Slot<T>> {
        let mut slots = std::mem::take(&mut self.slots);
        for slot in slots.iter_mut().filter(|slot| slot.is_general) {
            slot.item = slot.item.general(&self.own[slot.clusters[0] as usize], slot.has_own_keys);
        }
        slots
    }

    fn see(&mut self, cluster: u32, own: &OwnFacts, item: T) {
        let general = item.general(own, true);
        let raw = fingerprint(&item);
        // What reads the same is the same, even where a cluster's name is also a word of another meaning.
        let (of_values, of_all) = if general == item {
            (raw, raw)
        } else {
            (fingerprint(item.general(own, false)), fingerprint(general))
        };
        let fingerprints = [raw, of_values, of_all];
        let known = fingerprints.iter().find_map(|fingerprint| self.by_fingerprint.get(fingerprint)).copied();
        let at = known.unwrap_or(self.slots.len());
        if known.is_none() {
            let (clusters, is_general, has_own_keys) = (Vec::new(), false, false);
            self.slots.push(Slot {
                item,
                clusters,
                first: cluster,
                variants: 1,
                raw,
                of_values,
                is_general,
                has_own_keys,
            });
        }
        for fingerprint in fingerprints {
            self.by_fingerprint.entry(fingerprint).or_insert(at);
        }
        let slot = &mut self.slots[at];
        slot.is_general |= slot.raw != raw;
        slot.has_own_keys |= slot.raw != raw && slot.of_values != of_values;
        // One file may hold two equal changes, for example two equal items that go from a list.
        if slot.clusters.last() != Some(&cluster) {
            slot.clusters.push(cluster);
        }
    }
}

/// Returns what is found on the clusters of a plan, each once for all clusters where it is the same up to
/// what is their own.
fn folded<T: Foldable>(plan: &Plan, found: impl Fn(&ClusterName, &ClusterPlan) -> Vec<T>) -> Vec<Slot<T>> {
    let mut fold = Fold::default();
    for (name, cluster) in &plan.clusters {
        fold.add(plan.facts.own(name), found(name, cluster));
    }
    fold.slots()
}

/// Returns what happens in a plan.
pub(super) fn slots(plan: &Plan) -> Vec<Slot> {
    folded(plan, events)
}

/// Folds what happens in a plan: groups with a risk come first, then the ones with the most clusters.
pub(super) fn groups(plan: &Plan, slots: Vec<Slot>) -> Vec<Group> {
    let names: Vec<&ClusterName> = plan.clusters.keys().collect();
    let own: Vec<_> = names.iter().map(|name| plan.facts.own(name)).collect();
    grouped(&names, &own, slots)
}

/// Folds what was seen on clusters: groups with a risk come first, then the ones with the most clusters.
pub(crate) fn grouped<T: Grouped>(
    names: &[&ClusterName],
    own: &[Arc<OwnFacts>],
    slots: Vec<Slot<T>>,
) -> Vec<Group<T>> {
    let mut by_clusters: BTreeMap<Vec<u32>, Vec<Entry<T>>> = BTreeMap::new();
    for slot in fold_variants(own, slots) {
        let example = names[slot.first as usize].clone();
        let entry = Entry { event: slot.item, variants: slot.variants, example };
        by_clusters.entry(slot.clusters).or_default().push(entry);
    }
    let group = |(clusters, mut entries): (Vec<u32>, Vec<Entry<T>>)| {
        entries.sort_by_cached_key(|entry| entry.event.order());
        Group { clusters: clusters.into_iter().map(|index| names[index as usize].clone()).collect(), entries }
    };
    let mut groups: Vec<Group<T>> = by_clusters.into_iter().map(group).collect();
    groups.sort_by_cached_key(|group| {
        let risk = group.entries.iter().filter_map(|entry| entry.event.severity()).min();
        (risk.is_none(), risk, Reverse(group.clusters.len()), group.clusters.clone())
    });
    groups
}

pub(super) fn events(name: &ClusterName, cluster: &ClusterPlan) -> Vec<Event> {
    if cluster.action != Action::Update {
        let (addons, files) = (cluster.addons.len(), cluster.files().count());
        return vec![Event::Cluster { action: cluster.action, addons, files, risk: cluster.risk }];
    }
    let mut events = Vec::new();
    for (addon, plan) in &cluster.addons {
        if plan.action == Action::Update {
            events.extend(plan.files.iter().flat_map(|file| events_of_file(name, file)));
            continue;
        }
        let risk = plan.risk.or_else(|| plan.files.iter().flat_map(|file| &file.risks).min().copied());
        events.push(Event::Addon {
            addon: addon.clone(),
            action: plan.action,
            files: plan.files.len(),
            risk,
        });
    }
    events.extend(cluster.files.iter().flat_map(|file| events_of_file(name, file)));
    events
}

fn events_of_file(cluster: &ClusterName, plan: &FilePlan) -> Vec<Event> {
    let file = file_label(&plan.path, cluster);
    let (action, leaves, risk) = (plan.action, plan.leaves, plan.risks.first().copied());
    if action != Action::Update {
        return vec![Event::File { file, action, leaves, risk }];
    }
    plan.changes.iter().map(|change| Event::Setting { file: file.clone(), change: change.clone() }).collect()
}

/// Folds the rare values of a setting that has many, for example one that differs on every cluster.
fn fold_variants<T: Grouped>(own: &[Arc<OwnFacts>], slots: Vec<Slot<T>>) -> Vec<Slot<T>> {
    let mut by_place: BTreeMap<Fingerprint, Vec<Slot<T>>> = BTreeMap::new();
    for slot in slots {
        let general = slot.item.general(&own[slot.clusters[0] as usize], true);
        by_place.entry(fingerprint(general.place())).or_default().push(slot);
    }
    by_place.into_values().flat_map(fold_rare).collect()
}

fn fold_rare<T>(same: Vec<Slot<T>>) -> Vec<Slot<T>> {
    let total: usize = same.iter().map(|slot| slot.clusters.len()).sum();
    let is_common = |slot: &Slot<T>| slot.clusters.len() > 1 && slot.clusters.len() * RARE_SHARE >= total;
    let rare = same.iter().filter(|slot| !is_common(slot));
    let variants = rare.clone().count();
    if variants <= MAX_LISTED_VARIANTS {
        return same;
    }
    let clusters: BTreeSet<u32> = rare.flat_map(|slot| slot.clusters.iter().copied()).collect();
    let (mut kept, rare): (Vec<_>, Vec<_>) = same.into_iter().partition(is_common);
    let example = rare.into_iter().next();
    kept.extend(example.map(|slot| Slot { clusters: clusters.into_iter().collect(), variants, ..slot }));
    kept
}

impl Plan {
    /// Folds what is the same on many clusters; groups with a risk come first, then the ones with the most clusters.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        groups(self, slots(self))
    }

    /// Returns the risks, most severe first, each once for all clusters where it is the same up to what is their own.
    pub(crate) fn risks(&self) -> Vec<RiskGroup> {
        let names: Vec<&ClusterName> = self.clusters.keys().collect();
        let group = |Slot { item: RiskAt(risk, place), clusters, .. }: Slot<RiskAt>| {
            let clusters = clusters.into_iter().map(|index| names[index as usize].clone()).collect();
            RiskGroup { risk, place, clusters }
        };
        let mut risks: Vec<_> = folded(self, risks_of_cluster).into_iter().map(group).collect();
        risks.sort();
        risks
    }
}

fn risks_of_cluster(name: &ClusterName, cluster: &ClusterPlan) -> Vec<RiskAt> {
    if let Some(risk) = cluster.risk {
        return vec![RiskAt(risk, "the whole cluster".to_owned())];
    }
    let mut risks = Vec::new();
    for (addon, plan) in &cluster.addons {
        match plan.risk {
            Some(risk) => risks.push(RiskAt(risk, format!("add-on {addon}"))),
            None => risks.extend(plan.files.iter().flat_map(|file| risks_of_file(name, file))),
        }
    }
    risks.extend(cluster.files.iter().flat_map(|file| risks_of_file(name, file)));
    risks
}

fn risks_of_file(name: &ClusterName, file: &FilePlan) -> Vec<RiskAt> {
    if file.all_risks().next().is_none() {
        return Vec::new();
    }
    let label = file_label(&file.path, name);
    let of_file = file.risks.iter().map(|risk| RiskAt(*risk, label.clone()));
    let of_changes =
        file.changes.iter().filter_map(|change| Some(RiskAt(change.risk?, place(&label, change))));
    let of_applications = file.applications.iter();
    let of_applications = of_applications
        .filter_map(|change| Some(RiskAt(change.risk?, format!("{label} {}", change.place()))));
    of_file.chain(of_changes).chain(of_applications).collect()
}
