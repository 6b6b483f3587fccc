//! Moving refs of this repository, each only if it still stands where it was seen; working trees follow.

use std::time::Duration;

use crate::git::error::{Fault, GitError};
use crate::git::objects::refs::{RefUpdate, followed, name_taken, names};
use crate::git::objects::repository::Repository;
use git2::{ErrorCode, Transaction};

/// A ref holds a lock for well under a millisecond; a second of waiting means that a process died with it.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Repository {
    /// Moves refs if every one of them still stands where it was expected; otherwise none moves.
    ///
    /// A branch that is checked out takes its working tree along, or stays if uncommitted changes are in the way.
    pub(in crate::git) fn update_refs(&self, updates: &[RefUpdate]) -> Result<(), GitError> {
        let attempt = || format!("move {}", names(updates));
        let mut transaction = self.inner.transaction().map_err(self.failed(attempt()))?;
        let mut updates: Vec<_> = updates.iter().map(|update| self.resolved(update)).collect();
        // Every process locks in the same order, so that two runs cannot wait for each other.
        updates.sort_unstable();
        if updates.iter().any(RefUpdate::is_creation)
            && let Some(taken) = name_taken(updates.iter(), &self.refs_below("refs/")?)
        {
            return Err(self.error(attempt(), taken));
        }
        for update in &updates {
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
        transaction.commit().map_err(self.failed(attempt()))
    }

    /// A ref that stands for another one moves that one, and still stands for it.
    fn resolved(&self, update: &RefUpdate) -> RefUpdate {
        let mut names = followed(&self.inner, &update.name);
        let name = if update.new.is_some() { names.last() } else { names.next() };
        RefUpdate { name: name.unwrap_or_default(), ..*update }
    }

    fn lock(&self, transaction: &mut Transaction<'_>, name: &str) -> Result<(), GitError> {
        for _ in 0..LOCK_ATTEMPTS {
            match transaction.lock_ref(name) {
                Err(error) if error.code() == ErrorCode::Locked => std::thread::sleep(LOCK_PAUSE),
                result => return result.map_err(self.failed(format!("lock `{name}`"))),
            }
        }
        Err(self.error(format!("lock `{name}`"), Fault::locked(&format!("`{name}`"))))
    }

    fn check(&self, update: &RefUpdate) -> Result<(), GitError> {
        let found = self.ref_target(&update.name)?;
        if found != update.expected {
            return Err(self.lease_lost(&update.name, update.expected, found));
        }
        if let Some(new) = update.new {
            self.commit_at(new)?;
        }
        Ok(())
    }
}
