//! Answers to checks that guess: which of them are to something that was found, and which are to nothing any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Accept, Addon, Catalog, FINAL_CHECKS};
use crate::inventory::key;
use crate::key_path::Step;
use crate::path::{AddonName, ClusterName};
use crate::problem::Problem;

use super::rendered::{Accepted, Answers, RenderedCluster};

/// Returns every answer that is to something, or a problem for each that is to nothing.
///
/// Of an add-on that runs nowhere, and of a check that was left out, nothing is known.
pub(super) fn accepted<'a>(
    catalog: &Catalog,
    clusters: impl Iterator<Item = (&'a RenderedCluster, Answers)>,
) -> Result<Vec<Accepted>, Vec<Problem>> {
    if catalog.addons.values().all(|addon| addon.facts.accept.is_empty()) {
        return Ok(Vec::new());
    }
    let mut running = BTreeSet::new();
    let mut found: BTreeMap<(AddonName, usize), BTreeSet<ClusterName>> = BTreeMap::new();
    for (cluster, answers) in clusters {
        let of_units = cluster.units.iter().filter_map(|unit| Some((unit.addon.as_ref()?, &unit.answers)));
        let of_units = of_units.flat_map(|(addon, answers)| answers.iter().map(|it| (addon.clone(), *it)));
        for answer in of_units.chain(answers) {
            found.entry(answer).or_default().insert(cluster.name.clone());
        }
        running.extend(cluster.addons());
    }
    let (mut accepted, mut problems) = (Vec::new(), Vec::new());
    for (name, addon) in catalog.addons.iter().filter(|(name, _)| running.contains(name)) {
        for (index, accept) in addon.facts.accept.iter().enumerate() {
            match found.remove(&(name.clone(), index)) {
                Some(clusters) => accepted.push(of(addon, index, accept, clusters)),
                None if accept.check == "keys" && addon.locked.is_empty() => {}
                None if FINAL_CHECKS.contains(&&*accept.check) => {}
                None => problems.push(stale(addon, index, accept)),
            }
        }
    }
    if problems.is_empty() { Ok(accepted) } else { Err(problems) }
}

fn of(addon: &Addon, index: usize, accept: &Accept, clusters: BTreeSet<ClusterName>) -> Accepted {
    Accepted {
        addon: addon.name.clone(),
        check: accept.check.clone(),
        path: accept.path.clone(),
        reason: accept.reason.clone(),
        place: addon.origin.place(&[key("accept"), Step::Index(index)]),
        clusters,
    }
}

fn stale(addon: &Addon, index: usize, accept: &Accept) -> Problem {
    let place = addon.origin.place(&[key("accept"), Step::Index(index), key("path")]);
    let message = format!("the check `{}` finds nothing at `{}`", accept.check, accept.path);
    Problem::at(place, message).found_by("accept").hint("remove this answer, or correct its path")
}
