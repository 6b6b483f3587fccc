//! Pull requests: what we propose, where it stands, and what others propose.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::git::Revision;

/// How the names of refs begin that are branches.
pub(super) const BRANCHES: &str = "refs/heads/";
/// The label of a pull request whose change was read before its merge. Only Fleetwright sets it, so it takes
/// it off elsewhere.
pub const REVIEWED_LABEL: &str = "fleetwright: reviewed";

/// A request to merge a head branch into a base branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// The number, counted from 1 in each repository.
    pub number: u64,
    /// Where it stands.
    pub state: PullState,
    /// What it asks for.
    #[serde(flatten)]
    pub proposal: Proposal,
}

/// What a pull request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The title, one line.
    pub title: String,
    /// The group of clusters that it is for.
    pub group: String,
    /// The digest of the plan, as short as people read it.
    #[serde(default)]
    pub plan: String,
    /// The branch that it wants to change.
    pub base: String,
    /// The revision of the base branch that the head was built on.
    pub base_revision: Revision,
    /// The branch with the change.
    pub head: String,
    /// The revision of the head branch.
    pub head_revision: Revision,
    /// Labels in order.
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// What a person reads before merging, in Markdown.
    #[serde(skip_deserializing, default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// Where a pull request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum PullState {
    /// It waits.
    Open,
    /// It is part of the base branch.
    Merged {
        /// The merge commit.
        revision: Revision,
    },
    /// It was given up.
    Closed {
        /// Why.
        reason: String,
    },
}

impl PullState {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged { .. } => "merged",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// A pull request was opened.
    Opened(u64),
    /// The open pull request of the head branch was updated.
    Updated(u64),
    /// The open pull request is as proposed.
    Unchanged(u64),
}

impl Proposed {
    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Updated(_) => "updated",
            Self::Unchanged(_) => "unchanged",
        }
    }

    /// Returns the number of the pull request.
    pub(crate) const fn number(self) -> u64 {
        let (Self::Opened(number) | Self::Updated(number) | Self::Unchanged(number)) = self;
        number
    }
}

/// A head that is proposed to the base branch: of an open pull request, or of a merge queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedHead {
    /// The number of the pull request; none for a head of a merge queue.
    pub number: Option<u64>,
    /// The name of its branch, in whatever repository that is.
    pub branch: String,
    /// The tip of its branch.
    pub head: Revision,
    /// Where its branch is.
    pub origin: Origin,
    /// Those of its labels that were asked about.
    pub labels: BTreeSet<String>,
    /// Its page.
    pub url: Option<String>,
}

impl fmt::Display for ProposedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "pull request #{number}"),
            None => write!(f, "`{}`", self.branch),
        }
    }
}

/// Where the head branch of a pull request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the repository itself: only accounts that may push can have written it.
    Own,
    /// In a fork: anyone may have written it.
    Fork {
        /// When anything was last pushed to the fork, as GitHub writes moments; nothing if the fork is gone,
        /// or if no label makes it matter.
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
