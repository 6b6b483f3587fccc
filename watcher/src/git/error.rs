//! A git operation that failed: what was attempted on which repository, and the fault of the room that it failed in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::checkout::error::CheckoutError;
use super::mirror::error::MirrorError;
use super::objects::error::{ObjectError, Stalled};
use super::remote::error::RemoteError;

/// A git operation that failed and left the repository as it was.
#[derive(Debug, Error)]
#[error("failed to {attempt} (repository `{}`)", repository.display())]
pub struct GitError {
    /// The repository.
    pub repository: PathBuf,
    /// What was attempted, with the ref, path or revision it was attempted on.
    pub attempt: String,
    /// What stood in the way.
    #[source]
    pub fault: Fault,
}

/// What stood in the way of a git operation.
#[derive(Debug, Error)]
#[error(transparent)]
pub enum Fault {
    /// In the object database, or with refs.
    Object(#[from] ObjectError),
    /// In a working tree.
    Checkout(#[from] CheckoutError),
    /// In another repository, or on the way to it.
    Remote(#[from] RemoteError),
    /// In the folder of a mirror.
    Mirror(#[from] MirrorError),
}

impl From<Stalled> for Fault {
    fn from(stalled: Stalled) -> Self {
        Self::Object(stalled.into())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Object(error.into())
    }
}

impl GitError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            Fault::Object(error) => error.hint(),
            Fault::Checkout(error) => Some(error.hint().to_owned()),
            Fault::Remote(error) => error.hint(),
            Fault::Mirror(error) => Some(error.hint().to_owned()),
        }
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match &self.fault {
            Fault::Object(error) => error.is_transient(),
            Fault::Checkout(_) => false,
            Fault::Remote(error) => error.is_transient(),
            Fault::Mirror(error) => error.is_transient(),
        }
    }

    /// Returns whether something in the repository itself is damaged, so that a fresh clone would help.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match &self.fault {
            Fault::Object(error) => error.is_damage(),
            Fault::Remote(error) => error.is_damage(),
            Fault::Checkout(_) | Fault::Mirror(_) => false,
        }
    }

    /// Returns whether the operating system stood in the way, whatever the repository is like.
    pub(super) const fn is_of_system(&self) -> bool {
        matches!(self.fault, Fault::Object(ObjectError::System(_)))
    }

    /// Returns whether a branch did not move because a working tree has it checked out.
    #[must_use]
    pub const fn is_checked_out(&self) -> bool {
        matches!(self.fault, Fault::Checkout(CheckoutError::CheckedOut { .. }))
    }
}

/// The failure of reading a repository as it passes from one process to another.
#[derive(Debug, Serialize, Deserialize)]
pub struct GitFailure {
    repository: PathBuf,
    attempt: String,
    fault: ObjectError,
}

impl From<GitError> for GitFailure {
    fn from(error: GitError) -> Self {
        let hint = error.hint();
        let GitError { repository, attempt, fault } = error;
        let fault = match fault {
            Fault::Object(error) => error,
            other => Stalled { message: other.to_string(), hint }.into(),
        };
        Self { repository, attempt, fault }
    }
}

impl From<GitFailure> for GitError {
    fn from(GitFailure { repository, attempt, fault }: GitFailure) -> Self {
        Self { repository, attempt, fault: fault.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::git::objects::error::{Completeness, SystemError};

    fn error(fault: impl Into<Fault>) -> GitError {
        let fault = fault.into();
        GitError { repository: "/srv/fleet.git".into(), attempt: "read branch `mian`".into(), fault }
    }

    #[test]
    fn an_error_says_which_repository_what_was_attempted_and_the_way_out() {
        let error = error(Stalled::unknown_branch("mian", &["main".into(), "next".into()]));
        assert_eq!(error.to_string(), "failed to read branch `mian` (repository `/srv/fleet.git`)");
        assert_eq!(error.source().unwrap().to_string(), "there is no branch `mian`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `main`?"));
        assert!(!error.is_transient());
    }

    #[test]
    fn a_far_off_branch_name_is_answered_with_the_list() {
        let existing: Vec<_> = (0..10).map(|n| format!("b{n}")).collect();
        let hint = error(Stalled::unknown_branch("zzz", &existing)).hint().unwrap();
        assert!(hint.starts_with("branches that exist: `b0`, "), "{hint}");
        assert!(hint.ends_with("`b7` and 2 more"), "{hint}");
    }

    fn passed_on(fault: impl Into<Fault>) -> GitError {
        let error =
            GitError { repository: "/fleet.git".into(), attempt: "read a blob".into(), fault: fault.into() };
        let text = serde_json::to_string(&GitFailure::from(error)).unwrap();
        serde_json::from_str::<GitFailure>(&text).unwrap().into()
    }

    #[test]
    fn what_is_decided_by_a_failure_is_the_same_on_the_other_side() {
        let of_git2 = |class| {
            let error = git2::Error::new(git2::ErrorCode::GenericError, class, "it is torn");
            passed_on(ObjectError::of_git2(&error, Completeness::Whole))
        };
        let missing = passed_on(ObjectError::Missing { clone: Completeness::Shallow });
        assert!(missing.is_damage() && missing.hint().unwrap().contains("--unshallow"));
        let (torn, other) = (of_git2(git2::ErrorClass::Zlib), of_git2(git2::ErrorClass::Os));
        assert!(torn.is_damage() && !other.is_damage());
        assert!(torn.fault.to_string().contains("it is torn"), "{}", torn.fault);
        let full = passed_on(ObjectError::from(SystemError::DiskFull));
        assert!(full.is_transient() && !other.is_transient());
        assert_eq!(other.to_string(), "failed to read a blob (repository `/fleet.git`)");
    }
}
