//! Profiles: another shape of the same fleet, laid over its facts when it is asked for.
//!
//! What is wrong in one by itself is found whether it is asked for or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fact::Fact;
use super::files::{PROFILES, parse_file};
use super::schemas::PROFILE_SCHEMA;
use super::typed::violation_problem;
use crate::key_path::{Step, key};
use crate::path::{ClusterName, ProfileName, RepoPath};
use crate::problem::{Problem, hint_at_near};
use crate::snapshot::{Snapshot, SourceId};
use crate::tree::Tree;

/// The profile that was asked for.
#[derive(Debug)]
pub(super) struct Profile {
    pub file: RepoPath,
    pub id: SourceId,
    facts: Fact,
}

impl Profile {
    /// Returns what is laid over the facts that all clusters share.
    pub(super) fn fleet(&self) -> Option<&Fact> {
        self.facts.at(&[key("fleet")])
    }

    /// Returns what is laid over the facts of a cluster, in this order.
    pub(super) fn cluster(&self, name: &ClusterName) -> impl Iterator<Item = &Fact> {
        let own = self.facts.at(&[key("clusters"), key(name.as_str())]);
        self.facts.at(&[key("allClusters")]).into_iter().chain(own)
    }
}

/// Returns the names of all profiles.
pub fn profile_names(snapshot: &Snapshot) -> impl Iterator<Item = ProfileName> {
    snapshot.below(PROFILES).filter_map(|(path, _)| profile_name(path))
}

/// Returns the profile that a file is.
fn profile_name(path: &RepoPath) -> Option<ProfileName> {
    ProfileName::parse(path.below(PROFILES)?.strip_suffix(".yaml")?).ok()
}

/// Reads all profiles, with every problem in them, and returns the one that was asked for. `clusters` are the names of all
/// that there are, if they are known.
pub(super) fn read(
    snapshot: &Snapshot,
    clusters: Option<&BTreeSet<&str>>,
) -> (Option<Profile>, Vec<Problem>) {
    let (mut chosen, mut problems) = (None, Vec::new());
    for (path, source) in snapshot.below(PROFILES) {
        let Some(name) = profile_name(path) else { continue };
        match parse_file(&Arc::new(path.clone()), source).and_then(|facts| judged(facts, clusters)) {
            Ok(facts) if snapshot.profile() == Some(&name) => {
                chosen = Some(Profile { file: path.clone(), id: source.id, facts });
            }
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
    }
    (chosen, problems)
}

/// Returns a profile if it fits the schema and is about clusters that there are, as far as they are known.
fn judged(facts: Fact, clusters: Option<&BTreeSet<&str>>) -> Result<Fact, Vec<Problem>> {
    let violations = PROFILE_SCHEMA.violations(&facts.to_json());
    if !violations.is_empty() {
        let problems = violations.into_iter().map(|violation| violation_problem(violation, &facts));
        return Err(problems.map(|problem| problem.found_by("schema")).collect());
    }
    let Some(clusters) = clusters else { return Ok(facts) };
    let unknown = |(step, _): (Step<&str>, &Fact)| {
        let name = step.key().copied().filter(|name| !clusters.contains(name))?;
        let place = facts.key_place(&[key("clusters"), key(name)]);
        let hint = hint_at_near(name, clusters.iter().copied(), || {
            "a profile changes clusters that have a file of their own".to_owned()
        });
        Some(Problem::at(place, format!("there is no cluster `{name}`")).hint(hint).found_by("files"))
    };
    let named = facts.at(&[key("clusters")]);
    let problems: Vec<_> = named.into_iter().flat_map(Tree::children).filter_map(unknown).collect();
    if problems.is_empty() { Ok(facts) } else { Err(problems) }
}
