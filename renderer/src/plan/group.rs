//! Folds what is the same on many clusters, so that a fleet's plan reads like a cluster's.
//!
//! Equal entries are found by hash and never compared pairwise: the cost follows the size of the plan.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde::Serialize;

use super::canonical::Canonical;
use super::{Action, Change, ClusterPlan, FilePlan, Plan, Risk, RiskKind};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::snapshot::OUTPUT;

/// How many different values of one setting are listed before the rare ones are folded.
const MAX_LISTED_VARIANTS: usize = 4;
/// A value is rare on less than one in this many of the clusters where the setting changes.
const RARE_SHARE: usize = 10;

/// What is the same on all of some clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The clusters, by name; never empty.
    pub clusters: Vec<ClusterName>,
    /// What happens on each of them; never empty.
    pub entries: Vec<Entry>,
}

/// Something that happens on all clusters of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What happens; an example if there are several variants.
    #[serde(flatten)]
    pub event: Event,
    /// How many different values were folded into this entry; one if it is the same everywhere.
    pub variants: usize,
}

/// What happens: a cluster, an add-on or a file comes or goes, or a setting changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

impl Event {
    /// Returns the most severe risk.
    #[must_use]
    pub fn risk(&self) -> Option<Risk> {
        match self {
            Self::Cluster { risk, .. } | Self::Addon { risk, .. } | Self::File { risk, .. } => *risk,
            Self::Setting { change, .. } => change.risk,
        }
    }
}

impl Group {
    /// Returns the most severe risk of all entries.
    #[must_use]
    pub fn risk(&self) -> Option<RiskKind> {
        self.entries.iter().filter_map(|entry| entry.event.risk()).map(|risk| risk.kind).min()
    }
}

/// Returns the path of a file below its cluster's folder, so that it is the same for every cluster.
pub(super) fn file_label(path: &RepoPath, cluster: &ClusterName) -> String {
    let mut parts: Vec<&str> = path.components().collect();
    match parts.iter().position(|part| *part == cluster.as_str()) {
        Some(1) if parts.len() > 2 && parts[0] == OUTPUT => parts[2..].join("/"),
        Some(at) => {
            parts[at] = "<cluster>";
            parts.join("/")
        }
        None => path.to_string(),
    }
}

/// Returns where a change of a file is: the file, the object if it holds any, and the setting.
pub(super) fn place(file: &str, change: &Change) -> String {
    let mut place = file.to_owned();
    if let Some(object) = &change.object {
        let _ = write!(place, " {object}");
    }
    if !change.path.is_root() {
        let _ = write!(place, " {}", change.path);
    }
    place
}

/// An entry and the clusters where it was seen, as indices in the order of their names.
struct Slot {
    place: blake3::Hash,
    entry: Entry,
    clusters: Vec<u32>,
}

#[derive(Default)]
struct Slots {
    by_hash: HashMap<blake3::Hash, usize>,
    slots: Vec<Slot>,
}

impl Slots {
    fn add(
        &mut self,
        cluster: u32,
        place: Canonical,
        feed: impl FnOnce(&mut Canonical),
        event: impl FnOnce() -> Event,
    ) {
        let place_hash = place.finish();
        let mut whole = place;
        feed(&mut whole);
        let at = *self.by_hash.entry(whole.finish()).or_insert_with(|| {
            self.slots.push(Slot {
                place: place_hash,
                entry: Entry { event: event(), variants: 1 },
                clusters: Vec::new(),
            });
            self.slots.len() - 1
        });
        // One file may hold two equal changes, for example two equal items that go from a list.
        if self.slots[at].clusters.last() != Some(&cluster) {
            self.slots[at].clusters.push(cluster);
        }
    }
}

/// Folds a plan.
pub(super) fn groups(plan: &Plan) -> Vec<Group> {
    let names: Vec<&ClusterName> = plan.clusters.keys().collect();
    let mut slots = Slots::default();
    for (index, (name, cluster)) in (0_u32..).zip(&plan.clusters) {
        add_cluster(&mut slots, index, name, cluster);
    }
    let mut by_clusters: HashMap<Vec<u32>, Vec<Entry>> = HashMap::new();
    for slot in fold_variants(slots.slots) {
        by_clusters.entry(slot.clusters).or_default().push(slot.entry);
    }
    let mut sets: Vec<(Vec<u32>, Vec<Entry>)> = by_clusters.into_iter().collect();
    for (_, entries) in &mut sets {
        entries.sort_by_cached_key(|entry| order(&entry.event));
    }
    sets.sort_by_cached_key(|(clusters, entries)| {
        let risk = entries.iter().filter_map(|entry| entry.event.risk()).map(|risk| risk.kind).min();
        (risk.is_none(), risk, Reverse(clusters.len()), clusters.clone())
    });
    sets.into_iter()
        .map(|(clusters, entries)| Group {
            clusters: clusters.into_iter().map(|index| names[index as usize].clone()).collect(),
            entries,
        })
        .collect()
}

fn order(event: &Event) -> (u8, String, String) {
    match event {
        Event::Cluster { .. } => (0, String::new(), String::new()),
        Event::Addon { addon, .. } => (1, addon.to_string(), String::new()),
        Event::File { file, .. } => (2, file.clone(), String::new()),
        Event::Setting { file, change } => (2, file.clone(), place("", change)),
    }
}

fn add_cluster(slots: &mut Slots, index: u32, name: &ClusterName, cluster: &ClusterPlan) {
    if cluster.action != Action::Update {
        let (addons, files) = (cluster.addons.len(), cluster.files().count());
        let mut place = Canonical::default();
        place.tag(0);
        place.action(cluster.action);
        let counts = |hash: &mut Canonical| {
            hash.number(addons);
            hash.number(files);
        };
        let (action, risk) = (cluster.action, cluster.risk);
        slots.add(index, place, counts, || Event::Cluster { action, addons, files, risk });
        return;
    }
    for (addon, plan) in &cluster.addons {
        if plan.action == Action::Update {
            plan.files.iter().for_each(|file| add_file(slots, index, name, file));
            continue;
        }
        let files = plan.files.len();
        let mut place = Canonical::default();
        place.tag(1);
        place.text(addon.as_str());
        place.action(plan.action);
        let risk = plan.risk.or_else(|| plan.files.iter().flat_map(|file| &file.risks).min().copied());
        slots.add(
            index,
            place,
            |hash| hash.number(files),
            || Event::Addon { addon: addon.clone(), action: plan.action, files, risk },
        );
    }
    cluster.files.iter().for_each(|file| add_file(slots, index, name, file));
}

fn add_file(slots: &mut Slots, index: u32, name: &ClusterName, file: &FilePlan) {
    let label = file_label(&file.path, name);
    let mut place = Canonical::default();
    place.tag(2);
    place.text(&label);
    place.action(file.action);
    if file.action != Action::Update {
        slots.add(
            index,
            place,
            |hash| hash.number(file.leaves),
            || Event::File {
                file: label,
                action: file.action,
                leaves: file.leaves,
                risk: file.risks.first().copied(),
            },
        );
        return;
    }
    for change in &file.changes {
        let mut place = place.clone();
        place.place(change);
        let event = || Event::Setting { file: label.clone(), change: change.clone() };
        slots.add(index, place, |hash| hash.change(change), event);
    }
}

/// Folds the rare values of a setting that has many, for example one that differs on every cluster.
fn fold_variants(slots: Vec<Slot>) -> Vec<Slot> {
    let mut order: Vec<blake3::Hash> = Vec::new();
    let mut by_place: HashMap<blake3::Hash, Vec<Slot>> = HashMap::new();
    for slot in slots {
        let same = by_place.entry(slot.place).or_default();
        if same.is_empty() {
            order.push(slot.place);
        }
        same.push(slot);
    }
    order.iter().filter_map(|place| by_place.remove(place)).flat_map(fold_rare).collect()
}

fn fold_rare(same: Vec<Slot>) -> Vec<Slot> {
    if same.len() <= MAX_LISTED_VARIANTS {
        return same;
    }
    let total: usize = same.iter().map(|slot| slot.clusters.len()).sum();
    let is_common = |slot: &Slot| slot.clusters.len() > 1 && slot.clusters.len() * RARE_SHARE >= total;
    let (mut kept, rare): (Vec<Slot>, Vec<Slot>) = same.into_iter().partition(is_common);
    if rare.len() <= MAX_LISTED_VARIANTS {
        kept.extend(rare);
        return kept;
    }
    let variants = rare.len();
    let folded = rare.into_iter().reduce(|mut all, slot| {
        all.clusters.extend(slot.clusters);
        all
    });
    kept.extend(folded.map(|mut slot| {
        slot.clusters.sort_unstable();
        slot.clusters.dedup();
        slot.entry.variants = variants;
        slot
    }));
    kept
}

/// Returns the risks of a plan, most severe first, each once for all clusters.
pub(super) fn risks(plan: &Plan) -> Vec<RiskGroup> {
    let mut found: BTreeMap<(Risk, String), Vec<ClusterName>> = BTreeMap::new();
    for (name, cluster) in &plan.clusters {
        for (risk, place) in risks_of_cluster(name, cluster) {
            let clusters = found.entry((risk, place)).or_default();
            if clusters.last() != Some(name) {
                clusters.push(name.clone());
            }
        }
    }
    found.into_iter().map(|((risk, place), clusters)| RiskGroup { risk, place, clusters }).collect()
}

fn risks_of_cluster(name: &ClusterName, cluster: &ClusterPlan) -> Vec<(Risk, String)> {
    if let Some(risk) = cluster.risk {
        return vec![(risk, "the whole cluster".to_owned())];
    }
    let mut risks = Vec::new();
    for (addon, plan) in &cluster.addons {
        match plan.risk {
            Some(risk) => risks.push((risk, format!("add-on {addon}"))),
            None => plan.files.iter().for_each(|file| risks_of_file(name, file, &mut risks)),
        }
    }
    cluster.files.iter().for_each(|file| risks_of_file(name, file, &mut risks));
    risks
}

fn risks_of_file(name: &ClusterName, file: &FilePlan, risks: &mut Vec<(Risk, String)>) {
    if file.risks.is_empty() && file.changes.iter().all(|change| change.risk.is_none()) {
        return;
    }
    let label = file_label(&file.path, name);
    risks.extend(file.risks.iter().map(|risk| (*risk, label.clone())));
    risks.extend(file.changes.iter().filter_map(|change| Some((change.risk?, place(&label, change)))));
}
