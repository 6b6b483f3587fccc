//! Kinds of objects, and who is asked before an object is taken: definitions and webhooks.

use super::found::{Texts, delta, effect, of_sides};
use super::kind::EffectKind;
use super::model::Effect;
use super::objects::{Objects, Pair};
use super::pods::strings;
use crate::yaml::Value;

/// Kinds that are defined no more, versions of them that go, and other changes of their definitions.
pub(super) fn definitions(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    if pair.kind() != ("apiextensions.k8s.io", "CustomResourceDefinition") {
        return Vec::new();
    }
    let effect = |kind, note| effect(objects.addon, pair, kind, note);
    let Some(old) = pair.old else { return Vec::new() };
    let Some(new) = pair.new else {
        if pair.is_kept(objects.after.is_none()) {
            return Vec::new();
        }
        let note = "if Argo CD prunes the definition, every object of this kind is deleted with it";
        return vec![effect(EffectKind::DefinitionRemoved, note)];
    };
    let mut found = Vec::new();
    let (lost, gained) = delta(&versions(old, "served"), &versions(new, "served"));
    if !lost.is_empty() {
        let note = "the API server no longer takes or gives objects in this version";
        found.push(effect(EffectKind::VersionRemoved, note).of("served versions").with(lost, gained));
    }
    let (lost, gained) = delta(&versions(old, "storage"), &versions(new, "storage"));
    if !lost.is_empty() {
        let is_there = |version: &String| versions(new, "name").contains(version);
        let note = if lost.iter().all(is_there) {
            "objects are stored in another version from now on: those that are there stay in the old one until they are written"
        } else {
            "objects are stored in a version that goes: the API server refuses that until all are written in another one"
        };
        found.push(effect(EffectKind::VersionRemoved, note).of("stored version").with(lost, gained));
    }
    if !pair.changes.is_empty() {
        found.push(effect(EffectKind::DefinitionChanged, "objects of this kind must fit the new definition"));
    }
    found
}

/// Returns the versions of a definition of which something holds; all of them for `name`.
fn versions(definition: &Value, what: &str) -> Texts {
    let versions = definition.at(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
    let is_meant = |version: &&Value| what == "name" || version.get(what) == Some(&Value::Bool(true));
    versions
        .iter()
        .filter(is_meant)
        .filter_map(|version| version.text_at(&["name"]).map(str::to_owned))
        .collect()
}

/// Webhooks without whose answer the API server refuses what it is asked.
pub(super) fn webhooks(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let kinds = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];
    if pair.name.group() != "admissionregistration.k8s.io" || !kinds.contains(&pair.name.kind.as_str()) {
        return Vec::new();
    }
    let [old, new] = of_sides(pair, asked);
    let (_, gained) = delta(&old, &new);
    if gained.is_empty() {
        return Vec::new();
    }
    let note = "while its server gives no answer, the API server refuses these";
    vec![effect(objects.addon, pair, EffectKind::WebhookAdded, note).with(Vec::new(), gained)]
}

/// Returns what the webhooks of a configuration are asked that may not go without an answer.
fn asked(configuration: &Value) -> Texts {
    let mut found = Texts::new();
    for webhook in configuration.get("webhooks").and_then(Value::as_list).unwrap_or_default() {
        // `Fail` is what counts if there is no policy.
        if webhook.text_at(&["failurePolicy"]) == Some("Ignore") {
            continue;
        }
        let name = webhook.text_at(&["name"]).unwrap_or_default();
        for rule in webhook.get("rules").and_then(Value::as_list).unwrap_or_default() {
            let words =
                |key| strings(rule.get(key)).map(str::to_ascii_lowercase).collect::<Vec<_>>().join(", ");
            let groups: Vec<&str> =
                strings(rule.get("apiGroups")).filter(|group| !group.is_empty()).collect();
            let of_group =
                if groups.is_empty() { String::new() } else { format!(" of {}", groups.join(", ")) };
            found.insert(format!("{name}: {} {}{of_group}", words("operations"), words("resources")));
        }
    }
    found
}
