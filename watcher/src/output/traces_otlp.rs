//! Sends traces by OTLP: the spans of the process, as JSON over the one HTTP client, with every secret masked.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::Layer as _;

use super::traces::{Receiver, TracesError, variable};
use crate::http::{self as client, Client, Timeouts, Upload, Url};
use crate::secrets::{self, redacted};

/// The spans that are sent: ours, with the stages of a run, and nothing of other crates.
const FILTER: &str = "off,fleetwright=debug,fleetwright_renderer=debug";
/// How long a collector may take.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(10),
    exchange: Duration::from_secs(10),
};
/// How much of an answer is read: it names how many spans were refused.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Traces that are sent until this is dropped, which sends the rest.
#[derive(Debug)]
pub struct Sending(SdkTracerProvider);

impl Drop for Sending {
    fn drop(&mut self) {
        // What is not sent now is lost; a failure was reported when it was first seen.
        let _ = self.0.shutdown();
    }
}

pub(super) fn start() -> Result<(Receiver, Sending), TracesError> {
    remember_headers();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Transport::default())
        .with_protocol(Protocol::HttpJson)
        .build()
        .map_err(|error| TracesError::Variables(error.to_string()))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("fleetwright");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("fleetwright"))
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    Ok((spans.with_filter(EnvFilter::new(FILTER)).boxed(), Sending(provider)))
}

/// Keeps what the headers hold, such as a token, out of all output.
fn remember_headers() {
    let headers = variable("HEADERS").unwrap_or_default();
    for (_, value) in headers.split(',').filter_map(|header| header.split_once('=')) {
        // The credential comes behind the word for its kind, such as `Bearer`.
        for word in percent_decode_str(value).decode_utf8_lossy().split_whitespace() {
            secrets::remember(&SecretString::from(word));
        }
    }
}

/// The way to the collector.
#[derive(Debug, Default)]
struct Transport {
    has_failed: AtomicBool,
}

#[async_trait]
impl HttpClient for Transport {
    /// Sends spans. It is called on a thread of the exporter's own, which it may block.
    async fn send_bytes(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, opentelemetry_http::HttpError> {
        let sent = send(&request);
        let reason = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("{} answers {}", request.uri(), answer.status())),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            warn!("failed to send traces, which is not reported again: {reason}");
        }
        Ok(sent?)
    }
}

fn send(request: &Request<Bytes>) -> Result<Response<Bytes>, client::HttpError> {
    // A collector in the same cluster is reached without encryption, and an operator named it.
    let url = Url::parse_mirror(&request.uri().to_string())?;
    let body = String::from_utf8_lossy(request.body());
    let body = redacted(&body);
    let headers = request.headers().iter();
    let headers: Vec<_> =
        headers.filter_map(|(name, text)| Some((name.clone(), text.to_str().ok()?))).collect();
    let head = client::Request {
        method: Method::POST,
        headers: &headers,
        ..client::Request::get(&url, "", MAX_ANSWER_BYTES)
    };
    let answer = Client::new(&url, TIMEOUTS).send(&head, Some(Upload::of(&mut body.as_bytes())))?;
    let (status, answer) = (answer.status, answer.bytes()?);
    let mut response = Response::new(Bytes::from(answer));
    *response.status_mut() = status;
    Ok(response)
}
