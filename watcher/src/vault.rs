//! Vault, or what has its HTTP interface: where it is, what its answers mean, what is written to it. Pure.
//!
//! Where it is follows from what is rendered for External Secrets: a store names an address, and a Service of the hub has it.

use std::collections::BTreeMap;

use http::Uri;
use renderer::inventory::Cluster;
use renderer::render::{Rendered, RenderedCluster};
use renderer::verify::ADDRESS_ANNOTATIONS;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::cluster::Key;

/// The label of the Secret by which Argo CD knows a cluster.
const REGISTERS: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");

/// A secret store of External Secrets that is kept in Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where Vault is, as clusters reach it.
    pub server: String,
    /// The engine for secrets, of version 2.
    pub engine: String,
}

/// How a spoke becomes known to its hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where the credential is kept.
    pub store: Store,
    /// The path of the credential in the store.
    pub path: String,
    /// What External Secrets makes of it for Argo CD.
    pub secret: Key,
    /// What reads it: the addresses of `ExternalSecret`s.
    pub readers: Vec<String>,
    /// What waits for the cluster to be known: the addresses of `ApplicationSet`s.
    pub sets: Vec<String>,
}

/// Where Vault runs: the pods of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// The port of a pod.
    pub port: u16,
    /// Whether the port is encrypted.
    pub is_encrypted: bool,
}

/// What a replica is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no keys yet.
    Uninitialized,
    /// It waits for keys.
    Sealed,
    /// It passes on what it is asked.
    Standby,
    /// It answers.
    Active,
}

impl Registration {
    /// Reads how a spoke is registered from what is rendered for it and for its hub.
    #[must_use]
    pub fn read(rendered: &Rendered, spoke: &Cluster) -> Option<Self> {
        let [own, of_hub] =
            [&spoke.name, &spoke.hub].map(|name| rendered.clusters.get(name).map(|it| objects(it)));
        Self::of(&own?, &of_hub?)
    }

    fn of(own: &[Value], of_hub: &[Value]) -> Option<Self> {
        let of_kind = |kind: &'static str| own.iter().filter(move |it| it["kind"] == kind);
        let registers =
            |it: &&Value| it["spec"]["target"]["template"]["metadata"]["labels"][REGISTERS.0] == REGISTERS.1;
        let registration = of_kind("ExternalSecret").find(registers)?;
        let spec = &registration["spec"];
        let path = spec["data"][0]["remoteRef"]["key"].as_str()?.to_owned();
        let store = &spec["secretStoreRef"];
        let is_store = |it: &&Value| it["kind"] == store["kind"] && it["metadata"]["name"] == store["name"];
        let reads = |it: &&Value| {
            let keys = it["spec"]["data"].as_array().into_iter().flatten().map(|it| &it["remoteRef"]["key"]);
            let all = it["spec"]["dataFrom"].as_array().into_iter().flatten().map(|it| &it["extract"]["key"]);
            it["spec"]["secretStoreRef"] == *store && keys.chain(all).any(|key| *key == path)
        };
        let name = spec["target"]["name"].as_str().or(registration["metadata"]["name"].as_str())?.to_owned();
        Some(Self {
            store: Store::of(of_hub.iter().find(is_store)?)?,
            secret: Key { namespace: registration["metadata"]["namespace"].as_str()?.to_owned(), name },
            readers: of_kind("ExternalSecret")
                .filter(reads)
                .filter_map(|it| address(it, "externalsecrets"))
                .collect(),
            sets: of_kind("ApplicationSet").filter_map(|it| address(it, "applicationsets")).collect(),
            path,
        })
    }

    /// Returns whether a Secret is what External Secrets makes of a token.
    #[must_use]
    pub fn is_made_of(secret: &Value, token: &SecretString) -> bool {
        let is_made_of = |data: &Value| {
            let data = data.as_str().and_then(decoded).unwrap_or_default();
            data.contains(token.expose_secret())
        };
        secret["data"].as_object().is_some_and(|data| data.values().any(is_made_of))
    }
}

impl Store {
    fn of(store: &Value) -> Option<Self> {
        let vault = &store["spec"]["provider"]["vault"];
        let text = |key: &str| Some(vault[key].as_str()?.trim_matches('/').to_owned());
        (vault["version"] == "v2").then_some(())?;
        Some(Self { server: text("server")?, engine: text("path")? })
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
            let target = port["targetPort"].as_u64().or_else(|| port["port"].as_u64());
            Some(Place {
                namespace: metadata["namespace"].as_str()?.to_owned(),
                labels: serde_json::from_value(service["spec"]["selector"].clone()).ok()?,
                port: u16::try_from(target?).ok()?,
                is_encrypted,
            })
        })
    }
}

/// Reads what a replica answers about its health.
#[must_use]
pub fn standing(health: &Value) -> Option<Standing> {
    let is = |key: &str| health[key].as_bool();
    Some(match (is("initialized")?, is("sealed")?, is("standby")?) {
        (false, ..) => Standing::Uninitialized,
        (_, true, _) => Standing::Sealed,
        (_, _, true) => Standing::Standby,
        _ => Standing::Active,
    })
}

/// Returns what to write so that a secret has these values beside its others, if it does not have them already; `read` is
/// the answer to reading it. Another writer's change in between is refused by Vault.
#[must_use]
pub fn laid_over(read: &Value, values: &[(&str, &SecretString)]) -> Option<Value> {
    let current = read["data"]["data"].as_object().cloned().unwrap_or_default();
    let mut wanted = current.clone();
    wanted.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.expose_secret().into())));
    let version = read["data"]["metadata"]["version"].as_u64().unwrap_or(0);
    (wanted != current).then(|| json!({ "options": { "cas": version }, "data": wanted }))
}

/// Returns why Vault refuses.
#[must_use]
pub fn reasons(answer: &Value) -> String {
    let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let reasons = errors.collect::<Vec<_>>().join("; ");
    if reasons.is_empty() { "no reason is given".to_owned() } else { reasons }
}

/// Returns what a value of a Secret stands for.
pub(crate) fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

fn has_address(service: &Value, address: &str) -> bool {
    let annotations = &service["metadata"]["annotations"];
    let asked = ADDRESS_ANNOTATIONS.iter().filter_map(|name| annotations[name].as_str());
    let asked = asked.chain(service["spec"]["loadBalancerIP"].as_str()).flat_map(|text| text.split(','));
    let given = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    given.filter_map(|it| it["ip"].as_str()).chain(asked).any(|it| it.trim() == address)
}

fn address(object: &Value, plural: &str) -> Option<String> {
    let (metadata, version) = (&object["metadata"], object["apiVersion"].as_str()?);
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    Some(format!("/apis/{version}/namespaces/{namespace}/{plural}/{name}"))
}

/// Returns the objects that are rendered for a cluster.
fn objects(cluster: &RenderedCluster) -> Vec<Value> {
    let read = |bytes: &[u8]| serde_yaml::from_multiple::<Value>(std::str::from_utf8(bytes).ok()?).ok();
    let files = cluster.iter_files().filter_map(|file| read(&file.bytes));
    files.flatten().filter(|object| object.get("kind").is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Value {
        let vault = json!({"server": "https://10.0.0.6:8200", "path": "platform", "version": "v2"});
        json!({
            "kind": "ClusterSecretStore", "metadata": {"name": "vault"}, "spec": {"provider": {"vault": vault}},
        })
    }

    fn external_secret(namespace: &str, spec: &Value) -> Value {
        let mut object = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": {"name": "cluster-app", "namespace": namespace}, "spec": spec,
        });
        object["spec"]["secretStoreRef"] = json!({"kind": "ClusterSecretStore", "name": "vault"});
        object
    }

    fn own() -> Vec<Value> {
        let labels = json!({"metadata": {"labels": {"argocd.argoproj.io/secret-type": "cluster"}}});
        let data =
            json!([{"secretKey": "token", "remoteRef": {"key": "control/cluster-app", "property": "token"}}]);
        vec![
            external_secret(
                "argocd",
                &json!({"target": {"name": "of-app", "template": labels}, "data": data}),
            ),
            external_secret(
                "external-secrets",
                &json!({"dataFrom": [{"extract": {"key": "control/cluster-app"}}]}),
            ),
            external_secret("vault", &json!({"data": [{"remoteRef": {"key": "control/another"}}]})),
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
                "metadata": {"name": "app", "namespace": "argocd"},
            }),
        ]
    }

    #[test]
    fn what_is_rendered_says_where_a_credential_goes_and_what_reads_it() {
        let found = Registration::of(&own(), &[store()]).unwrap();
        assert_eq!(
            found.store,
            Store { server: "https://10.0.0.6:8200".to_owned(), engine: "platform".to_owned() }
        );
        assert_eq!(
            (found.path.as_str(), found.secret.to_string().as_str()),
            ("control/cluster-app", "argocd/of-app")
        );
        let at = |namespace| {
            format!("/apis/external-secrets.io/v1/namespaces/{namespace}/externalsecrets/cluster-app")
        };
        assert_eq!(found.readers, [at("argocd"), at("external-secrets")]);
        assert_eq!(found.sets, ["/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets/app"]);
        assert_eq!(Registration::of(&own()[1..], &[store()]), None);
        assert_eq!(Registration::of(&own(), &[]), None);
    }

    #[test]
    fn the_service_with_the_address_of_the_store_leads_to_its_pods() {
        let store = Store::of(&store()).unwrap();
        let service = |annotations: Value, status: Value, port: u16| {
            json!({
                "metadata": {"namespace": "vault", "name": "ui", "annotations": annotations}, "status": status,
                "spec": {"selector": {"app": "vault"}, "ports": [{"port": port, "targetPort": 8201}]},
            })
        };
        let given = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.6"}]}});
        let place = Place {
            namespace: "vault".to_owned(),
            labels: BTreeMap::from([("app".to_owned(), "vault".to_owned())]),
            port: 8201,
            is_encrypted: true,
        };
        let asked = json!({ADDRESS_ANNOTATIONS[0]: "10.0.0.6"});
        assert_eq!(store.place(&[service(json!({}), given.clone(), 8200)]), Some(place.clone()));
        assert_eq!(store.place(&[service(asked, json!({}), 8200)]), Some(place));
        assert_eq!(store.place(&[service(json!({}), given, 8300)]), None);
        assert_eq!(store.place(&[service(json!({}), json!({}), 8200)]), None);
    }

    #[test]
    fn what_a_secret_has_is_not_written_again_and_its_other_values_stay() {
        let (token, read) =
            ("t".into(), |data: Value| json!({"data": {"data": data, "metadata": {"version": 3}}}));
        let values = [("token", &token)];
        assert_eq!(laid_over(&read(json!({"token": "t", "x": "y"})), &values), None);
        let write = json!({"options": {"cas": 3}, "data": {"token": "t", "x": "y"}});
        assert_eq!(laid_over(&read(json!({"token": "s", "x": "y"})), &values), Some(write));
        let first = json!({"options": {"cas": 0}, "data": {"token": "t"}});
        assert_eq!(laid_over(&json!({"errors": []}), &values), Some(first));
    }

    #[test]
    fn a_replica_stands_where_its_health_says() {
        let health = |initialized, sealed, standby| json!({"initialized": initialized, "sealed": sealed, "standby": standby});
        assert_eq!(standing(&health(false, true, true)), Some(Standing::Uninitialized));
        assert_eq!(standing(&health(true, true, true)), Some(Standing::Sealed));
        assert_eq!(standing(&health(true, false, true)), Some(Standing::Standby));
        assert_eq!(standing(&health(true, false, false)), Some(Standing::Active));
        assert_eq!(standing(&json!("<html>")), None);
    }

    #[test]
    fn a_secret_is_of_a_token_if_it_holds_it() {
        // {"bearerToken":"abc"}
        let secret = json!({"data": {"config": "eyJiZWFyZXJUb2tlbiI6ImFiYyJ9"}});
        assert!(
            Registration::is_made_of(&secret, &"abc".into())
                && !Registration::is_made_of(&secret, &"old".into())
        );
    }
}
