//! Services: a name inside the cluster that no release gives is never found.
//!
//! Charts make the names of their Services out of the release's name, each by its own rule. `addon.yaml` can
//! describe them with their ports; of others, it is known what the names begin with.

use std::collections::BTreeSet;

use crate::catalog::Addon;
use crate::checks::{
    ClusterContent, ClusterFlows, Finding, FlowFinding, Named, Part, Provided, ProvidedService, ServiceName,
};
use crate::plural::quoted;
use crate::problem::hint_at_near;
use crate::yaml::Value;

use super::full_name;

/// Services that are in every cluster.
const IN_EVERY_CLUSTER: [(&str, &str); 2] = [("default", "kubernetes"), ("kube-system", "kube-dns")];

/// Returns whether an add-on brings a Service of a name, as far as it is known from the add-on alone.
fn may_bring(addon: &Addon, service: &ServiceName) -> bool {
    let is_described = addon.facts.provides.services.is_some();
    let full = full_name(addon, &Value::Null);
    let beginnings = [full.as_str(), addon.release(), addon.chart_name(), addon.name.as_str()];
    addon.facts.namespace == service.namespace
        && !is_described
        && beginnings.iter().any(|it| begins(&service.name, it))
}

fn begins(name: &str, beginning: &str) -> bool {
    name.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn services_of<'a>(cluster: &'a ClusterFlows<'_>) -> impl Iterator<Item = &'a ProvidedService> {
    cluster.provided().filter_map(|provided| match provided {
        Provided::Service(service) => Some(service),
        _ => None,
    })
}

impl ProvidedService {
    fn is_it(&self, name: &str) -> bool {
        if self.is_beginning { begins(name, &self.name) } else { *name == self.name }
    }
}

pub(in super::super) fn services_exist(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let mut reported = BTreeSet::new();
    cluster.flows.judge_names(|used| {
        let Named::Service(service) = &used.named else { return None };
        let fault = (cluster.all.may_go_on)().then(|| fault(cluster, service)).flatten();
        let (message, hint) = fault.filter(|fault| reported.insert(fault.clone()))?;
        Some(Finding::new(&used.path, message).hint(hint).on(Part::Insertion))
    })
}

fn fault(cluster: &ClusterContent<'_>, service: &ServiceName) -> Option<(String, String)> {
    let ServiceName { name, namespace, port, .. } = service;
    let whole = format!("{namespace}/{name}");
    let is_from_outside = cluster.addons.iter().any(|addon| addon.facts.outside.services.contains(&whole));
    if is_from_outside || IN_EVERY_CLUSTER.contains(&(namespace, name)) {
        return None;
    }
    let beside: Vec<_> = services_of(cluster.flows).filter(|it| it.namespace == *namespace).collect();
    if let Some(it) = beside.iter().find(|it| it.is_it(name)) {
        let is_unknown = |port: &u16| !it.ports.is_empty() && !it.ports.contains(port);
        return port.filter(is_unknown).map(|port| wrong_port(service, port, &it.ports));
    }
    if !cluster.is_final && cluster.addons.iter().any(|addon| may_bring(addon, service)) {
        return None;
    }
    if service.is_of_mesh && is_elsewhere_in_mesh(cluster, service) {
        return None;
    }
    let beside: BTreeSet<_> = beside.iter().map(|it| it.name.as_str()).collect();
    Some(unknown(cluster, service, &beside.into_iter().collect::<Vec<_>>()))
}

/// Returns whether another cluster of the same hub has the Service, or may have it: what it does is not known.
fn is_elsewhere_in_mesh(cluster: &ClusterContent<'_>, service: &ServiceName) -> bool {
    let hub = &cluster.flows.cluster.hub;
    if !cluster.all.is_whole(hub) {
        return true;
    }
    let others = cluster.all.clusters.values().filter(|other| other.cluster.hub == *hub);
    let mut services = others.flat_map(services_of);
    services.any(|it| it.namespace == service.namespace && it.is_it(&service.name))
}

fn wrong_port(service: &ServiceName, port: u16, ports: &[u16]) -> (String, String) {
    let message =
        format!("Service `{}` of the namespace `{}` has no port `{port}`", service.name, service.namespace);
    (message, format!("its ports: {}", quoted(ports)))
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
        return (message, hint_at_near(namespace, namespaces, || outside_hint(service)));
    }
    let message = format!("nothing of `{here}` is called `{name}` in the namespace `{namespace}`");
    if let Some(hint) = releases.iter().find_map(|addon| unpinned_hint(addon, name, beside)) {
        return (message, hint);
    }
    let other = || match beside {
        [] => outside_hint(service),
        _ => format!(
            "known there: {}; `fullnameOverride` keeps names free of the release",
            quoted(beside.iter().take(8))
        ),
    };
    (message, hint_at_near(name, beside.iter().copied(), other))
}

/// A chart that puts its own name behind the release's is the trap that most names fall into.
fn unpinned_hint(addon: &Addon, name: &str, beside: &[&str]) -> Option<String> {
    let (release, full) = (addon.release(), full_name(addon, &Value::Null));
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
