//! What a forge can do.

use std::collections::BTreeMap;

use super::deployment::{Deployment, DeploymentStatus};
use super::error::ForgeError;
use super::pull::{Obstacle, Proposal, Proposed, ProposedHead, PullRequest};
use super::verdict::{CommitStatus, Verdict};
use crate::git::Revision;

type Result<T> = std::result::Result<T, ForgeError>;

/// A forge: it keeps our pull requests, knows those of others, and shows verdicts on commits.
pub trait Forge: OwnPulls + OtherPulls + Verdicts + Deployments {}

impl<F: OwnPulls + OtherPulls + Verdicts + Deployments> Forge for F {}

/// The pull requests that Fleetwright opens.
pub trait OwnPulls {
    /// Returns one pull request, whoever opened it.
    fn show(&self, number: u64) -> Result<PullRequest>;

    /// Returns all pull requests of a head branch, by number.
    fn of_head(&self, head: &str) -> Result<Vec<PullRequest>>;

    /// Opens a pull request for a head branch that is pushed already, or updates the one that is open.
    fn open_or_update(&self, proposal: &Proposal) -> Result<Proposed>;

    /// Closes an open pull request and deletes its head branch if that is at `tip`, which no other account made.
    fn close(&self, number: u64, reason: &str, tip: Option<Revision>) -> Result<()>;

    /// Completes what an interrupted step left behind at our head branches, and returns the pull requests concerned;
    /// `is_ours` knows commits that this process made.
    fn settle(&self, heads: &[String], is_ours: &dyn Fn(Revision) -> bool) -> Result<Vec<u64>>;

    /// Returns whether our own account wrote of a commit that we made it for a head branch.
    fn has_attested(&self, head: &str, revision: Revision) -> Result<bool>;

    /// Returns the ref that a pull request is kept in, if it is one of the refs that are fetched.
    fn ref_of(&self, _number: u64) -> Option<String> {
        None
    }

    /// Returns the page of the repository, if the forge has pages.
    fn web(&self) -> Option<String> {
        None
    }

    /// Waits until a push is within the forge's limits, or fails with when it will be.
    fn admit_push(&self) -> Result<()> {
        Ok(())
    }
}

/// What is proposed to the base branch, by us and by others. The local forge keeps no pull requests of
/// others, so there is nothing to review there.
pub trait OtherPulls {
    /// Returns the heads that are proposed to `base`: those of open pull requests, each with those of
    /// `labels` that it has, and those of a merge queue among `refs`.
    fn proposed_heads(
        &self,
        _base: &str,
        _refs: &BTreeMap<String, Revision>,
        _labels: &[&str],
    ) -> Result<Vec<ProposedHead>> {
        Ok(Vec::new())
    }

    /// Returns the ref under which the head of a pull request is kept, wherever its branch is.
    fn head_ref(&self, _number: u64) -> Option<String> {
        None
    }

    /// Returns the paths that a head changes since it left `base`, old names included; nothing if the forge
    /// does not list all of them.
    fn changed_paths(&self, _base: Revision, _head: Revision) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Returns whether `label` was set on a pull request after the last push to its branch.
    fn is_labelled_since_push(&self, _number: u64, _head: &ProposedHead, _label: &str) -> Result<bool> {
        Ok(false)
    }

    /// Takes a label off a pull request, if it is there.
    fn remove_label(&self, _number: u64, _label: &str) -> Result<()> {
        Ok(())
    }

    /// Makes sure that the one comment of ours of this `kind` has this `text`: edits the one that is there,
    /// or adds it if it `is_news`.
    ///
    /// `kind` is a word; it stands hidden in the comment.
    fn comment(&self, _number: u64, _kind: &str, _text: &str, _is_news: bool) -> Result<()> {
        Ok(())
    }

    /// Returns the text of the one comment of ours of this `kind`, if it is there.
    fn own_comment(&self, _number: u64, _kind: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// Returns the head of each pull request that brought `revision` onto `base`, however it was merged, with
    /// its number.
    fn merged_with(&self, _revision: Revision, _base: &str) -> Result<Vec<(u64, Revision)>> {
        Ok(Vec::new())
    }

    /// Returns what is in the way of the merge of an open pull request.
    fn obstacle(&self, _number: u64) -> Result<Obstacle> {
        Ok(Obstacle::Other)
    }

    /// Merges an open pull request whose head is `head` still, unless a rule of its branch is in the way.
    fn merge_if_allowed(&self, _number: u64, _head: Revision) -> Result<()> {
        Ok(())
    }
}

/// What is shown on commits.
pub trait Verdicts {
    /// Makes sure that a status of a commit is this one.
    fn set_status(&self, _revision: Revision, _status: &CommitStatus) -> Result<()> {
        Ok(())
    }

    /// Makes sure that the newest verdict of this name on a commit is this one; `parts` are what has no room in it.
    fn set_verdict(&self, _revision: Revision, _verdict: &Verdict, _parts: &[Verdict]) -> Result<()> {
        Ok(())
    }

    /// Returns the attestation of the newest verdict of this name on a commit.
    fn attestation(&self, _revision: Revision, _name: &str) -> Result<Option<String>> {
        Ok(None)
    }
}

/// What became of revisions where they run. The local forge keeps none of it.
pub trait Deployments {
    /// Returns the number of the deployment of a revision to an environment, which is made if it is not there.
    fn deployment(&self, _deployment: &Deployment) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Makes sure that the newest report on a deployment is this one.
    fn report_deployment(&self, _number: u64, _status: &DeploymentStatus) -> Result<()> {
        Ok(())
    }
}
