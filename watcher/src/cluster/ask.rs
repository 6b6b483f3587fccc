//! Requests by address: objects of a kind that is only known by its name, and what a Service or a pod answers that the API
//! server passes a request on to.

use std::collections::BTreeMap;
use std::time::Duration;

use http::request::Builder;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{ClusterError, ClusterErrorKind};
use super::kind::ABSENT;
use crate::percent::encoded;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the answer of a pod may take: what it was asked to make may be lost with it.
const POD_TIMEOUT: Duration = Duration::from_mins(1);
/// How large one answer may be, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// How many objects are fetched at once.
const PAGE: usize = 500;
/// How many pages are fetched.
const MAX_PAGES: usize = 40;
/// Who is named as the writer of what is made.
const WRITER: &str = "fleetwright";
/// How much of an answer that refuses is shown, in characters.
const MAX_REASON: usize = 300;

/// A Service, and what is asked of it.
#[derive(Clone, Debug)]
pub struct ServiceRequest<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The Service.
    pub service: &'a str,
    /// Its port.
    pub port: u16,
    /// Whether the port is encrypted.
    pub is_encrypted: bool,
    /// The path, without a slash before it.
    pub path: String,
    /// The query.
    pub query: Vec<(&'static str, String)>,
    /// One more header.
    pub header: Option<(&'static str, &'a str)>,
}

/// A pod, and what is asked of a program in it.
#[derive(Debug)]
pub struct PodRequest<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The port.
    pub port: u16,
    /// Whether the port is encrypted.
    pub is_encrypted: bool,
    /// The method.
    pub method: Method,
    /// The path, without a slash before it.
    pub path: &'a str,
    /// One more header.
    pub header: Option<(&'static str, &'a str)>,
    /// The body, as JSON.
    pub body: Option<Value>,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    items: Vec<Value>,
    #[serde(default)]
    metadata: PageMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    r#continue: String,
}

/// The kinds of a version of a group.
#[derive(Deserialize)]
struct Kinds {
    resources: Vec<Served>,
}

#[derive(Deserialize)]
struct Served {
    name: String,
    kind: String,
}

impl Client {
    /// Returns all objects of a kind, such as `Certificate` of `cert-manager.io/v1`, in a namespace or in all, with some
    /// labels.
    pub async fn objects(
        &self,
        (version, kind): (&str, &str),
        namespace: Option<&str>,
        labels: &BTreeMap<String, String>,
    ) -> Result<Vec<Value>, ClusterError> {
        let attempt = format!("list {kind}s");
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let served: Kinds = self.json(&attempt, &format!("{root}/{version}"), None).await?;
        let plural = served.resources.iter().find(|it| it.kind == kind && !it.name.contains('/'));
        let plural =
            plural.ok_or_else(|| self.refused(404, &attempt, &format!("{version} has no such kind")))?;
        let within = namespace.map(|name| format!("/namespaces/{}", encoded(name))).unwrap_or_default();
        let selector: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let address = format!(
            "{root}/{version}{within}/{}?limit={PAGE}&labelSelector={}",
            encoded(&plural.name),
            encoded(&selector.join(","))
        );
        let (mut objects, mut next) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let page: Page =
                self.json(&attempt, &format!("{address}&continue={}", encoded(&next)), None).await?;
            objects.extend(page.items);
            next = page.metadata.r#continue;
            if next.is_empty() {
                return Ok(objects);
            }
        }
        Err(self.refused(400, &attempt, &format!("there are more than {}", PAGE * MAX_PAGES)))
    }

    /// Returns what a Service answers, as JSON.
    pub async fn ask(&self, request: &ServiceRequest<'_>) -> Result<Value, ClusterError> {
        let ServiceRequest { namespace, service, port, is_encrypted, path, query, header } = request;
        let scheme = if *is_encrypted { "https:" } else { "" };
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let address = format!(
            "/api/v1/namespaces/{}/services/{scheme}{}:{port}/proxy/{path}?{}",
            encoded(namespace),
            encoded(service),
            query.join("&")
        );
        self.json(&format!("ask Service `{namespace}/{service}:{port}`"), &address, *header).await
    }

    /// Returns what a program in a pod answers by HTTP, whatever its status; only what the API server itself refuses is an
    /// error.
    pub async fn ask_pod(&self, request: &PodRequest<'_>) -> Result<(u16, Value), ClusterError> {
        let PodRequest { namespace, pod, port, is_encrypted, method, path, header, body } = request;
        let scheme = if *is_encrypted { "https:" } else { "" };
        let (namespace, name) = (encoded(namespace), encoded(pod));
        let address = format!("/api/v1/namespaces/{namespace}/pods/{scheme}{name}:{port}/proxy/{path}");
        let attempt = format!("ask pod `{namespace}/{name}:{port}`");
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method.clone()).uri(address);
        let (code, answer) = self.exchange_within(POD_TIMEOUT, &attempt, (request, body), *header).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if code >= 400 && answer["kind"] == "Status" {
            return Err(self.refused(code, &attempt, answer["message"].as_str().unwrap_or_default()));
        }
        Ok((code, answer))
    }

    /// Returns what the program in a pod has written.
    pub async fn log(&self, namespace: &str, pod: &str) -> Result<String, ClusterError> {
        let attempt = format!("read the log of pod `{namespace}/{pod}`");
        let address = format!("/api/v1/namespaces/{}/pods/{}/log", encoded(namespace), encoded(pod));
        let (code, body) = self.exchange(&attempt, (Request::get(address), String::new()), None).await?;
        if code >= 300 {
            return Err(self.refused(code, &attempt, &reason(&body)));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Returns the object at an address, if it is there.
    pub async fn at(&self, address: &str) -> Result<Option<Value>, ClusterError> {
        match self.json(&format!("read `{address}`"), address, None).await {
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// Makes the object at an address, or lays it over what is there.
    pub async fn apply_at(&self, address: &str, object: &Value) -> Result<(), ClusterError> {
        let request = Request::patch(format!("{address}?fieldManager={WRITER}&force=true"))
            .header("Content-Type", "application/apply-patch+yaml");
        self.change(&format!("make `{address}`"), request, object).await
    }

    /// Writes an annotation of the object at an address.
    pub async fn annotate_at(&self, address: &str, (name, value): (&str, &str)) -> Result<(), ClusterError> {
        let request = Request::patch(address).header("Content-Type", "application/merge-patch+json");
        let patch = json!({ "metadata": { "annotations": { name: value } } });
        self.change(&format!("change `{address}`"), request, &patch).await
    }

    async fn change(&self, attempt: &str, request: Builder, object: &Value) -> Result<(), ClusterError> {
        let (code, body) = self.exchange(attempt, (request, object.to_string()), None).await?;
        if code < 300 { Ok(()) } else { Err(self.refused(code, attempt, &reason(&body))) }
    }

    async fn json<T: for<'de> Deserialize<'de>>(
        &self,
        attempt: &str,
        address: &str,
        header: Option<(&str, &str)>,
    ) -> Result<T, ClusterError> {
        let (code, body) = self.exchange(attempt, (Request::get(address), String::new()), header).await?;
        if code >= 300 {
            return Err(self.refused(code, attempt, &reason(&body)));
        }
        serde_json::from_slice(&body)
            .map_err(|error| self.refused(400, attempt, &format!("the answer cannot be read: {error}")))
    }

    async fn exchange(
        &self,
        attempt: &str,
        request: (Builder, String),
        header: Option<(&str, &str)>,
    ) -> Result<(u16, Vec<u8>), ClusterError> {
        self.exchange_within(TIMEOUT, attempt, request, header).await
    }

    async fn exchange_within(
        &self,
        time: Duration,
        attempt: &str,
        (request, body): (Builder, String),
        header: Option<(&str, &str)>,
    ) -> Result<(u16, Vec<u8>), ClusterError> {
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Body::from(body.into_bytes()));
        let request = request.map_err(|error| self.refused(400, attempt, &error.to_string()))?;
        let answer = async {
            let response = self.once.send(request).await;
            let response =
                response.map_err(|error| ClusterError::of_kube(attempt, &self.place, ABSENT, &error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            let body = body.map_err(|error| self.refused(502, attempt, &error.to_string()))?;
            Ok((status, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
            Err(self.refused(504, attempt, &format!("no answer within {} s", time.as_secs())))
        })
    }

    fn refused(&self, code: u16, attempt: &str, reason: &str) -> ClusterError {
        ClusterError::of_answer(code, attempt, &self.place, reason)
    }
}

/// Returns why a request was refused: the message of the API server, or the beginning of what another server wrote.
fn reason(body: &[u8]) -> String {
    let status = serde_json::from_slice::<Value>(body).ok();
    let text =
        ["message", "error"].iter().find_map(|key| status.as_ref()?.get(key)?.as_str().map(str::to_owned));
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let text = if text.is_empty() { "no reason is given".to_owned() } else { text };
    renderer::visible::shortened(text.lines().next().unwrap_or_default(), MAX_REASON).into_owned()
}
