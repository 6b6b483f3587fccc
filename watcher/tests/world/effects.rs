//! What changes do to what runs, in reviews and in pull requests of ours: by a stand-in of Helm that names what it was given.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fleetwright::run::{Objects, Settings, Tools};
use testkit::github::MergeMethod;
use testkit::program::write_script;

use crate::office::{APP_TOKEN, Office, PROMETHEUS};
use crate::platform::{APP_HEAD, BASE, World, settings};

/// A program that makes a Deployment whose image follows from its values, after `BEFORE`.
const HELM: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
echo x >>COUNT
while [ $# -gt 0 ]; do
    case $1 in
        --values) tag=$(cksum <"$2" | cut -d ' ' -f 1); shift ;;
        --name-template) name=$2; shift ;;
    esac
    shift
done
BEFORE
cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $name}
spec:
  replicas: 2
  selector: {matchLabels: {app: $name}}
  template:
    metadata: {labels: {app: $name}}
    spec: {containers: [{name: main, image: "example.com/app:v1.0.$tag", env: [{name: PASSWORD, value: hunter2-$tag}]}]}
END
"#;

/// An office with a stand-in of Helm, and a chart in a folder for each that its add-ons name.
pub struct Scene {
    pub office: Office,
}

impl Scene {
    pub fn new(world: World, before: &str, time: Duration) -> Self {
        let tools = Tools {
            helm: world.beside("helm"),
            charts: Some(world.beside("charts")),
            folder: world.beside("kept"),
            time,
        };
        let described = world.git(&["ls-tree", "-r", "--name-only", BASE, "templates/addons"]);
        for file in described.lines().filter(|file| file.ends_with("/addon.yaml")) {
            let text = world.read(BASE, file);
            let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("  {key}: ")));
            let (Some(name), Some(version)) = (value("name"), value("version")) else { continue };
            let chart = world.beside("charts").join(name);
            fs::create_dir_all(chart.join("templates")).unwrap();
            fs::write(
                chart.join("Chart.yaml"),
                format!("apiVersion: v2\nname: {name}\nversion: {version}\n"),
            )
            .unwrap();
        }
        let settings = Settings { objects: Objects::MadeBy(tools), ..settings() };
        let office = Office::with(world, APP_TOKEN, settings);
        let scene = Self { office };
        scene.helm(before);
        scene
    }

    /// Replaces the program.
    fn helm(&self, before: &str) {
        self.write(&HELM.replace("BEFORE", before));
    }

    /// Replaces the program by one that makes nothing that must not be published.
    pub fn helm_without_secrets(&self, before: &str) {
        let secret = ", env: [{name: PASSWORD, value: hunter2-$tag}]";
        assert!(HELM.contains(secret));
        self.write(&HELM.replace(secret, "").replace("BEFORE", before));
    }

    fn write(&self, script: &str) {
        let script = script.replace("COUNT", self.count().to_str().unwrap());
        write_script(self.office.world.beside("helm"), &script);
    }

    fn count(&self) -> PathBuf {
        self.office.world.beside("count")
    }

    pub fn calls(&self) -> usize {
        fs::read_to_string(self.count()).map_or(0, |text| text.lines().count())
    }

    pub fn comment(&self, number: u64) -> String {
        self.office.comments(number).join("\n===\n")
    }
}

/// More than any machine needs for the small platform.
pub const ENOUGH: Duration = Duration::from_mins(10);

/// Fails unless some texts are there, one after the other.
fn assert_order(text: &str, parts: &[&str]) {
    let mut at = 0;
    for part in parts {
        let found = text[at..].find(part);
        at += found.unwrap_or_else(|| panic!("`{part}` is not there, or too early: {text}"));
    }
}

#[test]
fn what_a_change_does_to_what_runs_stands_above_it_in_reviews_and_in_our_own_pull_requests() {
    let scene = Scene::new(World::new(), "", ENOUGH);
    let office = &scene.office;
    let number = office.propose("address", PROMETHEUS);
    office.run();
    let comment = scene.comment(number);
    let effects = [
        "2 objects changed on 2 clusters",
        "4 pods restart on app, control",
        "example.com/app:v1.0.",
        "example.com/app:v1.0.",
    ];
    assert_order(&comment, &effects);
    assert_order(
        &comment,
        &[
            "### What this pull request changes",
            "### What runs",
            "4 pods restart",
            "because `environments/control.yaml:",
            "### What is rendered",
            "fact addresses.prometheus",
            "### Risks",
        ],
    );
    assert!(!comment.contains("hunter2"), "{comment}");
    let calls = scene.calls();
    // What is ours is opened without it, and has it at the end of the same run.
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    office.run();
    let ours: Vec<_> = [1, 2].map(|more| office.github.pull(number + more).unwrap()).into();
    for pull in &ours {
        let body = pull.body.clone().unwrap();
        assert_order(
            &body,
            &[
                "Rendered from",
                "### What runs",
                "1 object changed on 1 cluster",
                "2 pods restart on",
                "### What is rendered",
                "### Risks",
            ],
        );
        assert!(!body.contains("is not worked out yet"), "{body}");
    }
    assert_eq!(scene.calls(), calls, "all of it was rendered for the review");
    assert_eq!(ours[1].head, APP_HEAD);
    // Another process finds nothing to write.
    office.settle();
    let begun = office.github.state().exchanges.len();
    office.restart();
    office.run();
    let state = office.github.state();
    let written = state.exchanges[begun..].iter().filter(|it| it.method != "GET" && it.path != "/graphql");
    assert_eq!(written.map(|it| format!("{} {}", it.method, it.path)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn what_is_proposed_leads_to_no_new_repository_and_costs_no_verdict() {
    let scene = Scene::new(World::new(), "", ENOUGH);
    let office = &scene.office;
    let file = "templates/addons/metallb/addon.yaml";
    let text = office.world.read(BASE, file);
    let text = text.replace("https://metallb.github.io/metallb", "https://127.0.0.1:9/charts");
    office.world.git(&["branch", "elsewhere", BASE]);
    let changes = [(file, Some(&*text)), ("templates/charts.lock", None)];
    office.world.commit("elsewhere", "Take the chart from elsewhere", &changes);
    let number = office.github.open("elsewhere").unwrap();
    office.run();
    let comment = scene.comment(number);
    let reason = "`https://127.0.0.1:9/charts` is asked for charts once this is merged";
    assert_order(&comment, &["Not shown: 2 of 3 Applications:", reason, "AppProject"]);
    assert!(office.verdicts(number).contains("fleetwright/review success"), "{}", office.verdicts(number));
    // What Helm reports is no markup, whatever it is.
    scene.helm("echo 'Error: </details> `` @everyone ![x](https://example.com)' >&2; exit 1");
    let number = office.propose("address", PROMETHEUS);
    office.run();
    let comment = scene.comment(number);
    assert_order(
        &comment,
        &[
            "Not shown: 2 of 2 Applications:",
            "- ```templates/addons/kube-prometheus-stack/addon.yaml:6:12: Helm renders no objects",
            "</details> `` @everyone",
        ],
    );
    assert!(office.verdicts(number).contains("fleetwright/review success"), "{}", office.verdicts(number));
}

/// A program that makes a Deployment with the image that a file of the chart names.
const OF_FOLDER: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: site}
spec:
  selector: {matchLabels: {app: site}}
  template: {metadata: {labels: {app: site}}, spec: {containers: [{name: main, image: "$(cat "$2/image")"}]}}
END
"#;

#[test]
fn a_chart_in_a_folder_is_read_at_both_revisions() {
    let scene = Scene::new(World::new(), "", ENOUGH);
    let office = &scene.office;
    write_script(office.world.beside("helm"), OF_FOLDER);
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\n\
        metadata: {name: \"{{cluster.name}}-site\", namespace: argocd}\nspec:\n  project: default\n  \
        destination: {name: in-cluster, namespace: site}\n  \
        source: {repoURL: 'https://git.example.com/platform/fleet.git', targetRevision: main, path: charts/site}\n";
    let site = |branch: &str, image: &str, application: &str| {
        let chart = "apiVersion: v2\nname: site\nversion: 0.1.0\n";
        let files = [
            ("charts/site/Chart.yaml", Some(chart)),
            ("charts/site/image", Some(image)),
            ("templates/cluster/site.yaml.hbs", Some(application)),
        ];
        office.world.commit(branch, "Have a site", &files);
    };
    site(BASE, "example.com/site:1.0.0", application);
    office.world.git(&["branch", "next", BASE]);
    site(
        "next",
        "example.com/site:2.0.0",
        &application.replace("spec:\n", "spec:\n  revisionHistoryLimit: 3\n"),
    );
    let number = office.github.open("next").unwrap();
    office.run();
    let comment = scene.comment(number);
    assert_order(
        &comment,
        &["### What runs", "example.com/site:1.0.0", "example.com/site:2.0.0", "### What is rendered"],
    );
}

#[test]
fn without_helm_one_line_says_why_nothing_is_shown() {
    let world = World::new();
    let objects = Objects::Unknown("there is no `helm` on the `PATH`".to_owned());
    let office = Office::with(world, APP_TOKEN, Settings { objects, ..settings() });
    let number = office.propose("address", PROMETHEUS);
    office.run();
    let line = "What this does to what runs is not shown: there is no `helm` on the `PATH`.\n";
    assert_eq!(office.comments(number)[0].matches(line).count(), 1, "{:?}", office.comments(number));
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    office.run();
    assert_eq!(office.github.pull(number + 1).unwrap().body.unwrap().matches(line).count(), 1);
}

#[test]
fn a_run_looks_as_long_as_it_may_and_the_next_ones_go_on() {
    const CLUSTERS: usize = 60;
    let scene = Scene::new(World::of_fleet(CLUSTERS), "sleep 1", Duration::from_secs(9));
    let office = &scene.office;
    let edit = ["environments/_fleet.yaml", "storageClass: fast", "storageClass: slow"];
    let number = office.propose("storage", edit);
    office.run();
    let comment = scene.comment(number);
    assert!(comment.contains(&format!(" of {CLUSTERS} clusters so far")), "{comment}");
    assert!(office.verdicts(number).contains("fleetwright/review success"));
    let cut = scene.calls();
    scene.helm("");
    let mut told = String::new();
    for _ in 0..20 {
        let comment = scene.comment(number);
        writeln!(told, "{} {}", scene.calls(), comment.lines().nth(2).unwrap_or_default()).unwrap();
        if !comment.contains("so far") {
            assert!(comment.contains(&format!("objects changed on {CLUSTERS} clusters")), "{comment}");
            // What was being rendered when the time was over is rendered again, and nothing else.
            let kept = fs::read_dir(office.world.beside("kept/manifests")).unwrap().count();
            let threads = std::thread::available_parallelism().unwrap().get();
            assert!(
                scene.calls() <= kept + threads * 20 && cut < kept,
                "{} of {kept}: {told}",
                scene.calls()
            );
            return;
        }
        office.run();
    }
    panic!("it comes to no end: {told}");
}
