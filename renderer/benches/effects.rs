//! What a review costs that shows the effects of a new version of a chart with 60 objects: reading and comparing both
//! sides of one cluster, and folding what becomes of a fleet of clusters.

use std::fmt::Write as _;

use divan::{Bencher, black_box};
use fleetwright_renderer::effects::{Unit, compare, effects, summary};
use fleetwright_renderer::manifests::read;
use fleetwright_renderer::path::{AddonName, ClusterName};
use fleetwright_renderer::plan::Facts;

const OBJECTS: usize = 60;
const FLEETS: [usize; 2] = [1_000, 5_000];

fn main() {
    divan::main();
}

fn addon() -> AddonName {
    AddonName::parse("web").expect("a DNS label")
}

/// Writes what a chart renders to at a version, for a cluster.
fn rendered(version: &str, cluster: &str) -> String {
    let mut text = String::new();
    for number in 0..OBJECTS {
        let _ = write!(
            text,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{number}\n  namespace: web\n  \
             labels: {{helm.sh/chart: web-{version}, app.kubernetes.io/version: {version}}}\nspec:\n  replicas: 2\n  \
             selector: {{matchLabels: {{app: web-{number}}}}}\n  template:\n    metadata: {{labels: {{app: web-{number}}}}}\n    \
             spec:\n      containers:\n        - name: web\n          image: example.com/web:{version}\n          \
             args: [--cluster={cluster}]\n          ports: [{{name: http, containerPort: 8080}}]\n"
        );
    }
    text
}

fn unit(cluster: &str) -> Unit {
    let [old, new] = ["1.9.0", "2.0.0"].map(|version| read(&rendered(version, cluster)).expect("objects"));
    compare(&addon(), Some(&old), Some(&new), Some(3))
}

#[divan::bench]
fn one_cluster_is_read_and_compared(bencher: Bencher<'_, '_>) {
    let [old, new] = ["1.9.0", "2.0.0"].map(|version| rendered(version, "eu-0001"));
    bencher.bench(|| {
        let [old, new] = [&old, &new].map(|text| read(black_box(text)).expect("objects"));
        compare(&addon(), Some(&old), Some(&new), Some(3))
    });
}

#[divan::bench(args = FLEETS, sample_count = 5)]
fn clusters_are_folded(bencher: Bencher<'_, '_>, clusters: usize) {
    let names = (0..clusters).map(|number| format!("eu-{number:04}"));
    let units: Vec<_> =
        names.map(|name| (ClusterName::parse(&name).expect("a DNS label"), vec![unit(&name)])).collect();
    let facts = Facts::default();
    bencher
        .with_inputs(|| units.clone())
        .bench_values(|units| summary(&effects(black_box(units), &facts)).len());
}
