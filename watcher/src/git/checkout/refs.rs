//! Moving refs of this repository, each only if it still stands where it was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use git2::{ErrorCode, Transaction};
use thiserror::Error;

use crate::git::error::{Fault, GitError};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// A ref holds a lock for well under a millisecond; a second of waiting means that someone died with it.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How many refs in a row may each stand for the next one; git follows as many.
pub(in crate::git) const MAX_SYMBOLIC: usize = 5;

/// A ref that is to move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefUpdate {
    /// The full name, for instance `refs/heads/main`.
    pub name: String,
    /// Where it was seen, or `None` if it must not exist yet: the lease.
    pub expected: Option<Revision>,
    /// Where it goes, or `None` if it is deleted.
    pub new: Option<Revision>,
}

impl RefUpdate {
    /// Returns the update that moves a branch.
    #[must_use]
    pub fn branch(branch: &str, expected: Option<Revision>, new: Option<Revision>) -> Self {
        Self { name: format!("refs/heads/{branch}"), expected, new }
    }
}

/// Refs that did not move.
#[derive(Debug, Error)]
pub enum PushError {
    /// Someone else moved the ref first.
    #[error("`{name}` moved: expected {}, found {}", shown(*expected), shown(*found))]
    LeaseLost {
        /// The ref.
        name: String,
        /// Where it was expected.
        expected: Option<Revision>,
        /// Where it is.
        found: Option<Revision>,
    },
    /// The other side refused, by a hook or a rule of its own.
    #[error("`{name}` was rejected: {reason}")]
    Rejected {
        /// The ref.
        name: String,
        /// The reason, with what the hook printed.
        reason: String,
    },
    /// Anything else.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl PushError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LeaseLost { .. } => Some("read the refs anew and try again".into()),
            Self::Rejected { .. } => {
                Some("change what the rule objects to, or allow the user that runs this to push".into())
            }
            Self::Git(error) => error.hint(),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::LeaseLost { .. } => true,
            Self::Rejected { .. } => false,
            Self::Git(error) => error.is_transient(),
        }
    }
}

fn shown(revision: Option<Revision>) -> String {
    revision.map_or_else(|| "nothing".into(), |revision| format!("`{}`", revision.short()))
}

impl Repository {
    /// Moves refs if every one of them still stands where it was expected; otherwise none moves.
    ///
    /// A branch that is checked out takes its working tree along, or stays if uncommitted changes are in the way.
    pub(in crate::git) fn update_refs(&self, updates: &[RefUpdate]) -> Result<(), PushError> {
        let attempt = || format!("move {}", names(updates));
        let mut transaction = self.inner.transaction().map_err(self.failed(attempt()))?;
        let updates = updates.iter().map(|update| self.resolved(update)).collect::<Result<Vec<_>, _>>()?;
        let mut updates: Vec<&RefUpdate> = updates.iter().collect();
        // Everyone locks in the same order, so that two runs cannot wait for each other.
        updates.sort_unstable();
        for update in &updates {
            self.check_name(update)?;
            self.lock(&mut transaction, &update.name)?;
        }
        for update in &updates {
            self.check(update)?;
        }
        for update in &updates {
            self.take_working_tree_along(update)?;
        }
        for update in &updates {
            let moved = match update.new {
                Some(new) => transaction.set_target(&update.name, new.oid(), None, "fleetwright"),
                None if update.expected.is_some() => transaction.remove(&update.name),
                None => Ok(()),
            };
            moved.map_err(self.failed(attempt()))?;
        }
        Ok(transaction.commit().map_err(self.failed(attempt()))?)
    }

    /// A ref that stands for another one moves that one, and goes on standing for it.
    fn resolved(&self, update: &RefUpdate) -> Result<RefUpdate, GitError> {
        let mut update = update.clone();
        for _ in 0..MAX_SYMBOLIC {
            let reference = match self.inner.find_reference(&update.name) {
                Ok(reference) => reference,
                Err(error) if error.code() == ErrorCode::NotFound => break,
                Err(error) => return Err(self.failed(format!("read `{}`", update.name))(error)),
            };
            match reference.symbolic_target() {
                Ok(Some(target)) if update.new.is_some() => target.clone_into(&mut update.name),
                _ => break,
            }
        }
        Ok(update)
    }

    /// A new ref can neither stand below another one nor where others stand below it.
    fn check_name(&self, update: &RefUpdate) -> Result<(), GitError> {
        if update.expected.is_some() || update.new.is_none() {
            return Ok(());
        }
        let name = &update.name;
        let above = name.match_indices('/').map(|(end, _)| &name[..end]);
        for folder in above.filter(|folder| folder.matches('/').count() > 1) {
            if self.ref_target(folder)?.is_some() {
                return Err(self.name_taken(folder, name));
            }
        }
        match self.refs_below(&format!("{name}/"))?.keys().next() {
            Some(taken) => Err(self.name_taken(taken, name)),
            None => Ok(()),
        }
    }

    fn name_taken(&self, taken: &str, name: &str) -> GitError {
        let fault = Fault::NameTaken { taken: taken.to_owned(), name: name.to_owned() };
        self.error(format!("make `{name}`"), fault)
    }

    fn lock(&self, transaction: &mut Transaction<'_>, name: &str) -> Result<(), GitError> {
        for _ in 0..LOCK_ATTEMPTS {
            match transaction.lock_ref(name) {
                Err(error) if error.code() == ErrorCode::Locked => std::thread::sleep(LOCK_PAUSE),
                result => return result.map_err(self.failed(format!("lock `{name}`"))),
            }
        }
        Err(self.error(format!("lock `{name}`"), Fault::Locked { lock: format!("`{name}`") }))
    }

    fn check(&self, update: &RefUpdate) -> Result<(), PushError> {
        let found = self.ref_target(&update.name)?;
        if found != update.expected {
            let RefUpdate { name, expected, .. } = update.clone();
            return Err(PushError::LeaseLost { name, expected, found });
        }
        if let Some(new) = update.new {
            self.commit_at(new)?;
        }
        Ok(())
    }

    /// Returns where a ref is, or `None` if it does not exist.
    pub(in crate::git) fn ref_target(&self, name: &str) -> Result<Option<Revision>, GitError> {
        match self.inner.refname_to_id(name) {
            Ok(id) => Ok(Some(Revision::from_oid(id))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed(format!("read `{name}`"))(error)),
        }
    }

    /// Returns the refs below `prefix` that name a commit, by their full names.
    pub(in crate::git) fn refs_below(&self, prefix: &str) -> Result<BTreeMap<String, Revision>, GitError> {
        let attempt = || format!("list the refs below `{prefix}`");
        let references = self.inner.references_glob(&format!("{prefix}*")).map_err(self.failed(attempt()))?;
        let mut refs = BTreeMap::new();
        for reference in references {
            let reference = reference.map_err(self.failed(attempt()))?;
            // One that stands for another ref is where that is; one that leads nowhere is not there.
            let target = reference.target().or_else(|| reference.resolve().ok()?.target());
            if let (Ok(name), Some(id)) = (reference.name(), target) {
                refs.insert(name.to_owned(), Revision::from_oid(id));
            }
        }
        Ok(refs)
    }
}

pub(in crate::git) fn names(updates: &[RefUpdate]) -> String {
    updates.iter().map(|update| format!("`{}`", update.name)).collect::<Vec<_>>().join(", ")
}
