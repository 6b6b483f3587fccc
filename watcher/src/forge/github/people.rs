//! The open pull requests: which there are, where they come from, what they touch, and what a maintainer asked for.

use std::collections::BTreeSet;

use tracing::info;

use super::client::Call;
use super::wire;
use super::{GitHubError, GitHubFault, GitHubForge};
use crate::forge::{BRANCHES, ForgeError};
use crate::git::Revision;
use crate::percent::encoded;

/// How many files GitHub lists of a comparison; beyond them it says nothing of the others (GitHub Docs, "Compare two
/// commits").
const MAX_COMPARED_FILES: usize = 300;

/// An open pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPull {
    /// The number.
    pub number: u64,
    /// The name of its head branch, in whatever repository that is.
    pub branch: String,
    /// The tip of its head branch.
    pub head: Revision,
    /// Where its head branch is.
    pub origin: Origin,
    /// Those of its labels that were asked about.
    pub labels: BTreeSet<String>,
    /// Its page.
    pub url: String,
}

/// Where the head branch of a pull request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the repository itself: whoever pushed it may push.
    Own,
    /// In a fork: anyone may have written it.
    Fork {
        /// When anything was last pushed to the fork, as GitHub writes moments; nothing if the fork is gone, or if no label
        /// makes it matter.
        pushed_at: Option<String>,
    },
}

/// What is in the way of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing: no rule, no status and no check.
    Nothing,
    /// The head does not stand on the newest commit of the base branch, which has a rule that it must.
    Behind,
    /// Anything else, or the pull request is not open.
    Other,
}

/// Whether a label is a word about the head as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// It was set after the last push.
    SincePush,
    /// There may have been a push since it was set.
    BeforePush,
}

impl GitHubForge<'_> {
    /// Returns the open pull requests to `base`, each with those of `labels` that it has.
    pub fn open_pulls(&self, base: &str, labels: &[&str]) -> Result<Vec<OpenPull>, ForgeError> {
        let route = self.route("/pulls?state=open&per_page=100");
        let mut pulls: Vec<wire::Pull> = self.client.list(Call::get("list the pull requests", route))?;
        pulls.retain(|pull| pull.base.branch == base);
        pulls.sort_by_key(|pull| pull.number);
        pulls.iter().map(|pull| self.open_pull(pull, labels)).collect()
    }

    fn open_pull(&self, pull: &wire::Pull, labels: &[&str]) -> Result<OpenPull, ForgeError> {
        let number = pull.number;
        let unreadable = |reason: String| ForgeError::Unreadable { number, reason };
        let head = Revision::parse(&pull.head.sha).map_err(|error| unreadable(error.to_string()))?;
        let names = pull.labels.iter().map(|label| label.name.clone());
        let labels: BTreeSet<String> = names.filter(|name| labels.contains(&name.as_str())).collect();
        // What else is pushed to a fork is no news, unless a label has to be younger than it.
        let pushed_at = || pull.head.repo.as_ref().filter(|_| !labels.is_empty())?.pushed_at.clone();
        let origin = if self.is_own(pull) { Origin::Own } else { Origin::Fork { pushed_at: pushed_at() } };
        let (branch, url) = (pull.head.branch.clone(), pull.html_url.clone());
        Ok(OpenPull { number, branch, head, origin, labels, url })
    }

    /// Returns when the branch of a pull request was last pushed to, as GitHub writes moments; nothing if GitHub does not
    /// say so of the head that is seen.
    pub fn pushed_at(&self, pull: &OpenPull) -> Result<Option<String>, ForgeError> {
        if let Origin::Fork { pushed_at } = &pull.origin {
            return Ok(pushed_at.clone());
        }
        let name = format!("{BRANCHES}{}", pull.branch);
        let route = self.route(&format!("/activity?ref={}&per_page=1", encoded(&name)));
        let moves: Vec<wire::Activity> = match self.client.call(&Call::get("read what was pushed", route)) {
            Err(GitHubError { fault: GitHubFault::NotFound, .. }) => return Ok(None),
            result => result?,
        };
        let newest = moves.into_iter().next();
        Ok(newest
            .filter(|newest| newest.name == name && newest.after == pull.head.to_string())
            .map(|newest| newest.timestamp))
    }

    /// Returns the paths that a head changes since it left `base`, old names included; nothing if GitHub does not list all
    /// of them.
    pub fn changed_paths(&self, base: Revision, head: Revision) -> Result<Option<Vec<String>>, ForgeError> {
        let route = self.route(&format!("/compare/{base}...{head}?per_page=1"));
        let compared: wire::Comparison = match self.client.call(&Call::get("compare two commits", route)) {
            Err(GitHubError { fault: GitHubFault::NotFound | GitHubFault::Invalid { .. }, .. }) => {
                return Ok(None);
            }
            result => result?,
        };
        let files = compared.files.filter(|files| files.len() < MAX_COMPARED_FILES);
        let names = |file: wire::ChangedFile| [Some(file.filename), file.previous_filename];
        Ok(files.map(|files| files.into_iter().flat_map(names).flatten().collect()))
    }

    /// Returns whether `label` was set on a pull request after `pushed_at`.
    ///
    /// Both moments are GitHub's, to the second. A push in the second of the label may have come after it.
    pub fn labelled(&self, number: u64, label: &str, pushed_at: &str) -> Result<Labelled, ForgeError> {
        let route = self.route(&format!("/issues/{number}/events?per_page=100"));
        let events: Vec<wire::Event> =
            self.client.list(Call::get("read what happened to a pull request", route))?;
        let set = events.iter().rfind(|event| {
            event.kind == "labeled" && event.label.as_ref().is_some_and(|set| set.name == label)
        });
        Ok(match set {
            Some(event) if is_after(&event.created_at, pushed_at) => Labelled::SincePush,
            _ => Labelled::BeforePush,
        })
    }

    /// Returns the head of each pull request that brought `revision` onto `base`, however it was merged, with its number.
    pub fn merged_with(&self, revision: Revision, base: &str) -> Result<Vec<(u64, Revision)>, ForgeError> {
        let route = self.route(&format!("/commits/{revision}/pulls?per_page=100"));
        let call = Call::get("find the pull request of a commit", route);
        let mut pulls: Vec<wire::Pull> = match self.client.list(call) {
            // The branch was replaced meanwhile, and the commit is no longer there.
            Err(GitHubError { fault: GitHubFault::NotFound | GitHubFault::Invalid { .. }, .. }) => {
                return Ok(Vec::new());
            }
            result => result?,
        };
        pulls.retain(|pull| pull.merged_at.is_some() && pull.base.branch == base);
        let head = |pull: &wire::Pull| Some((pull.number, Revision::parse(&pull.head.sha).ok()?));
        Ok(pulls.iter().filter_map(head).collect())
    }

    /// Returns what is in the way of the merge of an open pull request.
    pub fn obstacle(&self, number: u64) -> Result<Obstacle, ForgeError> {
        let pull = self.pull(number)?;
        Ok(match pull.mergeable_state.as_deref().filter(|_| pull.state == "open") {
            Some("clean") => Obstacle::Nothing,
            Some("behind") => Obstacle::Behind,
            _ => Obstacle::Other,
        })
    }

    /// Returns the page of a pull request.
    pub fn page_of(&self, number: u64) -> Result<String, ForgeError> {
        Ok(self.pull(number)?.html_url)
    }

    /// Merges an open pull request whose head is `head` still, unless a rule of its branch is in the way.
    pub fn merge_if_allowed(&self, number: u64, head: Revision) -> Result<(), ForgeError> {
        match self.merge(number, head) {
            Ok(merge) => {
                info!(pull_request.number = number, %merge, "merged pull request #{number}, as it was read before");
            }
            // GitHub knows better, or someone was faster: the next look sees what became of it.
            Err(
                error @ (ForgeError::GitHub(GitHubError { fault: GitHubFault::NotMergeable { .. }, .. })
                | ForgeError::NotOpen { .. }
                | ForgeError::HeadMoved { .. }),
            ) => {
                info!(pull_request.number = number, %error, "left pull request #{number} unmerged");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the ref under which GitHub keeps the head of a pull request, wherever its branch is.
    #[must_use]
    pub fn head_ref(number: u64) -> String {
        format!("refs/pull/{number}/head")
    }
}

/// Compares two moments such as `2026-01-02T03:04:05Z`, which sort as text; nothing is after what cannot be read.
fn is_after(one: &str, two: &str) -> bool {
    let is_moment = |text: &str| text.len() == 20 && text.ends_with('Z');
    is_moment(one) && is_moment(two) && one > two
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_second_is_after() {
        let moment = "2026-01-02T03:04:05Z";
        assert!(is_after("2026-01-02T03:04:06Z", moment));
        assert!(!is_after(moment, moment), "a push in the same second may have come after the label");
        assert!(!is_after("2025-12-31T23:59:59Z", moment));
        assert!(!is_after("2026-01-02T03:04:06+01:00", moment), "another notation does not sort as text");
        assert!(!is_after("", moment) && !is_after(moment, ""));
    }
}
