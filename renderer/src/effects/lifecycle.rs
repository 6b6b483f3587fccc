//! What comes to an end, and what keeps running: objects that go, numbers of pods, guards against disruptions.

use super::found::effect;
use super::kind::EffectKind;
use super::model::Effect;
use super::objects::{Objects, Pair, annotation};
use super::pods::number;
use crate::plan::show::inline;
use crate::yaml::Value;

/// Objects that go, with what goes with them.
pub(super) fn deletions(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let (Some(old), None) = (pair.old, pair.new) else { return Vec::new() };
    let effect = |kind, note| effect(objects.addon, pair, kind, note);
    // What is made again with each sync is deleted by its own rules, and is not missed.
    if pair.is_hook() {
        return Vec::new();
    }
    if pair.is_kept(objects.after.is_none()) {
        let note =
            "it is no longer rendered, and Argo CD leaves it where it is: delete it by hand when it may go";
        return vec![effect(EffectKind::Kept, note)];
    }
    let retention = old.text_at(&["spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"]);
    vec![match pair.kind() {
        ("", "Namespace") => {
            effect(EffectKind::DataLost, "the namespace is deleted with everything in it, if Argo CD prunes")
        }
        ("", "PersistentVolumeClaim") => {
            effect(EffectKind::DataLost, "the claim is deleted, and with it the data, if Argo CD prunes")
        }
        ("", "PersistentVolume") => effect(
            EffectKind::DataLost,
            "the volume is deleted, and by its reclaim policy the data, if Argo CD prunes",
        ),
        ("apps", "StatefulSet") if retention == Some("Delete") => {
            effect(EffectKind::DataLost, "it is deleted with its claims and their data, if Argo CD prunes")
        }
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") | ("batch", "CronJob") => {
            effect(EffectKind::Stopped, "its pods are deleted with it, if Argo CD prunes")
        }
        ("policy", "PodDisruptionBudget") => {
            effect(EffectKind::DisruptionUnguarded, "nothing keeps its pods from all being evicted at a time")
        }
        // These have effects of their own.
        ("apiextensions.k8s.io", "CustomResourceDefinition") => return Vec::new(),
        _ => effect(
            EffectKind::Pruned,
            "Argo CD deletes it on the next sync if it prunes; without pruning it stays",
        ),
    }]
}

/// Numbers of pods that change, and what is suspended.
pub(super) fn scales(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let (Some(old), Some(new)) = (pair.old, pair.new) else { return Vec::new() };
    let effect = |kind, note| effect(objects.addon, pair, kind, note);
    let is_suspended = |value: &Value| value.at(&["spec", "suspend"]) == Some(&Value::Bool(true));
    if !is_suspended(old) && is_suspended(new) {
        return vec![effect(EffectKind::Stopped, "it is suspended")];
    }
    let [before, after] = [old, new].map(|value| number(value, &["spec", "replicas"]));
    let (Some(before), Some(after)) = (before.or(after.map(|_| 1)), after.or(before.map(|_| 1))) else {
        return Vec::new();
    };
    let is_workload = pair.name.group() == "apps";
    let (kind, note) = match after {
        _ if before == after || !is_workload => return Vec::new(),
        0 => (EffectKind::Stopped, "no pod of it is left"),
        _ => (EffectKind::Scaled, "the number of pods changes"),
    };
    vec![effect(kind, note).with(vec![before.to_string()], vec![after.to_string()])]
}

/// Budgets that let more pods be evicted at a time.
pub(super) fn disruptions(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let (("policy", "PodDisruptionBudget"), Some(old), Some(new)) = (pair.kind(), pair.old, pair.new) else {
        return Vec::new();
    };
    let spec = |value: &Value, key: &str| value.at(&["spec", key]).map(inline);
    let mut found = Vec::new();
    for (key, is_weaker) in [
        ("minAvailable", i64::gt as fn(&i64, &i64) -> bool),
        ("maxUnavailable", i64::lt),
        ("selector", |_, _| true),
    ] {
        let (before, after) = (spec(old, key), spec(new, key));
        // A number and a share of them cannot be compared, so this is looked at twice.
        let parts = |text: &Option<String>| {
            let text = text.as_deref()?.trim_matches('"');
            Some((text.ends_with('%'), text.trim_end_matches('%').parse::<i64>().ok()?))
        };
        let is_stronger = match (parts(&before), parts(&after)) {
            (Some((a, before)), Some((b, after))) if a == b => !is_weaker(&before, &after),
            _ => false,
        };
        if before == after || is_stronger {
            continue;
        }
        let texts = |text: Option<String>| text.into_iter().map(|text| format!("{key} {text}")).collect();
        let note = "more pods may be evicted at a time, or others";
        found.push(
            effect(objects.addon, pair, EffectKind::DisruptionUnguarded, note)
                .with(texts(before), texts(after)),
        );
    }
    found
}

/// Changes that the API server refuses.
pub(super) fn refusals(objects: &Objects<'_>, pair: &Pair<'_>) -> Vec<Effect> {
    let (Some(_), Some(new)) = (pair.old, pair.new) else { return Vec::new() };
    let mut fields: Vec<String> = Vec::new();
    let refused = pair.changes.iter().filter(|change| pair.refuses(change));
    fields.extend(refused.map(|change| change.path.to_string()));
    let size =
        |value: Option<&Value>| value?.at(&["spec", "resources", "requests", "storage"]).and_then(bytes);
    let [before, after] = pair.sides().map(size);
    let is_shrunk = before.zip(after).is_some_and(|(before, after)| after < before);
    if pair.kind() == ("", "PersistentVolumeClaim") && is_shrunk {
        fields.push("spec.resources.requests.storage".to_owned());
    }
    if fields.is_empty() {
        return Vec::new();
    }
    let options = annotation(new, "argocd.argoproj.io/sync-options").unwrap_or_default();
    let is_replaced =
        options.split(',').any(|option| matches!(option.trim(), "Force=true" | "Replace=true,Force=true"));
    let note = if is_replaced {
        "Argo CD deletes the object and creates it again (`Force=true`)"
    } else {
        "the API server refuses the change, and the sync fails until the object is deleted and created again"
    };
    vec![effect(objects.addon, pair, EffectKind::ImmutableField, note).with(fields, Vec::new())]
}

/// Returns a quantity in bytes.
fn bytes(value: &Value) -> Option<f64> {
    let text = inline(value);
    let text = text.trim_matches('"');
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let (base, unit) = unit.strip_suffix('i').map_or((1000.0_f64, unit), |unit| (1024.0, unit));
    let power = units.iter().position(|known| known.eq_ignore_ascii_case(unit))?;
    Some(number.parse::<f64>().ok()? * base.powi(i32::try_from(power).ok()?))
}
