//! What `addon.yaml` says of signals, for the rendered values: from data to the ends of flows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::catalog::{Condition, Exposed, LoginValue, Receives, ReceivingEndpoint, Sends, Target, ValuePath};
use crate::inventory::Cluster;
use crate::key_path::{Step, key};
use crate::network::Address;
use crate::problem::did_you_mean;
use crate::yaml::Value;

use super::super::document::Document;
use super::super::exposed::{ADDRESS_KEY, addresses_of};
use super::super::finding::{Finding, Part};
use super::super::readers;
use super::endpoint::Endpoint;
use super::ends::{ClusterLabel, Ends, Login, Receiver, Sender, Tenant};

/// Where a program listens to its own pod alone.
const LOOPBACKS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Returns what a document receives and sends, one for each signal.
pub(in super::super) fn ends(document: &Document<'_>) -> Vec<Ends> {
    let Some((addon, values)) = document.values() else {
        return document.object().and_then(readers::of_object).into_iter().collect();
    };
    let mut ends: BTreeMap<&str, Ends> = BTreeMap::new();
    let holds = |when: &[Condition]| when.iter().all(|condition| condition.holds(values));
    for (signal, receives) in addon.facts.receives.iter().filter(|(_, it)| holds(&it.when)) {
        let end = ends.entry(signal).or_insert_with(|| Ends::of(signal));
        receive(document, receives, values, end);
    }
    for (signal, sends) in addon.facts.sends.iter().filter(|(_, it)| holds(&it.when)) {
        let end = ends.entry(signal).or_insert_with(|| Ends::of(signal));
        send(sends, values, end);
    }
    ends.into_values().collect()
}

fn receive(document: &Document<'_>, receives: &Receives, values: &Value, end: &mut Ends) {
    if let Some(reader) = &receives.reader {
        readers::read(reader, values, end);
    }
    let addresses = addresses(document, &receives.exposed);
    let endpoints: Vec<_> =
        receives.endpoints.iter().filter(|endpoint| is_listening(endpoint, values)).collect();
    let obstacle = receives
        .requires
        .iter()
        .find(|condition| !condition.holds(values))
        .map(|condition| (condition.value.clone(), condition.advice()))
        .or_else(|| not_exposed(&receives.exposed, &addresses, values))
        .or_else(|| endpoints.is_empty().then(|| not_listening(receives, values)).flatten());
    let obstacle = obstacle.map(|(path, hint)| {
        let message = format!("spokes cannot reach the endpoint for {} here", end.signal);
        Finding::new(&path.steps(), message).hint(hint)
    });
    end.unreachable = obstacle.or_else(|| unknown_address(document.cluster, &end.signal, &receives.exposed));
    if end.unreachable.is_some() {
        return;
    }
    let tenants = receives.tenant.as_ref().filter(|tenant| tenant.holds(values));
    let namespace = document.addon.map_or("", |addon| &addon.facts.namespace);
    end.receivers.extend(endpoints.iter().flat_map(|endpoint| {
        addresses.iter().map(|host| Receiver {
            endpoint: address_of(endpoint, *host, values),
            namespace: namespace.to_owned(),
            tenants: tenants.map(Condition::counter_advice),
        })
    }));
}

fn addresses(document: &Document<'_>, exposed: &Exposed) -> Vec<IpAddr> {
    match exposed {
        Exposed::Service { service, .. } => addresses_of(document.exposed, &service.steps()).collect(),
        Exposed::Address { address } => {
            document.cluster.facts.addresses.get(address).copied().map(Address::ip).into_iter().collect()
        }
    }
}

/// Returns what keeps a Service from having an address.
fn not_exposed(exposed: &Exposed, addresses: &[IpAddr], values: &Value) -> Option<(ValuePath, String)> {
    // An address that the cluster does not have is missing from the facts, and not in the values.
    let Exposed::Service { service, r#type } = exposed else { return None };
    let type_at = r#type.clone().unwrap_or_else(|| service.join("type"));
    if type_at.text(values) != Some("LoadBalancer") {
        let hint = format!("set `{type_at}: LoadBalancer`, and `{ADDRESS_KEY}` to an address of the pool");
        return Some((type_at, hint));
    }
    let address_at = service.join(ADDRESS_KEY);
    let hint = format!("set `{address_at}` to an address of the pool");
    addresses.is_empty().then_some((address_at, hint))
}

/// Finds a receiver at an address that its cluster does not have.
fn unknown_address(cluster: &Cluster, signal: &str, exposed: &Exposed) -> Option<Finding> {
    let Exposed::Address { address } = exposed else { return None };
    let known = &cluster.facts.addresses;
    if known.contains_key(address) {
        return None;
    }
    let message = format!("`{}` has no address `{address}`", cluster.name);
    let hint = match did_you_mean(address, known.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to `addresses` of the cluster".to_owned(),
    };
    let path = ["receives", signal, "exposed", "address"].map(key);
    Some(Finding::new(&path, message).hint(hint).on(Part::Addon))
}

/// Returns what keeps the program from listening where its Service leads to.
fn not_listening(receives: &Receives, values: &Value) -> Option<(ValuePath, String)> {
    let first = receives.endpoints.first()?;
    let listen = first.listen.clone()?;
    let port = first.port.of(values);
    Some((listen, format!("let it listen on port `{port}` of every address: the Service leads there")))
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
    let items: Vec<(Step, &Value)> = match each.of(values) {
        Some(Value::List(items)) => {
            items.iter().enumerate().map(|(index, item)| (Step::Index(index), item)).collect()
        }
        Some(Value::Map(map)) => map.iter().map(|(name, item)| (key(name), item)).collect(),
        _ => Vec::new(),
    };
    let below = |(step, item)| sender(target, [each.steps(), vec![step]].concat(), item);
    items.into_iter().filter_map(below).collect()
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
    let tenant = match &target.tenant {
        Some(tenant) if tenant.text(item).is_some() => Tenant::Named,
        Some(tenant) => Tenant::By(format!("`{tenant}`")),
        None => Tenant::By("its configuration".to_owned()),
    };
    Some(Sender { path, part: Part::Value, url, tenant })
}
