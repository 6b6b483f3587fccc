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
pub(crate) mod compare;
mod digest;
pub(crate) mod explained;
mod facts;
pub(crate) mod group;
mod highlight;
mod locate;
pub(crate) mod masks;
mod model;
pub(crate) mod risk;
pub(crate) mod show;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::inventory::OwnFacts;
use crate::path::AddonName;

pub use crate::key_path::{KeyPath, Step};
pub use crate::manifests::ObjectName;
pub use applications::{ApplicationChange, ApplicationSetting};
pub use budget::{Allowance, Budget, Excess, Refusal, Scope};
pub use compare::MAX_COMPARED_BYTES;
pub use digest::Digest;
pub use facts::Facts;
pub use group::{Entry, Event, Group, RiskGroup};
pub use highlight::{Highlight, Overview, What};
pub use locate::{Located, Missing, locate};
pub use model::{Action, AddonPlan, Change, ClusterPlan, FileChange, FilePlan, Plan, Published, Totals};
pub use risk::kind::{Risk, RiskKind};
pub use show::{html, markdown, text};

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
    let mut by_addon: BTreeMap<Option<&AddonName>, Vec<&FileChange>> = BTreeMap::new();
    for change in changes {
        by_addon.entry(change.addon.as_ref()).or_default().push(change);
    }
    let consequences = risk::Consequences::of(changes);
    let action = action_of(changes, published.map_or(0, |cluster| cluster.files));
    let risk = (action == Action::Delete).then_some(consequences.cluster);
    let mut plan = ClusterPlan { action, risk, addons: BTreeMap::new(), files: Vec::new() };
    for (addon, changes) in by_addon {
        let files = changes.iter().map(|change| file_plan(change, consequences, own, memo)).collect();
        let Some(name) = addon else {
            plan.files = files;
            continue;
        };
        let count = published.and_then(|cluster| cluster.files_of.get(name)).copied().unwrap_or(0);
        let action = action_of(&changes, count);
        // The add-ons of a deleted cluster share its risk.
        let is_alone = action == Action::Delete && plan.action != Action::Delete;
        let risk = is_alone.then_some(consequences.addon);
        plan.addons.insert(name.clone(), AddonPlan { action, risk, files });
    }
    plan
}

/// Returns what happens to a whole of which `published` files are published.
fn action_of(changes: &[&FileChange], published: usize) -> Action {
    let are_all = |action| changes.iter().all(|change| change.action() == action);
    if published == 0 && are_all(Action::Create) {
        Action::Create
    } else if changes.len() >= published && are_all(Action::Delete) {
        Action::Delete
    } else {
        Action::Update
    }
}

fn file_plan(
    change: &FileChange,
    consequences: risk::Consequences,
    own: &OwnFacts,
    memo: &mut compare::read::Memo,
) -> FilePlan {
    let (old, new) = (change.old.as_deref(), change.new.as_deref());
    let mut plan = FilePlan {
        path: change.path.clone(),
        action: change.action(),
        leaves: 0,
        risks: Vec::new(),
        changes: Vec::new(),
        applications: Vec::new(),
        content: digest::of_content(old, new),
    };
    if let (Some(old), Some(new)) = (old, new) {
        plan.changes = changes_of(old, new, own, memo);
        plan.applications = applications_of(old, new);
        return plan;
    }
    let documents = compare::whole(old.or(new).unwrap_or_default(), plan.action, memo);
    plan.leaves = documents.iter().map(compare::count_leaves).sum();
    plan.risks.extend((plan.action == Action::Delete).then_some(consequences.file));
    plan.risks.extend(risk::of_file(&documents, plan.action, own));
    plan
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

#[cfg(test)]
mod tests;
