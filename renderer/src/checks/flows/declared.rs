//! What `addon.yaml` says of signals, for the rendered values: from data to the ends of flows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::catalog::{Condition, Exposed, LoginValue, Receives, ReceivingEndpoint, Sends, Target, ValuePath};
use crate::checks::{ClusterLabel, Document, Ends, Finding, Login, Part, Receiver, Sender};
use crate::key_path::{Step, keys};
use crate::problem::hint_at_near;
use crate::tree::Tree;
use crate::yaml::Value;

use super::super::exposed::{ADDRESS_KEY, addresses_of};
use super::super::readers;
use super::ends::Endpoint;

/// Where a program listens to its own pod alone.
const LOOPBACKS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Returns what a document receives and sends, one for each signal.
pub(in super::super) fn ends(document: &Document<'_>) -> Vec<Ends> {
    let Some((addon, values)) = document.values() else {
        return of_object(document);
    };
    let mut ends: BTreeMap<&str, Ends> = BTreeMap::new();
    for (signal, receives) in
        addon.facts.receives.iter().filter(|(_, it)| Condition::all_hold(&it.when, values))
    {
        let end = ends.entry(signal).or_insert_with(|| Ends::of(signal));
        receive(document, receives, values, end);
    }
    for (signal, sends) in addon.facts.sends.iter().filter(|(_, it)| Condition::all_hold(&it.when, values)) {
        let end = ends.entry(signal).or_insert_with(|| Ends::of(signal));
        send(sends, values, end);
    }
    ends.into_values().collect()
}

/// Returns what an object receives and sends: the Service of an add-on without a chart receives what the add-on does at its address.
fn of_object(document: &Document<'_>) -> Vec<Ends> {
    let Some(object) = document.object() else { return Vec::new() };
    let mut ends: Vec<_> = readers::of_object(object).into_iter().collect();
    let addon = document.addon.filter(|addon| addon.facts.chart.is_none() && !document.exposed.is_empty());
    for (signal, receives) in addon.iter().flat_map(|addon| &addon.facts.receives) {
        let Ok(addresses) = addresses(document, &receives.exposed, object, signal) else { continue };
        if addresses.iter().all(|address| document.exposed.iter().any(|it| it.address() == Some(*address))) {
            let mut end = Ends::of(signal);
            receive(document, receives, object, &mut end);
            ends.push(end);
        }
    }
    ends
}

fn receive(document: &Document<'_>, receives: &Receives, values: &Value, end: &mut Ends) {
    if let Some(reader) = &receives.reader {
        readers::read(reader, values, end);
    }
    match receivers(document, receives, values, &end.signal) {
        Ok(found) => end.receivers.extend(found),
        Err(obstacle) => end.unreachable = Some(obstacle),
    }
}

/// Returns where a signal is received, or what keeps other clusters from reaching that.
fn receivers(
    document: &Document<'_>,
    receives: &Receives,
    values: &Value,
    signal: &str,
) -> Result<Vec<Receiver>, Finding> {
    if let Some(condition) = receives.requires.iter().find(|condition| !condition.holds(values)) {
        return Err(unreachable(&condition.value, signal, condition.advice()));
    }
    let addresses = addresses(document, &receives.exposed, values, signal)?;
    let endpoints: Vec<_> =
        receives.endpoints.iter().filter(|endpoint| is_listening(endpoint, values)).collect();
    if let (true, Some(first)) = (endpoints.is_empty(), receives.endpoints.first())
        && let Some(listen) = &first.listen
    {
        let port = first.port.of(values);
        let hint = format!("let it listen on port `{port}` of every address: the Service leads there");
        return Err(unreachable(listen, signal, hint));
    }
    let tenants = receives.tenant.as_ref().filter(|tenant| tenant.holds(values));
    let namespace = document.addon.map_or("", |addon| &addon.facts.namespace);
    let at_each_address = endpoints.iter().flat_map(|endpoint| {
        addresses.iter().map(|host| Receiver {
            endpoint: address_of(endpoint, *host, values),
            namespace: namespace.to_owned(),
            tenants: tenants.map(Condition::counter_advice),
            takes_certificates_only: receives.client_certificate,
        })
    });
    Ok(at_each_address.collect())
}

fn unreachable(path: &ValuePath, signal: &str, hint: String) -> Finding {
    let message = format!("spokes cannot reach the endpoint for {signal} here");
    Finding::new(&path.steps(), message).hint(hint)
}

/// Returns the addresses that a receiver is exposed at, or why there is none.
fn addresses(
    document: &Document<'_>,
    exposed: &Exposed,
    values: &Value,
    signal: &str,
) -> Result<Vec<IpAddr>, Finding> {
    match exposed {
        Exposed::Service { service, r#type } => {
            let addresses: Vec<_> = addresses_of(document.exposed, &service.steps()).collect();
            let type_at = r#type.clone().unwrap_or_else(|| service.join("type"));
            if type_at.text(values) != Some("LoadBalancer") {
                let hint =
                    format!("set `{type_at}: LoadBalancer`, and `{ADDRESS_KEY}` to an address of the pool");
                return Err(unreachable(&type_at, signal, hint));
            }
            let address_at = service.join(ADDRESS_KEY);
            let hint = format!("set `{address_at}` to an address of the pool");
            if addresses.is_empty() { Err(unreachable(&address_at, signal, hint)) } else { Ok(addresses) }
        }
        Exposed::Address { address } => {
            let known = &document.cluster.facts.addresses;
            known.get(address).map(|known| vec![known.ip()]).ok_or_else(|| {
                let message = format!("`{}` has no address `{address}`", document.cluster.name);
                let other = || "add it to `addresses` of the cluster".to_owned();
                let hint = hint_at_near(address, known.keys().map(String::as_str), other);
                let path = keys(&["receives", signal, "exposed", "address"]);
                Finding::new(&path, message).hint(hint).on(Part::Addon)
            })
        }
    }
}

/// Returns whether a program listens where its Service leads to. What is not set is as the chart has it: on.
fn is_listening(endpoint: &ReceivingEndpoint, values: &Value) -> bool {
    let Some(listen) = &endpoint.listen else { return true };
    let is_there = |text: &str| {
        text.rsplit_once(':').is_some_and(|(host, port)| {
            port == endpoint.port.of(values).to_string() && !LOOPBACKS.contains(&host)
        })
    };
    !listen.is_removed(values) && listen.of(values).and_then(Value::as_str).is_none_or(is_there)
}

fn address_of(endpoint: &ReceivingEndpoint, host: IpAddr, values: &Value) -> Endpoint {
    let is_encrypted = endpoint.tls.as_ref().is_some_and(|tls| tls.holds(values));
    let prefix = endpoint.path_prefix.as_ref().and_then(|prefix| prefix.text(values)).unwrap_or_default();
    let path = endpoint.path.as_deref().unwrap_or("/");
    Endpoint {
        scheme: format!("{}{}", endpoint.scheme, if is_encrypted { "s" } else { "" }),
        host,
        port: endpoint.port.of(values),
        path: format!("{}{path}", prefix.trim_end_matches('/')),
    }
}

fn send(sends: &Sends, values: &Value, end: &mut Ends) {
    if let Some(reader) = &sends.reader {
        readers::read(reader, values, end);
    }
    end.senders.extend(sends.targets.iter().flat_map(|target| senders(target, values)));
    if let Some(path) = &sends.cluster_label {
        end.cluster_label = Some(ClusterLabel {
            path: path.steps(),
            part: Part::Value,
            value: path.of(values).and_then(Value::as_str).map(str::to_owned),
            hint: format!("set `{path}` to `{{{{cluster.name}}}}`"),
        });
    }
    if let Some(login) = &sends.login {
        log_in(login, values, end);
    }
}

fn log_in(login: &LoginValue, values: &Value, end: &mut Ends) {
    let Some(written) = login.value.text(values) else { return };
    let path = login.value.steps();
    if let Some(name) = written.strip_prefix(&login.prefix) {
        end.logins.push(Login { path, name: name.to_owned() });
    } else {
        let message = format!("`{written}` does not begin with `{}`", login.prefix);
        end.faults.push(Finding::new(&path, message).hint(format!("write `{}{written}`", login.prefix)));
    }
}

fn senders(target: &Target, values: &Value) -> Vec<Sender> {
    let Some(each) = &target.each else { return sender(target, Vec::new(), values).into_iter().collect() };
    let items = each.of(values).into_iter().flat_map(Tree::children);
    let below =
        |(step, item): (Step<&str>, _)| sender(target, [each.steps(), vec![step.owned()]].concat(), item);
    items.filter_map(below).collect()
}

fn sender(target: &Target, mut path: Vec<Step>, item: &Value) -> Option<Sender> {
    let written = target.url.text(item)?;
    path.extend(target.url.steps());
    let url = match &target.scheme {
        Some(scheme) if !written.contains("://") => format!("{scheme}://{written}"),
        _ => written.to_owned(),
    };
    let url = match &target.path {
        Some(added) => format!("{}{added}", url.trim_end_matches('/')),
        None => url,
    };
    let unnamed = |value: &Option<ValuePath>| match value {
        Some(value) => value.text(item).is_none().then(|| format!("`{value}`")),
        None => Some("its configuration".to_owned()),
    };
    let (unnamed_tenant, unnamed_certificate) = (unnamed(&target.tenant), unnamed(&target.certificate));
    Some(Sender { path, part: Part::Value, url, unnamed_tenant, unnamed_certificate })
}
