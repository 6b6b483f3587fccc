//! Where Vault is: a store names an address, and a Service of the hub has it.

use std::collections::BTreeMap;

use http::Uri;
use renderer::render::RenderedCluster;
use renderer::verify::ADDRESS_ANNOTATIONS;
use serde_json::Value;

/// The labels by which a replica says what it is in (Vault's service registration): a Service may lead to the active one alone.
const OWN_LABELS: [&str; 5] =
    ["vault-active", "vault-sealed", "vault-initialized", "vault-perf-standby", "vault-version"];

/// A secret store of External Secrets that is kept in Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where Vault is, as clusters reach it.
    pub server: String,
    /// The engine for secrets, of version 2.
    pub engine: String,
}

/// Where Vault runs: the pods of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// The port of a pod: a number, or the name of a container's port.
    pub port: String,
    /// Whether the port is encrypted.
    pub is_encrypted: bool,
}

impl Store {
    /// Reads a store of External Secrets, if it is in Vault.
    pub(super) fn of(store: &Value) -> Option<Self> {
        let vault = &store["spec"]["provider"]["vault"];
        let text = |key: &str| Some(vault[key].as_str()?.trim_matches('/').to_owned());
        (vault["version"] == "v2").then_some(())?;
        Some(Self { server: text("server")?, engine: text("path")? })
    }

    /// Returns the store of a cluster, from what is rendered for it.
    #[must_use]
    pub fn of_cluster(rendered: &RenderedCluster) -> Option<Self> {
        objects(rendered).iter().filter(|it| it["kind"] == "ClusterSecretStore").find_map(Self::of)
    }

    /// Returns where Vault runs: behind the Service that has the address of the store, or asks for it.
    #[must_use]
    pub fn place(&self, services: &[Value]) -> Option<Place> {
        let server: Uri = self.server.parse().ok()?;
        let (host, is_encrypted) =
            (server.host()?.trim_matches(['[', ']']), server.scheme_str() == Some("https"));
        let port = server.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        services.iter().find_map(|service| {
            let metadata = &service["metadata"];
            let ports = service["spec"]["ports"].as_array().into_iter().flatten();
            let port = ports.clone().find(|it| it["port"] == port).filter(|_| has_address(service, host))?;
            let target = ["targetPort", "port"].iter().map(|key| &port[*key]).find(|it| !it.is_null())?;
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(service["spec"]["selector"].clone()).ok()?;
            labels.retain(|name, _| !OWN_LABELS.contains(&name.as_str()));
            Some(Place {
                namespace: metadata["namespace"].as_str()?.to_owned(),
                labels,
                port: target.as_str().map_or_else(|| target.to_string(), str::to_owned),
                is_encrypted,
            })
        })
    }
}

impl Place {
    /// Returns the port of one of the pods.
    #[must_use]
    pub fn port_of(&self, pod: &Value) -> Option<u16> {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut ports = containers.flat_map(|it| it["ports"].as_array().into_iter().flatten());
        self.port.parse().ok().or_else(|| {
            let port = ports.find(|it| it["name"] == self.port.as_str())?;
            u16::try_from(port["containerPort"].as_u64()?).ok()
        })
    }
}

fn has_address(service: &Value, address: &str) -> bool {
    let annotations = &service["metadata"]["annotations"];
    let asked = ADDRESS_ANNOTATIONS.iter().filter_map(|name| annotations[name].as_str());
    let asked = asked.chain(service["spec"]["loadBalancerIP"].as_str()).flat_map(|text| text.split(','));
    let given = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    given.filter_map(|it| it["ip"].as_str()).chain(asked).any(|it| it.trim() == address)
}

/// Returns the objects that are rendered for a cluster.
pub(super) fn objects(cluster: &RenderedCluster) -> Vec<Value> {
    let read = |bytes: &[u8]| serde_yaml::from_multiple::<Value>(std::str::from_utf8(bytes).ok()?).ok();
    let files = cluster.iter_files().filter_map(|file| read(&file.bytes));
    files.flatten().filter(|object| object.get("kind").is_some()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_service_with_the_address_of_the_store_leads_to_its_pods() {
        let store = Store { server: "https://10.0.0.6:8200".to_owned(), engine: "platform".to_owned() };
        let service = |annotations: Value, status: Value, port: u16| {
            json!({
                "metadata": {"namespace": "vault", "name": "ui", "annotations": annotations}, "status": status,
                "spec": {"selector": {"app": "vault", "vault-active": "true"}, "ports": [{"port": port, "targetPort": 8201}]},
            })
        };
        let given = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.6"}]}});
        let place = Place {
            namespace: "vault".to_owned(),
            labels: BTreeMap::from([("app".to_owned(), "vault".to_owned())]),
            port: "8201".to_owned(),
            is_encrypted: true,
        };
        let asked = json!({ADDRESS_ANNOTATIONS[0]: "10.0.0.6"});
        assert_eq!(store.place(&[service(json!({}), given.clone(), 8200)]), Some(place.clone()));
        assert_eq!(store.place(&[service(asked, json!({}), 8200)]), Some(place));
        assert_eq!(store.place(&[service(json!({}), given, 8300)]), None);
        assert_eq!(store.place(&[service(json!({}), json!({}), 8200)]), None);
    }

    #[test]
    fn a_port_with_a_name_is_that_of_each_pod() {
        let place = |port: &str| Place {
            namespace: "vault".to_owned(),
            labels: BTreeMap::new(),
            port: port.to_owned(),
            is_encrypted: true,
        };
        let pod =
            json!({"spec": {"containers": [{}, {"ports": [{"name": "https", "containerPort": 8300}]}]}});
        assert_eq!(place("https").port_of(&pod), Some(8300));
        assert_eq!(place("8200").port_of(&pod), Some(8200));
        assert_eq!(place("http").port_of(&pod), None);
    }
}
