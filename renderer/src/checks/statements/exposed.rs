//! What an add-on says of the Services that ask a load balancer for an address: which there are, what pods are behind
//! them, and whether a policy of the chart lets in whatever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::catalog::ExposedService;
use crate::checks::exposed::{Pods, addresses_of, exposed_by};
use crate::checks::finding::{Finding, Part};
use crate::checks::policies::{labels_of, policy_of};
use crate::key_path::{Step, key, keys};
use crate::plural::quoted;

use super::content::{AddonObjects, MadeService, UntrueStatement};

/// The kinds whose pods a Service leads to.
const WORKLOADS: [&str; 4] = ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];

/// Each address that the values ask for is asked for by a Service, and leads to the pods that are said.
pub(super) fn exposed(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let (asked, services) = (exposed_by(it.values), it.made_services());
    let mut found = Vec::new();
    for (at, said) in it.addon.facts.provides.exposed.iter().enumerate() {
        let addresses: BTreeSet<IpAddr> = addresses_of(&asked, &said.service.steps()).collect();
        let path = |name: &str| [keys(&["provides", "exposed"]), vec![Step::Index(at), key(name)]].concat();
        let mut pods = Vec::new();
        for address in &addresses {
            match services.iter().find(|service| service.addresses.contains(address)) {
                None => found.push(unasked(*address, &said.service.to_string(), &services, &path("service"))),
                Some(service) => {
                    pods.extend(reached_pods(it, said, service));
                    found.extend(wrong_pods(it, said, service).map(|(message, hint)| {
                        let finding = Finding::new(&path("pods"), message).on(Part::Key).hint(hint);
                        UntrueStatement::about("Service", service.name, finding)
                    }));
                }
            }
        }
        if !pods.is_empty() {
            found.extend(wrongly_opened(it, said, &pods, &path("opened")));
        }
    }
    found
}

/// Where exposures are described, or the fleet says where its people come from, each one is to be described.
pub(super) fn unsaid(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let said = &it.addon.facts.provides.exposed;
    // An exposure is described by the values of a chart; what stands in the repository is judged there.
    if it.addon.facts.chart.is_none() || said.is_empty() && !it.names_operators {
        return Vec::new();
    }
    let asked = exposed_by(it.values);
    let is_said = |service: &MadeService<'_>| {
        let behind = pods_behind(it, service);
        said.iter().any(|said| {
            let mut of_values = addresses_of(&asked, &said.service.steps());
            of_values.any(|address| service.addresses.contains(&address))
                || has_all(&service.selector, &said.pods)
                || behind.iter().any(|(_, labels)| has_all(labels, &said.pods))
        })
    };
    let services = it.made_services();
    let unsaid = services.iter().filter(|service| {
        service.is_load_balancer && !is_said(service) && !it.is_given("Service", service.name)
    });
    let fault = |service: &MadeService<'_>| {
        let message = format!(
            "the chart makes Service `{}` of type `LoadBalancer`, whose exposure is not said",
            service.name
        );
        let hint = format!(
            "name it under `provides.exposed`: `service`, where the values describe it, and `pods`, with labels of the pods behind it: {}",
            written(&service.selector)
        );
        let finding = Finding::new(&keys(&["provides", "exposed"]), message).on(Part::Key).hint(hint);
        UntrueStatement::about("Service", service.name, finding)
    };
    unsaid.map(fault).collect()
}

/// Returns that no Service asks for an address that the values at a path do.
pub(super) fn unasked(
    address: IpAddr,
    values: &str,
    services: &[MadeService<'_>],
    path: &[Step],
) -> UntrueStatement {
    let message =
        format!("no Service of the chart asks for `{address}`, which the values at `{values}` ask for");
    let asking: Vec<&str> =
        services.iter().filter(|it| it.is_load_balancer).map(|service| service.name).collect();
    let hint = match asking.as_slice() {
        [] => "the chart makes no Service of type `LoadBalancer`: correct the values, or the path".to_owned(),
        some => format!("of type `LoadBalancer` it makes {}: correct the values, or the path", quoted(some)),
    };
    UntrueStatement { object: None, finding: Finding::new(path, message).hint(hint) }
}

/// Returns what is wrong with the labels that are said of the pods behind a Service.
///
/// Pods that an operator makes are not there: of them it is known what the Service chooses by.
fn wrong_pods(
    it: &AddonObjects<'_>,
    said: &ExposedService,
    service: &MadeService<'_>,
) -> Option<(String, String)> {
    let lacks = |labels: &BTreeMap<String, String>| {
        let lacking = said.pods.iter().find(|(name, value)| labels.get(*name) != Some(*value));
        lacking.map(|(name, value)| format!("{name}: {value}"))
    };
    let behind = pods_behind(it, service);
    if let Some((owner, labels, label)) =
        behind.iter().find_map(|(owner, labels)| Some((owner, labels, lacks(labels)?)))
    {
        let message =
            format!("Service `{}` leads to the pods of {owner}, which have no label `{label}`", service.name);
        return Some((message, format!("their labels: {}", written(labels))));
    }
    let selector = &service.selector;
    let mut others = said.pods.iter();
    let (name, value) = others
        .find(|(name, value)| selector.get(*name).is_some_and(|chosen| chosen != *value))
        .filter(|_| behind.is_empty())?;
    let message = format!("Service `{}` leads to no pods with the label `{name}: {value}`", service.name);
    Some((message, format!("it chooses them by {}", written(selector))))
}

/// Returns the labels of the pods that a Service leads to, each with what makes them.
fn pods_behind(it: &AddonObjects<'_>, service: &MadeService<'_>) -> Vec<(String, BTreeMap<String, String>)> {
    let workloads = it.all.iter().filter(|object| WORKLOADS.contains(&object.name.kind.as_str()));
    let near = workloads.filter(|object| object.name.namespace.as_deref() == Some(service.namespace));
    let pods = near.map(|object| {
        let labels = object.value.at(&["spec", "template", "metadata", "labels"]);
        let labels = labels.map(labels_of).unwrap_or_default();
        (format!("{} `{}`", object.name.kind, object.name.name), labels)
    });
    pods.filter(|(_, labels)| !service.selector.is_empty() && has_all(labels, &service.selector)).collect()
}

/// Returns what is wrong with what is said of the chart's policies about the pods behind a Service.
fn wrongly_opened(
    it: &AddonObjects<'_>,
    said: &ExposedService,
    pods: &[Pods],
    path: &[Step],
) -> Option<UntrueStatement> {
    let mut policies = it.made.iter().filter_map(|object| {
        let policy = policy_of(&object.value, object.name.namespace.as_deref().unwrap_or_default())?;
        (policy.open.is_some() && pods.iter().any(|pods| policy.is_about(pods)))
            .then_some(object.name.name.as_str())
    });
    let is_said = said.opened.as_ref().is_some_and(|condition| condition.holds(it.values));
    match policies.next() {
        Some(policy) if !is_said => {
            let message = format!(
                "NetworkPolicy `{policy}` of the chart lets whatever asks reach these pods, which is not said"
            );
            let hint = "write `opened`, with the value by which the chart makes it";
            let finding = Finding::new(path, message).on(Part::Key).hint(hint);
            Some(UntrueStatement::about("NetworkPolicy", policy, finding))
        }
        None if is_said => {
            let message = "no policy of the chart lets whatever asks reach these pods";
            let hint = "remove `opened`, or correct its condition";
            let finding = Finding::new(path, message).on(Part::Key).hint(hint);
            Some(UntrueStatement { object: None, finding })
        }
        _ => None,
    }
}

/// Returns the pods that a Service leads to, as policies choose them: by all that is known of their labels.
fn reached_pods(it: &AddonObjects<'_>, said: &ExposedService, service: &MadeService<'_>) -> Vec<Pods> {
    let mut labels: Vec<_> = pods_behind(it, service).into_iter().map(|(_, labels)| labels).collect();
    if labels.is_empty() {
        labels.push(said.pods.clone().into_iter().chain(service.selector.clone()).collect());
    }
    let pods = |labels| Pods { namespace: service.namespace.to_owned(), labels };
    labels.into_iter().map(pods).collect()
}

fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn written(labels: &BTreeMap<String, String>) -> String {
    quoted(labels.iter().map(|(name, value)| format!("{name}: {value}")))
}
