//! The local forge: pull requests in the repository's own refs, with no account and no network.
//!
//! Each pull request is a ref, `refs/fleetwright/pulls/<number>`, and each of its states a commit: a record
//! and a body, with the state before and the head commit as parents, so that git keeps what the record names.
//! Everything moves by compare-and-swap through the [`Upstream`], so any number of runs and people may work
//! at once.
//!
//! A kill may fall between any two writes; their order makes what is left behind recognisable:
//!
//! - *Open*: the head branch is pushed, then the record is created. A branch without a record gets one from
//!   the next run.
//! - *Merge*: the base branch moves, then the record follows, then the head branch goes. A head that is part
//!   of its base was merged, whatever the record has; [`LocalForge::settle`] and the next merge write the
//!   rest.
//! - *Close*: the record says so, then the head branch goes. [`LocalForge::settle`] deletes what was left.
//! - *Reopen*: the head branch is put back, then the record follows. [`LocalForge::settle`] takes away a
//!   branch without it.

use std::collections::BTreeMap;

use super::pull::BRANCHES;
use super::record;
use super::{
    Deployments, ForgeError, OtherPulls, OwnPulls, Proposal, Proposed, PullRequest, PullState, Verdicts,
};
use crate::git::{GitError, RefUpdate, Repository, Revision, Signature, Upstream};

const PULLS: &str = "refs/fleetwright/pulls/";

/// How often a step is tried again when another writer was faster: each loss means that another one made progress.
const ATTEMPTS: usize = 20;

type Refs = BTreeMap<String, Revision>;

/// The pull requests of one upstream.
#[derive(Debug)]
pub struct LocalForge<'a> {
    upstream: &'a Upstream,
}

/// A pull request and the commit that records it.
#[derive(Clone, Debug)]
struct Stored {
    pull: PullRequest,
    at: Revision,
}

/// A head that is part of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Landed {
    head: Revision,
    merge: Revision,
}

impl<'a> LocalForge<'a> {
    /// Returns the forge whose pull requests live in `upstream`.
    #[must_use]
    pub const fn new(upstream: &'a Upstream) -> Self {
        Self { upstream }
    }

    /// Returns all pull requests by number.
    pub fn list(&self) -> Result<Vec<PullRequest>, ForgeError> {
        let stored = self.read_all(&self.upstream.fetch()?)?;
        Ok(stored.into_iter().map(|stored| stored.pull).collect())
    }

    /// Closes an open pull request and deletes its head branch unless others committed to it.
    pub fn close(&self, number: u64, reason: &str) -> Result<(), ForgeError> {
        self.attempt(&format!("pull request #{number}"), |refs| {
            let Stored { mut pull, at } = self.read(refs, number)?;
            match pull.state {
                PullState::Merged { .. } => return Err(ForgeError::not_open(number, &pull.state)),
                PullState::Closed { .. } => {}
                PullState::Open => {
                    pull.state = PullState::Closed { reason: reason.to_owned() };
                    let moment = self.moment_of(pull.proposal.head_revision)?;
                    if !won(self.record(Some(at), &pull, &moment))? {
                        return Ok(None);
                    }
                }
            }
            self.delete_head(&pull).map(|_| Some(()))
        })
    }

    /// Opens a closed pull request again, with its head branch where it was.
    pub fn reopen(&self, number: u64) -> Result<(), ForgeError> {
        self.attempt(&format!("pull request #{number}"), |refs| {
            let Stored { mut pull, at } = self.read(refs, number)?;
            match &pull.state {
                PullState::Open => return Ok(Some(())),
                PullState::Closed { .. } => {}
                PullState::Merged { .. } => return Err(ForgeError::not_open(number, &pull.state)),
            }
            let Proposal { head, head_revision, .. } = pull.proposal.clone();
            let all = self.read_all(refs)?;
            if let Some(open) = all.iter().find(|other| is_open(other) && other.pull.proposal.head == head) {
                return Err(replaced(number, open.pull.number));
            }
            let put_back = RefUpdate::branch(&head, None, Some(head_revision));
            match branch_in(refs, &head) {
                Some(tip) if tip == head_revision => {}
                Some(_) => return Err(ForgeError::head_moved(&head, head_revision)),
                None if !won(self.upstream.update(&[put_back]))? => return Ok(None),
                None => {}
            }
            pull.state = PullState::Open;
            Ok(won(self.record(Some(at), &pull, &self.moment_of(head_revision)?))?.then_some(()))
        })
    }

    /// Merges an open pull request into its base branch and returns the merge commit.
    ///
    /// Merges what is on the head branch now, and only that: if it moves meanwhile, nothing is merged.
    /// Merging what is merged already finishes what was left undone.
    pub fn merge(&self, number: u64, by: &Signature) -> Result<Revision, ForgeError> {
        let (mut landed, mut wanted) = (None, None);
        self.attempt(&format!("pull request #{number}"), |refs| {
            let Stored { mut pull, at } = self.read(refs, number)?;
            match pull.state {
                PullState::Open => {}
                PullState::Merged { revision } => {
                    self.delete_head(&pull)?;
                    return Ok(Some(revision));
                }
                PullState::Closed { .. } => return Err(ForgeError::not_open(number, &pull.state)),
            }
            if landed.is_none() {
                let tip = branch_in(refs, &pull.proposal.head);
                if *wanted.get_or_insert(tip) != tip {
                    let Proposal { head, head_revision, .. } = &pull.proposal;
                    return Err(ForgeError::head_moved(head, wanted.flatten().unwrap_or(*head_revision)));
                }
                landed = self.move_base(refs, &pull, by)?;
            }
            let Some(Landed { head, merge }) = landed else { return Ok(None) };
            pull.state = PullState::Merged { revision: merge };
            pull.proposal.head_revision = head;
            if !won(self.record(Some(at), &pull, by))? {
                return Ok(None);
            }
            self.delete_head(&pull).map(|_| Some(merge))
        })
    }

    /// Makes a step, and makes it again on fresh refs as long as it returns nothing, since another writer was faster.
    fn attempt<T>(
        &self,
        what: &str,
        mut step: impl FnMut(&Refs) -> Result<Option<T>, ForgeError>,
    ) -> Result<T, ForgeError> {
        for _ in 0..ATTEMPTS {
            if let Some(done) = step(&self.upstream.fetch()?)? {
                return Ok(done);
            }
        }
        let message = format!("others kept changing {what} at the same time");
        Err(ForgeError::conflict(message, "try again in a moment"))
    }

    fn settle_open(&self, refs: &Refs, Stored { pull, at }: &Stored) -> Result<bool, ForgeError> {
        let head = branch_in(refs, &pull.proposal.head);
        let landed = match branch_in(refs, &pull.proposal.base) {
            Some(base) => self.landed(head.unwrap_or(pull.proposal.head_revision), base)?,
            None => None,
        };
        let mut pull = pull.clone();
        pull.state = match (landed, head) {
            (Some(landed), _) => {
                pull.proposal.head_revision = landed.head;
                PullState::Merged { revision: landed.merge }
            }
            (None, None) => PullState::Closed { reason: "its branch was deleted".into() },
            (None, Some(_)) => return Ok(false),
        };
        let moment = self.moment_of(pull.proposal.head_revision)?;
        if won(self.record(Some(*at), &pull, &moment))? {
            self.delete_head(&pull)?;
        }
        Ok(true)
    }

    /// Moves the base branch to a commit that merges the head; `None` if another writer moved it first.
    fn move_base(
        &self,
        refs: &Refs,
        pull: &PullRequest,
        by: &Signature,
    ) -> Result<Option<Landed>, ForgeError> {
        let Proposal { base, head, head_revision, .. } = &pull.proposal;
        let base_tip = branch_in(refs, base).ok_or_else(|| ForgeError::no_base(base))?;
        let head_tip = branch_in(refs, head);
        if let Some(landed) = self.landed(head_tip.unwrap_or(*head_revision), base_tip)? {
            return Ok(Some(landed));
        }
        let Some(head_tip) = head_tip else {
            return Err(ForgeError::head_moved(head, *head_revision));
        };
        let message = format!("Merge pull request #{} from {head}\n\n{}", pull.number, pull.proposal.title);
        let merge = self.repository().merge(base_tip, head_tip, by, &message)?;
        let moved = won(self.upstream.update(&[RefUpdate::branch(base, Some(base_tip), Some(merge))]))?;
        Ok(moved.then_some(Landed { head: head_tip, merge }))
    }

    /// Returns whether a head is part of its base, and by which commit.
    fn landed(&self, head: Revision, base: Revision) -> Result<Option<Landed>, GitError> {
        if !self.repository().is_ancestor(head, base)? {
            return Ok(None);
        }
        // Without a merge commit the base was fast-forwarded; then the head itself is what landed.
        let merge = self.repository().merge_of(head, base)?.unwrap_or(head);
        Ok(Some(Landed { head, merge }))
    }

    /// Writes a state of a pull request on top of the one that was read.
    fn record(
        &self,
        previous: Option<Revision>,
        pull: &PullRequest,
        at: &Signature,
    ) -> Result<(), ForgeError> {
        let mut parents: Vec<Revision> = previous.into_iter().collect();
        parents.push(pull.proposal.head_revision);
        if let PullState::Merged { revision } = pull.state
            && !parents.contains(&revision)
        {
            parents.push(revision);
        }
        let message = format!("#{} {}: {}", pull.number, pull.state.word(), pull.proposal.title);
        let new = self.repository().commit_record(None, &record::write(pull)?, &parents, at, &message)?;
        let name = format!("{PULLS}{}", pull.number);
        Ok(self.upstream.update(&[RefUpdate { name, expected: previous, new: Some(new) }])?)
    }

    /// Deletes the head branch if it still is where the record has it, and returns whether it did.
    ///
    /// A branch that moved belongs to who moved it, and one that a person has checked out is in use.
    fn delete_head(&self, pull: &PullRequest) -> Result<bool, ForgeError> {
        let Proposal { head, head_revision, .. } = &pull.proposal;
        match won(self.upstream.update(&[RefUpdate::branch(head, Some(*head_revision), None)])) {
            Err(ForgeError::Git(error)) if error.is_checked_out() => Ok(false),
            result => result,
        }
    }

    /// Fleetwright at the moment of a commit, so that the same history is recorded by the same commits.
    fn moment_of(&self, revision: Revision) -> Result<Signature, GitError> {
        Ok(Signature::fleetwright(&self.repository().commit_summary(revision)?.committer))
    }

    fn read_all(&self, refs: &Refs) -> Result<Vec<Stored>, ForgeError> {
        let numbered =
            refs.iter().filter_map(|(name, at)| Some((name.strip_prefix(PULLS)?.parse().ok()?, *at)));
        let numbered: BTreeMap<u64, Revision> = numbered.collect();
        numbered.into_iter().map(|(number, at)| self.read_at(number, at)).collect()
    }

    fn read(&self, refs: &Refs, number: u64) -> Result<Stored, ForgeError> {
        let at = refs.get(&format!("{PULLS}{number}")).ok_or_else(|| ForgeError::unknown(number))?;
        self.read_at(number, *at)
    }

    fn read_at(&self, number: u64, at: Revision) -> Result<Stored, ForgeError> {
        Ok(Stored { pull: record::read(self.repository(), number, at)?, at })
    }

    const fn repository(&self) -> &Repository {
        self.upstream.repository()
    }
}

impl OwnPulls for LocalForge<'_> {
    fn show(&self, number: u64) -> Result<PullRequest, ForgeError> {
        Ok(self.read(&self.upstream.fetch()?, number)?.pull)
    }

    fn of_head(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let mut pulls = self.list()?;
        pulls.retain(|pull| pull.proposal.head == head);
        Ok(pulls)
    }

    fn open_or_update(&self, proposal: &Proposal) -> Result<Proposed, ForgeError> {
        let is_its = |stored: &&Stored| is_open(stored) && stored.pull.proposal.head == proposal.head;
        self.attempt("the pull requests", |refs| {
            if branch_in(refs, &proposal.head) != Some(proposal.head_revision) {
                return Err(ForgeError::head_moved(&proposal.head, proposal.head_revision));
            }
            let all = self.read_all(refs)?;
            let open = all.iter().find(is_its);
            let outcome = match open.map(|open| &open.pull) {
                Some(pull) if pull.proposal == *proposal => {
                    return Ok(Some(Proposed::Unchanged(pull.number)));
                }
                Some(pull) => Proposed::Updated(pull.number),
                None => Proposed::Opened(all.last().map_or(0, |last| last.pull.number) + 1),
            };
            let (number, proposal) = (outcome.number(), proposal.clone());
            let at = self.moment_of(proposal.head_revision)?;
            let pull = PullRequest { number, state: PullState::Open, proposal };
            Ok(won(self.record(open.map(|open| open.at), &pull, &at))?.then_some(outcome))
        })
    }

    fn close(&self, number: u64, reason: &str, _: Option<Revision>) -> Result<(), ForgeError> {
        LocalForge::close(self, number, reason)
    }

    fn settle(&self, _: &[String], _: &dyn Fn(Revision) -> bool) -> Result<Vec<u64>, ForgeError> {
        let refs = self.upstream.fetch()?;
        let all = self.read_all(&refs)?;
        let in_use: Vec<&str> = all
            .iter()
            .filter(|stored| is_open(stored))
            .map(|stored| stored.pull.proposal.head.as_str())
            .collect();
        let mut settled = Vec::new();
        for stored in &all {
            let head = &stored.pull.proposal.head;
            let is_done = match stored.pull.state {
                PullState::Open => self.settle_open(&refs, stored)?,
                _ if in_use.contains(&head.as_str()) || branch_in(&refs, head).is_none() => false,
                _ => self.delete_head(&stored.pull)?,
            };
            settled.extend(is_done.then_some(stored.pull.number));
        }
        Ok(settled)
    }

    /// An account that may write our refs may write everything else as well, so a record is good for
    /// replacing a commit, and not for taking it for what was rendered.
    fn has_attested(&self, head: &str, revision: Revision) -> Result<bool, ForgeError> {
        let is_it = |pull: &PullRequest| pull.proposal.head_revision == revision;
        Ok(self.of_head(head)?.iter().any(is_it))
    }

    fn ref_of(&self, number: u64) -> Option<String> {
        Some(format!("{PULLS}{number}"))
    }
}

impl OtherPulls for LocalForge<'_> {}

impl Verdicts for LocalForge<'_> {}

impl Deployments for LocalForge<'_> {}

fn replaced(number: u64, open: u64) -> ForgeError {
    let message =
        format!("pull request #{number} cannot be opened again, since #{open} is open for the same branch");
    ForgeError::stalled(message, format!("look at it with `fleetwright pulls show {open}`"))
}

fn branch_in(refs: &Refs, branch: &str) -> Option<Revision> {
    refs.get(&format!("{BRANCHES}{branch}")).copied()
}

fn is_open(stored: &Stored) -> bool {
    stored.pull.state == PullState::Open
}

/// Returns whether refs moved; `false` means that another writer was faster.
fn won<E: Into<ForgeError>>(result: Result<(), E>) -> Result<bool, ForgeError> {
    match result.map_err(Into::into) {
        Ok(()) => Ok(true),
        Err(ForgeError::Git(error)) if error.is_lease_lost() => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
