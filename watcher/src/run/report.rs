//! What a run did, as people and machines read it.

use std::fmt;

use renderer::path::GroupName;
use renderer::plan::text::Line;
use renderer::plan::{Plan, Refusal, text};
use renderer::visible::visible;
use serde_json::{Value, json};

use super::effects::Shown;
use super::head::Head;
use crate::forge::{Proposed, StatusState};
use crate::git::{CommitSummary, Revision};

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The tip of the base branch.
    pub base: Revision,
    /// The commit that made the inputs what they are.
    pub source: Revision,
    /// What became of each group.
    pub groups: Vec<GroupReport>,
    /// The groups whose pull requests may not be merged yet, and why.
    pub held: Vec<(GroupName, Why)>,
}

/// What keeps a group from being merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What comes first is not merged.
    Unmerged,
    /// What comes first is not synced and healthy yet.
    Waiting,
    /// What comes first has not been healthy for long enough.
    Soaking,
    /// What comes first will not become synced and healthy by itself.
    Stopped,
    /// Argo CD cannot be asked.
    Unknown,
    /// A person paused it.
    Paused,
}

impl Why {
    /// Returns its name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unmerged => "unmerged",
            Self::Waiting => "waiting",
            Self::Soaking => "soaking",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::Paused => "paused",
        }
    }

    pub(super) const fn state(self) -> StatusState {
        if matches!(self, Self::Stopped) { StatusState::Failure } else { StatusState::Pending }
    }
}

/// What became of a group.
#[derive(Clone, Debug)]
pub struct GroupReport {
    /// The group.
    pub group: GroupName,
    /// What changes.
    pub plan: Plan,
    /// What was done about it.
    pub done: Published,
    /// The pull request in which this very plan was read before its merge.
    pub reviewed: Option<u64>,
    /// Whose the head branch is.
    pub head: Head,
    /// What the change does to what runs, as far as it was found out.
    pub(super) effects: Option<Shown>,
    /// The head of the pull request, if nothing has to be reported on it any more before it is merged.
    pub ready: Option<Revision>,
}

/// What was done about a plan.
#[derive(Clone, Debug)]
pub enum Published {
    /// There was nothing to do.
    Nothing,
    /// There is an open pull request.
    Proposed(Proposed),
    /// The pull request was closed, since nothing is left to change.
    Closed(u64),
    /// A person closed the pull request with this very plan; it stays closed until the plan changes.
    Declined(u64),
    /// The head branch is not at a commit of Fleetwright; it is left as it is.
    LeftAlone {
        /// The open pull request of the branch.
        number: Option<u64>,
        /// The branch.
        branch: String,
        /// The commit at its tip.
        commit: CommitSummary,
    },
    /// The plan deletes more than is allowed.
    Refused(Refusal),
}

impl GroupReport {
    /// Returns what the change does to what runs, for a page.
    pub(crate) fn effect_lines(&self) -> Vec<Line> {
        self.effects.as_ref().map(Shown::page_lines).unwrap_or_default()
    }

    /// Returns the pull request that is open for the group.
    pub(crate) const fn open_pull_request(&self) -> Option<u64> {
        match &self.done {
            Published::Proposed(_) | Published::LeftAlone { .. } => self.done.number(),
            _ => None,
        }
    }
}

impl Published {
    fn word(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Proposed(proposed) => proposed.word(),
            Self::Closed(_) => "closed",
            Self::Declined(_) => "declined",
            Self::LeftAlone { .. } => "leftAlone",
            Self::Refused(_) => "refused",
        }
    }

    const fn number(&self) -> Option<u64> {
        match self {
            Self::Proposed(proposed) => Some(proposed.number()),
            Self::Closed(number) | Self::Declined(number) => Some(*number),
            Self::LeftAlone { number, .. } => *number,
            Self::Nothing | Self::Refused(_) => None,
        }
    }
}

impl RunReport {
    /// Returns the first refusal, by which the run counts as failed.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.groups.iter().find_map(|group| match &group.done {
            Published::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// Returns whether the run opened or updated a pull request.
    pub(crate) fn has_moved_pull_requests(&self) -> bool {
        self.groups.iter().any(|group| {
            matches!(group.done, Published::Proposed(Proposed::Opened(_) | Proposed::Updated(_)))
        })
    }

    /// Returns the report for machines.
    pub(crate) fn to_json(&self) -> Value {
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|report| {
                let mut group =
                    json!({ "group": report.group, "outcome": report.done.word(), "plan": report.plan });
                if let Some(number) = report.done.number() {
                    group["pullRequest"] = number.into();
                }
                if let Some(number) = report.reviewed {
                    group["reviewedIn"] = number.into();
                }
                if let Published::LeftAlone { branch, commit, .. } = &report.done {
                    group["branch"] = branch.as_str().into();
                    group["commit"] = commit.revision.to_string().into();
                }
                group
            })
            .collect();
        json!({ "base": self.base.to_string(), "source": self.source.to_string(), "groups": groups })
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "base {} rendered from {}", self.base.short(), self.source.short())?;
        self.groups.iter().try_for_each(|group| writeln!(f, "{group}"))
    }
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} ", self.group.as_str())?;
        match &self.done {
            Published::Nothing => write!(f, "nothing to do"),
            Published::Proposed(proposed) => {
                let number = proposed.number();
                match proposed {
                    Proposed::Opened(_) => write!(f, "opened pull request #{number}")?,
                    Proposed::Updated(_) => write!(f, "updated pull request #{number}")?,
                    Proposed::Unchanged(_) => write!(f, "pull request #{number} is current")?,
                }
                write!(f, ": {}", text::headline(&self.plan))
            }
            Published::Closed(number) => {
                write!(f, "closed pull request #{number}: nothing is left to change")
            }
            Published::Declined(number) => {
                write!(
                    f,
                    "pull request #{number} was closed with this very change; it stays closed until the change differs"
                )
            }
            Published::LeftAlone { branch, commit, .. } => write!(
                f,
                "left `{branch}` alone: it is at {} `{}` by {}, which Fleetwright did not make; put the branch back to the \
                 commit before, or close its pull request and delete it",
                commit.revision.short(),
                visible(&commit.title),
                visible(&commit.author.name)
            ),
            Published::Refused(refusal) => write!(f, "{refusal}"),
        }
    }
}
