//! Merge queues: the heads that GitHub makes of what waits to be merged, each on a branch of its own.
//!
//! Only the ref is believed, never the name behind it: what a head holds is compared with the base branch itself.

use std::collections::BTreeMap;

use super::Place;
use crate::git::Revision;

/// How many heads of a queue are judged: a queue builds no more of them at a time.
const MAX_GROUPS: usize = 100;

/// A head of a merge queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct MergeGroup {
    /// The name of its branch.
    pub branch: String,
    /// What would become the tip of the base branch.
    pub head: Revision,
}

impl MergeGroup {
    /// Returns those of the queue of `base`.
    pub fn of(refs: &BTreeMap<String, Revision>, base: &str) -> Vec<Self> {
        let groups = refs.iter().filter(|(name, _)| is_in_queue(name, base)).take(MAX_GROUPS);
        groups
            .map(|(name, head)| Self { branch: name["refs/heads/".len()..].to_owned(), head: *head })
            .collect()
    }

    pub(super) fn place(&self) -> Place {
        Place::Queue(self.branch.clone())
    }
}

/// Returns where GitHub keeps the heads of the merge queue of a base branch (GitHub Docs, "Managing a merge queue").
pub(in crate::run) fn queue_of(base: &str) -> String {
    format!("gh-readonly-queue/{base}/")
}

/// Returns whether a ref is in the queue of a base branch.
fn is_in_queue(name: &str, base: &str) -> bool {
    name.strip_prefix("refs/heads/").is_some_and(|branch| branch.starts_with(&queue_of(base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_the_refs_below_its_base_and_no_others() {
        let names = [
            "refs/heads/gh-readonly-queue/main/pr-1-0123",
            "refs/heads/gh-readonly-queue/main2/pr-1-0123",
            "refs/heads/gh-readonly-queue/main",
            "refs/heads/main/pr-1-0123",
            "refs/tags/gh-readonly-queue/main/pr-1-0123",
        ];
        let head = Revision::parse(&"a".repeat(40)).unwrap();
        let refs = names.map(|name| (name.to_owned(), head)).into();
        let branch = "gh-readonly-queue/main/pr-1-0123".to_owned();
        assert_eq!(MergeGroup::of(&refs, "main"), [MergeGroup { branch, head }]);
    }
}
