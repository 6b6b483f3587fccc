//! The change from a chart to its objects in git and back, on a real Argo CD: nothing on the cluster changes by it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::real::Helm;

use crate::case::case;
use crate::world::{World, text};

const FACTS: &str = "environments/app.yaml";
const APPLICATION: &str = "app-prometheus-agent";
const CHART: &str = "kube-prometheus-stack";
/// The folder of the objects.
const FILES: &str = "argocd-apps/app/prometheus-agent/manifests";
/// The stand-in makes a hook and defines a kind, too.
const HOOK: &str = "\naddons:\n  prometheus-agent:\n    values: {commonLabels: {hook: \"true\"}}\n";
/// What makes the templates of the small platform know add-ons without charts.
const WITHOUT_CHARTS: [(&str, &str, &str); 3] = [
    (
        "applicationset",
        "            repository: {{chart.repository}}\n            chart: {{chart.name}}\n            version: {{chart.version}}\n",
        "            {{#if chart}}\n            repository: {{chart.repository}}\n            chart: {{chart.name}}\n            \
         version: {{chart.version}}\n            ref: \"\"\n            {{else}}\n            \
         repository: {{@root.fleet.repository.url}}\n            chart: \"\"\n            \
         version: {{@root.fleet.repository.branch}}\n            ref: chart\n            {{/if}}\n",
    ),
    (
        "applicationset",
        "          chart: \"\\{{ .chart }}\"\n",
        "          chart: \"\\{{ .chart }}\"\n          ref: \"\\{{ .ref }}\"\n",
    ),
    (
        "appproject",
        "#each addons}}\n    - {{chart.repository}}",
        "#each (pluck (pluck addons \"chart\") \"repository\")}}\n    - {{this}}",
    ),
];
/// What its chart makes at least: definitions of kinds, what runs, and a hook.
const KINDS: [&str; 3] = ["ConfigMap", "CustomResourceDefinition", "Deployment"];

/// What Argo CD and the cluster have of the add-on.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// The Application's own identity, what became of it, and how often it was synced.
    application: [String; 3],
    syncs: usize,
    /// The objects with their identity, the generation of what is wanted of them, and the version of all that they hold: by
    /// that not even a mark of Argo CD's own has changed.
    objects: BTreeMap<[String; 3], [String; 3]>,
}

impl State {
    fn of(world: &World) -> (Self, Value) {
        let all = world.rig.applications().unwrap();
        let one = all.into_iter().find(|one| text(one, "/metadata/name") == APPLICATION).unwrap();
        let application = ["/metadata/uid", "/status/sync/status", "/status/health/status"];
        let manifests = world.rig.argo_cd.manifests(APPLICATION).unwrap();
        let kinds: BTreeSet<_> =
            manifests.iter().map(|object| (text(object, "/apiVersion"), text(object, "/kind"))).collect();
        let mut objects = BTreeMap::new();
        for (version, kind) in kinds {
            for object in world.rig.app.client().list(version, kind).unwrap() {
                // Argo CD marks no definitions of kinds, so names have to do.
                let is_it = |made: &Value| {
                    ["/kind", "/metadata/name"].iter().all(|it| text(made, it) == text(&object, it))
                };
                if !manifests.iter().any(is_it) {
                    continue;
                }
                let own = |field: &str| text(&object, &format!("/metadata/{field}")).to_owned();
                let generation = object["metadata"]["generation"].to_string();
                objects.insert(
                    [kind.to_owned(), own("namespace"), own("name")],
                    [own("uid"), generation, own("resourceVersion")],
                );
            }
        }
        let state = Self {
            application: application.map(|pointer| text(&one, pointer).to_owned()),
            syncs: world.syncs()[APPLICATION],
            objects,
        };
        (state, one)
    }
}

/// Publishes the objects of a chart in its place, and the chart again.
pub fn switch(world: &World) {
    let helm = Helm::find().unwrap().folder().join("helm");
    let cache = tempfile::tempdir().unwrap();
    for (file, old, new) in WITHOUT_CHARTS {
        world.repo.edit(&format!("templates/cluster/{file}.yaml.hbs"), old, new);
    }
    let facts = world.repo.read(FACTS);
    let publish = |more: &str| {
        world.repo.write(FACTS, format!("{}{more}", facts.trim_end()));
        world.repo.commit("Publish something else of a chart");
        let mut command = world.repo.command(&["run", "--once", "--helm", helm.to_str().unwrap()]);
        let told = world.repo.told(command.env("XDG_CACHE_HOME", cache.path()).output().unwrap());
        assert_eq!(told.code, 0, "{told}");
        let pulls = world.pulls();
        assert_eq!(pulls.keys().collect::<Vec<_>>(), ["fleetwright/app"]);
        world.merge_number(&pulls["fleetwright/app"]);
        world.settle(&[]);
    };
    world.repo.write(FACTS, format!("{}{HOOK}", facts.trim_end()));
    let told = world.repo.run(&["render"]);
    assert_eq!(told.code, 0, "{told}");
    world.repo.commit("Let templates know add-ons without charts, and a chart a hook");
    world.settle(&[]);
    case(
        "Final objects",
        "a chart gives way to its objects in git and comes back, and no object changes",
        || {
            let (before, one) = State::of(world);
            assert_eq!(text(&one, "/spec/sources/0/chart"), CHART);
            let kinds: BTreeSet<_> = before.objects.keys().map(|[kind, ..]| kind.as_str()).collect();
            assert!(KINDS.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
            assert_eq!(before.application[1..], ["Synced", "Healthy"]);
            for (more, chart) in [("    publish: manifests\n", ""), ("", CHART)] {
                publish(&format!("{HOOK}{more}"));
                let (after, one) = State::of(world);
                assert_eq!(text(&one, "/spec/sources/0/chart"), chart, "{one}");
                assert_eq!(text(&one, "/spec/sources/1/path"), if chart.is_empty() { FILES } else { "" });
                let published = world.repo.git(&["ls-tree", "-r", "--name-only", "HEAD", FILES]);
                assert_eq!(published.contains("chart-deployment.apps.yaml"), chart.is_empty(), "{published}");
                assert_eq!(after, before);
            }
        },
    );
    world.repo.write(FACTS, facts);
    world.repo.commit("Publish what was published at first");
}
