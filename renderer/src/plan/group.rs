//! Folds what is the same on many clusters, so that a fleet's plan reads like a cluster's.
//!
//! Equal entries are found by hash and never compared pairwise: the cost follows the size of the plan.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::canonical::Canonical;
use super::{Action, Change, ClusterPlan, FilePlan, Plan, Risk, RiskKind};
use crate::inventory::OwnFacts;
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

impl Event {
    /// Replaces what is a cluster's own by what it stands for.
    fn generalize(&mut self, own: &OwnFacts, has_own_keys: bool) {
        match self {
            Self::Cluster { .. } | Self::Addon { .. } => {}
            Self::File { file, .. } => *file = own.general(file).into_owned(),
            Self::Setting { file, change } => {
                *file = own.general(file).into_owned();
                *change = change.general(own, has_own_keys);
            }
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
pub(super) struct Slot {
    place: blake3::Hash,
    /// The hash with the first cluster's own name and facts in it, and with them in its keys alone.
    raw: blake3::Hash,
    of_values: blake3::Hash,
    pub(super) entry: Entry,
    pub(super) clusters: Vec<u32>,
    /// Whether it is the same only up to what is each cluster's own, and whether that is so of its keys, too.
    is_general: bool,
    has_own_keys: bool,
}

#[derive(Default)]
struct Slots {
    by_hash: HashMap<blake3::Hash, usize>,
    slots: Vec<Slot>,
}

/// A cluster, as its entries are added.
#[derive(Clone, Copy)]
struct Of<'a> {
    index: u32,
    name: &'a ClusterName,
    own: &'a OwnFacts,
}

impl Slots {
    /// Adds what is seen on a cluster: `place` feeds where it happens, `what` what it is.
    fn add(
        &mut self,
        of: Of<'_>,
        place: impl Fn(&mut Canonical<'_>),
        what: impl Fn(&mut Canonical<'_>),
        event: impl FnOnce() -> Event,
    ) {
        let mut general = Canonical::up_to(of.own, true);
        place(&mut general);
        let place_hash = general.finish();
        what(&mut general);
        let again = |mut hash: Canonical<'_>| {
            place(&mut hash);
            what(&mut hash);
            hash.finish()
        };
        // What reads the same is the same, even where a cluster's name is also a word of another meaning.
        let (general, raw, of_values) = if general.has_own() {
            (general.finish(), again(Canonical::default()), again(Canonical::up_to(of.own, false)))
        } else {
            (general.finish(), general.finish(), general.finish())
        };
        let hashes = [raw, of_values, general];
        let known = hashes.iter().find_map(|hash| self.by_hash.get(hash)).copied();
        let at = known.unwrap_or_else(|| {
            let entry = Entry { event: event(), variants: 1 };
            self.slots.push(Slot {
                place: place_hash,
                raw,
                of_values,
                entry,
                clusters: Vec::new(),
                is_general: false,
                has_own_keys: false,
            });
            self.slots.len() - 1
        });
        for hash in hashes {
            self.by_hash.entry(hash).or_insert(at);
        }
        let slot = &mut self.slots[at];
        slot.is_general |= slot.raw != raw;
        slot.has_own_keys |= slot.raw != raw && slot.of_values != of_values;
        // One file may hold two equal changes, for example two equal items that go from a list.
        if slot.clusters.last() != Some(&of.index) {
            slot.clusters.push(of.index);
        }
    }
}

/// Returns what happens, each once for all clusters where it is the same up to what is their own.
pub(super) fn slots(plan: &Plan) -> Vec<Slot> {
    let mut slots = Slots::default();
    let mut own = Vec::new();
    for (index, (name, cluster)) in (0_u32..).zip(&plan.clusters) {
        own.push(plan.facts.own(name));
        add_cluster(&mut slots, Of { index, name, own: &own[index as usize] }, cluster);
    }
    let mut slots = slots.slots;
    for slot in slots.iter_mut().filter(|slot| slot.is_general) {
        slot.entry.event.generalize(&own[slot.clusters[0] as usize], slot.has_own_keys);
    }
    slots
}

/// Folds what happens in a plan.
pub(super) fn groups(plan: &Plan, slots: Vec<Slot>) -> Vec<Group> {
    let names: Vec<&ClusterName> = plan.clusters.keys().collect();
    let mut by_clusters: HashMap<Vec<u32>, Vec<Entry>> = HashMap::new();
    for slot in fold_variants(slots) {
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

fn add_cluster(slots: &mut Slots, of: Of<'_>, cluster: &ClusterPlan) {
    if cluster.action != Action::Update {
        let (addons, files) = (cluster.addons.len(), cluster.files().count());
        let (action, risk) = (cluster.action, cluster.risk);
        let place = |hash: &mut Canonical<'_>| {
            hash.tag(0);
            hash.action(action);
        };
        let counts = |hash: &mut Canonical<'_>| {
            hash.number(addons);
            hash.number(files);
        };
        slots.add(of, place, counts, || Event::Cluster { action, addons, files, risk });
        return;
    }
    for (addon, plan) in &cluster.addons {
        if plan.action == Action::Update {
            plan.files.iter().for_each(|file| add_file(slots, of, file));
            continue;
        }
        let (action, files) = (plan.action, plan.files.len());
        let place = |hash: &mut Canonical<'_>| {
            hash.tag(1);
            hash.text(addon.as_str());
            hash.action(action);
        };
        let risk = plan.risk.or_else(|| plan.files.iter().flat_map(|file| &file.risks).min().copied());
        let event = || Event::Addon { addon: addon.clone(), action, files, risk };
        slots.add(of, place, |hash| hash.number(files), event);
    }
    cluster.files.iter().for_each(|file| add_file(slots, of, file));
}

fn add_file(slots: &mut Slots, of: Of<'_>, file: &FilePlan) {
    let label = file_label(&file.path, of.name);
    let (action, leaves, risk) = (file.action, file.leaves, file.risks.first().copied());
    let place = |hash: &mut Canonical<'_>| {
        hash.tag(2);
        hash.text(&label);
        hash.action(action);
    };
    if action != Action::Update {
        let event = || Event::File { file: label.clone(), action, leaves, risk };
        slots.add(of, place, |hash| hash.number(leaves), event);
        return;
    }
    for change in &file.changes {
        let place = |hash: &mut Canonical<'_>| {
            place(hash);
            hash.place(change);
        };
        let event = || Event::Setting { file: label.clone(), change: change.clone() };
        slots.add(of, place, |hash| hash.change(change), event);
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

/// Returns the risks of a plan, most severe first, each once for all clusters where it is the same up to what is their own.
pub(super) fn risks(plan: &Plan) -> Vec<RiskGroup> {
    let mut by_place: HashMap<(Risk, String), usize> = HashMap::new();
    let mut found: Vec<(RiskGroup, String)> = Vec::new();
    for (name, cluster) in &plan.clusters {
        let own = plan.facts.own(name);
        for (risk, place) in risks_of_cluster(name, cluster) {
            let general = own.general(&place).into_owned();
            let (as_is, in_general) = ((risk, place.clone()), (risk, general.clone()));
            let known = by_place.get(&as_is).or_else(|| by_place.get(&in_general)).copied();
            let at = known.unwrap_or_else(|| {
                found.push((RiskGroup { risk, place: place.clone(), clusters: Vec::new() }, general));
                found.len() - 1
            });
            by_place.entry(as_is).or_insert(at);
            by_place.entry(in_general).or_insert(at);
            let (group, general) = &mut found[at];
            if group.place != place {
                group.place.clone_from(general);
            }
            if group.clusters.last() != Some(name) {
                group.clusters.push(name.clone());
            }
        }
    }
    let mut risks: Vec<RiskGroup> = found.into_iter().map(|(group, _)| group).collect();
    risks.sort();
    risks
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
    if file.all_risks().next().is_none() {
        return;
    }
    let label = file_label(&file.path, name);
    risks.extend(file.risks.iter().map(|risk| (*risk, label.clone())));
    risks.extend(file.changes.iter().filter_map(|change| Some((change.risk?, place(&label, change)))));
    let of_applications = file.applications.iter();
    risks.extend(
        of_applications.filter_map(|change| Some((change.risk?, format!("{label} {}", change.place())))),
    );
}
