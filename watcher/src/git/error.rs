//! A git operation that failed: what was attempted on which repository, what stood in the way, and what helps.

use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode};
use renderer::plural::quoted_up_to;
use renderer::problem::did_you_mean;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::objects::revision::Revision;
use crate::http::HttpError;
use crate::identity::IdentityError;
use crate::output::with_causes;

/// How many names of branches or files a message lists before it only counts them.
const LISTED_NAMES: usize = 8;

/// The hint for a clone that has all of its history and lacks an object all the same.
pub(super) const CLONE_AGAIN: &str =
    "the repository is damaged: see `git fsck`, and fetch the missing objects or clone again";

/// A git operation that failed and left the repository as it was.
///
/// It passes from one process to another as it is.
#[derive(Debug, Error, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Fault {
    /// What is decided by it.
    pub kind: FaultKind,
    /// What stands in the way.
    pub message: String,
    /// What to do about it, if something is known.
    pub hint: Option<String>,
}

/// What is decided by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// A user has to change something.
    Stalled,
    /// Trying again later may help.
    Transient,
    /// Another process or user moved a ref first.
    LeaseLost,
    /// A branch stays since a working tree has it checked out.
    CheckedOut,
    /// Both sides of a merge changed the same files.
    Conflict,
    /// The operating system lacks something, whatever the repository is like.
    System,
    /// The operating system does not let this user write.
    ReadOnly,
    /// Something in the repository is missing or damaged; a fresh clone would help.
    Damaged,
    /// A pack does not add up: it was damaged on its way, or builds on an object here that is.
    UnsoundPack,
}

impl GitError {
    /// Returns the failure of an attempt on the repository at a path.
    pub(super) fn at(repository: &Path, attempt: impl Into<String>, fault: impl Into<Fault>) -> Self {
        Self { repository: repository.to_owned(), attempt: attempt.into(), fault: fault.into() }
    }

    /// Returns what to do next, if something can be done.
    pub(crate) fn hint(&self) -> Option<String> {
        self.fault.hint.clone()
    }

    /// Returns whether trying again later may help without anyone changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        use FaultKind::{LeaseLost, System, Transient, UnsoundPack};
        matches!(self.fault.kind, Transient | LeaseLost | System | UnsoundPack)
    }

    /// Returns whether something in the repository itself is damaged, so that a fresh clone would help.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self.fault.kind, FaultKind::Damaged | FaultKind::UnsoundPack)
    }

    /// Returns whether the operating system stood in the way, whatever the repository is like.
    pub(super) const fn is_of_system(&self) -> bool {
        matches!(self.fault.kind, FaultKind::System | FaultKind::ReadOnly)
    }

    /// Returns whether a branch did not move because a working tree has it checked out.
    pub(crate) const fn is_checked_out(&self) -> bool {
        matches!(self.fault.kind, FaultKind::CheckedOut)
    }

    /// Returns whether another process or user moved a ref first.
    pub(crate) const fn is_lease_lost(&self) -> bool {
        matches!(self.fault.kind, FaultKind::LeaseLost)
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn without_hint(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(super) fn stalled(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(FaultKind::Stalled, message, hint)
    }

    pub(super) fn transient(message: impl Into<String>) -> Self {
        Self::without_hint(FaultKind::Transient, message)
    }

    pub(super) fn not_a_repository() -> Self {
        Self::stalled(
            "no git repository is here or in a folder above",
            "run inside a repository, name one with `--repo DIR`, or create one with `git init`",
        )
    }

    /// The repository belongs to another user. `message` names the folder as git compares it with its configuration,
    /// which differs between a working tree, a linked one and a bare repository.
    pub(super) fn foreign_owner(message: &str) -> Self {
        let folder = quoted_folder(message).unwrap_or_default();
        let hint =
            format!("trust it with `git config --global --add safe.directory {}`", shell_word(&folder));
        Self::stalled("the repository belongs to another user", hint)
    }

    pub(super) fn no_commits() -> Self {
        Self::stalled(
            "the repository has no commits yet",
            "make a first commit, for instance `git commit --allow-empty -m start`",
        )
    }

    /// There is no such branch among `existing`.
    pub(super) fn unknown_branch(branch: &str, existing: &[String]) -> Self {
        if existing.is_empty() {
            return Self::no_commits();
        }
        let branch = branch.escape_debug().to_string();
        let hint = match did_you_mean(&branch, existing.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("branches that exist: {}", quoted(existing)),
        };
        Self::stalled(format!("there is no branch `{branch}`"), hint)
    }

    /// A ref is not where it was seen.
    pub(super) fn lease_lost(name: &str, expected: Option<Revision>, found: Option<Revision>) -> Self {
        let shown = |at: Option<Revision>| at.map_or("nothing".into(), |at| format!("`{}`", at.short()));
        let message = format!("`{name}` moved: expected {}, found {}", shown(expected), shown(found));
        Self::new(FaultKind::LeaseLost, message, "read the refs again and retry")
    }

    pub(super) fn locked(what: &str) -> Self {
        let hint = "if no git command is running, remove the `.lock` file in the repository";
        Self::new(FaultKind::Transient, format!("{what} is locked"), hint)
    }

    /// Sorts an error of libgit2 by what a user can do about it, which for a missing object is `missing`.
    pub(super) fn of_git2(error: &git2::Error, missing: &str) -> Self {
        use ErrorClass::{Indexer, NoMemory, Odb, Reference, Zlib};
        let message = error.message();
        if let Some(fault) = Self::of_format(message).or_else(|| Self::of_system(message)) {
            return fault;
        }
        match (error.code(), error.class()) {
            (ErrorCode::Locked, _) => Self::locked("a file of the repository"),
            (ErrorCode::Owner, _) => Self::foreign_owner(message),
            (ErrorCode::UnbornBranch, _) => Self::no_commits(),
            (_, NoMemory) => io::Error::from(Errno::NOMEM).into(),
            // libgit2 takes a pack that it could not open for one that lacks the object.
            (ErrorCode::NotFound, Odb) => out_of_files().map_or_else(
                || {
                    let message = "an object that this needs is missing from the repository";
                    Self::new(FaultKind::Damaged, message, missing)
                },
                Self::from,
            ),
            // An object whose content cannot be read is no damage: libgit2 checks that it is the content of that id,
            // so this is what its author wrote.
            (_, Indexer | Odb | Reference | Zlib) => Self::without_hint(FaultKind::Damaged, message),
            _ => Self::without_hint(FaultKind::Stalled, message),
        }
    }

    /// Returns the fault of a repository whose format libgit2 does not read.
    fn of_format(message: &str) -> Option<Self> {
        const FORMATS: [(&str, &str, &str); 5] = [
            (
                "object format 'sha256'",
                "names its objects by SHA-256",
                "use a clone in a repository made by `git init --object-format=sha1`; `render`, `check` and `watch` work here, too",
            ),
            (
                "extensions.refstorage",
                "keeps its refs in another way than files (reftable)",
                "convert it with `git refs migrate --ref-format=files`; `render`, `check` and `watch` work here, too",
            ),
            (
                "mandatory extension: 'link'",
                "has a split index",
                "join it with `git update-index --no-split-index`",
            ),
            (
                "mandatory extension: 'sdir'",
                "has a sparse index",
                "expand it with `git sparse-checkout reapply --no-sparse-index`",
            ),
            (
                "unsupported extension name",
                "has an extension that libgit2 does not know",
                "see `extensions.*` in `git config --list --local`; a fresh clone may do without; `render`, `check` and `watch` work here, too",
            ),
        ];
        let (_, trait_, hint) = FORMATS.into_iter().find(|(words, ..)| message.contains(words))?;
        Some(Self::stalled(format!("the repository {trait_}, which is not supported"), hint))
    }

    /// Returns the fault that the operating system names at the end of a message, if it is one that a user can act on.
    pub(super) fn of_system(message: &str) -> Option<Self> {
        use FaultKind::{ReadOnly, System};
        const SPACE: &str = "free some space and run again; nothing was changed";
        const FILES: &str =
            "raise the limit on open files: `ulimit -n`, or `LimitNOFILE=` in a unit of systemd";
        const MEMORY: &str = "give this process more memory, or run less beside it";
        const WRITE: &str = "give the user that runs this write access to the repository";
        const KNOWN: [(&str, FaultKind, &str, &str); 8] = [
            ("No space left on device", System, "there is no space left on the disk", SPACE),
            ("Disk quota exceeded", System, "there is no space left on the disk", SPACE),
            ("Too many open files", System, "too many files are open", FILES),
            ("Too many open files in system", System, "too many files are open", FILES),
            ("Cannot allocate memory", System, "there is not enough memory", MEMORY),
            ("Read-only file system", ReadOnly, "the repository is read-only: read-only file system", WRITE),
            ("Permission denied", ReadOnly, "the repository is read-only: permission denied", WRITE),
            (
                "Operation not permitted",
                ReadOnly,
                "the repository is read-only: operation not permitted",
                WRITE,
            ),
        ];
        let message = message.rsplit_once(" (os error ").map_or(message, |(message, _)| message);
        let (_, kind, message, hint) = KNOWN.into_iter().find(|(words, ..)| message.ends_with(words))?;
        Some(Self::new(kind, message, hint))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let message = error.to_string();
        Self::of_system(&message).unwrap_or_else(|| Self::without_hint(FaultKind::Stalled, message))
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let kind = if error.is_transient() { FaultKind::Transient } else { FaultKind::Stalled };
        Self { kind, message: error.to_string(), hint: error.hint() }
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        let kind = if error.is_transient() { FaultKind::Transient } else { FaultKind::Stalled };
        Self { kind, message: with_causes(&error), hint: error.hint() }
    }
}

/// Returns the folder in single quotes that a message about its owner names.
fn quoted_folder(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once(" '")?;
    Some(PathBuf::from(rest.rsplit_once('\'')?.0))
}

/// Returns the error of opening the few files that reading an object opens, if there is no room for them.
fn out_of_files() -> Option<io::Error> {
    let files: io::Result<Vec<_>> = (0..4).map(|_| std::fs::File::open("/dev/null")).collect();
    files.err().filter(|error| matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE)))
}

/// Lists names for a message.
pub(super) fn quoted(names: &[String]) -> String {
    quoted_up_to(LISTED_NAMES, names)
}

/// Writes a path as one word for a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::git::BlobCache;
    use crate::git::scene::{Scene, with_few_files};

    fn error(fault: Fault) -> GitError {
        GitError { repository: "/srv/fleet.git".into(), attempt: "read branch `mian`".into(), fault }
    }

    #[test]
    fn an_error_says_which_repository_what_was_attempted_and_the_way_out() {
        let error = error(Fault::unknown_branch("mian", &["main".into(), "next".into()]));
        assert_eq!(error.to_string(), "failed to read branch `mian` (repository `/srv/fleet.git`)");
        assert_eq!(error.source().unwrap().to_string(), "there is no branch `mian`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `main`?"));
        assert!(!error.is_transient());
    }

    #[test]
    fn a_far_off_branch_name_is_answered_with_the_list() {
        let existing: Vec<_> = (0..10).map(|n| format!("b{n}")).collect();
        let hint = error(Fault::unknown_branch("zzz", &existing)).hint().unwrap();
        assert!(hint.starts_with("branches that exist: `b0`, "), "{hint}");
        assert!(hint.ends_with("`b7` and 2 more"), "{hint}");
    }

    fn passed_on(fault: Fault) -> GitError {
        let error = GitError::at("/fleet.git".as_ref(), "read a blob", fault);
        serde_json::from_str(&serde_json::to_string(&error).unwrap()).unwrap()
    }

    #[test]
    fn what_is_decided_by_a_failure_is_the_same_on_the_other_side() {
        let of_git2 = |class| {
            let error = git2::Error::new(ErrorCode::GenericError, class, "it is torn");
            passed_on(Fault::of_git2(&error, CLONE_AGAIN))
        };
        let missing = git2::Error::new(ErrorCode::NotFound, ErrorClass::Odb, "no match for id");
        let missing = passed_on(Fault::of_git2(&missing, "get it with `git fetch --unshallow`"));
        assert!(missing.is_damage() && missing.hint().unwrap().contains("--unshallow"));
        let (torn, other) = (of_git2(ErrorClass::Zlib), of_git2(ErrorClass::Os));
        assert!(torn.is_damage() && !other.is_damage());
        assert!(torn.fault.to_string().contains("it is torn"), "{}", torn.fault);
        let full = passed_on(io::Error::from(Errno::NOSPC).into());
        assert!(full.is_transient() && !other.is_transient());
        assert_eq!(other.to_string(), "failed to read a blob (repository `/fleet.git`)");
    }

    #[test]
    fn a_folder_is_named_as_it_is_compared() {
        for (message, folder) in [
            ("repository path '/srv/it's mine' is not owned by current user", Some("/srv/it's mine")),
            ("fatal: detected dubious ownership in repository at '/srv/a'\nTo add", Some("/srv/a")),
            ("no folder", None),
        ] {
            assert_eq!(quoted_folder(message), folder.map(PathBuf::from));
        }
    }

    #[test]
    fn what_the_operating_system_says_is_reported_as_such_and_never_as_damage() {
        for (words, hint) in [
            ("Too many open files", "ulimit -n"),
            ("Too many open files in system", "ulimit -n"),
            ("Cannot allocate memory", "more memory"),
            ("No space left on device", "free some space"),
            ("Permission denied", "write access"),
            ("Read-only file system", "write access"),
        ] {
            let of_git =
                git2::Error::new(ErrorCode::GenericError, ErrorClass::Os, format!("open 'x': {words}"));
            let of_system = io::Error::other(format!("{words} (os error 1)"));
            for fault in [Fault::of_git2(&of_git, CLONE_AGAIN), of_system.into()] {
                let error = error(fault);
                assert!(error.is_of_system(), "{error:?}");
                assert!(!error.is_damage() && error.hint().unwrap().contains(hint), "{error:?}");
            }
        }
        let named = "cannot read `Too many open files`: it is empty";
        assert!(Fault::of_system(named).is_none(), "a file's name was taken for the system's words");
    }

    #[test]
    fn a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing() {
        const TEST: &str =
            "git::error::tests::a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing";
        with_few_files(TEST, || {
            let scene = Scene::bare();
            let tip = scene.commit("main", "start", &[("environments/a.yaml", "a")]);
            scene.git(&["gc", "-q"]);
            let repository = scene.repository();
            let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            let error = repository.snapshot(tip, &mut BlobCache::default()).unwrap_err();
            drop(held);
            assert!(error.is_of_system(), "{error:?}");
            assert_eq!(error.fault.to_string(), "too many files are open");
            assert!(error.is_transient() && !error.is_damage());
            assert!(repository.snapshot(tip, &mut BlobCache::default()).is_ok());
        });
    }
}
