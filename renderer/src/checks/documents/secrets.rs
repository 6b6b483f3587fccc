//! No plaintext secret may be rendered: a repository is read by more people than a secret store.

use crate::checks::{Document, Finding};
use crate::key_path::Step;
use crate::secrets::{announces_a_secret, holds_a_secret, is_secret_object, is_secret_text, secret_name};
use crate::tree::{Below, Visit, walk};
use crate::yaml::Value;

const HINT: &str =
    "keep it in a secret store and refer to it, by an ExternalSecret and the chart's `existingSecret`";

pub(in super::super) fn no_plaintext_secrets(document: &Document<'_>) -> Vec<Finding> {
    let is_secret = document.object().and_then(Value::as_map).is_some_and(is_secret_object);
    let mut findings = Vec::new();
    walk(document.value, &mut |visit| {
        // Its content is a fault as a whole, which the check of objects reports.
        if is_secret && matches!(visit.path, [Step::Key("data" | "stringData")]) {
            return Below::Skip;
        }
        let Some(message) = fault(&visit) else { return Below::Enter };
        findings.push(Finding::new(&visit.owned_path(), message).hint(HINT));
        Below::Skip
    });
    findings
}

fn fault(visit: &Visit<'_, '_, Value>) -> Option<String> {
    let value = visit.value;
    match (visit.path.last(), visit.parent()) {
        (Some(Step::Key(key)), Some(Value::Map(map))) => {
            if let Some(name) = secret_name(key, map).filter(|name| holds_a_secret(name, value)) {
                return Some(format!("`{name}` holds a secret in plain text"));
            }
        }
        (Some(Step::Index(index)), Some(Value::List(items))) => {
            let before = index.checked_sub(1).and_then(|before| items[before].as_str());
            let announced = before.filter(|text| announces_a_secret(text));
            let is_value = value.as_str().is_some_and(|text| !text.starts_with('-'));
            if let Some(name) = announced.filter(|name| is_value && holds_a_secret(name, value)) {
                return Some(format!("`{name}` is followed by a secret in plain text"));
            }
        }
        _ => {}
    }
    value.as_str().filter(|text| is_secret_text(text)).map(|_| "a secret in plain text".to_owned())
}
