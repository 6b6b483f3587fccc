//! What can go wrong with a repository, told so that a person knows what to do next.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use git2::ErrorClass;
use renderer::problem::did_you_mean;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Revision;
use crate::http::{HttpError, UrlError};
use crate::identity::IdentityError;

/// How many names of branches or files a hint lists before it only counts them.
const LISTED_NAMES: usize = 8;

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
pub enum Fault {
    /// There is no repository here or in a folder above.
    #[error("no git repository is here or in a folder above")]
    NotARepository,
    /// There is not even a folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// The repository has refs and objects but no files.
    #[error("the repository is bare: it has no working tree")]
    NoWorkingTree,
    /// The repository belongs to someone else and is not declared safe.
    #[error("the repository belongs to another user")]
    ForeignOwner {
        /// The folder that has to be declared safe, as git compares it; unknown if git did not say.
        folder: Option<PathBuf>,
    },
    /// A repository whose format libgit2 does not read.
    #[error("the repository {trait_}, which is not supported")]
    UnsupportedFormat {
        /// What it is like: the rest of a sentence about it.
        trait_: &'static str,
        /// What makes it one that is supported.
        hint: &'static str,
    },
    /// A `.git` file that names a folder that is not there.
    #[error("`.git` leads to `{}`, where no repository is", at.display())]
    LostRepository {
        /// Where the repository should be.
        at: PathBuf,
    },
    /// The index cannot be read.
    #[error("its index cannot be read: {reason}")]
    UnreadableIndex {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The repository has no commit yet.
    #[error("the repository has no commits yet")]
    NoCommits,
    /// HEAD names a commit and not a branch.
    #[error("HEAD is detached at {}", at.short())]
    DetachedHead {
        /// Where HEAD is.
        at: Revision,
    },
    /// Nobody is named as the author of commits.
    #[error("git does not know who you are")]
    NoIdentity,
    /// There is no such branch.
    #[error("there is no branch `{branch}`")]
    UnknownBranch {
        /// The branch that was asked for.
        branch: String,
        /// The branches that exist.
        existing: Vec<String>,
    },
    /// A revision, branch or tag that nothing answers to.
    #[error("`{name}` names no commit")]
    UnknownRevision {
        /// What was asked for.
        name: String,
        /// Whether the repository is a shallow clone, so that its history ends early.
        shallow: bool,
    },
    /// An object that history refers to is not in the repository.
    #[error("an object that this needs is missing from the repository")]
    MissingObject {
        /// Why that may be.
        clone: Completeness,
    },
    /// The repository may not be written.
    #[error("the repository is read-only: {reason}")]
    ReadOnly {
        /// What the operating system said.
        reason: String,
    },
    /// There is no space left.
    #[error("there is no space left on the disk")]
    DiskFull,
    /// This process, or all of them together, may open no more files.
    #[error("too many files are open")]
    OpenFiles,
    /// There is not enough memory.
    #[error("there is not enough memory")]
    OutOfMemory,
    /// Someone else holds a lock and did not let go of it in time.
    #[error("{lock} is locked")]
    Locked {
        /// What is locked.
        lock: String,
    },
    /// A change outside the folders that may be written.
    #[error("`{path}` is outside the output folders {}", quoted(roots))]
    OutsideOutput {
        /// The path of the change.
        path: String,
        /// The folders that may be written.
        roots: Vec<String>,
    },
    /// A file name in the output folder that cannot be handled.
    #[error("the file name `{path}` cannot be used: {reason}")]
    UnusablePath {
        /// The path, escaped.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is larger than what is read.
    #[error("`{path}` has {bytes} bytes, more than are read")]
    TooLarge {
        /// The path.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// Both sides of a merge changed the same files.
    #[error("both sides changed {}", quoted(paths))]
    Conflict {
        /// The files.
        paths: Vec<String>,
    },
    /// A branch that is checked out would move over uncommitted changes.
    #[error("uncommitted changes to {} would be overwritten", quoted(paths))]
    UncommittedChanges {
        /// The files with uncommitted changes.
        paths: Vec<String>,
    },
    /// A branch that is checked out would move files that a sparse checkout leaves out.
    #[error("the checkout is sparse and leaves out {}", quoted(paths))]
    LeftOut {
        /// The files that are left out and would change.
        paths: Vec<String>,
    },
    /// A ref that would stand in a folder where another ref is a file, or the other way round.
    #[error("{} is in the way of {}", branch_or_ref(taken), branch_or_ref(name))]
    NameTaken {
        /// The ref that is there.
        taken: String,
        /// The ref that cannot be made.
        name: String,
    },
    /// Something else than a folder where the folder of rendered files belongs.
    #[error("`{path}` is {kind}, not a folder")]
    NotAFolder {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A branch that is checked out in another working tree, or would be deleted while it is checked out.
    #[error("branch `{branch}` is checked out in `{}`", working_tree.display())]
    CheckedOut {
        /// The branch.
        branch: String,
        /// The working tree.
        working_tree: PathBuf,
    },
    /// An address of a kind that cannot be spoken to.
    #[error("`{scheme}` addresses are not supported")]
    UnsupportedUrl {
        /// What stands before `://`.
        scheme: String,
    },
    /// An address that cannot be read. It is not repeated: it may hold a password.
    #[error("the address cannot be used: {reason}")]
    MalformedUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// An address of a web server that is not spoken to.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A web server gave no good answer.
    #[error(transparent)]
    Http(Box<HttpError>),
    /// There is no credential to be had.
    #[error(transparent)]
    Identity(Box<IdentityError>),
    /// A web server answered, but not as git.
    #[error("`{url}` answers, but not as a git repository")]
    NotGit {
        /// The address.
        url: String,
    },
    /// `ssh` was not let in.
    #[error("`ssh` was not let in: {told}")]
    SshRefused {
        /// Its last words.
        told: String,
    },
    /// `ssh` does not know the other side's key, or knows another one.
    #[error("`ssh` does not trust the host's key")]
    UnknownHostKey,
    /// The other side has no such repository, or none that may be seen.
    #[error("there is no such repository, or it may not be seen: {told}")]
    NoSuchRemote {
        /// What the other side said.
        told: String,
    },
    /// A program that is needed is not installed.
    #[error("the program `{program}` is not installed")]
    NoProgram {
        /// The program.
        program: String,
    },
    /// A pack that does not add up: it was damaged, or leans on an object here that is.
    #[error("the objects that the other side sent are not sound: {message}")]
    UnsoundPack {
        /// What is wrong with it.
        message: String,
    },
    /// A folder in which there is something else than a mirror.
    #[error("the folder is not empty and not a mirror")]
    NotAMirror,
    /// A mirror of another repository.
    #[error("it is the mirror of `{of}`")]
    OtherMirror {
        /// What it is the mirror of.
        of: String,
    },
    /// Another process works in the mirror.
    #[error("another process works in it")]
    MirrorInUse,
    /// The other repository is itself a shallow clone.
    #[error("the other repository is a shallow clone, which lacks history that is needed here")]
    ShallowRemote,
    /// The other repository names its objects in another way.
    #[error("the other repository names its objects by `{format}`, and only `sha1` is supported")]
    ObjectFormat {
        /// The way it does.
        format: String,
    },
    /// The other repository did not speak as expected.
    #[error("{message}")]
    Protocol {
        /// What went wrong.
        message: String,
    },
    /// Anything else, in libgit2's words.
    #[error("{message}")]
    Other {
        /// The message.
        message: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
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

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::Http(Box::new(error))
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        Self::Identity(Box::new(error))
    }
}

impl GitError {
    /// Returns what to do next, if something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.fault.hint(&self.repository)
    }

    /// Returns whether trying again later may help without anyone changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.fault.is_transient()
    }

    /// Returns whether something in the repository itself is damaged, so that a fresh clone would help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match &self.fault {
            Fault::MissingObject { .. } | Fault::UnsoundPack { .. } => true,
            // An object whose content cannot be read is none: libgit2 checks that it is the content of that id, so this is
            // what its author wrote.
            Fault::Other { source, .. } => source.downcast_ref::<git2::Error>().is_some_and(|error| {
                use ErrorClass::{Indexer, Odb, Reference, Zlib};
                matches!(error.class(), Indexer | Odb | Reference | Zlib)
            }),
            _ => false,
        }
    }
}

impl Fault {
    /// Returns the fault of a branch that is not among `existing`.
    pub(super) fn unknown_branch(branch: &str, existing: Vec<String>) -> Self {
        if existing.is_empty() {
            return Self::NoCommits;
        }
        Self::UnknownBranch { branch: branch.escape_debug().to_string(), existing }
    }

    /// Returns whether the operating system stood in the way, whatever the repository is like.
    pub(super) const fn is_of_system(&self) -> bool {
        matches!(self, Self::DiskFull | Self::OpenFiles | Self::OutOfMemory | Self::ReadOnly { .. })
    }

    const fn is_transient(&self) -> bool {
        match self {
            Self::Locked { .. }
            | Self::DiskFull
            | Self::OpenFiles
            | Self::OutOfMemory
            | Self::Protocol { .. }
            | Self::UnsoundPack { .. }
            | Self::MirrorInUse => true,
            Self::Http(error) => error.is_transient(),
            Self::Identity(error) => error.is_transient(),
            _ => false,
        }
    }

    fn hint(&self, repository: &Path) -> Option<String> {
        let hint = match self {
            Self::NotARepository => "run inside a repository, name one with `--repo DIR`, or create one with `git init`".into(),
            Self::NoSuchFolder => "name an existing folder with `--repo DIR`".into(),
            Self::NoWorkingTree => {
                "work in a clone of it, or compare two revisions with `fleetwright diff BASE HEAD`".into()
            }
            Self::ForeignOwner { folder } => format!(
                "trust it with `git config --global --add safe.directory {}`",
                shell_word(folder.as_deref().unwrap_or(repository))
            ),
            Self::UnsupportedFormat { hint, .. } => (*hint).into(),
            Self::LostRepository { .. } => {
                "where a working tree was moved, run `git worktree repair`; for a submodule, `git submodule update --init` in the repository around it".into()
            }
            Self::UnreadableIndex { .. } => "see what `git status` says; `git reset` writes the index again if its file is removed".into(),
            Self::LeftOut { .. } => "check them out with `git sparse-checkout add FOLDER`, or all with `git sparse-checkout disable`, or switch to another branch first".into(),
            Self::NameTaken { taken, .. } => match taken.strip_prefix("refs/heads/") {
                Some(branch) => format!("rename that branch, for instance with `git branch -m {branch} {}-branch`", branch.replace('/', "-")),
                None => format!("rename it, or delete it with `git update-ref -d {taken}`"),
            },
            Self::NotAFolder { .. } => "move it away in a commit of your own: the rendered files go into a folder there".into(),
            Self::NoCommits => "make a first commit, for instance `git commit --allow-empty -m start`".into(),
            Self::DetachedHead { .. } => "name the base branch, or check one out with `git switch BRANCH`".into(),
            Self::NoIdentity => {
                "set `git config user.name \"Your Name\"` and `git config user.email you@example.com`".into()
            }
            Self::UnknownBranch { branch, existing } => branch_hint(branch, existing),
            Self::UnknownRevision { shallow: false, .. } => "list what there is with `git log --oneline --all`".into(),
            Self::UnknownRevision { shallow: true, .. } | Self::MissingObject { clone: Completeness::Shallow } => {
                "this is a shallow clone: get the rest of its history with `git fetch --unshallow`".into()
            }
            Self::MissingObject { clone: Completeness::Partial } => {
                "this is a partial clone: get what it leaves out with `git fetch --refetch --no-filter`".into()
            }
            Self::MissingObject { clone: Completeness::Whole } => {
                "the repository is damaged: see `git fsck`, and fetch the missing objects or clone anew".into()
            }
            Self::ReadOnly { .. } => "give the user that runs this write access to the repository".into(),
            Self::DiskFull => "free some space and run again; nothing was changed".into(),
            Self::OpenFiles => {
                "raise the limit on open files: `ulimit -n`, or `LimitNOFILE=` in a unit of systemd".into()
            }
            Self::OutOfMemory => "give this process more memory, or run less beside it".into(),
            Self::Locked { .. } => {
                format!("if no git command is running, remove the `.lock` file below `{}`", repository.display())
            }
            Self::TooLarge { .. } => "remove or split that file in a commit of your own".into(),
            Self::UnusablePath { .. } => "rename or remove that file in a commit of your own".into(),
            Self::Conflict { .. } => {
                "the next run rebuilds the branch on the newest base; merge after that, or merge by hand with `git merge`".into()
            }
            Self::UncommittedChanges { .. } => "commit or stash them first, for instance with `git stash`".into(),
            Self::CheckedOut { .. } => "switch that working tree to another branch with `git switch`".into(),
            Self::UnsupportedUrl { .. } => "use `https://`, `ssh://`, `file://` or a path".into(),
            Self::MalformedUrl { .. } => {
                "write it like `https://github.com/acme/fleet.git` or `git@github.com:acme/fleet.git`".into()
            }
            Self::Url(error) => error.hint(),
            Self::Http(error) => return error.hint(),
            Self::Identity(error) => return error.hint(),
            Self::NotGit { .. } => "check the address; a page for people, such as a login, is no repository".into(),
            Self::SshRefused { .. } => {
                "give the user that runs this a key that the other side knows, or name one in `~/.ssh/config`".into()
            }
            Self::UnknownHostKey => "verify the host's key and add it to `~/.ssh/known_hosts`".into(),
            Self::NoSuchRemote { .. } => "check the spelling, and that the key may read the repository".into(),
            Self::NoProgram { program } => format!("install `{program}`, or use an `https://` address"),
            Self::ShallowRemote => "name the repository that it was cloned from, or complete it with `git fetch --unshallow`".into(),
            Self::NotAMirror | Self::OtherMirror { .. } => "name another folder with `--mirror DIR`, or an empty one".into(),
            Self::MirrorInUse => "each service needs a mirror of its own: name one with `--mirror DIR`".into(),
            Self::OutsideOutput { .. } | Self::UnsoundPack { .. } | Self::Protocol { .. } | Self::ObjectFormat { .. } | Self::Other { .. } => return None,
        };
        Some(hint)
    }
}

fn branch_hint(branch: &str, existing: &[String]) -> String {
    match did_you_mean(branch, existing.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if existing.is_empty() => "there are no branches yet: make a first commit".into(),
        None => format!("branches that exist: {}", quoted(existing)),
    }
}

fn quoted(names: &[String]) -> String {
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

/// Names a ref as people do.
fn branch_or_ref(name: &str) -> String {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("branch `{branch}`"),
        None => format!("ref `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(fault: Fault) -> GitError {
        GitError { repository: "/srv/fleet.git".into(), attempt: "read branch `mian`".into(), fault }
    }

    #[test]
    fn an_error_says_which_repository_what_was_attempted_and_the_way_out() {
        let error = error(Fault::UnknownBranch {
            branch: "mian".into(),
            existing: vec!["main".into(), "next".into()],
        });
        assert_eq!(error.to_string(), "failed to read branch `mian` (repository `/srv/fleet.git`)");
        assert_eq!(error.source().unwrap().to_string(), "there is no branch `mian`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `main`?"));
        assert!(!error.is_transient());
    }

    #[test]
    fn a_far_off_branch_name_is_answered_with_the_list() {
        let existing = (0..10).map(|n| format!("b{n}")).collect();
        let hint = error(Fault::UnknownBranch { branch: "zzz".into(), existing }).hint().unwrap();
        assert!(hint.starts_with("branches that exist: `b0`, "), "{hint}");
        assert!(hint.ends_with("`b7` and 2 more"), "{hint}");
    }
}
