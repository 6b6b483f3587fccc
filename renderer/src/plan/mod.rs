//! The plan: what will change on which clusters, as data that people and machines read before it happens.
//!
//! Compares the published files with the rendered ones. Knows nothing of git, of forges or of how files are rendered.
//!
//! The stages: `compare` finds the settings that differ, `applications` what becomes of each Application, `risk`
//! names what can hurt, `masks` hides secrets, and all of that is the `model`. `group` folds what is the same on
//! many clusters up to their own `facts`, `highlight` sums it up in a few words, `budget` limits what is deleted,
//! and `show` writes what people read: as text and as markdown.

mod applications;
mod budget;
mod compare;
mod digest;
mod facts;
mod group;
mod highlight;
mod locate;
mod masks;
mod model;
mod risk;
mod show;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::inventory::OwnFacts;
use crate::path::AddonName;

pub use crate::key_path::{KeyPath, Step};
pub use applications::{ApplicationChange, ApplicationSetting};
pub use budget::{Allowance, Budget, Excess, Refusal, Scope};
pub use compare::MAX_COMPARED_BYTES;
pub use compare::documents::ObjectName;
pub use digest::Digest;
pub use facts::Facts;
pub use group::{Entry, Event, Group, RiskGroup};
pub use highlight::{Highlight, Overview, What};
pub use locate::{Located, Missing, locate};
pub use model::{Action, AddonPlan, Change, ClusterPlan, FileChange, FilePlan, Plan, Published, Totals};
pub use risk::kind::{Risk, RiskKind};
pub use show::{markdown, text};

use model::PublishedCluster;

/// How many settings of one file are listed one by one.
const MAX_CHANGES: usize = 10_000;

/// Compares what is published with what is rendered.
///
/// `changes` holds the files that differ, in any order; equal files may be among them and are left out. By
/// `facts` the same change is recognised on clusters whose own facts differ; a cluster that is not in them
/// has its name alone.
#[must_use]
pub fn plan(changes: &[FileChange], published: &Published, facts: Facts) -> Plan {
    let mut changes: Vec<&FileChange> = changes.iter().filter(|change| change.old != change.new).collect();
    changes.sort_by(|a, b| (&a.cluster, &a.path).cmp(&(&b.cluster, &b.path)));
    let by_cluster: Vec<&[&FileChange]> = changes.chunk_by(|a, b| a.cluster == b.cluster).collect();
    let clusters: BTreeMap<_, _> = by_cluster
        .par_iter()
        .map_init(compare::read::Memo::default, |memo, files| {
            let name = &files[0].cluster;
            let own = facts.own(name);
            (name.clone(), cluster_plan(files, published.clusters.get(name), &own, memo))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    let totals = published.totals();
    let files = |wanted: Action| {
        let files = clusters.values().flat_map(ClusterPlan::files);
        files.filter(|file| file.action == wanted).count()
    };
    Plan {
        published: totals,
        deleted: budget::count_deletions(&clusters),
        remaining_files: (totals.files + files(Action::Create)).saturating_sub(files(Action::Delete)),
        clusters,
        facts,
    }
}

/// Plans one cluster; its files stand in the order of their paths.
fn cluster_plan(
    changes: &[&FileChange],
    published: Option<&PublishedCluster>,
    own: &OwnFacts,
    memo: &mut compare::read::Memo,
) -> ClusterPlan {
    let action = action_of(changes.iter().copied(), published.map_or(0, |cluster| cluster.files));
    let consequences = risk::Consequences::of(changes);
    let mut addons: BTreeMap<AddonName, AddonPlan> = BTreeMap::new();
    let mut files = Vec::new();
    for change in changes {
        let file = file_plan(change, consequences, own, memo);
        match &change.addon {
            Some(addon) => addons.entry(addon.clone()).or_insert_with(unchanged).files.push(file),
            None => files.push(file),
        }
    }
    for (name, addon) in &mut addons {
        let own = changes.iter().copied().filter(|change| change.addon.as_ref() == Some(name));
        let count = published.and_then(|cluster| cluster.files_of.get(name)).copied().unwrap_or(0);
        addon.action = action_of(own, count);
        // The add-ons of a deleted cluster share its risk.
        addon.risk =
            (addon.action == Action::Delete && action != Action::Delete).then_some(consequences.addon);
    }
    let risk = (action == Action::Delete).then_some(consequences.cluster);
    ClusterPlan { action, risk, addons, files }
}

/// Returns what happens to a whole of which `published` files are published.
fn action_of<'a>(changes: impl Iterator<Item = &'a FileChange>, published: usize) -> Action {
    let (mut created, mut updated, mut deleted) = (0, 0, 0);
    for change in changes {
        match change.action() {
            Action::Create => created += 1,
            Action::Update => updated += 1,
            Action::Delete => deleted += 1,
        }
    }
    match (created, updated, deleted) {
        (_, 0, 0) if published == 0 => Action::Create,
        (0, 0, _) if deleted >= published => Action::Delete,
        _ => Action::Update,
    }
}

fn file_plan(
    change: &FileChange,
    consequences: risk::Consequences,
    own: &OwnFacts,
    memo: &mut compare::read::Memo,
) -> FilePlan {
    let path = change.path.clone();
    let content = digest::of_content(change.old.as_deref(), change.new.as_deref());
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => FilePlan {
            path,
            action: Action::Update,
            leaves: 0,
            risks: Vec::new(),
            changes: changes_of(old, new, own, memo),
            applications: applications_of(old, new),
            content,
        },
        (old, new) => {
            let action = change.action();
            let changes = compare::whole(old.as_deref().or(new.as_deref()).unwrap_or_default(), action, memo);
            let mut risks = risk::of_file(&changes, action, own);
            if action == Action::Delete {
                risks.insert(0, consequences.file);
            }
            let leaves = changes.iter().map(compare::count_leaves).sum();
            FilePlan { path, action, leaves, risks, changes: Vec::new(), applications: Vec::new(), content }
        }
    }
}

/// Compares two versions of a file. Very many changes are one of the whole text, with the most severe of their risks.
fn changes_of(old: &[u8], new: &[u8], own: &OwnFacts, memo: &mut compare::read::Memo) -> Vec<Change> {
    let changes = compare::files(old, new, memo, &|change, beside| {
        masks::masked(Change { risk: risk::of_change(&change, own), ..change }, beside)
    });
    if changes.len() <= MAX_CHANGES {
        return changes;
    }
    let risk = changes.iter().filter_map(|change| change.risk).min();
    vec![Change { risk, ..compare::unread(old, new) }]
}

/// Returns what changes about the Applications of a file that can be compared.
fn applications_of(old: &[u8], new: &[u8]) -> Vec<ApplicationChange> {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| text.len() <= MAX_COMPARED_BYTES);
    text(old).zip(text(new)).map_or_else(Vec::new, |(old, new)| applications::changes(old, new))
}

fn unchanged() -> AddonPlan {
    AddonPlan { action: Action::Update, risk: None, files: Vec::new() }
}

#[cfg(test)]
mod tests;
