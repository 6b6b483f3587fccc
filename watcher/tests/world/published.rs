//! `publish: manifests` in the service: runs propose the objects of charts, and reviews hold what a head has against them.

use std::time::Duration;

use fleetwright::events::Cancel;
use fleetwright::forge::Home;
use fleetwright::run::{Objects, RolledBack, Settings, Target, rollback};
use testkit::github::MergeMethod;

use crate::effects::{ENOUGH, Scene};
use crate::office::{APP_TOKEN, Office};
use crate::platform::{BASE, World, settings};

const ADDON: &str = "templates/addons/metallb/addon.yaml";
/// One whose values differ on each cluster.
const DIFFERING: &str = "templates/addons/addon-00/addon.yaml";
const VALUES: &str = "templates/addons/metallb/values.yaml.hbs";
const SET: &str = "templates/cluster/applicationset.yaml.hbs";
const PROJECT: &str = "templates/cluster/appproject.yaml.hbs";
const CHARTS: &str = "#each (pluck (pluck addons \"chart\") \"repository\")}}\n    - {{this}}";
/// The objects of one chart on one cluster.
const OBJECTS: &str = "argocd-apps/app/metallb/manifests/chart-deployment.apps.yaml";
/// A file beside it that nothing renders.
const MORE: &str = "argocd-apps/app/metallb/manifests/chart-clusterrole.yaml";
/// Where it is said that they are published.
const PLACE: &str = "templates/addons/metallb/addon.yaml:";
const REASON: &str = "the objects of `metallb` are not published: ";

/// Returns the files that publish the objects of a chart: its add-on's, and templates that know add-ons without charts.
fn publishing(world: &World, addon: &'static str) -> [(&'static str, String); 3] {
    let set = world.read(BASE, SET);
    let without = [
        (
            "repository: {{chart.repository}}",
            "repository: \"{{#if chart}}{{chart.repository}}{{else}}{{@root.fleet.repository.url}}{{/if}}\"",
        ),
        ("chart: {{chart.name}}", "chart: \"{{#if chart}}{{chart.name}}{{/if}}\""),
        ("version: {{chart.version}}", "version: \"{{#if chart}}{{chart.version}}{{else}}main{{/if}}\""),
    ];
    let set = without.iter().fold(set, |text, (old, new)| {
        assert!(text.contains(old), "{text}");
        text.replace(old, new)
    });
    let set = if set.contains("path: \"\\{{ .manifests }}\"") {
        set
    } else {
        let manifests = "            manifests: \"{{#if manifests}}argocd-apps/{{../cluster.name}}/{{name}}/manifests{{/if}}\"\n";
        let set = set.replacen("          {{/each}}\n", &format!("{manifests}          {{{{/each}}}}\n"), 1);
        set.replacen("ref: values\n", "ref: values\n          path: \"\\{{ .manifests }}\"\n", 1)
    };
    let project = world.read(BASE, PROJECT);
    let of_charts = project.replace("#each addons}}\n    - {{chart.repository}}", CHARTS);
    assert_ne!(project, of_charts);
    [(addon, format!("{}\npublish: manifests\n", world.read(BASE, addon))), (SET, set), (PROJECT, of_charts)]
}

fn commit(world: &World, branch: &str, files: &[(&'static str, String)]) {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
    world.commit(branch, "Publish objects", &files);
}

/// Merges all open pull requests of ours.
fn merge_ours(office: &Office, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        office.github.merge_by(number, MergeMethod::Merge).unwrap();
    }
    office.settle();
}

/// An office whose base branch publishes the objects of a chart, all of it merged.
fn published() -> Scene {
    let scene = Scene::new(World::new(), "", ENOUGH);
    scene.helm_without_secrets("");
    let office = &scene.office;
    office.run();
    assert_eq!(scene.calls(), 0, "a fleet that publishes no objects starts no Helm");
    commit(&office.world, BASE, &publishing(&office.world, ADDON));
    office.run();
    merge_ours(office, 1..=2);
    scene
}

#[test]
fn runs_propose_objects_once_and_put_back_what_people_change_of_them() {
    let scene = published();
    let office = &scene.office;
    let text = office.world.read(BASE, OBJECTS);
    assert!(
        text.starts_with("# Rendered by Fleetwright from templates/addons/metallb/addon.yaml;")
            && text.contains("namespace: metallb-system"),
        "{text}"
    );
    let ours = office.github.pull(2).unwrap().body.unwrap();
    // Nothing changes but what Argo CD reads.
    let runs = ours.split("### What is rendered").next().unwrap();
    assert!(
        runs.contains("2 objects changed on 1 cluster") && runs.contains("AppProject argocd/app"),
        "{ours}"
    );
    assert!(!runs.contains("Deployment") && !runs.contains("restart"), "{ours}");

    // Nothing is left to do, and no Helm is started for that, by another process neither.
    let calls = scene.calls();
    assert!(calls > 0);
    office.restart();
    office.run();
    assert_eq!((scene.calls(), office.github.state().pulls.len()), (calls, 2));

    // What a person changes of them on the base branch is put back.
    let edited = text.replace("replicas: 2", "replicas: 3");
    assert_ne!(text, edited);
    office.world.commit(BASE, "Have three", &[(OBJECTS, Some(&edited))]);
    office.run();
    let body = office.github.pull(3).unwrap().body.unwrap();
    assert!(body.contains("Have three") && body.contains("chart-deployment.apps.yaml"), "{body}");
    office.github.merge_by(3, MergeMethod::Merge).unwrap();
    office.settle();
    assert_eq!(office.world.read(BASE, OBJECTS), text);
    assert_eq!(scene.calls(), calls, "all of it was made before");

    // A change of values takes its objects along, there and back.
    let values = office.world.read(BASE, VALUES);
    office.world.commit(
        BASE,
        "Turn it on",
        &[(VALUES, Some(&values.replace("enabled: false", "enabled: true")))],
    );
    let source = office.world.git(&["rev-parse", BASE]);
    office.run();
    merge_ours(office, 4..=5);
    assert_ne!(office.world.read(BASE, OBJECTS), text);
    let (target, upstream) = (Target::Commit(source.trim().to_owned()), office.world.upstream());
    let report =
        rollback((&upstream, &Home::Local, &office.settings), &target, (&Cancel::default(), &())).unwrap();
    let RolledBack::Proposed { head, plan, .. } = report.done else { panic!("{:?}", report.done) };
    assert_eq!(office.world.read(&head.to_string(), OBJECTS), text);
    assert_eq!(plan.files().count(), 4);
}

#[test]
fn objects_that_a_pull_request_brings_are_held_against_what_its_inputs_render_to() {
    let scene = published();
    let office = &scene.office;
    let text = office.world.read(BASE, OBJECTS);
    let evil = text.replace("example.com/app", "evil.example.com/app");
    assert_ne!(text, evil);
    let by_hand = |branch: &str, files: &[(&'static str, String)]| {
        office.world.git(&["branch", branch, BASE]);
        commit(&office.world, branch, files);
        let number = office.github.open(branch).unwrap();
        office.settle();
        let (verdicts, comment) = (office.verdicts(number), scene.comment(number));
        assert!(verdicts.contains("fleetwright/review failure"), "{verdicts}");
        assert!(comment.contains("### Rendered files are edited by hand"), "{comment}");
        comment
    };
    let comment = by_hand("hand", &[(OBJECTS, evil.clone())]);
    let what = format!("`{OBJECTS}` is not as it is rendered");
    assert!(comment.contains(&what) && comment.contains(ADDON), "{comment}");
    // Nor beside a change of the inputs that has other objects.
    let values = office.world.read(BASE, VALUES).replace("enabled: false", "enabled: true");
    assert!(by_hand("beside", &[(OBJECTS, evil.clone()), (VALUES, values.clone())]).contains(&what));
    // Nor as a file of another kind that nothing renders.
    let more =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\n".to_owned();
    assert!(by_hand("more", &[(MORE, more)]).contains("is added, and nothing renders it"));

    // A change of the inputs with the objects that follow from it is none.
    let calls = scene.calls();
    office.world.git(&["branch", "values", BASE]);
    commit(&office.world, "values", &[(VALUES, values)]);
    let number = office.github.open("values").unwrap();
    office.settle();
    assert!(office.verdicts(number).contains("fleetwright/review success"), "{}", office.verdicts(number));
    assert_eq!(scene.calls(), calls, "its objects are those that were made before");
    assert!(scene.comment(number).contains("pods restart"), "{}", scene.comment(number));
}

#[test]
fn a_pull_request_that_begins_with_it_is_held_against_its_objects_and_leads_to_no_new_repository() {
    let scene = Scene::new(World::new(), "", ENOUGH);
    scene.helm_without_secrets("");
    let office = &scene.office;
    let [addon, set, project] = publishing(&office.world, ADDON);
    office.world.git(&["branch", "begin", BASE]);
    let forged = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: evil}\n".to_owned();
    commit(&office.world, "begin", &[addon.clone(), set.clone(), project.clone(), (OBJECTS, forged)]);
    let number = office.github.open("begin").unwrap();
    office.run();
    let comment = scene.comment(number);
    assert!(office.verdicts(number).contains("fleetwright/review failure"), "{}", office.verdicts(number));
    assert!(comment.contains(&format!("`{OBJECTS}` is not as it is rendered")), "{comment}");

    office.world.git(&["branch", "elsewhere", BASE]);
    let (path, text) = addon;
    let text = text.replace("https://metallb.github.io/metallb", "https://127.0.0.1:9/charts");
    commit(&office.world, "elsewhere", &[(path, text), set, project]);
    office.world.commit("elsewhere", "Have no lock", &[("templates/charts.lock", None)]);
    let number = office.github.open("elsewhere").unwrap();
    office.run();
    let comment = scene.comment(number);
    assert!(office.verdicts(number).contains("fleetwright/review failure"), "{}", office.verdicts(number));
    assert!(
        comment.contains("`https://127.0.0.1:9/charts` is asked for charts once this is merged"),
        "{comment}"
    );
}

#[test]
fn without_helm_the_line_that_asks_for_objects_is_a_problem() {
    let world = World::new();
    let objects = Objects::Unknown("there is no `helm` on the `PATH`".to_owned());
    let office = Office::with(world, APP_TOKEN, Settings { objects, ..settings() });
    office.world.git(&["branch", "begin", BASE]);
    commit(&office.world, "begin", &publishing(&office.world, ADDON));
    let number = office.github.open("begin").unwrap();
    office.run();
    let comment = office.comments(number).join("\n");
    let message = format!("{REASON}there is no `helm` on the `PATH`");
    assert!(office.verdicts(number).contains("fleetwright/review failure"), "{}", office.verdicts(number));
    assert!(comment.contains(&message) && comment.contains(PLACE), "{comment}");
    office.github.merge_by(number, MergeMethod::Squash).unwrap();
    let error = office.try_run().unwrap_err();
    let told = error.message();
    assert!(told.contains(&message) && told.contains(PLACE) && told.contains("publish: chart"), "{told}");
    assert!(!error.is_transient());
}

#[test]
fn what_there_is_no_time_for_is_made_by_the_next_runs() {
    const CLUSTERS: usize = 60;
    let scene = Scene::new(World::of_fleet(CLUSTERS), "", Duration::from_secs(4));
    scene.helm_without_secrets("sleep 2");
    let office = &scene.office;
    commit(&office.world, BASE, &publishing(&office.world, DIFFERING));
    let Err(error) = office.try_run() else { panic!("there is time for all") };
    let told = error.message();
    assert!(
        error.is_transient() && told.contains(&format!(" of {CLUSTERS} Applications are made")),
        "{told}"
    );
    let cut = scene.calls();
    assert!(cut > 0 && cut < CLUSTERS, "{cut}");
    scene.helm_without_secrets("");
    for _ in 0..20 {
        match office.try_run() {
            Ok(_) => {
                // What was being rendered when the time was over is rendered again, and nothing else.
                let threads = std::thread::available_parallelism().unwrap().get();
                assert!(scene.calls() <= CLUSTERS + threads * 20, "{}", scene.calls());
                return;
            }
            Err(error) => assert!(error.is_transient(), "{}", error.message()),
        }
    }
    panic!("it comes to no end");
}
