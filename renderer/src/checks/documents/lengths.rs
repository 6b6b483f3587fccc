//! How long names may be that are composed of others: of objects, of releases, of certificates, of labels.
//!
//! A fact is short enough by itself, and what a template makes of two or three is not. The cluster refuses it
//! when it is applied, which is long after the merge.

use crate::argo::{Application, applications};
use crate::catalog::MAX_RELEASE;
use crate::checks::{Document, DocumentKind, Finding};
use crate::key_path::{Step, keys, owned};
use crate::tree::{self, Below};
use crate::yaml::Value;

/// What the standard lets the common name of a certificate be.
const COMMON_NAME: usize = 64;
/// A label of DNS, and the value of a label of Kubernetes.
const LABEL: usize = 63;
/// A name of DNS.
const DNS_NAME: usize = 253;

/// Kinds whose names end up in something shorter than the name of an object: a label of DNS, the name of a
/// pod with its number or its time behind it.
const KINDS: [(&str, &str, usize); 5] = [
    ("v1", "Namespace", LABEL),
    ("v1", "Service", LABEL),
    ("batch/v1", "CronJob", 52),
    ("batch/v1", "Job", LABEL),
    ("apps/v1", "StatefulSet", 52),
];

/// Keys of objects that hold names of hosts.
const HOST_KEYS: [&str; 4] = ["dnsNames", "host", "hosts", "hostnames"];

pub(in super::super) fn names_are_short_enough(document: &Document<'_>) -> Vec<Finding> {
    let mut walk = Walk { document, findings: Vec::new() };
    if document.kind == DocumentKind::Object {
        walk.object();
        for application in applications(document.value) {
            walk.application(&application);
        }
    }
    tree::walk(document.value, &mut |visit| {
        if let Some(name) = visit.key() {
            walk.entry(visit.path, name, visit.value);
        }
        Below::Enter
    });
    walk.findings
}

struct Walk<'d> {
    document: &'d Document<'d>,
    findings: Vec<Finding>,
}

impl<'d> Walk<'d> {
    fn object(&mut self) {
        let text = |path: &[&str]| self.document.value.text_at(path);
        let (Some(version), Some(kind)) = (text(&["apiVersion"]), text(&["kind"])) else { return };
        let limit = KINDS.iter().find(|(of, name, _)| *of == version && *name == kind);
        if let (Some((.., limit)), Some(name)) = (limit, text(&["metadata", "name"])) {
            self.judge(&keys(&["metadata", "name"]), name, &format!("the name of a {kind}"), *limit);
        }
    }

    fn application(&mut self, application: &Application<'d>) {
        let name = application.text(&["metadata", "name"]);
        if let Some(name) = &name {
            let what = "the name of an Application";
            self.judge(&application.origin(&["metadata", "name"]), name, what, DNS_NAME);
        }
        for (path, source) in application.sources() {
            if let Some(written) = source.text_at(&["helm", "releaseName"]) {
                let origin = application.origin_of(&[path, keys(&["helm", "releaseName"])].concat(), written);
                let release = application.filled(written).unwrap_or_default();
                self.judge(&origin, &release, "the name of a release", MAX_RELEASE);
            } else if let (Some(_), Some(name)) = (source.get("chart"), &name) {
                let what = "the name of a release, which is that of the Application here,";
                self.judge(&application.origin(&["metadata", "name"]), name, what, MAX_RELEASE);
            }
        }
    }

    fn entry(&mut self, path: &[Step<&str>], name: &str, value: &'d Value) {
        let is_object = self.document.kind == DocumentKind::Object;
        match value {
            Value::String(text) if name == "commonName" => {
                self.judge(&owned(path), text, "the common name of a certificate", COMMON_NAME);
            }
            Value::String(text) if is_object && name == "host" => self.host(&owned(path), text),
            Value::List(items) if is_object && HOST_KEYS.contains(&name) => {
                for (index, item) in items.iter().enumerate() {
                    let path = [owned(path), vec![Step::Index(index)]].concat();
                    self.host(&path, item.as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    fn host(&mut self, path: &[Step], text: &str) {
        if text.contains(['{', '/', ' ']) {
            return;
        }
        self.judge(path, text, "the name of a host", DNS_NAME);
        if let Some(part) = text.split('.').find(|part| part.len() > LABEL) {
            self.judge(path, part, "a part of the name of a host", LABEL);
        }
    }

    fn judge(&mut self, path: &[Step], text: &str, what: &str, limit: usize) {
        let length = text.chars().count();
        if length <= limit || text.contains("{{") {
            return;
        }
        let message = format!("{what} has at most {limit} characters, and `{text}` has {length}");
        self.findings.push(Finding::new(path, message).hint(self.hint(text)));
    }

    /// Says what of a name is long: the cluster's name and the add-on's are parts of most.
    fn hint(&self, text: &str) -> String {
        let cluster = self.document.cluster.name.as_str();
        let addon = self.document.addon.map(|addon| addon.name.as_str());
        let parts =
            [("cluster's", Some(cluster)), ("add-on's", addon)].into_iter().filter_map(|(whose, name)| {
                let name = name.filter(|name| text.contains(name))?;
                Some(format!("the {whose} name `{name}` has {}", name.len()))
            });
        match parts.collect::<Vec<_>>().as_slice() {
            [] => "shorten it".to_owned(),
            parts => format!("shorten it: of these, {}", parts.join(", ")),
        }
    }
}
