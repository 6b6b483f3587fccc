//! Forges: where pull requests are kept, shown and merged.
//!
//! [`Forge`] is what each of them can do. Another forge implements it beside [`LocalForge`] and [`GitHubForge`], and
//! becomes a variant of [`Home`]; nothing else asks which forge it is. A forge knows branches and revisions, not what
//! was rendered.

use std::sync::Arc;

use crate::git::Upstream;

mod deployment;
mod error;
pub mod github;
mod interface;
pub mod local;
mod pull;
mod record;
mod verdict;

pub use deployment::{Deployment, DeploymentState, DeploymentStatus};
pub use error::ForgeError;
pub use github::{GitHubError, GitHubFault, GitHubFaultKind, GitHubForge};
pub use interface::{Deployments, Forge, OtherPulls, OwnPulls, Verdicts};
pub use local::LocalForge;
pub use pull::{Obstacle, Origin, Proposal, Proposed, ProposedHead, PullRequest, PullState, REVIEWED_LABEL};
pub use verdict::{
    Annotation, CommitStatus, Conclusion, MADE_BY_US, REVIEW, StatusState, TEXT_LIMIT, Verdict,
};

/// Where the pull requests of a repository are kept.
#[derive(Clone, Debug)]
pub enum Home {
    /// In the repository itself.
    Local,
    /// On GitHub.
    GitHub(Arc<github::Client>),
}

impl Home {
    /// Returns the forge there, for the repository whose branches are reached by `upstream`.
    pub(crate) fn forge<'a>(&'a self, upstream: &'a Upstream) -> Box<dyn Forge + 'a> {
        match self {
            Self::Local => Box::new(LocalForge::new(upstream)),
            Self::GitHub(client) => Box::new(GitHubForge::new(client, upstream)),
        }
    }

    /// Returns what is left of the forge's limits, by what they limit, as far as that is known.
    pub(crate) fn budget(&self) -> Vec<(&'static str, Option<u64>)> {
        match self {
            Self::Local => Vec::new(),
            Self::GitHub(client) => client.left().to_vec(),
        }
    }

    /// Returns where the heads of the merge queue of a base branch are: what the names of their branches begin with.
    pub(crate) fn merge_queue(&self, base: &str) -> Option<String> {
        match self {
            Self::Local => None,
            Self::GitHub(_) => Some(github::merge_queue(base)),
        }
    }
}
