//! The objects of a kind as a watch has reported them.

use std::collections::BTreeMap;

use super::kind::{Key, Kind};
use super::watch::Change;

/// Objects by their names.
#[derive(Clone, Debug)]
pub struct Store<K> {
    objects: BTreeMap<Key, K>,
    /// What is listed again, until that is complete.
    listing: Option<BTreeMap<Key, K>>,
    is_listed: bool,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listing: None, is_listed: false }
    }
}

impl<K: Kind> Store<K> {
    /// Returns whether all objects were listed once.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Returns the objects.
    #[must_use]
    pub const fn objects(&self) -> &BTreeMap<Key, K> {
        &self.objects
    }

    /// Takes a change. While objects are listed again, those of before stay.
    pub fn apply(&mut self, change: Change<K>) {
        match change {
            Change::Listing => self.listing = Some(BTreeMap::new()),
            Change::Set(object) => self.set(*object),
            Change::Listed => {
                self.objects = self.listing.take().unwrap_or_default();
                self.is_listed = true;
            }
            Change::Gone(object) => drop(self.objects.remove(&object.key())),
            Change::Lost(_) => {}
        }
    }

    /// Takes an object, unless a later version of it is here: an answer to a change may overtake the watch.
    pub fn set(&mut self, object: K) {
        let key = object.key();
        let objects = self.listing.as_mut().unwrap_or(&mut self.objects);
        let is_newer = objects.get(&key).is_none_or(|held| version(held) <= version(&object));
        if is_newer {
            objects.insert(key, object);
        }
    }
}

/// Returns the version of an object. Versions are decimal numbers that grow.
fn version<K: Kind>(object: &K) -> u64 {
    object.metadata().resource_version.parse().unwrap_or(0)
}
