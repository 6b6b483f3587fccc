//! A world: a bare repository with a small platform (`testkit/platform/`) on its base branch, people who edit
//! it, and runs.
//!
//! Time stands still but for commits, each of which is a minute later than the one before; so equal stories give equal
//! commits. The `git` command sets the scene and judges the result.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;

use fleetwright::error::CommandError;
use fleetwright::events::Cancel;
use fleetwright::forge::{Home, LocalForge, OwnPulls as _, PullRequest, PullState};
use fleetwright::git::{Repository, Revision, Signature, Upstream, blob_id};
use fleetwright::run::{GroupReport, Objects, Pipeline, Published, RunReport, Settings, WorkerSettings};
use fleetwright::working_tree::read_working_tree;
use renderer::path::RepoPath;
use renderer::plan::Budget;
use renderer::render::Renderer;
use renderer::snapshot::{Snapshot, Source};
use tempfile::TempDir;
use tracing::subscriber::with_default;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

pub const BASE: &str = "main";
pub const CONTROL: &str = "environments/control.yaml";
pub const APP: &str = "environments/app.yaml";
/// The head branches of the two groups.
pub const CONTROL_HEAD: &str = "fleetwright/control";
pub const APP_HEAD: &str = "fleetwright/app";

/// 2026-01-01 in UTC.
const START: i64 = 1_767_225_600;

type Files = BTreeMap<String, String>;

/// What people wrote, and what it renders to.
struct Platform {
    inputs: Files,
    rendered: Files,
}

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let platform = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/platform");
    let (snapshot, problems) = read_working_tree(&platform).unwrap();
    assert_eq!(problems, []);
    Platform {
        inputs: snapshot.iter().map(|(path, source)| (path.to_string(), text(&source.bytes))).collect(),
        rendered: rendered(&snapshot),
    }
});

fn rendered(snapshot: &Snapshot) -> Files {
    let rendered = Renderer::new().render(snapshot, &()).unwrap();
    let files = rendered.clusters.values().flat_map(|cluster| cluster.files());
    files.map(|file| (file.path.to_string(), text(&file.bytes))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A repository with the small platform, and the runs of one process on it.
pub struct World {
    folder: TempDir,
    pipeline: RefCell<Pipeline>,
    seconds: Cell<i64>,
}

impl World {
    /// The platform as it is described, with nothing rendered yet.
    pub fn unpublished() -> Self {
        Self::with(&["--bare"], &[&PLATFORM.inputs])
    }

    /// A repository with these files, with nothing rendered yet.
    pub fn of(files: &BTreeMap<String, String>) -> Self {
        Self::with(&["--bare"], &[files])
    }

    /// The platform with everything rendered and merged: a run has nothing to do.
    pub fn new() -> Self {
        Self::with(&["--bare"], &[&PLATFORM.inputs, &PLATFORM.rendered])
    }

    /// A fleet of so many clusters with everything rendered and merged.
    pub fn of_fleet(clusters: usize) -> Self {
        let files = testkit::fleet::files(clusters, 3);
        let source = |text: &String| Source { id: blob_id(text.as_bytes()), bytes: text.as_bytes().into() };
        let snapshot: Snapshot =
            files.iter().map(|(path, text)| (RepoPath::parse(path).unwrap(), source(text))).collect();
        Self::with(&["--bare"], &[&files, &rendered(&snapshot)])
    }

    /// The same with the base branch checked out.
    pub fn checked_out() -> Self {
        Self::with(&[], &[&PLATFORM.inputs, &PLATFORM.rendered])
    }

    fn with(options: &[&str], files: &[&Files]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet");
        std::fs::create_dir(&path).unwrap();
        git(&path, &[&["init", "-q", "-b", BASE, "--template="], options].concat(), "").unwrap();
        let world = Self { folder, pipeline: RefCell::new(pipeline(&path)), seconds: Cell::new(START) };
        world.describe(BASE, files);
        world
    }

    /// Replaces the base branch by one that has the same files and no history in common with it.
    pub fn begin_again(&self) {
        self.describe("anew", &[&PLATFORM.inputs, &PLATFORM.rendered]);
        self.git(&["update-ref", "refs/heads/main", "refs/heads/anew"]);
    }

    fn describe(&self, branch: &str, files: &[&Files]) {
        let files = files.iter().flat_map(|files| files.iter());
        let files: Vec<_> = files.map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        self.commit(branch, "Describe the platform", &files);
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    /// A place beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn upstream(&self) -> Upstream {
        Upstream::own(Repository::open(&self.path()).unwrap())
    }

    /// Commits files on top of a branch as a person does; what has no content is deleted.
    pub fn commit(&self, branch: &str, title: &str, files: &[(&str, Option<&str>)]) -> Revision {
        let mut commands = String::new();
        for (path, text) in files {
            match text {
                Some(text) => writeln!(commands, "M 644 inline {path}\ndata {}\n{text}", text.len()).unwrap(),
                None => writeln!(commands, "D {path}").unwrap(),
            }
        }
        self.commit_raw(branch, title, &commands)
    }

    /// Commits on top of a branch as a person does, by commands of `git fast-import`.
    pub fn commit_raw(&self, branch: &str, title: &str, commands: &str) -> Revision {
        let mut stream = format!(
            "commit refs/heads/{branch}\ncommitter {} {} +0100\ndata {}\n{title}\n",
            "Ann <ann@example.com>",
            self.seconds.replace(self.seconds.get() + 60),
            title.len()
        );
        if git(&self.path(), &["rev-parse", "-q", "--verify", &format!("refs/heads/{branch}")], "").is_ok() {
            writeln!(stream, "from refs/heads/{branch}^0").unwrap();
        }
        stream.push_str(commands);
        git(&self.path(), &["fast-import", "--quiet"], &stream).unwrap();
        if self.path().join(".git").exists() && branch == BASE {
            self.git(&["reset", "-q", "--hard"]);
        }
        self.tip(branch)
    }

    /// Replaces a text of a file on the base branch.
    pub fn edit(&self, file: &str, old: &str, new: &str) -> Revision {
        let text = self.read(BASE, file);
        assert!(text.contains(old), "`{file}` does not say `{old}`");
        self.commit(BASE, &format!("Edit {file}"), &[(file, Some(&text.replacen(old, new, 1)))])
    }

    pub fn read(&self, revision: &str, file: &str) -> String {
        format!("{}\n", self.git(&["show", &format!("{revision}:{file}")]))
    }

    /// Makes a run and returns what it says of each group.
    pub fn run(&self) -> String {
        told(&self.report().unwrap())
    }

    pub fn report(&self) -> Result<RunReport, CommandError> {
        self.pipeline.borrow_mut().run(&Cancel::default(), &())
    }

    /// Makes a run that ends at its `step`-th check, as if the process had ended there; returns whether it
    /// came that far.
    pub fn run_until(&self, step: usize) -> bool {
        is_stopped_at(&mut self.pipeline.borrow_mut(), step)
    }

    /// Makes a run during which `meanwhile` happens at its `step`-th check, and returns whether it came that far.
    pub fn run_while(&self, step: usize, meanwhile: impl Fn()) -> (bool, Result<RunReport, CommandError>) {
        let is_reached = Cell::new(false);
        let result = run_beside(&mut self.pipeline.borrow_mut(), |number| {
            if number == step {
                is_reached.set(true);
                meanwhile();
            }
        });
        (is_reached.get(), result)
    }

    /// Returns whether the process would make a run.
    pub fn has_news(&self) -> bool {
        self.pipeline.borrow().has_news().unwrap()
    }

    /// Starts the process anew: what it remembered is gone.
    pub fn restart(&self) {
        self.pipeline.replace(pipeline(&self.path()));
    }

    /// Starts the process anew on the branch that HEAD is on, whatever becomes of that.
    pub fn follow_head(&self) {
        self.pipeline.replace(Pipeline::new(
            self.upstream(),
            Home::Local,
            Settings { follows_head: true, ..settings() },
        ));
    }

    /// Starts the process anew with leave to make one plan's deletions.
    pub fn allow_deletions(&self, digest: &str) {
        let settings = Settings { allow_deletions: Some(digest.to_owned()), ..settings() };
        self.pipeline.replace(Pipeline::new(self.upstream(), Home::Local, settings));
    }

    /// Returns all pull requests, one a line.
    pub fn pulls(&self) -> String {
        let pulls = LocalForge::new(&self.upstream()).list().unwrap();
        pulls.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub fn pull(&self, number: u64) -> PullRequest {
        LocalForge::new(&self.upstream()).show(number).unwrap()
    }

    pub fn merge(&self, number: u64) -> Revision {
        let seconds = self.seconds.replace(self.seconds.get() + 60);
        let by =
            Signature { name: "Mia".into(), email: "mia@example.com".into(), seconds, offset_minutes: 0 };
        LocalForge::new(&self.upstream()).merge(number, &by).unwrap()
    }

    pub fn pulls_open(&self) -> Vec<PullRequest> {
        let pulls = LocalForge::new(&self.upstream()).list().unwrap();
        pulls.into_iter().filter(|pull| pull.state == PullState::Open).collect()
    }

    /// Merges all open pull requests in order.
    pub fn merge_all(&self) {
        for pull in self.pulls_open() {
            self.merge(pull.number);
        }
    }

    pub fn close(&self, number: u64) {
        LocalForge::new(&self.upstream()).close(number, "not now").unwrap();
    }

    pub fn tip(&self, branch: &str) -> Revision {
        Revision::parse(&self.git(&["rev-parse", &format!("refs/heads/{branch}")])).unwrap()
    }

    /// Lists the files that a branch changes, by what happens to them.
    pub fn changed_by(&self, branch: &str) -> String {
        self.git(&["diff", "--name-status", &format!("{BASE}...{branch}")])
    }

    /// Lists every ref with its target.
    pub fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(objectname:short) %(refname)"])
    }

    /// Lists every object.
    pub fn objects(&self) -> String {
        self.git(&["cat-file", "--batch-all-objects", "--batch-check"])
    }

    /// Lists every branch with its target.
    pub fn branches(&self) -> String {
        self.git(&["for-each-ref", "--format=%(objectname:short) %(refname:short)", "refs/heads"])
    }

    /// Removes the locks of a process that was killed while it held one, as git asks a person to.
    pub fn remove_locks(&self) {
        let mut folders = vec![self.path()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "lock") {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
    }

    pub fn assert_sound(&self) {
        let told = self.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
        assert_eq!(told, "", "git finds fault with the repository");
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments, "").unwrap_or_else(|error| panic!("git {arguments:?}: {error}"))
    }
}

fn git(folder: &Path, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = without_host("git")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A process that knows nothing of the host's git configuration.
pub fn without_host(program: &str) -> Command {
    let mut command = testkit::program::command(program);
    command.envs([("HOME", "/dev/null"), ("XDG_CONFIG_HOME", "/dev/null")]);
    command
}

/// The runs of a process that has just started.
pub fn pipeline(path: &Path) -> Pipeline {
    Pipeline::new(Upstream::own(Repository::open(path).unwrap()), Home::Local, settings())
}

pub fn settings() -> Settings {
    Settings {
        base: BASE.into(),
        follows_head: false,
        budget: Budget::default(),
        allow_deletions: None,
        merge_reviewed: false,
        makes_pages: false,
        pages_url: None,
        objects: Objects::Unwanted,
        worker: WorkerSettings::new(env!("CARGO_BIN_EXE_fleetwright").into()),
    }
}

/// Works, and calls `at_check` before each check for a request to stop, which is logged at the lowest level.
fn with_each_check<T>(at_check: impl Fn() + Send + Sync + 'static, work: impl FnOnce() -> T) -> T {
    struct AtCheck<F>(F);

    impl<S: Subscriber, F: Fn() + Send + Sync + 'static> Layer<S> for AtCheck<F> {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if event.metadata().target() == "fleetwright::events::cancel" {
                (self.0)();
            }
        }
    }

    with_default(tracing_subscriber::registry().with(AtCheck(at_check)), work)
}

/// Makes a run that ends at its `step`-th check, counted from 0; returns whether it came that far.
pub fn is_stopped_at(pipeline: &mut Pipeline, step: usize) -> bool {
    let checks = AtomicUsize::new(0);
    let cancel = Cancel::default();
    let requested = cancel.clone();
    let at_check = move || {
        if checks.fetch_add(1, Ordering::Relaxed) == step {
            requested.request();
        }
    };
    match with_each_check(at_check, || pipeline.run(&cancel, &())) {
        Err(CommandError::Stopped(_)) => true,
        result => {
            result.unwrap();
            false
        }
    }
}

/// Makes a run that waits at each of its checks until `at_check` has returned, which is given the number of the check.
pub fn run_beside(
    pipeline: &mut Pipeline,
    mut at_check: impl FnMut(usize),
) -> Result<RunReport, CommandError> {
    let ((reached, checks), (go_on, may_go_on)) = (channel(), channel());
    let (reached, may_go_on): (Sender<()>, Receiver<()>) = (reached, may_go_on);
    let may_go_on = Mutex::new(may_go_on);
    let wait = move || {
        reached.send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
    };
    thread::scope(|scope| {
        let run = scope.spawn(move || with_each_check(wait, || pipeline.run(&Cancel::default(), &())));
        for (number, ()) in checks.iter().enumerate() {
            at_check(number);
            go_on.send(()).unwrap();
        }
        run.join().unwrap()
    })
}

/// What a run says of each group, up to the size of what it proposes, which grows with the platform.
pub fn told(report: &RunReport) -> String {
    let line = |group: &GroupReport| {
        let line = group.to_string();
        match &group.done {
            Published::Proposed(_) => line.split(": ").next().unwrap().to_owned(),
            _ => line,
        }
    };
    report.groups.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(pull: &PullRequest) -> String {
    let state = match &pull.state {
        PullState::Closed { reason } => format!("closed ({reason})"),
        state => state.word().to_owned(),
    };
    format!("#{} {} {state}", pull.number, pull.proposal.head)
}
