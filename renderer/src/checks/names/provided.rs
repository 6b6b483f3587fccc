//! What a document provides to others of its cluster: by the object that it is, by its chart, or by what Argo
//! CD makes of it.

use crate::argo::{self, applications};
use crate::catalog::{Addon, Condition, Service, StorageClasses};
use crate::checks::{Document, Provided, ProvidedService};
use crate::root::APPLICATIONS;
use crate::tree::{Below, walk};
use crate::yaml::{Map, Value};

use super::{filled, full_name};

/// Returns what a document provides, and what objects in its values do: many charts take extra objects.
pub(super) fn provided_by(document: &Document<'_>) -> Vec<Provided> {
    let mut provided = of_argo(document);
    let Some(addon) = document.addon else {
        // What is pushed from the hub.
        provided.extend(document.object().map(pushed).unwrap_or_default());
        return provided;
    };
    if let Some((addon, values)) = document.values() {
        provided.extend(services_of(addon, values));
        provided.extend(storage_classes_of(addon, values));
    } else {
        provided.extend(of_object(document.value, &addon.facts.namespace));
    }
    provided
}

/// Returns what an object provides.
pub(in super::super) fn of_object(object: &Value, own_namespace: &str) -> Vec<Provided> {
    let text = |path: &[&str]| object.text_at(path).map(str::to_owned);
    let Some(name) = text(&["metadata", "name"]) else { return Vec::new() };
    let namespace = || text(&["metadata", "namespace"]).unwrap_or_else(|| own_namespace.to_owned());
    let secret = |name| vec![Provided::Secret(Some(namespace()), name)];
    match text(&["kind"]).as_deref() {
        Some("StorageClass") => vec![Provided::StorageClass(name)],
        Some("Secret" | "SealedSecret") => secret(name),
        Some("ExternalSecret") => secret(text(&["spec", "target", "name"]).unwrap_or(name)),
        Some("ClusterExternalSecret") => {
            let target = text(&["spec", "externalSecretSpec", "target", "name"]);
            let target = target.or_else(|| text(&["spec", "externalSecretName"]));
            vec![Provided::Secret(None, target.unwrap_or(name))]
        }
        Some("Certificate") => text(&["spec", "secretName"]).map(secret).unwrap_or_default(),
        Some("Service") => {
            let (namespace, ports) = (namespace(), ports_of(object));
            vec![Provided::Service(ProvidedService { namespace, name, ports, is_beginning: false })]
        }
        _ => pushed(object),
    }
}

fn pushed(object: &Value) -> Vec<Provided> {
    if object.text_at(&["kind"]) != Some("PushSecret") {
        return Vec::new();
    }
    let key = |entry: &Value| entry.text_at(&["match", "remoteRef", "remoteKey"]).map(str::to_owned);
    list_at(object, &["spec", "data"]).iter().filter_map(key).map(Provided::Pushed).collect()
}

/// Returns the ports of a Service.
pub(in super::super) fn ports_of(service: &Value) -> Vec<u16> {
    let port = |entry: &Value| match entry.get("port")? {
        Value::Number(port) => port.as_str().parse().ok(),
        _ => None,
    };
    list_at(service, &["spec", "ports"]).iter().filter_map(port).collect()
}

fn list_at<'v>(object: &'v Value, path: &[&str]) -> &'v [Value] {
    object.at(path).and_then(Value::as_list).unwrap_or_default()
}

/// Returns the Services that a release brings, as far as `addon.yaml` and the values say how they are called.
///
/// Nothing if that follows from the add-on alone and its Services are not described: then it is worked out
/// where it is needed.
fn services_of(addon: &Addon, values: &Value) -> Vec<Provided> {
    if addon.facts.provides.services.is_some() {
        return services_said(addon, values);
    }
    let is_renamed = ["fullnameOverride", "nameOverride"]
        .iter()
        .any(|key| values.text_at(&[*key]).is_some_and(|text| !text.is_empty()));
    let renamed = is_renamed.then(|| {
        Provided::Service(ProvidedService {
            namespace: addon.facts.namespace.clone(),
            name: full_name(addon, values),
            is_beginning: true,
            ports: Vec::new(),
        })
    });
    renamed.into_iter().collect()
}

/// Returns the Services that an add-on says to bring with these values.
pub(crate) fn services_said(addon: &Addon, values: &Value) -> Vec<Provided> {
    let service = |service: &Service| {
        Provided::Service(ProvidedService {
            namespace: addon.facts.namespace.clone(),
            name: filled(&service.name, addon, service.subchart.as_ref(), values),
            is_beginning: false,
            ports: service.ports.iter().map(|port| port.of(values)).collect(),
        })
    };
    let is_made = |service: &&Service| Condition::all_hold(&service.when, values);
    addon.facts.provides.services.iter().flatten().filter(is_made).map(service).collect()
}

/// Returns the classes that a chart makes.
fn storage_classes_of(addon: &Addon, values: &Value) -> Vec<Provided> {
    let classes = addon.facts.provides.storage_classes.iter().flat_map(|classes| classes_of(classes, values));
    classes.map(Provided::StorageClass).collect()
}

/// Returns the names of the classes that a statement is about.
pub(in super::super) fn classes_of(classes: &StorageClasses, values: &Value) -> Vec<String> {
    match classes {
        StorageClasses::One { name, when } => {
            let is_made = Condition::all_hold(when, values);
            is_made.then(|| name.of(values).to_owned()).into_iter().collect()
        }
        StorageClasses::Each { keys_of } => {
            let map = keys_of.of(values).and_then(Value::as_map);
            map.into_iter().flat_map(Map::iter).map(|(name, _)| name.to_owned()).collect()
        }
    }
}

/// Returns what an object of Argo CD's deploys.
fn of_argo(document: &Document<'_>) -> Vec<Provided> {
    let Some(object) = document.object() else { return Vec::new() };
    let anything = argo::finds_elsewhere(object).then_some(Provided::Anything);
    let mut provided: Vec<_> = anything.into_iter().collect();
    let mut named = Vec::new();
    for application in applications(object) {
        // All that are made of one ApplicationSet have one template.
        if named.is_empty() {
            add_texts(application.template(), &mut named);
        }
        let charts = application.sources().filter_map(|(_, source)| source.get("chart")?.as_str());
        let charts = charts.filter_map(|chart| application.filled(chart));
        provided.extend(charts.map(|chart| Provided::Chart(chart.into_owned())));
        let texts = named.iter().filter_map(|text| application.filled(text));
        provided.extend(texts.flat_map(|text| folders(&text).collect::<Vec<_>>()));
        let mut own = Vec::new();
        application.element().into_iter().for_each(|element| add_texts(element, &mut own));
        provided.extend(own.into_iter().flat_map(folders));
    }
    provided
}

/// Adds the texts of a value that name a rendered folder.
fn add_texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    walk(value, &mut |visit| {
        found.extend(visit.value.as_str().filter(|text| text.contains(APPLICATIONS)));
        Below::Enter
    });
}

/// Returns the rendered folders of add-ons that a text names: `argocd-apps/<cluster>/<add-on>`, or a pattern of both.
pub(super) fn folders(text: &str) -> impl Iterator<Item = Provided> {
    let is_end = |c: char| c.is_whitespace() || "\"',;:".contains(c);
    text.match_indices(APPLICATIONS).filter_map(move |(at, found)| {
        let rest = text[at + found.len()..].strip_prefix('/')?;
        let mut parts = rest.split(is_end).next()?.split('/').filter(|part| !part.is_empty());
        let cluster = parts.next()?;
        let addon = parts.next().or_else(|| (cluster == "**").then_some("**"))?;
        Some(Provided::Deployed { cluster: cluster.to_owned(), addon: addon.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let parts = folders(text).map(|provided| match provided {
            Provided::Deployed { cluster, addon } => (cluster, addon),
            other => panic!("{other:?}"),
        });
        parts.collect()
    }

    #[test]
    fn folders_are_found_in_any_text() {
        let pair = |cluster: &str, addon: &str| (cluster.to_owned(), addon.to_owned());
        assert_eq!(found("$values/argocd-apps/a/x/values.yaml"), [pair("a", "x")]);
        assert_eq!(found("./argocd-apps/a/x"), [pair("a", "x")]);
        assert_eq!(found("argocd-apps/*/*/values.yaml argocd-apps/**"), [pair("*", "*"), pair("**", "**")]);
        assert_eq!(found("argocd-apps"), []);
        assert_eq!(found("argocd-apps/a"), []);
        assert_eq!(found("argocd-apps/a/, argocd-appsx/a/b"), []);
    }
}
