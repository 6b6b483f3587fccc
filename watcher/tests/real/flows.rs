//! What one cluster sends and another receives: metrics and traces, with what is rendered for both ends.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::real::{
    ApiServer, Authority, Client, Collector, Envoy, Prometheus, PrometheusOperator, lead_to_machine,
    own_address, wait_until,
};

use crate::case::case;
use crate::repo::Repo;
use crate::world::text;

pub const PATIENCE: Duration = Duration::from_mins(1);
const PART: &str = "Data flow";
pub const NAMESPACE: &str = "monitoring";
/// The Service of Prometheus on the hub, as its chart names it.
const HUB_SERVICE: &str = "kube-prometheus-stack-prometheus";

/// The shipped platform with its addresses in a network that leads to this machine alone, rendered.
pub struct Platform {
    pub repo: Repo,
    pub network: String,
}

impl Platform {
    pub fn rendered() -> Self {
        // One that no other run of these tests has at the same time.
        let network = format!("127.{}.64", 64 + process::id() % 128);
        let repo = Repo::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        for file in ["_fleet", "control", "app"] {
            let file = format!("environments/{file}.yaml");
            repo.write(&file, repo.read(&file).replace("192.168.64", &network));
        }
        let told = repo.run(&["render"]);
        assert_eq!(told.code, 0, "{told}");
        repo.git(&["config", "user.name", "Ann"]);
        repo.git(&["config", "user.email", "ann@example.com"]);
        repo.commit("Describe the platform");
        Self { repo, network }
    }

    pub fn values(&self, addon: &str) -> Value {
        serde_yaml::from_str(&self.repo.read(&format!("argocd-apps/{addon}/values.yaml"))).unwrap()
    }

    /// Returns where the hub's Prometheus listens.
    pub fn hub(&self) -> SocketAddr {
        let service = &self.values("control/kube-prometheus-stack")["prometheus"]["service"];
        format!("{}:{}", text(service, "/loadBalancerIP"), service["port"]).parse().unwrap()
    }

    /// Returns an address of a spoke.
    pub fn spoke(&self, host: u8) -> String {
        format!("{}.{host}", self.network)
    }

    /// Returns the verdict of `fleetwright verify` on a check of the spoke. Nobody answers for its logs and traces, so all in
    /// all it fails.
    fn verdict(&self, hub: &ApiServer, name: &str) -> String {
        let arguments = ["verify", "--cluster", "app", "--context", "control", "--format", "json"];
        let mut command = self.repo.command(&arguments);
        let told = self.repo.told(command.env("KUBECONFIG", hub.kubeconfig()).output().unwrap());
        assert_eq!(told.code, 7, "{told}");
        let document = told.json();
        let is_it = |it: &&Value| match name.split_once('/') {
            Some((addon, check)) => it["addon"] == addon && it["check"] == check,
            None => it["addon"].is_null() && it["check"] == name,
        };
        let found = document["checks"].as_array().unwrap().iter().find(is_it).unwrap();
        text(found, "/verdict").to_owned()
    }

    /// Applies the files of an add-on that make objects of this kind.
    pub fn apply(&self, client: &Client, file: &str) {
        let objects = serde_yaml::from_multiple::<Value>(&self.repo.read(&format!("argocd-apps/{file}")));
        objects.unwrap().iter().for_each(|object| client.apply(object, NAMESPACE).unwrap());
    }
}

/// The gateway of the hub, with certificates as cert-manager issues them for it and for what sends to it.
pub struct Gateway<'p> {
    platform: &'p Platform,
    authority: Authority,
    envoy: Envoy,
    folder: TempDir,
}

const GATEWAY: &str = "control/telemetry-gateway/manifests";

impl<'p> Gateway<'p> {
    /// Runs it; what it takes goes to these addresses, by the signal.
    pub fn start(platform: &'p Platform, backends: &[(&str, SocketAddr)]) -> Self {
        let (authority, folder) = (Authority::new().unwrap(), TempDir::new().unwrap());
        let own = folder.path().join("gateway");
        authority.issue(&own, &platform.names_in(GATEWAY), &authority).unwrap();
        let service = platform.object(&format!("{GATEWAY}/gateway.yaml"), "Service");
        let port = &service["spec"]["ports"][0]["port"];
        let listen = format!("{}:{port}", text(&service, "/spec/loadBalancerIP")).parse().unwrap();
        let envoy = Envoy::start(&Self::configuration(platform), &own, listen, backends).unwrap();
        Self { platform, authority, envoy, folder }
    }

    fn configuration(platform: &Platform) -> Value {
        platform.object(&format!("{GATEWAY}/configuration.yaml"), "ConfigMap")
    }

    /// Returns the values of an add-on that sends, with its certificate where its pod would find it.
    pub fn sender(&self, addon: &str) -> Value {
        let names = self.platform.names_in(&format!("{addon}/manifests"));
        self.with_certificate(addon, |folder| self.authority.issue(folder, &names, &self.authority).unwrap())
    }

    /// Returns the same with what is put into the folder of the certificate.
    fn with_certificate(&self, addon: &str, issue: impl FnOnce(&Path)) -> Value {
        let folder = self.sender_folder();
        issue(&folder);
        let place = folder.display().to_string();
        let values = self.platform.repo.read(&format!("argocd-apps/{addon}/values.yaml"));
        let values = values.replace("/etc/prometheus/secrets/prometheus-agent-telemetry", &place);
        serde_yaml::from_str(&values.replace("/etc/otelcol-tls", &place)).unwrap()
    }

    fn sender_folder(&self) -> PathBuf {
        let count = self.folder.path().read_dir().unwrap().count();
        self.folder.path().join(format!("sender-{count}"))
    }

    /// Returns the names of the series that it exposes.
    pub fn exposed(&self) -> BTreeSet<String> {
        self.envoy.exposed().unwrap()
    }

    /// Waits until a connection was refused for this reason.
    fn refuses(&self, reason: &str) {
        wait_until(PATIENCE, reason, || Ok(self.envoy.log()?.contains(reason))).unwrap();
    }
}

impl Platform {
    /// Returns the object of a kind in a rendered file.
    fn object(&self, file: &str, kind: &str) -> Value {
        let objects = serde_yaml::from_multiple::<Value>(&self.repo.read(&format!("argocd-apps/{file}")));
        objects.unwrap().into_iter().find(|object| object["kind"] == kind).unwrap()
    }

    /// Returns the names that a folder of manifests asks a certificate for.
    fn names_in(&self, folder: &str) -> Vec<String> {
        let spec = &self.object(&format!("{folder}/certificate.yaml"), "Certificate")["spec"];
        let of = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
        let names = [of("uris"), of("dnsNames"), of("ipAddresses")].concat();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Returns where the hub takes traces, behind its gateway.
    pub fn traces(&self) -> String {
        format!("{}.105", self.network)
    }

    /// Runs the gateway with what takes traces behind it.
    pub fn gateway_for_traces(&self) -> Gateway<'_> {
        let traces = format!("{}:4317", self.traces()).parse().unwrap();
        Gateway::start(self, &[("traces", traces)])
    }
}

/// An API server with what the operator asks for: a namespace, and the class of the volumes.
pub fn cluster(name: &str) -> ApiServer {
    let server = ApiServer::start(name).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    server.client().apply(&namespace, "").unwrap();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local-path"},
        "provisioner": "rancher.io/local-path",
    });
    server.client().apply(&class, "").unwrap();
    server
}

/// Lets a Prometheus scrape a target every second.
pub fn scrape(client: &Client, target: SocketAddr) {
    let object = json!({
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": {"name": "itself"},
        "spec": {
            "jobName": "itself",
            "scrapeInterval": "1s",
            "scrapeTimeout": "1s",
            "staticConfigs": [{"targets": [target.to_string()]}],
        },
    });
    client.apply(&object, NAMESPACE).unwrap();
}

pub fn wait_for_series(prometheus: &Prometheus, query: &str) {
    wait_until(PATIENCE, query, || Ok(!prometheus.query(query)?.is_empty())).unwrap();
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn metrics_of_a_spoke_are_on_the_hub_with_its_name_also_after_the_hub_was_away() {
    let platform = Platform::rendered();
    let (control, app) = (cluster("control"), cluster("app"));
    let hub_values = platform.values("control/kube-prometheus-stack");
    let promised = platform.hub();
    let by_proxy = TcpListener::bind((own_address().unwrap(), 0)).unwrap().local_addr().unwrap();
    let agent = format!("{}:9090", platform.spoke(200)).parse().unwrap();

    let operator = PrometheusOperator::start(&control).unwrap();
    scrape(control.client(), promised);
    platform.apply(control.client(), "control/kube-prometheus-stack/manifests/fleet-rules.yaml");
    let hub = operator.run(&hub_values, NAMESPACE, &[promised, by_proxy]).unwrap();
    let operator = PrometheusOperator::start(&app).unwrap();
    scrape(app.client(), agent);
    let gateway = Gateway::start(&platform, &[("metrics", promised)]);
    let _agent = operator.run(&gateway.sender("app/prometheus-agent"), NAMESPACE, &[agent]).unwrap();

    case(PART, "metrics of an agent are on the hub, with the name of its cluster", || {
        wait_for_series(&hub, r#"up{cluster="app",job="itself"} == 1"#);
        wait_for_series(&hub, r#"up{cluster="control",job="itself"} == 1"#);
    });
    let rules = hub.ask("rules", &[]).unwrap();
    assert!(!rules.pointer("/data/groups").unwrap().as_array().unwrap().is_empty());

    case(PART, "`fleetwright verify` finds them through the API server of the hub", || {
        lead_to_machine(control.client(), NAMESPACE, HUB_SERVICE, (9090, by_proxy.port())).unwrap();
        assert_eq!(platform.verdict(&control, "prometheus-agent/samples"), "passed");
        assert_eq!(platform.verdict(&control, "nodes"), "notAsked");
    });

    case(PART, "metrics of a time in which the hub was away are there afterwards", || {
        let gone = now();
        hub.kill().unwrap();
        assert_eq!(platform.verdict(&control, "prometheus-agent/samples"), "unanswered");
        sleep(Duration::from_secs(5));
        hub.start_again().unwrap();
        let (back, range) = (now(), now() - gone);
        let samples = format!(r#"count_over_time(up{{cluster="app",job="itself"}}[{range}s] @ {back})"#);
        wait_for_series(&hub, &format!("{samples} >= {}", range - 1));
    });
}

/// The time in seconds, as Prometheus writes it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn traces_of_a_spoke_are_on_the_hub_with_its_name_also_after_both_were_away() {
    let platform = Platform::rendered();
    let hub = Collector::receiving(&platform.traces()).unwrap();
    let gateway = platform.gateway_for_traces();
    let workload = platform.spoke(201);
    let spoke = Collector::start(&gateway.sender("app/opentelemetry-collector"), &workload).unwrap();
    let arrives = |name: &str| {
        wait_until(PATIENCE, "the span arrived", || Ok(hub.log()?.contains(name))).unwrap();
    };

    case(PART, "a span is on the hub, with the name of its cluster", || {
        spoke.take(&span("first")).unwrap();
        arrives("first");
        assert!(hub.log().unwrap().contains("k8s.cluster.name: Str(app)"), "{}", hub.log().unwrap());
    });
    case(PART, "a span that waited while hub and spoke were away is there afterwards, once", || {
        hub.kill().unwrap();
        spoke.take(&span("second")).unwrap();
        // A batch waits for a fifth of a second before it is in the queue.
        sleep(Duration::from_secs(2));
        spoke.kill().unwrap();
        spoke.start_again().unwrap();
        hub.start_again().unwrap();
        arrives("second");
        assert_eq!(hub.log().unwrap().matches("second").count(), 1);
    });
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn the_gateway_takes_what_proves_itself_as_a_cluster_of_the_fleet_and_nothing_else() {
    const SENDER: &str = "app/opentelemetry-collector";
    let platform = Platform::rendered();
    let hub = Collector::receiving(&platform.traces()).unwrap();
    let gateway = platform.gateway_for_traces();
    let (own, other) = (&gateway.authority, &Authority::new().unwrap());
    let names = platform.names_in("app/opentelemetry-collector/manifests");
    let arrives = |name: &str| {
        wait_until(PATIENCE, "the span arrived", || Ok(hub.log()?.contains(name))).unwrap();
    };
    let sends = |values: &Value, name: &str| {
        let spoke = Collector::start(values, &platform.spoke(204)).unwrap();
        spoke.take(&span(name)).unwrap();
        spoke
    };

    case(PART, "a sender without a certificate is refused", || {
        let mut values = gateway.sender(SENDER);
        let tls = values["config"]["exporters"]["otlp"]["tls"].as_object_mut().unwrap();
        assert!(tls.remove("cert_file").is_some() && tls.remove("key_file").is_some());
        let _spoke = sends(&values, "nameless");
        gateway.refuses("peer_did_not_provide_required_client_certificate");
    });
    case(PART, "a sender with a certificate of another authority is refused", || {
        let values = gateway.with_certificate(SENDER, |folder| other.issue(folder, &names, own).unwrap());
        let _spoke = sends(&values, "foreign");
        gateway.refuses("certificate_verification_error");
    });
    case(PART, "a sender with a certificate in the name of no cluster of the fleet is refused", || {
        let stranger = ["fleet://gone/telemetry".to_owned()];
        let values = gateway.with_certificate(SENDER, |folder| own.issue(folder, &stranger, own).unwrap());
        let _spoke = sends(&values, "stranger");
        gateway.refuses("SAN_matcher");
        let asked_for =
            ["no_cert", "error", "san"].map(|why| format!("envoy_listener_ssl_fail_verify_{why}"));
        assert!(asked_for.iter().all(|series| gateway.exposed().contains(series)), "{asked_for:?}");
    });
    case(PART, "a cluster that comes is taken without a new start", || {
        let mut configuration = Gateway::configuration(&platform);
        let known = text(&configuration, "/data/clients.yaml").replace("fleet://app/", "fleet://gone/");
        configuration["data"]["clients.yaml"] = known.into();
        let stranger = ["fleet://gone/telemetry".to_owned()];
        let values = gateway.with_certificate(SENDER, |folder| own.issue(folder, &stranger, own).unwrap());
        gateway.envoy.change(&configuration).unwrap();
        let _spoke = sends(&values, "newcomer");
        arrives("newcomer");
        gateway.envoy.change(&Gateway::configuration(&platform)).unwrap();
    });
    case(PART, "a certificate that is renewed is used without a new start, at both ends", || {
        // Each end begins with what the other one refuses.
        let certificate = gateway.sender_folder();
        let mut values =
            gateway.with_certificate(SENDER, |folder| other.issue(folder, &names, other).unwrap());
        values["config"]["exporters"]["otlp"]["tls"]["reload_interval"] = json!("1s");
        let _spoke = sends(&values, "renewed");
        sleep(Duration::from_secs(2));
        assert!(!hub.log().unwrap().contains("renewed"));
        own.issue(&certificate, &names, other).unwrap();
        other.issue(&gateway.folder.path().join("gateway"), &platform.names_in(GATEWAY), own).unwrap();
        arrives("renewed");
    });
    for refused in ["nameless", "foreign", "stranger"] {
        assert!(!hub.log().unwrap().contains(refused), "{refused}");
    }
}

/// A span as a workload sends it.
pub fn span(name: &str) -> Value {
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": name,
        "kind": 2,
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225601000000000",
    });
    let service = json!({"key": "service.name", "value": {"stringValue": "web"}});
    let spans = json!({"resource": {"attributes": [service]}, "scopeSpans": [{"spans": [span]}]});
    json!({"resourceSpans": [spans]})
}
