//! What the checks say of a chart's values is what Helm makes of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::real::{Helm, Templated};

use crate::platform::shipped;

/// A folder with real charts, unpacked, each in a folder of its name.
pub const REAL_CHARTS: &str = "FLEETWRIGHT_CHARTS";

/// What values mean to a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// They change what is rendered.
    Effect,
    /// They change nothing: some key of theirs is read by nobody.
    NoEffect,
    /// The chart does not render with them.
    Refused,
    /// An image gets a registry before the one that it has.
    DoubledRegistry,
}

use Meaning::{DoubledRegistry, Effect, NoEffect, Refused};

/// Charts of `testkit/charts/`, values for them, and what these mean.
const CASES: &[(&str, &str, Meaning)] = &[
    ("closed", "replicas: 2", Effect),
    ("closed", "replica: 2", Refused),
    ("closed", "image: {tag: \"2.0\"}", Effect),
    ("closed", "image: {tagg: \"2.0\"}", Refused),
    ("closed", "replicas: two", Refused),
    ("open", "replicas: 2", Effect),
    ("open", "replica: 2", NoEffect),
    ("open", "image: {repo: example/other}", NoEffect),
    ("open", "image: {repository: example/other}", Effect),
    ("open", "image: {repository: ghcr.io/example/app}", DoubledRegistry),
    ("open", "config: \"level: debug\"", Effect),
    ("open", "config: {level: debug}", Refused),
    ("open", "labels: {team: platform}", Effect),
    ("parent", "cache: {replicas: 2}", Effect),
    ("parent", "cache: {enabled: false}", Effect),
    ("parent", "cache: {replica: 2}", NoEffect),
    ("parent", "store: {replicas: 2}", NoEffect),
    ("required", "host: a.example.com", Effect),
];

/// A fleet of one cluster with one add-on, in a folder of its own.
struct Fleet(TempDir);

impl Fleet {
    fn of(chart: &str, values: &str) -> Self {
        let fleet = Self(tempfile::tempdir().unwrap());
        let addon = format!(
            "chart: {{repository: 'https://charts.example.com', name: {chart}, version: 1.0.0}}\nnamespace: trap\n"
        );
        let application = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: trap, namespace: argocd}}\nspec:\n  \
             project: default\n  destination: {{name: in-cluster, namespace: trap}}\n  \
             source: {{repoURL: 'https://charts.example.com', chart: {chart}, targetRevision: 1.0.0}}\n"
        );
        for (path, text) in [
            (
                "environments/_fleet.yaml",
                "repository: {url: 'https://git.example.com/fleet.git', branch: main}\n",
            ),
            (
                "environments/hub.yaml",
                "role: control\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n",
            ),
            ("templates/addons/trap/addon.yaml", &addon),
            ("templates/addons/trap/values.yaml.hbs", values),
            ("templates/cluster/application.yaml.hbs", &application),
        ] {
            let path = fleet.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fleet
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let program = assert_cmd::cargo::cargo_bin!("fleetwright");
        Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// The values that are rendered, whatever the checks of keys say of them.
    fn rendered_values(&self) -> PathBuf {
        let output = self.run(&["render"]);
        assert!(output.status.success(), "{output:?}");
        self.path("argocd-apps/hub/trap/values.yaml")
    }

    /// What the checks say, with the chart locked.
    fn problems(&self) -> String {
        let output = self.run(&["charts", "lock", "--from", charts().to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        let output = self.run(&["check"]);
        let problems = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), problems.is_empty(), "{problems}");
        problems
    }
}

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/charts")
}

fn said_by_the_checks(problems: &str) -> Meaning {
    match problems {
        "" => Effect,
        told if told.contains("has no such key") => NoEffect,
        told if told.contains("refuses this key") || told.contains(" must be ") => Refused,
        told if told.contains("registry") => DoubledRegistry,
        told => panic!("the checks say something else: {told}"),
    }
}

fn done_by_helm(with: &Templated, without: &Templated) -> Meaning {
    match with {
        Templated::Refused(_) => Refused,
        Templated::Rendered(objects) if objects.contains("ghcr.io/ghcr.io/") => DoubledRegistry,
        with if with == without => NoEffect,
        Templated::Rendered(_) => Effect,
    }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn the_checks_say_what_helm_does() {
    let helm = Helm::find().unwrap();
    for (chart, values, meaning) in CASES {
        let folder = charts().join(chart);
        let template =
            |values: &str| helm.template(&folder, &Fleet::of(chart, values).rendered_values()).unwrap();
        let (with, without) = (template(values), template("{}\n"));
        let problems = Fleet::of(chart, values).problems();
        assert_eq!(done_by_helm(&with, &without), *meaning, "`{values}` in `{chart}`, by Helm: {with:?}");
        assert_eq!(
            said_by_the_checks(&problems),
            *meaning,
            "`{values}` in `{chart}`, by the checks: {problems}"
        );
    }
}

/// The limit of a lock that knows names and types: what a template asks for by `required` shows when it is rendered.
#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn a_value_that_a_template_requires_is_known_to_helm_alone() {
    let fleet = Fleet::of("required", "{}\n");
    let outcome =
        Helm::find().unwrap().template(&charts().join("required"), &fleet.rendered_values()).unwrap();
    assert!(matches!(&outcome, Templated::Refused(why) if why.contains("host must be set")), "{outcome:?}");
    assert_eq!(fleet.problems(), "");
}

/// Real charts are not part of this repository. Where somebody has them, the schemas of those that have one
/// judge the shipped values, on top of the charts' own defaults, as they do in a cluster.
#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn the_shipped_values_pass_the_schemas_of_real_charts() {
    let Some(real) = env::var_os(REAL_CHARTS).map(PathBuf::from) else {
        println!("left out: `{REAL_CHARTS}` names no folder with real charts");
        return;
    };
    let helm = Helm::find().unwrap();
    let rendered = shipped();
    let mut judged = 0;
    let mut refused = Vec::new();
    for file in rendered.clusters.values().flat_map(|cluster| cluster.files()) {
        let Some(addon) = file.addon.as_ref().filter(|_| file.path.file_name() == "values.yaml") else {
            continue;
        };
        let chart = rendered.catalog.addons[addon].facts.chart.as_ref().unwrap();
        let Some(folder) = chart_with("values.schema.json", &real, &chart.name) else { continue };
        let stub = stub_of(&folder, &chart.name);
        let values = stub.path().join("ours.yaml");
        fs::write(&values, &file.bytes).unwrap();
        judged += 1;
        if let Templated::Refused(why) = helm.template(stub.path(), &values).unwrap() {
            refused.push(format!("{}: {why}", file.path));
        }
    }
    println!("{judged} values files were judged by the schema of a real chart");
    assert_ne!(judged, 0, "no chart in `{}` has a schema", real.display());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Finds a chart that has a file or a folder by the name that it gives itself.
pub fn chart_with(part: &str, charts: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = fs::read_dir(charts).unwrap().map(|entry| entry.unwrap().path());
    folders.find(|folder| {
        let metadata = fs::read_to_string(folder.join("Chart.yaml")).unwrap_or_default();
        let is_it =
            metadata.lines().any(|line| line.strip_prefix("name:").is_some_and(|it| it.trim() == name));
        is_it && folder.join(part).exists()
    })
}

/// A chart with the defaults and the schema of a real one, which renders nothing: its templates need more than values.
fn stub_of(folder: &Path, name: &str) -> TempDir {
    let stub = tempfile::tempdir().unwrap();
    for file in ["values.yaml", "values.schema.json"] {
        fs::copy(folder.join(file), stub.path().join(file)).unwrap();
    }
    fs::write(stub.path().join("Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n"))
        .unwrap();
    stub
}
