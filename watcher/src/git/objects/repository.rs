//! A repository: opening it, and reading what its branches name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use derive_more::Debug;
use git2::ErrorCode;

use super::commit_object::CommitObject;
use super::revision::Revision;
use super::signature::Signature;
use crate::git::error::{CLONE_AGAIN, Fault, GitError};

/// The hint for a clone that has only the newest part of its history.
const UNSHALLOW: &str = "this is a shallow clone: get the rest of its history with `git fetch --unshallow`";

/// What the full names of branches begin with.
pub(in crate::git) const HEADS: &str = "refs/heads/";

/// Returns the names of the branches among some refs.
pub(in crate::git) fn branch_names(refs: &BTreeMap<String, Revision>) -> Vec<String> {
    refs.keys().filter_map(|name| name.strip_prefix(HEADS).map(str::to_owned)).collect()
}

/// A repository with or without a working tree.
///
/// Cheap to open again; each thread has its own.
#[derive(Debug)]
#[debug("Repository({path:?})")]
pub struct Repository {
    pub(in crate::git) inner: git2::Repository,
    path: PathBuf,
}

impl Repository {
    /// Opens the repository that `dir` is in.
    pub fn open(dir: &Path) -> Result<Self, GitError> {
        let opened = git2::Repository::discover(dir);
        let inner = opened.map_err(|error| {
            let fault = match error.code() {
                ErrorCode::NotFound if !dir.exists() => {
                    Fault::stalled("there is no such folder", "name an existing folder with `--repo DIR`")
                }
                ErrorCode::NotFound => Fault::not_a_repository(),
                _ => Fault::of_git2(&error, CLONE_AGAIN),
            };
            GitError::at(dir, "open it", fault)
        })?;
        let path = inner.workdir().unwrap_or_else(|| inner.path()).to_owned();
        Ok(Self { inner, path })
    }

    /// Opens the same repository again, for another thread.
    pub fn reopen(&self) -> Result<Self, GitError> {
        let inner = git2::Repository::open(self.inner.path()).map_err(self.failed("open it again"))?;
        Ok(Self { inner, path: self.path.clone() })
    }

    /// Returns the folder that a person knows the repository by: its working tree, or itself if it is bare.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that holds refs and objects, whose changes are worth watching.
    pub(crate) fn git_dir(&self) -> &Path {
        self.inner.commondir()
    }

    /// Returns the working tree, or `None` for a bare repository.
    pub(crate) fn working_tree(&self) -> Option<&Path> {
        self.inner.workdir()
    }

    /// Returns the error of a command that needs a working tree and has none.
    pub(crate) fn without_working_tree(&self) -> GitError {
        let hint = "work in a clone of it, or compare two revisions with `fleetwright diff BASE HEAD`";
        self.error(
            "read the working tree",
            Fault::stalled("the repository is bare: it has no working tree", hint),
        )
    }

    /// Returns whether history ends early because the clone is shallow.
    pub(crate) fn is_shallow(&self) -> bool {
        self.inner.is_shallow()
    }

    /// Returns what to do about an object that is missing: a clone may lack files or history.
    fn missing_hint(&self) -> &'static str {
        let is_set = |pattern: &str| {
            let config = self.inner.config().ok();
            config.is_some_and(|config| {
                config.entries(Some(pattern)).is_ok_and(|mut found| found.next().is_some())
            })
        };
        match () {
            () if is_set(r"^remote\..*\.promisor$") || is_set(r"^extensions\.partialclone$") => {
                "this is a partial clone: get what it leaves out with `git fetch --refetch --no-filter`"
            }
            () if self.is_shallow() => UNSHALLOW,
            () => CLONE_AGAIN,
        }
    }

    /// Creates a bare repository whose HEAD is on `branch`.
    pub fn init_bare(dir: &Path, branch: &str) -> Result<Self, GitError> {
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head(branch).external_template(false);
        let failed = |error| GitError::at(dir, "create the repository", Fault::of_git2(&error, CLONE_AGAIN));
        git2::Repository::init_opts(dir, &options).map_err(failed)?;
        Self::open(dir)
    }

    /// Returns the user that git is configured for, now, as the author of a merge.
    pub fn person(&self) -> Result<Signature, GitError> {
        let attempt = "find the name and mail address of the user";
        self.inner.signature().map(|signature| Signature::from_git2(&signature)).map_err(|error| {
            if error.code() != ErrorCode::NotFound {
                return self.failed(attempt)(error);
            }
            let hint = "set `git config user.name \"Your Name\"` and `git config user.email you@example.com`";
            self.error(attempt, Fault::stalled("git does not know who you are", hint))
        })
    }

    /// Returns the branch that HEAD is on, even if it has no commit yet.
    pub fn head_branch(&self) -> Result<String, GitError> {
        let attempt = "find the branch that HEAD is on";
        let head = self.inner.find_reference("HEAD").map_err(self.failed(attempt))?;
        let target = head.symbolic_target().map_err(self.failed(attempt))?;
        if let Some(branch) = target.and_then(|name| name.strip_prefix(HEADS)) {
            return Ok(branch.to_owned());
        }
        let at = self.inner.refname_to_id("HEAD").map_err(self.failed(attempt))?;
        let message = format!("HEAD is detached at {}", Revision::from(at).short());
        let hint = "name the base branch, or check one out with `git switch BRANCH`";
        Err(self.error(attempt, Fault::stalled(message, hint)))
    }

    /// Returns the revision that `branch` names.
    pub fn branch(&self, branch: &str) -> Result<Revision, GitError> {
        let attempt = || format!("read branch `{branch}`");
        match self.inner.refname_to_id(&format!("{HEADS}{branch}")) {
            Ok(id) => Ok(Revision::from(id)),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                Err(self.error(attempt(), Fault::unknown_branch(branch, &self.branches()?)))
            }
            Err(error) => Err(self.failed(attempt())(error)),
        }
    }

    /// Returns the names of all branches that name a commit, in order.
    pub fn branches(&self) -> Result<Vec<String>, GitError> {
        Ok(branch_names(&self.refs_below(HEADS)?))
    }

    /// Returns the revision that a branch, tag, id or expression such as `main~2` names.
    pub fn resolve(&self, name: &str) -> Result<Revision, GitError> {
        let attempt = || format!("find revision `{name}`");
        match self.inner.revparse_single(name).and_then(|object| object.peel_to_commit()) {
            Ok(commit) => Ok(Revision::from(commit.id())),
            Err(_) if self.branches()?.is_empty() => Err(self.error(attempt(), Fault::no_commits())),
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Ambiguous | ErrorCode::Peel
                ) =>
            {
                let hint = if self.is_shallow() {
                    UNSHALLOW
                } else {
                    "list what there is with `git log --oneline --all`"
                };
                let message = format!("`{}` names no commit", name.escape_debug());
                Err(self.error(attempt(), Fault::stalled(message, hint)))
            }
            Err(error) => Err(self.failed(attempt())(error)),
        }
    }

    /// Returns whether a commit is here.
    #[must_use]
    pub fn has(&self, revision: Revision) -> bool {
        let header = self.inner.odb().and_then(|odb| odb.read_header(revision.oid()));
        header.is_ok_and(|(_, kind)| kind == git2::ObjectType::Commit)
    }

    /// Returns whether a shallow clone leaves out what comes before a commit.
    pub(in crate::git) fn is_boundary(&self, revision: Revision) -> bool {
        self.is_shallow() && self.boundary().is_ok_and(|boundary| boundary.contains(&revision.to_string()))
    }

    /// Returns the ids of the commits whose parents a shallow clone leaves out.
    pub(in crate::git) fn boundary(&self) -> std::io::Result<Vec<String>> {
        match std::fs::read_to_string(self.git_dir().join("shallow")) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    pub(in crate::git) fn commit_at(&self, revision: Revision) -> Result<CommitObject, GitError> {
        let read = self.inner.odb().and_then(|odb| CommitObject::read(&odb, revision.oid()));
        let mut commit = read.map_err(self.failed(format!("read commit `{revision}`")))?;
        if self.is_boundary(revision) {
            commit.parents.clear();
        }
        Ok(commit)
    }

    pub(in crate::git) fn tree_at(&self, revision: Revision) -> Result<git2::Tree<'_>, GitError> {
        let tree = self.commit_at(revision)?.tree().and_then(|tree| self.inner.find_tree(tree));
        tree.map_err(self.failed(format!("read the tree of commit `{revision}`")))
    }

    /// Returns the error of a ref that is not where it was seen.
    pub(crate) fn lease_lost(
        &self,
        name: &str,
        expected: Option<Revision>,
        found: Option<Revision>,
    ) -> GitError {
        self.error(format!("move `{name}`"), Fault::lease_lost(name, expected, found))
    }

    pub(in crate::git) fn error(&self, attempt: impl Into<String>, fault: impl Into<Fault>) -> GitError {
        GitError::at(&self.path, attempt, fault)
    }

    /// Returns what turns an error of libgit2 into one that names this repository and the attempt.
    pub(in crate::git) fn failed(&self, attempt: impl Into<String>) -> impl FnOnce(git2::Error) -> GitError {
        move |error| self.error(attempt, self.classify(&error))
    }

    pub(in crate::git) fn classify(&self, error: &git2::Error) -> Fault {
        Fault::of_git2(error, self.missing_hint())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::git::scene::Scene;

    #[test]
    fn a_repository_is_found_from_a_folder_inside_it() {
        let scene = Scene::with_working_tree();
        scene.write("environments/app.yaml", "role: app\n");
        let repository = Repository::open(&scene.path().join("environments")).unwrap();
        assert_eq!(
            repository.working_tree().unwrap().canonicalize().unwrap(),
            scene.path().canonicalize().unwrap()
        );
        assert_eq!(repository.head_branch().unwrap(), "main");
    }

    #[test]
    fn a_folder_without_a_repository_is_told_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Repository::open(folder.path()).unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "no git repository is here or in a folder above");
        assert!(error.hint().unwrap().contains("git init"));
    }

    #[test]
    fn an_empty_repository_has_a_branch_name_but_no_commit() {
        let scene = Scene::bare();
        let repository = scene.repository();
        assert_eq!(repository.head_branch().unwrap(), "main");
        for error in [repository.branch("main").unwrap_err(), repository.resolve("HEAD").unwrap_err()] {
            assert_eq!(error.fault.to_string(), "the repository has no commits yet");
        }
    }

    #[test]
    fn a_missing_base_branch_is_answered_with_the_nearest_one() {
        let scene = Scene::bare();
        scene.commit("main", "start", &[("a", "1")]);
        let error = scene.repository().branch("mian").unwrap_err();
        assert!(error.to_string().starts_with("failed to read branch `mian` (repository `"), "{error}");
        assert_eq!(error.hint().unwrap(), "did you mean `main`?");
        assert!(scene.repository().branch("a..b").is_err());
    }

    #[test]
    fn a_detached_head_is_named_and_every_branch_still_reads() {
        let scene = Scene::with_working_tree();
        let tip = scene.commit("main", "start", &[("a", "1")]);
        scene.git(&["checkout", "-q", "--detach", "main"]);
        let repository = scene.repository();
        let error = repository.head_branch().unwrap_err();
        assert_eq!(error.fault.to_string(), format!("HEAD is detached at {}", tip.short()));
        assert_eq!(repository.branch("main").unwrap(), tip);
    }

    #[test]
    fn a_revision_may_be_a_branch_an_expression_or_an_id() {
        let scene = Scene::bare();
        let first = scene.commit("main", "one", &[("a", "1")]);
        let second = scene.commit("main", "two", &[("a", "2")]);
        let repository = scene.repository();
        assert_eq!(repository.resolve("main").unwrap(), second);
        assert_eq!(repository.resolve("main~1").unwrap(), first);
        assert_eq!(repository.resolve(&first.short()).unwrap(), first);
        assert_eq!(repository.resolve("nope").unwrap_err().fault.to_string(), "`nope` names no commit");
    }
}
