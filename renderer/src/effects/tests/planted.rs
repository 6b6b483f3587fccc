//! A change of any single value, anywhere: it is shown, or it is one of the few that are noise.

use proptest::prelude::*;
use testkit::hostile::text::{HIDDEN, MARKUP};

use super::*;
use crate::key_path::{KeyPath, Step};
use crate::tree::{leaves, parts};
use crate::visible::is_hidden;
use crate::yaml::Value;

/// Returns a value with what is at a path replaced; without it if `by` is `None`.
fn replaced(value: &Value, path: &[Step<&str>], by: Option<&Value>) -> Option<Value> {
    let Some((step, rest)) = path.split_first() else { return by.cloned() };
    match value {
        Value::Map(map) => {
            let entries = map.iter().filter_map(|(key, value)| {
                let is_meant = step.key() == Some(&key);
                let value = if is_meant { replaced(value, rest, by)? } else { value.clone() };
                Some((key.to_owned(), value))
            });
            Some(Value::Map(entries.collect()))
        }
        Value::List(items) => {
            let entries = items.iter().enumerate().filter_map(|(at, value)| {
                if *step == Step::Index(at) { replaced(value, rest, by) } else { Some(value.clone()) }
            });
            Some(Value::List(entries.collect()))
        }
        other => Some(other.clone()),
    }
}

fn other(leaf: &Value) -> Value {
    match leaf {
        Value::Bool(value) => Value::Bool(!value),
        Value::Number(number) if number.as_str() == "7" => Value::from(&serde_json::json!(8)),
        Value::Number(_) => Value::from(&serde_json::json!(7)),
        Value::String(text) => Value::String(format!("{text}x")),
        Value::Null => Value::Bool(true),
        Value::List(_) => Value::List(vec![Value::String("x".to_owned())]),
        Value::Map(_) => Value::Map([("x".to_owned(), Value::String("x".to_owned()))].into_iter().collect()),
    }
}

/// Compares an object with another version of it.
fn change(old: &Value, new: &Value) -> Option<Effects> {
    let object = |value: &Value| read(&crate::yaml::write(value)).ok();
    let (old, new) = (object(old)?, object(new)?);
    let unit = compare(&addon(), Some(&old), Some(&new), None);
    Some(effects([(ClusterName::parse("eu-1").unwrap(), vec![unit])], &Facts::default()))
}

/// Returns whether a leaf may be passed over as noise.
fn may_be_noise(path: &[Step<&str>]) -> bool {
    let keys: Vec<&str> = path.iter().filter_map(|step| step.key().copied()).collect();
    matches!(keys[..], ["metadata", "labels", "helm.sh/chart" | "app.kubernetes.io/version"])
        || matches!(keys[..], ["metadata", "annotations", key] if key.starts_with("checksum/"))
        || matches!(
            keys[..],
            ["spec", "versions", "schema", "openAPIV3Schema", "properties", "description", "description"]
                | [
                    "spec",
                    "versions",
                    "schema",
                    "openAPIV3Schema",
                    "properties",
                    "parts",
                    "items",
                    "description"
                ]
                | [.., "properties", "parts", "items", "additionalProperties", "description"]
        )
}

#[test]
fn each_single_value_that_changes_or_goes_is_shown() {
    let mut count = 0;
    for object in objects(SAMPLES) {
        for (path, leaf) in leaves(&object.value) {
            for by in [Some(other(leaf)), None] {
                let Some(new) = replaced(&object.value, &path, by.as_ref()) else { continue };
                // Without a name or a kind it is no object, and nothing is shown at all but the fault.
                let Some(effects) = change(&object.value, &new) else { continue };
                count += 1;
                let place = format!("{} {}", object.name, crate::key_path::text_of(&path));
                let noise = &effects.noise;
                if may_be_noise(&path) {
                    assert!(effects.is_empty(), "{place}");
                    assert_eq!(noise.labels + noise.annotations + noise.descriptions, 1, "{place}");
                    continue;
                }
                assert!(!effects.is_empty(), "{place} → {by:?} is not shown");
                assert_eq!(noise.labels + noise.annotations + noise.descriptions, 0, "{place}");
                // By its path, or by its object if that is another one.
                let is_at = |event: &ObjectEvent| match event {
                    ObjectEvent::Object { .. } => {
                        matches!(path[0], Step::Key("apiVersion" | "kind" | "metadata"))
                    }
                    ObjectEvent::Field { change, .. } => covers(&change.path, &path),
                };
                let mut events =
                    effects.groups.iter().flat_map(|group| &group.entries).map(|entry| &entry.event);
                assert!(events.any(is_at), "{place} is shown elsewhere: {}", text(full(&effects)));
            }
        }
    }
    assert!(count > 500, "{count}");
}

/// Returns whether a shown path is at a leaf, above it, or below what takes its place.
fn covers(shown: &KeyPath, leaf: &[Step<&str>]) -> bool {
    let keys = |steps: &mut dyn Iterator<Item = Option<String>>| steps.flatten().collect::<Vec<_>>();
    let shown = keys(&mut shown.iter().map(|step| step.key().cloned()));
    let leaf = keys(&mut leaf.iter().map(|step| step.key().map(|key| (*key).to_owned())));
    leaf.starts_with(&shown) || shown.starts_with(&leaf)
}

#[test]
fn each_list_in_another_order_is_shown_or_counted() {
    for object in objects(SAMPLES) {
        for (path, part) in parts(&object.value) {
            let Value::List(items) = part else { continue };
            let reversed: Vec<Value> = items.iter().rev().cloned().collect();
            if reversed == *items {
                continue;
            }
            let new = replaced(&object.value, &path, Some(&Value::List(reversed))).unwrap();
            let effects = change(&object.value, &new).unwrap();
            let place = format!("{} {}", object.name, crate::key_path::text_of(&path));
            assert_eq!(effects.is_empty(), effects.noise.orders == 1, "{place}");
            let is_of_pods = crate::key_path::text_of(&path).contains("template");
            assert!(!is_of_pods || effects.noise.orders == 0, "{place}: pods are replaced by it");
        }
    }
}

#[test]
fn each_change_of_a_pod_template_restarts_the_pods() {
    for object in objects(SAMPLES)
        .iter()
        .filter(|object| ["Deployment", "StatefulSet", "DaemonSet"].contains(&object.name.kind.as_str()))
    {
        let Some(template) = object.value.at(&["spec", "template"]) else { continue };
        for (path, leaf) in leaves(template) {
            let path: Vec<Step<&str>> =
                [Step::Key("spec"), Step::Key("template")].into_iter().chain(path).collect();
            let new = replaced(&object.value, &path, Some(&other(leaf))).unwrap();
            let effects = change(&object.value, &new).unwrap();
            assert!(kinds(&effects).contains(&"restarted"), "{}", crate::key_path::text_of(&path));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_an_object_holds_is_inert(at in any::<prop::sample::Index>(), texts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6)) {
        let all: Vec<&str> = MARKUP.into_iter().chain([HIDDEN]).collect();
        let objects = objects(SAMPLES);
        let object = &objects[at.index(objects.len())];
        let mut new = object.value.clone();
        for (leaf, hostile) in &texts {
            let value = new.clone();
            let leaves = leaves(&value);
            let (path, _) = &leaves[leaf.index(leaves.len())];
            let text = Value::String(all[hostile.index(all.len())].to_owned());
            new = replaced(&value, path, Some(&text)).unwrap();
        }
        let Some(effects) = change(&object.value, &new) else { return Ok(()) };
        let shown = markdown(&effects, 30_000, Some(EFFECTS));
        let lines = text(summary(&effects)) + &text(full(&effects));
        for c in shown.chars().chain(lines.chars()) {
            prop_assert!(c == '\n' || !is_hidden(c), "{c:?}");
        }
        for line in outside_of_fences(&shown) {
            let plain = outside_of_spans(line).replace("<details><summary><b>", "").replace("</b>", "").replace("</summary>", "");
            let plain = plain.replace("</details>", "");
            prop_assert!(!plain.contains(['<', '@', '|', '\u{202e}']), "{line}");
        }
    }
}

fn ticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

/// Returns the lines that are markup.
fn outside_of_fences(text: &str) -> Vec<&str> {
    let (mut fence, mut found) = (None, Vec::new());
    for line in text.lines() {
        match fence {
            None if ticks(line) >= 3 => fence = Some(ticks(line)),
            None => found.push(line),
            Some(length) if ticks(line) >= length && line.trim_matches('`').is_empty() => fence = None,
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "each fence ends: {text}");
    found
}

/// Returns what of a line is in no code span.
fn outside_of_spans(mut line: &str) -> String {
    let mut plain = String::new();
    while let Some(at) = line.find('`') {
        plain.push_str(&line[..at]);
        let length = ticks(&line[at..]);
        let mut inner = &line[at + length..];
        let mut end = None;
        while let Some(next) = inner.find('`') {
            let run = ticks(&inner[next..]);
            inner = &inner[next + run..];
            if run == length {
                end = Some(inner);
                break;
            }
        }
        line = end.unwrap_or_else(|| panic!("each span ends: {line}"));
    }
    plain + line
}
