//! The deletion budget: how much of what is published one plan may delete without being allowed by name.
//!
//! An empty inventory, a broken template or a wrong folder all look like intended deletions; the budget is what
//! distinguishes them. Knows nothing of what Argo CD will do with a deletion.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::Digest;
use super::model::{Action, AddonPlan, ClusterPlan, FilePlan, Plan, Totals};
use crate::path::ClusterName;
use crate::plural::counted;

/// How much may be deleted: a share of what is published, or a few if that is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The share in percent.
    pub percent: usize,
    /// What may be deleted however small the share is, so that a small fleet can be worked on.
    pub floor: usize,
}

/// The allowances of a plan.
///
/// A deletion counts once, at the highest level: the add-ons of a deleted cluster are not counted again, nor are the
/// files of a deleted add-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Of the clusters.
    pub clusters: Allowance,
    /// Of the add-ons, each counted on each cluster.
    pub addons: Allowance,
    /// Of the objects: a deleted file, or an object that goes from a file that stays; a share of the published files.
    pub objects: Allowance,
}

/// In a fleet, a wave may retire one in fifty. In a small one each cluster is a large share of what there is, and a file
/// that is renamed looks like one that goes: that is a decision to be named.
const CLUSTERS: Allowance = Allowance { percent: 2, floor: 0 };
/// One add-on may go from both clusters of the smallest platform, or from one wave of a fleet. An add-on that
/// goes from every cluster of a fleet of 30 add-ons is 3 % of all: that is a decision to be named.
const ADDONS: Allowance = Allowance { percent: 2, floor: 2 };
/// An add-on's manifests may be rewritten as a whole (the largest of the platform has fewer than 20 files).
const OBJECTS: Allowance = Allowance { percent: 5, floor: 20 };

impl Default for Budget {
    fn default() -> Self {
        Self { clusters: CLUSTERS, addons: ADDONS, objects: OBJECTS }
    }
}

impl Allowance {
    /// Returns how many of `total` may be deleted.
    pub(crate) fn of(self, total: usize) -> usize {
        (total * self.percent / 100).max(self.floor)
    }
}

/// What an excess is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Nothing would be left.
    Everything,
    /// Clusters.
    Clusters,
    /// Add-ons.
    Addons,
    /// Objects.
    Objects,
}

/// A deletion beyond the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Excess {
    /// What would be deleted.
    pub scope: Scope,
    /// How many would be.
    pub deleted: usize,
    /// How many may be.
    pub allowed: usize,
    /// Of how many.
    pub published: usize,
}

/// A plan that deletes too much.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("plan `{}` deletes more than the budget allows: {}", .digest.short(), list(.excesses))]
pub struct Refusal {
    /// The plan.
    pub digest: Digest,
    /// What is too much; never empty.
    pub excesses: Vec<Excess>,
    /// The clusters that it would delete since they are described under another name, with that.
    pub renamed: BTreeMap<ClusterName, ClusterName>,
}

impl Refusal {
    /// Returns the way out.
    #[must_use]
    pub fn hint(&self) -> String {
        let renamed = self.renamed.iter().map(|(old, new)| {
            format!(
                "`{old}` is described as `{new}` now: a rename is safe if the old name goes first, and its Applications \
                 with `fleetwright prune`; "
            )
        });
        let renamed: String = renamed.collect();
        format!(
            "{renamed}if this is meant, allow this one plan with `--allow-deletions {}`",
            self.digest.short()
        )
    }
}

fn list(excesses: &[Excess]) -> String {
    excesses.iter().map(Excess::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, deleted, allowed, published } = self;
        let noun = match scope {
            Scope::Everything => return write!(f, "everything ({})", counted(*published, "file")),
            Scope::Clusters => "cluster",
            Scope::Addons => "add-on",
            Scope::Objects => "object",
        };
        write!(f, "{deleted} of {} ({allowed} allowed)", counted(*published, noun))
    }
}

impl Plan {
    /// Refuses the plan if it deletes more than `budget` allows and `allowed` does not name its digest.
    pub fn refuse(&self, budget: &Budget, allowed: Option<&str>) -> Result<(), Refusal> {
        let excesses = self.exceeds(budget);
        if excesses.is_empty() {
            return Ok(());
        }
        let digest = self.digest();
        let is_allowed = allowed.is_some_and(|prefix| digest.matches(prefix));
        if is_allowed {
            return Ok(());
        }
        let renamed = self.renamed().map(|(old, new)| (old.clone(), new.clone())).collect();
        Err(Refusal { digest, excesses, renamed })
    }

    /// Returns what the plan deletes beyond what `budget` allows; empty if it may be applied.
    pub(crate) fn exceeds(&self, budget: &Budget) -> Vec<Excess> {
        let Plan { deleted, published, .. } = self;
        let everything = (self.remaining_files == 0 && published.files > 0).then_some(Excess {
            scope: Scope::Everything,
            deleted: published.files,
            allowed: 0,
            published: published.files,
        });
        let shares = [
            (Scope::Clusters, deleted.clusters, published.clusters, budget.clusters),
            (Scope::Addons, deleted.addons, published.addons, budget.addons),
            (Scope::Objects, deleted.files, published.files, budget.objects),
        ];
        let beyond = shares.into_iter().filter_map(|(scope, deleted, published, allowance)| {
            let allowed = allowance.of(published);
            (deleted > allowed).then_some(Excess { scope, deleted, allowed, published })
        });
        everything.into_iter().chain(beyond).collect()
    }
}

/// Counts each deletion once, at the highest level where it happens.
pub(super) fn count_deletions(clusters: &BTreeMap<ClusterName, ClusterPlan>) -> Totals {
    let is_kept = |cluster: &&ClusterPlan| cluster.action != Action::Delete;
    let kept = || clusters.values().filter(is_kept);
    let addons = || kept().flat_map(|cluster| cluster.addons.values());
    let is_gone = |addon: &&AddonPlan| addon.action == Action::Delete;
    let own = kept().flat_map(|cluster| &cluster.files);
    let files = addons().filter(|addon| !is_gone(addon)).flat_map(|addon| &addon.files).chain(own);
    Totals {
        clusters: clusters.len() - kept().count(),
        addons: addons().filter(is_gone).count(),
        files: files.map(objects_gone).sum(),
    }
}

fn objects_gone(file: &FilePlan) -> usize {
    match file.action {
        Action::Create => 0,
        Action::Delete => 1,
        Action::Update => {
            file.changes.iter().filter(|change| change.path.is_empty() && change.new.is_none()).count()
        }
    }
}
