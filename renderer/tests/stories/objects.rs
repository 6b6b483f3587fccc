//! Rendered objects have the form that a cluster expects, and each is written once.

use insta::assert_snapshot;

use crate::world::World;

const POOL: &str = "templates/addons/metallb/manifests/address-pool.yaml.hbs";
const SET: &str = "templates/cluster/applicationset.yaml.hbs";

fn platform() -> World {
    World::platform()
}

fn manifest(text: &str) -> World {
    platform().with("templates/addons/metallb/manifests/x.yaml.hbs", text)
}

#[test]
fn a_misspelt_field_is_told_in_its_template_once_for_all_clusters() {
    assert_snapshot!(platform().edit(POOL, "avoidBuggyIPs", "avoidBugyIPs").problems(), @"
    templates/addons/metallb/manifests/address-pool.yaml.hbs:15:3: unknown key `avoidBugyIPs` (on `app` and `control`)
      hint: did you mean `avoidBuggyIPs`?
    ");
    assert_snapshot!(platform().edit(SET, "          selfHeal:", "          selfheal:").problems(), @"
    templates/cluster/applicationset.yaml.hbs:70:11: unknown key `selfheal` (on `app` and `control`)
      hint: did you mean `selfHeal`?
    ");
}

#[test]
fn a_misspelt_field_with_lines_below_it_is_told_at_its_key() {
    assert_snapshot!(platform().edit(SET, "      syncPolicy:\n        automated:", "      syncPolicy:\n        automatd:").problems(), @"
    templates/cluster/applicationset.yaml.hbs:68:9: unknown key `automatd` (on `app` and `control`)
      hint: did you mean `automated`?
    ");
}

#[test]
fn an_object_needs_a_name() {
    assert_snapshot!(manifest("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {a: b}\n").problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:4:3: missing key `name` (on `app` and `control`)
      hint: name the object without `/`, `%` and spaces
    ");
    assert_snapshot!(manifest("just text\n").problems(), @"templates/addons/metallb/manifests/x.yaml.hbs:1:1: the document must be a map, not a string (on `app` and `control`)");
}

#[test]
fn a_secret_with_content_is_told_once() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  password: hunter2\n";
    assert_snapshot!(manifest(secret).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:4:1: a `Secret` with `stringData` would put its content into the repository (on `app` and `control`)
      hint: write an `ExternalSecret` that fetches it from a secret store
    ");
}

#[test]
fn an_object_is_written_once() {
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    assert_snapshot!(manifest(&format!("{one}---\n{one}")).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:7:18: ConfigMap `a` is written twice (on `app` and `control`)
      hint: give each object of this file its own name
    ");
    assert_snapshot!(manifest(&platform().text(POOL)).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:6:9: IPAddressPool `default` is written twice (on `app` and `control`)
      hint: `argocd-apps/app/metallb/manifests/address-pool.yaml` writes it, too; give each its own name
    ");
}

#[test]
fn two_addons_must_not_write_one_object() {
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\nrules: []\n";
    let world = manifest(role).with("templates/addons/prometheus-agent/manifests/x.yaml.hbs", role);
    assert_snapshot!(world.problems(), @"
    templates/addons/prometheus-agent/manifests/x.yaml.hbs:3:18: ClusterRole `reader` is written twice
      hint: `argocd-apps/app/metallb/manifests/x.yaml` writes it, too; give each its own name
    ");
}

#[test]
fn objects_in_their_own_namespaces_do_not_meet() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let world = manifest(map).with("templates/addons/prometheus-agent/manifests/x.yaml.hbs", map);
    assert_eq!(world.problems(), "no problems");
}

#[test]
fn the_clusters_of_a_hub_must_not_write_one_object_there() {
    let world = platform().edit("templates/_partials/argocd-metadata.hbs", "name: {{name}}", "name: all");
    assert_snapshot!(world.problems(), @"
    templates/_partials/argocd-metadata.hbs:2:7: AppProject `all` is written twice
      hint: `argocd-apps/app/appproject.yaml` writes it, too; give each its own name
    templates/_partials/argocd-metadata.hbs:2:7: ApplicationSet `all` is written twice
      hint: `argocd-apps/app/applicationset.yaml` writes it, too; give each its own name
    ");
}

const SCHEMA: &str = "templates/schemas/example.com_v1_Pool.json";

#[test]
fn a_kind_of_ones_own_is_judged_by_the_schema_beside_the_templates() {
    let schema = r#"{"properties": {"apiVersion": true, "kind": true, "metadata": true, "spec": {"properties": {"size": {"type": "integer"}}, "additionalProperties": false}}}"#;
    let pool = manifest("apiVersion: example.com/v1\nkind: Pool\nmetadata: {name: a}\nspec: {size: 3}\n");
    assert_eq!(pool.clone().with(SCHEMA, schema).problems(), "no problems");
    let wrong = pool.edit("templates/addons/metallb/manifests/x.yaml.hbs", "size: 3", "sizes: 3");
    assert_eq!(wrong.problems(), "no problems");
    assert_snapshot!(wrong.with(SCHEMA, schema).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:4:8: unknown key `sizes` (on `app` and `control`)
      hint: did you mean `size`?
    ");
}

#[test]
fn a_schema_that_is_none_is_told() {
    assert_snapshot!(platform().with(SCHEMA, "{\n  \"type\": }").problems(), @"
    templates/schemas/example.com_v1_Pool.json:2:11: this is not JSON
      hint: write a JSON Schema of the whole object
    ");
    assert_snapshot!(platform().with(SCHEMA, r#"{"type": "maps"}"#).problems(), @r#"
    templates/schemas/example.com_v1_Pool.json:1:1: the schema is not valid at `/type`: "maps" is not valid under any of the schemas listed in the 'anyOf' keyword
      hint: write a JSON Schema of the whole object
    "#);
    assert_snapshot!(platform().with("templates/schemas/pool.json", "{}").problems(), @"
    templates/schemas/pool.json:1:1: the file's name does not say which kind it describes
      hint: call it `<group>_<version>_<Kind>.json`, as in `example.com_v1_Pool.json`
    ");
}

#[test]
fn objects_of_kubernetes_itself_have_no_misspelt_field() {
    let policy = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a}
spec:
  podSelector: {}
  ingres: []
";
    assert_snapshot!(manifest(policy).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:6:3: unknown key `ingres` (on `app` and `control`)
      hint: did you mean `ingress`?
    ");
    let job = "apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: a
          image: busybox:1.37
          resources: {limits: {cpu: 1, memory: 64Mi}}
          ports: [{containerPort: \"80\"}]
";
    assert_snapshot!(manifest(job).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:12:35: `containerPort` must be an integer, not a string (on `app` and `control`)
      hint: remove the quotes
    ");
}

#[test]
fn the_items_of_a_list_are_judged_one_by_one() {
    let list = |items: &str| manifest(&format!("apiVersion: v1\nkind: List\nitems:\n{items}"));
    let map = "  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n";
    assert_eq!(list(map).problems(), "no problems");
    assert_eq!(list("  []\n").problems(), "no problems");
    assert_snapshot!(list(&format!("{map}{map}")).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:5:56: ConfigMap `a` is written twice (on `app` and `control`)
      hint: give each object of this file its own name
    ");
    assert_snapshot!(list("  - apiVersion: v1\n    kind: Secret\n    metadata: {name: s}\n    data: {a: eA==}\n").problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:7:5: a `Secret` with `data` would put its content into the repository (on `app` and `control`)
      hint: write an `ExternalSecret` that fetches it from a secret store
    ");
    let role = "  - apiVersion: rbac.authorization.k8s.io/v1\n    kind: ClusterRole\n    metadata: {name: \"r\"}\n    rules:\n      - {apiGroups: [\"{{cluster.labels.group}}\"], resources: [pods], verbs: [get]}\n";
    let labels =
        |world: World| world.edit("environments/_defaults.yaml", "labels:\n", "labels:\n  group: \"*\"\n");
    assert_snapshot!(labels(list(role)).problems(), @r#"
    environments/_defaults.yaml:5:10: a value brings `*` here, which is a pattern of `ClusterRole` (on `app` and `control`)
      hint: write it in the template, braces of Argo CD as `\{{`, and keep it out of the value
    "#);
    let job = "  - apiVersion: batch/v1\n    kind: Job\n    metadata: {generateName: j-}\n    spec:\n      template:\n        spec:\n          containers: [{name: a, image: busybox}]\n";
    assert_snapshot!(list(job).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:10:41: image `busybox` names no version (on `app` and `control`)
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    let service = "  - apiVersion: v1\n    kind: Service\n    metadata: {name: a}\n    spec: {type: LoadBalancer, loadBalancerIP: 10.1.1.1}\n";
    assert_snapshot!(list(service).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:7:48: address `10.1.1.1` is outside the pool `192.168.64.120-192.168.64.140` of `app` (on `app` and `control`)
      hint: the Service would stay pending; choose an address of the pool
    ");
    let deployment = "  - apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: a}\n    spec: {replicas: \"2\"}\n";
    assert_snapshot!(list(deployment).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:7:11: missing key `selector` (on `app` and `control`)
    templates/addons/metallb/manifests/x.yaml.hbs:7:11: missing key `template` (on `app` and `control`)
    templates/addons/metallb/manifests/x.yaml.hbs:7:22: `replicas` must be an integer, not a string (on `app` and `control`)
      hint: remove the quotes
    ");
}
