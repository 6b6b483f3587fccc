//! What becomes of objects, and what is said of it.

mod planted;

use insta::assert_snapshot;

use super::*;
use crate::manifests::read;
use crate::path::ClusterName;
use crate::plan::Facts;
use crate::plan::text::Line;

const SAMPLES: &str = include_str!("samples.yaml");

fn objects(text: &str) -> Vec<Object> {
    read(text).unwrap()
}

fn addon() -> AddonName {
    AddonName::parse("shop").unwrap()
}

/// Compares two streams on one cluster; a stream of `-` is an add-on that is not there.
fn between(old: &str, new: &str) -> Effects {
    let side = |text: &str| (text != "-").then(|| objects(text));
    let (old, new) = (side(old), side(new));
    let unit = compare(&addon(), old.as_deref(), new.as_deref(), None);
    effects([(ClusterName::parse("eu-1").unwrap(), vec![unit])], &Facts::default())
}

fn text(lines: Vec<Line>) -> String {
    lines.into_iter().map(|line| line.text + "\n").collect()
}

/// Everything that is ever shown.
fn all_of(effects: &Effects) -> String {
    let json = serde_json::to_string(effects).unwrap();
    text(summary(effects)) + &text(full(effects)) + &markdown(effects, 60_000, Some(EFFECTS)) + &json
}

fn kinds(effects: &Effects) -> Vec<&'static str> {
    let mut kinds: Vec<_> = effects.effects.iter().map(|group| group.effect.kind.anchor()).collect();
    kinds.dedup();
    kinds
}

#[test]
fn objects_that_stay_the_same_have_no_effects() {
    let effects = between(SAMPLES, SAMPLES);
    assert_eq!(effects, Effects::default());
    assert!(effects.is_empty());
    assert_eq!(text(summary(&effects)), "No object changes.\n");
}

#[test]
fn one_chart_on_three_clusters_reads_like_one() {
    let old = objects(SAMPLES);
    let bumped = SAMPLES
        .replace("web:1.2.3", "web:2.0.0")
        .replace("agent:v0.9.0", "agent:v0.9.1")
        .replace("web-1.2.3", "web-2.0.0")
        .replace("version: 1.2.3", "version: 2.0.0");
    let new = objects(&bumped);
    let clusters = ["eu-1", "eu-2", "eu-3"].map(|name| {
        (ClusterName::parse(name).unwrap(), vec![compare(&addon(), Some(&old), Some(&new), None)])
    });
    let effects = effects(clusters, &Facts::default());
    assert_snapshot!(text(summary(&effects)), @r#"
    6 objects changed on 3 clusters
    6 pods and those of 1 DaemonSet on every node restart on eu-1, eu-2, eu-3 (1 DaemonSet, 1 Deployment)
    Folded, since nothing that runs changes by it: 9 changes of labels that tell a version
      ! image major version: registry.example.com/web:1.2.3 → registry.example.com/web:2.0.0: a new major version
          shop Deployment shop/web web on eu-1, eu-2, eu-3
      · restarted: the pods are replaced
          shop DaemonSet shop/agent on eu-1, eu-2, eu-3
          shop Deployment shop/web on eu-1, eu-2, eu-3 (2 pods each)
      · image changed: agent:v0.9.0 → agent:v0.9.1: another version of the image
          shop DaemonSet shop/agent agent on eu-1, eu-2, eu-3

    on eu-1, eu-2, eu-3
      shop
          DaemonSet shop/agent spec.template.spec.containers[name=agent].image: agent:v0.9.0 → agent:v0.9.1
          Deployment shop/web spec.template.metadata.labels."app.kubernetes.io/version": "1.2.3" → "2.0.0"
          Deployment shop/web spec.template.metadata.labels."helm.sh/chart": web-1.2.3 → web-2.0.0
          Deployment shop/web spec.template.spec.containers[name=web].image:
        - registry.example.com/web:1.2.3
        + registry.example.com/web:2.0.0
    "#);
    assert_snapshot!(markdown(&effects, 60_000, Some(EFFECTS)), @r##"
    6 objects changed on 3 clusters

    6 pods and those of 1 DaemonSet on every node restart on eu-1, eu-2, eu-3 (1 DaemonSet, 1 Deployment)

    - **[image major version](docs/reference/effects.md#image-major-version)**: `registry.example.com/web:1.2.3 → registry.example.com/web:2.0.0`: a new major version
      - `shop Deployment shop/web web` on eu-1, eu-2, eu-3
    - [restarted](docs/reference/effects.md#restarted): the pods are replaced
      - `shop DaemonSet shop/agent` on eu-1, eu-2, eu-3
      - `shop Deployment shop/web` on eu-1, eu-2, eu-3 (2 pods each)
    - [image changed](docs/reference/effects.md#image-changed): `agent:v0.9.0 → agent:v0.9.1`: another version of the image
      - `shop DaemonSet shop/agent agent` on eu-1, eu-2, eu-3

    ### On eu-1, eu-2, eu-3

    ```diff
    # shop
    - DaemonSet shop/agent spec.template.spec.containers[name=agent].image: agent:v0.9.0
    + DaemonSet shop/agent spec.template.spec.containers[name=agent].image: agent:v0.9.1
    - Deployment shop/web spec.template.metadata.labels."app.kubernetes.io/version": "1.2.3"
    + Deployment shop/web spec.template.metadata.labels."app.kubernetes.io/version": "2.0.0"
    - Deployment shop/web spec.template.metadata.labels."helm.sh/chart": web-1.2.3
    + Deployment shop/web spec.template.metadata.labels."helm.sh/chart": web-2.0.0
    - Deployment shop/web spec.template.spec.containers[name=web].image: registry.example.com/web:1.2.3
    + Deployment shop/web spec.template.spec.containers[name=web].image: registry.example.com/web:2.0.0
    ```

    Folded, since nothing that runs changes by it: 9 changes of labels that tell a version.
    "##);
}

#[test]
fn nodes_count_the_pods_of_a_daemon_set() {
    let new = SAMPLES.replace("agent:v0.9.0", "agent:v0.9.1");
    let unit = compare(&addon(), Some(&objects(SAMPLES)), Some(&objects(&new)), Some(7));
    let effects = effects([(ClusterName::parse("eu-1").unwrap(), vec![unit])], &Facts::default());
    assert!(text(summary(&effects)).contains("7 pods restart on eu-1 (1 DaemonSet)"));
}

/// A change of the samples, and the effects that it has.
const CHANGES: &[(&str, &str, &[&str])] = &[
    ("replicas: 2\n", "replicas: 0\n", &["stopped"]),
    ("replicas: 2\n", "replicas: 4\n", &["scaled"]),
    ("serviceName: db", "serviceName: db2", &["immutable-field"]),
    (
        "storage: 10Gi}}}\n---\napiVersion: apps/v1\nkind: DaemonSet",
        "storage: 20Gi}}}\n---\napiVersion: apps/v1\nkind: DaemonSet",
        &["immutable-field"],
    ),
    (
        "storage: 10Gi}}}\n---\napiVersion: v1\nkind: PersistentVolume\n",
        "storage: 9Gi}}}\n---\napiVersion: v1\nkind: PersistentVolume\n",
        &["immutable-field"],
    ),
    (
        "storage: 10Gi}}}\n---\napiVersion: v1\nkind: PersistentVolume\n",
        "storage: 11Gi}}}\n---\napiVersion: v1\nkind: PersistentVolume\n",
        &[],
    ),
    ("matchLabels: {app: web}}\n  strategy", "matchLabels: {app: x}}\n  strategy", &["immutable-field"]),
    ("drop: [ALL]", "drop: []", &["privilege-gained", "restarted"]),
    ("allowPrivilegeEscalation: false", "privileged: true", &["privilege-gained", "restarted"]),
    ("hostPath: {path: /var/log}", "hostPath: {path: /}", &["privilege-gained", "restarted"]),
    (
        "add: [NET_ADMIN, SYS_PTRACE]",
        "add: [NET_ADMIN, SYS_PTRACE, SYS_ADMIN]",
        &["privilege-gained", "restarted"],
    ),
    ("enforce: baseline", "enforce: privileged", &["privilege-gained"]),
    ("enforce: baseline", "enforce: restricted", &[]),
    ("sidecar@sha256:0123", "sidecar@sha256:4567", &["restarted", "image-changed"]),
    ("wait:1.0.0", "wait", &["image-floating", "restarted", "image-changed"]),
    ("db:15.1", "db:14.9", &["image-downgraded", "restarted"]),
    ("registry.example.com/widget:1.0.0", "mirror.example.com/widget:1.0.0", &["image-source"]),
    ("clean:1\"", "clean:2\"", &["image-major-version"]),
    ("setup:1\"", "setup:2\"", &["immutable-field", "image-major-version"]),
    ("suspend: false", "suspend: true", &["stopped"]),
    ("claimName: web", "claimName: other", &["volume-dropped", "restarted"]),
    ("verbs: [get, list]", "verbs: [get, list, watch]", &["rbac-gained"]),
    ("verbs: [get, list]", "verbs: [get]", &["rbac-lost"]),
    ("verbs: [get, list]", "verbs: [get, list, \"*\"]", &["rbac-escalated"]),
    ("resources: [pods, services]", "resources: [pods, services, secrets]", &["rbac-escalated"]),
    ("verbs: [patch]", "verbs: [patch, escalate]", &["rbac-escalated"]),
    (
        "apiGroups: [apps], resources: [deployments]",
        "apiGroups: [a.example.com], resources: [deployments]",
        &["rbac-gained", "rbac-lost"],
    ),
    (
        "kind: ClusterRole, name: web",
        "kind: ClusterRole, name: cluster-admin",
        &["immutable-field", "rbac-escalated", "rbac-gained", "rbac-lost"],
    ),
    ("{kind: Group, name: ops,", "{kind: Group, name: dev,", &["rbac-gained", "rbac-lost"]),
    ("cidr: 10.0.0.0/8", "cidr: 0.0.0.0/0", &["network-opened", "network-closed"]),
    ("    - to: [{namespaceSelector: {}}]\n", "", &["network-closed"]),
    ("{port: 53, protocol: UDP}", "{port: 53, protocol: UDP}, {port: 853}", &["network-opened"]),
    ("policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", &["network-opened", "network-closed"]),
    ("podSelector: {matchLabels: {app: web}}", "podSelector: {matchLabels: {app: x}}", &["network-opened"]),
    ("type: LoadBalancer", "type: ClusterIP", &["address-withdrawn"]),
    ("loadBalancerIPs: 192.0.2.7", "loadBalancerIPs: 192.0.2.8", &["address-exposed", "address-withdrawn"]),
    ("    - {name: https, port: 443, targetPort: https, protocol: TCP}\n", "", &["address-withdrawn"]),
    ("clusterIP: 10.0.0.7", "clusterIP: 10.0.0.8", &["immutable-field"]),
    ("- host: shop.example.com", "- host: other.example.com", &["address-exposed", "address-withdrawn"]),
    ("port: 443, protocol: HTTPS", "port: 8443, protocol: HTTPS", &["address-exposed", "address-withdrawn"]),
    ("hostnames: [a.example.com, b.example.com]", "hostnames: [a.example.com]", &["address-withdrawn"]),
    ("minAvailable: 1", "minAvailable: 0", &["disruption-unguarded"]),
    ("minAvailable: 1", "minAvailable: 2", &[]),
    ("minAvailable: 1", "maxUnavailable: 50%", &["disruption-unguarded"]),
    (
        "{name: v1beta1, served: true,",
        "{name: v1beta1, served: false,",
        &["version-removed", "definition-changed"],
    ),
    ("required: [a, b]", "required: [a]", &["definition-changed"]),
    ("scope: Namespaced", "scope: Cluster", &["immutable-field", "definition-changed"]),
    ("failurePolicy: Ignore", "failurePolicy: Fail", &["webhook-added"]),
    ("    failurePolicy: Ignore\n", "", &["webhook-added"]),
    ("value: 1000", "value: 2000", &["immutable-field"]),
    ("provisioner: example.com/fast", "provisioner: example.com/slow", &["immutable-field"]),
    ("level: info", "level: debug", &[]),
];

#[test]
fn each_change_has_its_effects_and_no_other() {
    for (old, new, expected) in CHANGES {
        assert_eq!(SAMPLES.matches(old).count(), 1, "{old:?} stands once in the samples");
        let effects = between(SAMPLES, &SAMPLES.replace(old, new));
        assert_eq!(kinds(&effects), *expected, "{old} → {new}: {}", text(summary(&effects)));
        assert!(!effects.is_empty(), "{old} → {new} is shown by path");
    }
}

/// Returns the samples without those of a kind.
fn without(kind: &str) -> String {
    let kind = format!("kind: {kind}\n");
    let left = SAMPLES.split("---\n").filter(|document| !document.contains(&format!("\n{kind}")));
    left.collect::<Vec<_>>().join("---\n")
}

#[test]
fn an_object_that_goes_says_what_goes_with_it() {
    for (kind, expected) in [
        ("PersistentVolumeClaim", &["data-lost"][..]),
        ("PersistentVolume", &["data-lost"]),
        ("Namespace", &["data-lost"]),
        ("CustomResourceDefinition", &["definition-removed"]),
        ("Deployment", &["stopped"]),
        ("DaemonSet", &["stopped"]),
        ("CronJob", &["stopped"]),
        ("NetworkPolicy", &["network-opened", "pruned"]),
        ("PodDisruptionBudget", &["disruption-unguarded"]),
        ("Service", &["address-withdrawn", "pruned"]),
        ("Ingress", &["address-withdrawn", "pruned"]),
        ("ClusterRoleBinding", &["rbac-gained", "rbac-lost", "pruned"]),
        ("ConfigMap", &["pruned"]),
        ("Widget", &["pruned"]),
    ] {
        let effects = between(SAMPLES, &without(kind));
        assert_eq!(kinds(&effects), expected, "{kind}");
        assert_eq!(effects.totals.deleted, 1);
    }
}

#[test]
fn what_argo_cd_keeps_is_not_called_pruned() {
    let claim = |annotation: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: a, annotations: {{{annotation}}}}}\n"
        )
    };
    let prune = "argocd.argoproj.io/sync-options: \"Validate=false, Prune=false\"";
    let delete = "argocd.argoproj.io/sync-options: Delete=false";
    let keep = "helm.sh/resource-policy: keep";
    for (annotation, new, expected) in [
        (prune, "", "kept"),
        (delete, "", "data-lost"),
        (keep, "", "data-lost"),
        (prune, "-", "data-lost"),
        (delete, "-", "kept"),
        (keep, "-", "kept"),
        ("a: b", "", "data-lost"),
        ("a: b", "-", "data-lost"),
    ] {
        assert_eq!(kinds(&between(&claim(annotation), new)), [expected], "{annotation} {new:?}");
    }
    let definition = SAMPLES.split("---\n").find(|text| text.contains("CustomResourceDefinition")).unwrap();
    assert_eq!(
        kinds(&between(definition, "-")),
        ["kept"],
        "Argo CD deletes no definition with an Application"
    );
}

#[test]
fn a_secret_is_shown_on_neither_side() {
    let new = SAMPLES.replace("hunter2", "hunter3").replace("aHVudGVyMg==", "aHVudGVyMw==");
    for effects in
        [between(SAMPLES, &new), between(SAMPLES, "-"), between("-", SAMPLES), between(SAMPLES, "")]
    {
        let shown = all_of(&effects);
        for secret in ["hunter", "aHVudGVy"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let shown = all_of(&between(SAMPLES, &new));
    assert!(shown.contains("Secret shop/web data.c: *** → *** (changed)"), "{shown}");
    assert!(shown.contains("ConfigMap shop/web data.password: *** → *** (changed)"), "{shown}");
}

#[test]
fn labels_and_checksums_are_folded_and_counted_unless_they_replace_pods() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {helm.sh/chart: a-1}, annotations: {checksum/a: \"1\"}}\n";
    let new = service.replace("a-1", "a-2").replace("\"1\"", "\"2\"");
    let effects = between(service, &new);
    assert!(effects.is_empty());
    assert_snapshot!(text(full(&effects)), @r#"
    No object changes.
    Folded, since nothing that runs changes by it: 1 change of a label that tells a version, 1 checksum in an annotation

    Nothing that runs changes by what follows

    on eu-1
      shop
          Service a metadata.annotations.checksum/a: "1" → "2"
          Service a metadata.labels."helm.sh/chart": a-1 → a-2
    "#);
    let selecting = format!("{service}spec: {{selector: {{helm.sh/chart: a-1}}}}\n");
    let effects = between(&selecting, &selecting.replacen("a-1", "a-2", 1));
    assert_eq!((effects.noise.labels, effects.groups.len()), (0, 1), "something selects by it");
    for (old, new) in [
        ("      annotations: {checksum/config: \"0123\"}", "      annotations: {checksum/config: \"0124\"}"),
        (
            "      labels: {app: web, helm.sh/chart: web-1.2.3",
            "      labels: {app: web, helm.sh/chart: web-1.2.4",
        ),
    ] {
        assert_eq!(SAMPLES.matches(old).count(), 1);
        let effects = between(SAMPLES, &SAMPLES.replace(old, new));
        assert_eq!(kinds(&effects), ["restarted"]);
        assert!(text(summary(&effects)).contains("since labels or annotations of them change"));
    }
}

#[test]
fn a_set_in_another_order_is_folded_and_a_list_is_not() {
    for (old, new, orders) in [
        ("verbs: [get, list]", "verbs: [list, get]", 1),
        (
            "resources: [pods, services], verbs: [get, list]",
            "resources: [services, pods], verbs: [list, get]",
            2,
        ),
        ("policyTypes: [Ingress, Egress]", "policyTypes: [Egress, Ingress]", 1),
        ("shortNames: [w, wi]", "shortNames: [wi, w]", 1),
        ("operations: [CREATE, UPDATE]", "operations: [UPDATE, CREATE]", 1),
        ("args: [--port=8080, --level=info]", "args: [--level=info, --port=8080]", 0),
        ("list: [a, b]", "list: [b, a]", 0),
        (
            "- {name: A, value: x}\n            - {name: B, value: $(A)y}",
            "- {name: B, value: $(A)y}\n            - {name: A, value: x}",
            0,
        ),
        ("imagePullSecrets: [{name: a}, {name: b}]", "imagePullSecrets: [{name: b}, {name: a}]", 0),
    ] {
        assert!(SAMPLES.contains(old), "{old}");
        let effects = between(SAMPLES, &SAMPLES.replace(old, new));
        assert_eq!((effects.noise.orders, effects.is_empty()), (orders, orders > 0), "{new}");
    }
    let more = between(SAMPLES, &SAMPLES.replace("verbs: [get, list]", "verbs: [list, get, watch]"));
    assert_eq!((kinds(&more), more.noise.orders), (vec!["rbac-gained"], 0));
}

#[test]
fn permissions_are_told_by_subject_and_not_by_object() {
    let role = |name: &str, rules: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}, namespace: ns}}\nrules: [{rules}]\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: ns}}\n\
             roleRef: {{kind: Role, name: {name}}}\nsubjects: [{{kind: ServiceAccount, name: sa, namespace: ns}}]\n"
        )
    };
    let rules = "{apiGroups: [\"\"], resources: [pods], verbs: [get]}";
    assert_eq!(
        kinds(&between(&role("a", rules), &role("b", rules))),
        ["pruned"],
        "the same by other objects"
    );
    let more = format!(
        "{rules}, {{apiGroups: [\"\", apps], resources: [pods, configmaps], verbs: [get, list]}}, \
         {{apiGroups: [a.example.com], resources: [widgets], verbs: [\"*\"]}}, {{apiGroups: [\"\"], resources: [secrets], verbs: [list]}}"
    );
    let shown = text(summary(&between(&role("a", rules), &role("a", &more))));
    let effects: Vec<&str> = shown.lines().filter(|line| line.contains("RBAC")).collect();
    assert_snapshot!(effects.join("\n"), @"
    ! RBAC escalated: list on secrets in ns: the permissions lead to others: what they reach can be taken over
    ! RBAC gained: * on widgets.a.example.com in ns; get, list on configmaps, configmaps.apps, pods.apps in ns; list on pods in ns: it may do more
    ");
}

#[test]
fn a_hook_is_neither_refused_nor_pruned() {
    let hook = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a, annotations: {{helm.sh/hook: pre-install}}}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: \"{image}\"}}]}}}}}}\n"
        )
    };
    assert_eq!(kinds(&between(&hook("a:1"), &hook("a:2"))), ["image-major-version"]);
    assert_eq!(kinds(&between(&hook("a:1"), "")), [""; 0]);
}

#[test]
fn the_same_effect_is_one_up_to_each_clusters_own_name() {
    let service = |cluster: &str, port: u16| {
        objects(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web-{cluster}}}\nspec: {{type: NodePort, ports: [{{port: 80, nodePort: {port}}}]}}\n"
        ))
    };
    let clusters = ["eu-1", "eu-2"].map(|name| {
        let unit = compare(&addon(), Some(&service(name, 30001)), Some(&service(name, 30002)), None);
        (ClusterName::parse(name).unwrap(), vec![unit])
    });
    let effects = effects(clusters, &Facts::default());
    assert_eq!(effects.groups.len(), 1);
    assert_snapshot!(text(summary(&effects)), @"
    2 objects changed on 2 clusters
      ! address exposed: port 30002 of every node: it is reachable from outside the cluster
          shop Service web-<cluster> on eu-1, eu-2
      ! address withdrawn: port 30001 of every node: what calls it gets no answer there
          shop Service web-<cluster> on eu-1, eu-2

    on eu-1, eu-2
      shop
          Service web-<cluster> spec.ports[0].nodePort: 30001 → 30002
    ");
}

#[test]
fn many_effects_fit_and_what_is_left_out_is_counted() {
    let services = |count: usize| -> String {
        let service = |n| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec: {{type: NodePort, ports: [{{port: {n}}}]}}\n"
            )
        };
        (1..=count).map(service).collect()
    };
    let effects = between("", &services(3_000));
    let markdown = markdown(&effects, 20_000, Some(EFFECTS));
    assert!(markdown.chars().count() <= 20_000);
    assert!(markdown.contains("more effects: `fleetwright diff --manifests --full`"));
    assert!(summary(&effects).len() < 150, "{}", summary(&effects).len());
}
