//! What goes wrong with a repository on this machine, sorted by what a user can do about it.

use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode};
use renderer::problem::did_you_mean;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many names of branches or files a message lists before it only counts them.
const LISTED_NAMES: usize = 8;

/// Something that a user has to change before trying again can help.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Stalled {
    /// What stands in the way.
    pub message: String,
    /// What to do about it, if something is known.
    pub hint: Option<String>,
}

/// What stood in the way of an operation on refs and objects.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ObjectError {
    /// A user has to change something.
    #[error(transparent)]
    Stalled(#[from] Stalled),
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] SystemError),
    /// An object that history refers to is not in the repository.
    #[error("an object that this needs is missing from the repository")]
    Missing {
        /// Why that may be.
        clone: Completeness,
    },
    /// What is in the repository is damaged.
    #[error("{message}")]
    Damaged {
        /// What is wrong with it.
        message: String,
    },
    /// Another process holds a lock and did not release it in time.
    #[error("{lock} is locked")]
    Locked {
        /// What is locked.
        lock: String,
    },
    /// Both sides of a merge changed the same files.
    #[error("both sides changed {}", quoted(paths))]
    Conflict {
        /// The files.
        paths: Vec<String>,
    },
    /// Anything else, in the words of libgit2 or of the operating system.
    #[error("{message}")]
    Other {
        /// What went wrong.
        message: String,
    },
}

/// The operating system stood in the way, whatever the repository is like.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum SystemError {
    /// There is no space left.
    #[error("there is no space left on the disk")]
    DiskFull,
    /// This process, or all of them together, may open no more files.
    #[error("too many files are open")]
    OpenFiles,
    /// There is not enough memory.
    #[error("there is not enough memory")]
    OutOfMemory,
    /// The repository may not be written.
    #[error("the repository is read-only: {reason}")]
    ReadOnly {
        /// The words of the operating system.
        reason: String,
    },
}

/// How much of its history and files a clone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completeness {
    /// All of it.
    Whole,
    /// A shallow clone: history ends early.
    Shallow,
    /// A partial clone: what is not here is fetched by git when it is needed.
    Partial,
}

impl Stalled {
    pub(in crate::git) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    pub(in crate::git) fn without_hint(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(in crate::git) fn not_a_repository() -> Self {
        Self::new(
            "no git repository is here or in a folder above",
            "run inside a repository, name one with `--repo DIR`, or create one with `git init`",
        )
    }

    /// The repository belongs to another user. `message` names the folder as git compares it with its configuration,
    /// which differs between a working tree, a linked one and a bare repository.
    pub(in crate::git) fn foreign_owner(message: &str) -> Self {
        let folder = quoted_folder(message).unwrap_or_default();
        let hint =
            format!("trust it with `git config --global --add safe.directory {}`", shell_word(&folder));
        Self::new("the repository belongs to another user", hint)
    }

    pub(in crate::git) fn no_commits() -> Self {
        Self::new(
            "the repository has no commits yet",
            "make a first commit, for instance `git commit --allow-empty -m start`",
        )
    }

    /// There is no such branch among `existing`.
    pub(in crate::git) fn unknown_branch(branch: &str, existing: &[String]) -> Self {
        if existing.is_empty() {
            return Self::no_commits();
        }
        let branch = branch.escape_debug().to_string();
        let hint = match did_you_mean(&branch, existing.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("branches that exist: {}", quoted(existing)),
        };
        Self::new(format!("there is no branch `{branch}`"), hint)
    }

    /// A new ref can neither stand below another one nor where others stand below it.
    pub(in crate::git) fn name_taken(taken: &str, name: &str) -> Self {
        let hint = match taken.strip_prefix("refs/heads/") {
            Some(branch) => {
                let new = branch.replace('/', "-");
                format!("rename that branch, for instance with `git branch -m {branch} {new}-branch`")
            }
            None => format!("rename it, or delete it with `git update-ref -d {taken}`"),
        };
        Self::new(format!("{} is in the way of {}", branch_or_ref(taken), branch_or_ref(name)), hint)
    }
}

impl ObjectError {
    /// Sorts an error of libgit2 by what a user can do about it.
    pub(in crate::git) fn of_git2(error: &git2::Error, clone: Completeness) -> Self {
        use ErrorClass::{Indexer, NoMemory, Odb, Reference, Zlib};
        let message = error.message();
        if let Some(error) = of_format(message) {
            return error.into();
        }
        if let Some(error) = SystemError::of_message(message) {
            return error.into();
        }
        match (error.code(), error.class()) {
            (ErrorCode::Locked, _) => Self::Locked { lock: "a file of the repository".into() },
            (ErrorCode::Owner, _) => Stalled::foreign_owner(message).into(),
            (ErrorCode::UnbornBranch, _) => Stalled::no_commits().into(),
            (_, NoMemory) => SystemError::OutOfMemory.into(),
            // libgit2 takes a pack that it could not open for one that lacks the object.
            (ErrorCode::NotFound, Odb) if !can_open_files() => SystemError::OpenFiles.into(),
            (ErrorCode::NotFound, Odb) => Self::Missing { clone },
            // An object whose content cannot be read is no damage: libgit2 checks that it is the content of that id,
            // so this is what its author wrote.
            (_, Indexer | Odb | Reference | Zlib) => Self::Damaged { message: message.to_owned() },
            _ => Self::Other { message: message.to_owned() },
        }
    }

    pub(in crate::git) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Stalled(stalled) => return stalled.hint.clone(),
            Self::System(error) => error.hint(),
            Self::Missing { clone } => clone.hint(),
            Self::Locked { .. } => "if no git command is running, remove the `.lock` file in the repository",
            Self::Conflict { .. } => {
                "the next run rebuilds the branch on the newest base; merge after that, or merge by hand with `git merge`"
            }
            Self::Damaged { .. } | Self::Other { .. } => return None,
        };
        Some(hint.to_owned())
    }

    pub(in crate::git) const fn is_transient(&self) -> bool {
        match self {
            Self::System(error) => !matches!(error, SystemError::ReadOnly { .. }),
            Self::Locked { .. } => true,
            _ => false,
        }
    }

    /// Returns whether a fresh clone would help.
    pub(in crate::git) const fn is_damage(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Damaged { .. })
    }
}

impl From<std::io::Error> for ObjectError {
    fn from(error: std::io::Error) -> Self {
        let message = error.to_string();
        SystemError::of_message(&message).map_or_else(|| Self::Other { message }, Self::System)
    }
}

impl SystemError {
    /// Returns the error that the operating system names at the end of a message, if it is one that a user can act
    /// on.
    pub(in crate::git) fn of_message(message: &str) -> Option<Self> {
        let message = message.rsplit_once(" (os error ").map_or(message, |(message, _)| message);
        let read_only = |reason: &str| Self::ReadOnly { reason: reason.to_owned() };
        let known = [
            ("No space left on device", Self::DiskFull),
            ("Disk quota exceeded", Self::DiskFull),
            ("Too many open files", Self::OpenFiles),
            ("Too many open files in system", Self::OpenFiles),
            ("Cannot allocate memory", Self::OutOfMemory),
            ("Read-only file system", read_only("read-only file system")),
            ("Permission denied", read_only("permission denied")),
            ("Operation not permitted", read_only("operation not permitted")),
        ];
        known.into_iter().find(|(words, _)| message.ends_with(words)).map(|(_, error)| error)
    }

    const fn hint(&self) -> &'static str {
        match self {
            Self::DiskFull => "free some space and run again; nothing was changed",
            Self::OpenFiles => {
                "raise the limit on open files: `ulimit -n`, or `LimitNOFILE=` in a unit of systemd"
            }
            Self::OutOfMemory => "give this process more memory, or run less beside it",
            Self::ReadOnly { .. } => "give the user that runs this write access to the repository",
        }
    }
}

impl Completeness {
    const fn hint(self) -> &'static str {
        match self {
            Self::Whole => {
                "the repository is damaged: see `git fsck`, and fetch the missing objects or clone again"
            }
            Self::Shallow => {
                "this is a shallow clone: get the rest of its history with `git fetch --unshallow`"
            }
            Self::Partial => {
                "this is a partial clone: get what it leaves out with `git fetch --refetch --no-filter`"
            }
        }
    }
}

/// Returns the error of a repository whose format libgit2 does not read.
fn of_format(message: &str) -> Option<Stalled> {
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
    Some(Stalled::new(format!("the repository {trait_}, which is not supported"), hint))
}

/// Returns the folder in single quotes that a message about its owner names.
fn quoted_folder(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once(" '")?;
    Some(PathBuf::from(rest.rsplit_once('\'')?.0))
}

/// Returns whether there is room for the few files that reading an object opens.
fn can_open_files() -> bool {
    let files: Result<Vec<_>, _> = (0..4).map(|_| std::fs::File::open("/dev/null")).collect();
    !matches!(files.map_err(ObjectError::from), Err(ObjectError::System(SystemError::OpenFiles)))
}

/// Lists names for a message.
pub(in crate::git) fn quoted(names: &[String]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED_NAMES) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// Writes a path as one word for a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn branch_or_ref(name: &str) -> String {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("branch `{branch}`"),
        None => format!("ref `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::{Scene, with_few_files};
    use crate::git::{BlobCache, Fault, GitError};

    fn error(fault: ObjectError) -> GitError {
        let fault = fault.into();
        GitError { repository: "/srv/fleet.git".into(), attempt: "read branch `mian`".into(), fault }
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
            let of_system = std::io::Error::other(format!("{words} (os error 1)"));
            for fault in [ObjectError::of_git2(&of_git, Completeness::Whole), of_system.into()] {
                assert!(matches!(fault, ObjectError::System(_)), "{fault:?}");
                let error = error(fault);
                assert!(!error.is_damage() && error.hint().unwrap().contains(hint), "{error:?}");
            }
        }
        let named = "cannot read `Too many open files`: it is empty";
        assert!(SystemError::of_message(named).is_none(), "a file's name was taken for the system's words");
    }

    #[test]
    fn a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing() {
        const TEST: &str = "git::objects::error::tests::a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing";
        with_few_files(TEST, || {
            let scene = Scene::bare();
            let tip = scene.commit("main", "start", &[("environments/a.yaml", "a")]);
            scene.git(&["gc", "-q"]);
            let repository = scene.repository();
            let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            let error = repository.snapshot(tip, &mut BlobCache::default()).unwrap_err();
            drop(held);
            assert!(
                matches!(error.fault, Fault::Object(ObjectError::System(SystemError::OpenFiles))),
                "{error:?}"
            );
            assert!(error.is_transient() && !error.is_damage());
            assert!(repository.snapshot(tip, &mut BlobCache::default()).is_ok());
        });
    }
}
