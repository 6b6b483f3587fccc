//! Git: reading a revision, comparing and committing rendered files, and moving refs where they live.
//!
//! The only module that names `git2`; its types do not leave it. It knows paths and bytes, not what they mean.
//! Commits are made in the object database alone: no index file, no working tree, no host configuration. A
//! [`Repository`] may be moved to another thread but not shared; a blocking task takes one of its own from
//! [`Repository::reopen`].

mod checkout;
mod error;
mod history;
mod mirror;
mod objects;
mod program;
mod remote;

pub use checkout::index::IndexEntry;
pub use checkout::tracked::Tracked;
pub use error::{Fault, FaultKind, GitError};
pub use history::inputs::SourceMemory;
pub use history::log::{CommitSummary, FilesChanged};
pub use history::without::Change;
pub use mirror::clones::mirror_folder;
pub use mirror::upstream::Upstream;
pub use objects::commit::{CommitRequest, SOURCE_REVISION, TreeChange, rendered_message};
pub use objects::compare::{FileDelta, FolderMemo, OutputFiles, OutputFolder, PublishedFiles};
pub use objects::differences::{Difference, Entry};
pub use objects::object::blob_id;
pub use objects::refs::RefUpdate;
pub use objects::repository::Repository;
pub use objects::revision::{BlobId, Revision, RevisionError};
pub use objects::signature::Signature;
pub use objects::snapshot::{BlobCache, MAX_SOURCE_BYTES, Unreadable};
pub(crate) use objects::snapshot::{path_in, problem};
pub use remote::address::is_elsewhere;

#[cfg(test)]
pub(crate) mod scene;

/// Reads bytes as everything that another git can send or leave: a greeting, a report, a pack in a side band and a
/// commit. For fuzzing.
#[doc(hidden)]
pub fn read_untrusted(mut bytes: &[u8]) {
    use objects::commit_object;
    use remote::{greeting, pace, packet, receive_pack};
    let _ = commit_object::CommitObject::parse(bytes);
    let _ = receive_pack::read_report(bytes);
    let pace = pace::Pace::new(pace::PaceLimits::DEFAULT, std::time::Instant::now());
    let _ = packet::SideBand::new(&mut { bytes }, pace).read_to_end(1 << 20);
    let _ = greeting::Greeting::read(&mut bytes);
}
