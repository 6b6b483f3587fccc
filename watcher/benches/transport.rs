//! What it costs to move commits over HTTPS, to and from git's own server on this machine.

use divan::Bencher;
use fleetwright::git::{
    CommitRequest, RefUpdate, Repository, Revision, Signature, TreeChange, Upstream, rendered_message,
};
use fleetwright::http::{Client, Timeouts, Url};
use fleetwright::identity::Identity;
use renderer::path::RepoPath;
use tempfile::TempDir;
use testkit::smart_http::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FOLDERS: usize = 1_000;
const FILES_A_FOLDER: usize = 30;

fn main() {
    divan::main();
}

/// An empty repository behind a web server over TLS, and one here with a fleet's worth of rendered files.
struct World {
    server: Server,
    there: TempDir,
    here: TempDir,
    fleet: Revision,
}

impl World {
    fn new() -> Self {
        let [there, here] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        Repository::init_bare(&there.path().join("fleet"), "main").expect("a repository");
        let repository = Repository::init_bare(here.path(), "main").expect("a repository");
        let files: Vec<_> = (0..FOLDERS * FILES_A_FOLDER).map(|n| file(n, 0)).collect();
        let fleet =
            repository.commit_record(None, &files, &[], &person(), "Describe the fleet").expect("a commit");
        Self { server: Server::with_tls(there.path()).expect("a server"), there, here, fleet }
    }

    fn upstream(&self) -> Upstream {
        self.upstream_of(Repository::open(self.here.path()).expect("a repository"))
    }

    fn upstream_of(&self, repository: Repository) -> Upstream {
        let url = Url::parse(&self.server.url("fleet")).expect("an address");
        let client = Client::trusting(&url, &self.server.roots(), Timeouts::default());
        Upstream::through(repository, url, client, &Identity::anonymous())
    }

    fn push(&self, branch: &str, expected: Option<Revision>, new: Revision) {
        self.upstream().update(&[RefUpdate::branch(branch, expected, Some(new))]).expect("a push");
    }

    /// Returns a commit that changes one file, and whose parent is the fleet.
    fn one_more(&self, n: usize) -> Revision {
        let repository = Repository::open(self.here.path()).expect("a repository");
        let text = rendered_message("Render", self.fleet);
        let changes = [file(n, n + 1)];
        let request = CommitRequest {
            base: self.fleet,
            changes: &changes,
            roots: &["out"],
            message: &text,
            source: self.fleet,
        };
        repository.commit(&request).expect("a commit")
    }
}

/// A file of a kilobyte and a half that compresses as YAML does.
fn file(n: usize, edition: usize) -> TreeChange {
    let path = format!("out/{}/{}.yaml", n / FILES_A_FOLDER, n % FILES_A_FOLDER);
    let line = |k: usize| format!("  setting-{k}: value-{}-{edition}\n", n * 31 + k);
    let text: String = (0..50).map(line).collect();
    TreeChange { path: RepoPath::parse(&path).expect("a path"), content: Some(text.into_bytes().into()) }
}

fn person() -> Signature {
    Signature {
        name: "Ann".into(),
        email: "ann@example.com".into(),
        seconds: 1_767_225_600,
        offset_minutes: 0,
    }
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn push_of_everything(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(World::new).bench_refs(|world| world.push("main", None, world.fleet));
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn push_of_one_commit(bencher: Bencher<'_, '_>) {
    let world = World::new();
    world.push("main", None, world.fleet);
    let mut count = 0;
    let inputs = || {
        count += 1;
        world.one_more(count)
    };
    bencher.with_inputs(inputs).bench_local_values(|new| world.push(&format!("b-{new}"), None, new));
    assert!(world.there.path().exists());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fetch_of_everything(bencher: Bencher<'_, '_>) {
    let world = World::new();
    world.push("main", None, world.fleet);
    let inputs = || tempfile::tempdir().expect("a folder");
    bencher.with_inputs(inputs).bench_local_refs(|folder| {
        let repository = Repository::init_bare(folder.path(), "main").expect("a repository");
        world.upstream_of(repository).fetch().expect("a fetch")
    });
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn fetch_of_nothing(bencher: Bencher<'_, '_>) {
    let world = World::new();
    world.push("main", None, world.fleet);
    world.upstream().fetch().expect("a fetch");
    bencher.bench_local(|| world.upstream().fetch().expect("a fetch"));
}
