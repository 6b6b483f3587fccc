//! `manifests` and `diff --manifests`: final objects by Helm, a stand-in of it or the real one.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::program::{command as command_of, write_script};

use crate::repo::{Repo, Told};

/// A hub and a spoke, each with a chart, documents beside it, and an add-on of documents alone.
pub const FLEET: &[(&str, &str)] = &[
    ("environments/_fleet.yaml", "repository: {url: 'https://git.example.com/fleet.git', branch: main}\n"),
    ("environments/_defaults.yaml", "kubernetes: {version: 1.36.3, apiVersions: [cilium.io/v2]}\n"),
    ("environments/hub.yaml", "role: control\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n"),
    (
        "environments/spoke.yaml",
        "role: app\nhub: hub\nnetworks: {pods: 10.3.0.0/16, services: 10.4.0.0/16}\n",
    ),
    (
        "templates/addons/web/addon.yaml",
        "chart: {repository: 'https://charts.example.com', name: web, version: 1.2.3}\nnamespace: web\nrelease: front\n\
         outside: {secrets: [front]}\n",
    ),
    ("templates/addons/web/values.yaml.hbs", "replicas: 2\n"),
    (
        "templates/addons/web/manifests/settings.yaml.hbs",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {role: {{cluster.role}}}\n",
    ),
    ("templates/addons/notes/addon.yaml", "namespace: notes\n"),
    (
        "templates/addons/notes/manifests/kind.yaml.hbs",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: notes.example.com}\n\
         spec:\n  group: example.com\n  scope: Cluster\n  names: {kind: Note, plural: notes}\n  \
         versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n",
    ),
    (
        "templates/cluster/applicationset.yaml.hbs",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: {{cluster.name}}, namespace: argocd}\nspec:\n  \
         goTemplate: true\n  generators:\n    - list:\n        elements:\n          {{#each addons}}\n          \
         - name: {{name}}\n            release: {{release}}\n            namespace: {{namespace}}\n            \
         repository: \"{{#if chart}}{{chart.repository}}{{else}}{{@root.fleet.repository.url}}{{/if}}\"\n            \
         chart: \"{{#if chart}}{{chart.name}}{{/if}}\"\n            version: \"{{#if chart}}{{chart.version}}{{else}}main{{/if}}\"\n            \
         manifests: \"{{#if manifests}}argocd-apps/{{../cluster.name}}/{{name}}/manifests{{/if}}\"\n          {{/each}}\n  \
         template:\n    metadata: {name: \"{{cluster.name}}-\\{{ .name }}\"}\n    spec:\n      project: default\n      \
         destination:\n        name: {{#if (eq cluster.name hub.name)}}in-cluster{{else}}{{cluster.name}}{{/if}}\n        \
         namespace: \"\\{{ .namespace }}\"\n      sources:\n        - repoURL: \"\\{{ .repository }}\"\n          \
         chart: \"\\{{ .chart }}\"\n          targetRevision: \"\\{{ .version }}\"\n          helm:\n            \
         releaseName: \"\\{{ .release }}\"\n            \
         valueFiles: [\"$values/argocd-apps/{{cluster.name}}/\\{{ .name }}/values.yaml\"]\n        \
         - {repoURL: '{{fleet.repository.url}}', targetRevision: main, ref: values, path: \"\\{{ .manifests }}\"}\n",
    ),
];

/// A program that renders how it was called.
const STAND_IN: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
echo x >>COUNT
[ -e "$2" ] || { echo "there is no chart at $2" >&2; exit 1; }
shift 2
words=
while [ $# -gt 0 ]; do
    case $1 in
        --values) values=$(cat "$2"); shift ;;
        *) words="$words $1" ;;
    esac
    shift
done
printf '%s\n' '---' 'apiVersion: v1' 'kind: ConfigMap' 'metadata: {name: called}' "data: {words: '$words', values: '$values'}"
"#;

/// A repository with the fleet, a chart in a folder, and a program in the place of Helm.
pub struct Scene {
    pub repo: Repo,
}

impl Scene {
    pub fn new() -> Self {
        let scene = Self { repo: Repo::empty() };
        for (path, text) in FLEET {
            scene.repo.write(path, text);
        }
        scene.chart("1.2.3", "templates/web.yaml", "kind: Service\n");
        scene.helm(STAND_IN);
        let told = scene.repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        scene.repo.write(".gitignore", "outside/\n");
        scene.repo.commit("Describe the fleet");
        scene
    }

    pub fn outside(&self, path: &str) -> PathBuf {
        self.repo.path("outside").join(path)
    }

    pub fn chart(&self, version: &str, path: &str, text: &str) {
        self.repo.write(
            "outside/charts/web/Chart.yaml",
            format!("apiVersion: v2\nname: web\nversion: {version}\n"),
        );
        self.repo.write(&format!("outside/charts/web/{path}"), text);
    }

    pub fn helm(&self, script: &str) {
        let script = script.replace("COUNT", self.outside("count").to_str().unwrap());
        write_script(self.outside("helm"), &script);
    }

    pub fn run(&self, arguments: &[&str]) -> Told {
        self.run_with("outside/helm", "outside/charts", arguments)
    }

    pub fn run_with(&self, helm: &str, charts: &str, arguments: &[&str]) -> Told {
        let own = ["--helm", helm, "--charts", charts];
        let mut command = self.repo.command(&[arguments, &own].concat());
        command.env("XDG_CACHE_HOME", self.outside("cache"));
        self.repo.told(command.output().unwrap())
    }

    pub fn calls(&self) -> usize {
        fs::read_to_string(self.outside("count")).map_or(0, |text| text.lines().count())
    }
}

#[test]
fn helm_is_called_with_what_the_applications_say() {
    let scene = Scene::new();
    scene.chart("1.2.3", "templates/web.yaml", "{{ .Capabilities.APIVersions }}\n");
    let told = scene.run(&["manifests", "--cluster", "spoke", "--format", "json"]);
    assert_eq!(told.code, 0, "{told}");
    let json = told.json();
    let shown = json["applications"].as_array().unwrap().iter().map(|one| {
        let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let objects = one["objects"].as_array().unwrap().iter().map(|object| {
            let text =
                |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
            format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
        });
        let objects = objects.collect::<Vec<_>>().join(", ");
        format!("{} {} {}: {objects}", text("/cluster"), text("/addon"), text("/application"))
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "spoke notes spoke-notes: CustomResourceDefinition -/notes.example.com",
            "spoke web spoke-web: ConfigMap web/called, ConfigMap web/settings",
        ]
    );
    let called = &json["applications"][1]["objects"][0]["data"];
    assert_eq!(
        called["words"],
        " --name-template front --namespace web --kube-version 1.36.3 \
         --api-versions apiregistration.k8s.io/v1 --api-versions apiregistration.k8s.io/v1/APIService \
         --api-versions cilium.io/v2 --api-versions example.com/v1 --api-versions example.com/v1/Note --include-crds"
    );
    assert!(called["values"].as_str().unwrap().ends_with("replicas: 2"), "{called}");
}

#[test]
fn what_was_rendered_once_is_not_rendered_again() {
    let scene = Scene::new();
    let first = scene.run(&["manifests"]);
    assert_eq!((first.code, scene.calls()), (0, 1), "{first}");
    assert_eq!(scene.run(&["manifests"]).out, first.out);
    assert_eq!(scene.calls(), 1);
    scene.repo.edit(
        "templates/addons/web/values.yaml.hbs",
        "2",
        "{{#if (eq cluster.role \"app\")}}3{{else}}2{{/if}}",
    );
    assert_eq!(scene.run(&["manifests"]).code, 0);
    assert_eq!(scene.calls(), 2, "only the spoke has other values");
    scene.chart("1.2.3", "templates/web.yaml", "kind: Service # another\n");
    assert_eq!(scene.run(&["manifests"]).code, 0);
    assert_eq!(scene.calls(), 4, "the chart is another one");
}

#[test]
fn a_chart_is_given_the_api_versions_that_it_asks_for_and_others_make_no_difference() {
    let scene = Scene::new();
    let asks = |version: &str| {
        let text = format!("{{{{ .Capabilities.APIVersions.Has \"{version}\" }}}}\n");
        scene.chart(
            "1.2.3",
            "templates/web.yaml",
            &format!("{{{{ .Capabilities.APIVersions.Has \"a/v1\" }}}}{text}"),
        );
    };
    let given = || {
        let told = scene.run(&["manifests", "--cluster", "spoke", "--addon", "web", "--format", "json"]);
        assert_eq!(told.code, 0, "{told}");
        let words = &told.json()["applications"][0]["objects"][0]["data"]["words"];
        let words: Vec<_> = words.as_str().unwrap().split(" --").map(str::to_owned).collect();
        words.iter().filter_map(|word| word.strip_prefix("api-versions ")).collect::<Vec<_>>().join(" ")
    };
    asks("example.com/v1/Note");
    assert_eq!(given(), "example.com/v1/Note");
    asks("example.com/v2");
    assert_eq!(given(), "");
    let second = "{name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}";
    let kind = "templates/addons/notes/manifests/kind.yaml.hbs";
    scene.repo.edit(kind, "versions: [", &format!("versions: [{second}, "));
    let told = scene.run(&["diff", "--manifests"]);
    assert!(told.code == 0 && told.out.contains("ConfigMap web/called"), "{told}");
    assert_eq!(given(), "example.com/v2");
    // Who asks for another version is not rendered again.
    asks("example.com/v1");
    assert_eq!(given(), "example.com/v1");
    let calls = scene.calls();
    let told = scene.run(&["diff", "--manifests"]);
    assert!(told.code == 0 && !told.out.contains("called"), "{told}");
    assert_eq!(scene.calls(), calls);
}

/// A program that renders a definition, one in a text, and the values.
const DEFINES: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
while [ $# -gt 0 ]; do case $1 in --values) values=$(cat "$2" | tail -n 1) ;; esac; shift; done
definition() {
    echo "${1}apiVersion: apiextensions.k8s.io/v1"; echo "${1}kind: CustomResourceDefinition"
    echo "${1}metadata: {name: parts.example.com}"
    echo "${1}spec: {group: example.com, scope: Cluster, names: {kind: Part, plural: parts}, versions: [$2]}"
}
version='{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}'
case $values in *after*) version="$version, {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}" ;; esac
echo ---; definition '' "$version"
echo ---; echo 'apiVersion: v1'; echo 'kind: ConfigMap'; echo 'metadata: {name: text}'; echo 'data:'; echo '  kind: |'
definition '    ' "$version"; echo "    # $values"
"#;

#[test]
fn a_definition_is_compared_for_all_clusters_that_have_it_and_what_only_holds_its_text_is_not_one() {
    let scene = Scene::new();
    scene.helm(DEFINES);
    let values = "templates/addons/web/values.yaml.hbs";
    scene.repo.write(values, "{{cluster.name}}: before\n");
    assert_eq!(scene.repo.run(&["render"]).code, 0);
    scene.repo.commit("Other values on each cluster");
    scene.repo.write(values, "{{cluster.name}}: after\n");
    let told = scene.run(&["diff", "--manifests", "--full"]);
    assert_eq!(told.code, 0, "{told}");
    let json = scene.run(&["diff", "--manifests", "--format", "json"]).json();
    assert_eq!(
        json["effects"]["totals"],
        json!({"clusters": 2, "created": 0, "updated": 4, "deleted": 0}),
        "{told}"
    );
    let of_kind = json["effects"]["effects"].as_array().unwrap();
    let definition = of_kind.iter().find(|effect| effect["kind"] == "definition-changed");
    assert_eq!(definition.map(|effect| &effect["clusters"]), Some(&json!(["hub", "spoke"])), "{told}");
    assert!(told.out.contains("ConfigMap web/text"), "{told}");
}

#[test]
fn without_a_usable_helm_it_is_said_what_to_do() {
    let scene = Scene::new();
    let charts = scene.outside("charts");
    let charts = charts.to_str().unwrap();
    let refused = |told: Told, message: &str, hint: &str| {
        assert!(told.err.contains(message) && told.err.contains(hint) && told.out.is_empty(), "{told}");
        assert_eq!(told.code, 2, "{told}");
    };
    let install = "  hint: install Helm 3.18 or newer, or name it with `--helm PATH`";
    let told = scene.run_with("outside/none", charts, &["manifests"]);
    refused(told, "/outside/none` is not a program", install);
    scene.helm("#!/bin/sh\nprintf v3.12.0\n");
    refused(scene.run(&["manifests"]), "is Helm v3.12.0, which is too old", install);
    scene.helm(STAND_IN);
    let told = scene.run(&["manifests", "--cluster", "spok"]);
    refused(told, "error: there is no cluster `spok`", "  hint: did you mean `spoke`?");
    let told = scene.run(&["manifests", "--addon", "xyz"]);
    refused(told, "error: there is no add-on `xyz`", "  hint: there are `notes`, `web`");
}

#[test]
fn what_helm_refuses_is_a_problem_of_the_addon() {
    let scene = Scene::new();
    scene.helm("#!/bin/sh\n[ $1 = version ] && printf v4.0.0 && exit\necho 'Error: values do not meet the schema: '$PWD >&2\necho '- replicas: \u{1b}[2J' >&2\nexit 1\n");
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    let place = "templates/addons/web/addon.yaml:1:";
    let message = "Helm renders no objects of `web` (web 1.2.3): values do not meet the schema:";
    assert!(told.err.contains(place) && told.err.contains(message) && !told.err.contains('\u{1b}'), "{told}");
    assert_eq!(told.err.matches(message).count(), 1, "{told}");
    scene.helm("#!/bin/sh\n[ $1 = version ] && printf v4.0.1 && exit\necho 'a: ['\n");
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    assert!(told.err.contains("Helm renders something else than objects for `hub-web`"), "{told}");
}

#[test]
fn what_differs_each_time_is_a_problem_until_it_is_accepted() {
    let scene = Scene::new();
    scene.chart("1.2.3", "templates/secret.yaml", "a: 1\npassword: {{ randAlphaNum 16 }}\n");
    scene.helm(
        "#!/bin/sh\n[ $1 = version ] && printf v4.0.0 && exit\nprintf '%s\\n' 'apiVersion: v1' 'kind: Secret' 'metadata: {name: front}' \"data: {password: \"$$\", user: bWU=}\"\n",
    );
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    let message = "each rendering gives another Secret front of `web`: `data.password` differs, by `randAlphaNum` at templates/secret.yaml:2 of the chart";
    assert!(told.err.contains(message), "{told}");
    assert!(
        told.err.contains("accept: [{check: repeatable, path: \"Secret/front data.password\", reason: …}]"),
        "{told}"
    );
    scene.repo.write(
        "templates/addons/web/addon.yaml",
        format!(
            "{}accept: [{{check: repeatable, path: Secret/front data.password, reason: for a test}}]\n",
            FLEET[4].1
        ),
    );
    let told = scene.run(&["manifests", "--addon", "web", "--cluster", "hub"]);
    assert_eq!(told.code, 0, "{told}");
    assert!(told.out.contains("kind: Secret") && !told.out.contains("bWU="), "{told}");
}

/// A program that makes a Deployment with the image of its values, and a note.
const WORKLOAD: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
echo x >>COUNT
while [ $# -gt 0 ]; do
    if [ "$1" = --values ]; then tag=$(sed -n 's/^tag: //p' "$2"); fi
    shift
done
cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, labels: {app.kubernetes.io/version: $tag}}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: main, image: "example.com/web:$tag", env: [{name: PASSWORD, value: hunter2-$tag}]}]}
END
"#;

#[test]
fn a_diff_shows_what_becomes_of_objects_and_what_that_does() {
    let scene = Scene::new();
    scene.helm(WORKLOAD);
    scene.repo.write("templates/addons/web/values.yaml.hbs", "tag: v1.9.0\n");
    assert_eq!(scene.repo.run(&["render"]).code, 0);
    scene.repo.commit("Name the tag");
    scene.repo.write("templates/addons/web/values.yaml.hbs", "tag: v2.0.0\n");

    let told = scene.run(&["diff", "--manifests"]);
    assert_eq!(told.code, 0, "{told}");
    for line in
        ["4 pods restart on hub, spoke (1 Deployment)", "example.com/web:v1.9.0", "example.com/web:v2.0.0"]
    {
        assert!(told.out.contains(line), "{line}: {told}");
    }
    assert!(!told.out.contains("hunter2"), "{told}");
    assert_eq!(scene.calls(), 2, "each of both sides is made once for both clusters");

    let told = scene.run(&["diff", "--manifests", "--format", "json"]);
    let effects = &told.json()["effects"];
    assert_eq!(effects["restarts"]["clusters"], json!(["hub", "spoke"]), "{told}");
    assert_eq!(effects["noise"]["labels"], 2, "{told}");
    let told = scene.run(&["diff", "--manifests", "--markdown"]);
    let (effects, plan) = (told.out.find("4 pods restart"), told.out.find("tag"));
    assert!(effects.is_some() && effects < plan, "{told}");
    let told = scene.run(&["diff", "--manifests", "--format", "html"]);
    let page = told.out;
    assert!(page.contains("<h2 id=\"effects\">") && page.contains("4 pods restart"), "{page}");

    // Without Helm the plan alone is shown, and nothing is made.
    let told = scene.repo.run(&["diff"]);
    assert!(told.code == 0 && !told.out.contains("restart"), "{told}");
    let told =
        scene.run_with("outside/none", scene.outside("charts").to_str().unwrap(), &["diff", "--manifests"]);
    assert_eq!((told.code, &*told.out), (2, ""), "{told}");
    assert_eq!(scene.calls(), 2, "what was rendered is kept");

    // An add-on that goes takes its objects along.
    scene.repo.git(&["rm", "-rq", "--force", "templates/addons/web"]);
    let told = scene.run(&["diff", "--manifests"]);
    assert!(told.code == 0 && told.out.contains("Deployment web/front"), "{told}");
}

#[test]
fn a_terminal_shows_one_of_each_kind_of_change_before_the_others_are_made() {
    let scene = Scene::new();
    scene.helm(WORKLOAD);
    let values = |tag: &str| {
        let text = format!("tag: {tag}\nof: {{{{cluster.name}}}}\n");
        scene.repo.write("templates/addons/web/values.yaml.hbs", text);
    };
    values("v1.9.0");
    // It has the role of each cluster in it, which makes each of a kind of its own.
    scene.repo.git(&["rm", "-q", "templates/addons/web/manifests/settings.yaml.hbs"]);
    assert_eq!(scene.repo.run(&["render"]).code, 0);
    scene.repo.commit("Name the tag");
    values("v2.0.0");
    let arguments = ["diff", "--manifests", "--helm", "outside/helm", "--charts", "outside/charts"];
    let command = scene.repo.command(&arguments);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = command_of("script");
    terminal.args(["-qec", &words.join(" "), "/dev/null"]).current_dir(command.get_current_dir().unwrap());
    terminal.env("XDG_CACHE_HOME", scene.outside("cache"));
    let output = terminal.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let first = shown.find("So far, one of each kind of change, 1 of 2 Applications:").unwrap_or_else(|| {
        panic!("{shown}");
    });
    let [one, both] = ["2 pods restart on hub", "4 pods restart on hub, spoke"].map(|line| shown.find(line));
    assert!(one.is_some_and(|one| first < one) && one < both, "{shown}");
    let told = scene.run(&arguments[..2]);
    assert!(told.code == 0 && told.err.is_empty() && !told.out.contains("So far"), "{told}");
}

#[test]
fn an_effect_names_the_lines_behind_it() {
    let scene = Scene::new();
    // The version of Kubernetes and a label are parts of the image, too.
    let workload = WORKLOAD
        .replace("    shift\n", "    if [ \"$1\" = --kube-version ]; then kube=$2; fi\n    shift\n")
        .replace(
            "sed -n 's/^tag: //p' \"$2\"",
            "sed -n -e 's/^stage: //p' -e 's/^tag: //p' \"$2\" | tr '\\n' -",
        )
        .replace("version: $tag}", "version: one}")
        .replace("example.com/web:$tag", "example.com/web:$tag$kube");
    scene.repo.edit("environments/_defaults.yaml", "kubernetes:", "labels: {stage: one}\nkubernetes:");
    scene.helm(&workload);
    scene.repo.write(
        "templates/addons/web/values.yaml.hbs",
        "owner: me\nstage: {{cluster.labels.stage}}\ntag: v1.9.0\n",
    );
    assert_eq!(scene.repo.run(&["render"]).code, 0);
    scene.repo.commit("Name the tag");
    let because = |told: &Told| -> Vec<String> {
        assert_eq!(told.code, 0, "{told}");
        let lines = told.out.lines().filter_map(|line| line.trim().strip_prefix("because "));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.dedup();
        lines
    };
    let shown = || because(&scene.run(&["diff", "--manifests"]));

    // A text of a template.
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "v1.9.0", "v1.9.1");
    assert_eq!(shown(), ["templates/addons/web/values.yaml.hbs:3:6"]);
    // What a cluster sets itself, and then no longer does.
    let hub = "role: control\nnetworks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n";
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "v1.9.1", "v1.9.0");
    scene.repo.write("environments/hub.yaml", format!("{hub}addons: {{web: {{values: {{tag: v2.0.0}}}}}}\n"));
    assert_eq!(shown(), ["environments/hub.yaml:3:30"]);
    scene.repo.commit("Set the tag");
    scene.repo.write("environments/hub.yaml", hub);
    let lines = shown();
    assert!(lines.iter().all(|line| line.contains("environments/hub.yaml:3:30 (before)")), "{lines:?}");
    scene.repo.commit("Set no tag");
    // A fact that a template reads, and one that Helm is given.
    scene.repo.write("environments/hub.yaml", format!("{hub}labels:\n  stage: two\n"));
    assert_eq!(shown(), ["environments/hub.yaml:4:10"]);
    scene.repo.write("environments/hub.yaml", hub);
    scene.repo.edit("environments/_defaults.yaml", "1.36.3", "1.37.0");
    assert_eq!(shown(), ["environments/_defaults.yaml:2:23"]);
    // Two at once: which one it is only Helm knows.
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "v1.9.0", "v1.9.1");
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "owner: me", "owner: you");
    assert_eq!(
        shown(),
        ["templates/addons/web/values.yaml.hbs:1:8, templates/addons/web/values.yaml.hbs:3:6, \
             environments/_defaults.yaml:2:23"]
    );
    scene.repo.commit("Go on");
    // An object of the repository's own, and an add-on that goes on one cluster.
    scene.repo.git(&["rm", "-q", "templates/addons/web/manifests/settings.yaml.hbs"]);
    assert_eq!(shown(), ["templates/addons/web/manifests/settings.yaml.hbs:1:1 (before)"]);
    scene.repo.commit("Have no settings");
    scene.repo.write("environments/hub.yaml", format!("{hub}addons: {{web: {{enabled: false}}}}\n"));
    assert_eq!(shown(), ["environments/hub.yaml:3:25"]);

    let told = scene.run(&["diff", "--manifests", "--markdown"]);
    assert!(told.out.contains("  - because `environments/hub.yaml:3:25`"), "{told}");
    let json = scene.run(&["diff", "--manifests", "--format", "json"]).json();
    let line =
        json!([{"file": "environments/hub.yaml", "line": 3, "column": 25, "what": "addons.web.enabled"}]);
    assert_eq!(json.pointer("/effects/effects/0/because"), Some(&line), "{json}");
    let page = scene.run(&["diff", "--manifests", "--format", "html"]).out;
    assert!(page.contains("because environments/hub.yaml:3:25"), "{page}");
}

/// A program that makes objects with one fault each.
const FAULTS: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
cat <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replica: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      containers:
        - {name: main, image: example.com/web, env: [{name: A, valueFrom: {secretKeyRef: {name: away, key: a}}}]}
        - {name: side, image: "example.com/side:1.0", env: [{name: A, valueFrom: {secretKeyRef: {name: here, key: a}}}]}
---
{apiVersion: v1, kind: Secret, metadata: {name: here}, data: {a: eA==}}
---
{apiVersion: v1, kind: Service, metadata: {name: front}, spec: {selector: {app: front}, ports: [{port: 80}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front}
spec:
  defaultBackend: {service: {name: front, port: {number: 8080}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: front}
webhooks:
  - name: front.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig: {service: {name: back, namespace: web, path: /}}
---
{apiVersion: v1, kind: Service, metadata: {name: out}, spec: {type: LoadBalancer, loadBalancerIP: 10.9.9.9, ports: [{port: 80}]}}
END
"#;

#[test]
fn final_objects_are_judged_and_what_is_found_can_be_accepted() {
    let scene = Scene::new();
    scene.helm(FAULTS);
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    let found = |told: &Told| -> Vec<String> {
        let lines = told.err.lines().filter(|line| line.contains(" of `web`"));
        lines.map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
    };
    let all = found(&told);
    for expected in [
        "Deployment web/front of `web` `spec.replica`: unknown key `replica`",
        "Deployment web/front of `web` `spec.template.spec.containers[0].image`: image `example.com/web` names no version",
        "Deployment web/front of `web` `spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name`: nothing provides the Secret `away` on `hub`",
        "Ingress web/front of `web` `spec.defaultBackend.service.name`: Service `front` of the namespace `web` has no port `8080`",
        "ValidatingWebhookConfiguration front of `web` `webhooks[0].clientConfig.service.name`: nothing of `hub` is called `back` in the namespace `web`",
        "Service web/out of `web` `spec.loadBalancerIP`: address `10.9.9.9` is asked for, but `hub` has no pool",
    ] {
        assert!(all.iter().any(|line| line.starts_with(expected)), "{expected}: {told}");
    }
    assert!(!told.err.contains("`here`") && !told.err.contains("example.com/side"), "{told}");
    let missing = all.iter().filter(|line| line.contains("the Secret `away`")).collect::<Vec<_>>();
    assert!(missing.len() == 1 && missing[0].ends_with("(on `hub` and `spoke`)"), "{missing:?}");
    // Of one add-on it is not known what others bring.
    let told = scene.run(&["manifests", "--addon", "web"]);
    assert!(told.err.contains("`replica`") && !told.err.contains("`away`"), "{told}");
    // The same is found before it is merged.
    scene.repo.edit("templates/addons/web/values.yaml.hbs", "2", "3");
    let told = scene.run(&["diff", "--manifests"]);
    assert!(told.code == 4 && told.err.contains("unknown key `replica`"), "{told}");
    // The objects of both clusters are the same, and are made once; each is judged where it is.
    let both = "`10.9.9.9` is asked for, but `hub` has no pool (on `hub` and `spoke`)";
    assert!(told.err.contains(both), "{told}");

    let accepts = "accept:\n  - {check: final-objects, path: Deployment/front spec.replica, reason: x}\n  \
         - {check: final-images, path: Deployment/front spec.template, reason: x}\n  \
         - {check: final-secrets, path: Deployment/front ., reason: x}\n  \
         - {check: final-services, path: Ingress/front spec, reason: x}\n  \
         - {check: final-services, path: ValidatingWebhookConfiguration/front webhooks, reason: x}\n  \
         - {check: final-addresses, path: Service/out ., reason: x}\n";
    scene.repo.write("templates/addons/web/addon.yaml", format!("{}{accepts}", FLEET[4].1));
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");
}

/// A program that defines a kind and makes an object of it.
const OF_ITS_KIND: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
cat <<'END'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parts.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Part, plural: parts}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, required: [size], properties: {size: {type: integer}, color: {enum: [red, blue], type: string}}}}
    - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
{apiVersion: example.com/v1, kind: Part, metadata: {name: front}, spec: {size: 1, colour: red}}
---
{apiVersion: example.com/v2, kind: Part, metadata: {name: next}, spec: {colour: red}}
END
"#;

#[test]
fn final_objects_are_judged_by_the_definition_of_their_kind_wherever_it_is_made() {
    let scene = Scene::new();
    scene.helm(OF_ITS_KIND);
    let own = "templates/addons/notes/manifests/part.yaml.hbs";
    scene.repo.write(
        own,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: example.com/v1\nkind: Part\n\
         metadata: {name: own}\nspec:\n  size: small\n  color: green\n  shape: {{cluster.role}}\n",
    );
    let found = |told: &Told| -> Vec<String> {
        let lines = told.err.lines().filter(|line| line.starts_with("templates/"));
        lines.map(str::to_owned).collect()
    };
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    assert_eq!(
        found(&told),
        [
            format!("{own}:9:9: `size` must be an integer, not a string (on `hub` and `spoke`)"),
            format!("{own}:10:10: `color` must be one of `red`, `blue` (on `hub` and `spoke`)"),
            format!("{own}:11:3: unknown key `shape` (on `hub` and `spoke`)"),
            "templates/addons/web/addon.yaml:1:71: Part web/front of `web` `spec.colour`: unknown key `colour` (on `hub` and `spoke`)".to_owned(),
        ],
        "{told}"
    );
    // A kind whose definition is not made is not judged by it.
    let told = scene.run(&["manifests", "--addon", "notes"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");

    scene.repo.edit(own, "small\n  color: green\n  shape: {{cluster.role}}", "3");
    let accepts = "accept: [{check: final-objects, path: Part/front spec.colour, reason: x}]\n";
    scene.repo.write("templates/addons/web/addon.yaml", format!("{}{accepts}", FLEET[4].1));
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");
}

/// A program that makes a pod which takes much, and some of what it takes.
const TAKES: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
cat <<'END'
{apiVersion: v1, kind: ConfigMap, metadata: {name: there}, data: {a: b}, binaryData: {bin: eA==}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: empty}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: away, namespace: other}, data: {a: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: key}, data: {a: eA==}}
---
{apiVersion: v1, kind: Secret, metadata: {name: shared}, data: {a: eA==}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: shared}
spec: {target: {creationPolicy: Merge}, dataFrom: [{extract: {key: shared}}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: front}
spec:
  schedule: "0 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          volumes:
            - {name: a, configMap: {name: there, items: [{key: a, path: a}, {key: bin, path: b}, {key: c, path: c}]}}
            - {name: b, configMap: {name: away}}
            - {name: c, configMap: {name: maybe, optional: true}}
            - {name: d, projected: {sources: [{configMap: {name: kube-root-ca.crt}}, {secret: {name: key, items: [{key: c, path: c}]}}]}}
            - {name: e, configMap: {name: empty, items: [{key: x, path: x}]}}
            - {name: f, configMap: {name: settings, items: [{key: role, path: x}]}}
            - {name: g, secret: {secretName: shared, items: [{key: b, path: x}]}}
          containers:
            - name: main
              image: example.com/web:1.0
              envFrom: [{configMapRef: {name: gone}}, {configMapRef: {name: gone-too, optional: true}}]
              env:
                - {name: A, valueFrom: {configMapKeyRef: {name: there, key: d}}}
                - {name: B, valueFrom: {secretKeyRef: {name: key, key: b}}}
                - {name: C, valueFrom: {secretKeyRef: {name: front, key: b}}}
                - {name: D, valueFrom: {secretKeyRef: {name: key, key: b, optional: true}}}
END
"#;

#[test]
fn what_pods_take_of_config_maps_and_secrets_is_there() {
    let scene = Scene::new();
    scene.helm(TAKES);
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    let lines =
        told.err.lines().filter_map(|line| line.split_once("of `web` `spec.jobTemplate.spec.template.spec."));
    assert_eq!(
        lines.map(|(_, found)| found.trim_end_matches(" (on `hub` and `spoke`)")).collect::<Vec<_>>(),
        [
            "containers[0].envFrom[0].configMapRef.name`: no ConfigMap `gone` is made in the namespace `web`",
            "containers[0].env[0].valueFrom.configMapKeyRef.key`: ConfigMap `there` has no key `d`",
            "containers[0].env[1].valueFrom.secretKeyRef.key`: Secret `key` has no key `b`",
            "volumes[0].configMap.items[2].key`: ConfigMap `there` has no key `c`",
            "volumes[1].configMap.name`: no ConfigMap `away` is made in the namespace `web`",
            "volumes[3].projected.sources[1].secret.items[0].key`: Secret `key` has no key `c`",
        ],
        "{told}"
    );
    // Of one add-on it is not known what others bring.
    let told = scene.run(&["manifests", "--addon", "web"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");
    let accepts = "accept:\n  - {check: final-config-maps, path: CronJob/front spec, reason: x}\n  \
         - {check: final-secrets, path: CronJob/front ., reason: x}\n";
    scene.repo.write("templates/addons/web/addon.yaml", format!("{}{accepts}", FLEET[4].1));
    let told = scene.run(&["manifests"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");
}

#[test]
fn what_is_guessed_of_values_gives_way_to_what_is_known_of_objects() {
    let scene = Scene::new();
    scene.helm(WORKLOAD);
    // Secrets are judged where some document provides one.
    scene.repo.write(
        "templates/addons/web/manifests/made.yaml.hbs",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: made}\nspec: {target: {name: made}}\n",
    );
    for (value, guess) in [
        ("sidecar: {image: \"example.com/web:latest\"}", "has the tag `latest`"),
        ("auth: {existingSecret: nowhere}", "the Secret `nowhere`"),
        ("url: http://nowhere.web.svc:80", "is called `nowhere`"),
    ] {
        scene.repo.write("templates/addons/web/values.yaml.hbs", format!("tag: v1.9.0\n{value}\n"));
        let told = scene.repo.run(&["check"]);
        assert!(told.code == 4 && told.err.contains(guess), "{told}");
        let told = scene.run(&["manifests"]);
        assert_eq!((told.code, &*told.err), (0, ""), "{told}");
        // Of one add-on it is not known what others bring.
        let told = scene.run(&["manifests", "--addon", "web"]);
        assert!(told.code == 4 && told.err.contains(guess), "{told}");
    }
    // What stands in the repository is no guess.
    scene.repo.edit(
        "templates/addons/web/manifests/settings.yaml.hbs",
        "data: {role",
        "data: {url: 'http://away.web.svc:80', role",
    );
    let told = scene.run(&["manifests"]);
    assert!(told.code == 4 && told.err.contains("is called `away`"), "{told}");
    assert!(!told.err.contains("nowhere"), "{told}");
}

#[test]
fn a_chart_that_does_not_come_is_named() {
    let scene = Scene::new();
    scene.chart("9.9.9", "templates/web.yaml", "");
    scene.repo.edit("templates/addons/web/addon.yaml", "https://charts.example.com", "https://127.0.0.1:9");
    let told = scene.run(&["manifests"]);
    assert_eq!(told.code, 1, "{told}");
    assert!(
        told.err.contains("error: there is no package of `web 1.2.3`: failed to fetch `https://127.0.0.1:9/"),
        "{told}"
    );
}

#[test]
fn the_real_helm_renders_a_real_chart() {
    let Ok(helm) = testkit::real::Helm::find() else {
        println!("left out: there is no Helm here: `testkit/real/fetch helm`");
        return;
    };
    let scene = Scene::new();
    scene.chart(
        "1.2.3",
        "templates/web.yaml",
        "apiVersion: example.com/v2\nkind: Page\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  replicas: {{ .Values.replicas }}\n  \
         kube: {{ .Capabilities.KubeVersion.Version }}\n  has: {{ .Capabilities.APIVersions.Has \"example.com/v1/Note\" }}\n  \
         own: {{ .Capabilities.APIVersions.Has \"cilium.io/v2\" }}\n  env: {{ env \"HOME\" | quote }}\n",
    );
    let program = helm.folder().join("helm");
    let run = |arguments: &[&str]| {
        scene.run_with(program.to_str().unwrap(), scene.outside("charts").to_str().unwrap(), arguments)
    };
    // Helm has no function that reads the environment.
    let told = run(&["manifests", "--addon", "web", "--cluster", "hub"]);
    assert_eq!(told.code, 4, "{told}");
    assert!(told.err.contains("function \"env\" not defined"), "{told}");
    let chart = fs::read_to_string(scene.outside("charts/web/templates/web.yaml")).unwrap();
    scene.chart("1.2.3", "templates/web.yaml", chart.split("  env:").next().unwrap());
    let told = run(&["manifests", "--addon", "web", "--cluster", "hub", "--format", "json"]);
    assert_eq!(told.code, 0, "{told}");
    let json = told.json();
    let object = &json["applications"][0]["objects"][0];
    let spec = json!({"replicas": 2, "kube": "v1.36.3", "has": true, "own": true});
    assert_eq!((&object["metadata"]["name"], &object["spec"]), (&json!("front"), &spec), "{told}");
}

/// A program that makes what an add-on can say of a chart: two Services, one of them at an address, with the pods behind it
/// and a policy of them, a Secret and a class.
const SAID: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
cat <<'END'
{apiVersion: v1, kind: Service, metadata: {name: front-web}, spec: {selector: {app: web}, ports: [{port: 80}, {port: 8080}]}}
---
apiVersion: v1
kind: Service
metadata: {name: front-web-edge}
spec: {type: LoadBalancer, loadBalancerIP: 10.9.9.9, selector: {app: web}, ports: [{port: 443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front-web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, tier: front}}, spec: {containers: [{name: main, image: "example.com/web:1.0"}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: all}, spec: {podSelector: {matchLabels: {app: web}}, ingress: [{}]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: front-key}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: example.com/disks}
END
"#;

#[test]
fn what_an_addon_says_of_its_chart_is_held_against_what_the_chart_makes() {
    let scene = Scene::new();
    scene.helm(SAID);
    scene.repo.write(
        "templates/addons/web/values.yaml.hbs",
        "edge: {loadBalancerIP: 10.9.9.9}\ncache: {enabled: false}\n",
    );
    scene.repo.edit("environments/hub.yaml", "networks:", "loadBalancer: {pool: 10.9.9.0/24}\nnetworks:");
    let said = "provides:\n  services:\n    - {name: <fullName>, ports: [80, 8080]}\n    \
        - {name: <fullName>-edge, ports: [443]}\n    - {name: <fullName>-cache, when: [{value: cache.enabled, default: true}]}\n    \
        - {name: operated, atRuntime: true}\n  \
        exposed: [{service: edge, pods: {tier: front}, opened: {value: open, default: true}}]\n  \
        secrets: [<release>-key, {name: made-later, atRuntime: true}]\n  storageClasses: [{name: fast}]\n\
        receives: {hits: {exposed: {service: edge}, endpoints: [{scheme: https, port: 443}]}}\n\
        answers: {hits: {language: promql, service: <fullName>, port: 80}}\nclusters: {roles: [control]}\n";
    let addon =
        |said: &str| scene.repo.write("templates/addons/web/addon.yaml", format!("{}{said}", FLEET[4].1));
    let found = || {
        let told = scene.run(&["manifests", "--addon", "web", "--cluster", "hub"]);
        let lines = told.err.lines().filter(|line| line.starts_with("templates/")).map(str::to_owned);
        lines.collect::<Vec<_>>().join("\n")
    };
    addon(said);
    let told = scene.run(&["manifests", "--addon", "web", "--cluster", "hub"]);
    assert_eq!((told.code, &*told.err), (0, ""), "{told}");
    // One wrong statement at a time, and what is found of it.
    for (right, wrong, message) in [
        (
            "<fullName>-cache, when: [{value: cache.enabled, default: true}]",
            "<fullName>-cache",
            "9:14: the chart makes no Service `front-web-cache`",
        ),
        (
            "[{value: cache.enabled, default: true}]",
            "[{value: cache.enabled, is: false}]",
            "9:14: the chart makes no Service `front-web-cache`",
        ),
        ("operated, atRuntime: true", "operated", "10:14: the chart makes no Service `operated`"),
        (
            "{name: <fullName>-edge, ports: [443]}",
            "{name: <fullName>-edge, ports: [443], atRuntime: true}",
            "8:56: the chart itself makes Service `front-web-edge`",
        ),
        (
            "{name: <fullName>-edge, ports: [443]}",
            "{name: <fullName>-edge, when: [{value: edge, is: other}]}",
            "8:37: the chart makes Service `front-web-edge`, although its conditions do not hold",
        ),
        (
            "    - {name: <fullName>-edge, ports: [443]}\n",
            "",
            "6:3: the chart also makes Service `front-web-edge`, which is not said",
        ),
        (
            "ports: [443]}\n",
            "ports: [444]}\n",
            "8:39: the chart makes Service `front-web-edge` without the port `444`",
        ),
        (
            "[80, 8080]",
            "[80]",
            "7:26: the chart gives Service `front-web` the port `8080`, too, which is not said",
        ),
        (
            "tier: front",
            "tier: back",
            "11:29: Service `front-web-edge` leads to the pods of Deployment `front-web`, which have no label `tier: back`",
        ),
        (
            ", opened: {value: open, default: true}",
            "",
            "11:13: NetworkPolicy `all` of the chart lets whatever asks reach these pods, which is not said",
        ),
        ("<release>-key", "<release>-kex", "12:13: the chart makes no Secret `front-kex`"),
        (
            "made-later, atRuntime: true",
            "<release>-key, atRuntime: true",
            "12:61: the chart itself makes Secret `front-key`",
        ),
        ("{name: fast}", "{name: slow}", "13:20: the chart makes no StorageClass `slow`"),
        ("{name: fast}", "{name: slow}", "13:3: the chart also makes StorageClass `fast`, which is not said"),
        ("port: 443}", "port: 8443}", "14:79: Service `front-web-edge` has no port `8443`"),
        ("port: 80}", "port: 81}", "15:63: Service `front-web` has no port `81`"),
    ] {
        assert!(said.contains(right), "{right}");
        addon(&said.replacen(right, wrong, 1));
        let lines = found();
        assert!(lines.contains(&format!("templates/addons/web/addon.yaml:{message}")), "{wrong}: {lines}");
    }
}

/// A program that renders a chart in a folder: a Deployment with the image that its template names, and its values.
const OF_FOLDER: &str = r#"#!/bin/sh
if [ "$1" = version ]; then printf v4.0.0; exit; fi
echo x >>COUNT
chart=$2
[ -e "$chart/Chart.yaml" ] || { echo "Error: Chart.yaml file is missing" >&2; exit 1; }
while [ $# -gt 0 ]; do
    if [ "$1" = --values ]; then values="$values $(cat "$2")"; fi
    shift
done
cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: site, annotations: {values: "$values"}}
spec:
  selector: {matchLabels: {app: site}}
  template: {metadata: {labels: {app: site}}, spec: {containers: [{name: main, image: "$(cat "$chart/templates/image")"}]}}
END
"#;

/// An Application whose source is below, at one place for each edit.
const SITE: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\n\
    metadata: {name: \"{{cluster.name}}-site\", namespace: argocd}\nspec:\n  project: default\n  \
    destination: {name: {{#if (eq cluster.name hub.name)}}in-cluster{{else}}{{cluster.name}}{{/if}}, namespace: site}\n  ";

impl Scene {
    /// A scene with a chart in a folder of the repository, and an Application of it with this source.
    fn with_folder(source: &str) -> Self {
        let scene = Self::new();
        scene.helm(OF_FOLDER);
        scene.chart("1.2.3", "templates/web.yaml", "");
        scene.chart("1.2.3", "templates/image", "example.com/web:1.0.0\n");
        for (path, text) in [
            ("charts/site/Chart.yaml", "apiVersion: v2\nname: site\nversion: 0.1.0\n"),
            ("charts/site/templates/image", "example.com/site:1.0.0\n"),
            ("charts/site/values-prod.yaml", "of: chart\n"),
            ("charts/shared.yaml", "of: shared\n"),
        ] {
            scene.repo.write(path, text);
        }
        scene.site(source);
        scene.repo.commit("Have a site");
        scene
    }

    fn site(&self, source: &str) {
        let url = "repoURL: 'https://git.example.com/fleet.git', targetRevision: main";
        self.repo
            .write("templates/cluster/site.yaml.hbs", format!("{SITE}{}\n", source.replace("REPO", url)));
        let told = self.repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
    }

    /// Returns the objects of the Application on the hub.
    fn of_site(&self) -> Vec<Value> {
        let told = self.run(&["manifests", "--cluster", "hub", "--format", "json"]);
        assert_eq!(told.code, 0, "{told}");
        let json = told.json();
        let all = json["applications"].as_array().unwrap();
        let found =
            all.iter().find(|one| one["application"] == "hub-site").unwrap_or_else(|| panic!("{told}"));
        found["objects"].as_array().unwrap().clone()
    }
}

const IN_FOLDER: &str = "source: {REPO, path: charts/site, helm: {valueFiles: [values-prod.yaml]}}";

#[test]
fn a_chart_in_a_folder_of_the_repository_is_rendered_with_the_values_that_its_application_names() {
    let scene = Scene::with_folder(IN_FOLDER);
    let values =
        || scene.of_site()[0].pointer("/metadata/annotations/values").unwrap().as_str().unwrap().to_owned();
    let object = &scene.of_site()[0];
    let image = object.pointer("/spec/template/spec/containers/0/image").unwrap();
    assert_eq!(
        (image.as_str().unwrap(), object["metadata"]["namespace"].as_str().unwrap()),
        ("example.com/site:1.0.0", "site")
    );
    let calls = scene.calls();
    assert_eq!(values().trim(), "of: chart");
    assert_eq!(scene.calls(), calls, "what was rendered is kept");
    for (source, expected) in [
        // Without a word of Helm, the folder's own file decides.
        ("source: {REPO, path: charts/site}", ""),
        ("source: {REPO, path: ./charts//site/, helm: {releaseName: x}}", ""),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: [../shared.yaml, /charts/site/values-prod.yaml]}}",
            "of: shared of: chart",
        ),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: [none.yaml], ignoreMissingValueFiles: true, valuesObject: {a: b}}}",
            "a: b",
        ),
        (
            "sources:\n    - {REPO, path: charts/site, helm: {valueFiles: [$all/charts/shared.yaml]}}\n    - {REPO, ref: all}",
            "of: shared",
        ),
        // Another chart takes values of the repository, too.
        (
            "sources:\n    - {repoURL: 'https://charts.example.com', chart: web, targetRevision: 1.2.3, helm: {valueFiles: [$all/charts/shared.yaml]}}\n    \
          - {REPO, ref: all}",
            "of: shared",
        ),
    ] {
        scene.site(source);
        assert_eq!(values().trim(), expected, "{source}");
    }
    // A folder without a chart has documents.
    scene.repo.write("plain/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}\n");
    scene.repo.write("plain/deep/b.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: deep}}\n");
    for (source, expected) in [
        ("source: {REPO, path: plain}", vec!["plain"]),
        ("source: {REPO, path: plain, directory: {recurse: true, exclude: a.yaml}}", vec!["deep"]),
    ] {
        scene.site(source);
        let names: Vec<_> =
            scene.of_site().iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, expected, "{source}");
    }
}

#[test]
fn an_edit_of_a_chart_in_a_folder_alone_shows_its_effects() {
    let scene = Scene::with_folder(IN_FOLDER);
    let diff = |arguments: &[&str]| {
        let told = scene.run(&[&["diff", "--manifests", "--exit-code"], arguments].concat());
        assert!(matches!(told.code, 0 | 3), "{told}");
        told
    };
    let told = diff(&[]);
    assert!(told.code == 0 && !told.out.contains("site"), "{told}");
    let shown = |told: &Told, because: &str| {
        assert_eq!(told.code, 3, "{told}");
        for text in [
            "example.com/site:1.0.0",
            "example.com/site:2.0.0",
            "Deployment site/site",
            because,
            "No rendered file changes.",
        ] {
            assert!(told.out.contains(text), "{text}: {told}");
        }
    };
    scene.repo.write("charts/site/templates/image", "example.com/site:2.0.0\n");
    let changed = diff(&[]);
    shown(&changed, "because charts/site/templates/image:1:1");
    scene.repo.commit("Take the next image");
    assert_eq!(diff(&[]).code, 0);
    assert_eq!(diff(&["HEAD~1..HEAD"]).out, changed.out);
    // The other way around the same is read of each revision.
    shown(&diff(&["HEAD", "HEAD~1"]), "because charts/site/templates/image:1:1");
    scene.repo.write("charts/site/values-prod.yaml", "of: other\n");
    let told = diff(&[]);
    assert!(told.code == 3 && told.out.contains("of: other") && !told.out.contains("site:1.0.0"), "{told}");
    // Nothing of a folder that no Application names is read.
    scene.repo.commit("Have other values");
    scene.repo.write("charts/other/Chart.yaml", "x");
    assert_eq!(diff(&[]).code, 0);
}

#[test]
fn what_argo_cd_fails_at_in_a_folder_is_a_problem_and_what_is_not_read_is_told() {
    let scene = Scene::with_folder(IN_FOLDER);
    let fails = |message: &str| {
        let told = scene.run(&["manifests", "--cluster", "hub"]);
        assert_eq!((told.code, &*told.out), (4, ""), "{told}");
        assert!(
            told.err.contains("environments/hub.yaml:1:1: ") && told.err.contains(message),
            "{message}: {told}"
        );
    };
    let told = |reason: &str| {
        let told = scene.run(&["manifests", "--cluster", "hub"]);
        let note = format!("note: not all objects of `hub-site` are shown: {reason}\n");
        assert!(
            told.code == 0 && told.err.contains(&note) && !told.out.contains("namespace: site"),
            "{reason}: {told}"
        );
    };
    for (source, message) in [
        (
            "source: {REPO, path: charts/none}",
            "Argo CD makes no objects of `hub-site`: it reads the folder `charts/none`, which the repository does not have",
        ),
        (
            "source: {REPO, path: charts/shared.yaml}",
            "it reads the folder `charts/shared.yaml`, which the repository does not have",
        ),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: [none.yaml]}}",
            "there is no file of values `charts/site/none.yaml`",
        ),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: [templates]}}",
            "there is no file of values `charts/site/templates`",
        ),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: [../../../etc/passwd]}}",
            "its file of values `../../../etc/passwd` is outside of the repository",
        ),
        (
            "source: {REPO, path: charts/site/templates, helm: {releaseName: site}}",
            "Helm renders no objects of `hub-site` (charts/site/templates): Chart.yaml file is missing",
        ),
    ] {
        scene.site(source);
        fails(message);
        let diff = scene.run(&["diff", "--manifests"]);
        assert!(diff.code == 4 && diff.err.contains(message), "{diff}");
    }
    for (source, reason) in [
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: ['values-*.yaml']}}",
            "its file of values `values-*.yaml` is a pattern",
        ),
        (
            "source: {REPO, path: charts/site, helm: {valueFiles: ['https://example.com/a.yaml']}}",
            "its file of values `https://example.com/a.yaml` is not one of this repository",
        ),
        (
            "source: {REPO, path: charts/site, helm: {fileParameters: [{name: a, path: b}]}}",
            "it sets values from files (`fileParameters`)",
        ),
        (
            "source: {repoURL: 'https://git.example.com/fleet.git', targetRevision: v1, path: charts/site}",
            "it reads `charts/site` at `v1`, and not at `main`",
        ),
        ("source: {REPO, path: .}", "it reads ``.``, which is no folder below the repository's top"),
        (
            "source: {REPO, path: charts/site, kustomize: {namePrefix: a}}",
            "it reads `charts/site` by Kustomize",
        ),
    ] {
        scene.site(source);
        told(&reason.replace("``.``", "`.`"));
    }
    scene.site(IN_FOLDER);
    scene.repo.write("charts/site/.argocd-source-hub-site.yaml", "helm: {releaseName: other}\n");
    told("it reads `charts/site` by what its `.argocd-source-hub-site.yaml` says");
    fs::remove_file(scene.repo.path("charts/site/.argocd-source-hub-site.yaml")).unwrap();
    // A link may lead to a file of the folder, and nowhere else; on the disk as in a commit.
    let link = |target: &str| {
        let _ = fs::remove_file(scene.repo.path("charts/site/templates/image"));
        std::os::unix::fs::symlink(target, scene.repo.path("charts/site/templates/image")).unwrap();
    };
    scene.repo.write("charts/site/image", "example.com/site:3.0.0\n");
    link("../image");
    let image = scene.of_site()[0].pointer("/spec/template/spec/containers/0/image").cloned();
    assert_eq!(image, Some(json!("example.com/site:3.0.0")));
    scene.repo.commit("Have a link");
    let diff = scene.run(&["diff", "--manifests", "HEAD~1", "HEAD"]);
    assert!(diff.code == 0 && diff.out.contains("example.com/site:3.0.0"), "{diff}");
    let reason = "it reads `charts/site`, where `charts/site/templates/image` is a symbolic link that leads out of the folder";
    for target in ["../../shared.yaml", "/etc/passwd"] {
        link(target);
        told(reason);
    }
    scene.repo.commit("Lead out");
    let diff = scene.run(&["diff", "--manifests", "HEAD~1", "HEAD"]);
    assert!(diff.code == 0 && diff.err.contains(reason) && !diff.out.contains("root:"), "{diff}");
}

#[test]
fn the_real_helm_renders_a_chart_in_a_folder_with_its_subcharts() {
    let Ok(helm) = testkit::real::Helm::find() else {
        println!("left out: there is no Helm here: `testkit/real/fetch helm`");
        return;
    };
    let scene = Scene::with_folder(IN_FOLDER);
    scene.chart("1.2.3", "templates/image", "");
    let program = helm.folder().join("helm");
    let run = |arguments: &[&str]| {
        scene.run_with(program.to_str().unwrap(), scene.outside("charts").to_str().unwrap(), arguments)
    };
    let note = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}\n\
        data: {of: {{ .Values.of | quote }}, file: {{ .Files.Get \"motd\" | quote }}}\n";
    fs::remove_file(scene.repo.path("charts/site/templates/image")).unwrap();
    scene.repo.write("charts/site/templates/note.yaml", note);
    scene.repo.write("charts/site/motd", "hello");
    scene.repo.write(
        "charts/site/Chart.yaml",
        "apiVersion: v2\nname: site\nversion: 0.1.0\ndependencies: [{name: part, version: 1.0.0, repository: 'https://charts.example.com'}]\n",
    );
    let told = run(&["manifests", "--cluster", "hub"]);
    assert_eq!((told.code, &*told.out), (4, ""), "{told}");
    for text in [
        "missing in charts/ directory: part",
        "  hint: no dependencies are fetched here: commit them in the chart's `charts/`",
    ] {
        assert!(told.err.contains(text), "{text}: {told}");
    }
    scene.repo.write("charts/site/charts/part/Chart.yaml", "apiVersion: v2\nname: part\nversion: 1.0.0\n");
    scene.repo.write("charts/site/charts/part/templates/note.yaml", note);
    scene.repo.write("charts/site/charts/part/values.yaml", "of: part\n");
    let told = run(&["manifests", "--cluster", "hub", "--format", "json"]);
    assert_eq!(told.code, 0, "{told}");
    let json = told.json();
    let all = json["applications"].as_array().unwrap();
    let objects =
        all.iter().find(|one| one["application"] == "hub-site").unwrap()["objects"].as_array().unwrap();
    let shown: Vec<_> =
        objects.iter().map(|it| format!("{} {}", it["metadata"]["name"], it["data"])).collect();
    assert_eq!(
        shown,
        [r#""hub-site-part" {"file":"","of":"part"}"#, r#""hub-site-site" {"file":"hello","of":"chart"}"#]
    );
    // A package is the same as a folder.
    let packed = command_of("tar")
        .args(["-czf", "part-1.0.0.tgz", "part"])
        .current_dir(scene.repo.path("charts/site/charts"))
        .output()
        .unwrap();
    assert!(packed.status.success());
    fs::remove_dir_all(scene.repo.path("charts/site/charts/part")).unwrap();
    assert_eq!(
        run(&["manifests", "--cluster", "hub", "--format", "json"]).json()["applications"],
        json["applications"]
    );
    scene.repo.commit("Have a part");
    scene.repo.edit("charts/site/templates/note.yaml", "data: {of", "data: {new: added, of");
    let told = run(&["diff", "--manifests"]);
    assert!(told.code == 0 && told.out.contains("ConfigMap site/hub-site-site"), "{told}");
    scene.repo.write("charts/site/templates/bad.yaml", "{{ .Values.of.x.y }}\n");
    let told = run(&["manifests", "--cluster", "hub"]);
    assert!(
        told.code == 4 && told.err.contains("Helm renders no objects of `hub-site` (charts/site): "),
        "{told}"
    );
    assert!(
        told.err.contains("site/templates/bad.yaml") && !told.err.contains("fleetwright-chart-"),
        "{told}"
    );
}
