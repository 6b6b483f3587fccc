//! Checks of what crosses clusters: what one sends to, another must expose.
//!
//! Judged on rendered values, so that an override is seen like anything else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::inventory::{Cluster, key};
use crate::key_path::Step;
use crate::path::{ClusterName, RepoPath};
use crate::yaml::Value;

use super::{Document, DocumentKind, Finding};

/// The chart whose values say where metrics are received and sent to.
const METRICS_CHART: &str = "kube-prometheus-stack";
/// The port of the chart's Prometheus Service where none is set (`prometheus.service.port`).
const PROMETHEUS_PORT: u16 = 9090;
/// Where Prometheus receives remote writes.
const REMOTE_WRITE_PATH: &str = "/api/v1/write";
/// The annotation by which MetalLB is asked for addresses, and its older name.
const ADDRESS_ANNOTATIONS: [&str; 2] = ["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"];

/// What one rendered document says of traffic between clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Where it receives metrics.
    pub listener: Option<MetricsListener>,
    /// Where it sends metrics.
    pub senders: Vec<MetricsSender>,
    /// The `cluster` label on its metrics, if it has Prometheus at all.
    pub cluster_label: Option<(Vec<Step>, Option<String>)>,
    /// The addresses that it exposes.
    pub exposed: Vec<ExposedAddress>,
}

/// A place that receives metrics by remote write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsListener {
    /// The address that it is exposed on.
    pub url: String,
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
}

impl Telemetry {
    /// Returns whether there is nothing to check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads what a rendered document says of traffic between clusters.
#[must_use]
pub fn telemetry(document: &Document<'_>) -> Telemetry {
    let mut telemetry = Telemetry { exposed: exposed(document), ..Telemetry::default() };
    let is_metrics = document.addon.is_some_and(|addon| addon.facts.chart.name == METRICS_CHART);
    if !is_metrics || document.kind != DocumentKind::Values {
        return telemetry;
    }
    let values = document.value;
    let is_agent = values.at(&["prometheus", "agentMode"]) == Some(&Value::Bool(true));
    telemetry.listener = if is_agent { None } else { listener(values) };
    telemetry.senders = senders(values);
    let label = ["prometheus", "prometheusSpec", "externalLabels", "cluster"];
    let has_prometheus = values.at(&["prometheus", "enabled"]) != Some(&Value::Bool(false));
    telemetry.cluster_label = has_prometheus
        .then(|| (label.map(key).to_vec(), values.at(&label).and_then(Value::as_str).map(str::to_owned)));
    telemetry
}

fn listener(values: &Value) -> Option<MetricsListener> {
    let spec = values.at(&["prometheus", "prometheusSpec"])?;
    let service = values.at(&["prometheus", "service"])?;
    let receives = spec.get("enableRemoteWriteReceiver") == Some(&Value::Bool(true));
    let is_exposed = service.get("type").and_then(Value::as_str) == Some("LoadBalancer");
    let address = service.get("loadBalancerIP").and_then(Value::as_str);
    let (true, true, Some(address)) = (receives, is_exposed, address) else { return None };
    let scheme = if spec.at(&["web", "tlsConfig"]).is_some() { "https" } else { "http" };
    let port = match service.get("port") {
        Some(Value::Number(port)) => port.as_str().to_owned(),
        _ => PROMETHEUS_PORT.to_string(),
    };
    let prefix = spec.get("routePrefix").and_then(Value::as_str).unwrap_or("/").trim_end_matches('/');
    Some(MetricsListener { url: format!("{scheme}://{}:{port}{prefix}{REMOTE_WRITE_PATH}", in_url(address)) })
}

fn in_url(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn senders(values: &Value) -> Vec<MetricsSender> {
    let at = ["prometheus", "prometheusSpec", "remoteWrite"];
    let targets = values.at(&at).and_then(Value::as_list).unwrap_or_default();
    let sender = |(index, target): (usize, &Value)| {
        let path = at.map(key).into_iter().chain([Step::Index(index), key("url")]).collect();
        target.get("url").and_then(Value::as_str).map(|url| MetricsSender { path, url: url.to_owned() })
    };
    targets.iter().enumerate().filter_map(sender).collect()
}

fn exposed(document: &Document<'_>) -> Vec<ExposedAddress> {
    let mut found = Vec::new();
    collect_exposed(document.value, &mut Vec::new(), &mut found);
    found
}

fn collect_exposed(value: &Value, path: &mut Vec<Step>, found: &mut Vec<ExposedAddress>) {
    match value {
        Value::Map(map) => {
            for (name, value) in map.iter() {
                path.push(Step::Key(name.to_owned()));
                match value.as_str() {
                    Some(text) if !text.is_empty() && exposes(name) => {
                        let addresses = text.split(',').map(|part| part.trim().to_owned());
                        found.extend(addresses.map(|text| ExposedAddress { path: path.clone(), text }));
                    }
                    _ => collect_exposed(value, path, found),
                }
                path.pop();
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
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

pub(super) fn exposed_addresses_are_in_the_pool(document: &Document<'_>) -> Vec<Finding> {
    let cluster = document.cluster;
    let pool = cluster.facts.load_balancer.as_ref().map(|load_balancer| load_balancer.pool);
    let judge = |exposed: ExposedAddress| {
        let Ok(address) = exposed.text.parse::<IpAddr>() else {
            let message = format!("`{}` is not an address", exposed.text);
            return Some(Finding::new(&exposed.path, message).hint("write an IPv4 or IPv6 address"));
        };
        match pool {
            Some(pool) if pool.contains(address) => None,
            Some(pool) => Some(
                Finding::new(
                    &exposed.path,
                    format!("address `{address}` is outside the pool `{pool}` of `{}`", cluster.name),
                )
                .hint("MetalLB would leave the Service pending; choose an address of the pool"),
            ),
            None => Some(
                Finding::new(
                    &exposed.path,
                    format!("address `{address}` is asked for, but `{}` has no pool", cluster.name),
                )
                .hint("add `loadBalancer: {pool: first-last}` to the cluster"),
            ),
        }
    };
    exposed(document).into_iter().filter_map(judge).collect()
}

/// What every cluster says of traffic, by the rendered file that says it.
#[derive(Debug, Default)]
pub struct Flows<'a> {
    /// The clusters with what their files say.
    pub clusters: BTreeMap<ClusterName, ClusterFlows<'a>>,
}

/// What one cluster's files say of traffic.
#[derive(Debug)]
pub struct ClusterFlows<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The rendered files that say something.
    pub files: Vec<(&'a RepoPath, &'a Telemetry)>,
}

/// A finding in a rendered file of some cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFinding {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rendered file.
    pub file: RepoPath,
    /// What is wrong where.
    pub finding: Finding,
}

impl ClusterFlows<'_> {
    fn listeners(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .filter_map(|(_, telemetry)| telemetry.listener.as_ref())
            .map(|listener| listener.url.as_str())
    }

    fn finding(&self, file: &RepoPath, finding: Finding) -> FlowFinding {
        FlowFinding { cluster: self.cluster.name.clone(), file: file.clone(), finding }
    }
}

pub(super) fn metrics_arrive(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for sender in flows.clusters.values() {
        let hub_listeners: Vec<&str> =
            flows.clusters.get(&sender.cluster.hub).into_iter().flat_map(ClusterFlows::listeners).collect();
        for (file, telemetry) in &sender.files {
            for target in &telemetry.senders {
                if hub_listeners.contains(&target.url.as_str()) || is_outside_the_fleet(&target.url) {
                    continue;
                }
                let hub = &sender.cluster.hub;
                let message = format!("metrics go to `{}`, where nobody listens", target.url);
                let hint = match hub_listeners.as_slice() {
                    [] => format!(
                        "hub `{hub}` exposes no Prometheus: it needs `enableRemoteWriteReceiver`, `service.type: LoadBalancer` and `service.loadBalancerIP`"
                    ),
                    known => format!("hub `{hub}` listens on `{}`", known.join("`, `")),
                };
                findings.push(sender.finding(file, Finding::new(&target.path, message).hint(hint)));
            }
        }
    }
    findings
}

/// A host name is somebody else's to answer for; an address is ours, and one of ours must listen on it.
fn is_outside_the_fleet(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or("");
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    !host.is_empty() && host.parse::<IpAddr>().is_err()
}

pub(super) fn metrics_name_their_cluster(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for sender in flows.clusters.values() {
        for (file, telemetry) in &sender.files {
            let Some((path, label)) = &telemetry.cluster_label else { continue };
            let name = sender.cluster.name.as_str();
            if label.as_deref() == Some(name) {
                continue;
            }
            let message = match label {
                Some(label) => format!("metrics of `{name}` carry the label `cluster: {label}`"),
                None => format!("metrics of `{name}` carry no `cluster` label"),
            };
            let hint = "set it to `{{cluster.name}}`: the hub tells clusters apart by it";
            findings.push(sender.finding(file, Finding::new(path, message).hint(hint)));
        }
    }
    findings
}

pub(super) fn addresses_are_exposed_once(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    for cluster in flows.clusters.values() {
        let mut seen: BTreeMap<&str, &RepoPath> = BTreeMap::new();
        for (file, telemetry) in &cluster.files {
            for exposed in &telemetry.exposed {
                if let Some(first) = seen.insert(&exposed.text, file) {
                    let message =
                        format!("address `{}` is exposed twice on `{}`", exposed.text, cluster.cluster.name);
                    let hint =
                        format!("it is also asked for in `{first}`; give each Service its own address");
                    findings.push(cluster.finding(file, Finding::new(&exposed.path, message).hint(hint)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_ours_and_a_host_name_is_not() {
        for url in ["http://192.168.64.102:9090/api/v1/write", "http://[fd00::1]:9090/x", "http://10.0.0.1/x"]
        {
            assert!(!is_outside_the_fleet(url), "{url} was let go");
        }
        for url in ["https://metrics.example.com/api/v1/write", "https://prometheus:9090/"] {
            assert!(is_outside_the_fleet(url), "{url} was held");
        }
    }
}
