//! The failure of reading a repository as it passes from one process to another.
//!
//! What the other side decides by it is kept: whether objects are missing, whether the repository is damaged, whether
//! trying again may help. Everything else is words.

use std::error::Error as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::{Completeness, Fault, GitError};

/// The failure of reading a repository, without what only the process has in which it happened.
#[derive(Debug, Serialize, Deserialize)]
pub struct GitFailure {
    repository: PathBuf,
    attempt: String,
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kind {
    MissingObject { clone: Completeness },
    Damage,
    Transient,
    Other,
}

impl From<GitError> for GitFailure {
    fn from(error: GitError) -> Self {
        let kind = match &error.fault {
            Fault::MissingObject { clone } => Kind::MissingObject { clone: *clone },
            _ if error.is_damage() => Kind::Damage,
            _ if error.is_transient() => Kind::Transient,
            _ => Kind::Other,
        };
        let mut message = error.fault.to_string();
        let mut cause = error.fault.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self { repository: error.repository, attempt: error.attempt, kind, message }
    }
}

impl From<GitFailure> for GitError {
    fn from(failure: GitFailure) -> Self {
        let GitFailure { repository, attempt, kind, message } = failure;
        let other = |class| {
            let source = git2::Error::new(git2::ErrorCode::GenericError, class, message.clone());
            Fault::Other { message: message.clone(), source: Box::new(source) }
        };
        let fault = match kind {
            Kind::MissingObject { clone } => Fault::MissingObject { clone },
            Kind::Damage => other(git2::ErrorClass::Odb),
            Kind::Transient => Fault::Protocol { message },
            Kind::Other => other(git2::ErrorClass::None),
        };
        Self { repository, attempt, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(fault: Fault) -> GitError {
        let error = GitError { repository: "/fleet.git".into(), attempt: "read a blob".into(), fault };
        let text = serde_json::to_string(&GitFailure::from(error)).unwrap();
        serde_json::from_str::<GitFailure>(&text).unwrap().into()
    }

    #[test]
    fn what_is_decided_by_a_failure_is_the_same_on_the_other_side() {
        let damaged = |class| {
            let source = git2::Error::new(git2::ErrorCode::GenericError, class, "no");
            Fault::Other { message: "it is torn".into(), source: Box::new(source) }
        };
        let missing = passed_on(Fault::MissingObject { clone: Completeness::Shallow });
        assert!(missing.is_damage() && missing.hint().unwrap().contains("--unshallow"));
        let (torn, other) =
            (passed_on(damaged(git2::ErrorClass::Zlib)), passed_on(damaged(git2::ErrorClass::Os)));
        assert!(torn.is_damage() && !other.is_damage());
        assert!(torn.fault.to_string().contains("it is torn"), "{}", torn.fault);
        assert!(passed_on(Fault::DiskFull).is_transient() && !other.is_transient());
        assert_eq!(other.to_string(), "failed to read a blob (repository `/fleet.git`)");
    }
}
