//! The repository behind the fake: a real bare one, asked and changed through the `git` command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::program::command;

/// A bare repository on disk.
#[derive(Clone, Debug)]
pub struct Origin {
    folder: PathBuf,
}

/// How much a head changes, as a pull request counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Commits that the base does not have.
    pub commits: u64,
    /// Files that differ.
    pub files: u64,
    /// Lines added.
    pub additions: u64,
    /// Lines deleted.
    pub deletions: u64,
}

impl Origin {
    /// Returns the repository in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Returns the tips of all branches by their short names.
    pub fn branches(&self) -> Result<BTreeMap<String, String>> {
        let list =
            self.git(&["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/"])?;
        Ok(list
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, id)| (name.to_owned(), id.to_owned()))
            .collect())
    }

    /// Returns the branch that `HEAD` names.
    pub fn default_branch(&self) -> Result<String> {
        self.git(&["symbolic-ref", "--short", "HEAD"])
    }

    /// Returns whether there is such a commit.
    #[must_use]
    pub fn has_commit(&self, id: &str) -> bool {
        self.git(&["cat-file", "-e", &format!("{id}^{{commit}}")]).is_ok()
    }

    /// Returns the tree, the parents and the message of a commit.
    pub fn commit(&self, id: &str) -> Result<[String; 3]> {
        let shown = self.git(&["show", "-s", "--format=%T%n%P%n%B", id])?;
        let mut parts = shown.splitn(3, '\n').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Ok([next(), next(), next()])
    }

    /// Returns whether `ancestor` is `tip` or comes before it.
    #[must_use]
    pub fn is_ancestor(&self, ancestor: &str, tip: &str) -> bool {
        ancestor == tip || self.git(&["merge-base", "--is-ancestor", ancestor, tip]).is_ok()
    }

    /// Returns how much `head` changes over its common history with `base`.
    pub fn size(&self, base: &str, head: &str) -> Result<Size> {
        let commits = self.git(&["rev-list", "--count", &format!("{base}..{head}")])?.parse()?;
        let lines = self.git(&["diff", "--numstat", &format!("{base}...{head}")]).unwrap_or_default();
        let mut size = Size { commits, ..Size::default() };
        for line in lines.lines() {
            let mut columns = line.split('\t').map(|column| column.parse().unwrap_or(0));
            size.files += 1;
            size.additions += columns.next().unwrap_or(0);
            size.deletions += columns.next().unwrap_or(0);
        }
        Ok(size)
    }

    /// Returns where two commits part, and what the second changes since: a letter for each file, and its names.
    pub fn changed(&self, base: &str, head: &str) -> Result<(String, Vec<Vec<String>>)> {
        let parting = self.git(&["merge-base", base, head])?;
        let options = ["-c", "core.quotePath=false", "diff", "--name-status", "-M", &parting, head];
        let lines = self.git(&options)?;
        Ok((parting, lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()))
    }

    /// Merges `head` into the branch `base`, and returns the merge commit; `None` if they conflict.
    pub fn merge(&self, base: &str, head: &str, message: &str) -> Result<Option<String>> {
        let tip = self.git(&["rev-parse", &format!("refs/heads/{base}")])?;
        let Ok(tree) = self.git(&["merge-tree", "--write-tree", &tip, head]) else { return Ok(None) };
        let merge = self.git(&["commit-tree", &tree, "-p", &tip, "-p", head, "-m", message])?;
        self.git(&["update-ref", &format!("refs/heads/{base}"), &merge, &tip])?;
        Ok(Some(merge))
    }

    /// Puts what `head` changes onto the branch `base` as one commit, and returns it; `None` if they conflict.
    pub fn squash(&self, base: &str, head: &str, message: &str) -> Result<Option<String>> {
        let tip = self.git(&["rev-parse", &format!("refs/heads/{base}")])?;
        let Ok(tree) = self.git(&["merge-tree", "--write-tree", &tip, head]) else { return Ok(None) };
        let commit = self.git(&["commit-tree", &tree, "-p", &tip, "-m", message])?;
        self.git(&["update-ref", &format!("refs/heads/{base}"), &commit, &tip])?;
        Ok(Some(commit))
    }

    /// Puts a copy of each commit of `head` onto the branch `base`, and returns the last; `None` if they conflict.
    pub fn rebase(&self, base: &str, head: &str) -> Result<Option<String>> {
        let tip = self.git(&["rev-parse", &format!("refs/heads/{base}")])?;
        let commits = self.git(&["rev-list", "--reverse", "--no-merges", &format!("{tip}..{head}")])?;
        let mut last = tip.clone();
        for commit in commits.lines() {
            let message = self.git(&["log", "-1", "--format=%B", commit])?;
            // What lies beside the commit, so that its parent is where both part.
            let beside = self.git(&[
                "commit-tree",
                &format!("{last}^{{tree}}"),
                "-p",
                &format!("{commit}^"),
                "-m",
                "x",
            ])?;
            let Ok(tree) = self.git(&["merge-tree", "--write-tree", &beside, commit]) else {
                return Ok(None);
            };
            last = self.git(&["commit-tree", &tree, "-p", &last, "-m", &message])?;
        }
        self.git(&["update-ref", &format!("refs/heads/{base}"), &last, &tip])?;
        Ok(Some(last))
    }

    /// Keeps the head of a pull request under the ref that GitHub keeps it under.
    pub fn set_pull(&self, number: u64, sha: &str) -> Result<()> {
        self.git(&["update-ref", &format!("refs/pull/{number}/head"), sha]).map(drop)
    }

    /// Renames a branch, and lets `HEAD` follow if it named it.
    pub fn rename(&self, old: &str, new: &str) -> Result<()> {
        self.git(&["branch", "-M", old, new]).map(drop)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        const DATE: &str = "1767312000 +0000";
        let output = command("git")
            .args(arguments)
            .current_dir(&self.folder)
            .envs([("GIT_AUTHOR_NAME", "GitHub"), ("GIT_AUTHOR_EMAIL", "noreply@github.com")])
            .envs([("GIT_COMMITTER_NAME", "GitHub"), ("GIT_COMMITTER_EMAIL", "noreply@github.com")])
            .envs([("GIT_AUTHOR_DATE", DATE), ("GIT_COMMITTER_DATE", DATE)])
            .stdin(Stdio::null())
            .output()
            .context("failed to start `git`")?;
        if !output.status.success() {
            bail!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}
