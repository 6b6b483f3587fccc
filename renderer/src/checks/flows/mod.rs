//! What documents do outside themselves: what one cluster sends, another must receive, and no two may claim the same
//! address or object. One module a flow.
//!
//! Judged on rendered values, so that an override is seen like anything else.

mod endpoint;
mod exposed;
mod logs;
mod metrics;
mod objects_once;
mod route;
mod secrets;
mod traces;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::inventory::{Cluster, key};
use crate::path::{ClusterName, RepoPath};
use crate::yaml::Value;

use super::{Document, DocumentKind, Finding, ObjectId, Seen, kept};

pub use exposed::ExposedAddress;
pub(super) use exposed::{addresses_are_exposed_once, exposed_addresses_are_in_the_pool};
pub(super) use logs::logs_arrive;
pub(super) use metrics::metrics_arrive;
pub(super) use objects_once::objects_are_written_once;
pub(super) use route::senders_name_their_cluster;
pub use route::{ClusterLabel, Ends, Login, Receiver, Sender, Signal};
pub(super) use secrets::secrets_are_reached;
pub(super) use traces::traces_arrive;

/// What one rendered document does outside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The object that it writes.
    pub object: Option<ObjectId>,
    /// The addresses that it exposes.
    pub exposed: Vec<ExposedAddress>,
    /// What it receives and sends; boxed, since few documents do either.
    pub ends: Option<Box<Ends>>,
}

impl Footprint {
    /// Returns whether the document does nothing outside itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads what a rendered document does outside itself.
#[must_use]
pub fn footprint(document: &Document<'_>) -> Footprint {
    let mut exposed = Vec::new();
    collect_exposed(document.value, &mut Vec::new(), &mut exposed);
    let object = match document.kind {
        DocumentKind::Object => ObjectId::of(document),
        DocumentKind::Values => None,
    };
    let ends = ends(document, &exposed).map(Box::new);
    Footprint { object, exposed, ends }
}

fn ends(document: &Document<'_>, exposed: &[ExposedAddress]) -> Option<Ends> {
    let value = document.value;
    if document.kind == DocumentKind::Object {
        return secrets::store(value);
    }
    match document.addon?.facts.chart.name.as_str() {
        metrics::CHART => metrics::ends(value, exposed),
        logs::LOKI => Some(logs::loki(value, exposed)),
        logs::FLUENT_BIT => Some(logs::fluent_bit(value)),
        traces::TEMPO => Some(traces::tempo(value, exposed)),
        traces::COLLECTOR => Some(traces::collector(value)),
        secrets::CHART => Some(secrets::vault(value, exposed)),
        _ => None,
    }
}

fn collect_exposed<'v>(value: &'v Value, path: &mut Vec<Seen<'v>>, found: &mut Vec<ExposedAddress>) {
    match value {
        Value::Map(map) => {
            for (name, value) in map.iter() {
                path.push(Seen::Key(name));
                match value {
                    Value::String(text) if exposed::exposes(name) => {
                        found.extend(exposed::exposed(text, &kept(path), map));
                    }
                    Value::Map(_) | Value::List(_) => collect_exposed(value, path, found),
                    _ => {}
                }
                path.pop();
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Seen::Index(index));
                collect_exposed(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Returns the addresses that the Service described at `service` asks for.
fn addresses_of(exposed: &[ExposedAddress], service: &[&str]) -> impl Iterator<Item = IpAddr> {
    let service: Vec<_> = service.iter().map(|name| key(name)).collect();
    exposed.iter().filter(move |exposed| exposed.service == service).filter_map(|it| it.text.parse().ok())
}

/// Reads a port that a chart's values may set.
fn port(values: &Value, path: &[&str], default: u16) -> u16 {
    match values.at(path) {
        Some(Value::Number(port)) => port.as_str().parse().unwrap_or(default),
        Some(Value::String(port)) => port.parse().unwrap_or(default),
        _ => default,
    }
}

fn text_at<'v>(values: &'v Value, path: &[&str]) -> Option<&'v str> {
    values.at(path).and_then(Value::as_str)
}

fn bool_at(values: &Value, path: &[&str], default: bool) -> bool {
    match values.at(path) {
        Some(Value::Bool(value)) => *value,
        _ => default,
    }
}

/// What every rendered document does outside itself, by cluster.
#[derive(Debug, Default)]
pub struct Flows<'a> {
    /// The clusters with what their documents do. One that could not be rendered is not here.
    pub clusters: BTreeMap<ClusterName, ClusterFlows<'a>>,
    /// The addresses of machines outside every cluster.
    pub machines: Vec<IpAddr>,
}

/// What one cluster's documents do outside themselves.
#[derive(Debug)]
pub struct ClusterFlows<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The documents that do something: file, number in it from 0, and what they do.
    pub documents: Vec<(&'a RepoPath, usize, &'a Footprint)>,
}

/// A finding in a rendered file of some cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFinding {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it, from 0.
    pub document: usize,
    /// What is wrong where.
    pub finding: Finding,
}

impl ClusterFlows<'_> {
    fn finding(&self, file: &RepoPath, document: usize, finding: Finding) -> FlowFinding {
        FlowFinding { cluster: self.cluster.name.clone(), file: file.clone(), document, finding }
    }

    /// Says a finding in the document at a place of [`Self::documents`].
    fn finding_in(&self, at: usize, finding: Finding) -> FlowFinding {
        let (file, document, _) = self.documents[at];
        self.finding(file, document, finding)
    }
}
