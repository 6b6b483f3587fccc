//! One mistake in the shipped platform is one problem: what would only follow from it is left out.

use crate::world::World;

const FLEET: &str = "environments/_fleet.yaml";
const DEFAULTS: &str = "environments/_defaults.yaml";
const CONTROL: &str = "environments/control.yaml";
const APP: &str = "environments/app.yaml";
const PROFILES: &str = "environments/_profiles";
const SOUND: &str = "no problems";

/// A mistake: the file to edit, what stands there once, and what is written instead.
type Mistake = (&'static str, &'static str, &'static str);

const IN_FACTS: &[Mistake] = &[
    // Keys.
    (APP, "networks:", "network:"),
    (APP, "role: app", "rloe: app"),
    (APP, "hub: control", "hbu: control"),
    (APP, "  pods:", "  pod:"),
    (APP, "loadBalancer:\n  pool:", "loadBalancer:\n  pools:"),
    (APP, "  eastWest:", "  eastwest:"),
    (APP, "    count: 6", "    counts: 6"),
    (CONTROL, "apiServer:", "apiserver:"),
    (CONTROL, "networks:", "network:"),
    (CONTROL, "loadBalancer:\n", "loadBalancers:\n"),
    (CONTROL, "      retention: 31d", "      retentions: 31d"),
    (CONTROL, "  kube-prometheus-stack:\n    settings:", "  kube-prometheus-stck:\n    settings:"),
    (DEFAULTS, "  controlPlane:", "  controlplane:"),
    (FLEET, "storageClass:", "storageclass:"),
    (FLEET, "trustDomain:", "trustdomain:"),
    // Values.
    (APP, "role: app", "role: ap"),
    (APP, "hub: control", "hub: contrl"),
    (APP, "hub: control", "hub: Control_1"),
    (APP, "hub: control", "hub: app"),
    (APP, "    count: 6", "    count: six"),
    (APP, "    count: 6", "    count: -1"),
    (APP, "address: 192.168.64.30", "address: 192.168.64.1O9"),
    (APP, "address: 192.168.64.30", "address: 192.168.64.030"),
    (APP, "address: 192.168.64.30", "address: app.internal"),
    (APP, "eastWest: 192.168.64.120", "eastWest: 192.168.64.99"),
    (APP, "pods: 10.245.0.0/16", "pods: 10.245.0.1/16"),
    (APP, "pods: 10.245.0.0/16", "pods: 10.244.0.0/16"),
    (APP, "services: 10.97.0.0/16", "services: null"),
    (APP, "pool: 192.168.64.120-192.168.64.140", "pool: 192.168.64.140-192.168.64.120"),
    (CONTROL, "role: control", "role: controll"),
    (CONTROL, "services: 10.96.0.0/16", "services: 10.96.0.0/33"),
    (CONTROL, "address: 192.168.64.10\n", "address: 192.168.64.10/24\n"),
    (CONTROL, "telemetry: 192.168.64.104", "telemetry: 192.168.64.103"),
    (CONTROL, "telemetry: 192.168.64.104", "telemetry: 192.168.64.130"),
    (CONTROL, "telemetry: 192.168.64.104", "telemetry: 192.168.64.l04"),
    (CONTROL, "      retention: 31d", "      retention: 31 days"),
    (CONTROL, "      retention: 31d", "      retention: 31"),
    (CONTROL, "pool: 192.168.64.100-192.168.64.110", "pool: []"),
    (DEFAULTS, "    count: 3", "    count: three"),
    (DEFAULTS, "  region: local", "  region: 1.10"),
    (FLEET, "url: https://git.example.com/platform/fleet.git", "url: null"),
    (FLEET, "  prometheus: 9090", "  prometheus: 90900"),
    (FLEET, "  prometheus: 9090", "  prometheus: \"9090\""),
    (FLEET, "address: 192.168.64.21", "address: db.internal"),
    (FLEET, "address: 192.168.64.21", "address: 192.168.64.20"),
    (FLEET, "address: 192.168.64.21", "address: 192.168.64.105"),
    (FLEET, "  - 192.168.64.0/24", "  - 192.168.64.1/24"),
    (FLEET, "topology: primary-remote", "topology: primary"),
    (FLEET, "url: http://192.168.64.22:9000", "url: 192.168.64.22:9000"),
    // What is missing, or wrong for all that rests on it.
    (FLEET, "trust:\n  issuer: platform\n", ""),
    (FLEET, "  topology: primary-remote\n", ""),
    (FLEET, "  tempo: 4317\n", ""),
    (FLEET, "    metricsPort: 9121\n", ""),
    (FLEET, "secrets:\n  store: vault\n  engine: platform\n", ""),
    (APP, "apiServer:\n  address: 192.168.64.30\n", ""),
    (APP, "loadBalancer:\n  pool: 192.168.64.120-192.168.64.140\n", ""),
    (CONTROL, "loadBalancer:\n  pool: 192.168.64.100-192.168.64.110\n", ""),
    (CONTROL, "pool: 192.168.64.100-192.168.64.110", "pool: 192.168.65.100-192.168.65.110"),
    (CONTROL, "  vault: 192.168.64.106\n", ""),
    // Syntax.
    (APP, "role: app", "role: [app"),
    (APP, "role: app", "role: app\nrole: app"),
    (APP, "role: app", "\trole: app"),
    (CONTROL, "role: control", "role: \"control"),
    (DEFAULTS, "labels:", "labels"),
    (FLEET, "mesh:\n", "mesh: {\n"),
    (FLEET, "  tempo: 4317", "  tempo: 04317"),
];

const GATEWAY: &str = "templates/addons/telemetry-gateway/manifests/gateway.yaml.hbs";

const IN_TEMPLATES: &[Mistake] = &[
    // What a template reads.
    (
        "templates/addons/opentelemetry-collector/values.yaml.hbs",
        "hub.addresses.telemetry",
        "hub.addresses.telemtry",
    ),
    (
        "templates/addons/prometheus-agent/values.yaml.hbs",
        "hub.addresses.telemetry",
        "hub.adresses.telemetry",
    ),
    (GATEWAY, "cluster.addresses.telemetry", "cluster.addresses.telemetri"),
    ("templates/addons/fluent-bit/values.yaml.hbs", "hub.addresses.telemetry", "hub.telemetry"),
    ("templates/addons/velero/values.yaml.hbs", "fleet.backups.bucket", "fleet.backup.bucket"),
    ("templates/cluster/registration.yaml.hbs", "cluster.apiServer.port", "cluster.apiServer.prt"),
    ("templates/addons/keda/addon.yaml", "namespace: keda", "namespace: Keda"),
    // Blocks, partials and functions.
    (
        "templates/addons/fluent-bit/values.yaml.hbs",
        "{{hub.addresses.telemetry}}",
        "{{hub.addresses.telemetry}",
    ),
    ("templates/addons/tempo/values.yaml.hbs", "{{#each addons}}", "{{#each addon}}"),
    ("templates/addons/istiod/manifests/machines.yaml.hbs", "{{family address}}", "{{famly address}}"),
    (
        "templates/addons/vault/manifests/certificate.yaml.hbs",
        "{{cluster.addresses.vault}}",
        "{{> addres cluster}}",
    ),
    (
        "templates/addons/external-secrets/manifests/vault-store.yaml.hbs",
        "{{hub.addresses.vault}}",
        "{{hub.addresses}}",
    ),
    // Objects, keys and flows.
    ("templates/addons/metallb/manifests/advertisement.yaml.hbs", "ipAddressPools:", "ipAdressPools:"),
    (
        "templates/addons/metallb/manifests/address-pool.yaml.hbs",
        "kind: IPAddressPool\nmetadata:\n  name: named",
        "kind: IPAddressPools!\nmetadata:\n  name: named",
    ),
    ("templates/addons/istio-gateway/values.yaml.hbs", "  loadBalancerIP:", "  loadBalancerIp:"),
    ("templates/addons/prometheus-agent/values.yaml.hbs", "/api/v1/write", "/api/v1/push"),
    ("templates/addons/opentelemetry-collector/values.yaml.hbs", ":443\"", ":444\""),
    // Descriptions.
    ("templates/addons/keda/addon.yaml", "chart:\n", "chrat:\n"),
    ("templates/addons/velero/addon.yaml", "chart:\n", "chart: [\n"),
    ("templates/addons/metallb/addon.yaml", "namespace: metallb-system", "namespace: metallb_system"),
];

fn count(problems: &str) -> usize {
    problems.lines().filter(|line| !line.starts_with("  hint: ")).count()
}

fn each_is_one_problem(mistakes: &[Mistake]) {
    let failures: Vec<String> = mistakes
        .iter()
        .filter_map(|(file, old, new)| {
            let told = World::shipped().edit(file, old, new).problems();
            let is_one = told != SOUND && count(&told) == 1 && !told.trim_end().ends_with(" of");
            (!is_one).then(|| format!("{file}: {old:?} → {new:?}\n{told}\n"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_mistake_in_the_facts_is_one_problem() {
    each_is_one_problem(IN_FACTS);
}

#[test]
fn a_mistake_in_the_templates_is_one_problem() {
    each_is_one_problem(IN_TEMPLATES);
}

#[test]
fn files_that_are_missing_or_wrong_as_a_whole_are_one_problem() {
    let missing_partial = World::shipped().without("templates/_partials/volume-claim.hbs");
    let whole = [
        ("a partial that is gone", missing_partial),
        ("facts that are gone", World::shipped().without(FLEET)),
        ("a hub that is gone", World::shipped().without_folder(PROFILES).without(CONTROL)),
        ("a wrong ending", World::shipped().moved(APP, "environments/app.yml")),
        ("a wrong name", World::shipped().moved(APP, "environments/App_1.yaml")),
        ("a description that is gone", World::shipped().without("templates/addons/keda/addon.yaml")),
        ("an add-on that is gone", World::shipped().without_folder("templates/addons/vault")),
        ("another add-on that is gone", World::shipped().without_folder("templates/addons/tempo")),
        ("bytes that are no text", World::shipped().with(APP, [0xff, 0xfe])),
        ("a file that is no map", World::shipped().with(APP, "- role: app\n")),
        ("defaults that are no map", World::shipped().with(DEFAULTS, "region\n")),
        ("a lock that is no lock", World::shipped().with("templates/charts.lock", "{")),
        ("a schema that is none", World::shipped().with("templates/schemas/example.com_v1_Pool.json", "{")),
    ];
    for (what, world) in whole {
        let told = world.problems();
        assert!(told != SOUND && count(&told) == 1, "{what}:\n{told}");
    }
}

#[test]
fn a_fleet_of_a_hub_alone_is_sound() {
    let hub = World::shipped().without_folder(PROFILES).without(APP);
    assert_eq!(hub.problems(), SOUND);
    let multi_primary = hub.edit(FLEET, "topology: primary-remote", "topology: multi-primary");
    assert_eq!(multi_primary.problems(), SOUND);
}

#[test]
fn two_mistakes_are_two_problems() {
    let world = World::shipped().edit(APP, "address: 192.168.64.30", "address: app.internal").edit(
        GATEWAY,
        "cluster.addresses.telemetry",
        "cluster.addresses.telemetri",
    );
    assert_eq!(count(&world.problems()), 2, "{}", world.problems());
}
