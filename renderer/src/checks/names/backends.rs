//! The names in a final object: those that any document may have, the Services that it leads requests
//! to, and what its pods take of `ConfigMaps` and Secrets.

use crate::checks::{Document, NameUse, Named, Names, ServiceName};
use crate::key_path::{Step, key, owned};
use crate::tree::{Below, walk};
use crate::yaml::Value;

use super::contents::{contents_of, taken_by};
use super::gather::names;

/// The kinds that name Services under `service`, with the port that counts where none is written.
const ASKING: [(&str, Option<u16>); 5] = [
    ("APIService", Some(443)),
    ("CustomResourceDefinition", Some(443)),
    ("Ingress", None),
    ("MutatingWebhookConfiguration", Some(443)),
    ("ValidatingWebhookConfiguration", Some(443)),
];

/// Returns the names that a final object uses and provides. What a definition of a kind says in prose is none of them.
pub(crate) fn final_names(document: &Document<'_>) -> Names {
    let kind = document.value.text_at(&["kind"]).unwrap_or_default();
    let mut found = if kind == "CustomResourceDefinition" { Names::default() } else { names(document) };
    let own = document.value.text_at(&["metadata", "namespace"]).unwrap_or_default();
    let asking = ASKING.iter().find(|(known, _)| *known == kind);
    let is_route = kind.ends_with("Route");
    walk(document.value, &mut |visit| {
        let (value, path) = (visit.value, visit.path);
        match (asking, visit.key()) {
            (Some((_, port)), Some("service")) => {
                let written =
                    value.get("port").and_then(|it| number(it).or_else(|| number(it.get("number")?)));
                found.used.extend(backend(value, path, own, written.or(*port)));
            }
            (None, Some("backendRefs")) if is_route => {
                for (at, item) in value.as_list().unwrap_or_default().iter().enumerate() {
                    if item.text_at(&["kind"]).is_none_or(|kind| kind == "Service") {
                        let path = [path, &[Step::Index(at)]].concat();
                        found.used.extend(backend(item, &path, own, item.get("port").and_then(number)));
                    }
                }
            }
            _ => {}
        }
        Below::Enter
    });
    found.used.extend(taken_by(document.value));
    let contents = contents_of(document.value, &found.provided);
    found.provided.extend(contents);
    found
}

fn number(value: &Value) -> Option<u16> {
    if let Value::Number(port) = value { port.as_str().parse().ok() } else { None }
}

fn backend(value: &Value, path: &[Step<&str>], own: &str, port: Option<u16>) -> Option<NameUse> {
    let name = value.text_at(&["name"])?.to_owned();
    let namespace = value.text_at(&["namespace"]).unwrap_or(own).to_owned();
    let named = Named::Service(ServiceName { name, namespace, port, is_of_mesh: false });
    Some(NameUse { path: [owned(path), vec![key("name")]].concat(), named })
}
