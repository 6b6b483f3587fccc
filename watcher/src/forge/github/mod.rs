//! Pull requests on GitHub.
//!
//! Everything is found by what it is: a pull request by its head branch, a comment by its hidden mark, a
//! status by its context. So nothing is made twice, whether a run was killed, an answer was lost after the
//! request was carried out, or another replica was faster. A branch's rules and required reviews are
//! reported, never worked around.
//!
//! Drafts count as open pull requests: GitHub takes no second one beside them. Pull requests from forks are not ours,
//! whatever their branches are called. GitHub asks the owners named in `CODEOWNERS` for their review by itself.

mod account;
mod checks;
mod client;
mod deliveries;
mod deployments;
mod marker;
mod pages;
mod people;
mod place;
mod pulls;
mod wire;

use http::Method;
use serde_json::json;
use tracing::info;

use super::pull::BRANCHES;
use super::{
    ForgeError, MADE_BY_US, OtherPulls as _, OwnPulls, Proposal, Proposed, PullRequest, PullState, REVIEW,
    StatusState, Verdicts as _,
};
use crate::git::{RefUpdate, Revision, Upstream};
use crate::percent::encoded;

pub use client::{Asker, Budget, Client, Clock, Cost, GitHubError, GitHubFault, GitHubFaultKind, Left};
pub use deliveries::{Hook, sweep};
pub(super) use people::merge_queue;
pub use place::{HostKind, PlaceError, RepositoryPlace, api_of, host_of, without_www};

use client::Call;

/// How often a step is tried again whose answer was lost.
const ATTEMPTS: u32 = 3;
/// The longest description of a commit status, in characters.
const STATUS_DESCRIPTION_LIMIT: usize = 140;

impl StatusState {
    const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// The pull requests of one repository on GitHub, whose branches are reached by `upstream`.
#[derive(Clone, Copy, Debug)]
pub struct GitHubForge<'a> {
    client: &'a Client,
    upstream: &'a Upstream,
}

impl<'a> GitHubForge<'a> {
    /// Returns the forge of a client's repository.
    pub(crate) const fn new(client: &'a Client, upstream: &'a Upstream) -> Self {
        Self { client, upstream }
    }
}

impl OwnPulls for GitHubForge<'_> {
    fn show(&self, number: u64) -> Result<PullRequest, ForgeError> {
        Ok(pulls::read(&self.pull(number)?))
    }

    fn of_head(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let pulls = self.pulls_of(head, "all")?;
        Ok(pulls.iter().map(pulls::read).collect())
    }

    fn open_or_update(&self, proposal: &Proposal) -> Result<Proposed, ForgeError> {
        let made = self.find_or_make(|| self.open_pull_of(proposal), || self.create(proposal));
        let (pull, is_new) = made.map_err(|error| match error {
            ForgeError::GitHub(error) => refused(error, proposal),
            error => error,
        })?;
        let is_changed = self.update(&pull, proposal)?;
        Ok(match (is_new, is_changed) {
            (true, _) => Proposed::Opened(pull.number),
            (false, true) => Proposed::Updated(pull.number),
            (false, false) => Proposed::Unchanged(pull.number),
        })
    }

    /// Closes an open pull request with a comment that gives the reason, and deletes its head branch if that
    /// is at `tip` still.
    fn close(&self, number: u64, reason: &str, tip: Option<Revision>) -> Result<(), ForgeError> {
        let pull = self.pull(number)?;
        let request = pulls::read(&pull);
        match request.state {
            PullState::Open => {
                self.comment(number, "closed", &format!("Closed by Fleetwright: {reason}."), true)?;
                let edit = wire::PullEdit {
                    state: Some("closed"),
                    body: pulls::closed_body(&pull, reason),
                    ..wire::PullEdit::default()
                };
                self.edit("close a pull request", number, &edit)?;
            }
            PullState::Closed { .. } => {}
            PullState::Merged { .. } => return Err(ForgeError::not_open(number, &request.state)),
        }
        match tip {
            Some(tip) => self.delete_head(&request.proposal.head, tip).map(drop),
            None => Ok(()),
        }
    }

    /// Deletes those of `heads` that were left behind by pull requests that are merged, or that Fleetwright
    /// closed while they were at a commit of ours.
    fn settle(&self, heads: &[String], is_ours: &dyn Fn(Revision) -> bool) -> Result<Vec<u64>, ForgeError> {
        let refs = self.upstream.fetch()?;
        let mut settled = Vec::new();
        for head in heads {
            let Some(tip) = refs.get(&format!("{BRANCHES}{head}")) else { continue };
            let pulls = self.of_head(head)?;
            let Some(last) = pulls.last().filter(|_| pulls.iter().all(|pull| pull.state != PullState::Open))
            else {
                continue;
            };
            // The branch of a pull request that a person closed stays, so that it can be opened again.
            let is_done = match &last.state {
                PullState::Merged { .. } => true,
                PullState::Closed { reason } => {
                    reason != pulls::CLOSED_BY_A_PERSON && (is_ours(*tip) || self.has_attested(head, *tip)?)
                }
                PullState::Open => false,
            };
            if is_done && last.proposal.head_revision == *tip && self.delete_head(head, *tip)? {
                settled.push(last.number);
            }
        }
        settled.sort_unstable();
        Ok(settled)
    }

    fn has_attested(&self, _: &str, revision: Revision) -> Result<bool, ForgeError> {
        Ok(self.attestation(revision, REVIEW)?.is_some_and(|attestation| attestation == MADE_BY_US))
    }

    fn web(&self) -> Option<String> {
        Some(self.client.place().web())
    }

    fn admit_push(&self) -> Result<(), ForgeError> {
        Ok(self.client.admit_push()?)
    }
}

impl GitHubForge<'_> {
    /// Merges an open pull request whose head is `head` still.
    fn merge(&self, number: u64, head: Revision) -> Result<wire::Merge, GitHubError> {
        let route = self.route(&format!("/pulls/{number}/merge"));
        let body = json!({ "sha": head.to_string() });
        let mut call = Call::set("merge a pull request", Method::PUT, route, &body);
        // A second merge would be refused, so only a look at the pull request shows what became of the first.
        call.is_repeatable = false;
        self.client.call(&call)
    }

    /// Returns what is found, or else makes it, and whether it is new. Only a look shows what an answer that
    /// was lost would have reported, and whether another replica was faster.
    fn find_or_make<T>(
        &self,
        find: impl Fn() -> Result<Option<T>, ForgeError>,
        make: impl Fn() -> Result<T, GitHubError>,
    ) -> Result<(T, bool), ForgeError> {
        let (mut attempt, mut is_lost) = (0, false);
        loop {
            if let Some(found) = find()? {
                return Ok((found, is_lost));
            }
            match make() {
                Ok(new) => return Ok((new, true)),
                Err(error) if is_lost_or_raced(&error) && attempt + 1 < ATTEMPTS => {
                    info!("looking whether it is there after all: could not {}", error.attempt);
                    self.client.pause(attempt);
                    attempt += 1;
                    is_lost = error.is(GitHubFaultKind::Ambiguous);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn create(&self, proposal: &Proposal) -> Result<wire::Pull, GitHubError> {
        let body = marker::splice("", &proposal.body, &pulls::marker_of(proposal), pulls::BODY_LIMIT);
        let new = json!({
            "title": proposal.title, "head": self.qualified(&proposal.head), "base": proposal.base,
            "body": body, "maintainer_can_modify": false,
        });
        self.client.call(&Call::create("open a pull request", self.route("/pulls"), &new))
    }

    /// Makes an open pull request as proposed, and returns whether anything had to change.
    fn update(&self, pull: &wire::Pull, proposal: &Proposal) -> Result<bool, ForgeError> {
        let difference = pulls::difference(pull, proposal);
        if difference.edit != wire::PullEdit::default() {
            self.edit("update a pull request", pull.number, &difference.edit)
                .map_err(|error| refused(error, proposal))?;
        }
        if !difference.missing_labels.is_empty() {
            let labels = self.route(&format!("/issues/{}/labels", pull.number));
            let body = json!({ "labels": difference.missing_labels });
            self.client.run(&Call::set("label a pull request", Method::POST, labels, &body))?;
        }
        difference.stale_labels.iter().try_for_each(|label| self.remove_label(pull.number, label))?;
        Ok(!difference.is_empty())
    }

    fn edit(&self, attempt: &str, number: u64, edit: &wire::PullEdit) -> Result<(), GitHubError> {
        let route = self.route(&format!("/pulls/{number}"));
        self.client.run(&Call::set(attempt, Method::PATCH, route, edit))
    }

    fn pull(&self, number: u64) -> Result<wire::Pull, ForgeError> {
        let route = self.route(&format!("/pulls/{number}"));
        match self.client.call(&Call::get("read a pull request", route)) {
            Err(error) if error.is(GitHubFaultKind::NotFound) => Err(ForgeError::unknown(number)),
            result => Ok(result?),
        }
    }

    /// Returns the open pull request that a proposal is for: the one to its base, else the oldest.
    fn open_pull_of(&self, proposal: &Proposal) -> Result<Option<wire::Pull>, ForgeError> {
        let open = self.pulls_of(&proposal.head, "open")?;
        let to_base = open.iter().find(|pull| pull.base.branch == proposal.base);
        Ok(to_base.or(open.first()).cloned())
    }

    /// Returns the pull requests of a head branch in this very repository, by number.
    fn pulls_of(&self, head: &str, state: &str) -> Result<Vec<wire::Pull>, ForgeError> {
        let filter = encoded(&self.qualified(head));
        let route = self.route(&format!("/pulls?state={state}&head={filter}&per_page=100"));
        let mut pulls: Vec<wire::Pull> =
            self.client.list(Call::get("find the pull requests of a branch", route))?;
        // A filter that GitHub does not understand is ignored there: everything would be ours.
        pulls.retain(|pull| pull.head.branch == head && self.is_own(pull));
        pulls.sort_by_key(|pull| pull.number);
        Ok(pulls)
    }

    fn is_own(&self, pull: &wire::Pull) -> bool {
        let name = &self.client.place().name;
        pull.head.repo.as_ref().is_some_and(|repository| name.is(&repository.full_name))
    }

    /// Deletes a head branch if it is at `tip` still, and returns whether it did.
    fn delete_head(&self, head: &str, tip: Revision) -> Result<bool, ForgeError> {
        match self.upstream.update(&[RefUpdate::branch(head, Some(tip), None)]) {
            Ok(()) => Ok(true),
            // It moved, it is gone already, or a person has it checked out.
            Err(error) if error.is_lease_lost() || error.is_checked_out() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn qualified(&self, head: &str) -> String {
        format!("{}:{head}", self.client.place().name.owner())
    }

    fn route(&self, rest: &str) -> String {
        self.client.place().route(rest)
    }
}

/// Returns whether the pull request may be there although it was not this request that is known to have opened it.
fn is_lost_or_raced(error: &GitHubError) -> bool {
    error.is(GitHubFaultKind::Ambiguous) || has_message(error, "already exists")
}

fn has_message(error: &GitHubError, part: &str) -> bool {
    error.is(GitHubFaultKind::Invalid) && error.fault.message.contains(part)
}

/// Returns why a proposal was refused, as all forges report it.
fn refused(error: GitHubError, proposal: &Proposal) -> ForgeError {
    match () {
        () if has_message(&error, "`base`") => ForgeError::no_base(&proposal.base),
        // The branch was deleted, or its base took it in meanwhile: the next run sees what is there now.
        () if has_message(&error, "`head`") || has_message(&error, "No commits between") => {
            ForgeError::head_moved(&proposal.head, proposal.head_revision)
        }
        () => error.into(),
    }
}

#[cfg(test)]
mod tests;
