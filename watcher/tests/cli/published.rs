//! `publish: manifests`: the objects of charts are committed in the place of the charts.

use std::fs;

use serde_json::json;

use crate::manifests::{FLEET, Scene};
use crate::repo::Told;

const ADDON: &str = "templates/addons/web/addon.yaml";
const OBJECTS: &str = "argocd-apps/spoke/web/manifests/chart-configmap.yaml";

/// A program that makes a Deployment whose pods follow from its values.
const DEPLOYING: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
while [ $# -gt 0 ]; do
    case $1 in --values) value=$(cksum <"$2" | cut -d ' ' -f 1); shift ;; esac
    shift
done
cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: main, image: "example.com/front:v1.0.0", args: ["$value"]}]}
END
"#;

fn refused(told: &Told, code: i32, parts: &[&str]) {
    assert_eq!((told.code, &*told.out), (code, ""), "{told}");
    for part in parts {
        assert!(told.err.contains(part), "{part}: {told}");
    }
}

/// An add-on that says so itself.
fn published() -> Scene {
    let scene = Scene::new();
    scene.repo.write(ADDON, format!("{}publish: manifests\n", FLEET[4].1));
    scene
}

#[test]
fn objects_take_the_place_of_a_chart_and_the_chart_theirs() {
    let scene = Scene::new();
    let before = scene.run(&["manifests"]);
    scene.repo.write(ADDON, format!("{}publish: manifests\n", FLEET[4].1));
    let told = scene.run(&["render", "--check"]);
    assert!(told.code == 3 && told.out.contains("2 to create, 2 to update"), "{told}");
    let told = scene.run(&["render"]);
    assert_eq!(told.code, 0, "{told}");
    let text = scene.repo.read(OBJECTS);
    let header =
        "# Rendered by Fleetwright from templates/addons/web/addon.yaml; edit that file, not this one.\n";
    assert!(text.starts_with(header) && text.contains("  name: called\n  namespace: web\n"), "{text}");
    assert_eq!(scene.calls(), 1, "what was rendered for the chart is what is published");
    let told = scene.run(&["render", "--check"]);
    assert_eq!(told.code, 0, "{told}");
    assert_eq!(scene.run(&["check"]).code, 0);

    // The Application reads the folder, and what runs is the same.
    let set = scene.repo.read("argocd-apps/spoke/applicationset.yaml");
    assert!(set.contains("chart: \"\"") && !set.contains("charts.example.com"), "{set}");
    let after = scene.run(&["manifests"]);
    assert_eq!((after.code, after.out), (0, before.out), "{}", after.err);
    let told = scene.run(&["diff", "--manifests", "--format", "json"]);
    assert_eq!(told.code, 0, "{told}");
    assert_eq!(told.json()["effects"]["effects"], json!([]), "{told}");
    assert!(told.out.contains("chart-configmap.yaml"), "{told}");
    let told = scene.run(&["explain", OBJECTS]);
    for part in [
        "addon.yaml:1:",
        "web 1.2.3",
        "argocd-apps/spoke/web/values.yaml",
        "addon.yaml:5:10  publish: manifests",
    ] {
        assert!(told.code == 0 && told.out.contains(part), "{part}: {told}");
    }

    // What changes is shown once, with the lines that made it.
    scene.helm(DEPLOYING);
    fs::remove_dir_all(scene.outside("cache")).unwrap();
    assert_eq!(scene.run(&["render"]).code, 0);
    scene.repo.commit("Publish objects");
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "2", "3");
    let told = scene.run(&["diff", "--manifests", "--format", "json"]);
    let effects = &told.json()["effects"]["effects"];
    assert_eq!(effects.as_array().map(Vec::len), Some(1), "{told}");
    let because = effects[0]["because"].as_array().unwrap();
    let files: Vec<_> = because.iter().map(|line| &line["file"]).collect();
    assert_eq!(files, ["templates/addons/web/values.yaml.hbs"], "{told}");
    scene.repo.git(&["checkout", "-q", "."]);

    scene.repo.write(ADDON, FLEET[4].1);
    let told = scene.run(&["diff", "--manifests", "--format", "json"]);
    assert_eq!(told.json()["effects"]["effects"], json!([]), "{told}");
    assert_eq!(scene.run(&["render"]).code, 0);
    assert!(!scene.repo.path(OBJECTS).exists());
    assert!(scene.repo.path("argocd-apps/spoke/web/manifests/settings.yaml").exists());
}

#[test]
fn the_nearest_one_that_speaks_decides() {
    let scene = Scene::new();
    let shown = || {
        let told = scene.repo.run(&["clusters", "--format", "json"]);
        let json = told.json();
        let of = |at: usize| json["clusters"][at]["manifests"].to_string();
        format!("{} {}", of(0), of(1))
    };
    assert_eq!(shown(), "[] []");
    scene.repo.edit("environments/_defaults.yaml", "kubernetes:", "publish: manifests\nkubernetes:");
    assert_eq!(shown(), r#"["web"] ["web"]"#, "an add-on without a chart has nothing else");
    assert!(scene.repo.run(&["clusters"]).out.contains("web (manifests)"));
    scene.repo.edit("environments/hub.yaml", "role:", "publish: chart\nrole:");
    assert_eq!(shown(), r#"[] ["web"]"#);
    scene.repo.write(ADDON, format!("{}publish: chart\n", FLEET[4].1));
    assert_eq!(shown(), "[] []");
    scene.repo.edit("environments/hub.yaml", "role:", "addons: {web: {publish: manifests}}\nrole:");
    assert_eq!(shown(), r#"["web"] []"#);
    assert_eq!(scene.run(&["render"]).code, 0);
    assert!(scene.repo.path("argocd-apps/hub/web/manifests/chart-configmap.yaml").exists());
    assert!(!scene.repo.path(OBJECTS).exists());

    scene.repo.edit("environments/hub.yaml", "publish: manifests", "publish: manifest");
    refused(
        &scene.run(&["check"]),
        4,
        &["environments/hub.yaml:2:25: ", "`publish` must be one of", "manifests"],
    );
    scene.repo.edit(
        "environments/hub.yaml",
        "addons: {web: {publish: manifest}}",
        "addons: {notes: {publish: chart}}",
    );
    refused(&scene.run(&["check"]), 4, &["environments/hub.yaml:2:18: add-on `notes` has no chart"]);
}

#[test]
fn what_must_not_be_committed_is_refused_and_nothing_is_written() {
    let scene = published();
    let state = scene.repo.state();
    let helm = |objects: &str| {
        let script =
            format!("#!/bin/sh\n[ $1 = version ] && printf v4.0.0 && exit\ncat <<END\n{objects}\nEND\n");
        // What is kept of another program is not this one's.
        fs::remove_dir_all(scene.outside("cache")).ok();
        scene.helm(&script);
    };
    let keep = "hint: keep the add-on on its chart with `publish: chart`";
    let place = "templates/addons/web/addon.yaml:5:10: the objects of `web` are not published: ";
    for (objects, message) in [
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: front}, data: {password: aHVudGVyMg==}}",
            "Secret web/front holds a secret at `data.password`",
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: front}, data: {db-password: hunter2}}",
            "ConfigMap web/front holds a secret at `data.db-password`",
        ),
        (
            "{apiVersion: v1, kind: ../../x, metadata: {name: front}}",
            "the name of ../../x web/front has no place",
        ),
    ] {
        helm(objects);
        for command in ["render", "check", "diff", "manifests"] {
            let told = scene.run(&[command]);
            refused(&told, 4, &[&format!("{place}{message}"), keep]);
            assert!(!told.err.contains("hunter2") && !told.err.contains("aHVudGVyMg"), "{told}");
        }
    }

    // What differs each time is refused even where it is accepted.
    scene.repo.write(
        ADDON,
        format!(
            "{}publish: manifests\naccept: [{{check: repeatable, path: ConfigMap/front data, reason: x}}]\n",
            FLEET[4].1
        ),
    );
    scene.chart("1.2.3", "templates/web.yaml", "a: {{ randAlphaNum 16 }}\n");
    helm("{apiVersion: v1, kind: ConfigMap, metadata: {name: front}, data: {a: x$$}}");
    refused(
        &scene.run(&["render"]),
        4,
        &[
            "each rendering gives another ConfigMap front of `web`: `data.a` differs",
            "or keep the add-on on its chart",
        ],
    );
    scene.repo.write(ADDON, format!("{}publish: manifests\n", FLEET[4].1));
    scene.chart("1.2.3", "templates/web.yaml", "kind: Service\n");

    helm("{apiVersion: v1, kind: ConfigMap, metadata: {name: front}}");
    scene.repo.write(
        "templates/addons/web/manifests/chart-configmap.yaml.hbs",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n",
    );
    refused(&scene.run(&["render"]), 4, &["`manifests/chart-configmap.yaml` is one of its own manifests"]);
    fs::remove_file(scene.repo.path("templates/addons/web/manifests/chart-configmap.yaml.hbs")).unwrap();

    // Helm and charts that are not there, and a program that fails.
    refused(
        &scene.run_with("outside/none", scene.outside("charts").to_str().unwrap(), &["render"]),
        2,
        &["is not a program", "install Helm"],
    );
    scene.helm("#!/bin/sh\n[ $1 = version ] && printf v4.0.9 && exit\necho 'Error: no' >&2\nexit 1\n");
    refused(&scene.run(&["render"]), 4, &["Helm renders no objects of `web` (web 1.2.3): no"]);
    scene.chart("9.9.9", "templates/web.yaml", "");
    scene.repo.edit(ADDON, "https://charts.example.com", "https://127.0.0.1:9");
    refused(
        &scene.run(&["render"]),
        1,
        &[
            "the objects of `web` are not published: there is no package of `web 1.2.3`",
            "or keep the add-on on its chart",
        ],
    );
    scene.repo.edit(ADDON, "https://127.0.0.1:9", "https://charts.example.com");
    let rendered = |state: std::collections::BTreeMap<std::path::PathBuf, String>| -> Vec<_> {
        state.into_iter().filter(|(path, _)| path.starts_with("argocd-apps")).collect()
    };
    assert_eq!(rendered(scene.repo.state()), rendered(state));
}

#[test]
fn objects_that_no_application_reads_are_refused() {
    let scene = published();
    scene.repo.edit("templates/cluster/applicationset.yaml.hbs", "{{#if manifests}}", "{{#if chart}}");
    let hint =
        "hint: let it read the folder of an add-on whose `manifests` is true and whose `chart` is null";
    refused(
        &scene.run(&["render"]),
        4,
        &[&format!("no Application reads `{}`", OBJECTS.replace("spoke", "hub")), hint],
    );
}

#[test]
fn what_an_addon_says_of_its_chart_is_held_against_its_objects_either_way() {
    let scene = Scene::new();
    for publish in ["chart", "manifests"] {
        let said = format!("publish: {publish}\nprovides: {{services: [{{name: gone, ports: [80]}}]}}\n");
        scene.repo.write(ADDON, format!("{}{said}", FLEET[4].1));
        let told = scene.run(&["manifests", "--addon", "web"]);
        refused(&told, 4, &["templates/addons/web/addon.yaml:6:30: the chart makes no Service `gone`"]);
    }
}
