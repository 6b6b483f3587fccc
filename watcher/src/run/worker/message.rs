//! What a worker is asked, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use renderer::inventory::{OwnFacts, Role};
use renderer::path::{AddonName, ClusterName, RepoPath};
use renderer::problem::Problem;
use renderer::render::Digest;
use serde::{Deserialize, Serialize};

use crate::git::{GitError, Revision};
use crate::run::review::{Page, Question};

/// What is asked about a repository.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The repository, which is only read.
    pub git_dir: OsString,
    pub task: Task,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Render a revision, and answer with what differs from the last answer.
    Render(Revision),
    /// Find out what a pull request changes.
    Examine(Question),
    /// Read which clusters a revision describes.
    Roles(Revision),
}

/// A part of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The rendering of a revision begins.
    Begin(Revision),
    /// So many more clusters are rendered, of so many.
    Advance { by: usize, total: usize },
    /// A cluster that is not as in the last answer; the frame holds the bytes of its files, one after the other.
    Cluster(Cluster),
    /// The answer is complete.
    Done(Answer),
}

/// The end of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Every cluster that is not as in the last answer was sent.
    Rendered {
        /// The clusters of the last answer that there are no more.
        gone: BTreeSet<ClusterName>,
        /// What could not be judged.
        notes: Vec<String>,
        /// How much memory the worker took so far, if that is known.
        memory_bytes: Option<u64>,
    },
    /// There are faults in the input.
    Problems(Vec<Problem>),
    /// What is reported of a pull request, and how much memory the worker took so far.
    Examined { page: Box<Page>, memory_bytes: Option<u64> },
    /// The clusters that a revision describes.
    Roles(BTreeMap<ClusterName, Role>),
    /// The repository could not be read.
    Unreadable(GitError),
}

/// A cluster without the bytes of its files.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cluster {
    pub name: ClusterName,
    pub role: Role,
    pub digest: Digest,
    /// What it has of its own, by which changes are compared.
    pub facts: OwnFacts,
    pub units: Vec<Unit>,
}

/// A unit of a cluster.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Unit {
    /// The unit that stood at this place of the same cluster in the last answer.
    Kept(usize),
    /// Another one: its add-on, and its files with their lengths.
    Sent(Option<AddonName>, Vec<(RepoPath, usize)>),
}
