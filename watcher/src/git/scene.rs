//! Real repositories in temporary folders, set up and judged by the `git` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

use renderer::path::RepoPath;
use testkit::program::write_script;

use super::{Repository, Revision, Signature};

/// 2026-01-01 in UTC; each commit of a scene is a minute later than the one before.
const START: i64 = 1_767_225_600;

/// Runs `story` on a file system of one MiB of its own, or says why it cannot.
///
/// The test runs once more in a child with a mount namespace, so that nothing is left behind whatever happens.
pub(crate) fn on_a_small_disk(test: &str, story: impl Fn(Scene)) {
    if let Some(disk) = std::env::var_os("FLEETWRIGHT_TEST_DISK") {
        let path = PathBuf::from(disk).join("repository");
        story(
            Scene { _folder: tempfile::tempdir().unwrap(), path, next: AtomicI64::new(START) }
                .init(&["--bare"]),
        );
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .env("FLEETWRIGHT_TEST_DISK", disk.path())
            .env("FLEETWRIGHT_TEST_EXE", std::env::current_exe().unwrap())
            .output()
    };
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$FLEETWRIGHT_TEST_DISK\"";
    if !run(mount).is_ok_and(|output| output.status.success()) {
        eprintln!("left out: this machine does not let a test mount a small file system");
        return;
    }
    let output =
        run(&format!("{mount} && exec \"$FLEETWRIGHT_TEST_EXE\" --exact {test} --nocapture")).unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `story` in a child that may open 64 files.
pub(crate) fn with_few_files(test: &str, story: impl Fn()) {
    if std::env::var_os("FLEETWRIGHT_TEST_FILES").is_some() {
        return story();
    }
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -n 64; exec \"$EXE\" --exact {test} --nocapture")])
        .env("EXE", std::env::current_exe().unwrap())
        .env("FLEETWRIGHT_TEST_FILES", "1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("1 passed"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
}

/// A repository and the folder that it lives in.
pub(crate) struct Scene {
    _folder: tempfile::TempDir,
    path: PathBuf,
    next: AtomicI64,
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

pub(crate) fn signature() -> Signature {
    Signature {
        name: "Mia".into(),
        email: "mia@example.com".into(),
        seconds: START + 86_400,
        offset_minutes: 0,
    }
}

impl Scene {
    pub(crate) fn bare() -> Self {
        Self::empty().init(&["--bare"])
    }

    pub(crate) fn with_working_tree() -> Self {
        Self::empty().init(&[])
    }

    fn init(self, options: &[&str]) -> Self {
        std::fs::create_dir(&self.path).unwrap();
        self.git(&[&["init", "-q", "-b", "main", "--template="], options].concat());
        // libgit2 reads the host's configuration in the test's own process; what matters there is settled here.
        self.git(&["config", "core.autocrlf", "false"]);
        self
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repository");
        Self { _folder: folder, path, next: AtomicI64::new(START) }
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        let clone = Self::empty();
        let url = format!("file://{}", self.path.display());
        let target = clone.path.to_str().unwrap();
        self.git(&["clone", "-q", "--bare", "--depth", "1", &url, target]);
        clone
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::open(&self.path).unwrap()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path.join(path)).unwrap()
    }

    /// Commits files on top of `branch`, in a bare repository too; a working tree on that branch follows.
    pub(crate) fn commit(&self, branch: &str, title: &str, files: &[(&str, &str)]) -> Revision {
        let mut stream = format!(
            "commit refs/heads/{branch}\ncommitter Ann <ann@example.com> {} +0100\ndata {}\n{title}\n",
            self.next.fetch_add(60, Ordering::Relaxed),
            title.len()
        );
        if self.run(&["rev-parse", "-q", "--verify", &format!("refs/heads/{branch}")], None).is_ok() {
            stream.extend(["from refs/heads/", branch, "^0\n"]);
        }
        let file = |(path, content): &(&str, &str)| {
            format!("M 644 inline {path}\ndata {}\n{content}\n", content.len())
        };
        stream.extend(files.iter().map(file));
        self.import(&stream);
        if self.path.join(".git").exists()
            && self.git(&["symbolic-ref", "-q", "HEAD"]) == format!("refs/heads/{branch}")
        {
            self.git(&["reset", "-q", "--hard"]);
        }
        self.tip(branch)
    }

    /// Makes what a stream of `git fast-import` says.
    pub(crate) fn import(&self, stream: &str) {
        self.run(&["fast-import", "--quiet", "--force"], Some(stream)).unwrap();
    }

    /// Commits nothing on top of `branch`, with what stands behind the parents in the commit's object.
    pub(crate) fn commit_with_head(&self, branch: &str, head: &[u8]) -> Revision {
        let tree = self.git(&["rev-parse", &format!("refs/heads/{branch}^{{tree}}")]);
        let object = [format!("tree {tree}\nparent {}\n", self.tip(branch)).as_bytes(), head].concat();
        let repository = git2::Repository::open(&self.path).unwrap();
        let id = repository.odb().unwrap().write(git2::ObjectType::Commit, &object).unwrap();
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &id.to_string()]);
        self.tip(branch)
    }

    /// Starts a branch that shares no history with any other.
    pub(crate) fn orphan(&self, branch: &str) -> Revision {
        self.commit(branch, "orphan", &[("orphan", "1")])
    }

    /// Makes a merge commit that has the tree of another revision, whatever its parents hold.
    pub(crate) fn merge_as(&self, tree_of: Revision, parents: [Revision; 2], title: &str) -> Revision {
        let tree = format!("{tree_of}^{{tree}}");
        let [one, two] = parents.map(|parent| parent.to_string());
        let people = ["-c", "user.name=x", "-c", "user.email=x"];
        let merge = ["commit-tree", &tree, "-p", &one, "-p", &two, "-m", title];
        Revision::parse(&self.git(&[&people[..], &merge[..]].concat())).unwrap()
    }

    pub(crate) fn tip(&self, branch: &str) -> Revision {
        Revision::parse(&self.git(&["rev-parse", &format!("refs/heads/{branch}")])).unwrap()
    }

    /// Installs a hook that runs `script`.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        write_script(self.path.join("hooks").join(name), &format!("#!/bin/sh\n{script}\n"));
    }

    /// Lists every object, to show that nothing was written.
    pub(crate) fn objects(&self) -> String {
        self.git(&["cat-file", "--batch-all-objects", "--batch-check"])
    }

    /// Lists every ref with its target, to show that nothing moved.
    pub(crate) fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(refname) %(objectname)"])
    }

    pub(crate) fn assert_sound(&self) {
        let told = self.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
        assert_eq!(told, "", "git finds fault with the repository");
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.run(arguments, None).unwrap_or_else(|error| panic!("git {arguments:?}: {error}"))
    }

    pub(crate) fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        use std::io::Write;
        let minutes = i64::from(arguments.contains(&"commit"));
        let date = format!("{} +0100", self.next.fetch_add(minutes * 60, Ordering::Relaxed));
        let mut child = testkit::program::command("git")
            .args(arguments)
            .current_dir(&self.path)
            .envs([("GIT_AUTHOR_NAME", "Ann"), ("GIT_AUTHOR_EMAIL", "ann@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Ann"), ("GIT_COMMITTER_EMAIL", "ann@example.com")])
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
