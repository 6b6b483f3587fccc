//! The tables: what the inventory, the templates and the rendered files say of the fleet, as Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU16;
use std::process::Command;

use renderer::inventory::Cluster;
use renderer::network::{Address, bracketed};
use renderer::path::{AddonName, ClusterName};
use renderer::render::Rendered;
use serde_json::Value;

use crate::{buffers, objects, repository};

/// Returns the table of a name, or none if there is no such table.
pub fn table(rendered: &Rendered, name: &str) -> Option<String> {
    Some(match name.split_once(' ') {
        None if name == "diagram" => diagram(),
        None if name == "clusters" => clusters(rendered),
        None if name == "addresses" => addresses(rendered),
        None if name == "ports" => ports(rendered),
        None if name == "flows" => flows(rendered),
        None if name == "policies" => policies(rendered),
        None if name == "buffers" => buffers::table(rendered),
        None if name == "charts" => charts(rendered),
        None if name == "secrets" => secrets(rendered),
        Some(("system", addon)) => system(rendered, addon)?,
        _ => return None,
    })
}

/// Writes rows under a head. Equal rows are one row, and rows are in order.
pub fn written(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    // A bar in a cell would end it.
    let escaped = |cells: Vec<String>| cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>();
    row(&head) + &rule + &rows.into_iter().map(escaped).map(|cells| row(&cells)).collect::<String>()
}

fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

fn listed(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

/// The product's own drawing.
fn diagram() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetwright"))
        .args(["clusters", "--format", "mermaid", "--repo"])
        .arg(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("```mermaid\n{}```\n", String::from_utf8(output.stdout).unwrap())
}

fn clusters(rendered: &Rendered) -> String {
    let row = |cluster: &Cluster| {
        let facts = &cluster.facts;
        let machines = &facts.machines;
        vec![
            cluster.name.to_string(),
            facts.role.as_str().to_owned(),
            cluster.hub.to_string(),
            format!("{} + {}", machines.control_plane.count, machines.workers.count),
            code(&facts.networks.pods),
            code(&facts.networks.services),
            facts.load_balancer.as_ref().map_or_else(String::new, |balancer| code(&balancer.pool)),
            facts.api_server.as_ref().map_or_else(String::new, |server| {
                code(format!("{}:{}", bracketed(&server.address.to_string()), server.port))
            }),
        ]
    };
    let head = ["cluster", "role", "hub", "nodes", "pods", "services", "address pool", "API server"];
    written(&head, rendered.inventory.clusters.values().map(|cluster| row(cluster)))
}

fn addresses(rendered: &Rendered) -> String {
    let mut rows: BTreeMap<Address, (String, String)> = BTreeMap::new();
    for (name, cluster) in &rendered.inventory.clusters {
        let fact = |path: &str| format!("`{path}` in `{}`", cluster.file);
        if let Some(server) = &cluster.facts.api_server {
            rows.insert(server.address, (format!("API server of {name}"), fact("apiServer.address")));
        }
        for (what, address) in &cluster.facts.addresses {
            rows.insert(*address, (format!("{what} on {name}"), fact(&format!("addresses.{what}"))));
        }
    }
    for (name, machine) in &rendered.inventory.fleet.facts.machines {
        let fact = format!("`machines.{name}.address` in `environments/_fleet.yaml`");
        rows.insert(machine.address, (format!("machine {name}"), fact));
    }
    let row = |(address, (what, fact))| vec![code(address), what, fact];
    written(&["address", "what is there", "where it is written"], rows.into_iter().map(row))
}

fn ports(rendered: &Rendered) -> String {
    let facts = &rendered.inventory.fleet.facts;
    let named = facts.ports.iter().map(|(name, port)| (name.clone(), *port, format!("ports.{name}")));
    let machines = facts.machines.iter().flat_map(|(name, machine)| {
        let service = machine.port.map(|port| (name.clone(), port, format!("machines.{name}.port")));
        let metrics = machine
            .metrics_port
            .map(|port| (format!("{name}, its metrics"), port, format!("machines.{name}.metricsPort")));
        service.into_iter().chain(metrics)
    });
    let row = |(name, port, fact): (String, NonZeroU16, String)| vec![port.to_string(), name, code(fact)];
    let mut rows: Vec<_> = named.chain(machines).collect();
    rows.sort_by_key(|(name, port, _)| (*port, name.clone()));
    written(&["port", "of", "fact in `environments/_fleet.yaml`"], rows.into_iter().map(row))
}

/// What crosses from one cluster to another, read from the rendered values.
fn flows(rendered: &Rendered) -> String {
    let mut rows = BTreeSet::new();
    for (name, cluster) in &rendered.clusters {
        let hub = &rendered.inventory.clusters[&rendered.inventory.clusters[name].hub];
        for (what, url) in cluster.sends() {
            // A name and not an address stays within the cluster.
            if let Some(receiver) = receiver(hub, url) {
                rows.insert(vec![name.to_string(), what.to_owned(), code(url), receiver]);
            }
        }
    }
    written(&["from", "what", "to", "which is"], rows)
}

fn receiver(hub: &Cluster, url: &str) -> Option<String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?;
    let address: Address = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
        .trim_matches(['[', ']'])
        .parse()
        .ok()?;
    let (name, _) = hub.facts.addresses.iter().find(|(_, own)| **own == address)?;
    Some(format!("{name} on {}", hub.name))
}

/// Who may speak to whom, as `NetworkPolicies` of our own say; those that charts write are not among them.
fn policies(rendered: &Rendered) -> String {
    let mut rows = BTreeSet::new();
    for landed in objects::all(rendered) {
        if landed.object["kind"] != "NetworkPolicy" {
            continue;
        }
        let pods = &landed.object["spec"]["podSelector"]["matchLabels"];
        for rule in landed.object["spec"]["ingress"].as_array().unwrap() {
            let from = rule["from"].as_array().unwrap().iter().map(peer);
            let ports = rule["ports"].as_array();
            let ports = ports.map_or_else(|| "all".to_owned(), |ports| listed(ports.iter().map(port)));
            rows.insert(vec![
                landed.cluster.to_string(),
                landed.namespace.clone(),
                labels(pods),
                listed(from),
                ports,
            ]);
        }
    }
    written(&["cluster", "namespace", "pods", "take from", "on ports"], rows)
}

fn labels(labels: &Value) -> String {
    let labels = labels.as_object().unwrap();
    listed(labels.iter().map(|(key, value)| code(format!("{key}={}", value.as_str().unwrap()))))
}

fn peer(peer: &Value) -> String {
    match peer["ipBlock"]["cidr"].as_str() {
        Some(network) => code(network),
        None if peer["namespaceSelector"] == serde_json::json!({}) => "every pod of the cluster".to_owned(),
        None if *peer == serde_json::json!({ "podSelector": {} }) => "every pod of the namespace".to_owned(),
        None => match peer.pointer("/namespaceSelector/matchLabels/kubernetes.io~1metadata.name") {
            Some(namespace) => format!("every pod of {}", namespace.as_str().unwrap()),
            None => code(peer),
        },
    }
}

fn port(port: &Value) -> String {
    match port["port"].as_str() {
        Some(name) => name.to_owned(),
        None => port["port"].to_string(),
    }
}

fn charts(rendered: &Rendered) -> String {
    let row = |name: &AddonName| {
        let addon = &rendered.catalog.addons[name].facts;
        let runs = placed_on(rendered, name);
        vec![
            name.to_string(),
            addon.chart.as_ref().map_or_else(|| "– (manifests)".to_owned(), |chart| chart.name.clone()),
            addon.chart.as_ref().map_or_else(String::new, |chart| chart.version.clone()),
            addon.namespace.clone(),
            if runs.is_empty() { "– (off)".to_owned() } else { listed(runs) },
        ]
    };
    written(&["add-on", "chart", "version", "namespace", "runs on"], rendered.catalog.addons.keys().map(row))
}

fn placed_on(rendered: &Rendered, addon: &AddonName) -> Vec<String> {
    let clusters = rendered.clusters.iter();
    clusters
        .filter(|(_, cluster)| cluster.addons().any(|name| name == addon))
        .map(|(name, _)| name.to_string())
        .collect()
}

/// What there is to know of one add-on: its chart, and what it is set to on each cluster.
fn system(rendered: &Rendered, addon: &str) -> Option<String> {
    let (name, entry) = rendered.catalog.addons.iter().find(|(name, _)| name.as_str() == addon)?;
    let chart = entry.facts.chart.as_ref();
    let chart = chart.map(|chart| format!("{} {} from <{}>", chart.name, chart.version, chart.repository));
    let runs = placed_on(rendered, name);
    let fact = |what: &str, value: String| vec![what.to_owned(), value];
    let mut rows = vec![
        fact("add-on", code(format!("templates/addons/{name}/"))),
        fact("chart", chart.unwrap_or_else(|| "none: it consists of its manifests".to_owned())),
        fact("namespace", code(&entry.facts.namespace)),
        fact("runs on", if runs.is_empty() { "no cluster; it is off".to_owned() } else { listed(runs) }),
    ];
    rows.extend(settings(rendered, name).into_iter().map(|(setting, values)| {
        let description = entry.facts.settings[&setting]["description"].as_str().unwrap_or_default();
        fact(&code(format!("settings.{setting}")), format!("{values}<br>{description}"))
    }));
    Some(written(&["", ""], rows))
}

/// Returns each setting with its value, or with the value on each cluster where they differ; where the add-on
/// is off, with its default.
fn settings(rendered: &Rendered, addon: &AddonName) -> BTreeMap<String, String> {
    let declared = &rendered.catalog.addons[addon].facts.settings;
    let mut values: BTreeMap<&String, BTreeMap<String, Vec<&ClusterName>>> = BTreeMap::new();
    for name in rendered.clusters.keys() {
        for placed in rendered.scope(name).addons.iter().filter(|placed| placed.addon.name == *addon) {
            for setting in declared.keys() {
                let value = placed.settings[setting].to_string();
                values.entry(setting).or_default().entry(value).or_default().push(name);
            }
        }
    }
    let text = |setting: &String| match values.get(setting) {
        None => code(&declared[setting]["default"]),
        Some(values) if values.len() == 1 => code(values.keys().next().unwrap()),
        Some(values) => listed(values.iter().map(|(value, names)| {
            format!("{} on {}", code(value), listed(names.iter().map(ToString::to_string)))
        })),
    };
    declared.keys().map(|setting| (setting.clone(), text(setting))).collect()
}

/// A Secret that is filled from Vault.
#[derive(Default)]
struct Filled {
    keys: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

/// Every path in Vault that something of the fleet reads, with the keys that have to be there and the Secrets
/// that they fill.
fn secrets(rendered: &Rendered) -> String {
    let vault = rendered.inventory.fleet.facts.secrets.as_ref().unwrap();
    let mut paths: BTreeMap<String, Filled> = BTreeMap::new();
    for landed in objects::all(rendered) {
        let (spec, namespace) = match landed.object["kind"].as_str() {
            Some("ExternalSecret") => (&landed.object["spec"], landed.namespace.clone()),
            Some("ClusterExternalSecret") => {
                let selector = &landed.object["spec"]["namespaceSelectors"][0]["matchLabels"];
                let namespaces = format!("namespaces labelled {}", labels(selector));
                (&landed.object["spec"]["externalSecretSpec"], namespaces)
            }
            _ => continue,
        };
        if spec["secretStoreRef"]["name"] != vault.store.as_str() {
            continue;
        }
        let secret = spec["target"]["name"].as_str().unwrap();
        for (path, key) in read_by(spec) {
            let entry = paths.entry(format!("{}/{path}", vault.engine)).or_default();
            match key {
                Some(key) => entry.keys.extend([code(key)]),
                None => entry.keys.extend(keys_named_in(&landed.template)),
            }
            entry.secrets.extend([format!("{} in {namespace} on {}", code(secret), landed.cluster)]);
        }
    }
    let row = |(path, filled): (String, Filled)| {
        let keys =
            if filled.keys.is_empty() { "as its users expect".to_owned() } else { listed(filled.keys) };
        vec![code(path), keys, filled.secrets.into_iter().collect::<Vec<_>>().join("<br>")]
    };
    written(&["path in Vault", "keys", "becomes the Secret"], paths.into_iter().map(row))
}

/// Returns each path that an `ExternalSecret` reads, with the key, or without one if it takes all that are there.
fn read_by(spec: &Value) -> Vec<(&str, Option<&str>)> {
    let items = |key: &str| spec[key].as_array().into_iter().flatten();
    let single = items("data").map(|item| &item["remoteRef"]);
    let single = single.map(|remote| (remote["key"].as_str().unwrap(), remote["property"].as_str()));
    let whole = items("dataFrom").map(|item| (item["extract"]["key"].as_str().unwrap(), None));
    single.chain(whole).collect()
}

/// Returns the keys that a template's comments name: `the key `a``, `the keys `a` and `b``.
fn keys_named_in(template: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(template)).unwrap();
    let prose = text.replace("\n# ", " ");
    let Some((_, rest)) = prose.split_once("the keys `").or_else(|| prose.split_once("the key `")) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    let mut rest = rest;
    while let Some((key, after)) = rest.split_once('`') {
        keys.push(code(key));
        let Some(next) = after.strip_prefix(" and `").or_else(|| after.strip_prefix(", `")) else { break };
        rest = next;
    }
    keys
}
