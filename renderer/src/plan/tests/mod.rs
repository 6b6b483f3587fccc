//! The plan as a whole: from the bytes of two renderings to what people read.

mod fleet;

use std::sync::Arc;

use insta::assert_snapshot;
use testkit::hostile::bombs;

use super::*;
use crate::path::{ClusterName, RepoPath};

/// Builds the files that differ and what was published, from one line a file.
#[derive(Default)]
pub(super) struct World {
    changes: Vec<FileChange>,
    published: Vec<(ClusterName, Option<AddonName>)>,
    pub(super) facts: Facts,
}

impl World {
    /// Adds a file of an add-on, with what is published and what is rendered.
    pub(super) fn file(
        mut self,
        cluster: &str,
        addon: &str,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Self {
        let addon = (!addon.is_empty()).then(|| AddonName::parse(addon).unwrap());
        let folder = addon.as_ref().map(|addon| format!("{addon}/")).unwrap_or_default();
        let cluster = ClusterName::parse(cluster).unwrap();
        if old.is_some() {
            self.published.push((cluster.clone(), addon.clone()));
        }
        let bytes = |text: Option<&str>| text.map(|text| Arc::from(text.as_bytes()));
        self.changes.push(FileChange {
            path: RepoPath::parse(&format!("argocd-apps/{cluster}/{folder}{name}")).unwrap(),
            cluster,
            addon,
            old: bytes(old),
            new: bytes(new),
        });
        self
    }

    /// Adds published files that stay as they are.
    pub(super) fn unchanged(mut self, cluster: &str, addon: &str, files: usize) -> Self {
        let addon = (!addon.is_empty()).then(|| AddonName::parse(addon).unwrap());
        let file = (ClusterName::parse(cluster).unwrap(), addon);
        self.published.extend(std::iter::repeat_n(file, files));
        self
    }

    pub(super) fn plan(&self) -> Plan {
        plan(
            &self.changes,
            &self.published.iter().map(|(cluster, addon)| (cluster, addon.as_ref())).collect(),
            self.facts.clone(),
        )
    }
}

/// Returns the changes of a file as text and risk, for one file of one cluster.
pub(super) fn changes(name: &str, old: &str, new: &str) -> Vec<String> {
    let world = World::default().unchanged("app", "x", 1).file("app", "x", name, Some(old), Some(new));
    let plan = world.plan();
    let file = plan.files().next().expect("the file differs");
    file.changes
        .iter()
        .flat_map(|change| {
            let risk = change.risk.map(|risk| format!("  ! {}", risk.kind));
            show::change(change, show::SHORT)
                .into_iter()
                .map(|line| format!("{} {}", line.kind.sign(), line.text).trim().to_owned())
                .chain(risk.map(|risk| risk.trim().to_owned()))
        })
        .collect()
}

fn remote_write(host: &str) -> String {
    format!(
        "# Rendered.\nprometheus:\n  prometheusSpec:\n    remoteWrite:\n      - url: http://{host}/api/v1/write\n"
    )
}

/// A fleet whose clusters all get the same new address, but for some odd ones.
fn moved_hub(clusters: usize, odd: usize) -> World {
    (0..clusters).fold(World::default(), |world, number| {
        let new = remote_write(if number < odd { "10.0.0.9" } else { "10.0.0.2" });
        let old = remote_write("10.0.0.1");
        let name = format!("eu-{number:04}");
        world.unchanged(&name, "loki", 2).file(&name, "prometheus", "values.yaml", Some(&old), Some(&new))
    })
}

#[test]
fn equal_files_make_an_empty_plan() {
    let world = World::default().file("app", "x", "values.yaml", Some("a: 1\n"), Some("a: 1\n"));
    let plan = world.plan();
    assert!(plan.is_empty());
    assert!(plan.groups().is_empty());
    assert!(plan.exceeds(&Budget::default()).is_empty());
    assert_snapshot!(plan, @"Nothing changes.");
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let mut world = moved_hub(20, 3);
    let plan = world.plan();
    world.changes.reverse();
    assert_eq!(world.plan(), plan);
    assert_eq!(world.plan().digest(), plan.digest());
}

#[test]
fn equal_changes_are_grouped_and_the_odd_ones_are_listed() {
    assert_snapshot!(moved_hub(412, 2).plan(), @"
    412 files changed on 412 clusters: eu-0000, eu-0001, eu-0002, eu-0003, eu-0004 and 407 more

    Risks
      ! exposed address: an address moves that others may depend on
          prometheus/values.yaml prometheus.prometheusSpec.remoteWrite[0].url on 412 clusters

    on 410 clusters (eu-0002, eu-0003, eu-0004, eu-0005, eu-0006 and 405 more)
      prometheus/values.yaml
          prometheus.prometheusSpec.remoteWrite[0].url: http://10.0.0.1/api/v1/write → http://10.0.0.2/api/v1/write

    on eu-0000, eu-0001
      prometheus/values.yaml
          prometheus.prometheusSpec.remoteWrite[0].url: http://10.0.0.1/api/v1/write → http://10.0.0.9/api/v1/write
    ");
}

#[test]
fn a_setting_that_differs_on_every_cluster_is_one_entry() {
    let world = (0..50).fold(World::default(), |world, number| {
        let new = format!("name: cluster-{number}\n");
        world.file(&format!("c-{number:02}"), "x", "values.yaml", Some("name: same\n"), Some(&new))
    });
    assert_snapshot!(world.plan(), @"
    50 files changed on 50 clusters: c-00, c-01, c-02, c-03, c-04 and 45 more

    on 50 clusters (c-00, c-01, c-02, c-03, c-04 and 45 more)
      x/values.yaml
          name: same → cluster-0
          (50 different values; this is one of them)
    ");
}

#[test]
fn a_new_item_at_the_front_of_a_list_is_one_change() {
    assert_snapshot!(changes("v.yaml", "zones: [a, b, c]\n", "zones: [z, a, b, c]\n").join("\n"), @"+ zones[0]: z");
}

#[test]
fn items_with_a_name_are_compared_by_name() {
    let old = "env:\n  - name: A\n    value: x\n  - name: B\n    value: w\n";
    let new = "env:\n  - name: N\n    value: n\n  - name: A\n    value: x\n  - name: B\n    value: z\n";
    assert_snapshot!(changes("v.yaml", old, new).join("\n"), @"
    + env[name=N]: {name: N, value: n}
    env[name=B].value: w → z
    ");
}

#[test]
fn items_that_change_places_are_not_passed_over() {
    let (old, new) = ("l:\n  - name: a\n  - name: b\nx: 1\n", "l:\n  - name: b\n  - name: a\nx: 2\n");
    assert_snapshot!(changes("v.yaml", old, new).join("\n"), @"
    - l[0]: {name: a}
    + l[1]: {name: a}
    x: 1 → 2
    ");
}

#[test]
fn documents_are_compared_by_what_they_describe() {
    let object = |kind: &str, name: &str, data: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: ns\ndata:\n  x: {data}\n"
        )
    };
    let old = [object("ConfigMap", "a", "one"), object("ConfigMap", "b", "two")].join("---\n");
    let new =
        [object("ConfigMap", "c", "new"), object("ConfigMap", "b", "two"), object("ConfigMap", "a", "1st")]
            .join("---\n");
    assert_snapshot!(changes("m.yaml", &old, &new).join("\n"), @r#"
    + ConfigMap ns/c: {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, data: {x: new}}
    ConfigMap ns/a data.x: one → "1st"
    "#);
}

#[test]
fn a_file_that_is_not_yaml_is_compared_by_its_lines() {
    assert_snapshot!(changes("v.yaml", "a: 1\nb: [1\n", "a: 1\nb: [2\n").join("\n"), @"
    text:
    - b: [1
    + b: [2
    ");
}

#[test]
fn another_spelling_of_the_same_values_is_still_shown() {
    assert_snapshot!(changes("v.yaml", "# one\na: 1\n", "# two\na: 1\n").join("\n"), @"
    text:
    - # one
    + # two
    ");
}

#[test]
fn text_of_several_lines_is_shown_as_the_lines_that_differ() {
    let text = |level: &str| format!("config: |\n  first\n  level = {level}\n  last\n");
    assert_snapshot!(changes("v.yaml", &text("info"), &text("debug")).join("\n"), @"
    config:
    - level = info
    + level = debug
    ");
}

#[test]
fn a_version_that_is_text_is_told_from_a_number() {
    assert_snapshot!(changes("v.yaml", "v: \"1.10\"\n", "v: 1.5\n").join("\n"), @r#"v: "1.10" → 1.5"#);
}

/// One row a risk: the file before and after, and the risks that must be named.
#[test]
fn each_risk_is_named() {
    let object = |kind: &str, rest: &str| {
        let group = match kind {
            "Deployment" | "StatefulSet" => "apps/v1",
            kind if kind.starts_with("App") => "argoproj.io/v1alpha1",
            _ => "v1",
        };
        format!("apiVersion: {group}\nkind: {kind}\nmetadata:\n  name: o\n  namespace: ns\n{rest}")
    };
    let rows = [
        (
            "Service",
            "spec:\n  clusterIP: 10.0.0.1\n",
            "spec:\n  clusterIP: 10.0.0.2\n",
            Some(RiskKind::ImmutableField),
        ),
        (
            "Service",
            "spec:\n  type: ClusterIP\n",
            "spec:\n  type: LoadBalancer\n",
            Some(RiskKind::ExposedAddress),
        ),
        ("Service", "spec:\n  type: ClusterIP\n", "spec:\n  type: Headless\n", None),
        (
            "Deployment",
            "spec:\n  selector:\n    a: x\n",
            "spec:\n  selector:\n    a: z\n",
            Some(RiskKind::ImmutableField),
        ),
        ("Deployment", "spec:\n  replicas: 1\n", "spec:\n  replicas: 2\n", None),
        (
            "StatefulSet",
            "spec:\n  serviceName: a\n",
            "spec:\n  serviceName: b\n",
            Some(RiskKind::ImmutableField),
        ),
        ("CustomResourceDefinition", "spec: 1\n", "spec: 2\n", Some(RiskKind::Crd)),
        ("ClusterRole", "rules: []\n", "rules:\n  - verbs: [get]\n", Some(RiskKind::Rbac)),
        ("AppProject", "spec:\n  sourceRepos: [a]\n", "spec:\n  sourceRepos: [a, b]\n", Some(RiskKind::Rbac)),
        ("AppProject", "spec:\n  description: a\n", "spec:\n  description: b\n", None),
        (
            "IPAddressPool",
            "spec:\n  addresses: [a]\n",
            "spec:\n  addresses: [b]\n",
            Some(RiskKind::ExposedAddress),
        ),
        (
            "Application",
            "spec:\n  destination:\n    namespace: a\n",
            "spec:\n  destination:\n    namespace: b\n",
            Some(RiskKind::NamespaceMove),
        ),
        (
            "ApplicationSet",
            &elements("{addon: loki, version: 6.1.0}"),
            &elements("{addon: loki, version: 7.0.0}"),
            Some(RiskKind::ChartMajorVersion),
        ),
        (
            "ApplicationSet",
            &elements("{addon: loki, version: 6.1.0}"),
            &elements("{addon: loki, version: 6.2.0}"),
            None,
        ),
        (
            "ApplicationSet",
            &elements("{addon: loki}, {addon: vault}"),
            &elements("{addon: vault}"),
            Some(RiskKind::Deletion),
        ),
        (
            "ApplicationSet",
            "spec:\n  syncPolicy:\n    applicationsSync: create-update\n",
            "spec:\n  syncPolicy:\n    applicationsSync: sync\n",
            Some(RiskKind::Deletion),
        ),
        (
            "ApplicationSet",
            "spec:\n  automated:\n    prune: false\n",
            "spec:\n  automated:\n    prune: true\n",
            Some(RiskKind::Prune),
        ),
    ];
    for (kind, old, new, risk) in rows {
        let (old, new): (&str, &str) = (old, new);
        let world =
            World::default().file("app", "x", "m.yaml", Some(&object(kind, old)), Some(&object(kind, new)));
        let plan = world.plan();
        let found = plan.risks().first().map(|group| group.risk.kind);
        assert_eq!(found, risk, "{kind}: {old} → {new}");
    }
}

#[test]
fn values_files_have_risks_too() {
    let rows = [
        (
            "persistence:\n  storageClass: a\n",
            "persistence:\n  storageClass: b\n",
            Some(RiskKind::ImmutableField),
        ),
        ("crds:\n  enabled: true\n", "crds:\n  enabled: false\n", Some(RiskKind::Crd)),
        ("installCRDs: true\n", "installCRDs: false\n", Some(RiskKind::Crd)),
        ("enabled: true\n", "enabled: false\n", None),
        ("namespaceOverride: a\n", "namespaceOverride: b\n", Some(RiskKind::NamespaceMove)),
        ("service: {}\n", "service:\n  loadBalancerIP: 10.0.0.1\n", Some(RiskKind::ExposedAddress)),
        (
            "annotations: {lb.example.com/loadBalancerIPs: 10.0.0.1}\n",
            "annotations: {lb.example.com/loadBalancerIPs: 10.0.0.2}\n",
            Some(RiskKind::ExposedAddress),
        ),
        ("remoteWriteUrl: http://a\n", "remoteWriteUrl: http://b\n", Some(RiskKind::ExposedAddress)),
        ("configs:\n  rbac:\n    a: x\n", "configs:\n  rbac:\n    a: z\n", Some(RiskKind::Rbac)),
    ];
    for (old, new, risk) in rows {
        let world = World::default().file("app", "x", "values.yaml", Some(old), Some(new));
        let found = world.plan().risks().first().map(|group| group.risk.kind);
        assert_eq!(found, risk, "{old} → {new}");
    }
    let world =
        World::default().file("app", "x", "values.yaml", Some(&remote_write("a")), Some(&remote_write("b")));
    assert_eq!(world.plan().risks()[0].risk.kind, RiskKind::ExposedAddress);
}

#[test]
fn an_object_that_moves_to_another_namespace_is_a_move() {
    let object = |namespace: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: o\n  namespace: {namespace}\n")
    };
    assert_snapshot!(changes("m.yaml", &object("old"), &object("new")).join("\n"), @"
    - Service old/o: {apiVersion: v1, kind: Service, metadata: {name: o, namespace: old}}
    ! prune
    + Service new/o: {apiVersion: v1, kind: Service, metadata: {name: o, namespace: new}}
    ");
}

/// The spec of an `ApplicationSet` with these elements.
pub(super) fn elements(elements: &str) -> String {
    format!(
        "spec:\n  generators:\n    - list:\n        elements: [{elements}]\n  template:\n    metadata:\n      name: \"app-{{{{ .addon }}}}\"\n    spec:\n      source:\n        repoURL: https://charts.example.com\n        chart: \"{{{{ .addon }}}}\"\n        targetRevision: \"{{{{ .version }}}}\"\n"
    )
}

fn application_set(addons: &[&str], sync_policy: &str) -> String {
    let addons = addons.join("}, {addon: ");
    let spec = elements(&format!("{{addon: {addons}}}"));
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata:\n  name: app\n{spec}{sync_policy}"
    )
}

#[test]
fn a_deleted_addon_says_what_argo_cd_will_do() {
    let world = |sync_policy: &str| {
        let old = application_set(&["loki", "vault"], sync_policy);
        let new = application_set(&["vault"], sync_policy);
        World::default()
            .unchanged("app", "vault", 2)
            .file("app", "loki", "values.yaml", Some("a: 1\n"), None)
            .file("app", "loki", "manifests/x.yaml", Some("a: 1\n"), None)
            .file("app", "", "applicationset.yaml", Some(&old), Some(&new))
    };
    assert_snapshot!(world("  syncPolicy:\n    applicationsSync: create-update\n").plan(), @"
    add-on loki removed on app

    1 file changed, 2 files removed on 1 cluster: app

    Risks
      ! deletion: Argo CD keeps the Application and its objects (`applicationsSync`): delete it by hand when it may go
          add-on loki on app
      ! deletion: the ApplicationSet no longer generates this Application
          applicationset.yaml Application app-loki on app

    on app
      - add-on loki removed: 2 files
      applicationset.yaml
        - ApplicationSet app spec.generators[0].list.elements[addon=loki]: {addon: loki}
    ");
    let note = |sync_policy: &str| world(sync_policy).plan().risks()[0].risk.note;
    assert_snapshot!(note("  syncPolicy:\n    preserveResourcesOnDeletion: true\n"), @"Argo CD deletes the Application and leaves its objects running (`preserveResourcesOnDeletion`)");
    assert_snapshot!(note(""), @"Argo CD deletes the Application and every object that it made");
}

#[test]
fn a_new_cluster_is_one_entry() {
    let world = World::default()
        .unchanged("app", "x", 3)
        .file("eu-1", "loki", "values.yaml", None, Some("a: 1\n"))
        .file("eu-1", "", "appproject.yaml", None, Some("a: 1\n"));
    assert_snapshot!(world.plan(), @"
    1 cluster added: eu-1

    2 files added on 1 cluster: eu-1

    on eu-1
      + cluster added: 1 add-on, 2 files
    ");
}

#[test]
fn one_addon_may_go_from_both_clusters_of_a_small_platform() {
    let world = ["app", "control"].iter().fold(World::default(), |world, cluster| {
        (0..8).fold(world, |world, number| world.unchanged(cluster, &format!("other-{number}"), 3)).file(
            cluster,
            "loki",
            "values.yaml",
            Some("a: 1\n"),
            None,
        )
    });
    let plan = world.plan();
    assert_eq!(plan.deleted, Totals { clusters: 0, addons: 2, files: 0 });
    assert_eq!(plan.exceeds(&Budget::default()), []);
}

#[test]
fn a_plan_that_leaves_nothing_is_refused_unless_it_is_named() {
    let world = World::default().file("app", "loki", "values.yaml", Some("a: 1\n"), None);
    let plan = world.plan();
    let refusal = plan.refuse(&Budget::default(), None).unwrap_err();
    assert_snapshot!(refusal, @"plan `59579ee81230` deletes more than the budget allows: everything (1 file), 1 of 1 cluster (0 allowed)");
    assert_snapshot!(refusal.hint(), @"if this is meant, allow this one plan with `--allow-deletions 59579ee81230`");
    assert!(plan.refuse(&Budget::default(), Some(&plan.digest().short())).is_ok());
    assert!(
        plan.refuse(&Budget::default(), Some(&plan.digest().short()[..7])).is_err(),
        "too short to name a plan"
    );
    assert!(plan.refuse(&Budget::default(), Some("")).is_err(), "nothing names every plan");
}

#[test]
fn what_is_allowed_for_one_plan_is_not_allowed_for_another() {
    let deleting =
        |content: &str| World::default().file("app", "loki", "values.yaml", Some(content), None).plan();
    let (plan, other) = (deleting("a: 1\n"), deleting("a: 2\n"));
    assert!(other.refuse(&Budget::default(), Some(&plan.digest().to_string())).is_err());
}

#[test]
fn a_fleet_may_lose_a_few_clusters_and_not_many() {
    let losing = |lost: usize| {
        (0..100).fold(World::default(), |world, number| {
            let name = format!("c-{number}");
            if number < lost {
                world.file(&name, "x", "values.yaml", Some("a: 1\n"), None)
            } else {
                world.unchanged(&name, "x", 1)
            }
        })
    };
    assert_eq!(losing(2).plan().exceeds(&Budget::default()), []);
    let excesses = losing(3).plan().exceeds(&Budget::default());
    assert_eq!(excesses, [Excess { scope: Scope::Clusters, deleted: 3, allowed: 2, published: 100 }]);
}

#[test]
fn the_whole_plan_shows_every_file_and_every_change() {
    let world = World::default()
        .unchanged("app", "prometheus", 1)
        .file("app", "prometheus", "values.yaml", Some(&remote_write("a")), Some(&remote_write("b")))
        .file("app", "loki", "values.yaml", None, Some("a: 1\nb: [x, z]\n"));
    let text: Vec<String> = text::full(&world.plan()).into_iter().map(|line| line.text).collect();
    assert_snapshot!(text.join("\n"), @"
    1 file added, 1 file changed on 1 cluster: app

    cluster app changed
      add-on loki added
        + argocd-apps/app/loki/values.yaml added: 3 settings
      add-on prometheus changed
          argocd-apps/app/prometheus/values.yaml
            prometheus.prometheusSpec.remoteWrite[0].url: http://a/api/v1/write → http://b/api/v1/write
            ! exposed address: an address moves that others may depend on
    ");
}

#[test]
fn json_keeps_types_and_paths() {
    let world =
        World::default().file("app", "x", "values.yaml", Some("a.b: 1\n"), Some("a.b: \"1\"\nc: {}\n"));
    assert_snapshot!(serde_json::to_string_pretty(&world.plan()).unwrap(), @r#"
    {
      "clusters": {
        "app": {
          "action": "update",
          "addons": {
            "x": {
              "action": "update",
              "files": [
                {
                  "path": "argocd-apps/app/x/values.yaml",
                  "action": "update",
                  "leaves": 0,
                  "changes": [
                    {
                      "path": "\"a.b\"",
                      "old": 1,
                      "new": "1"
                    },
                    {
                      "path": "c",
                      "new": {}
                    }
                  ]
                }
              ]
            }
          },
          "files": []
        }
      },
      "published": {
        "clusters": 1,
        "addons": 1,
        "files": 1
      },
      "deleted": {
        "clusters": 0,
        "addons": 0,
        "files": 0
      },
      "remainingFiles": 1
    }
    "#);
}

#[test]
fn a_large_published_file_is_never_parsed() {
    let published =
        String::from_utf8(bombs::published_file(MAX_COMPARED_BYTES + 1).into_values().next().unwrap())
            .unwrap();
    assert_snapshot!(changes("values.yaml", &published, "a: 1\n").join("\n"), @r#": more than 4 MiB → "5 bytes, BLAKE3 a96cd3566741""#);
    let world = World::default().file("app", "x", "values.yaml", Some(&published), None);
    assert_eq!(world.plan().files().map(|file| file.leaves).collect::<Vec<_>>(), [1]);
}

#[test]
fn very_many_changes_of_a_file_are_one_with_their_worst_risk() {
    let keys =
        |value: &str| (0..=MAX_CHANGES).map(|at| format!("k{at}: {value}\n")).collect::<Vec<_>>().concat();
    let address = |last: u8| format!("service:\n  loadBalancerIP: 10.0.0.{last}\n");
    let shown = changes("values.yaml", &(keys("a") + &address(1)), &(keys("b") + &address(2))).join("\n");
    assert!(shown.contains("bytes, BLAKE3") && shown.ends_with("! exposed address"), "{shown}");
}
