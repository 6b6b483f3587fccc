//! Plans that pages are made of.

use std::fmt::Write as _;
use std::sync::Arc;

use fleetwright_renderer::page::{Fleet, Pull, Run, Shape, fleet};
use fleetwright_renderer::path::{AddonName, ClusterName, RepoPath};
use fleetwright_renderer::plan::{Facts, FileChange, Plan, Published, plan};
use fleetwright_renderer::yaml::{Value, write};
use testkit::hostile::text::{HIDDEN, HTML, MARKUP};

fn change(cluster: &ClusterName, addon: Option<&str>, file: &str, old: String, new: String) -> FileChange {
    FileChange {
        path: RepoPath::parse(&format!("argocd-apps/{cluster}/{file}")).unwrap(),
        cluster: cluster.clone(),
        addon: addon.map(|addon| AddonName::parse(addon).unwrap()),
        old: Some(Arc::from(old.into_bytes())),
        new: Some(Arc::from(new.into_bytes())),
    }
}

fn planned(changes: &[FileChange]) -> Plan {
    let published: Published =
        changes.iter().map(|change| (&change.cluster, change.addon.as_ref())).collect();
    plan(changes, &published, Facts::default())
}

fn name(number: usize) -> ClusterName {
    ClusterName::parse(&format!("eu-{number:04}")).unwrap()
}

/// One chart has another major version on each cluster, and one value of it changes.
pub fn bumped(clusters: usize) -> Plan {
    let changes: Vec<FileChange> = (0..clusters)
        .flat_map(|number| {
            let cluster = name(number);
            let set = |version: &str| {
                format!(
                    "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: app, namespace: argocd}}\n\
                     spec:\n  generators:\n    - list:\n        elements:\n          - {{name: web, version: {version}}}\n  \
                     template:\n    metadata: {{name: '{cluster}-{{{{name}}}}'}}\n    spec:\n      project: x\n      source: \
                     {{repoURL: https://charts.example.com, chart: '{{{{name}}}}', targetRevision: '{{{{version}}}}'}}\n      \
                     destination: {{name: {cluster}, namespace: '{{{{name}}}}'}}\n"
                )
            };
            let values = |config: &str| format!("web:\n  cluster: {cluster}\n  config: |\n    a: 1\n    b: 2\n    {config}\n    c: 3\n");
            [
                change(&cluster, None, "applicationset.yaml", set("8.4.1"), set("9.0.0")),
                change(&cluster, Some("web"), "web/values.yaml", values("level: info"), values("level: debug")),
            ]
        })
        .collect();
    planned(&changes)
}

/// Everything that is meant to be taken for markup, as keys, values and names of objects.
pub fn hostile() -> Plan {
    let cluster = name(1);
    let texts: Vec<&str> = HTML.into_iter().chain(MARKUP).chain([HIDDEN]).collect();
    let text = |text: &str| Value::String(text.to_owned());
    let map = |entries: Vec<(String, Value)>| Value::Map(entries.into_iter().collect());
    let values = |suffix: &str| {
        let keys = texts.iter().map(|key| ((*key).to_owned(), text(&format!("{key}{suffix}")))).collect();
        let lines = texts.iter().fold(String::new(), |lines, text| lines + text + suffix + "\n");
        write(&map(vec![("keys".to_owned(), map(keys)), ("lines".to_owned(), text(&lines))]))
    };
    let object = |hostile: &str, value: &str| {
        let metadata = map(vec![("name".to_owned(), text(hostile)), ("namespace".to_owned(), text(hostile))]);
        write(&map(vec![
            ("apiVersion".to_owned(), text(hostile)),
            ("kind".to_owned(), text(hostile)),
            ("metadata".to_owned(), metadata),
            ("spec".to_owned(), text(value)),
        ]))
    };
    let mut changes = vec![change(&cluster, Some("web"), "web/values.yaml", values(""), values("x"))];
    for (number, text) in texts.iter().enumerate() {
        let file = format!("web/manifests/{number}.yaml");
        changes.push(change(&cluster, Some("web"), &file, object(text, "a"), object(text, text)));
    }
    planned(&changes)
}

/// Twenty values change on each cluster, and no two of them are the same.
pub fn unlike(clusters: usize) -> Plan {
    let changes: Vec<FileChange> = (0..clusters)
        .map(|number| {
            let values = |side: &str| {
                (0..20).fold(String::new(), |mut text, key| {
                    let _ = writeln!(
                        text,
                        "k{number}-{key}: a value of some length that is the {side} one, {number}"
                    );
                    text
                })
            };
            change(&name(number), Some("web"), "web/values.yaml", values("old"), values("new"))
        })
        .collect();
    planned(&changes)
}

/// The page of a fleet of two groups, whose pull requests and problems say whatever is hostile.
pub fn fleet_of(clusters: usize) -> String {
    let addons =
        |version: &str| vec![("dns".to_owned(), "1.2.3".to_owned()), ("web".to_owned(), version.to_owned())];
    let shape = |group: (usize, &str), role: &str, version, numbers: std::ops::Range<usize>| Shape {
        group: (group.0, group.1.to_owned()),
        role: role.to_owned(),
        addons: addons(version),
        clusters: numbers.map(name).collect(),
    };
    let shapes =
        [shape((0, "control"), "control", "8.4.1", 0..1), shape((1, "app"), "app", "9.0.0", 1..clusters)];
    let pull = |(number, text): (u64, &&str)| Pull {
        number,
        branch: (*text).to_owned(),
        title: (*text).to_owned(),
        has_page: number % 2 == 0,
    };
    let run = Run { ended: HTML[0].to_owned(), took: "1.2 s".to_owned(), outcome: HTML[4].to_owned() };
    let about = Fleet {
        lines: vec!["Base branch main".to_owned(), "Nothing waits.".to_owned()],
        problems: HTML.map(str::to_owned).into(),
        pulls: (1..).zip(&HTML).map(pull).collect(),
        runs: vec![run],
    };
    fleet(&about, &shapes)
}
