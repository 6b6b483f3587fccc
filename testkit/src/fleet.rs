//! A fleet of any size to measure with: facts and templates of the shape that people write, in which every
//! check passes.
//!
//! One hub serves up to [`SPOKES_PER_HUB`] clusters. Every cluster runs the same number of add-ons, each with
//! a values file of about 60 lines out of loops, conditions and partials. Equal sizes give equal files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// How many clusters one hub serves.
pub const SPOKES_PER_HUB: usize = 50;
/// How many clusters there is room for in the networks.
pub const MAX_CLUSTERS: usize = 8_192;

/// Add-ons that every cluster runs besides the plain ones: metallb, and Prometheus as hub or as agent.
const OWN_ADDONS: usize = 2;
/// The start of the pod networks, a /22 for each cluster; service networks follow after [`MAX_CLUSTERS`] of them.
const NETWORKS: u32 = u32::from_be_bytes([10, 0, 0, 0]);
const NETWORK_SIZE: u32 = 1 << 10;
/// The start of the address pools.
const POOLS: u32 = u32::from_be_bytes([172, 16, 0, 0]);
const POOL_SIZE: u32 = 16;
/// One cluster in so many overrides values of an add-on, another changes a setting.
const CHOOSY: usize = 7;

/// Writes a fleet of `clusters` clusters with `addons` add-ons each: the text of every file by its path.
///
/// # Panics
///
/// If there are more than [`MAX_CLUSTERS`] clusters, or fewer add-ons than two.
#[must_use]
pub fn files(clusters: usize, addons: usize) -> BTreeMap<String, String> {
    assert!(clusters <= MAX_CLUSTERS, "at most {MAX_CLUSTERS} clusters");
    assert!(addons >= OWN_ADDONS, "at least {OWN_ADDONS} add-ons");
    let mut files = BTreeMap::new();
    files.insert("environments/_fleet.yaml".to_owned(), FLEET.to_owned());
    files.insert("environments/_defaults.yaml".to_owned(), DEFAULTS.to_owned());
    for number in 0..clusters {
        let (path, text) = cluster(number);
        files.insert(path, text);
    }
    for region in regions(clusters) {
        let text = format!("labels:\n  region: {region}\n  stage: {}\n", stage(&region));
        files.insert(format!("environments/{region}/_defaults.yaml"), text);
    }
    files.extend(TEMPLATES.iter().map(|(path, text)| (format!("templates/{path}"), (*text).to_owned())));
    for (name, role, signals) in [("prometheus", "control", OF_HUB), ("prometheus-agent", "app", OF_AGENT)] {
        let description = PROMETHEUS_ADDON.replace("ROLE", role) + signals;
        files.insert(format!("templates/addons/{name}/addon.yaml"), description);
    }
    for number in 0..addons - OWN_ADDONS {
        files.extend(plain_addon(number));
    }
    files
}

/// Returns the name of a cluster; those of hubs begin with `hub`.
#[must_use]
pub fn cluster_name(number: usize) -> String {
    if is_hub(number) { format!("hub-{:03}", hub_of(number)) } else { format!("app-{number:04}") }
}

/// Returns the path of the file that describes a cluster.
#[must_use]
pub fn cluster_file(number: usize) -> String {
    format!("environments/{}/{}.yaml", region(hub_of(number)), cluster_name(number))
}

fn is_hub(number: usize) -> bool {
    number.is_multiple_of(SPOKES_PER_HUB + 1)
}

fn hub_of(number: usize) -> usize {
    number / (SPOKES_PER_HUB + 1)
}

fn region(hub: usize) -> String {
    let continent = ["eu", "us", "ap"][hub % 3];
    format!("{continent}-{}", hub / 3)
}

fn regions(clusters: usize) -> impl Iterator<Item = String> {
    (0..clusters.div_ceil(SPOKES_PER_HUB + 1)).map(region)
}

fn stage(region: &str) -> &'static str {
    if region.starts_with("ap") { "staging" } else { "production" }
}

fn cluster(number: usize) -> (String, String) {
    let hub = hub_of(number);
    let address = |start: u32, size: u32, index: usize| Ipv4Addr::from(start + size * index as u32);
    let pool = address(POOLS, POOL_SIZE, number);
    let at = |offset: u32| Ipv4Addr::from(u32::from(pool) + offset);
    let mut text = String::new();
    let role =
        if is_hub(number) { "role: control\n".to_owned() } else { format!("role: app\nhub: hub-{hub:03}\n") };
    let _ = write!(
        text,
        "{role}\nmachines:\n  workers:\n    count: {}\n\nnetworks:\n  pods: {}/22\n  services: {}/22\n\nloadBalancer:\n  pool: {}-{}\n\naddresses:\n",
        3 + number % 9,
        address(NETWORKS, NETWORK_SIZE, number),
        address(NETWORKS, NETWORK_SIZE, number + MAX_CLUSTERS),
        at(0),
        at(POOL_SIZE - 1),
    );
    if is_hub(number) {
        let _ = write!(text, "  prometheus: {}\n  grafana: {}\n", at(1), at(2));
    } else {
        let _ = writeln!(text, "  ingress: {}", at(1));
    }
    text.push_str(&choices(number));
    (cluster_file(number), text)
}

/// What some clusters change about an add-on.
fn choices(number: usize) -> String {
    match number % CHOOSY {
        2 => format!(
            "\naddons:\n  metallb:\n    values:\n      speaker:\n        logLevel: level-{}\n",
            number % 3
        ),
        5 => format!("\naddons:\n  metallb:\n    settings:\n      replicas: {}\n", 2 + number % 3),
        _ => String::new(),
    }
}

fn plain_addon(number: usize) -> Vec<(String, String)> {
    let name = format!("addon-{number:02}");
    let folder = format!("templates/addons/{name}");
    let description = PLAIN_ADDON
        .replace("NAME", &name)
        .replace("WAVE", &(number % 5 * 10).to_string())
        .replace("MINOR", &number.to_string());
    let mut files = vec![
        (format!("{folder}/addon.yaml"), description),
        (format!("{folder}/values.yaml.hbs"), PLAIN_VALUES.replace("NAME", &name)),
    ];
    if number.is_multiple_of(5) {
        files.push((format!("{folder}/manifests/dashboard.yaml.hbs"), PLAIN_MANIFEST.to_owned()));
    }
    files
}

const FLEET: &str = "\
repository:
  url: https://git.example.com/platform/fleet.git
  branch: main

storageClass: fast

ports:
  prometheus: 9090

machines:
  mysql:
    address: 192.168.64.21
  redis:
    address: 192.168.64.20
";

const DEFAULTS: &str = "\
labels:
  owner: platform

machines:
  controlPlane:
    count: 3
";

/// The templates that every fleet has, by their path below `templates/`.
const TEMPLATES: [(&str, &str); 11] = [
    ("_partials/metadata.hbs", METADATA),
    ("_partials/resources.hbs", RESOURCES),
    ("_partials/claim.hbs", CLAIM),
    ("addons/metallb/addon.yaml", METALLB_ADDON),
    ("addons/metallb/values.yaml.hbs", METALLB_VALUES),
    ("addons/metallb/manifests/pool.yaml.hbs", METALLB_POOL),
    ("addons/prometheus/values.yaml.hbs", HUB_VALUES),
    ("addons/prometheus-agent/values.yaml.hbs", AGENT_VALUES),
    ("cluster/applicationset.yaml.hbs", APPLICATION_SET),
    ("cluster/appproject.yaml.hbs", APP_PROJECT),
    ("cluster/root.yaml.hbs", ROOT),
];

const METADATA: &str = "\
name: {{name}}
namespace: argocd
labels:
  region: {{labels.region}}
";

const RESOURCES: &str = "\
requests:
  cpu: {{cpu}}
  memory: {{memory}}
limits:
  memory: {{memory}}
";

const CLAIM: &str = "\
volumeClaimTemplate:
  spec:
    storageClassName: {{storageClass}}
    accessModes: [ReadWriteOnce]
    resources:
      requests:
        storage: {{size}}
";

const METALLB_ADDON: &str = "\
chart:
  repository: https://metallb.github.io/metallb
  name: metallb
  version: 0.16.1
namespace: metallb-system
wave: -10
settings:
  replicas: {type: integer, minimum: 1, default: 1}
";

const METALLB_VALUES: &str = "\
controller:
  replicas: {{addon.settings.replicas}}
speaker:
  tolerateMaster: true
frrk8s:
  enabled: false
";

const METALLB_POOL: &str = "\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata:
  name: default
  namespace: {{addon.namespace}}
spec:
  addresses:
    - {{cluster.loadBalancer.pool}}
";

/// The hub and its spokes run the same chart; ROLE is which of them it is.
const PROMETHEUS_ADDON: &str = "\
chart:
  repository: https://prometheus-community.github.io/helm-charts
  name: kube-prometheus-stack
  version: 88.5.3
namespace: monitoring
wave: 10
clusters:
  roles: [ROLE]
serverSideApply: true

provides:
  fullName:
    maxLength: 26
  services:
    - name: <fullName>-prometheus
      ports: [{value: prometheus.service.port, default: 9090}, 8080]
    - name: <fullName>-operator
      ports: [443, 8080]
";

const OF_HUB: &str = "
settings:
  retention: {type: string, default: 15d}

receives:
  metrics:
    when:
      - {value: prometheus.enabled, default: true}
    requires:
      - {value: prometheus.prometheusSpec.enableRemoteWriteReceiver}
    exposed: {service: prometheus.service}
    endpoints:
      - scheme: http
        port: {value: prometheus.service.port, default: 9090}
        pathPrefix: prometheus.prometheusSpec.routePrefix
        path: /api/v1/write
";

const HUB_VALUES: &str = "\
prometheus:
  service:
    type: LoadBalancer
    loadBalancerIP: {{cluster.addresses.prometheus}}
    port: {{fleet.ports.prometheus}}
  prometheusSpec:
    enableRemoteWriteReceiver: true
    externalLabels:
      cluster: {{cluster.name}}
      region: {{cluster.labels.region}}
    retention: {{addon.settings.retention}}
    storageSpec:
      {{> claim fleet size=\"100Gi\"}}
grafana:
  service:
    type: LoadBalancer
    loadBalancerIP: {{cluster.addresses.grafana}}
";

const OF_AGENT: &str = "
sends:
  metrics:
    when:
      - {value: prometheus.enabled, default: true}
    targets:
      - {each: prometheus.prometheusSpec.remoteWrite, url: url, tenant: headers.X-Scope-OrgID}
    clusterLabel: prometheus.prometheusSpec.externalLabels.cluster
";

const AGENT_VALUES: &str = "\
prometheus:
  agentMode: true
  prometheusSpec:
    remoteWrite:
      - url: http://{{hub.addresses.prometheus}}:{{fleet.ports.prometheus}}/api/v1/write
    externalLabels:
      cluster: {{cluster.name}}
      region: {{cluster.labels.region}}
    storageSpec:
      {{> claim fleet size=\"10Gi\"}}
alertmanager:
  enabled: false
grafana:
  enabled: false
";

const PLAIN_ADDON: &str = "\
chart:
  repository: https://charts.example.com/NAME
  name: NAME
  version: 1.MINOR.0
namespace: NAME
wave: WAVE
settings:
  replicas: {type: integer, default: 2}
  logLevel: {type: string, enum: [debug, info, warn], default: info}
  features:
    type: array
    items: {type: string}
    default: [audit, cache, events]
";

const PLAIN_MANIFEST: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: \"{{addon.name}}-dashboard\"
  labels:
    region: {{cluster.labels.region}}
data:
  title: \"{{addon.name}} on {{cluster.name}}\"
";

const PLAIN_VALUES: &str = "\
# NAME, the way most charts are configured.
fullnameOverride: {{addon.name}}
global:
  cluster: {{cluster.name}}
  region: {{cluster.labels.region}}
  owner: {{cluster.labels.owner}}
  storageClass: {{fleet.storageClass}}

replicaCount: {{addon.settings.replicas}}
logLevel: {{addon.settings.logLevel}}

image:
  pullPolicy: IfNotPresent

controller:
  {{#if (eq cluster.labels.stage \"production\")}}
  priorityClassName: system-cluster-critical
  resources:
    {{> resources cluster cpu=\"500m\" memory=\"512Mi\"}}
  {{else}}
  resources:
    {{> resources cluster cpu=\"100m\" memory=\"128Mi\"}}
  {{/if}}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname

features:
  {{#each addon.settings.features}}
  - name: {{this}}
    enabled: true
    order: {{@index}}
  {{/each}}

persistence:
  {{> claim fleet size=\"5Gi\"}}

service:
  {{#if (eq cluster.role \"app\")}}
  type: ClusterIP
  annotations:
    ingress: {{cluster.addresses.ingress}}
  {{else}}
  type: ClusterIP
  {{/if}}

config:
  networks:
    - {{cluster.networks.pods}}
    - {{cluster.networks.services}}
  workers: {{cluster.machines.workers.count}}
  text: |
    cluster = {{cluster.name}}
    hub = {{hub.name}}
    workers = {{cluster.machines.workers.count}}

metrics:
  enabled: true
  serviceMonitor:
    enabled: true
    labels:
      cluster: {{cluster.name}}
";

const APPLICATION_SET: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  {{> metadata cluster}}
spec:
  goTemplate: true
  goTemplateOptions: [missingkey=error]
  generators:
    - list:
        elements:
          {{#each addons}}
          - name: {{name}}
            release: {{release}}
            namespace: {{namespace}}
            repository: {{chart.repository}}
            chart: {{chart.name}}
            version: {{chart.version}}
          {{/each}}
  template:
    metadata:
      name: \"{{cluster.name}}-\\{{ .name }}\"
    spec:
      project: {{cluster.name}}
      destination:
        name: {{#if (eq cluster.name hub.name)}}in-cluster{{else}}{{cluster.name}}{{/if}}
        namespace: \"\\{{ .namespace }}\"
      sources:
        - repoURL: \"\\{{ .repository }}\"
          chart: \"\\{{ .chart }}\"
          targetRevision: \"\\{{ .version }}\"
          helm:
            releaseName: \"\\{{ .release }}\"
            valueFiles:
              - \"$values/argocd-apps/{{cluster.name}}/\\{{ .name }}/values.yaml\"
        - repoURL: {{fleet.repository.url}}
          targetRevision: {{fleet.repository.branch}}
          ref: values
";

const APP_PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata:
  {{> metadata cluster}}
spec:
  sourceRepos:
    - {{fleet.repository.url}}
    {{#each addons}}
    - {{chart.repository}}
    {{/each}}
  destinations:
    - name: {{cluster.name}}
      namespace: \"*\"
";

const ROOT: &str = "\
{{#if (eq cluster.name hub.name)}}
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: root
  namespace: argocd
  annotations:
    clusters: \"{{cluster.name}}{{#each spokes}},{{name}}{{/each}}\"
spec:
  project: default
  destination:
    name: in-cluster
    namespace: argocd
  source:
    repoURL: {{fleet.repository.url}}
    targetRevision: {{fleet.repository.branch}}
    path: argocd-apps
{{/if}}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_has_a_file_for_each_cluster_and_a_hub_for_its_spokes() {
        let files = files(120, 5);
        let clusters = files.keys().filter(|path| path.contains("/app-") || path.contains("/hub-"));
        assert_eq!(clusters.count(), 120);
        assert_eq!(cluster_file(0), "environments/eu-0/hub-000.yaml");
        assert_eq!(cluster_file(52), "environments/us-0/app-0052.yaml");
        assert!(files["environments/us-0/app-0052.yaml"].contains("hub: hub-001\n"));
    }
}
