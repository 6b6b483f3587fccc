//! How long names may be that are composed of others: of objects, of releases, of certificates, of labels.
//!
//! A fact is short enough by itself, and what a template makes of two or three is not. The cluster refuses it when it is applied,
//! which is long after the merge.

use crate::argo::{Application, applications};
use crate::catalog::MAX_RELEASE;
use crate::key_path::{Step, key, owned};
use crate::tree::{self, Below};
use crate::yaml::Value;

use super::super::document::{Document, DocumentKind};
use super::super::finding::Finding;

/// What the standard lets the common name of a certificate be.
const COMMON_NAME: usize = 64;
/// A label of DNS, and the value of a label of Kubernetes.
const LABEL: usize = 63;
/// A name of DNS.
const DNS_NAME: usize = 253;

/// Kinds whose names end up in something shorter than the name of an object: a label of DNS, the name of a pod with its
/// number or its time behind it.
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
        let text = |path: &[&str]| self.document.value.at(path).and_then(Value::as_str);
        let (Some(version), Some(kind)) = (text(&["apiVersion"]), text(&["kind"])) else { return };
        let limit = KINDS.iter().find(|(of, name, _)| *of == version && *name == kind);
        if let (Some((.., limit)), Some(name)) = (limit, text(&["metadata", "name"])) {
            self.judge(&["metadata", "name"].map(key), name, &format!("the name of a {kind}"), *limit);
        }
    }

    fn application(&mut self, application: &Application<'d>) {
        let name = application.text(&["metadata", "name"]);
        if let Some(name) = &name {
            let what = "the name of an Application";
            self.judge(&application.origin(&["metadata", "name"]), name, what, DNS_NAME);
        }
        for (path, source) in application.sources() {
            let release = source.at(&["helm", "releaseName"]).and_then(Value::as_str);
            let filled = release.and_then(|release| application.filled(release));
            if let (Some(written), Some(release)) = (release, filled) {
                let path = [&path[..], &["helm", "releaseName"].map(key)].concat();
                self.judge(
                    &application.origin_of(&path, written),
                    &release,
                    "the name of a release",
                    MAX_RELEASE,
                );
            } else if let (None, Some(_), Some(name)) = (release, source.get("chart"), &name) {
                let what = "the name of a release, which is that of the Application here,";
                self.judge(&application.origin(&["metadata", "name"]), name, what, MAX_RELEASE);
            }
        }
    }

    fn entry(&mut self, path: &[Step<&str>], name: &str, value: &'d Value) {
        let is_object = self.document.kind == DocumentKind::Object;
        match (name, value) {
            ("commonName", Value::String(text)) => {
                self.judge(&owned(path), text, "the common name of a certificate", COMMON_NAME);
            }
            ("host", Value::String(text)) if is_object => self.host(&owned(path), text),
            (_, Value::List(items)) if is_object && HOST_KEYS.contains(&name) => {
                for (index, text) in
                    items.iter().enumerate().filter_map(|(at, item)| Some((at, item.as_str()?)))
                {
                    self.host(&[owned(path), vec![Step::Index(index)]].concat(), text);
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
        let parts = [("cluster's", Some(cluster)), ("add-on's", addon)];
        let parts = parts
            .into_iter()
            .filter_map(|(whose, name)| Some((whose, name.filter(|name| text.contains(name))?)));
        let parts: Vec<_> =
            parts.map(|(whose, name)| format!("the {whose} name `{name}` has {}", name.len())).collect();
        match parts.as_slice() {
            [] => "shorten it".to_owned(),
            parts => format!("shorten it: of these, {}", parts.join(", ")),
        }
    }
}
