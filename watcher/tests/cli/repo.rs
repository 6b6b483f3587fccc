//! A repository in a temporary folder, the real binary run in it, and what a person then sees.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::program;

use crate::fleet::FLEET;

/// 2026-01-01 in UTC, so that commit ids are the same on every day.
const DATE: &str = "1767225600 +0000";

pub struct Repo {
    _folder: TempDir,
    pub top: PathBuf,
}

/// What a command said and how it ended.
pub struct Told {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Repo {
    /// A repository on `main` without a commit.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("repository");
        let repo = Self { _folder: folder, top };
        fs::create_dir(&repo.top).unwrap();
        repo.git(&["init", "-q", "-b", "main", "--template="]);
        repo
    }

    /// The small fleet, rendered and committed.
    pub fn fleet() -> Self {
        let repo = Self::empty();
        for (path, text) in FLEET {
            repo.write(path, text);
        }
        let told = repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        repo.commit("Describe the fleet");
        repo
    }

    /// The fleet that this repository ships.
    pub fn shipped() -> Self {
        let repo = Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        for rendered in ["argocd-apps", "infra/clusters", "infra/fleet"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(rendered), &repo.path(rendered));
        }
        repo.commit("Describe the platform");
        repo
    }

    /// What is described in a folder, not committed yet.
    pub fn of(source: &Path) -> Self {
        let repo = Self::empty();
        for folder in ["environments", "templates"] {
            copy(&source.join(folder), &repo.path(folder));
        }
        repo
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.top.join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Replaces the only occurrence of `old` in a file.
    pub fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {path}");
        self.write(path, text.replacen(old, new, 1));
    }

    pub fn commit(&self, title: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", title]);
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.try_git(arguments).unwrap_or_else(|told| panic!("git {arguments:?}: {told}"))
    }

    /// Runs a git command that may fail, and then returns what it said.
    pub fn try_git(&self, arguments: &[&str]) -> Result<String, String> {
        let output = bare(program::command("git").args(arguments).current_dir(&self.top)).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    pub fn run(&self, arguments: &[&str]) -> Told {
        self.run_in("", arguments)
    }

    /// Runs the command from a folder of the repository.
    pub fn run_in(&self, folder: &str, arguments: &[&str]) -> Told {
        self.told(self.command(arguments).current_dir(self.path(folder)).output().unwrap())
    }

    /// The command in the repository, without anything of the host's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(fleetwright());
        bare(command.args(arguments).current_dir(&self.top));
        command
    }

    pub fn told(&self, output: Output) -> Told {
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.top.to_str().unwrap(), "<repo>");
        // The lines that problems are at have stories of their own (`problems`).
        let err = text(output.stderr).split_inclusive('\n').filter(|line| !is_of_an_excerpt(line)).collect();
        Told { out: text(output.stdout), err, code: output.status.code().unwrap_or(-1) }
    }

    /// Everything in the folder, git's own files included, to show that nothing has changed.
    pub fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        note(&self.top, &mut state);
        state
    }

    /// Runs a command that must fail, and shows that it leaves the repository as it was.
    pub fn refused(&self, arguments: &[&str]) -> Told {
        let before = self.state();
        let told = self.run(arguments);
        assert_ne!(told.code, 0, "{told}");
        assert!(self.state() == before, "the repository has changed");
        told
    }
}

impl fmt::Display for Told {
    /// Writes what stands on standard output, then standard error behind `! `, then the exit code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.out)?;
        self.err.lines().try_for_each(|line| writeln!(f, "! {line}"))?;
        write!(f, "=> {}", self.code)
    }
}

impl Told {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

pub fn fleetwright() -> &'static OsStr {
    OsStr::new(assert_cmd::cargo::cargo_bin!("fleetwright").as_os_str())
}

/// Returns whether a line draws the source of a problem: `12 | text`, or a caret below it.
fn is_of_an_excerpt(line: &str) -> bool {
    line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
}

/// Takes the host's environment and git configuration away.
pub fn bare(command: &mut Command) -> &mut Command {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .envs([("GIT_AUTHOR_NAME", "Ann"), ("GIT_AUTHOR_EMAIL", "ann@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ann"), ("GIT_COMMITTER_EMAIL", "ann@example.com")])
        .envs([("GIT_AUTHOR_DATE", DATE), ("GIT_COMMITTER_DATE", DATE)])
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn note(path: &Path, state: &mut BTreeMap<PathBuf, String>) {
    let metadata = path.symlink_metadata().unwrap();
    let what = if metadata.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().display())
    } else if metadata.is_dir() {
        fs::read_dir(path).into_iter().flatten().for_each(|entry| note(&entry.unwrap().path(), state));
        "folder".to_owned()
    } else {
        // A large file is told by its time and size; what else there is, by its content, too.
        let text = if metadata.len() < 100_000 { fs::read(path).unwrap_or_default() } else { Vec::new() };
        format!("{:?} {} {}", metadata.modified().unwrap(), metadata.len(), String::from_utf8_lossy(&text))
    };
    state.insert(path.to_owned(), what);
}
