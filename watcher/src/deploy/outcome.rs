//! What became of a deployment.

use renderer::path::RepoPath;
use renderer::plural::{agrees, counted};
use serde_json::{Value, json};

use super::subject::Subject;
use crate::argocd::{self, Rollout, State};
use crate::git::Revision;
use crate::live::Ended;
use crate::output::Exit;
use crate::verify::{self, Finding};

/// What became of a deployment.
#[derive(Debug)]
pub enum Outcome {
    /// All of it is synced and healthy, and what was asked of its clusters holds.
    Done(Rollout, Vec<Finding>),
    /// All of it is synced and healthy, and not all that was asked of its clusters holds.
    Unverified(Rollout, Vec<Finding>),
    /// What is committed is not what the inputs render to.
    NotCurrent(Vec<RepoPath>),
    /// A group that comes first is not synced and healthy.
    Blocked {
        /// The group.
        by: String,
        /// How waiting for it ended.
        ended: Ended,
        /// What became of it.
        rollout: Rollout,
    },
    /// It will not become synced and healthy by itself.
    Failed(Rollout),
    /// It is not synced and healthy in time.
    TimedOut(Rollout),
}

impl Outcome {
    /// Returns the exit code that stands for it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Done(..) => Exit::Done,
            Self::NotCurrent(_) => Exit::Changes,
            Self::Unverified(..) | Self::Blocked { .. } | Self::Failed(_) | Self::TimedOut(_) => {
                Exit::Cluster
            }
        }
    }

    /// Returns what became of the Applications, if they were looked at.
    #[must_use]
    pub const fn rollout(&self) -> Option<&Rollout> {
        match self {
            Self::NotCurrent(_) => None,
            Self::Done(rollout, _)
            | Self::Unverified(rollout, _)
            | Self::Blocked { rollout, .. }
            | Self::Failed(rollout)
            | Self::TimedOut(rollout) => Some(rollout),
        }
    }

    /// Returns what was found of the checks, if its clusters were asked.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Done(_, findings) | Self::Unverified(_, findings) => findings,
            _ => &[],
        }
    }

    /// Returns why it is no success, with the way out.
    pub(crate) fn report(&self, subject: &Subject) -> Option<String> {
        let hint = match self {
            Self::Done(..) => return None,
            Self::Unverified(..) => {
                "what was found is above; `fleetwright verify` asks again, and the change can be taken back with `fleetwright rollback`"
            }
            Self::NotCurrent(_) => {
                "merge the pull request that the next run opens, or commit what `fleetwright render` writes"
            }
            Self::Blocked { .. } => {
                "the reasons are above; see the deployment of that group, and start this one again"
            }
            Self::Failed(_) => {
                "the reasons are above; correct them in git, or take the change back with `fleetwright rollback`"
            }
            Self::TimedOut(_) => "wait longer with `--timeout`, or look at the reasons above",
        };
        Some(format!("error: {}\n  hint: {hint}", self.headline(subject.revision)))
    }

    /// Returns the report for machines.
    pub(crate) fn to_json(&self, subject: &Subject) -> Value {
        let word = match self {
            Self::Done(..) => "done",
            Self::Unverified(..) => "unverified",
            Self::NotCurrent(_) => "notCurrent",
            Self::Blocked { .. } => "blocked",
            Self::Failed(_) => "failed",
            Self::TimedOut(_) => "timedOut",
        };
        let revision = subject.revision.to_string();
        let mut report = json!({ "group": subject.group, "revision": revision, "outcome": word });
        match self {
            Self::NotCurrent(files) => report["files"] = json!(files),
            Self::Blocked { by, .. } => report["blockedBy"] = by.as_str().into(),
            _ => {}
        }
        if !self.findings().is_empty() {
            report["verify"] = verify::document(self.findings());
        }
        if let Some(rollout) = self.rollout() {
            report["rollout"] = argocd::document(rollout, &revision);
        }
        report
    }

    /// Returns what became of it, in one line.
    pub(crate) fn headline(&self, revision: Revision) -> String {
        let at = revision.short();
        match self {
            Self::Unverified(_, findings) => {
                let open = findings.iter().filter(|finding| finding.verdict.is_open()).count();
                let verb = agrees(open, "does", "do");
                format!("{} {verb} not hold at {at}", counted(open, "check"))
            }
            Self::Done(rollout, _) => {
                format!("{} synced and healthy at {at}", are(rollout.applications.len(), "Application"))
            }
            Self::NotCurrent(files) => {
                format!("{} not what the inputs render to at {at}", are(files.len(), "rendered file"))
            }
            Self::Blocked { by, ended: Ended::TimedOut, rollout } => {
                format!("waited for {by}: {} not synced and healthy in time", open_of(rollout))
            }
            Self::Blocked { by, rollout, .. } => {
                format!("{by} comes first: {} not synced and healthy at {at}", failed_of(rollout))
            }
            Self::Failed(rollout) => format!("{} not synced and healthy at {at}", failed_of(rollout)),
            Self::TimedOut(rollout) => format!("{} not synced and healthy in time", open_of(rollout)),
        }
    }
}

fn failed_of(rollout: &Rollout) -> String {
    are(rollout.count(State::Failed), "Application")
}

fn open_of(rollout: &Rollout) -> String {
    are(rollout.open().count(), "Application")
}

fn are(number: usize, what: &str) -> String {
    format!("{} {}", counted(number, what), agrees(number, "is", "are"))
}
