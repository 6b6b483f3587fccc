//! Services: a name inside the cluster that no release gives is never found.
//!
//! Charts make the names of their Services out of the release's name, each by its own rule. `addon.yaml` can describe them with
//! their ports; of others, it is known what the names begin with.

use std::collections::BTreeSet;

use crate::catalog::Addon;
use crate::problem::did_you_mean;
use crate::yaml::Value;

use super::super::clusters::{ClusterContent, ClusterFlows, FlowFinding};
use super::super::finding::{Finding, Part};
use super::{Named, Provided, ServiceName, full_name};

/// Services that are in every cluster.
const IN_EVERY_CLUSTER: [(&str, &str); 2] = [("default", "kubernetes"), ("kube-system", "kube-dns")];

/// Returns whether an add-on brings a Service of a name, as far as it is known from the add-on alone.
fn may_bring(addon: &Addon, service: &ServiceName) -> bool {
    let is_described = addon.facts.provides.services.is_some();
    let full = full_name(addon, &Value::Null);
    let beginnings = [full.as_str(), addon.release(), &addon.facts.chart.name, addon.name.as_str()];
    addon.facts.namespace == service.namespace
        && !is_described
        && beginnings.iter().any(|it| begins(&service.name, it))
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
