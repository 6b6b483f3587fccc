//! No plaintext secret may be rendered: a repository is read by more people than a Vault.

use crate::secrets::{announces_a_secret, holds_a_secret, is_secret_object, is_secret_text, secret_name};
use crate::yaml::{Map, Value};

use super::{Document, DocumentKind, Finding, Seen, kept};

const HINT: &str = "keep it in Vault and refer to it, by an ExternalSecret and the chart's `existingSecret`";

pub(super) fn no_plaintext_secrets(document: &Document<'_>) -> Vec<Finding> {
    let mut walk = Walk::default();
    match document.value {
        // Its content is a fault as a whole, which the check of objects tells.
        Value::Map(map) if document.kind == DocumentKind::Object && is_secret_object(map) => {
            walk.entries(map, |key| !["data", "stringData"].contains(&key));
        }
        value => walk.value(value),
    }
    walk.findings
}

#[derive(Default)]
struct Walk<'v> {
    path: Vec<Seen<'v>>,
    findings: Vec<Finding>,
}

impl<'v> Walk<'v> {
    fn value(&mut self, value: &'v Value) {
        match value {
            Value::Map(map) => self.entries(map, |_| true),
            Value::List(items) => {
                let mut announced = None;
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Seen::Index(index));
                    match (announced, item) {
                        (Some(name), Value::String(text))
                            if !text.starts_with('-') && holds_a_secret(name, item) =>
                        {
                            self.find(format!("`{name}` is followed by a secret in plain text"));
                        }
                        _ => self.value(item),
                    }
                    announced = item.as_str().filter(|text| announces_a_secret(text));
                    self.path.pop();
                }
            }
            Value::String(text) if is_secret_text(text) => {
                self.find("a secret in plain text".to_owned());
            }
            _ => {}
        }
    }

    fn entries(&mut self, map: &'v Map, is_judged: impl Fn(&str) -> bool) {
        for (key, value) in map.iter().filter(|(key, _)| is_judged(key)) {
            self.path.push(Seen::Key(key));
            match secret_name(key, map) {
                Some(name) if holds_a_secret(name, value) => {
                    self.find(format!("`{name}` holds a secret in plain text"));
                }
                _ => self.value(value),
            }
            self.path.pop();
        }
    }

    fn find(&mut self, message: String) {
        self.findings.push(Finding::new(&kept(&self.path), message).hint(HINT));
    }
}
