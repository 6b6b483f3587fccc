//! How a command fails: what went wrong, what to do about it, and which exit code stands for it.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use renderer::plan::Refusal;
use renderer::plural::counted;
use renderer::problem::Problem;
use thiserror::Error;

use crate::charts::ChartError;
use crate::cluster::{ClusterError, ClusterErrorKind};
use crate::events::Stopped;
use crate::forge::ForgeError;
use crate::git::{GitError, Revision};
use crate::identity::IdentityError;
use crate::output::problems::listed;
use crate::output::{Exit, with_causes};
use crate::run::WorkerDeath;
use crate::working_tree::WorkingTreeError;

/// Everything that can end a command early.
#[derive(Debug, Error)]
pub enum CommandError {
    /// A stop was requested before everything was done.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// There are faults in the input.
    #[error("{}", counted(problems.len(), "problem"))]
    Problems {
        /// All of them, sorted by place.
        problems: Vec<Problem>,
    },
    /// There are faults in the input, in a revision that is only compared with.
    #[error("{} in revision `{revision}`", counted(problems.len(), "problem"))]
    ProblemsIn {
        /// The revision, as it was named.
        revision: String,
        /// All of them, sorted by place.
        problems: Vec<Problem>,
    },
    /// The inputs do not render without a change that is to be taken back.
    #[error("{} in the inputs without what `{}` changed", counted(problems.len(), "problem"), change.short())]
    ProblemsWithout {
        /// The change.
        change: Revision,
        /// All of them, sorted by place.
        problems: Vec<Problem>,
    },
    /// Reading from or writing to git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There is no credential to be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A GitHub App was not registered.
    #[error(transparent)]
    Registration(IdentityError),
    /// The forge did not do what it was asked.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A chart could not be fetched or read.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// There was no time for all final objects. Those that were made are kept.
    #[error("the final objects of {made} of {} are made, and the time for it is over", counted(*all, "Application"))]
    Late {
        /// Of how many Applications they are made.
        made: usize,
        /// Of how many they are wanted.
        all: usize,
    },
    /// A cluster was not reached, or refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The working tree could not be read.
    #[error(transparent)]
    WorkingTree(#[from] WorkingTreeError),
    /// A file could not be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A revision could not be rendered, since the process that rendered it ended.
    #[error("failed to render `{}`", revision.short())]
    Worker {
        /// The revision.
        revision: Revision,
        /// What ended it.
        #[source]
        death: WorkerDeath,
    },
    /// The plan deletes more than is allowed without approval.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command line names something that is not there, or that does not fit together.
    #[error("{message}")]
    Usage {
        /// What is missing or does not fit.
        message: String,
        /// Where to look, or what to write instead.
        hint: String,
    },
    /// Something that has no code of its own.
    #[error("{attempt}")]
    Unexpected {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: anyhow::Error,
    },
}

impl CommandError {
    /// Returns the exit code that stands for this kind of failure.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Worker { death, .. } if death.is_transient() => Exit::Unexpected,
            Self::Problems { .. }
            | Self::ProblemsIn { .. }
            | Self::ProblemsWithout { .. }
            | Self::Worker { .. }
            | Self::Refused(_) => Exit::Problems,
            Self::Git(_)
            | Self::WorkingTree(WorkingTreeError::Git(_))
            | Self::Identity(_)
            | Self::Forge(ForgeError::Git(_)) => Exit::Git,
            Self::Forge(_) | Self::Registration(_) => Exit::Forge,
            Self::Cluster(error) if matches!(error.kind, ClusterErrorKind::Unconfigured) => Exit::Usage,
            Self::Cluster(_) => Exit::Cluster,
            Self::Usage { .. } => Exit::Usage,
            Self::Stopped(_)
            | Self::Chart(_)
            | Self::Late { .. }
            | Self::WorkingTree(_)
            | Self::Write { .. }
            | Self::Unexpected { .. } => Exit::Unexpected,
        }
    }

    /// Returns what to do about it, if something is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Identity(error) | Self::Registration(error) => error.hint(),
            Self::Forge(error) => error.hint(),
            Self::Chart(error) => error.hint(),
            Self::Cluster(error) => error.hint(),
            Self::Refused(refusal) => Some(refusal.hint()),
            Self::Worker { death, .. } => Some(death.hint().to_owned()),
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Write { source, .. } => write_hint(source),
            Self::WorkingTree(error) => error.hint(),
            Self::Stopped(_) => Some("start it again: it continues from what it finds".to_owned()),
            Self::Late { .. } => Some("try again: it goes on from what is made".to_owned()),
            Self::ProblemsIn { .. } => {
                Some("name a revision without problems, or fix them there first".to_owned())
            }
            Self::ProblemsWithout { .. } => Some(
                "what came later builds on the change: take that back first, or change the inputs by hand"
                    .to_owned(),
            ),
            Self::Problems { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// Returns the failure of git that this is, if it is one.
    pub(crate) const fn as_git(&self) -> Option<&GitError> {
        match self {
            Self::Git(error)
            | Self::WorkingTree(WorkingTreeError::Git(error))
            | Self::Forge(ForgeError::Git(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns whether trying again later may help without a change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Git(error) => error.is_transient(),
            Self::Identity(error) => error.is_transient(),
            Self::Forge(error) => error.is_transient(),
            Self::Chart(error) => error.is_transient(),
            Self::Cluster(error) => error.is_transient(),
            Self::WorkingTree(error) => error.is_transient(),
            Self::Worker { death, .. } => death.is_transient(),
            Self::Stopped(_) | Self::Late { .. } | Self::Write { .. } => true,
            _ => false,
        }
    }

    /// Returns whether another writer moved a ref first, so that the run can start again at once.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        match self {
            Self::Git(error) => error.is_lease_lost(),
            Self::Forge(error) => error.is_conflict(),
            _ => false,
        }
    }

    /// Returns the moment before which trying again is of no use, if the forge named one.
    #[must_use]
    pub const fn retry_after(&self) -> Option<SystemTime> {
        match self {
            Self::Forge(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Creates the error of a command line that names what is not there, or does not fit together.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Wraps a failure that has no kind of its own.
    pub(crate) fn unexpected(attempt: &str, source: impl Into<anyhow::Error>) -> Self {
        Self::Unexpected { attempt: format!("failed to {attempt}"), source: source.into() }
    }

    /// Returns the problems in the input, if that is what is wrong.
    pub(crate) fn problems(&self) -> &[Problem] {
        match self {
            Self::Problems { problems }
            | Self::ProblemsIn { problems, .. }
            | Self::ProblemsWithout { problems, .. } => problems,
            _ => &[],
        }
    }

    /// Returns the message with its causes; the first problems come before it, each as it reads.
    #[must_use]
    pub fn message(&self) -> String {
        listed(self.problems()) + &with_causes(self)
    }

    /// Returns the message with its causes, without problems, and the hint on a line of its own.
    #[must_use]
    pub fn report(&self) -> String {
        let hint = self.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("error: {}{hint}", with_causes(self))
    }
}

fn write_hint(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some("give this user the right to write there".to_owned()),
        io::ErrorKind::ReadOnlyFilesystem => Some("the file system is read-only: work on a copy".to_owned()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some disk space and try again".to_owned())
        }
        _ => None,
    }
}
