//! What all stages of a run work with, and what our branches are called.

use renderer::path::GroupName;
use renderer::plan::Budget;

use super::effects::Objects;
use super::worker::WorkerSettings;
use crate::error::CommandError;
use crate::events::Cancel;
use crate::forge::Forge;
use crate::git::{Repository, Revision, Upstream};
use crate::http::Url;
use crate::live::FollowedHubs;

/// How the names of all head branches begin. Only those of the groups are ours; the rest below it is reserved.
pub const BRANCH_PREFIX: &str = "fleetwright/";
/// How the branches of rollbacks begin: below no name of ours, since their pull requests are reviewed as those of people
/// are.
pub(super) const ROLLBACK_PREFIX: &str = "rollback/";

/// The name of the base branch until it is known which one HEAD is on: git gives it to no branch.
pub const UNKNOWN_BASE: &str = "HEAD";

/// What a run may do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base branch.
    pub base: String,
    /// Whether no base branch was named, so that it is the one that HEAD is on, also when that changes.
    pub follows_head: bool,
    /// How much a plan may delete without approval.
    pub budget: Budget,
    /// The plan that may delete more: its digest, or the beginning of it.
    pub allow_deletions: Option<String>,
    /// Whether a pull request of ours is merged whose change was read before, once nothing is in its way.
    pub merge_reviewed: bool,
    /// Whether pages for browsers are made of reviews and of the fleet.
    pub makes_pages: bool,
    /// Where browsers find them, if pull requests are to lead there.
    pub pages_url: Option<Url>,
    /// Whether it is shown what changes do to what runs.
    pub objects: Objects,
    /// What renders, and within which limits.
    pub worker: WorkerSettings,
}

/// What all stages of a run work with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub upstream: &'a Upstream,
    pub forge: &'a dyn Forge,
    pub settings: &'a Settings,
    /// The Argo CD that is asked what became of groups, if one is.
    pub hubs: Option<&'a FollowedHubs>,
    pub cancel: &'a Cancel,
}

/// The base branch as a run found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    /// The tip of the branch.
    pub tip: Revision,
    /// The commit that made the inputs what they are.
    pub source: Revision,
}

impl<'a> Context<'a> {
    pub const fn repository(&self) -> &'a Repository {
        self.upstream.repository()
    }
}

/// Lets `log` report a failure that only a person can end, and goes on without a result: it must keep nothing else
/// waiting. What is worth another try is passed on.
pub(super) fn unless_lasting<T>(
    result: Result<T, CommandError>,
    log: impl FnOnce(&CommandError),
) -> Result<Option<T>, CommandError> {
    match result {
        Err(error) if !error.is_transient() => {
            log(&error);
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// Returns the head branch of a group: no other branch is ever read as ours, written or deleted.
pub(super) fn head_of(group: &GroupName) -> String {
    format!("{BRANCH_PREFIX}{group}")
}
