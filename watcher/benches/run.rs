//! What a run costs on a bare repository: from a commit on the base branch to pull requests.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use fleetwright::events::Cancel;
use fleetwright::forge::{Home, LocalForge, PullState};
use fleetwright::git::{CommitRequest, RefUpdate, Repository, Signature, TreeChange, Upstream};
use fleetwright::run::{Objects, Pipeline, RunReport, Settings, WorkerSettings};
use renderer::path::RepoPath;
use renderer::plan::Budget;
use tempfile::TempDir;
use testkit::fleet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BASE: &str = "main";
const CLUSTERS: [usize; 2] = [100, 1_000];
const ADDONS: usize = 30;
/// A spoke of the smaller fleet.
const SPOKE: usize = 50;

fn main() {
    divan::main();
}

/// A generated fleet in a repository of its own, and the runs of one process on it.
struct World {
    folder: TempDir,
    pipeline: Pipeline,
}

impl World {
    /// The fleet with nothing rendered yet.
    fn new(clusters: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the repository");
        let repository = Repository::init_bare(folder.path(), BASE).expect("a repository");
        let files = fleet::files(clusters, ADDONS);
        let files: Vec<_> = files.iter().map(|(path, text)| change(path, text)).collect();
        let first =
            repository.commit_record(None, &files, &[], &person(), "Describe the fleet").expect("a commit");
        let upstream = Upstream::own(repository);
        upstream.update(&[RefUpdate::branch(BASE, None, Some(first))]).expect("a branch");
        Self { pipeline: pipeline(folder.path()), folder }
    }

    /// The fleet with everything rendered and merged.
    fn published(clusters: usize) -> Self {
        let mut world = Self::new(clusters);
        world.run();
        let upstream = world.upstream();
        let forge = LocalForge::new(&upstream);
        for pull in forge.list().expect("the pull requests") {
            if pull.state == PullState::Open {
                forge.merge(pull.number, &person()).expect("a merge");
            }
        }
        world.run();
        world
    }

    fn upstream(&self) -> Upstream {
        Upstream::own(Repository::open(self.folder.path()).expect("the repository"))
    }

    fn run(&mut self) -> RunReport {
        self.pipeline.run(&Cancel::default(), &()).expect("the fleet has no problems")
    }

    /// Commits another number of workers of a spoke to the base branch.
    fn edit(&self, number: usize) {
        let upstream = self.upstream();
        let repository = upstream.repository();
        let base = repository.branch(BASE).expect("the base branch");
        let file = fleet::cluster_file(SPOKE);
        let text = fleet::files(SPOKE + 1, ADDONS)[&file].replace("count: ", &format!("count: {number}"));
        let request = CommitRequest {
            base,
            changes: &[change(&file, &text)],
            roots: &["environments"],
            message: "Edit",
            source: base,
        };
        let edited = repository.commit(&request).expect("a commit");
        upstream.update(&[RefUpdate::branch(BASE, Some(base), Some(edited))]).expect("a move");
    }
}

fn pipeline(path: &Path) -> Pipeline {
    let settings = Settings {
        base: BASE.to_owned(),
        follows_head: false,
        budget: Budget::default(),
        allow_deletions: None,
        merge_reviewed: false,
        makes_pages: false,
        pages_url: None,
        objects: Objects::Unwanted,
        worker: WorkerSettings::new(env!("CARGO_BIN_EXE_fleetwright").into()),
    };
    Pipeline::new(Upstream::own(Repository::open(path).expect("the repository")), Home::Local, settings)
}

fn change(path: &str, text: &str) -> TreeChange {
    let path = RepoPath::parse(path).expect("a path");
    TreeChange { path, content: Some(Arc::from(text.as_bytes())) }
}

fn person() -> Signature {
    Signature {
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        seconds: 1_767_268_800,
        offset_minutes: 0,
    }
}

/// The first run of a process: everything is rendered, committed and proposed.
#[divan::bench(args = CLUSTERS, sample_count = 3, sample_size = 1)]
fn first(bencher: Bencher<'_, '_>, clusters: usize) {
    bencher.with_inputs(|| World::new(clusters)).bench_local_refs(World::run);
}

/// A run on what is published already, by a process that has just started.
#[divan::bench(args = CLUSTERS, sample_count = 5, sample_size = 1)]
fn nothing_to_do_cold(bencher: Bencher<'_, '_>, clusters: usize) {
    let mut world = World::published(clusters);
    bencher.bench_local(|| {
        world.pipeline = pipeline(world.folder.path());
        world.run()
    });
}

/// A run on what is published already, by a process that made the run before.
#[divan::bench(args = CLUSTERS, sample_count = 20, sample_size = 1)]
fn nothing_to_do_warm(bencher: Bencher<'_, '_>, clusters: usize) {
    let mut world = World::published(clusters);
    bencher.bench_local(|| world.run());
}

/// A run after an edit of one cluster's fact, by a process that made the run before.
#[divan::bench(args = CLUSTERS, sample_count = 20, sample_size = 1)]
fn one_fact_warm(bencher: Bencher<'_, '_>, clusters: usize) {
    let (world, edits) = (RefCell::new(World::published(clusters)), Cell::new(0));
    bencher
        .with_inputs(|| {
            edits.set(edits.get() % 9 + 1);
            world.borrow().edit(edits.get());
        })
        .bench_local_values(|()| world.borrow_mut().run());
}
