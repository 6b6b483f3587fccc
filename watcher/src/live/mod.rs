//! What becomes of a revision once it is merged: git, the cluster that Argo CD runs on, and what Argo CD says meet here.
//!
//! Decides nothing: what follows from what was read is for `argocd`.

mod ask;
mod bootstrap;
mod followed_hubs;
mod hub;
mod hubs;
mod keys;
mod prune;
mod reach;
mod register;
mod spokes;
mod step;
mod vault;
mod verify;
mod view;
mod wait;
mod waiting;

use renderer::path::RepoPath;
use renderer::problem::Problem;
use renderer::root::APPLICATIONS;

use crate::argocd::DesiredFleet;
use crate::error::CommandError;
use crate::git::{BlobCache, GitError, Repository, Revision};

pub use bootstrap::Bootstrapping;
pub use followed_hubs::{FollowedHubs, Look, Standings};
pub use hub::{Standing, Watched};
pub use hubs::Hubs;
pub use keys::{Progress, Unsealing, initialize};
pub use prune::{leftovers, prune};
pub use reach::Known;
pub use register::Register;
pub use spokes::Spokes;
pub use step::Step;
pub use vault::Vault;
pub use verify::{Clusters, verify};
pub use view::View;
pub use wait::{Ended, Wait};
pub use waiting::Waiting;

/// Reads what the rendered files of a revision ask for.
pub fn desired(repository: &Repository, revision: Revision) -> Result<DesiredFleet, CommandError> {
    let in_revision = |problems| CommandError::ProblemsIn { revision: revision.short(), problems };
    read(repository, revision)?.map_err(in_revision)
}

/// Reads what the rendered files of a revision ask for, or what is wrong with them.
pub(crate) fn read(
    repository: &Repository,
    revision: Revision,
) -> Result<Result<DesiredFleet, Vec<Problem>>, GitError> {
    let (snapshot, _) = repository.snapshot(revision, &mut BlobCache::default())?;
    let root = RepoPath::parse(APPLICATIONS).expect("the folder's name is a path");
    let files = repository.files_of_folders(revision, &root)?;
    Ok(DesiredFleet::read(&snapshot, &files))
}
