//! What documents do outside themselves: what one cluster sends, another must receive, and no two may claim the same
//! address or object. One module a flow.
//!
//! Judged on rendered values, so that an override is seen like anything else.

mod endpoint;
mod exposed;
mod logs;
mod mesh;
mod metrics;
mod objects_once;
mod route;
mod secrets;
mod traces;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::catalog::Addon;
use crate::inventory::{Cluster, key};
use crate::path::{ClusterName, RepoPath};
use crate::snapshot::OUTPUT;
use crate::yaml::{Map, Value};

use super::names::{self, NameUse, Named, Names, Provided};
use super::{ArgoPart, Document, DocumentKind, Finding, ObjectId, Seen, Spot, argo, kept};

pub use exposed::ExposedAddress;
pub(super) use exposed::{addresses_are_exposed_once, exposed_addresses_are_in_the_pool};
pub(super) use logs::logs_arrive;
pub use mesh::MeshPart;
pub(super) use mesh::meshes_fit;
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
    /// What Argo CD makes of it; boxed, since of few documents it makes anything.
    pub argo: Option<Box<ArgoPart>>,
    /// The addresses that it exposes.
    pub exposed: Vec<ExposedAddress>,
    /// What it receives and sends; boxed, since few documents do either.
    pub ends: Option<Box<Ends>>,
    /// What it says of the mesh.
    pub mesh: Option<Box<MeshPart>>,
    /// The names that it uses and provides: shared with the list of all names of its cluster.
    pub names: Option<Arc<Names>>,
}

impl Footprint {
    /// Returns whether the document does anything that matters to other clusters or to the addresses of its own.
    #[must_use]
    pub fn is_outward(&self) -> bool {
        self.object.is_some()
            || self.argo.is_some()
            || !self.exposed.is_empty()
            || self.ends.is_some()
            || self.mesh.is_some()
    }

    /// Returns whether the document does nothing outside itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads what a rendered document does outside itself, in one walk over its values.
#[must_use]
pub fn footprint(document: &Document<'_>) -> Footprint {
    let mut gather = Gather::new(document);
    gather.value(document.value);
    let Gather { exposed, mut names, .. } = gather;
    names.provided.extend(names::provided_by(document));
    let (object, argo) = match document.kind {
        DocumentKind::Object => (ObjectId::of(document), argo::part(document).map(Box::new)),
        DocumentKind::Values => (None, None),
    };
    let ends = ends(document, &exposed).map(Box::new);
    let mesh = mesh::part(document, &exposed).map(Box::new);
    let names = (!names.is_empty()).then(|| Arc::new(names));
    Footprint { object, argo, exposed, ends, mesh, names }
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

/// Gathers what a document exposes and names while it is walked.
struct Gather<'v> {
    /// The namespace that Secrets are looked for in; none if it is not known.
    namespace: Option<String>,
    own_namespace: Option<&'v str>,
    path: Vec<Seen<'v>>,
    exposed: Vec<ExposedAddress>,
    names: Names,
    is_judged: bool,
    /// Whether the document speaks for the whole mesh.
    is_of_mesh: bool,
    /// Whether folders that it names are deployed as they are named.
    is_deploying: bool,
}

impl<'v> Gather<'v> {
    fn new(document: &Document<'v>) -> Self {
        let own_namespace = document.addon.map(|addon| addon.facts.namespace.as_str());
        let written = text_at(document.value, &["metadata", "namespace"]);
        let kind = text_at(document.value, &["kind"]).unwrap_or_default();
        // An object that belongs to no namespace looks for Secrets where its controller does.
        let namespace = match document.kind {
            DocumentKind::Object if kind.starts_with("Cluster") => None,
            DocumentKind::Object => written.or(own_namespace),
            DocumentKind::Values => own_namespace,
        };
        // A policy holds patterns of what others write, and the cluster's own files are for Argo CD.
        let version = text_at(document.value, &["apiVersion"]).unwrap_or_default();
        let is_policy = document.kind == DocumentKind::Object && version.contains("kyverno.io/");
        Self {
            namespace: namespace.map(str::to_owned),
            own_namespace,
            path: Vec::new(),
            exposed: Vec::new(),
            names: Names::default(),
            is_judged: document.addon.is_some() && !is_policy,
            is_of_mesh: mesh::is_shared(document),
            is_deploying: !names::is_filled_later(document.value),
        }
    }

    fn value(&mut self, value: &'v Value) {
        match value {
            Value::Map(map) => {
                self.object_in_values(map);
                for (name, value) in map.iter() {
                    self.path.push(Seen::Key(name));
                    self.entry(name, value, map);
                    self.path.pop();
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Seen::Index(index));
                    self.value(item);
                    self.path.pop();
                }
            }
            Value::String(text) => self.text(text),
            _ => {}
        }
    }

    fn entry(&mut self, name: &'v str, value: &'v Value, map: &'v Map) {
        if let Value::String(text) = value
            && exposed::exposes(name)
        {
            self.exposed.extend(exposed::exposed(text, &kept(&self.path), map));
        }
        if self.is_judged {
            if let Some((below, named)) = names::names_in_entry(name, value, map) {
                self.use_name(below, named);
            }
            if let Value::List(items) = value
                && names::lists_secrets(name)
            {
                self.secrets(items);
            }
        }
        self.value(value);
    }

    fn secrets(&mut self, items: &'v [Value]) {
        for (index, item) in items.iter().enumerate() {
            let (below, name) = match item {
                Value::String(name) => (None, name.as_str()),
                item => (Some("name"), text_at(item, &["name"]).unwrap_or_default()),
            };
            if names::is_name(name) {
                self.path.push(Seen::Index(index));
                self.use_name(below, Named::Secret(None, name.to_owned()));
                self.path.pop();
            }
        }
    }

    fn use_name(&mut self, below: Option<&str>, named: Named) {
        let named = match named {
            Named::Secret(None, name) => Named::Secret(self.namespace.clone(), name),
            named => named,
        };
        let mut path = kept(&self.path);
        path.extend(below.map(key));
        self.names.used.push(NameUse { path, named });
    }

    fn text(&mut self, text: &str) {
        // Most texts have no slash, and to find that out costs next to nothing.
        let is_path = text.len() > OUTPUT.len() && memchr::memchr(b'/', text.as_bytes()).is_some();
        if self.is_deploying && is_path && text.contains(OUTPUT) {
            self.names.provided.extend(names::folders(text));
        }
        if self.is_judged {
            for service in names::service_names(text) {
                let service = if self.is_of_mesh { service.of_mesh() } else { service };
                self.use_name(None, Named::Service(service));
            }
        }
    }

    /// Many charts take whole objects among their values.
    fn object_in_values(&mut self, map: &Map) {
        if let Some(namespace) = self.own_namespace.filter(|_| !self.path.is_empty())
            && map.get("apiVersion").is_some()
            && map.get("kind").is_some()
        {
            self.names.provided.extend(names::of_object(map, namespace));
        }
    }
}

/// Returns the addresses that the Service described at `service` asks for.
fn addresses_of(exposed: &[ExposedAddress], service: &[&str]) -> impl Iterator<Item = IpAddr> {
    let service: Vec<_> = service.iter().map(|name| key(name)).collect();
    exposed.iter().filter(move |exposed| exposed.service == service).filter_map(ExposedAddress::address)
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
pub struct Flows<'a> {
    /// The clusters with what their documents do. One that could not be rendered is not here.
    pub clusters: BTreeMap<ClusterName, ClusterFlows<'a>>,
    /// The clusters of which it is not known what they do, each with its hub if that is known: they have problems of their own.
    pub unknown: Vec<Option<ClusterName>>,
    /// The addresses of machines outside every cluster.
    pub machines: Vec<IpAddr>,
    /// Asked again and again, since much may have to be held against much.
    pub may_go_on: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Flows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").field("clusters", &self.clusters).finish_non_exhaustive()
    }
}

impl<'a> Flows<'a> {
    /// Returns whether it is known what each cluster of a hub does. If not, nothing can be said to be missing there.
    pub(super) fn is_whole(&self, hub: &ClusterName) -> bool {
        self.unknown.iter().all(|unknown| unknown.as_ref().is_some_and(|unknown| unknown != hub))
    }

    /// Returns the clusters one after the other, for as long as the checks may go on.
    pub(super) fn each(&self) -> impl Iterator<Item = &ClusterFlows<'a>> {
        self.clusters.values().take_while(|_| (self.may_go_on)())
    }
}

/// What one cluster's documents do outside themselves.
#[derive(Debug)]
pub struct ClusterFlows<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The documents that do something: file, place in it, and what they do.
    pub documents: Vec<(&'a RepoPath, Spot, &'a Footprint)>,
    /// The documents that name something.
    pub names: &'a [DocumentNames],
    /// Which of the documents have ends of flows, and which say something of the mesh: few do, and each check asks for them.
    with_ends: Vec<usize>,
    with_mesh: Vec<usize>,
}

/// The names in one document.
#[derive(Clone, Debug)]
pub struct DocumentNames {
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it.
    pub document: Spot,
    /// The names.
    pub names: Arc<Names>,
}

/// What one cluster's documents do outside themselves, with the add-ons that they belong to and the other clusters.
#[derive(Debug)]
pub struct ClusterContent<'a> {
    /// What the documents do.
    pub flows: &'a ClusterFlows<'a>,
    /// What those of all clusters do.
    pub all: &'a Flows<'a>,
    /// The add-ons that run on the cluster.
    pub addons: Vec<&'a Addon>,
}

/// A finding in a rendered file of some cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFinding {
    /// The cluster.
    pub cluster: ClusterName,
    /// The rendered file.
    pub file: RepoPath,
    /// The document in it.
    pub document: Spot,
    /// What is wrong where.
    pub finding: Finding,
}

impl<'a> ClusterFlows<'a> {
    /// Sorts the documents of a cluster by what they do.
    #[must_use]
    pub fn new(
        cluster: &'a Cluster,
        documents: Vec<(&'a RepoPath, Spot, &'a Footprint)>,
        names: &'a [DocumentNames],
    ) -> Self {
        let indices = |has: fn(&Footprint) -> bool| {
            let all = documents.iter().enumerate();
            all.filter(|(_, (_, _, footprint))| has(footprint)).map(|(at, _)| at).collect()
        };
        let with_ends = indices(|footprint| footprint.ends.is_some());
        let with_mesh = indices(|footprint| footprint.mesh.is_some());
        Self { cluster, documents, names, with_ends, with_mesh }
    }
}

impl ClusterFlows<'_> {
    fn finding(&self, file: &RepoPath, document: Spot, finding: Finding) -> FlowFinding {
        FlowFinding { cluster: self.cluster.name.clone(), file: file.clone(), document, finding }
    }

    /// Returns the names that the cluster's documents use, with the document.
    pub(super) fn used(&self) -> impl Iterator<Item = (&DocumentNames, &NameUse)> {
        self.names.iter().flat_map(|document| document.names.used.iter().map(move |used| (document, used)))
    }

    /// Returns what the cluster's documents provide.
    pub(super) fn provided(&self) -> impl Iterator<Item = &Provided> {
        self.names.iter().flat_map(|document| &document.names.provided)
    }

    /// Returns the ends of flows with the documents that they stand in.
    fn all_ends(&self) -> impl Iterator<Item = (usize, &Ends)> {
        self.with_ends.iter().filter_map(|at| Some((*at, self.documents[*at].2.ends.as_deref()?)))
    }

    /// Returns what is said of the mesh with the documents that say it.
    fn mesh_parts(&self) -> impl Iterator<Item = (usize, &MeshPart)> {
        self.with_mesh.iter().filter_map(|at| Some((*at, self.documents[*at].2.mesh.as_deref()?)))
    }

    /// Says a finding in a document that names something.
    pub(super) fn finding_of(&self, document: &DocumentNames, finding: Finding) -> FlowFinding {
        self.finding(&document.file, document.document, finding)
    }

    /// Says a finding in the document at a place of [`Self::documents`].
    fn finding_in(&self, at: usize, finding: Finding) -> FlowFinding {
        let (file, document, _) = self.documents[at];
        self.finding(file, document, finding)
    }
}
