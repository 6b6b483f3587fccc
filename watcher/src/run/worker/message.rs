//! What a worker is asked, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use renderer::page::Shape;
use renderer::path::{GroupName, RepoPath};
use renderer::problem::Problem;
use serde::{Deserialize, Serialize};

use super::changes::Change;
use crate::argocd::DesiredFleet;
use crate::charts::ChartError;
use crate::git::{Entry, GitError, Revision};
use crate::run::changes::{Fleet, Members};
use crate::run::effects::{self, Objects};
use crate::run::review::{Page, Question};

/// What is asked about a repository.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The repository, which is only read.
    pub git_dir: OsString,
    /// What the objects of charts that are published are made with; nothing where that is known to be another worker's.
    pub objects: Option<Objects>,
    pub task: Task,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Render a revision, and compare it with what is published there.
    Compare(Revision),
    /// Render a revision, and find what it has at these paths.
    Entries(Revision, BTreeSet<RepoPath>),
    /// Find out what a pull request changes.
    Examine(Question),
    /// Read which groups a revision describes.
    Order(Revision),
    /// Read which clusters a revision describes.
    Members(Revision),
    /// Read which Applications the rendered files of a revision ask for.
    Desired(Revision),
    /// Render a revision, and find what runs where.
    Shapes(Revision),
    /// Find out what a change does to what runs.
    Effects(effects::Question),
}

/// A part of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The rendering of a revision begins.
    Begin(Revision),
    /// So many more clusters are rendered, of so many.
    Advance { by: usize, total: usize },
    /// Changes of a comparison; the frame holds the bytes of their files, one after the other.
    Changes(Vec<Change>),
    /// The answer is complete.
    Done(Answer),
}

/// The end of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// What the comparison found; its changes were sent before.
    Compared {
        fleet: Fleet,
        /// What could not be judged.
        notes: Vec<String>,
        /// Whether it has objects of charts.
        publishes: bool,
        /// How much memory the worker took so far, if that is known.
        memory_bytes: Option<u64>,
    },
    /// The objects of charts are a part of what is asked for, and are not made.
    Unmade(Unmade),
    /// What is rendered at the paths.
    Entries(BTreeMap<RepoPath, Entry>),
    /// There are faults in the input.
    Problems(Vec<Problem>),
    /// What is reported of a pull request, and how much memory the worker took so far.
    Examined { page: Box<Page>, memory_bytes: Option<u64> },
    /// The groups that a revision describes, in the order of their release; nothing if they can't be read.
    Order(Option<Vec<GroupName>>),
    /// The clusters that a revision describes.
    Members(Members),
    /// What the rendered files of a revision ask for.
    Desired(DesiredFleet),
    /// What runs where.
    Shapes(Vec<Shape>),
    /// What a change does to what runs.
    Effects(effects::Shown),
    /// The repository could not be read.
    Unreadable(GitError),
}

/// Why the objects of charts are not made, where trying again may help.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Unmade {
    /// The worker has nothing to make them with.
    Confined,
    /// There was no time for more: they are made of so many Applications, of so many.
    Late { made: usize, all: usize },
    /// A chart did not come.
    Absent(ChartError),
}
