//! `verify`: the shipped fleet on two API servers at the wire, behind which Prometheus, Loki and Tempo answer as they
//! document it.

use std::fs;

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::cluster::{Server, Trouble};

use crate::repo::{Repo, Told};

/// In the middle of an hour, which a test does not leave while it runs.
const MORE_THAN_90_DAYS: SignedDuration = SignedDuration::from_mins((90 * 24 + 11) * 60 + 30);
const PROMETHEUS: &str = "monitoring/kube-prometheus-stack-prometheus:9090";
pub const LOKI: &str = "logging/loki:3100";
const NODES: &str = "api/v1/nodes";
const SERVICES: &str = "api/v1/services";
const STORES: &str = "apis/external-secrets.io/v1/clustersecretstores";
const SECRETS: &str = "apis/external-secrets.io/v1/externalsecrets";
const CERTIFICATES: &str = "apis/cert-manager.io/v1/certificates";
const BACKUPS: &str = "apis/velero.io/v1/backups";
const STATEFUL_SETS: &str = "apis/apps/v1/statefulsets";
const CRON_JOBS: &str = "apis/batch/v1/cronjobs";
const SCHEDULES: &str = "apis/velero.io/v1/schedules";

/// The shipped fleet as it should be.
struct Fleet {
    repo: Repo,
    control: Server,
    app: Server,
    folder: TempDir,
}

fn ready() -> Value {
    conditions("True", "")
}

fn conditions(status: &str, message: &str) -> Value {
    let condition = json!({ "type": "Ready", "status": status, "message": message });
    json!({ "conditions": [condition], "notAfter": from_now(MORE_THAN_90_DAYS) })
}

fn from_now(time: SignedDuration) -> String {
    (Timestamp::now() + time).to_string()
}

fn object(kind: &str, namespace: &str, name: &str, status: &Value) -> Value {
    json!({ "kind": kind, "metadata": { "namespace": namespace, "name": name }, "status": status })
}

pub fn vector(value: &str) -> Value {
    let result = json!([{ "metric": {}, "value": [1, value] }]);
    json!({ "status": "success", "data": { "resultType": "vector", "result": result } })
}

/// Puts what a cluster has when it is well: nodes, and objects that are ready.
pub fn well(server: &Server, nodes: usize) {
    for number in 0..nodes {
        server.put(NODES, object("Node", "", &format!("node-{number}"), &ready()));
    }
    server.put(STORES, object("ClusterSecretStore", "", "vault", &ready()));
    server.put(SECRETS, object("ExternalSecret", "monitoring", "grafana", &ready()));
    server.put(CERTIFICATES, object("Certificate", "istio-system", "cacerts", &ready()));
    server.serve(BACKUPS, "Backup");
    let begun = json!({ "lastBackup": from_now(SignedDuration::from_hours(-3)) });
    server.put(SCHEDULES, object("Schedule", "velero", "daily", &begun));
}

/// Lets the hub be well, with the Services that are described, and with what spokes have sent.
pub fn well_hub(control: &Server) {
    well(control, 3);
    for number in 100..=110 {
        control.put(SERVICES, load_balancer(&format!("192.168.64.{number}")));
    }
    let mut vault = object("StatefulSet", "vault", "vault", &json!({ "updatedReplicas": 3 }));
    vault["metadata"]["labels"] = json!({ "app.kubernetes.io/name": "vault" });
    control.put(STATEFUL_SETS, vault);
    let saved = json!({ "lastSuccessfulTime": from_now(SignedDuration::from_hours(-3)) });
    let mut snapshots = object("CronJob", "vault", "vault-snapshot", &saved);
    snapshots["metadata"]["labels"] = json!({ "app.kubernetes.io/component": "snapshot" });
    control.put(CRON_JOBS, snapshots);
    control.put(CRON_JOBS, object("CronJob", "etcd-backup", "etcd-backup", &saved));
    control.service(PROMETHEUS, |request| {
        assert_eq!(request.path, "/api/v1/query");
        let query = &request.query["query"];
        (200, vector(if query.contains("istiod") || query.contains("otelcol") { "1" } else { "15" }))
    });
    control.service(LOKI, |request| {
        assert_eq!(request.path, "/loki/api/v1/query");
        assert_eq!(request.headers["x-scope-orgid"], "platform");
        let of = |cluster| format!("sum(count_over_time({{cluster=\"{cluster}\"}}[15m]))");
        assert!(["app", "control"].map(of).contains(&request.query["query"]), "{request:?}");
        (200, vector("4711"))
    });
    control.service("tracing/tempo:3200", |request| {
        assert_eq!(request.path, "/api/search");
        assert_eq!(request.query["q"], "{resource.k8s.cluster.name=\"app\"}");
        let at = |key: &str| request.query[key].parse::<u64>().unwrap();
        assert_eq!(at("end") - at("start"), 3_600);
        (200, json!({ "traces": [{ "traceID": "a" }], "metrics": {} }))
    });
}

impl Fleet {
    fn well() -> Self {
        let (control, app) = (Server::start().unwrap(), Server::start().unwrap());
        well_hub(&control);
        well(&app, 9);
        app.put(SERVICES, load_balancer("192.168.64.120"));
        let fleet = Self { repo: Repo::shipped(), control, app, folder: tempfile::tempdir().unwrap() };
        fleet.reach(&[("control", &fleet.control), ("app", &fleet.app)]);
        fleet
    }

    /// Writes the kubeconfig.
    fn reach(&self, contexts: &[(&str, &Server)]) {
        fs::write(self.folder.path().join("config"), Server::kubeconfig_of(contexts)).unwrap();
    }

    fn verify(&self, arguments: &[&str]) -> Told {
        let arguments = [&["verify"], arguments].concat();
        let config = self.folder.path().join("config");
        let output = self.repo.command(&arguments).env("KUBECONFIG", config).output().unwrap();
        let mut told = self.repo.told(output);
        told.out = told.out.replace(&self.control.url(), "http://hub");
        told
    }

    /// Returns the lines of what did not pass.
    fn open(&self, arguments: &[&str]) -> String {
        let told = self.verify(&[arguments, &["--format", "json"]].concat());
        let report = told.json();
        let open = report["checks"].as_array().unwrap().iter().filter(|it| it["verdict"] != "passed");
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("-").to_owned();
        let line = |it: &Value| {
            ["cluster", "addon", "check", "verdict", "found"].map(|key| text(it, key)).join(" | ")
        };
        let lines: Vec<_> = open.map(line).collect();
        format!("{}\nexit code {}", lines.join("\n"), told.code)
    }
}

fn load_balancer(address: &str) -> Value {
    json!({
        "kind": "Service",
        "metadata": { "namespace": "a", "name": format!("s-{address}") },
        "spec": { "type": "LoadBalancer", "loadBalancerIP": address },
        "status": { "loadBalancer": { "ingress": [{ "ip": address }] } },
    })
}

#[test]
fn a_fleet_that_is_well_is_a_table_of_checks_that_passed() {
    let fleet = Fleet::well();
    let told = fleet.verify(&[]);
    assert_eq!(told.code, 0, "{told}");
    assert_snapshot!(told.out, @"
    25 checks: 25 passed

    CLUSTER  CHECK                           VERDICT  LOOKED AT                                                                             FOUND
    app      nodes                           passed   the nodes that are described are there and ready                                      9 of 9 nodes ready
    app      addresses                       passed   each address that is described or asked for is assigned to its Service                1 of 1 address assigned
    app      cert-manager/issued             passed   each Certificate is issued                                                            1 Certificate
    app      cert-manager/remaining          passed   how long each Certificate is still valid                                              1 Certificate, istio-system/cacerts: 90d 11h left
    app      external-secrets/stores         passed   each ClusterSecretStore reaches its secret store                                      1 ClusterSecretStore
    app      external-secrets/secrets        passed   each ExternalSecret is synced                                                         1 ExternalSecret
    app      fluent-bit/lines                passed   how many lines with the cluster's label its hub got in a quarter of an hour           4711
    app      istiod/peers                    passed   the control plane of the hub has read the cluster's Services                          1
    app      opentelemetry-collector/traces  passed   traces of the cluster on its hub within the hour, where the collectors took spans in  1
    app      prometheus-agent/samples        passed   how old the newest sample with the cluster's label is on its hub                      15s
    app      velero/scheduled                passed   how long ago a backup was begun by a schedule, or the newest schedule was made        velero/daily: 3h ago
    app      velero/backups                  passed   how old the newest complete backup is                                                 there is no Backup
    control  nodes                           passed   the nodes that are described are there and ready                                      3 of 3 nodes ready
    control  addresses                       passed   each address that is described or asked for is assigned to its Service                7 of 7 addresses assigned
    control  cert-manager/issued             passed   each Certificate is issued                                                            1 Certificate
    control  cert-manager/remaining          passed   how long each Certificate is still valid                                              1 Certificate, istio-system/cacerts: 90d 11h left
    control  etcd-backup/snapshot            passed   how long ago a snapshot of etcd was saved outside of the cluster                      1 CronJob
    control  external-secrets/stores         passed   each ClusterSecretStore reaches its secret store                                      1 ClusterSecretStore
    control  external-secrets/secrets        passed   each ExternalSecret is synced                                                         1 ExternalSecret
    control  fluent-bit/lines                passed   how many lines with the cluster's label its hub got in a quarter of an hour           4711
    control  kube-prometheus-stack/samples   passed   how old the newest sample of the hub itself is                                        15s
    control  vault/updated                   passed   every replica of Vault runs what is deployed                                          1 StatefulSet
    control  vault/snapshot                  passed   how long ago a snapshot was saved outside of the cluster                              1 CronJob
    control  velero/scheduled                passed   how long ago a backup was begun by a schedule, or the newest schedule was made        velero/daily: 3h ago
    control  velero/backups                  passed   how old the newest complete backup is                                                 there is no Backup
    ");
}

#[test]
fn what_does_not_hold_is_named_with_what_was_found() {
    let fleet = Fleet::well();
    fleet.app.put(NODES, object("Node", "", "node-8", &conditions("False", "disk is full")));
    fleet.app.remove(SERVICES, "a", "s-192.168.64.120");
    let message = "could not get provider client: permission denied";
    fleet.app.put(SECRETS, object("ExternalSecret", "velero", "s3", &conditions("False", message)));
    let backup = json!({ "phase": "PartiallyFailed", "completionTimestamp": from_now(SignedDuration::from_hours(-1)) });
    fleet.app.put(BACKUPS, object("Backup", "velero", "daily-1", &backup));
    fleet.app.put(
        SCHEDULES,
        object(
            "Schedule",
            "velero",
            "daily",
            &json!({ "lastBackup": from_now(SignedDuration::from_hours(-100)) }),
        ),
    );
    fleet.control.service(PROMETHEUS, |request| {
        let query = &request.query["query"];
        let is_spokes = query.contains("up{cluster=\"app\"}");
        let none = json!({ "data": { "resultType": "vector", "result": [] } });
        (200, if is_spokes { none } else { vector(if query.contains("istiod") { "0" } else { "601" }) })
    });
    fleet.control.service(LOKI, |_| (200, vector("0")));
    fleet.control.service("tracing/tempo:3200", |_| (200, json!({ "traces": [] })));
    assert_snapshot!(fleet.open(&[]), @"
    app | - | nodes | failed | 8 of 9 nodes ready, node-8: Ready is False: disk is full
    app | - | addresses | failed | 0 of 1 address assigned, no Service asks for 192.168.64.120
    app | external-secrets | secrets | failed | 1 of 2 ExternalSecrets: velero/s3: Ready is False: could not get provider client: permission denied
    app | fluent-bit | lines | failed | 0, and not at least 1
    app | istiod | peers | failed | 0, and not at least 1
    app | opentelemetry-collector | traces | failed | nothing is found
    app | prometheus-agent | samples | failed | nothing is found
    app | velero | scheduled | failed | velero/daily: 4d 4h ago
    app | velero | backups | failed | none of 1 Backup has status.phase Completed
    control | fluent-bit | lines | failed | 0, and not at least 1
    control | kube-prometheus-stack | samples | failed | 10m 1s, and not at most 5m
    exit code 7
    ");
}

#[test]
fn backups_that_are_described_have_a_schedule() {
    let fleet = Fleet::well();
    fleet.app.remove(SCHEDULES, "velero", "daily");
    assert_snapshot!(fleet.open(&["--cluster", "app"]), @"
    app | velero | scheduled | failed | there is no Schedule
    exit code 7
    ");
    let without = "\naddons:\n  velero: {settings: {schedules: {daily: null, weekly: null}}}\n";
    let facts = fleet.repo.read("environments/app.yaml");
    fleet.repo.write("environments/app.yaml", facts + without);
    fleet.repo.commit("Make no backups");
    assert_eq!(fleet.open(&["--cluster", "app"]), "\nexit code 0");
}

#[test]
fn what_cannot_be_answered_is_never_a_pass() {
    let fleet = Fleet::well();
    fleet.control.service(LOKI, |_| (400, json!("parse error at line 1")));
    fleet.control.service(PROMETHEUS, |_| (200, json!("<html>")));
    fleet.app.trouble(Trouble { forbidden: vec!["list"], ..Trouble::default() });
    assert_snapshot!(fleet.open(&["--cluster", "app"]), @r#"
    app | - | nodes | unanswered | failed to list Nodes (context `app`): nodes is forbidden: User "ann" cannot list resource "nodes"
    app | - | addresses | unanswered | failed to list Services (context `app`): services is forbidden: User "ann" cannot list resource "services"
    app | cert-manager | issued | unanswered | failed to list Certificates (context `app`): certificates is forbidden: User "ann" cannot list resource "certificates"
    app | cert-manager | remaining | unanswered | failed to list Certificates (context `app`): certificates is forbidden: User "ann" cannot list resource "certificates"
    app | external-secrets | stores | unanswered | failed to list ClusterSecretStores (context `app`): clustersecretstores is forbidden: User "ann" cannot list resource "clustersecretstores"
    app | external-secrets | secrets | unanswered | failed to list ExternalSecrets (context `app`): externalsecrets is forbidden: User "ann" cannot list resource "externalsecrets"
    app | fluent-bit | lines | unanswered | failed to ask Service `logging/loki:3100` (http://hub/): parse error at line 1
    app | istiod | peers | unanswered | failed to ask Service `monitoring/kube-prometheus-stack-prometheus:9090` (http://hub/): the answer cannot be read: expected value at line 1 column 1
    app | opentelemetry-collector | traces | unanswered | failed to ask Service `monitoring/kube-prometheus-stack-prometheus:9090` (http://hub/): the answer cannot be read: expected value at line 1 column 1
    app | prometheus-agent | samples | unanswered | failed to ask Service `monitoring/kube-prometheus-stack-prometheus:9090` (http://hub/): the answer cannot be read: expected value at line 1 column 1
    app | velero | scheduled | unanswered | failed to list Schedules (context `app`): schedules is forbidden: User "ann" cannot list resource "schedules"
    app | velero | backups | unanswered | failed to list Backups (context `app`): backups is forbidden: User "ann" cannot list resource "backups"
    exit code 7
    "#);
    fleet.control.trouble(Trouble { forbidden: vec!["proxy"], ..Trouble::default() });
    fleet.app.trouble(Trouble { status: Some(503), ..Trouble::default() });
    let before = fleet.app.requests().len();
    let open = fleet.open(&["--group", "app"]);
    let is_shown = |line: &&str| line.contains("nodes") || line.contains("samples");
    assert_snapshot!(open.lines().filter(is_shown).collect::<Vec<_>>().join("\n"), @r#"
    app | - | nodes | unanswered | failed to ask for the version (context `app`): the server is in trouble
    app | prometheus-agent | samples | unanswered | failed to ask Service `monitoring/kube-prometheus-stack-prometheus:9090` (http://hub/): services is forbidden: User "ann" cannot get resource "services/proxy"
    "#);
    assert_eq!(
        fleet.app.requests()[before..],
        ["GET /version"],
        "what does not answer is asked nothing else"
    );
}

#[test]
fn a_cluster_that_no_context_leads_to_is_not_asked() {
    let fleet = Fleet::well();
    fleet.reach(&[("hub", &fleet.control)]);
    let told = fleet.verify(&["--group", "app"]);
    assert_eq!(told.code, 0, "{told}");
    assert_snapshot!(told.out, @"
    12 checks: 4 passed, 8 not asked

    CLUSTER  CHECK                           VERDICT    LOOKED AT                                                                             FOUND
    app      nodes                           not asked  the nodes that are described are there and ready                                      no context of the kubeconfig is called `app`
    app      addresses                       not asked  each address that is described or asked for is assigned to its Service                no context of the kubeconfig is called `app`
    app      cert-manager/issued             not asked  each Certificate is issued                                                            no context of the kubeconfig is called `app`
    app      cert-manager/remaining          not asked  how long each Certificate is still valid                                              no context of the kubeconfig is called `app`
    app      external-secrets/stores         not asked  each ClusterSecretStore reaches its secret store                                      no context of the kubeconfig is called `app`
    app      external-secrets/secrets        not asked  each ExternalSecret is synced                                                         no context of the kubeconfig is called `app`
    app      fluent-bit/lines                passed     how many lines with the cluster's label its hub got in a quarter of an hour           4711
    app      istiod/peers                    passed     the control plane of the hub has read the cluster's Services                          1
    app      opentelemetry-collector/traces  passed     traces of the cluster on its hub within the hour, where the collectors took spans in  1
    app      prometheus-agent/samples        passed     how old the newest sample with the cluster's label is on its hub                      15s
    app      velero/scheduled                not asked  how long ago a backup was begun by a schedule, or the newest schedule was made        no context of the kubeconfig is called `app`
    app      velero/backups                  not asked  how old the newest complete backup is                                                 no context of the kubeconfig is called `app`
    ");
    let config = Server::kubeconfig_of(&[("control", &fleet.control), ("app", &fleet.app)]);
    let anonymous = config.replace("context: {cluster: app, user: ann}", "context: {cluster: app}");
    fs::write(fleet.folder.path().join("config"), anonymous).unwrap();
    let open = fleet.open(&["--cluster", "app"]);
    assert!(open.starts_with("app | - | nodes | notAsked | the context of `app` has no user"), "{open}");
    assert!(open.ends_with("exit code 0"), "{open}");
    let none = json!({ "data": { "resultType": "vector", "result": [] } });
    fleet.control.service(PROMETHEUS, move |request| {
        (200, if request.query["query"].contains("otelcol") { none.clone() } else { vector("1") })
    });
    let report = fleet.verify(&["--cluster", "app", "--markdown"]);
    let traces = report.out.lines().find(|line| line.contains("traces")).unwrap();
    assert!(traces.contains("not asked"), "{traces}");
}

#[test]
fn what_takes_a_while_is_asked_for_again() {
    let fleet = Fleet::well();
    let mut times = 0;
    fleet.control.service(LOKI, move |_| {
        times += 1;
        (200, vector(if times > 1 { "1" } else { "0" }))
    });
    assert_eq!(fleet.verify(&["--timeout", "1m"]).code, 0);
}

#[test]
fn names_that_are_not_there_are_usage() {
    let fleet = Fleet::well();
    for (option, name) in [("--cluster", "ap"), ("--group", "apps")] {
        let told = fleet.verify(&[option, name]);
        assert_eq!(told.code, 2, "{told}");
    }
    assert_snapshot!(fleet.verify(&["--cluster", "ap"]).err, @"
    error: there is no cluster `ap`
      hint: did you mean `app`?
    ");
}
