//! Changes that were reviewed before their merge: known again when they are proposed, and merged if that is wanted.
//!
//! Which plans a review showed is attested by the verdict on the pull request's head, which only accounts
//! that may push can write, and not in the comment, which anyone could imitate. It names plans and not
//! commits: squashed, rebased or merged, what is rendered is the same.

use renderer::path::GroupName;
use renderer::plan::Plan;

use super::changes::GroupPlan;
use super::context::Context;
use super::report::{GroupReport, Published};
use crate::forge::{Forge, ForgeError, Obstacle, Proposed, REVIEW};
use crate::git::Revision;

/// How many hexadecimal digits of a plan's digest are attested: 128 bits.
const DIGITS: usize = 32;
/// How long an attestation is at most: two of them fit into a commit status, with some words of the title.
const MAX_LENGTH: usize = 110;

/// What was reviewed before a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reviewed {
    /// The pull request.
    pub number: u64,
    attestation: String,
}

impl Reviewed {
    /// Returns whether this very plan of a group was shown: the same files, with the same bytes before and after.
    pub(super) fn has(&self, planned: &GroupPlan) -> bool {
        let plan = attested(&planned.group, &planned.plan);
        self.attestation.split(' ').any(|word| word == plan)
    }
}

/// Returns what was reviewed of the change that `source` brought onto the base branch.
pub(super) fn find(run: &Context<'_>, source: Revision) -> Result<Option<Reviewed>, ForgeError> {
    for (number, head) in run.forge.merged_with(source, &run.settings.base)? {
        if let Some(attestation) = run.forge.attestation(head, REVIEW)? {
            return Ok(Some(Reviewed { number, attestation }));
        }
    }
    Ok(None)
}

/// Returns the attestation of a review that showed these plans; those of later groups have no room in it, and are read
/// again after the merge.
pub(super) fn attest(plans: &[GroupPlan]) -> String {
    let mut attestation = String::new();
    for word in plans.iter().map(|planned| attested(&planned.group, &planned.plan)) {
        if attestation.len() + 1 + word.len() > MAX_LENGTH {
            break;
        }
        attestation.push_str(if attestation.is_empty() { "" } else { " " });
        attestation.push_str(&word);
    }
    attestation
}

fn attested(group: &GroupName, plan: &Plan) -> String {
    let mut digest = plan.digest().to_string();
    digest.truncate(DIGITS);
    format!("{group}={digest}")
}

/// Merges what was reviewed before, is released and has nothing in its way, and returns what still waits for that.
pub(super) fn merge(
    run: &Context<'_>,
    groups: &[GroupReport],
    is_released: impl Fn(u64) -> bool,
) -> Result<Vec<u64>, ForgeError> {
    let mut waiting = Vec::new();
    let groups = groups.iter().filter(|group| run.settings.merge_reviewed && group.reviewed.is_some());
    for group in groups {
        let Published::Proposed(proposed) = &group.done else { continue };
        let (number, ready) = (proposed.number(), group.ready);
        match (proposed, ready) {
            (Proposed::Unchanged(_), None) => continue,
            (Proposed::Unchanged(_), Some(head))
                if is_released(number) && run.forge.obstacle(number)? == Obstacle::Nothing =>
            {
                run.forge.merge_if_allowed(number, head)?;
            }
            _ => {}
        }
        waiting.push(number);
    }
    Ok(waiting)
}

/// Returns those of the pull requests that wait to be merged which have to stand on the newest base for that,
/// by a rule of the base branch.
pub(super) fn behind(forge: &dyn Forge, waiting: &[u64]) -> Result<Vec<u64>, ForgeError> {
    let mut behind = Vec::new();
    for number in waiting {
        if forge.obstacle(*number)? == Obstacle::Behind {
            behind.push(*number);
        }
    }
    Ok(behind)
}

/// Returns whether something that waits to be merged has nothing in its way any more but what a run can change.
pub(super) fn may_merge(forge: &dyn Forge, waiting: &[u64]) -> Result<bool, ForgeError> {
    for number in waiting {
        if forge.obstacle(*number)? != Obstacle::Other {
            return Ok(true);
        }
    }
    Ok(false)
}
