//! Whose the tip of a head branch is.

use crate::git::{CommitSummary, Revision};

/// Whose the tip of a head branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// There is no such branch.
    Absent,
    /// The very commit that the plan makes on top of `parent`, a commit of the base branch; merged into the
    /// base as it is now, it changes what the plan changes.
    Current {
        /// The commit.
        tip: Revision,
        /// What it stands on.
        parent: Revision,
    },
    /// Made by Fleetwright for another plan, or such a commit with the base branch merged into it: it may be replaced.
    Replaceable(Revision),
    /// Anything else: a person's. It is left alone.
    Persons(CommitSummary),
}

impl Head {
    /// Returns whether it is ours.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self, Self::Current { .. } | Self::Replaceable(_))
    }

    /// Returns the tip of the branch, if there is one.
    pub(crate) const fn tip(&self) -> Option<Revision> {
        match self {
            Self::Absent => None,
            Self::Current { tip, .. } | Self::Replaceable(tip) => Some(*tip),
            Self::Persons(commit) => Some(commit.revision),
        }
    }
}
