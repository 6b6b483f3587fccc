//! Secrets: where Vault answers, who asks it, and by which auth mount each cluster logs in.

use std::collections::BTreeMap;

use crate::inventory::key;
use crate::key_path::{Step, text_of};
use crate::path::ClusterName;
use crate::yaml::Value;

use super::super::{Finding, Part};
use super::endpoint::Endpoint;
use super::route::{self, Ends, Login, Receiver, Sender, Signal};
use super::{ClusterFlows, ExposedAddress, FlowFinding, Flows, addresses_of, bool_at, port, text_at};

/// The chart of Vault: the server, or on a spoke only the injector.
pub(super) const CHART: &str = "vault";

/// The port of Vault's Service for people where none is set (`ui.externalPort`).
const VAULT_PORT: u16 = 8200;
/// Where External Secrets looks for the auth method where nothing is set.
const DEFAULT_MOUNT: &str = "kubernetes";

/// What is asked of Vault must reach it, and each cluster must log in by its own mount.
pub(in super::super) fn secrets_are_reached(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = route::arrives(flows, Signal::Secrets);
    for cluster in flows.each() {
        findings.extend(names_inside_fit(cluster));
    }
    findings.extend(mounts_are_their_own(flows));
    findings
}

/// Reads the values of Vault's chart: of a server, or of an injector that asks one elsewhere.
pub(super) fn vault(values: &Value, exposed: &[ExposedAddress]) -> Ends {
    let outside = [&["global", "externalVaultAddr"][..], &["injector", "externalVaultAddr"]];
    let outside = outside.into_iter().find_map(|path| {
        let url = text_at(values, path).filter(|url| !url.is_empty())?;
        Some((path, url))
    });
    let mut ends = match outside {
        Some((path, url)) => Ends { senders: vec![asking(&keys(path), url)], ..Ends::new(Signal::Secrets) },
        None => server(values, exposed),
    };
    let at = ["injector", "authPath"];
    if let Some(written) = text_at(values, &at) {
        if let Some(mount) = written.strip_prefix("auth/") {
            ends.logins.push(Login { path: keys(&at), mount: mount.to_owned() });
        } else {
            let message = format!("`{written}` is not a path that Vault's agent can log in at");
            let hint = format!("write `auth/{written}`");
            ends.faults.push(Finding::new(&keys(&at), message).hint(hint));
        }
    }
    ends
}

fn keys(path: &[&str]) -> Vec<Step> {
    path.iter().map(|name| key(name)).collect()
}

fn asking(path: &[Step], url: &str) -> Sender {
    Sender {
        path: path.to_vec(),
        part: Part::Value,
        url: url.trim_end_matches('/').to_owned(),
        names_tenant: true,
    }
}

fn server(values: &Value, exposed: &[ExposedAddress]) -> Ends {
    let scheme = if is_plain(values) { "http" } else { "https" };
    let port = port(values, &["ui", "externalPort"], VAULT_PORT);
    let receiver = |host| Receiver {
        endpoint: Endpoint { scheme: scheme.to_owned(), host, port, path: "/".to_owned() },
        wants_tenant: false,
    };
    let deaf = deafness(values, exposed);
    let receivers = match deaf {
        None => addresses_of(exposed, &["ui"]).map(receiver).collect(),
        Some(_) => Vec::new(),
    };
    let faults = listener_fault(values).into_iter().collect();
    Ends { receivers, deaf, faults, ..Ends::new(Signal::Secrets) }
}

/// Returns whether the chart takes Vault to speak plain text.
fn is_plain(values: &Value) -> bool {
    bool_at(values, &["global", "tlsDisable"], true)
}

fn deafness(values: &Value, exposed: &[ExposedAddress]) -> Option<Finding> {
    let (path, hint) = if !bool_at(values, &["ui", "enabled"], false) {
        (
            ["ui", "enabled"],
            "set `ui.enabled: true`: it is the one Service of the chart that can have an address",
        )
    } else if text_at(values, &["ui", "serviceType"]) != Some("LoadBalancer") {
        (
            ["ui", "serviceType"],
            "set `serviceType: LoadBalancer`, and `loadBalancerIP` to an address of the pool",
        )
    } else if addresses_of(exposed, &["ui"]).next().is_none() {
        (["ui", "loadBalancerIP"], "set `loadBalancerIP` to an address of the pool")
    } else {
        return None;
    };
    Some(Finding::new(&keys(&path), Signal::Secrets.deaf()).hint(hint))
}

/// Vault's own configuration is a text that the chart does not look into; its probes and addresses follow `tlsDisable`.
fn listener_fault(values: &Value) -> Option<Finding> {
    let path: &[&str] = if !bool_at(values, &["server", "ha", "enabled"], false) {
        &["server", "standalone", "config"]
    } else if bool_at(values, &["server", "ha", "raft", "enabled"], false) {
        &["server", "ha", "raft", "config"]
    } else {
        &["server", "ha", "config"]
    };
    let config = match values.at(path) {
        None => None,
        Some(Value::String(text)) => Some(text.as_str()),
        // In another form, what the listener does is not read here.
        Some(_) => return None,
    };
    // The chart's own text turns TLS off.
    let (line, is_off) = config.map_or((None, true), tls_of_listener);
    let is_plain = is_plain(values);
    if is_off == is_plain {
        return None;
    }
    let says = |is_plain| if is_plain { "without TLS" } else { "with TLS" };
    let message =
        format!("Vault listens {}, and the chart takes it to listen {}", says(is_off), says(is_plain));
    let hint = format!("make `tls_disable` in `{}` agree with `global.tlsDisable`", text_of(&keys(path)));
    let place = if config.is_some() { keys(path) } else { keys(&["global", "tlsDisable"]) };
    Some(Finding::new(&place, message).on(line.map_or(Part::Value, Part::Line)).hint(hint))
}

/// Reads whether a listener turns TLS off, and the line that says so or, if none does, opens the listener.
fn tls_of_listener(config: &str) -> (Option<usize>, bool) {
    let mut opens = None;
    for (line, written) in config.lines().enumerate() {
        let written = written.trim();
        if written.starts_with("listener") {
            opens.get_or_insert(line);
        }
        if let Some(value) =
            written.strip_prefix("tls_disable").and_then(|rest| rest.trim_start().strip_prefix('='))
        {
            let value = value.split('#').next().unwrap_or("").trim().trim_matches('"');
            return (Some(line), ["1", "true"].contains(&value));
        }
    }
    (opens, false)
}

/// Reads a secret store of External Secrets that leads to Vault; nothing if the object is something else.
pub(super) fn store(object: &Value) -> Option<Ends> {
    let kind = text_at(object, &["kind"])?;
    let is_store = ["ClusterSecretStore", "SecretStore"].contains(&kind)
        && text_at(object, &["apiVersion"])
            .is_some_and(|version| version.starts_with("external-secrets.io/"));
    let at = ["spec", "provider", "vault"];
    let vault = object.at(&at).filter(|_| is_store)?;
    let below = |rest: &[&str]| keys(&[&at[..], rest].concat());
    let mut ends = Ends::new(Signal::Secrets);
    if let Some(url) = text_at(vault, &["server"]) {
        ends.senders.push(asking(&below(&["server"]), url));
        ends.faults.extend(trust_fault(vault, url, &below(&["server"])));
    }
    let has_namespace = vault.at(&["caProvider", "namespace"]).is_some();
    if kind == "ClusterSecretStore" && vault.get("caProvider").is_some() && !has_namespace {
        let message = "a ClusterSecretStore must say in which namespace its certificate lies";
        ends.faults.push(Finding::new(&below(&["caProvider"]), message).hint("add `namespace:`"));
    }
    if let Some(kubernetes) = vault.at(&["auth", "kubernetes"]) {
        let mount = text_at(kubernetes, &["mountPath"]).unwrap_or(DEFAULT_MOUNT);
        let path = below(&["auth", "kubernetes", "mountPath"]);
        if let Some(rest) = mount.strip_prefix("auth/") {
            let message = format!("`{mount}` would be looked for at `auth/{mount}`");
            ends.faults.push(Finding::new(&path, message).hint(format!("write `{rest}`")));
        } else {
            ends.logins.push(Login { path, mount: mount.trim_matches('/').to_owned() });
        }
    }
    Some(ends)
}

/// No authority that everybody trusts vouches for an address or a name inside a cluster.
fn trust_fault(vault: &Value, url: &str, path: &[Step]) -> Option<Finding> {
    let is_trusted = vault.get("caProvider").is_some() || vault.get("caBundle").is_some();
    let is_own = Endpoint::parse(url).is_some() || url.contains(".svc");
    if is_trusted || !is_own || !url.starts_with("https://") {
        return None;
    }
    let message = format!("nothing says by which authority the certificate of `{url}` is judged");
    Some(Finding::new(path, message).hint("add `caProvider` with the Secret or ConfigMap that holds it"))
}

/// Where Vault is asked by its name inside the cluster, the scheme must be the one that it speaks.
fn names_inside_fit(cluster: &ClusterFlows<'_>) -> Vec<FlowFinding> {
    let Some(vault) = cluster.receivers(Signal::Secrets).next() else { return Vec::new() };
    let speaks = &vault.endpoint.scheme;
    let senders =
        cluster.ends(Signal::Secrets).flat_map(|(at, ends)| ends.senders.iter().map(move |it| (at, it)));
    let others = senders.filter(|(_, sender)| {
        let scheme = sender.url.split("://").next().unwrap_or_default();
        sender.url.contains(".svc") && scheme != speaks
    });
    others
        .map(|(at, sender)| {
            let message = format!("Vault is asked at `{}`, and speaks `{speaks}`", sender.url);
            let hint = "make it agree with `global.tlsDisable` of Vault";
            cluster.finding_in(at, Finding::new(&sender.path, message).hint(hint))
        })
        .collect()
}

/// A mount knows one cluster: whoever logs in at that of another is told that the token is wrong.
fn mounts_are_their_own(flows: &Flows<'_>) -> Vec<FlowFinding> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<(&ClusterName, &str), &ClusterName> = BTreeMap::new();
    for cluster in flows.each() {
        let (name, hub) = (&cluster.cluster.name, &cluster.cluster.hub);
        let logins =
            cluster.ends(Signal::Secrets).flat_map(|(at, ends)| ends.logins.iter().map(move |it| (at, it)));
        let mut first: Option<&Login> = None;
        for (at, login) in logins {
            let mount = login.mount.as_str();
            let owner = *owners.entry((hub, mount)).or_insert(name);
            let known = *first.get_or_insert(login);
            let (message, hint) = if owner != name {
                (
                    format!("`{name}` logs in to Vault at the mount `{mount}`, and so does `{owner}`"),
                    "give each cluster a mount of its own: a mount judges the tokens of one cluster",
                )
            } else if known.mount == mount {
                continue;
            } else {
                (
                    format!(
                        "`{name}` logs in to Vault at the mount `{mount}`, and elsewhere at `{}`",
                        known.mount
                    ),
                    "use one mount for all of a cluster",
                )
            };
            findings.push(cluster.finding_in(at, Finding::new(&login.path, message).hint(hint)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_says_in_several_ways_that_it_does_without_tls() {
        for (config, told) in [
            ("listener \"tcp\" {\n  tls_disable = 1\n}", (Some(1), true)),
            ("listener \"tcp\" {\n  tls_disable=\"true\" # for now\n}", (Some(1), true)),
            ("listener \"tcp\" {\n  tls_disable = 0\n}", (Some(1), false)),
            (
                "ui = true\nlistener \"tcp\" {\n  tls_cert_file = \"/tls/tls.crt\"\n  tls_disable_client_certs = true\n}",
                (Some(1), false),
            ),
        ] {
            assert_eq!(tls_of_listener(config), told, "{config}");
        }
    }
}
