//! Services: a name inside the cluster that no release gives is never found.
//!
//! Charts make the names of their Services out of the release's name, each by its own rule. Of the charts of the platform the
//! names and ports are known; of others, what the names begin with.

use std::collections::BTreeSet;

use crate::catalog::Addon;
use crate::problem::did_you_mean;
use crate::yaml::Value;

use super::super::flows::{ClusterContent, ClusterFlows, FlowFinding};
use super::super::{Finding, Part};
use super::{Named, Provided, ServiceName, release_of};

/// How long Helm lets a name be, and how long one chart does.
const MAX_NAME: usize = 63;
const MAX_STACK_NAME: usize = 26;

/// Services that are in every cluster.
const IN_EVERY_CLUSTER: [(&str, &str); 2] = [("default", "kubernetes"), ("kube-system", "kube-dns")];

/// A Service of a chart: its name, where `*` stands for the full name, and its ports.
struct Known {
    chart: &'static str,
    name: &'static str,
    ports: &'static [u16],
    /// The value that moves the first port.
    port_at: &'static [&'static str],
}

const fn known(
    chart: &'static str,
    name: &'static str,
    ports: &'static [u16],
    port_at: &'static [&'static str],
) -> Known {
    Known { chart, name, ports, port_at }
}

const STACK: &str = "kube-prometheus-stack";

static KNOWN: [Known; 31] = [
    known("istiod", "istiod", &[15012, 15010, 443, 15014, 15017], &[]),
    known(STACK, "*-prometheus", &[9090, 8080], &["prometheus", "service", "port"]),
    known(STACK, "*-alertmanager", &[9093, 8080], &["alertmanager", "service", "port"]),
    known(STACK, "*-operator", &[443, 8080], &[]),
    known(STACK, "*-thanos-discovery", &[], &[]),
    known(STACK, "*-thanos-external", &[], &[]),
    known(STACK, "alertmanager-operated", &[9093, 9094], &[]),
    known(STACK, "prometheus-operated", &[9090, 10901], &[]),
    known(STACK, "prometheus-agent-operated", &[9090], &[]),
    known("loki", "*", &[3100, 9095], &[]),
    known("loki", "*-backend", &[], &[]),
    known("loki", "*-backend-headless", &[], &[]),
    known("loki", "*-canary", &[3500], &[]),
    known("loki", "*-chunks-cache", &[], &[]),
    known("loki", "*-gateway", &[80], &["gateway", "service", "port"]),
    known("loki", "*-headless", &[], &[]),
    known("loki", "*-memberlist", &[], &[]),
    known("loki", "*-read", &[], &[]),
    known("loki", "*-results-cache", &[], &[]),
    known("loki", "*-write", &[], &[]),
    known("minio", "*", &[9000], &["service", "port"]),
    known("minio", "*-console", &[9001], &["consoleService", "port"]),
    known("minio", "*-svc", &[9000], &[]),
    known("opentelemetry-collector", "*", &[], &[]),
    known("tempo", "*", &[3200, 4317, 4318, 6831, 6832, 9095, 9411, 14250, 14268, 55678, 55680, 55681], &[]),
    known("vault", "*", &[8200, 8201], &["server", "service", "port"]),
    known("vault", "*-active", &[8200, 8201], &["server", "service", "port"]),
    known("vault", "*-agent-injector-svc", &[443], &[]),
    known("vault", "*-internal", &[8200, 8201], &["server", "service", "port"]),
    known("vault", "*-standby", &[8200, 8201], &["server", "service", "port"]),
    known("vault", "*-ui", &[8200], &["ui", "externalPort"]),
];

/// Subcharts of kube-prometheus-stack that name their Services themselves, with the value that moves the port.
const STACK_PARTS: [(&str, u16, [&str; 3]); 3] = [
    ("grafana", 80, ["grafana", "service", "port"]),
    ("kube-state-metrics", 8080, ["kube-state-metrics", "service", "port"]),
    ("prometheus-node-exporter", 9100, ["prometheus-node-exporter", "service", "port"]),
];

/// Returns the Services that a release brings, as far as the values say how they are called.
///
/// Nothing if that follows from the add-on alone and from no chart that is known: then it is worked out when asked for.
pub(super) fn of_chart(addon: &Addon, values: &Value) -> Vec<Provided> {
    let (release, namespace, chart) = release_of(addon);
    let text = |key: &str| values.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let full = full_name(release, chart, text("nameOverride"), text("fullnameOverride"));
    let service =
        |name: String, ports: Vec<u16>| Provided::Service { namespace: namespace.to_owned(), name, ports };
    let services = KNOWN.iter().filter(|known| known.chart == chart);
    let mut provided: Vec<_> = services
        .map(|known| service(known.name.replace('*', &full), ports(known.ports, values, known.port_at)))
        .collect();
    if chart == STACK {
        let parts = STACK_PARTS.iter().map(|(part, port, port_at)| {
            let own = values.get(part);
            let own = |key: &str| own.and_then(|own| own.get(key)).and_then(Value::as_str);
            let name = full_name(release, part, own("nameOverride"), own("fullnameOverride"));
            service(name, ports(&[*port], values, port_at))
        });
        provided.extend(parts);
    }
    if provided.is_empty() && (text("fullnameOverride").is_some() || text("nameOverride").is_some()) {
        provided.push(Provided::Services { namespace: namespace.to_owned(), beginning: full });
    }
    provided
}

fn ports(known: &[u16], values: &Value, at: &[&str]) -> Vec<u16> {
    let mut ports = known.to_vec();
    if let (Some(Value::Number(port)), Some(first)) =
        (values.at(at).filter(|_| !at.is_empty()), ports.first_mut())
    {
        *first = port.as_str().parse().unwrap_or(*first);
    }
    ports
}

/// Makes a release's full name as charts do.
fn full_name(release: &str, chart: &str, name: Option<&str>, full_name: Option<&str>) -> String {
    let longest = if chart == STACK { MAX_STACK_NAME } else { MAX_NAME };
    let cut = |name: &str| name[..name.len().min(longest)].trim_end_matches('-').to_owned();
    let name = name.unwrap_or(match chart {
        "argo-cd" => "argocd",
        chart => chart,
    });
    match full_name {
        Some(full_name) => cut(full_name),
        None if release.contains(name) => cut(release),
        None => cut(&format!("{release}-{name}")),
    }
}

/// Returns whether an add-on brings a Service of a name, as far as it is known from the add-on alone.
fn may_bring(addon: &Addon, service: &ServiceName) -> bool {
    let (release, namespace, chart) = release_of(addon);
    let is_known = KNOWN.iter().any(|known| known.chart == chart);
    let full = full_name(release, chart, None, None);
    let beginnings = [full.as_str(), release, chart, addon.name.as_str()];
    namespace == service.namespace && !is_known && beginnings.iter().any(|it| begins(&service.name, it))
}

fn begins(name: &str, beginning: &str) -> bool {
    name.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

pub(in super::super) fn services_exist(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut reported = BTreeSet::new();
    for (document, used) in cluster.flows.used() {
        let Named::Service(service) = &used.named else { continue };
        if !(cluster.all.may_go_on)() {
            break;
        }
        if let Some((message, hint)) = fault(cluster, service).filter(|fault| reported.insert(fault.clone()))
        {
            let finding = Finding::new(&used.path, message).hint(hint).on(Part::Insertion);
            findings.push(cluster.flows.finding_of(document, finding));
        }
    }
    findings
}

fn fault(cluster: &ClusterContent<'_>, service: &ServiceName) -> Option<(String, String)> {
    let ServiceName { name, namespace, port, .. } = service;
    let whole = format!("{namespace}/{name}");
    let is_from_outside = cluster.addons.iter().any(|addon| addon.facts.outside.services.contains(&whole));
    if is_from_outside || IN_EVERY_CLUSTER.contains(&(namespace, name)) {
        return None;
    }
    let mut beside = Vec::new();
    for provided in cluster.flows.provided() {
        match provided {
            Provided::Service { namespace: other, name: known, ports }
                if other == namespace && known == name =>
            {
                return port
                    .filter(|port| !ports.is_empty() && !ports.contains(port))
                    .map(|port| wrong_port(service, port, ports));
            }
            Provided::Services { namespace: other, beginning }
                if other == namespace && begins(name, beginning) =>
            {
                return None;
            }
            Provided::Service { namespace: other, name, .. }
            | Provided::Services { namespace: other, beginning: name }
                if other == namespace =>
            {
                beside.push(name.as_str());
            }
            _ => {}
        }
    }
    if cluster.addons.iter().any(|addon| may_bring(addon, service)) {
        return None;
    }
    if service.is_of_mesh && is_elsewhere_in_mesh(cluster, service) {
        return None;
    }
    Some(unknown(cluster, service, &beside))
}

/// Returns whether another cluster of the same hub has the Service, or may have it: what it does is not known.
fn is_elsewhere_in_mesh(cluster: &ClusterContent<'_>, service: &ServiceName) -> bool {
    let hub = &cluster.flows.cluster.hub;
    if !cluster.all.is_whole(hub) {
        return true;
    }
    let others = cluster.all.clusters.values().filter(|other| other.cluster.hub == *hub);
    others.flat_map(ClusterFlows::provided).any(|provided| {
        matches!(provided, Provided::Service { namespace, name, .. } if *namespace == service.namespace && *name == service.name)
    })
}

fn wrong_port(service: &ServiceName, port: u16, ports: &[u16]) -> (String, String) {
    let known: Vec<_> = ports.iter().map(|port| format!("`{port}`")).collect();
    let message =
        format!("Service `{}` of the namespace `{}` has no port `{port}`", service.name, service.namespace);
    (message, format!("its ports: {}", known.join(", ")))
}

fn unknown(cluster: &ClusterContent<'_>, service: &ServiceName, beside: &[&str]) -> (String, String) {
    let ServiceName { name, namespace, .. } = service;
    let here = &cluster.flows.cluster.name;
    let releases: Vec<_> =
        cluster.addons.iter().filter(|addon| addon.facts.namespace == *namespace).collect();
    if releases.is_empty() && beside.is_empty() {
        let message =
            format!("nothing of `{here}` is in the namespace `{namespace}`, where Service `{name}` is to be");
        let namespaces = cluster.addons.iter().map(|addon| addon.facts.namespace.as_str());
        let hint = match did_you_mean(namespace, namespaces) {
            Some(near) => format!("did you mean `{near}`?"),
            None => outside_hint(service),
        };
        return (message, hint);
    }
    let message = format!("nothing of `{here}` is called `{name}` in the namespace `{namespace}`");
    if let Some(hint) = releases.iter().find_map(|addon| unpinned_hint(addon, name, beside)) {
        return (message, hint);
    }
    let hint = match (did_you_mean(name, beside.iter().copied()), beside) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => outside_hint(service),
        (None, beside) => {
            let known: Vec<_> = beside.iter().take(8).map(|name| format!("`{name}`")).collect();
            format!("known there: {}; `fullnameOverride` keeps names free of the release", known.join(", "))
        }
    };
    (message, hint)
}

/// A chart that puts its own name behind the release's is the trap that most names fall into.
fn unpinned_hint(addon: &Addon, name: &str, beside: &[&str]) -> Option<String> {
    let (release, _, chart) = release_of(addon);
    let full = full_name(release, chart, None, None);
    let is_in_force = full != release && beside.iter().any(|known| begins(known, &full));
    (is_in_force && begins(name, release)).then(|| {
        format!("the chart calls Services of the release `{release}` `{full}-…`; set `fullnameOverride: {release}`")
    })
}

fn outside_hint(service: &ServiceName) -> String {
    format!(
        "name one that comes from elsewhere as `{}/{}` under `outside.services` in `addon.yaml`",
        service.namespace, service.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_made_as_charts_make_them() {
        for (release, chart, name, full, made) in [
            ("prometheus-agent", STACK, None, None, "prometheus-agent-kube-prom"),
            ("kube-prometheus-stack", STACK, None, None, "kube-prometheus-stack"),
            ("kps", STACK, None, Some("monitoring"), "monitoring"),
            ("loki", "loki", None, None, "loki"),
            ("logs", "loki", None, None, "logs-loki"),
            ("logs", "loki", Some("l"), None, "logs"),
            ("argocd", "argo-cd", None, None, "argocd"),
        ] {
            assert_eq!(full_name(release, chart, name, full), made);
        }
    }
}
