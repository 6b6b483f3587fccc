//! Gathers the names that a document uses and provides.

use crate::argo;
use crate::checks::{Document, DocumentKind, NameUse, Named, Names, ServiceName};
use crate::key_path::{Step, owned};
use crate::root::APPLICATIONS;
use crate::tree::{Below, Visit, walk};
use crate::yaml::{Map, Value};

use super::super::readers::istio;
use super::super::readers::names::POLICY_GROUP;
use super::find::{names_in_entry, service_names};
use super::provided::{folders, of_object, provided_by};

/// Returns the names that a document uses and provides.
pub(in super::super) fn names(document: &Document<'_>) -> Names {
    let mut gather = Gather::new(document);
    walk(document.value, &mut |visit| {
        gather.value(&visit);
        Below::Enter
    });
    let mut names = gather.names;
    names.provided.extend(provided_by(document));
    names
}

struct Gather<'v> {
    /// The namespace that Secrets are looked for in; none if it is not known.
    namespace: Option<&'v str>,
    own_namespace: Option<&'v str>,
    names: Names,
    is_judged: bool,
    /// Whether the proxies of all clusters of a mesh take what the document says: the control plane hands it on.
    is_of_mesh: bool,
    /// Whether folders that it names are deployed as they are named.
    is_deploying: bool,
}

impl<'v> Gather<'v> {
    fn new(document: &Document<'v>) -> Self {
        let own_namespace = document.addon.map(|addon| addon.facts.namespace.as_str());
        let written = document.value.text_at(&["metadata", "namespace"]);
        let kind = document.value.text_at(&["kind"]).unwrap_or_default();
        // An object that belongs to no namespace looks for Secrets where its controller does.
        let namespace = match document.kind {
            DocumentKind::Object if kind.starts_with("Cluster") => None,
            DocumentKind::Object => written.or(own_namespace),
            DocumentKind::Values | DocumentKind::Other => own_namespace,
        };
        // A policy holds patterns of what others write, and the cluster's own files land on its hub.
        let version = document.value.text_at(&["apiVersion"]).unwrap_or_default();
        let is_policy = document.kind == DocumentKind::Object && version.contains(POLICY_GROUP);
        let mesh = document.values().and_then(|(addon, _)| addon.facts.mesh.as_deref());
        Self {
            namespace,
            own_namespace,
            names: Names::default(),
            is_judged: document.addon.is_some() && !is_policy,
            is_of_mesh: mesh == Some(istio::CONTROL_PLANE),
            // Its own templates are filled in first.
            is_deploying: !argo::is_kind(document.value, "ApplicationSet"),
        }
    }

    fn value(&mut self, visit: &Visit<'_, '_, Value>) {
        let (path, value, map) = (visit.path, visit.value, visit.parent().and_then(Value::as_map));
        if let (Some(name), Some(map), true) = (visit.key(), map, self.is_judged) {
            for (below, named) in names_in_entry(name, value, map) {
                self.use_name([owned(path), below].concat(), named);
            }
        }
        match value {
            Value::Map(map) if !path.is_empty() => self.object_in_values(value, map),
            Value::String(text) => self.text(path, text),
            _ => {}
        }
    }

    fn use_name(&mut self, path: Vec<Step>, named: Named) {
        let named = match named {
            Named::Secret(None, name) => Named::Secret(self.namespace.map(str::to_owned), name),
            named => named,
        };
        self.names.used.push(NameUse { path, named });
    }

    fn text(&mut self, path: &[Step<&str>], text: &str) {
        // Most texts have no slash, and to find that out costs next to nothing.
        let is_path = text.len() > APPLICATIONS.len() && memchr::memchr(b'/', text.as_bytes()).is_some();
        if self.is_deploying && is_path && text.contains(APPLICATIONS) {
            self.names.provided.extend(folders(text));
        }
        if self.is_judged {
            for service in service_names(text) {
                let service = ServiceName { is_of_mesh: self.is_of_mesh, ..service };
                self.use_name(owned(path), Named::Service(service));
            }
        }
    }

    /// Many charts take whole objects among their values.
    fn object_in_values(&mut self, object: &Value, map: &Map) {
        if let Some(namespace) = self.own_namespace
            && map.get("apiVersion").is_some()
            && map.get("kind").is_some()
        {
            self.names.provided.extend(of_object(object, namespace));
        }
    }
}
