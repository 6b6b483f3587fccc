//! A small fleet for the stories: a hub, one app cluster, one add-on.
//!
//! The shipped fleet grows, and what these tests show must not change with it.

/// A chart lock for the small fleet, which goes without one unless a story is about it.
pub const LOCK: &str = "- name: web\n\
     \x20 version: \"1.2.3\"\n\
     \x20 repository: https://charts.example.com\n\
     \x20 values:\n\
     \x20   _list: env\n\
     \x20   _map: labels\n\
     \x20   _number: replicas\n";

pub const FLEET: &[(&str, &str)] = &[
    (
        "environments/_fleet.yaml",
        "repository: {url: 'https://git.example.com/fleet.git', branch: main}\n\
         storageClass: fast\n\
         ports:\n\
         \x20 web: 8080\n",
    ),
    ("environments/_defaults.yaml", "machines:\n  controlPlane: {count: 3}\n"),
    (
        "environments/hub.yaml",
        "role: control\n\
         networks: {pods: 10.1.0.0/16, services: 10.2.0.0/16}\n\
         loadBalancer: {pool: 10.9.0.10-10.9.0.19}\n\
         addresses:\n\
         \x20 web: 10.9.0.10\n",
    ),
    (
        "environments/prod/eu-1.yaml",
        "role: app\n\
         hub: hub\n\
         machines:\n\
         \x20 workers: {count: 6}\n\
         networks: {pods: 10.3.0.0/16, services: 10.4.0.0/16}\n\
         loadBalancer: {pool: 10.9.0.20-10.9.0.29}\n\
         addons:\n\
         \x20 web:\n\
         \x20   settings: {replicas: 3}\n",
    ),
    (
        "templates/addons/web/addon.yaml",
        "chart: {repository: 'https://charts.example.com', name: web, version: 1.2.3}\n\
         namespace: web\n\
         settings:\n\
         \x20 replicas: {type: integer, default: 2}\n",
    ),
    (
        "templates/addons/web/values.yaml.hbs",
        "replicas: {{addon.settings.replicas}}\n\
         env:\n\
         \x20 - name: HUB\n\
         \x20   value: \"http://{{hub.addresses.web}}:{{fleet.ports.web}}\"\n\
         \x20 - name: CLUSTER\n\
         \x20   value: {{cluster.name}}\n\
         labels:\n\
         \x20 example.com/role: {{cluster.role}}\n",
    ),
    (
        "templates/addons/web/manifests/settings.yaml.hbs",
        "apiVersion: v1\n\
         kind: ConfigMap\n\
         metadata: {name: settings, namespace: web}\n\
         data: {storageClass: \"{{fleet.storageClass}}\"}\n\
         ---\n\
         apiVersion: v1\n\
         kind: ConfigMap\n\
         metadata: {name: machines, namespace: web}\n\
         data: {workers: \"{{cluster.machines.workers.count}}\"}\n",
    ),
    (
        "templates/cluster/namespace.yaml.hbs",
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{cluster.name}}\n\
         {{#if (eq cluster.role \"control\")}}\n\
         ---\n\
         apiVersion: argoproj.io/v1alpha1\n\
         kind: Application\n\
         metadata: {name: web, namespace: argocd}\n\
         spec:\n\
         \x20 project: default\n\
         \x20 destination: {name: in-cluster}\n\
         \x20 source: {repoURL: 'https://git.example.com/fleet.git', path: argocd-apps/*/web}\n\
         {{/if}}\n",
    ),
];
