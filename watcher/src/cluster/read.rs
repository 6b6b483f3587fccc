//! Reading without changing anything: objects of a kind that is only known by its name, and what a Service answers that
//! the API server passes a request on to.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::error::ClusterError;
use super::kind::ABSENT;
use crate::percent::encoded;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How large one answer may be, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// How many objects are fetched at once.
const PAGE: usize = 500;
/// How many pages are fetched.
const MAX_PAGES: usize = 40;
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

    async fn json<T: for<'de> Deserialize<'de>>(
        &self,
        attempt: &str,
        address: &str,
        header: Option<(&str, &str)>,
    ) -> Result<T, ClusterError> {
        let request = Request::get(address);
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Body::empty());
        let request = request.map_err(|error| self.refused(400, attempt, &error.to_string()))?;
        let answer = async {
            let response = self.once.send(request).await;
            let response =
                response.map_err(|error| ClusterError::of_kube(attempt, &self.place, ABSENT, &error))?;
            self.body(attempt, response).await
        };
        let body = tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| {
            Err(self.refused(504, attempt, &format!("no answer within {} s", TIMEOUT.as_secs())))
        })?;
        serde_json::from_slice(&body)
            .map_err(|error| self.refused(400, attempt, &format!("the answer cannot be read: {error}")))
    }

    async fn body(&self, attempt: &str, response: Response<Body>) -> Result<Vec<u8>, ClusterError> {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| self.refused(502, attempt, &error.to_string()))?.to_bytes().to_vec();
        if status.is_success() {
            Ok(body)
        } else {
            Err(self.refused(status.as_u16(), attempt, &reason(&body)))
        }
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
