//! Pull requests that people open: which there are, where they come from, and what a maintainer asked for.

use tracing::info;

use super::client::Call;
use super::wire;
use super::{GitHubError, GitHubFault, GitHubForge};
use crate::forge::ForgeError;
use crate::git::Revision;

/// An open pull request that people made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPull {
    /// The number.
    pub number: u64,
    /// The tip of its head branch.
    pub head: Revision,
    /// Where its head branch is.
    pub origin: Origin,
    /// Whether it has the label that was asked about.
    pub has_label: bool,
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
        /// When anything was last pushed to the fork, as GitHub writes moments; nothing if the fork is gone.
        pushed_at: Option<String>,
    },
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
    /// Returns the open pull requests to `base`, less those of our own branches, which start with `prefix`; each with
    /// whether it has `label`.
    pub fn open_of_people(&self, base: &str, prefix: &str, label: &str) -> Result<Vec<OpenPull>, ForgeError> {
        let route = self.route("/pulls?state=open&per_page=100");
        let mut pulls: Vec<wire::Pull> = self.client.list(Call::get("list the pull requests", route))?;
        pulls.retain(|pull| pull.base.branch == base);
        pulls.retain(|pull| !(self.is_own(pull) && pull.head.branch.starts_with(prefix)));
        pulls.sort_by_key(|pull| pull.number);
        pulls.iter().map(|pull| self.open_pull(pull, label)).collect()
    }

    fn open_pull(&self, pull: &wire::Pull, label: &str) -> Result<OpenPull, ForgeError> {
        let number = pull.number;
        let unreadable = |reason: String| ForgeError::Unreadable { number, reason };
        let head = Revision::parse(&pull.head.sha).map_err(|error| unreadable(error.to_string()))?;
        let pushed_at = || pull.head.repo.as_ref().and_then(|repository| repository.pushed_at.clone());
        let origin = if self.is_own(pull) { Origin::Own } else { Origin::Fork { pushed_at: pushed_at() } };
        let has_label = pull.labels.iter().any(|set| set.name == label);
        Ok(OpenPull { number, head, origin, has_label, url: pull.html_url.clone() })
    }

    /// Tells whether `label` was set on a pull request after `pushed_at`.
    ///
    /// Both moments are GitHub's, to the second. A push in the second of the label may have come after it.
    pub fn labelled(&self, number: u64, label: &str, pushed_at: &str) -> Result<Labelled, ForgeError> {
        let route = self.route(&format!("/issues/{number}/events?per_page=100"));
        let events: Vec<wire::Event> =
            self.client.list(Call::get("read what happened to a pull request", route))?;
        let set = events.iter().rfind(|event| {
            event.event == "labeled" && event.label.as_ref().is_some_and(|set| set.name == label)
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

    /// Returns whether an open pull request could be merged this moment: no rule, no status and no check is in its way.
    pub fn is_clean(&self, number: u64) -> Result<bool, ForgeError> {
        let pull = self.pull(number)?;
        Ok(pull.state == "open" && pull.mergeable_state.as_deref() == Some("clean"))
    }

    /// Merges an open pull request whose head is `head` still, unless a rule of its branch is in the way.
    pub fn merge_if_allowed(&self, number: u64, head: Revision) -> Result<(), ForgeError> {
        match self.merge(number, head) {
            Ok(merge) => {
                info!(pull_request.number = number, %merge, "merged pull request #{number}, as it was read before")
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
