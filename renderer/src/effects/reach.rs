//! What can be reached from where: network policies, and the addresses of Services, Ingresses and Gateways.

use super::found::{Texts, delta, effect, of_sides};
use super::kind::EffectKind;
use super::model::Effect;
use super::objects::{Objects, Pair};
use super::pods::strings;
use crate::plan::show::inline;
use crate::yaml::Value;

/// Network policies that allow more or less.
pub(super) fn policies(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    if pair.kind() != ("networking.k8s.io", "NetworkPolicy") {
        return Vec::new();
    }
    let effect = |kind, note| effect(objects.addon, pair, kind, note);
    let (old, new) = match (pair.old, pair.new) {
        (Some(old), Some(new)) => (old, new),
        (Some(old), None) => {
            let note = "the policy goes: the pods that it selects are open unless another one selects them";
            return vec![
                effect(EffectKind::NetworkOpened, note).with(allowed(old).into_iter().collect(), Vec::new()),
            ];
        }
        (None, new) => {
            let note = "a new policy: the pods that it selects take and make these connections only";
            let gained = new.map(allowed).unwrap_or_default().into_iter().collect();
            return vec![effect(EffectKind::NetworkClosed, note).with(Vec::new(), gained)];
        }
    };
    let mut found = Vec::new();
    let selector = |value: &Value| value.at(&["spec", "podSelector"]).map(inline).unwrap_or_default();
    if selector(old) != selector(new) {
        let note = "the policy selects other pods: those that it no longer selects are open";
        found.push(effect(EffectKind::NetworkOpened, note).with(vec![selector(old)], vec![selector(new)]));
    }
    let (lost, gained) = delta(&allowed(old), &allowed(new));
    if !gained.is_empty() {
        found.push(effect(EffectKind::NetworkOpened, "the policy allows more").with(Vec::new(), gained));
    }
    if !lost.is_empty() {
        found.push(effect(EffectKind::NetworkClosed, "the policy allows less").with(lost, Vec::new()));
    }
    found
}

/// Returns the connections that a network policy allows.
fn allowed(policy: &Value) -> Texts {
    let types: Vec<&str> = strings(policy.at(&["spec", "policyTypes"])).collect();
    let mut found = Texts::new();
    for (direction, name, key) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        let rules = policy.at(&["spec", name]).and_then(Value::as_list);
        let is_limited =
            types.contains(&direction) || (types.is_empty() && (name == "ingress" || rules.is_some()));
        if !is_limited {
            found.insert(format!("{name} without a limit"));
            continue;
        }
        for rule in rules.unwrap_or_default() {
            let items = |key| rule.get(key).and_then(Value::as_list).unwrap_or_default();
            let mut peers: Vec<String> = items(key).iter().map(inline).collect();
            let mut ports: Vec<String> = items("ports").iter().map(inline).collect();
            if peers.is_empty() {
                peers.push("anywhere".to_owned());
            }
            if ports.is_empty() {
                ports.push("every port".to_owned());
            }
            for peer in &peers {
                found.extend(ports.iter().map(|port| format!("{name} {key} {peer} at {port}")));
            }
        }
    }
    found
}

/// Addresses that appear outside of the cluster, and those that go.
pub(super) fn addresses(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let [old, new] = of_sides(pair, |value| outside(pair, value));
    let (mut lost, gained) = delta(&old, &new);
    let [old, new] = of_sides(pair, |value| inside(pair, value));
    lost.extend(delta(&old, &new).0);
    let mut found = Vec::new();
    if !gained.is_empty() {
        let note = "it is reachable from outside the cluster";
        found.push(effect(objects.addon, pair, EffectKind::AddressExposed, note).with(Vec::new(), gained));
    }
    if !lost.is_empty() {
        let note = "what calls it gets no answer there";
        found.push(effect(objects.addon, pair, EffectKind::AddressWithdrawn, note).with(lost, Vec::new()));
    }
    found
}

/// Returns the ports of a Service as its clients name them.
fn ports(value: &Value) -> impl Iterator<Item = (&Value, String)> {
    value.at(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default().iter().map(|port| {
        let protocol = port.text_at(&["protocol"]).unwrap_or("TCP");
        (port, format!("{}/{protocol}", port.get("port").map(inline).unwrap_or_default()))
    })
}

/// Returns where an object answers inside the cluster.
fn inside(pair: &Pair<'_>, value: &Value) -> Texts {
    if pair.kind() != ("", "Service") {
        return Texts::new();
    }
    ports(value).map(|(_, port)| format!("{port} inside the cluster")).collect()
}

/// Returns where an object answers outside of the cluster.
fn outside(pair: &Pair<'_>, value: &Value) -> Texts {
    match (pair.name.group(), pair.name.kind.as_str()) {
        ("", "Service") => outside_of_service(value),
        ("networking.k8s.io", "Ingress") => {
            let spec = |key| value.at(&["spec", key]);
            let rules = spec("rules").and_then(Value::as_list).unwrap_or_default();
            let mut found: Texts = rules.iter().flat_map(hosts_of_rule).collect();
            found.extend(spec("defaultBackend").map(|_| "any host".to_owned()));
            found
        }
        (_, "Gateway") => listeners(value),
        (_, kind) if kind.ends_with("Route") => {
            strings(value.at(&["spec", "hostnames"])).map(str::to_owned).collect()
        }
        _ => Texts::new(),
    }
}

fn outside_of_service(value: &Value) -> Texts {
    let kind = value.text_at(&["spec", "type"]).unwrap_or("ClusterIP");
    let mut found = Texts::new();
    let external: Vec<&str> = strings(value.at(&["spec", "externalIPs"])).collect();
    let address = value.text_at(&["spec", "loadBalancerIP"]).or_else(|| {
        let annotations = value.at(&["metadata", "annotations"]).and_then(Value::as_map)?;
        let mut named = annotations.iter().filter(|(key, _)| key.ends_with("/loadBalancerIPs"));
        named.find_map(|(_, address)| address.as_str())
    });
    let sources: Vec<&str> = strings(value.at(&["spec", "loadBalancerSourceRanges"])).collect();
    let sources = if sources.is_empty() { String::new() } else { format!(" for {}", sources.join(", ")) };
    for (port, name) in ports(value) {
        found.extend(external.iter().map(|address| format!("{address} {name}")));
        if kind == "LoadBalancer" {
            found.insert(format!("LoadBalancer {} {name}{sources}", address.unwrap_or("of any address")));
        }
        if kind == "LoadBalancer" || kind == "NodePort" {
            found.extend(port.get("nodePort").map(|port| format!("port {} of every node", inline(port))));
        }
        if kind == "NodePort" && port.get("nodePort").is_none() {
            found.insert(format!("a port of every node for {name}"));
        }
    }
    found
}

fn hosts_of_rule(rule: &Value) -> Vec<String> {
    let host = rule.text_at(&["host"]).unwrap_or("any host");
    let paths = rule.at(&["http", "paths"]).and_then(Value::as_list).unwrap_or_default();
    if paths.is_empty() {
        return vec![host.to_owned()];
    }
    paths.iter().map(|path| format!("{host}{}", path.text_at(&["path"]).unwrap_or("/"))).collect()
}

/// Returns the hosts and ports that a gateway listens for, in either of the two shapes that there are.
fn listeners(value: &Value) -> Texts {
    let mut found = Texts::new();
    for listener in value.at(&["spec", "listeners"]).and_then(Value::as_list).unwrap_or_default() {
        let text = |key| listener.get(key).map(inline);
        let host = text("hostname").unwrap_or_else(|| "any host".to_owned());
        found.insert(format!(
            "{host} {}/{}",
            text("port").unwrap_or_default(),
            text("protocol").unwrap_or_default()
        ));
    }
    for server in value.at(&["spec", "servers"]).and_then(Value::as_list).unwrap_or_default() {
        let text = |key| server.at(&["port", key]).map(inline).unwrap_or_default();
        let hosts = strings(server.get("hosts"));
        found.extend(hosts.map(|host| format!("{host} {}/{}", text("number"), text("protocol"))));
    }
    found
}
