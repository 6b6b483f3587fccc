//! Deployments, as every forge that keeps them takes them: what became of a revision where it runs.

use crate::git::Revision;

/// A revision that is brought to an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The environment.
    pub environment: String,
    /// The revision.
    pub revision: Revision,
    /// One line for people.
    pub description: String,
}

/// How a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// What it has come to.
    pub state: DeploymentState,
    /// One line for people.
    pub description: String,
    /// Where the log is.
    pub log_url: Option<String>,
    /// Where the environment can be looked at.
    pub environment_url: Option<String>,
}

/// What a deployment has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentState {
    /// It is under way.
    InProgress,
    /// It runs, and is healthy.
    Success,
    /// It does not run, or is not healthy.
    Failure,
    /// What it has come to is not known.
    Error,
}

impl DeploymentState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}
