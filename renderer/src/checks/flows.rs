//! Checks of what documents do outside themselves: what one cluster sends to, another must expose, and no two may claim
//! the same address or object.
//!
//! Judged on rendered values, so that an override is seen like anything else.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::inventory::{Cluster, key};
use crate::key_path::Step;
use crate::path::{ClusterName, RepoPath};
use crate::yaml::{Map, Value};

use super::{Document, DocumentKind, Finding, ObjectId, Seen, kept};

/// The chart whose values say where metrics are received and sent to.
const METRICS_CHART: &str = "kube-prometheus-stack";
/// The port of the chart's Prometheus Service where none is set (`prometheus.service.port`).
const PROMETHEUS_PORT: u16 = 9090;
/// Where Prometheus receives remote writes.
const REMOTE_WRITE_PATH: &str = "/api/v1/write";
/// The lists of remote writes in the chart's values.
const REMOTE_WRITES: [&str; 2] = ["remoteWrite", "additionalRemoteWrite"];
/// The annotations by which load balancers are asked for addresses.
const ADDRESS_ANNOTATIONS: [&str; 4] = [
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "kube-vip.io/loadbalancerIPs",
];
/// The annotations by which Services agree to share an address.
const SHARING_ANNOTATIONS: [&str; 3] =
    ["metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip", "lbipam.cilium.io/sharing-key"];

/// What one rendered document does outside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The object that it writes.
    pub object: Option<ObjectId>,
    /// The addresses that it exposes.
    pub exposed: Vec<ExposedAddress>,
    /// Where it receives metrics.
    pub listeners: Vec<MetricsListener>,
    /// What keeps its Prometheus from receiving metrics, if it has one and something does.
    pub deaf: Option<Finding>,
    /// Where it sends metrics.
    pub senders: Vec<MetricsSender>,
    /// The `cluster` label on its metrics, if it has Prometheus at all.
    pub cluster_label: Option<(Vec<Step>, Option<String>)>,
}

/// A place that receives metrics by remote write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsListener {
    endpoint: Endpoint,
}

/// A place that metrics are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSender {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// The address.
    pub url: String,
}

/// An address that a load balancer is asked to expose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedAddress {
    /// Where in the document it is written.
    pub path: Vec<Step>,
    /// The text that was written.
    pub text: String,
    /// Where in the document the Service is described that asks for it.
    service: Vec<Step>,
    /// The key under which it may be shared with other Services.
    sharing: Option<String>,
}

impl Footprint {
    /// Returns whether the document does nothing outside itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An address on the network with what is spoken there; equal ones are the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    scheme: String,
    host: IpAddr,
    port: u16,
    path: String,
}

impl Endpoint {
    /// Reads a URL; nothing if it has a host name, which is somebody else's to answer for.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port.map_or(Ok(default_port), str::parse).ok()?;
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { scheme, host: host.parse().ok()?, port, path: path.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        if host.is_ipv6() {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

/// Reads what a rendered document does outside itself.
#[must_use]
pub fn footprint(document: &Document<'_>) -> Footprint {
    let mut exposed = Vec::new();
    collect_exposed(document.value, &mut Vec::new(), &mut exposed);
    let object = match document.kind {
        DocumentKind::Object => ObjectId::of(document),
        DocumentKind::Values => None,
    };
    let is_metrics = document.kind == DocumentKind::Values
        && document.addon.is_some_and(|addon| addon.facts.chart.name == METRICS_CHART)
        && document.value.at(&["prometheus", "enabled"]) != Some(&Value::Bool(false));
    let footprint = Footprint { object, exposed, ..Footprint::default() };
    if is_metrics { with_metrics(document.value, footprint) } else { footprint }
}

fn with_metrics(values: &Value, footprint: Footprint) -> Footprint {
    let is_agent = values.at(&["prometheus", "agentMode"]) == Some(&Value::Bool(true));
    let deaf = if is_agent { None } else { deafness(values, &footprint.exposed) };
    let listeners =
        if is_agent || deaf.is_some() { Vec::new() } else { listeners(values, &footprint.exposed) };
    let label = ["prometheus", "prometheusSpec", "externalLabels", "cluster"];
    let cluster = values.at(&label).and_then(Value::as_str).map(str::to_owned);
    let cluster_label = Some((label.map(key).to_vec(), cluster));
    Footprint { listeners, deaf, senders: senders(values), cluster_label, ..footprint }
}

/// Finds what keeps a Prometheus from receiving what other clusters send.
fn deafness(values: &Value, exposed: &[ExposedAddress]) -> Option<Finding> {
    let receiver = ["prometheus", "prometheusSpec", "enableRemoteWriteReceiver"];
    let service_type = ["prometheus", "service", "type"];
    let (path, hint) = if values.at(&receiver) != Some(&Value::Bool(true)) {
        (receiver, "set `enableRemoteWriteReceiver: true`")
    } else if values.at(&service_type).and_then(Value::as_str) != Some("LoadBalancer") {
        (service_type, "set `type: LoadBalancer`, and `loadBalancerIP` to an address of the pool")
    } else if !own_addresses(exposed).any(|_| true) {
        (["prometheus", "service", "loadBalancerIP"], "set `loadBalancerIP` to an address of the pool")
    } else {
        return None;
    };
    Some(Finding::new(&path.map(key), "metrics of the spokes are not received here").hint(hint))
}

/// Returns the addresses that Prometheus' own Service asks for.
fn own_addresses(exposed: &[ExposedAddress]) -> impl Iterator<Item = &ExposedAddress> {
    exposed.iter().filter(|exposed| exposed.service == ["prometheus", "service"].map(key))
}

fn listeners(values: &Value, exposed: &[ExposedAddress]) -> Vec<MetricsListener> {
    let spec = |path: &[&str]| values.at(&["prometheus", "prometheusSpec"]).and_then(|spec| spec.at(path));
    let scheme = if spec(&["web", "tlsConfig"]).is_some() { "https" } else { "http" };
    let port = match values.at(&["prometheus", "service", "port"]) {
        Some(Value::Number(port)) => port.as_str().parse().unwrap_or(PROMETHEUS_PORT),
        _ => PROMETHEUS_PORT,
    };
    let prefix = spec(&["routePrefix"]).and_then(Value::as_str).unwrap_or("/").trim_end_matches('/');
    let path = format!("{prefix}{REMOTE_WRITE_PATH}");
    own_addresses(exposed)
        .filter_map(|exposed| exposed.text.parse().ok())
        .map(|host| MetricsListener {
            endpoint: Endpoint { scheme: scheme.to_owned(), host, port, path: path.clone() },
        })
        .collect()
}

fn senders(values: &Value) -> Vec<MetricsSender> {
    let mut senders = Vec::new();
    for list in REMOTE_WRITES {
        let at = ["prometheus", "prometheusSpec", list];
        let targets = values.at(&at).and_then(Value::as_list).unwrap_or_default();
        for (index, target) in targets.iter().enumerate() {
            if let Some(url) = target.get("url").and_then(Value::as_str) {
                let path = at.map(key).into_iter().chain([Step::Index(index), key("url")]).collect();
                senders.push(MetricsSender { path, url: url.to_owned() });
            }
        }
    }
    senders
}

fn collect_exposed<'v>(value: &'v Value, path: &mut Vec<Seen<'v>>, found: &mut Vec<ExposedAddress>) {
    match value {
        Value::Map(map) => {
            for (name, value) in map.iter() {
                path.push(Seen::Key(name));
                match value {
                    Value::String(text) if exposes(name) => found.extend(exposed(text, &kept(path), map)),
                    Value::Map(_) | Value::List(_) => collect_exposed(value, path, found),
                    _ => {}
                }
                path.pop();
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Seen::Index(index));
                collect_exposed(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn exposes(key: &str) -> bool {
    key == "loadBalancerIP" || ADDRESS_ANNOTATIONS.contains(&key)
}

/// Reads the addresses that a text asks for, several with commas between them; `siblings` holds the text.
fn exposed<'a>(
    text: &'a str,
    path: &'a [Step],
    siblings: &'a Map,
) -> impl Iterator<Item = ExposedAddress> + use<'a> {
    let annotations = siblings.get("annotations").and_then(Value::as_map).unwrap_or(siblings);
    let sharing = SHARING_ANNOTATIONS.iter().find_map(|name| annotations.get(name)?.as_str());
    let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
    addresses.map(move |address| ExposedAddress {
        path: path.to_vec(),
        text: address.to_owned(),
        service: service(path).to_vec(),
        sharing: sharing.map(str::to_owned),
    })
}

/// Returns where the Service is described that a field or an annotation belongs to.
///
/// One Service may name its address in both, in an object even in two branches.
fn service(path: &[Step]) -> &[Step] {
    let mut holder = &path[..path.len().saturating_sub(1)];
    for inner in ["annotations", "metadata", "spec"] {
        if let [outer @ .., Step::Key(name)] = holder
            && name == inner
        {
            holder = outer;
        }
    }
    holder
}

pub(super) fn exposed_addresses_are_in_the_pool(document: &Document<'_>) -> Vec<Finding> {
    let cluster = document.cluster;
    let pool = cluster.facts.load_balancer.as_ref().map(|load_balancer| load_balancer.pool);
    let judge = |exposed: &ExposedAddress| {
        let Ok(address) = exposed.text.parse::<IpAddr>() else {
            let message = format!("`{}` is not an address", exposed.text);
            return Some(Finding::new(&exposed.path, message).hint("write an IPv4 or IPv6 address"));
        };
        let (message, hint) = match pool {
            Some(pool) if pool.contains(address) => return None,
            Some(pool) => (
                format!("address `{address}` is outside the pool `{pool}` of `{}`", cluster.name),
                "the Service would stay pending; choose an address of the pool",
            ),
            None => (
                format!("address `{address}` is asked for, but `{}` has no pool", cluster.name),
                "add `loadBalancer: {pool: first-last}` to the cluster",
            ),
        };
        Some(Finding::new(&exposed.path, message).hint(hint))
    };
    document.footprint.exposed.iter().filter_map(judge).collect()
}

/// What every rendered document does outside itself, by cluster.
#[derive(Debug, Default)]
pub struct Flows<'a> {
    /// The clusters with what their documents do. One that could not be rendered is not here.
    pub clusters: BTreeMap<ClusterName, ClusterFlows<'a>>,
    /// The addresses of machines outside every cluster.
    pub machines: Vec<IpAddr>,
}

/// What one cluster's documents do outside themselves.
#[derive(Debug)]
pub struct ClusterFlows<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The documents that do something: file, number in it from 0, and what they do.
    pub documents: Vec<(&'a RepoPath, usize, &'a Footprint)>,
}

/// A finding in a rendered file of some cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFinding {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it, from 0.
    pub document: usize,
    /// What is wrong where.
    pub finding: Finding,
}

impl ClusterFlows<'_> {
    fn listeners(&self) -> impl Iterator<Item = &Endpoint> {
        self.documents
            .iter()
            .flat_map(|(_, _, footprint)| &footprint.listeners)
            .map(|listener| &listener.endpoint)
    }

    /// Returns what keeps the cluster from receiving metrics, if it has a Prometheus that could.
    fn deafness(&self) -> Option<FlowFinding> {
        if self.listeners().next().is_some() {
            return None;
        }
        self.documents.iter().find_map(|(file, document, footprint)| {
            Some(self.finding(file, *document, footprint.deaf.clone()?))
        })
    }

    fn finding(&self, file: &RepoPath, document: usize, finding: Finding) -> FlowFinding {
        FlowFinding { cluster: self.cluster.name.clone(), file: file.clone(), document, finding }
    }
}

/// What a cluster sends must reach its hub; a hub may send to any other.
pub(super) fn metrics_arrive(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for sender in flows.clusters.values() {
        // Of a hub that was not rendered, it is not known where it listens.
        let Some(hub) = flows.clusters.get(&sender.cluster.hub) else { continue };
        for (file, document, footprint) in &sender.documents {
            for target in &footprint.senders {
                let Some(finding) = judge_target(flows, sender, hub, target) else { continue };
                // Spokes are not to blame for a hub that does not listen.
                let finding = hub.deafness().unwrap_or_else(|| sender.finding(file, *document, finding));
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

fn judge_target(
    flows: &Flows<'_>,
    sender: &ClusterFlows<'_>,
    hub: &ClusterFlows<'_>,
    target: &MetricsSender,
) -> Option<Finding> {
    let endpoint = Endpoint::parse(&target.url)?;
    let is_heard_by = |cluster: &ClusterFlows<'_>| cluster.listeners().any(|listener| *listener == endpoint);
    if is_heard_by(hub) || flows.machines.contains(&endpoint.host) {
        return None;
    }
    let other = flows.clusters.values().find(|cluster| is_heard_by(cluster)).map(|other| &other.cluster.name);
    let message = match other {
        Some(_) if sender.cluster.is_hub() => return None,
        Some(other) => format!("metrics go to `{}`, which is `{other}` and not the hub", target.url),
        None => format!("metrics go to `{}`, where nobody listens", target.url),
    };
    let known: Vec<_> = hub.listeners().map(|listener| format!("`{listener}`")).collect();
    let hub = &hub.cluster.name;
    let hint = if known.is_empty() {
        format!("hub `{hub}` runs no Prometheus that could receive them")
    } else {
        format!(
            "hub `{hub}` listens on {}; a machine outside the clusters is named in `_fleet.yaml`",
            known.join(", ")
        )
    };
    Some(Finding::new(&target.path, message).hint(hint))
}

pub(super) fn metrics_name_their_cluster(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for sender in flows.clusters.values() {
        for (file, document, footprint) in &sender.documents {
            let Some((path, label)) = &footprint.cluster_label else { continue };
            let name = sender.cluster.name.as_str();
            if label.as_deref() == Some(name) {
                continue;
            }
            let message = match label {
                Some(label) => format!("metrics of `{name}` carry the label `cluster: {label}`"),
                None => format!("metrics of `{name}` carry no `cluster` label"),
            };
            let hint = "set `prometheus.prometheusSpec.externalLabels.cluster` to `{{cluster.name}}`: the hub tells clusters apart by it";
            findings.push(sender.finding(file, *document, Finding::new(path, message).hint(hint)));
        }
    }
    findings
}

/// Two Services can't have one address, unless both agree to share it.
pub(super) fn addresses_are_exposed_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.clusters.values() {
        let mut seen: HashMap<&str, (&RepoPath, usize, &ExposedAddress)> = HashMap::new();
        for (file, document, footprint) in &cluster.documents {
            for exposed in &footprint.exposed {
                let Some((first_file, first_document, first)) = seen.get(exposed.text.as_str()) else {
                    seen.insert(&exposed.text, (file, *document, exposed));
                    continue;
                };
                let is_same =
                    (first_file, *first_document, &first.service) == (file, *document, &exposed.service);
                let is_shared = exposed.sharing.is_some() && exposed.sharing == first.sharing;
                if is_same || is_shared || is_given_twice(cluster.cluster, &exposed.text) {
                    continue;
                }
                let message =
                    format!("address `{}` is exposed twice on `{}`", exposed.text, cluster.cluster.name);
                let hint = format!("`{first_file}` asks for it, too; give each Service its own address");
                let finding = Finding::new(&exposed.path, message).hint(hint);
                findings.push(cluster.finding(file, *document, finding));
            }
        }
    }
    findings
}

/// An address under two names is told where it is given.
fn is_given_twice(cluster: &Cluster, text: &str) -> bool {
    let same = |address: &&IpAddr| text.parse() == Ok(**address);
    cluster.facts.addresses.values().filter(same).count() > 1
}

/// Of two files that write one object, the last to be applied wins, and which that is changes from sync to sync.
///
/// The objects of add-ons land on their own cluster, those of the cluster's own files on its hub.
pub(super) fn objects_are_written_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut on_hubs: HashMap<(&ClusterName, &ObjectId), &RepoPath> = HashMap::new();
    for cluster in flows.clusters.values() {
        let mut own: HashMap<&ObjectId, &RepoPath> = HashMap::with_capacity(cluster.documents.len());
        for (file, document, footprint) in &cluster.documents {
            let Some(object) = &footprint.object else { continue };
            let earlier = if object.is_on_hub {
                on_hubs.insert((&cluster.cluster.hub, object), file)
            } else {
                own.insert(object, file)
            };
            if let Some(first) = earlier {
                findings.push(cluster.finding(file, *document, written_twice(object, first == *file, first)));
            }
        }
    }
    findings
}

fn written_twice(object: &ObjectId, is_same_file: bool, first: &RepoPath) -> Finding {
    let message = format!("{} `{}` is written twice", object.kind, object.name);
    let hint = if is_same_file {
        "give each object of this file its own name".to_owned()
    } else {
        format!("`{first}` writes it, too; give each its own name")
    };
    Finding::new(&["metadata", "name"].map(key), message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_an_address_is_an_endpoint_and_one_with_a_host_name_is_not() {
        for (url, endpoint) in [
            ("http://192.168.64.102:9090/api/v1/write", "http://192.168.64.102:9090/api/v1/write"),
            ("HTTPS://10.0.0.1", "https://10.0.0.1:443/"),
            ("http://reader@10.0.0.1/x?y=1", "http://10.0.0.1:80/x?y=1"),
            ("http://[FD00::1]:9090/x", "http://[fd00::1]:9090/x"),
        ] {
            assert_eq!(Endpoint::parse(url).map(|endpoint| endpoint.to_string()).as_deref(), Some(endpoint));
        }
        for url in
            ["https://metrics.example.com/api/v1/write", "https://prometheus:9090/", "http://10.0.0.1:x/", ""]
        {
            assert_eq!(Endpoint::parse(url), None);
        }
    }

    #[test]
    fn a_field_and_an_annotation_of_one_service_are_told_from_those_of_another() {
        let path = |keys: &[&str]| keys.iter().map(|name| key(name)).collect::<Vec<_>>();
        for (at, holder) in [
            (&["a", "service", "loadBalancerIP"][..], &["a", "service"][..]),
            (&["a", "service", "annotations", "metallb.io/loadBalancerIPs"], &["a", "service"]),
            (&["metadata", "annotations", "metallb.io/loadBalancerIPs"], &[]),
            (&["spec", "loadBalancerIP"], &[]),
        ] {
            assert_eq!(service(&path(at)), path(holder));
        }
    }
}
