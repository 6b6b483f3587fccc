//! Profiles: another shape of the fleet, and nothing without being asked for.

use fleetwright_renderer::explain::{explain, reach};
use fleetwright_renderer::path::RepoPath;
use fleetwright_renderer::render::Renderer;
use insta::assert_snapshot;

use crate::world::{World, files};

const APP: &str = "environments/app.yaml";
const CONTROL: &str = "environments/control.yaml";
const FLEET: &str = "environments/_fleet.yaml";
const SMALL: &str = "environments/_profiles/small.yaml";
const NODES: &str = "templates/infra/cluster/nodes.json.hbs";

/// The small platform on machines, with a profile that has fewer.
fn platform() -> World {
    World::platform()
        .edit(APP, "    count: 6\n", "    count: 6\n    addresses: 192.168.64.41-192.168.64.49\n    memory: 4Gi\n")
        .and(CONTROL, "machines:\n  controlPlane: {addresses: 192.168.64.11-192.168.64.13, workloads: true}\n")
        .and(FLEET, "nodeNetworks: [192.168.64.0/24]\n")
        .with(NODES, "nodes: {{cluster.nodes}}\nregion: {{cluster.labels.region}}\nclass: {{fleet.storageClass}}\n")
        .with(SMALL, "fleet:\n  storageClass: small\nallClusters:\n  machines:\n    controlPlane: {count: 1}\n    workers:\n      count: 2\n  labels: {region: here}\nclusters:\n  app:\n    machines:\n      workers: {count: 1}\n  control:\n    machines: {workers: null}\n")
}

fn written(world: &World, path: &str) -> String {
    let found = files(&world.render()).into_iter().find(|(name, _)| name == path);
    found.unwrap_or_else(|| panic!("there is no `{path}`")).1
}

#[test]
fn a_profile_that_is_not_asked_for_changes_nothing() {
    assert_eq!(files(&platform().render()), files(&platform().without(SMALL).render()));
}

#[test]
fn a_cluster_of_its_own_wins_over_all_clusters_and_both_over_the_files() {
    let world = platform().in_profile("small");
    let app = written(&world, "infra/clusters/app/nodes.json");
    assert_eq!(app.matches("\"name\"").count(), 1, "{app}");
    for kept in ["\"memory\": \"4Gi\"", "\"region\": \"here\"", "\"class\": \"small\""] {
        assert!(app.contains(kept), "no {kept} in {app}");
    }
    let control = written(&world, "infra/clusters/control/nodes.json");
    assert_eq!(control.matches("\"name\"").count(), 1, "{control}");
}

#[test]
fn what_is_remembered_of_one_shape_is_not_taken_for_another() {
    let (plain, small) = (platform(), platform().in_profile("small"));
    let other = small.clone().edit(SMALL, "storageClass: small", "storageClass: other");
    let mut renderer = Renderer::new();
    for world in [&plain, &small, &plain, &other, &small] {
        let again = renderer.render(&world.snapshot(), &()).unwrap();
        assert_eq!(files(&again), files(&world.render()));
    }
}

#[test]
fn a_value_of_a_profile_comes_from_its_line() {
    let world = platform().in_profile("small");
    let rendered = world.render();
    let places = |key: &str| -> Vec<_> {
        let file = RepoPath::parse("infra/clusters/app/nodes.json").unwrap();
        let values = explain(&rendered, &file, Some(key)).unwrap();
        values.iter().flat_map(|value| &value.facts).map(|fact| fact.place.to_string()).collect()
    };
    assert_eq!(places("region"), ["environments/_profiles/small.yaml:8:20"]);
    assert_eq!(places("class"), ["environments/_profiles/small.yaml:2:17"]);
    let reached = reach(&rendered, &RepoPath::parse(SMALL).unwrap(), "labels.region").unwrap();
    assert_eq!(reached.reached.len(), 2);
}

#[test]
fn a_faulty_profile_is_found_without_being_asked_for() {
    let world = platform()
        .with(
            SMALL,
            "fleets: {}\nclusters:\n  app:\n    machines:\n      worker: {count: 1}\n  control: null\n",
        )
        .with("environments/_profiles/tiny.yaml", "clusters:\n  apps: {}\n")
        .with("environments/_profiles/list.yaml", "- a\n")
        .with("environments/_profiles/Big.yaml", "")
        .with("environments/_profiles/of/a.yaml", "")
        .with("environments/_profiles/README.md", "kept");
    assert_snapshot!(world.problems(), @"
    environments/_profiles/Big.yaml:1:1: `Big` is not a valid name
      hint: use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends
    environments/_profiles/list.yaml:1:1: the file is not a map
      hint: write `key: value` lines
    environments/_profiles/of/a.yaml:1:1: nothing reads this file
      hint: a profile is `environments/_profiles/<name>.yaml`
    environments/_profiles/small.yaml:1:1: unknown key `fleets`
      hint: did you mean `fleet`?
    environments/_profiles/small.yaml:5:7: unknown key `worker`
      hint: did you mean `workers`?
    environments/_profiles/small.yaml:6:12: `control` must be a map, not null
      hint: write a value or remove the key
    environments/_profiles/tiny.yaml:2:3: there is no cluster `apps`
      hint: did you mean `app`?
    ");
}

#[test]
fn what_is_only_wrong_together_is_found_when_it_is_asked_for() {
    let world = platform().edit(SMALL, "workers: {count: 1}", "workers: {count: 12}");
    assert_eq!(world.problems(), "no problems");
    assert_snapshot!(world.in_profile("small").problems(), @"
    environments/app.yaml:9:16: there are 9 addresses for 12 machines
      hint: give more addresses, or a smaller `count`
    ");
}
