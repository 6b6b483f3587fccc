//! What a plan costs for a fleet in which every file differs: 30 files a cluster of about 60 lines, one line changed.

use std::fmt::Write as _;
use std::sync::Arc;

use divan::{Bencher, black_box};
use fleetwright_renderer::path::{AddonName, ClusterName, RepoPath};
use fleetwright_renderer::plan::{Facts, FileChange, Published, markdown, plan};

const FILES: usize = 30;
const FLEETS: [usize; 2] = [1_000, 5_000];

fn main() {
    divan::main();
}

/// Writes a values file of about 60 lines for one add-on of one cluster.
fn values(cluster: usize, addon: usize, address: &str) -> Arc<[u8]> {
    let mut text = String::from("# Rendered by Fleetwright from templates/addons.\n");
    for section in 0..8 {
        let _ = write!(
            text,
            "section{section}:\n  enabled: true\n  name: addon-{addon}\n  resources:\n    limits:\n      memory: 256Mi\n"
        );
    }
    let _ = write!(
        text,
        "prometheus:\n  externalLabels:\n    cluster: eu-{cluster:04}\n  prometheusSpec:\n    remoteWrite:\n      - url: http://{address}:9090/api/v1/write\n        name: hub\n"
    );
    Arc::from(text.into_bytes())
}

/// Builds the fleet; `sides` says which of the old and the new bytes each file has.
fn fleet(clusters: usize, sides: (bool, bool)) -> (Vec<FileChange>, Published) {
    let changes: Vec<FileChange> = (0..clusters * FILES)
        .map(|number| {
            let (cluster, addon) = (number / FILES, number % FILES);
            let name = ClusterName::parse(&format!("eu-{cluster:04}")).expect("a DNS label");
            let addon_name = AddonName::parse(&format!("addon-{addon}")).expect("a DNS label");
            FileChange {
                path: RepoPath::parse(&format!("argocd-apps/{name}/{addon_name}/values.yaml"))
                    .expect("a path"),
                cluster: name,
                addon: Some(addon_name),
                old: sides.0.then(|| values(cluster, addon, "10.0.0.1")),
                new: sides.1.then(|| values(cluster, addon, "10.0.0.2")),
            }
        })
        .collect();
    let published = changes
        .iter()
        .filter(|change| change.old.is_some())
        .map(|change| (&change.cluster, change.addon.as_ref()))
        .collect();
    (changes, published)
}

#[divan::bench(args = FLEETS, sample_count = 5)]
fn plan_when_every_file_changes(bencher: Bencher<'_, '_>, clusters: usize) {
    let (changes, published) = fleet(clusters, (true, true));
    bencher.bench_local(|| black_box(plan(&changes, &published, Facts::default())));
}

#[divan::bench(args = FLEETS, sample_count = 3)]
fn plan_when_every_file_is_new(bencher: Bencher<'_, '_>, clusters: usize) {
    let (changes, published) = fleet(clusters, (false, true));
    bencher.bench_local(|| black_box(plan(&changes, &published, Facts::default())));
}

#[divan::bench(args = FLEETS, sample_count = 5)]
fn pull_request_body(bencher: Bencher<'_, '_>, clusters: usize) {
    let (changes, published) = fleet(clusters, (true, true));
    let plan = plan(&changes, &published, Facts::default());
    bencher.bench_local(|| black_box(markdown::body(&plan)));
}

#[divan::bench(args = FLEETS, sample_count = 5)]
fn digest(bencher: Bencher<'_, '_>, clusters: usize) {
    let (changes, published) = fleet(clusters, (true, true));
    let plan = plan(&changes, &published, Facts::default());
    bencher.bench_local(|| black_box(plan.digest()));
}
