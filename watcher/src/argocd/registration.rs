//! The Secret by which Argo CD knows a cluster: where its API server is and what vouches for it, and no credential.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use super::application::Destination;
use crate::cluster::{Address, Kind, Metadata};

/// A cluster that Argo CD knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Registration {
    metadata: Metadata,
    data: Data,
}

/// What is read of the Secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(deserialize_with = "text")]
    name: String,
    #[serde(deserialize_with = "text")]
    server: String,
    #[serde(deserialize_with = "config")]
    config: Config,
}

/// How Argo CD connects, without its credentials.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    tls_client_config: Tls,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tls {
    insecure: bool,
    server_name: Option<String>,
    ca_data: Option<String>,
}

impl Kind for Registration {
    const GROUP: &str = "";
    const VERSION: &str = "v1";
    const NAME: &str = "Secret";
    const PLURAL: &str = "secrets";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Registration {
    /// The label by which Argo CD knows these Secrets.
    pub const LABEL: &str = "argocd.argoproj.io/secret-type=cluster";

    /// Returns whether it is of the cluster that an Application names, by its name or by its address.
    #[must_use]
    pub fn is_of(&self, destination: &Destination) -> bool {
        let Data { name, server, .. } = &self.data;
        if destination.name.is_empty() { *server == destination.server } else { *name == destination.name }
    }

    /// Returns where its API server is.
    #[must_use]
    pub fn address(&self) -> Address {
        let tls = self.data.config.tls_client_config.clone();
        Address {
            server: self.data.server.clone(),
            authority: tls.ca_data,
            server_name: tls.server_name,
            is_insecure: tls.insecure,
        }
    }
}

/// Reads a text as a Secret holds it; one that is malformed is empty.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let bytes = STANDARD.decode(String::deserialize(deserializer)?).unwrap_or_default();
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
    Ok(serde_json::from_str(&text(deserializer)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn registration(config: &str) -> Registration {
        let data = |text: &str| Value::from(STANDARD.encode(text));
        let data =
            json!({ "name": data("app"), "server": data("https://10.0.0.1:6443"), "config": data(config) });
        serde_json::from_value(json!({ "metadata": { "name": "cluster-app" }, "data": data })).unwrap()
    }

    #[test]
    fn a_registration_says_where_a_cluster_is_and_keeps_no_credential() {
        let config = json!({
            "bearerToken": "the-token-of-argo-cd",
            "tlsClientConfig": { "caData": "UEVN", "serverName": "app", "keyData": "a2V5" },
        });
        let read = registration(&config.to_string());
        assert_eq!(
            read.address(),
            Address {
                server: "https://10.0.0.1:6443".to_owned(),
                authority: Some("UEVN".to_owned()),
                server_name: Some("app".to_owned()),
                is_insecure: false,
            }
        );
        assert!(!format!("{read:?}").contains("the-token") && !format!("{read:?}").contains("a2V5"));
        let named = |name: &str, server: &str| Destination { name: name.into(), server: server.into() };
        assert!(read.is_of(&named("app", "")) && read.is_of(&named("", "https://10.0.0.1:6443")));
        assert!(!read.is_of(&named("app-2", "https://10.0.0.1:6443")) && !read.is_of(&named("", "")));
    }

    #[test]
    fn a_registration_with_anything_in_it_is_read() {
        assert_eq!(registration("not JSON").address().authority, None);
        let odd = json!({ "metadata": {}, "data": { "name": "%", "server": "/w==", "config": "" } });
        let read: Registration = serde_json::from_value(odd).unwrap();
        assert_eq!(read.address(), Address::default());
    }
}
