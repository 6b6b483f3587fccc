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
            Change::Set(object) => insert(self.listing.as_mut().unwrap_or(&mut self.objects), *object),
            Change::Listed => {
                self.objects = self.listing.take().unwrap_or_default();
                self.is_listed = true;
            }
            Change::Gone(object) => drop(self.objects.remove(&object.key())),
            Change::Lost(_) => {}
        }
    }

    /// Takes the answer to a change, unless a later version of the object is here: it may come before the watch has it.
    pub fn set(&mut self, object: K) {
        if let Some(listing) = &mut self.listing {
            insert(listing, object.clone());
        }
        insert(&mut self.objects, object);
    }
}

/// Takes an object, unless a later version of it is here.
fn insert<K: Kind>(objects: &mut BTreeMap<Key, K>, object: K) {
    let key = object.key();
    if objects.get(&key).is_none_or(|held| version(held) <= version(&object)) {
        objects.insert(key, object);
    }
}

/// Returns the version of an object. Versions are decimal numbers that grow.
fn version<K: Kind>(object: &K) -> u64 {
    object.metadata().resource_version.parse().unwrap_or(0)
}
