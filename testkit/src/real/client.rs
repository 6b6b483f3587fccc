//! A client of an API server, as far as tests ask it something.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, RequestBuilder, http};

use super::process::wait_until;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may take for what it does at once otherwise.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks one API server in the name of its administrator.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
    token: String,
    /// The resources of each `apiVersion` that was asked for.
    resources: RefCell<BTreeMap<String, Vec<Resource>>>,
}

/// A kind of object, as the server calls it.
#[derive(Clone)]
struct Resource {
    kind: String,
    plural: String,
    is_namespaced: bool,
}

/// An object that the server does not take, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer; none if the server does not know the kind.
    pub status: Option<u16>,
    /// The server's words.
    pub message: String,
}

impl Client {
    /// Makes a client that trusts one certificate.
    pub(super) fn new(url: String, token: String, authority: &str) -> Result<Self> {
        Ok(Self { agent: agent(trust(authority)?), url, token, resources: RefCell::default() })
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns whether the server is ready to be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.request(self.agent.get(self.at("/readyz")))
            .call()
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// Makes the server know these kinds, and waits until it does.
    pub fn define(&self, definitions: &[Value]) -> Result<()> {
        for definition in definitions {
            self.apply(definition, "").map_err(|refused| anyhow!("{refused}"))?;
        }
        for definition in definitions {
            let name = text_at(definition, "/metadata/name")?;
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            wait_until(PATIENCE, &format!("`{name}` was established"), || {
                Ok(self.get(&path).is_ok_and(|found| is_established(&found)))
            })?;
        }
        for (version, plural) in definitions.iter().flat_map(served) {
            wait_until(PATIENCE, &format!("`{plural}` of `{version}` was served"), || {
                let served = self.fetch_resources(&version);
                Ok(served.is_ok_and(|all| all.iter().any(|found| found.plural == plural)))
            })?;
        }
        self.resources.borrow_mut().clear();
        Ok(())
    }

    /// Applies an object on the server, as Argo CD does with `ServerSideApply=true`, and takes no field that
    /// the kind has not. An object that names no namespace goes into the given one, if its kind has
    /// namespaces.
    pub fn apply(&self, object: &Value, namespace: &str) -> Result<(), Refused> {
        let path = self.path(object, namespace)?;
        let address = self.at(&format!("{path}?fieldManager=tests&fieldValidation=Strict"));
        // Kinds that have just been defined are answered with 429 for a moment.
        for _ in 0..100 {
            let request = self.request(self.agent.patch(&address));
            let answer =
                request.header("Content-Type", "application/apply-patch+yaml").send(object.to_string());
            match read(answer) {
                Err(Refused { status: Some(429), .. }) => std::thread::sleep(Duration::from_millis(50)),
                answer => return answer.map(drop),
            }
        }
        Err(Refused { status: Some(429), message: "the server went on being busy".to_owned() })
    }

    /// Merges fields into an object that is there, or into a part of it such as `status`.
    pub fn merge(&self, object: &Value, subresource: &str, fields: &Value) -> Result<(), Refused> {
        let address = self.at(&format!("{}/{subresource}", self.path(object, "")?));
        let request = self.request(self.agent.patch(address.trim_end_matches('/')));
        read(request.header("Content-Type", "application/merge-patch+json").send(fields.to_string()))
            .map(drop)
    }

    /// Deletes an object.
    pub fn delete(&self, object: &Value) -> Result<(), Refused> {
        read(self.request(self.agent.delete(self.at(&self.path(object, "")?))).call()).map(drop)
    }

    /// Returns all objects of a kind, in all namespaces. There are none of a kind that the server does not know.
    pub fn list(&self, version: &str, kind: &str) -> Result<Vec<Value>, Refused> {
        let Ok(resource) = self.resource(version, kind) else { return Ok(Vec::new()) };
        let mut list = self.get(&format!("{}/{}", root_of(version), resource.plural))?;
        let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        // The items of a list have neither.
        let named = |mut item: Value| {
            item["apiVersion"] = version.into();
            item["kind"] = kind.into();
            item
        };
        Ok(items.into_iter().map(named).collect())
    }

    /// Returns what is at a path.
    pub fn get(&self, path: &str) -> Result<Value, Refused> {
        read(self.request(self.agent.get(self.at(path))).call())
    }

    /// Returns a token of an account, for one audience.
    pub fn token_for(&self, namespace: &str, account: &str, audience: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let wanted = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience]},
        });
        let request = self.request(self.agent.post(self.at(&path)));
        let made = read(request.header("Content-Type", "application/json").send(wanted.to_string()))?;
        Ok(text_at(&made, "/status/token")?.to_owned())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn request<Body>(&self, request: RequestBuilder<Body>) -> RequestBuilder<Body> {
        request.header("Authorization", format!("Bearer {}", self.token))
    }

    fn path(&self, object: &Value, namespace: &str) -> Result<String, Refused> {
        let text = |pointer| {
            text_at(object, pointer).map_err(|error| Refused { status: None, message: error.to_string() })
        };
        let (version, kind, name) = (text("/apiVersion")?, text("/kind")?, text("/metadata/name")?);
        let resource = self.resource(version, kind)?;
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace);
        let namespace =
            if resource.is_namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        Ok(format!("{}{namespace}/{}/{name}", root_of(version), resource.plural))
    }

    fn resource(&self, version: &str, kind: &str) -> Result<Resource, Refused> {
        let unknown = || Refused { status: None, message: format!("no `{kind}` of `{version}` is defined") };
        let is_kind = |resource: &&Resource| resource.kind == kind;
        let known = |all: &[Resource]| all.iter().find(is_kind).cloned();
        if let Some(found) = self.resources.borrow().get(version).and_then(|all| known(all)) {
            return Ok(found);
        }
        let all = self.fetch_resources(version).map_err(|_| unknown())?;
        let found = known(&all).ok_or_else(unknown);
        self.resources.borrow_mut().insert(version.to_owned(), all);
        found
    }

    fn fetch_resources(&self, version: &str) -> Result<Vec<Resource>, Refused> {
        let list = self.get(&root_of(version))?;
        let resource = |found: &Value| {
            let plural = found["name"].as_str().filter(|name| !name.contains('/'))?;
            Some(Resource {
                kind: found["kind"].as_str()?.to_owned(),
                plural: plural.to_owned(),
                is_namespaced: found["namespaced"] == true,
            })
        };
        Ok(list["resources"].as_array().into_iter().flatten().filter_map(resource).collect())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

fn read(answer: Result<http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Refused> {
    let lost = |error: ureq::Error| Refused { status: None, message: error.to_string() };
    let mut answer = answer.map_err(lost)?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(lost)?;
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "message": text }));
    if status.is_success() {
        return Ok(body);
    }
    let message = body["message"].as_str().unwrap_or_default().to_owned();
    Err(Refused { status: Some(status.as_u16()), message })
}

fn root_of(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("`{pointer}` is missing"))
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Returns the versions in which a defined kind is served, each with the kind's plural.
fn served(definition: &Value) -> Vec<(String, String)> {
    let text = |pointer| text_at(definition, pointer).unwrap_or_default().to_owned();
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true);
    served
        .filter_map(|version| Some((format!("{group}/{}", version["name"].as_str()?), plural.clone())))
        .collect()
}

/// Returns whether a program on this machine answers at an address without encryption.
pub(super) fn answers(address: &str) -> bool {
    let answer = agent(TlsConfig::default()).get(address).call();
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Returns what a program on this machine answers at an address without encryption.
pub(super) fn fetch(address: &str, query: &[(&str, &str)]) -> Result<Value> {
    Ok(read(agent(TlsConfig::default()).get(address).query_pairs(query.iter().copied()).call())?)
}

/// Returns the names of the series that a program on this machine exposes.
pub(super) fn exposed(address: &str) -> Result<BTreeSet<String>> {
    let text = agent(TlsConfig::default()).get(address).call()?.body_mut().read_to_string()?;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    Ok(samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect())
}

/// Sends JSON to a program on this machine.
pub(super) fn post(address: &str, body: &Value) -> Result<()> {
    let request = agent(TlsConfig::default()).post(address).header("Content-Type", "application/json");
    read(request.send(body.to_string()))?;
    Ok(())
}

/// Trusts these certificates, in PEM, and no others.
pub(super) fn trust(authority: &str) -> Result<TlsConfig> {
    let certificate = Certificate::from_pem(authority.as_bytes())?;
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(vec![certificate])))
        .build())
}

pub(super) fn agent(tls: TlsConfig) -> Agent {
    Agent::config_builder()
        .tls_config(tls)
        // This machine is reached without any proxy of the environment.
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into()
}
