//! What registers a spoke, from what is rendered for it.

use renderer::inventory::Cluster;
use renderer::render::Rendered;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::store::{Store, objects};
use crate::cluster::Key;

/// The label of the Secret by which Argo CD knows a cluster.
const REGISTERS: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");

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

/// Returns what a value of a Secret stands for.
pub(crate) fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

fn address(object: &Value, plural: &str) -> Option<String> {
    let (metadata, version) = (&object["metadata"], object["apiVersion"].as_str()?);
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    Some(format!("/apis/{version}/namespaces/{namespace}/{plural}/{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_secret_is_of_a_token_if_it_holds_it() {
        // {"bearerToken":"abc"}
        let secret = json!({"data": {"config": "eyJiZWFyZXJUb2tlbiI6ImFiYyJ9"}});
        assert!(
            Registration::is_made_of(&secret, &"abc".into())
                && !Registration::is_made_of(&secret, &"old".into())
        );
    }
}
