//! Gathers the names that a document uses and provides.

use crate::key_path::{Step, key, owned};
use crate::snapshot::OUTPUT;
use crate::tree::{Below, Visit, walk};
use crate::yaml::{Map, Value};

use super::super::document::{Document, DocumentKind, text_at};
use super::super::readers::istio;
use super::find::{is_name, lists_secrets, names_in_entry, service_names};
use super::provided::{folders, is_filled_later, of_object, provided_by};
use super::{NameUse, Named, Names};

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
        let is_policy = document.kind == DocumentKind::Object && version.contains(super::POLICY_GROUP);
        let mesh = document.values().and_then(|(addon, _)| addon.facts.mesh.as_deref());
        Self {
            namespace,
            own_namespace,
            names: Names::default(),
            is_judged: document.addon.is_some() && !is_policy,
            is_of_mesh: mesh == Some(istio::CONTROL_PLANE),
            is_deploying: !is_filled_later(document.value),
        }
    }

    fn value(&mut self, visit: &Visit<'_, '_, Value>) {
        let (path, value, map) = (visit.path, visit.value, visit.parent().and_then(Value::as_map));
        if let (Some(name), Some(map), true) = (visit.key(), map, self.is_judged) {
            if let Some((below, named)) = names_in_entry(name, value, map) {
                self.use_name(path, below, named);
            }
            if let Value::List(items) = value
                && lists_secrets(name)
            {
                self.secrets(path, items);
            }
        }
        match value {
            Value::Map(map) if !path.is_empty() => self.object_in_values(map),
            Value::String(text) => self.text(path, text),
            _ => {}
        }
    }

    fn secrets(&mut self, path: &[Step<&str>], items: &[Value]) {
        for (index, item) in items.iter().enumerate() {
            let (below, name) = match item {
                Value::String(name) => (None, name.as_str()),
                item => (Some("name"), text_at(item, &["name"]).unwrap_or_default()),
            };
            if is_name(name) {
                let path = [path, &[Step::Index(index)]].concat();
                self.use_name(&path, below, Named::Secret(None, name.to_owned()));
            }
        }
    }

    fn use_name(&mut self, path: &[Step<&str>], below: Option<&str>, named: Named) {
        let named = match named {
            Named::Secret(None, name) => Named::Secret(self.namespace.map(str::to_owned), name),
            named => named,
        };
        let mut path = owned(path);
        path.extend(below.map(key));
        self.names.used.push(NameUse { path, named });
    }

    fn text(&mut self, path: &[Step<&str>], text: &str) {
        // Most texts have no slash, and to find that out costs next to nothing.
        let is_path = text.len() > OUTPUT.len() && memchr::memchr(b'/', text.as_bytes()).is_some();
        if self.is_deploying && is_path && text.contains(OUTPUT) {
            self.names.provided.extend(folders(text));
        }
        if self.is_judged {
            for service in service_names(text) {
                let service = if self.is_of_mesh { service.of_mesh() } else { service };
                self.use_name(path, None, Named::Service(service));
            }
        }
    }

    /// Many charts take whole objects among their values.
    fn object_in_values(&mut self, map: &Map) {
        if let Some(namespace) = self.own_namespace
            && map.get("apiVersion").is_some()
            && map.get("kind").is_some()
        {
            self.names.provided.extend(of_object(map, namespace));
        }
    }
}
