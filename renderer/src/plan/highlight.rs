//! What a plan does in a few words, shown before everything else: clusters and add-ons that come or go,
//! charts that change their versions, and values that change at many places.
//!
//! Knows nothing of how it is shown.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::applications::ApplicationSetting;
use super::group::{self, Event, Group, RiskGroup, Slot, place};
use super::model::{Action, Change, Plan};
use super::risk::version;
use crate::path::{AddonName, ClusterName};
use crate::yaml::Value;

/// How many settings an edit of a value reaches before it is shown by itself, if no fact of that value was edited.
const MANY_SETTINGS: usize = 2;

/// What people read of a plan first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// What it does in a few words.
    pub highlights: Vec<Highlight>,
    /// The risks, most severe first.
    pub risks: Vec<RiskGroup>,
    /// What is the same on many clusters; groups with a risk first, then the ones with the most clusters.
    pub groups: Vec<Group>,
}

impl Plan {
    /// Returns what people read of the plan first, all of it folded over the clusters.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let slots = group::slots(self);
        Overview {
            highlights: highlights(self, &slots),
            risks: self.risks(),
            groups: group::groups(self, slots),
        }
    }
}

/// Something that a plan does, on all clusters where it does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Highlight {
    /// What it does.
    #[serde(flatten)]
    pub what: What,
    /// The clusters, by name; never empty.
    pub clusters: Vec<ClusterName>,
}

/// What a plan does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum What {
    /// A cluster is described under another name.
    Rename {
        /// The name before.
        old: ClusterName,
        /// The name after.
        new: ClusterName,
    },
    /// Clusters come or go.
    Cluster {
        /// Whether they come or go.
        action: Action,
    },
    /// A chart changes its version.
    Chart {
        /// The chart.
        chart: String,
        /// The version before.
        old: String,
        /// The version after.
        new: String,
        /// Whether the version after is the older one.
        is_downgrade: bool,
        /// What identifies the elements that name the chart, if it is not the chart's name.
        elements: Vec<String>,
    },
    /// An add-on comes or goes.
    Addon {
        /// The add-on.
        addon: AddonName,
        /// Whether it comes or goes.
        action: Action,
    },
    /// A value changes.
    Value {
        /// The fact that was edited, if one is known to be.
        #[serde(skip_serializing_if = "Option::is_none")]
        fact: Option<String>,
        /// The value before, or one of several.
        old: String,
        /// The value after, or one of several.
        new: String,
        /// How many different edits there are.
        variants: usize,
        /// How many settings change by it, each counted once for all clusters.
        settings: usize,
    },
}

/// Returns what a plan does, in the order of its kinds, and of each kind first what happens on the most clusters.
fn highlights(plan: &Plan, slots: &[Slot]) -> Vec<Highlight> {
    let mut found: BTreeMap<What, BTreeSet<&ClusterName>> = BTreeMap::new();
    for (old, new) in plan.renamed() {
        found.insert(What::Rename { old: old.clone(), new: new.clone() }, [old, new].into());
    }
    for (name, cluster) in &plan.clusters {
        if cluster.action != Action::Update {
            found.entry(What::Cluster { action: cluster.action }).or_default().insert(name);
            continue;
        }
        for (addon, plan) in cluster.addons.iter().filter(|(_, plan)| plan.action != Action::Update) {
            let what = What::Addon { addon: addon.clone(), action: plan.action };
            found.entry(what).or_default().insert(name);
        }
    }
    let charts = charts(plan);
    found.extend(values(plan, slots, &charts));
    found.extend(charts);
    let highlights = found.into_iter();
    let mut highlights: Vec<Highlight> = highlights
        .map(|(what, clusters)| Highlight { what, clusters: clusters.into_iter().cloned().collect() })
        .collect();
    highlights.sort_by_key(|highlight| (highlight.what.rank(), Reverse(highlight.clusters.len())));
    highlights
}

/// Returns the charts that change their versions, each once for all add-ons that install it.
fn charts(plan: &Plan) -> BTreeMap<What, BTreeSet<&ClusterName>> {
    type Found<'p> = (BTreeSet<String>, BTreeSet<&'p ClusterName>);
    let mut found: BTreeMap<[&str; 3], Found<'_>> = BTreeMap::new();
    for (name, cluster) in &plan.clusters {
        let changes = cluster.files().flat_map(|file| &file.applications);
        for change in changes.filter(|change| change.what == ApplicationSetting::Version) {
            let (Some(old), Some(new)) = (&change.old, &change.new) else { continue };
            let chart = change.chart.as_ref().unwrap_or(&change.application);
            let (elements, clusters) = found.entry([chart, old, new]).or_default();
            elements.extend(change.element.clone().filter(|element| element != chart));
            clusters.insert(name);
        }
    }
    let highlights = found.into_iter().map(|([chart, old, new], (elements, clusters))| {
        let is_downgrade = version::compare(old, new) == Some(Ordering::Greater);
        let (chart, old, new) = (chart.to_owned(), old.to_owned(), new.to_owned());
        (What::Chart { chart, old, new, is_downgrade, elements: elements.into_iter().collect() }, clusters)
    });
    highlights.collect()
}

/// What distinguishes edits: the fact, or else the texts before and after.
type EditKey = (Option<String>, Option<(String, String)>);

/// An edit of one value, wherever it stands.
#[derive(Default)]
struct Edit {
    settings: BTreeSet<String>,
    clusters: BTreeSet<u32>,
    variants: BTreeSet<(String, String)>,
}

/// Returns the values that change at many places, or by an edit of a fact; not what a chart's version is.
fn values<'p>(
    plan: &'p Plan,
    slots: &[Slot],
    charts: &BTreeMap<What, BTreeSet<&ClusterName>>,
) -> Vec<(What, BTreeSet<&'p ClusterName>)> {
    let names: Vec<&ClusterName> = plan.clusters.keys().collect();
    let versions: BTreeSet<_> = charts
        .keys()
        .filter_map(|what| if let What::Chart { old, new, .. } = what { Some((old, new)) } else { None })
        .collect();
    let mut edits: BTreeMap<EditKey, Edit> = BTreeMap::new();
    for Slot { item, clusters, .. } in slots {
        let Event::Setting { file, change } = item else { continue };
        let Some(edit) = edit(change).filter(|(old, new)| !versions.contains(&(old, new))) else { continue };
        let fact = plan.facts.edited(&edit.0, &edit.1).map(str::to_owned);
        let key = (fact.clone(), fact.is_none().then(|| edit.clone()));
        let found = edits.entry(key).or_default();
        found.settings.insert(place(file, change));
        found.clusters.extend(clusters);
        found.variants.insert(edit);
    }
    let is_worth_it =
        |fact: &Option<String>, edit: &Edit| fact.is_some() || edit.settings.len() >= MANY_SETTINGS;
    edits
        .into_iter()
        .filter(|((fact, _), edit)| is_worth_it(fact, edit))
        .filter_map(|((fact, _), edit)| {
            let (old, new) = edit.variants.first()?.clone();
            let (variants, settings) = (edit.variants.len(), edit.settings.len());
            let clusters = edit.clusters.into_iter().map(|index| names[index as usize]).collect();
            Some((What::Value { fact, old, new, variants, settings }, clusters))
        })
        .collect()
}

/// Returns what of a value changes to what, if it is one part of it: the address in two URLs.
fn edit(change: &Change) -> Option<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.contains('\n') => Some(text.clone()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    let (old, new) = (text(change.old.as_ref()?)?, text(change.new.as_ref()?)?);
    let (start, end) = (common(old.chars(), new.chars()), common(old.chars().rev(), new.chars().rev()));
    // In the shorter of two texts both ends may meet.
    let inner = |text: &str| {
        text.get(start..text.len().saturating_sub(end)).filter(|part| !part.is_empty()).map(str::to_owned)
    };
    Some(inner(&old).zip(inner(&new)).unwrap_or((old, new)))
}

/// Returns how many bytes two texts have in common at an end, up to the last character between two parts.
fn common(old: impl Iterator<Item = char>, new: impl Iterator<Item = char>) -> usize {
    let (mut length, mut whole) = (0, 0);
    for (a, _) in old.zip(new).take_while(|(a, b)| a == b) {
        length += a.len_utf8();
        if !(a.is_alphanumeric() || matches!(a, '.' | '-' | '_')) {
            whole = length;
        }
    }
    whole
}

impl What {
    /// Returns by what highlights are ordered before the number of their clusters: kind, and values that are
    /// edited facts and change the most settings first.
    const fn rank(&self) -> (u8, bool, Reverse<usize>) {
        match self {
            Self::Rename { .. } | Self::Cluster { .. } => (0, false, Reverse(0)),
            Self::Chart { .. } => (1, false, Reverse(0)),
            Self::Addon { .. } => (2, false, Reverse(0)),
            Self::Value { fact, settings, .. } => (3, fact.is_none(), Reverse(*settings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_path::KeyPath;

    #[test]
    fn of_a_value_the_part_that_changes_is_found() {
        let edit = |old: &str, new: &str| {
            let value = |text: &str| Some(Value::String(text.to_owned()));
            let change = Change {
                object: None,
                path: KeyPath::default(),
                old: value(old),
                new: value(new),
                risk: None,
            };
            edit(&change).map(|(old, new)| format!("{old} → {new}"))
        };
        for (old, new, expected) in [
            ("http://10.0.0.1:9090/api", "http://10.0.0.2:9090/api", "10.0.0.1 → 10.0.0.2"),
            ("fast", "faster", "fast → faster"),
            ("a/b:1.2.3", "a/b:1.2.4", "1.2.3 → 1.2.4"),
            ("ü=1", "ü=2", "1 → 2"),
            ("a:b", "a:b:b", "a:b → a:b:b"),
        ] {
            assert_eq!(edit(old, new).as_deref(), Some(expected));
        }
        assert_eq!(edit("x\ny", "x\nz"), None);
    }
}
