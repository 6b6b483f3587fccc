//! What is deleted without saying so, and what is the same on many clusters up to what is their own.

use std::sync::Arc;

use insta::assert_snapshot;

use super::{World, changes, elements};
use crate::path::ClusterName;
use crate::plan::*;

fn claim(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  size: 1\n"
    )
}

fn shown(old: &str, new: &str) -> String {
    changes("manifests/x.yaml", old, new).join("\n")
}

#[test]
fn a_renamed_object_is_deleted_and_created() {
    assert_snapshot!(shown(&claim("a", "ns"), &claim("b", "ns")), @"
    - PersistentVolumeClaim ns/a: 5 settings
    ! deletion
    + PersistentVolumeClaim ns/b: 5 settings
    ");
    assert_snapshot!(shown(&claim("a", "ns"), &claim("a", "other")), @"
    - PersistentVolumeClaim ns/a: 5 settings
    ! deletion
    + PersistentVolumeClaim other/a: 5 settings
    ");
    let kind = |kind: &str, version: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: a\nspec:\n  replicas: 1\n")
    };
    assert_snapshot!(shown(&kind("StatefulSet", "apps/v1"), &kind("Deployment", "apps/v1")), @"
    + Deployment a: {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1}}
    - StatefulSet a: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 1}}
    ! deletion
    ");
    assert_snapshot!(shown(&kind("Ingress", "extensions/v1"), &kind("Ingress", "networking.k8s.io/v1")), @"
    - Ingress a: {apiVersion: extensions/v1, kind: Ingress, metadata: {name: a}, spec: {replicas: 1}}
    ! prune
    + Ingress a: {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, spec: {replicas: 1}}
    ");
    assert_snapshot!(shown(&kind("HorizontalPodAutoscaler", "autoscaling/v1"), &kind("HorizontalPodAutoscaler", "autoscaling/v2")), @"HorizontalPodAutoscaler a apiVersion: autoscaling/v1 → autoscaling/v2");
    for lost in ["Namespace", "PersistentVolume", "StatefulSet", "CustomResourceDefinition"] {
        let object = |name: &str| format!("apiVersion: v1\nkind: {lost}\nmetadata:\n  name: {name}\n");
        let risks = World::default()
            .file("app", "x", "m.yaml", Some(&object("a")), Some(&object("b")))
            .plan()
            .risks();
        assert_eq!(risks[0].risk.kind, RiskKind::Deletion, "{lost}");
    }
}

#[test]
fn documents_that_change_places_or_get_a_neighbour_are_the_same_objects() {
    let (a, b, c) = (claim("a", "ns"), claim("b", "ns"), claim("c", "ns"));
    let all =
        |documents: &[&String]| documents.iter().map(|text| text.as_str()).collect::<Vec<_>>().join("---\n");
    let reordered = shown(&all(&[&a, &b]), &all(&[&b, &a]));
    assert!(reordered.starts_with("text:") && !reordered.contains('!'), "{reordered}");
    assert_snapshot!(shown(&all(&[&a, &b]), &all(&[&a, &c, &b])), @"+ PersistentVolumeClaim ns/c: 5 settings");
    assert_snapshot!(shown(&all(&[&a, &b]), &all(&[&a, &c])), @"
    - PersistentVolumeClaim ns/b: 5 settings
    ! deletion
    + PersistentVolumeClaim ns/c: 5 settings
    ");
    let list = |items: &[&String]| {
        let items = items.iter().map(|text| format!("- {}\n", text.trim_end().replace('\n', "\n  ")));
        format!("apiVersion: v1\nkind: List\nitems:\n{}", items.collect::<String>())
    };
    assert_snapshot!(shown(&list(&[&a, &b]), &list(&[&a, &c])), @"
    - PersistentVolumeClaim ns/b: 5 settings
    ! deletion
    + PersistentVolumeClaim ns/c: 5 settings
    ");
    assert_snapshot!(shown(&a, &a.replace("size: 1", "size: 2")), @"
    PersistentVolumeClaim ns/a spec.size: 1 → 2
    ! immutable field
    ");
    assert_snapshot!(shown(&a.replace("  namespace: ns\n", ""), &a), @"
    + PersistentVolumeClaim ns/a metadata.namespace: ns
    ! namespace move
    ");
}

#[test]
fn a_chart_that_names_its_objects_anew_deletes_them() {
    assert_snapshot!(changes("values.yaml", "fullnameOverride: a\n", "fullnameOverride: b\n").join("\n"), @"
    fullnameOverride: a → b
    ! deletion
    ");
    assert_snapshot!(changes("values.yaml", "x: 1\n", "x: 1\ndb: {nameOverride: b}\n").join("\n"), @"
    + db: {nameOverride: b}
    ! deletion
    ");
}

/// The Applications of the shipped template's shape; `key` is what its name is made of.
fn set(key: &str, elements: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata:\n  name: app\nspec:\n  generators:\n    - list:\n        elements: [{elements}]\n  \
         template:\n    metadata:\n      name: \"app-{{{{ .{key} }}}}\"\n    spec:\n      project: app\n      destination: {{name: app, namespace: \"{{{{ .namespace }}}}\"}}\n      \
         sources:\n        - repoURL: \"{{{{ .repository }}}}\"\n          chart: \"{{{{ .chart }}}}\"\n          targetRevision: \"{{{{ .version }}}}\"\n          \
         helm: {{releaseName: \"{{{{ .release }}}}\"}}\n"
    )
}

fn risks(old: &str, new: &str) -> String {
    let plan = World::default().file("app", "", "applicationset.yaml", Some(old), Some(new)).plan();
    let line = |group: &RiskGroup| format!("{}: {}", group.risk.kind, group.place);
    plan.risks().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_element_is_known_by_the_name_of_its_application() {
    for key in ["name", "addon", "app", "component.id"] {
        let element = |name: &str, rest: &str| match key.split_once('.') {
            Some((outer, inner)) => format!("{{{outer}: {{{inner}: {name}}}, {rest}}}"),
            None => format!("{{{key}: {name}, {rest}}}"),
        };
        let one = |rest: &str| set(key, &format!("{}, {}", element("loki", rest), element("vault", "x: 1")));
        let rest = "release: a, chart: c, version: 1.0.0, namespace: n, repository: https://a.example.com";
        let with = |old: &str, new: &str| risks(&one(rest), &one(&rest.replace(old, new)));
        assert_eq!(
            with("release: a", "release: b"),
            "deletion: applicationset.yaml Application app-loki release"
        );
        assert_eq!(with("chart: c", "chart: d"), "deletion: applicationset.yaml Application app-loki chart");
        assert_eq!(
            with("namespace: n", "namespace: m"),
            "namespace move: applicationset.yaml Application app-loki namespace"
        );
        assert_eq!(
            with("1.0.0", "2.0.0"),
            "chart major version: applicationset.yaml Application app-loki version"
        );
        assert_eq!(with("1.0.0", "1.1.0"), "");
        assert_eq!(with("1.0.0", "0.9.0"), "downgrade: applicationset.yaml Application app-loki version");
        assert_eq!(
            with("a.example.com", "b.example.com"),
            "other repository: applicationset.yaml Application app-loki repository"
        );
        let both = set(key, &format!("{}, {}", element("loki", rest), element("vault", rest)));
        let turned = set(key, &format!("{}, {}", element("vault", rest), element("loki", rest)));
        assert_eq!(risks(&both, &turned), "", "{key}");
        let gone = set(key, &element("vault", rest));
        assert_eq!(risks(&both, &gone), "deletion: applicationset.yaml Application app-loki");
        assert_eq!(risks(&gone, &both), "");
        let renamed = set(key, &format!("{}, {}", element("lokia", rest), element("vault", rest)));
        assert_eq!(risks(&both, &renamed), "deletion: applicationset.yaml Application app-loki");
    }
}

#[test]
fn a_template_that_names_or_places_its_applications_otherwise_is_a_risk() {
    let old = set("name", "{name: loki}");
    assert_eq!(
        risks(&old, &old.replace("app-{{", "eu-{{")),
        "deletion: applicationset.yaml Application app-loki"
    );
    assert_eq!(
        risks(&old, &old.replace("{name: app, name", "{name: eu, name")),
        "deletion: applicationset.yaml Application app-loki destination"
    );
    assert_eq!(
        risks(&old, &old.replace("project: app", "project: b")),
        "RBAC: applicationset.yaml Application app-loki project"
    );
    let cluster = old.replace("list:\n        elements: [{name: loki}]", "clusters: {}");
    assert_eq!(
        risks(&cluster, &cluster.replace("app-{{", "eu-{{")),
        "deletion: applicationset.yaml Application app-{{.name}}"
    );
    let nested = "matrix:\n        generators: [{list: {elements: [{name: loki}]}}, {clusters: {}}]";
    let nested = old.replace("list:\n        elements: [{name: loki}]", nested);
    assert_eq!(
        risks(&nested, &nested.replace("loki", "vault")),
        "deletion: applicationset.yaml Application app-loki"
    );
    let fast = old.replace("{{ .name }}", "{{name}}");
    assert_eq!(
        risks(&fast, &fast.replace("loki", "vault")),
        "deletion: applicationset.yaml Application app-loki"
    );
}

#[test]
fn an_application_of_its_own_is_read_like_a_generated_one() {
    let application = |version: &str, project: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: a\nspec:\n  project: {project}\n  source:\n    repoURL: https://c.example.com\n    chart: c\n    targetRevision: {version}\n"
        )
    };
    assert_eq!(
        risks(&application("v2.0.0", "a"), &application("v1.9.0", "b")),
        "downgrade: applicationset.yaml Application a version\nRBAC: applicationset.yaml Application a project"
    );
    assert_eq!(elements("{addon: a}").matches("addon").count(), 3);
}

#[test]
fn an_older_image_is_a_downgrade() {
    for (old, new, is_older) in [
        ("image: {tag: v1.2.0}\n", "image: {tag: v1.1.9}\n", true),
        ("image: {tag: v1.2.0}\n", "image: {tag: v1.10.0}\n", false),
        ("image: {tag: 1.2}\n", "image: {tag: 1.1}\n", true),
        ("image: r.example.com:5000/a/b:1.2.0\n", "image: r.example.com:5000/a/b:1.2.0-rc.1\n", true),
        ("image: a/b:2026-01-31\n", "image: a/b:2025-01-31\n", true),
        ("image: a/b:1.2.0@sha256:aa\n", "image: a/b:1.1.0@sha256:bb\n", true),
        ("image: {version: 2.0.0}\n", "image: {version: 1.0.0}\n", true),
        ("schema: {version: 2.0.0}\n", "schema: {version: 1.0.0}\n", false),
        ("image: {tag: main}\n", "image: {tag: 1.1.0}\n", false),
    ] {
        let told = changes("values.yaml", old, new).join("\n");
        assert_eq!(told.contains("! downgrade"), is_older, "{told}");
    }
}

#[test]
fn backups_that_move_into_their_own_cluster_are_a_risk() {
    let own = |facts: &[(&str, &str)]| {
        serde_json::from_value::<OwnFacts>(serde_json::to_value(facts).unwrap()).unwrap()
    };
    let own = own(&[
        ("app", "cluster"),
        ("10.0.0.0-10.0.0.9", "loadBalancer.pool"),
        ("10.9.0.1", "hub.addresses.s3"),
    ]);
    let is_risk = |key: &str, old: &str, new: &str| {
        let text = |host: &str| format!("{key}: {{config: {{url: \"{host}\"}}}}\n");
        let mut world = World::default().file("app", "x", "values.yaml", Some(&text(old)), Some(&text(new)));
        world.facts = [(ClusterName::parse("app").unwrap(), Arc::new(own.clone()))].into_iter().collect();
        world.plan().risks().iter().any(|group| group.risk.kind == RiskKind::BackupInside)
    };
    let outside = "https://s3.example.com:9000";
    for inside in [
        "http://minio.minio.svc:9000",
        "https://minio.minio.svc.cluster.local",
        "10.0.0.4:9000",
        "http://minio:9000",
        "http://10.0.0.4",
    ] {
        assert!(is_risk("backupStorageLocation", outside, inside), "{inside}");
        assert!(is_risk("s3", outside, inside), "{inside}");
        assert!(!is_risk("s3", inside, outside), "{inside}");
        assert!(!is_risk("s3", inside, "http://minio.other.svc:9000"), "it was inside before");
        assert!(!is_risk("metrics", outside, inside), "{inside}");
    }
    for elsewhere in ["http://10.9.0.1:9000", "https://s3.eu-1.amazonaws.com", "bucket", ""] {
        assert!(!is_risk("s3", outside, elsewhere), "{elsewhere}");
    }
}

/// Clusters that differ by their names and addresses, one of which has the name of a common word.
fn clusters(count: usize) -> Vec<(String, String)> {
    let name = |number: usize| if number == 0 { "app".to_owned() } else { format!("app-{number}") };
    (0..count).map(|number| (name(number), format!("10.0.{number}.1"))).collect()
}

fn fleet(count: usize, file: impl Fn(&str, &str) -> (String, String)) -> Plan {
    let mut world = World::default();
    let mut own = Vec::new();
    for (name, address) in clusters(count) {
        let (old, new) = file(&name, &address);
        world = world.unchanged(&name, "x", 2).file(&name, "x", "manifests/x.yaml", Some(&old), Some(&new));
        let facts = serde_json::json!([[address, "addresses.web"], [name, "cluster"]]);
        own.push((ClusterName::parse(&name).unwrap(), Arc::new(serde_json::from_value(facts).unwrap())));
    }
    world.facts = own.into_iter().collect();
    world.plan()
}

#[test]
fn the_same_change_is_one_up_to_each_clusters_own_name_and_facts() {
    let object = |name: &str, address: &str, port: u16| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}-web\n  labels:\n    app.kubernetes.io/name: web\nspec:\n  loadBalancerIP: {address}\n  url: http://{address}:{port}/{name}\n  app: {port}\n"
        )
    };
    let plan = fleet(42, |name, address| (object(name, address, 80), object(name, address, 81)));
    assert_snapshot!(plan, @"
    80 → 81 on 42 clusters, 2 settings

    42 files changed on 42 clusters: app, app-1, app-10, app-11, app-12 and 37 more

    on 42 clusters (app, app-1, app-10, app-11, app-12 and 37 more)
      x/manifests/x.yaml
          Service <cluster>-web spec.app: 80 → 81
          Service <cluster>-web spec.url: http://<addresses.web>:80/<cluster> → http://<addresses.web>:81/<cluster>
    ");
    assert_eq!(plan.overview().groups.len(), 1);
    let one = fleet(1, |name, address| (object(name, address, 80), object(name, address, 81)));
    assert!(one.to_string().contains("http://10.0.0.1:80/app → http://10.0.0.1:81/app"), "{one}");
}

#[test]
fn a_difference_that_is_no_clusters_own_keeps_clusters_apart() {
    let plan = fleet(4, |name, _| {
        let odd = if name == "app-2" { "b" } else { "a" };
        (format!("x: {name}\n"), format!("x: {name}-{odd}\n"))
    });
    assert_snapshot!(plan, @r#"
    4 files changed on 4 clusters: app, app-1, app-2, app-3

    on app, app-1, app-3
      x/manifests/x.yaml
          x: "<cluster>" → "<cluster>-a"

    on app-2
      x/manifests/x.yaml
          x: app-2 → app-2-b
    "#);
}
