//! Changes of files as they pass from a worker to the service: what they are about as a message, their bytes
//! beside it.

use std::sync::Arc;

use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::plan::{FileChange, MAX_COMPARED_BYTES};
use serde::{Deserialize, Serialize};
use tracing::{debug, info_span};

/// A change without the bytes of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    path: RepoPath,
    cluster: ClusterName,
    addon: Option<AddonName>,
    old: Content,
    new: Content,
}

/// The content of a file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Content {
    /// There is no file.
    None,
    /// Nothing of it is shown, so that none of it is sent.
    TooLarge,
    /// So many of the bytes beside the message.
    Bytes(usize),
}

/// What arrived is not what a worker sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Change {
    /// Returns a change, and the bytes that are sent beside it.
    pub(super) fn of(change: &FileChange) -> (Self, impl Iterator<Item = &[u8]> + Clone) {
        let FileChange { path, cluster, addon, old, new } = change;
        let sides = [old, new].map(Option::as_deref);
        let [old, new] = sides.map(|side| match side {
            None => Content::None,
            Some(bytes) if bytes.len() > MAX_COMPARED_BYTES => Content::TooLarge,
            Some(bytes) => Content::Bytes(bytes.len()),
        });
        let change = Self { path: path.clone(), cluster: cluster.clone(), addon: addon.clone(), old, new };
        (change, sides.into_iter().flatten().filter(|bytes| bytes.len() <= MAX_COMPARED_BYTES))
    }
}

/// The changes that arrived.
pub(super) struct Arrived {
    pub changes: Vec<FileChange>,
    /// How many bytes may still arrive: no more than the worker may have had.
    room: u64,
    too_large: Option<Arc<[u8]>>,
}

impl Arrived {
    pub(super) const fn new(room: u64) -> Self {
        Self { changes: Vec::new(), room, too_large: None }
    }

    /// Takes changes of a cluster with the bytes of their files; fails if they do not fit together.
    pub(super) fn take(&mut self, changes: Vec<Change>, mut bytes: &[u8]) -> Result<(), Malformed> {
        self.room = self.room.checked_sub(bytes.len() as u64).ok_or(Malformed)?;
        if let Some(Change { cluster, .. }) = changes.first() {
            // Spans of a worker are not those of the run that it works for.
            info_span!("cluster", cluster.name = %cluster).in_scope(|| debug!("rendered `{cluster}`"));
        }
        for Change { path, cluster, addon, old, new } in changes {
            let (old, new) = (self.content(old, &mut bytes)?, self.content(new, &mut bytes)?);
            self.changes.push(FileChange { path, cluster, addon, old, new });
        }
        if bytes.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    fn content(&mut self, content: Content, bytes: &mut &[u8]) -> Result<Option<Arc<[u8]>>, Malformed> {
        Ok(match content {
            Content::None => None,
            Content::TooLarge => {
                let content = self.too_large.get_or_insert_with(|| vec![0; MAX_COMPARED_BYTES + 1].into());
                Some(Arc::clone(content))
            }
            Content::Bytes(length) => {
                let (content, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
                *bytes = rest;
                Some(content.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: Option<&[u8]>, new: Option<&[u8]>) -> FileChange {
        FileChange {
            path: RepoPath::parse("argocd-apps/app/root.yaml").unwrap(),
            cluster: ClusterName::parse("app").unwrap(),
            addon: None,
            old: old.map(Into::into),
            new: new.map(Into::into),
        }
    }

    fn sent(changes: &[FileChange]) -> (Vec<Change>, Vec<u8>) {
        let (changes, bytes): (Vec<_>, Vec<_>) = changes.iter().map(Change::of).unzip();
        (changes, bytes.into_iter().flatten().flatten().copied().collect())
    }

    #[test]
    fn what_is_sent_arrives() {
        let large = vec![0; MAX_COMPARED_BYTES + 1];
        let changes = [
            change(Some(b"a"), Some(b"bb")),
            change(None, Some(b"")),
            change(Some(&large), None),
            change(Some(&large), Some(b"c")),
        ];
        let (messages, bytes) = sent(&changes);
        assert_eq!(bytes, b"abbc");
        let mut arrived = Arrived::new(100);
        arrived.take(messages, &bytes).unwrap();
        let sides = |changes: &[FileChange]| {
            changes.iter().map(|change| (change.old.clone(), change.new.clone())).collect::<Vec<_>>()
        };
        assert_eq!(sides(&arrived.changes), sides(&changes));
        let large = |at: usize| arrived.changes[at].old.clone().unwrap();
        assert!(Arc::ptr_eq(&large(2), &large(3)), "one and the same content stands for all of them");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (length, bytes) in [(2, &b"a"[..]), (1, b"ab"), (usize::MAX, b"a"), (200, &[0; 200])] {
            let (mut messages, _) = sent(&[change(None, Some(b""))]);
            messages[0].new = Content::Bytes(length);
            assert_eq!(Arrived::new(100).take(messages, bytes), Err(Malformed));
        }
    }
}
