//! The seal of a review: which plans it showed, so that a later run knows that a change was read before its merge.
//!
//! It stands in the verdict on the pull request's head, where only those who may push can write, and not in the comment,
//! which anyone could imitate. It names plans and not commits: squashed, rebased or merged, what is rendered is the same.

use std::collections::BTreeMap;

use renderer::plan::Plan;

use super::REVIEW;
use super::examine::Examination;
use crate::forge::ForgeError;
use crate::forge::github::GitHubForge;
use crate::git::Revision;
use crate::run::group::Group;

/// How many hexadecimal digits of a plan's digest a seal holds: 128 bits, and two of them fit into a commit status.
const DIGITS: usize = 32;

/// What was read before a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Read {
    /// The pull request.
    pub number: u64,
    plans: BTreeMap<String, String>,
}

impl Read {
    /// Returns whether this very plan of a group was shown: the same files, with the same bytes before and after.
    pub fn has(&self, group: Group, plan: &Plan) -> bool {
        self.plans.get(group.as_str()) == Some(&digits(plan))
    }
}

/// Returns what was read of the change that `source` brought onto `base`.
pub(in crate::run) fn read_before(
    forge: &GitHubForge<'_>,
    source: Revision,
    base: &str,
) -> Result<Option<Read>, ForgeError> {
    for (number, head) in forge.merged_with(source, base)? {
        if let Some(seal) = forge.seal(head, REVIEW)? {
            return Ok(Some(Read { number, plans: parse(&seal) }));
        }
    }
    Ok(None)
}

/// Returns the seal of what was found.
pub(super) fn write(examination: &Examination) -> String {
    let Examination::Compared { groups, .. } = examination else { return String::new() };
    groups.iter().map(|(group, plan)| format!("{group}={}", digits(plan))).collect::<Vec<_>>().join(" ")
}

fn parse(seal: &str) -> BTreeMap<String, String> {
    let pairs = seal.split(' ').filter_map(|word| word.split_once('='));
    pairs.map(|(group, digest)| (group.to_owned(), digest.to_owned())).collect()
}

fn digits(plan: &Plan) -> String {
    let mut digest = plan.digest().to_string();
    digest.truncate(DIGITS);
    digest
}
