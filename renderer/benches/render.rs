//! What rendering a fleet costs: cold, and warm after edits of different reach.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use fleetwright_renderer::path::RepoPath;
use fleetwright_renderer::render::{Rendered, Renderer};
use fleetwright_renderer::snapshot::{Snapshot, Source, SourceId};
use testkit::fleet;

const CLUSTERS: usize = 1_000;
const ADDONS: usize = 30;
/// A spoke in the middle of the fleet.
const SPOKE: usize = 500;

fn main() {
    divan::main();
}

fn source(text: &str) -> Source {
    let mut id = [0; 20];
    id.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..20]);
    Source { id: SourceId(id), bytes: Arc::from(text.as_bytes()) }
}

fn snapshot(clusters: usize) -> Snapshot {
    let files = fleet::files(clusters, ADDONS);
    files.iter().map(|(path, text)| (RepoPath::parse(path).expect("a path"), source(text))).collect()
}

/// Returns the snapshot with `old` replaced by `new` in one file.
fn edited(snapshot: &Snapshot, path: &str, old: &str, new: &str) -> Snapshot {
    let text = String::from_utf8(snapshot.get(path).expect("a file").bytes.to_vec()).expect("text");
    assert!(text.contains(old), "`{old}` in {path}");
    let mut snapshot = snapshot.clone();
    snapshot.insert(RepoPath::parse(path).expect("a path"), source(&text.replace(old, new)));
    snapshot
}

fn render(renderer: &mut Renderer, snapshot: &Snapshot) -> Rendered {
    renderer.render(snapshot, &()).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

#[divan::bench(args = [100, CLUSTERS], sample_count = 5, sample_size = 1)]
fn cold(bencher: Bencher<'_, '_>, clusters: usize) {
    let snapshot = snapshot(clusters);
    let files = render(&mut Renderer::new(), &snapshot).file_count();
    bencher.counter(ItemsCount::new(files)).bench_local(|| render(&mut Renderer::new(), &snapshot));
}

/// Renders one edit after the other on a renderer that knows the fleet.
fn warm(bencher: Bencher<'_, '_>, path: &str, old: &str, new: &str) {
    let before = snapshot(CLUSTERS);
    let after = edited(&before, path, old, new);
    let mut renderer = Renderer::new();
    black_box(render(&mut renderer, &before));
    let mut is_edited = false;
    bencher.bench_local(|| {
        is_edited = !is_edited;
        render(&mut renderer, if is_edited { &after } else { &before })
    });
}

#[divan::bench(sample_count = 20, sample_size = 2)]
fn warm_nothing_changes(bencher: Bencher<'_, '_>) {
    warm(bencher, &fleet::cluster_file(SPOKE), "role: app", "role: app");
}

#[divan::bench(sample_count = 20, sample_size = 2)]
fn warm_one_cluster_changes(bencher: Bencher<'_, '_>) {
    warm(bencher, &fleet::cluster_file(SPOKE), "    count: ", "    count: 1");
}

#[divan::bench(sample_count = 5, sample_size = 2)]
fn warm_one_hub_changes(bencher: Bencher<'_, '_>) {
    warm(bencher, &fleet::cluster_file(0), "  prometheus: 172.16.0.1", "  prometheus: 172.16.0.9");
}

#[divan::bench(sample_count = 5, sample_size = 2)]
fn warm_one_template_changes(bencher: Bencher<'_, '_>) {
    warm(
        bencher,
        "templates/addons/addon-03/values.yaml.hbs",
        "pullPolicy: IfNotPresent",
        "pullPolicy: Always",
    );
}
