//! Where an add-on says to receive signals and to answer queries: the Services there have these ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::catalog::{Answers, Condition, Exposed, Receives};
use crate::checks::exposed::{addresses_of, exposed_by};
use crate::checks::finding::Finding;
use crate::checks::names::filled;
use crate::key_path::{Step, key, keys};
use crate::plural::quoted;
use crate::problem::hint_at_near;

use super::content::{AddonObjects, MadeService, UntrueStatement};
use super::exposed::unasked;

/// Each port that is said of a receiver or of what answers is one of its Service.
pub(super) fn reached(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let facts = &it.addon.facts;
    let receivers = facts.receives.iter().flat_map(|(signal, said)| received(it, signal, said));
    receivers.chain(facts.answers.iter().filter_map(|(signal, said)| answered(it, signal, said))).collect()
}

fn received(it: &AddonObjects<'_>, signal: &str, said: &Receives) -> Vec<UntrueStatement> {
    if !Condition::all_hold(&said.when, it.values) {
        return Vec::new();
    }
    let at = |rest: &[Step]| [&keys(&["receives", signal]), rest].concat();
    let services = it.all_services();
    let addresses: BTreeSet<IpAddr> = match &said.exposed {
        Exposed::Service { service, .. } => addresses_of(&exposed_by(it.values), &service.steps()).collect(),
        Exposed::Address { address } => {
            it.cluster.facts.addresses.get(address).map(|address| address.ip()).into_iter().collect()
        }
    };
    let asking: Vec<&MadeService<'_>> =
        services.iter().filter(|service| !service.addresses.is_disjoint(&addresses)).collect();
    if asking.is_empty() {
        // What is in front of the cluster is not among its objects, and what is described twice is wrong once.
        let Exposed::Service { service, .. } = &said.exposed else { return Vec::new() };
        let is_described = it.addon.facts.provides.exposed.iter().any(|it| it.service == *service);
        let missing = addresses.first().filter(|_| !is_described);
        let path = at(&keys(&["exposed", "service"]));
        return missing
            .map(|address| unasked(*address, &service.to_string(), &services, &path))
            .into_iter()
            .collect();
    }
    let ports: BTreeSet<u16> = asking.iter().flat_map(|service| service.ports.iter().copied()).collect();
    let endpoints = said.endpoints.iter().enumerate();
    let wrong = endpoints.map(|(index, it_is)| (index, it_is.port.of(it.values)));
    let wrong = wrong.filter(|(_, port)| !ports.contains(port));
    let fault = |(index, port)| {
        let path = at(&[key("endpoints"), Step::Index(index), key("port")]);
        without_port(asking[0].name, port, &ports, &path)
    };
    wrong.map(fault).collect()
}

fn answered(it: &AddonObjects<'_>, signal: &str, said: &Answers) -> Option<UntrueStatement> {
    let mut described = it.addon.facts.provides.services.iter().flatten();
    let described = described.find(|service| service.name == said.service);
    let name = filled(&said.service, it.addon, described.and_then(|it| it.subchart.as_ref()), it.values);
    let services = it.all_services();
    let near = || services.iter().filter(|service| service.namespace == it.namespace());
    let at = |last: &str| keys(&["answers", signal, last]);
    let Some(service) = near().find(|service| service.name == name) else {
        // Where it is described, it is missing there.
        let is_elsewhere = described.is_some_and(|service| service.at_runtime || service.when.is_empty());
        let message = format!("no Service of the add-on is called `{name}`, which is to answer");
        let names: Vec<&str> = near().map(|service| service.name).collect();
        let hint = hint_at_near(&name, names.iter().copied(), || format!("there are {}", quoted(&names)));
        let finding = Finding::new(&at("service"), message).hint(hint);
        return (!is_elsewhere).then(|| UntrueStatement::about("Service", &name, finding));
    };
    let (port, ports) = (said.port.of(it.values), service.ports.iter().copied().collect());
    (!service.ports.contains(&port)).then(|| without_port(service.name, port, &ports, &at("port")))
}

fn without_port(service: &str, port: u16, ports: &BTreeSet<u16>, path: &[Step]) -> UntrueStatement {
    let finding = Finding::new(path, format!("Service `{service}` has no port `{port}`"));
    UntrueStatement::about("Service", service, finding.hint(format!("its ports: {}", quoted(ports))))
}
