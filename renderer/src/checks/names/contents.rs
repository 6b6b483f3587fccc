//! `ConfigMaps`, and keys of them and of Secrets: a pod that names one which is not there does not start.
//!
//! Judged of final objects, which say what a pod takes. What stands in one that is empty is written at runtime.

use std::collections::BTreeMap;

use crate::checks::{ClusterContent, Content, Finding, FlowFinding, NameUse, Named, Provided, Taken};
use crate::key_path::{Step, key, keys, owned};
use crate::manifests::{ObjectName, pod_template};
use crate::plural::quoted_up_to;
use crate::tree::{Below, walk};
use crate::yaml::{Map, Value};

/// What every namespace has.
const IN_EVERY_NAMESPACE: &str = "kube-root-ca.crt";
/// The kinds that pods take something of.
const CONFIG_MAP: &str = "ConfigMap";
const SECRET: &str = "Secret";
/// How many keys a hint lists.
const MAX_LISTED: usize = 10;

/// The entries of a pod that name what they take something of, and the key of the name.
const TAKING: [(&str, &str, &str); 6] = [
    ("configMap", CONFIG_MAP, "name"),
    ("configMapKeyRef", CONFIG_MAP, "name"),
    ("configMapRef", CONFIG_MAP, "name"),
    ("secret", SECRET, "name"),
    ("secret", SECRET, "secretName"),
    ("secretKeyRef", SECRET, "name"),
];

/// Returns what the pods of a final object take.
pub(super) fn taken_by(object: &Value) -> Vec<NameUse> {
    let mut found = Vec::new();
    let Some(name) = ObjectName::named(object) else { return found };
    let Some((above, template)) = pod_template((name.group(), &name.kind), object) else { return found };
    let above = keys(above);
    walk(template, &mut |visit| {
        let taking = TAKING.iter().filter(|(entry, ..)| visit.key() == Some(*entry));
        for (_, kind, named) in taking {
            let is_optional = visit.value.get("optional") == Some(&Value::Bool(true));
            let Some(of) = visit.value.text_at(&[*named]).filter(|_| !is_optional) else { continue };
            // Whether a Secret itself is there is judged by its name.
            let whole = (*kind == CONFIG_MAP).then(|| (vec![key(named)], None));
            for (below, taken) in whole.into_iter().chain(keys_taken(visit.value)) {
                let namespace = name.namespace.clone().unwrap_or_default();
                let taken = Taken { kind, namespace, name: of.to_owned(), key: taken.map(str::to_owned) };
                let path = [above.clone(), owned(visit.path), below].concat();
                found.push(NameUse { path, named: Named::Content(taken) });
            }
        }
        Below::Enter
    });
    found
}

/// Returns the keys that an entry names, with the path of each.
fn keys_taken(entry: &Value) -> impl Iterator<Item = (Vec<Step>, Option<&str>)> {
    let items = entry.get("items").and_then(Value::as_list).unwrap_or_default().iter().enumerate();
    let items =
        items.map(|(at, item)| (vec![key("items"), Step::Index(at), key("key")], item.text_at(&["key"])));
    let one = (vec![key("key")], entry.text_at(&["key"]));
    items.chain([one]).filter(|(_, key)| key.is_some())
}

/// Returns what a final object brings that pods can take, beside the Secrets that it `provides`.
pub(super) fn contents_of(object: &Value, provides: &[Provided]) -> Vec<Provided> {
    let text = |path: &[&str]| object.text_at(path);
    let kind = (text(&["apiVersion"]), text(&["kind"]));
    let secrets = provides.iter().filter_map(|provided| match provided {
        Provided::Secret(namespace, name) => Some(Content {
            kind: SECRET,
            namespace: namespace.clone(),
            name: name.clone(),
            keys: (kind == (Some("v1"), Some("Secret"))).then(|| keys_in(object, ["data", "stringData"])),
        }),
        _ => None,
    });
    let name = text(&["metadata", "name"]).filter(|_| kind == (Some("v1"), Some("ConfigMap")));
    let config_map = name.map(|name| Content {
        kind: CONFIG_MAP,
        namespace: text(&["metadata", "namespace"]).map(str::to_owned),
        name: name.to_owned(),
        keys: Some(keys_in(object, ["data", "binaryData"])),
    });
    secrets.chain(config_map).map(Provided::Content).collect()
}

fn keys_in(object: &Value, below: [&str; 2]) -> Vec<String> {
    let maps = below.into_iter().filter_map(|key| object.get(key)?.as_map());
    maps.flat_map(Map::iter).map(|(key, _)| key.to_owned()).collect()
}

pub(in super::super) fn config_maps_are_there(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    contents_are_there(cluster, CONFIG_MAP)
}

pub(in super::super) fn keys_of_secrets_are_there(cluster: &ClusterContent<'_>) -> Vec<FlowFinding> {
    contents_are_there(cluster, SECRET)
}

fn contents_are_there(cluster: &ClusterContent<'_>, kind: &'static str) -> Vec<FlowFinding> {
    let mut known: BTreeMap<&str, Vec<&Content>> = BTreeMap::new();
    for provided in cluster.flows.provided() {
        if let Provided::Content(content) = provided
            && content.kind == kind
        {
            known.entry(&content.name).or_default().push(content);
        }
    }
    cluster.flows.judge_names(|used| {
        let Named::Content(taken) = &used.named else { return None };
        if taken.kind != kind || taken.name == IN_EVERY_NAMESPACE {
            return None;
        }
        let is_here = |it: &&&Content| it.namespace.as_ref().is_none_or(|it| *it == taken.namespace);
        let here: Vec<_> = known.get(&*taken.name).into_iter().flatten().filter(is_here).collect();
        let (message, hint) = match &taken.key {
            None => here.is_empty().then(|| not_there(taken))?,
            Some(key) => {
                let known = here.iter().map(|it| it.keys.clone().filter(|keys| !keys.is_empty()));
                let keys = known.collect::<Option<Vec<_>>>()?.concat();
                (!keys.is_empty() && !keys.contains(key)).then(|| without_key(taken, key, &keys))?
            }
        };
        Some(Finding::new(&used.path, message).hint(hint))
    })
}

fn not_there(taken: &Taken) -> (String, String) {
    let message = format!("no ConfigMap `{}` is made in the namespace `{}`", taken.name, taken.namespace);
    let hint = "a pod waits for it: correct the name, or write it below `manifests/`; where a program makes it at runtime, accept it";
    (message, hint.to_owned())
}

fn without_key(taken: &Taken, key: &str, keys: &[String]) -> (String, String) {
    let message = format!("{} `{}` has no key `{key}`", taken.kind, taken.name);
    (message, format!("its keys: {}", quoted_up_to(MAX_LISTED, keys)))
}
