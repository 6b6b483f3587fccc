//! Metrics: what the values of kube-prometheus-stack say of who receives remote writes and who sends them.

use crate::inventory::key;
use crate::key_path::Step;
use crate::yaml::Value;

use super::super::{Finding, Part};
use super::endpoint::Endpoint;
use super::route::{self, ClusterLabel, Ends, Receiver, Sender, Signal};
use super::{ExposedAddress, FlowFinding, Flows, addresses_of, port};

/// The chart whose values are read here.
pub(super) const CHART: &str = "kube-prometheus-stack";

/// The port of the chart's Prometheus Service where none is set (`prometheus.service.port`).
const PROMETHEUS_PORT: u16 = 9090;
/// Where Prometheus receives remote writes.
const REMOTE_WRITE_PATH: &str = "/api/v1/write";
/// The lists of remote writes in the chart's values.
const REMOTE_WRITES: [&str; 2] = ["remoteWrite", "additionalRemoteWrite"];
/// Where Prometheus' own Service is described.
const SERVICE: [&str; 2] = ["prometheus", "service"];

pub(in super::super) fn metrics_arrive(flows: &Flows<'_>) -> Vec<FlowFinding> {
    route::arrives(flows, Signal::Metrics)
}

/// Reads what the chart's values do with metrics; nothing if they turn Prometheus off.
pub(super) fn ends(values: &Value, exposed: &[ExposedAddress]) -> Option<Ends> {
    if values.at(&["prometheus", "enabled"]) == Some(&Value::Bool(false)) {
        return None;
    }
    let is_agent = values.at(&["prometheus", "agentMode"]) == Some(&Value::Bool(true));
    let deaf = if is_agent { None } else { deafness(values, exposed) };
    let receivers = if is_agent || deaf.is_some() { Vec::new() } else { receivers(values, exposed) };
    let senders = senders(values);
    Some(Ends { receivers, deaf, senders, cluster_label: Some(label(values)), ..Ends::new(Signal::Metrics) })
}

fn label(values: &Value) -> ClusterLabel {
    let path = ["prometheus", "prometheusSpec", "externalLabels", "cluster"];
    ClusterLabel {
        path: path.map(key).to_vec(),
        part: Part::Value,
        value: values.at(&path).and_then(Value::as_str).map(str::to_owned),
        hint: "set `prometheus.prometheusSpec.externalLabels.cluster` to `{{cluster.name}}`",
    }
}

/// Finds what keeps a Prometheus from receiving what other clusters send.
fn deafness(values: &Value, exposed: &[ExposedAddress]) -> Option<Finding> {
    let receiver = ["prometheus", "prometheusSpec", "enableRemoteWriteReceiver"];
    let service_type = ["prometheus", "service", "type"];
    let (path, hint) = if values.at(&receiver) != Some(&Value::Bool(true)) {
        (receiver, "set `enableRemoteWriteReceiver: true`")
    } else if values.at(&service_type).and_then(Value::as_str) != Some("LoadBalancer") {
        (service_type, "set `type: LoadBalancer`, and `loadBalancerIP` to an address of the pool")
    } else if addresses_of(exposed, &SERVICE).next().is_none() {
        (["prometheus", "service", "loadBalancerIP"], "set `loadBalancerIP` to an address of the pool")
    } else {
        return None;
    };
    Some(Finding::new(&path.map(key), Signal::Metrics.deaf()).hint(hint))
}

fn receivers(values: &Value, exposed: &[ExposedAddress]) -> Vec<Receiver> {
    let spec = |path: &[&str]| values.at(&["prometheus", "prometheusSpec"]).and_then(|spec| spec.at(path));
    let scheme = if spec(&["web", "tlsConfig"]).is_some() { "https" } else { "http" };
    let port = port(values, &["prometheus", "service", "port"], PROMETHEUS_PORT);
    let prefix = spec(&["routePrefix"]).and_then(Value::as_str).unwrap_or("/").trim_end_matches('/');
    let path = format!("{prefix}{REMOTE_WRITE_PATH}");
    let endpoint = |host| Endpoint { scheme: scheme.to_owned(), host, port, path: path.clone() };
    addresses_of(exposed, &SERVICE)
        .map(|host| Receiver { endpoint: endpoint(host), wants_tenant: false })
        .collect()
}

fn senders(values: &Value) -> Vec<Sender> {
    let mut senders = Vec::new();
    for list in REMOTE_WRITES {
        let at = ["prometheus", "prometheusSpec", list];
        let targets = values.at(&at).and_then(Value::as_list).unwrap_or_default();
        for (index, target) in targets.iter().enumerate() {
            if let Some(url) = target.get("url").and_then(Value::as_str) {
                let path = at.map(key).into_iter().chain([Step::Index(index), key("url")]).collect();
                senders.push(Sender { path, part: Part::Value, url: url.to_owned(), names_tenant: false });
            }
        }
    }
    senders
}
