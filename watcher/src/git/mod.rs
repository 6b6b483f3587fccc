//! Git: reading a revision, comparing and committing rendered files, and moving refs where they live.
//!
//! The only module that names `git2`; its types do not leave it. It knows paths and bytes, not what they mean. Commits
//! are made in the object database alone: no index file, no working tree, no host configuration. A [`Repository`] may be
//! moved to another thread but not shared; a blocking task takes one of its own from [`Repository::reopen`].

mod address;
mod checkout;
mod classify;
mod commit;
mod commit_object;
mod compare;
mod conversation;
mod differences;
mod error;
mod failure;
mod graph;
mod history;
mod index;
mod inputs;
mod merge;
mod mirror;
mod object;
mod pace;
mod pack;
mod packet;
mod process;
mod reach;
mod receive_pack;
mod refs;
mod repository;
mod revision;
mod smart_http;
mod snapshot;
mod ssh;
mod taken_back;
mod tracked;
mod tree;
mod upload_pack;
mod upstream;

pub use address::is_elsewhere;
pub use commit::{CommitRequest, CommitText, SOURCE_REVISION, Signature, TreeChange};
pub use compare::{FileDelta, FolderMemo, OutputFolder, OutputRoot, PublishedFile, PublishedFiles};
pub use differences::{Difference, Entry};
pub use error::{Fault, GitError};
pub use failure::GitFailure;
pub use history::{CommitSummary, FilesChanged};
pub use inputs::SourceMemory;
pub use mirror::mirror_folder;
pub use object::blob_id;
pub use refs::{PushError, RefUpdate};
pub use repository::Repository;
pub use revision::{BlobId, Revision, RevisionError};
pub use snapshot::{BlobCache, MAX_SOURCE_BYTES};
pub(crate) use snapshot::{Unreadable, name_problem, problem};
pub use tracked::{LeftOut, Tracked, TrackedKind};
pub use upstream::Upstream;

#[cfg(test)]
pub(crate) mod scene;

/// Reads bytes as everything that another git can send or leave: a greeting, a report, a pack in a side band, a commit, and an
/// index. For fuzzing.
#[doc(hidden)]
pub fn read_untrusted(mut bytes: &[u8]) {
    let _ = index::read(bytes, 20, &|_| true, &mut |_| Some(bytes.to_vec()));
    let _ = commit_object::CommitObject::parse(bytes);
    receive_pack::read_report(bytes);
    let pace = pace::Pace::new(pace::PaceLimits::DEFAULT, std::time::Instant::now());
    let _ = packet::SideBand::new(&mut { bytes }, pace).read_to_end(1 << 20);
    if let Ok(first) = packet::read_greeting(&mut bytes) {
        let _ = upload_pack::Greeting::read(first, &mut bytes);
    }
}
