//! Where rendered clusters are kept from one process to the next. Knows nothing of what a record holds.

use std::fmt;

use super::digest::Digest;

/// Where rendered clusters are kept from one process to the next, for one version of the program. It may forget anything at any
/// time. Called from several threads.
pub trait Memory: fmt::Debug + Send + Sync {
    /// Returns whether it is asked for a fleet of so many clusters.
    fn is_for(&self, clusters: usize) -> bool;

    /// Returns what was put under a key, as it was.
    fn get(&self, key: &Digest) -> Option<Vec<u8>>;

    /// Puts something under a key.
    fn put(&self, key: &Digest, record: &[u8]);

    /// Is called after the last one of a rendering was put.
    fn tidy(&self);
}
