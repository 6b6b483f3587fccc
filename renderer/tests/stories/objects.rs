//! Rendered objects have the form that a cluster expects, and each is written once.

use insta::assert_snapshot;

use crate::world::World;

const POOL: &str = "templates/addons/metallb/manifests/address-pool.yaml.hbs";
const SET: &str = "templates/cluster/applicationset.yaml.hbs";

fn shipped() -> World {
    World::shipped()
}

fn manifest(text: &str) -> World {
    shipped().with("templates/addons/metallb/manifests/x.yaml.hbs", text)
}

#[test]
fn a_misspelt_field_is_told_in_its_template_once_for_all_clusters() {
    assert_snapshot!(shipped().edit(POOL, "avoidBuggyIPs", "avoidBugyIPs").problems(), @"
    templates/addons/metallb/manifests/address-pool.yaml.hbs:15:3: unknown key `avoidBugyIPs` (on `app` and `control`)
      hint: did you mean `avoidBuggyIPs`?
    ");
    assert_snapshot!(shipped().edit(SET, "          selfHeal:", "          selfheal:").problems(), @"
    templates/cluster/applicationset.yaml.hbs:70:11: unknown key `selfheal` (on `app` and `control`)
      hint: did you mean `selfHeal`?
    ");
}

#[test]
fn a_misspelt_field_with_lines_below_it_is_told_at_its_key() {
    assert_snapshot!(shipped().edit(SET, "      syncPolicy:\n        automated:", "      syncPolicy:\n        automatd:").problems(), @"
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
      hint: write an `ExternalSecret` that fetches it from Vault
    ");
}

#[test]
fn an_object_is_written_once() {
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    assert_snapshot!(manifest(&format!("{one}---\n{one}")).problems(), @"
    templates/addons/metallb/manifests/x.yaml.hbs:7:18: ConfigMap `a` is written twice (on `app` and `control`)
      hint: give each object of this file its own name
    ");
    assert_snapshot!(manifest(&shipped().text(POOL)).problems(), @"
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
    let world = shipped().edit("templates/_partials/argocd-metadata.hbs", "name: {{name}}", "name: all");
    assert_snapshot!(world.problems(), @"
    templates/_partials/argocd-metadata.hbs:2:7: AppProject `all` is written twice
      hint: `argocd-apps/app/appproject.yaml` writes it, too; give each its own name
    templates/_partials/argocd-metadata.hbs:2:7: ApplicationSet `all` is written twice
      hint: `argocd-apps/app/applicationset.yaml` writes it, too; give each its own name
    ");
}
